//! Names of `params:` and `override:` that are likely slips: close to a parameter, and none that anybody knows.

use std::collections::HashSet;

use super::File;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::Spanned;
use crate::wire::ProtocolId;
use crate::wire::ledger;

/// Parameters of Chat Completions that single vendors and servers have besides the documented ones.
const VENDORS: [&str; 44] = [
    "best_of",
    "bad_words",
    "chat_template_kwargs",
    "clear_thinking",
    "do_sample",
    "dry_multiplier",
    "echo",
    "enable_thinking",
    "extra_body",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "ignore_eos",
    "include_reasoning",
    "include_stop_str_in_output",
    "keep_alive",
    "length_penalty",
    "max_new_tokens",
    "min_p",
    "min_tokens",
    "mirostat",
    "models",
    "num_ctx",
    "num_predict",
    "plugins",
    "prompt_logprobs",
    "provider",
    "random_seed",
    "reasoning_format",
    "reasoning_split",
    "repeat_penalty",
    "repetition_penalty",
    "response_schema",
    "return_images",
    "safe_prompt",
    "search_parameters",
    "stop_token_ids",
    "structured_outputs",
    "thinking_budget",
    "thinking_budget_tokens",
    "top_a",
    "transforms",
    "typical_p",
];

/// Protocols whose documents are written like the names of `params:`.
const SNAKE_CASE: [ProtocolId; 3] =
    [ProtocolId::OpenAiChat, ProtocolId::OpenAiResponses, ProtocolId::AnthropicMessages];
/// The others.
const CAMEL_CASE: [ProtocolId; 2] = [ProtocolId::Gemini, ProtocolId::BedrockConverse];

/// Reports them. A name that is close to none may be a vendor's own, and passes.
pub(super) fn check(file: &File<'_>, diagnostics: &mut Diagnostics) {
    let mut names =
        file.document.presets.iter().flat_map(|entry| entry.params.iter().chain(&entry.override_)).peekable();
    if names.peek().is_none() {
        return;
    }
    let meant = members(&SNAKE_CASE).chain(VENDORS).chain(["model"]).collect::<HashSet<_>>();
    let foreign = members(&CAMEL_CASE).collect::<HashSet<_>>();
    for (name, _) in names.filter(|(name, _)| !foreign.contains(name.value.as_str())) {
        if let Some(near) = slip(&name.value, &meant) {
            diagnostics.push_with(Code::UnknownParameter, || unknown(name, near));
        }
    }
}

fn unknown(name: &Spanned<String>, near: &str) -> Diagnostic {
    Diagnostic::new(Code::UnknownParameter, format!("nobody knows a parameter `{}`", name.value))
        .label(name.span, "sent as it is written")
        .help(format!("did you mean `{near}`?"))
}

/// The members of the documents of these protocols.
fn members(protocols: &[ProtocolId]) -> impl Iterator<Item = &'static str> {
    let fields = protocols.iter().flat_map(|protocol| ledger::fields(*protocol));
    fields.filter_map(|field| field.path.split(['.', '[', ' ', '=']).next())
}

/// What was meant by a name that is none of these.
fn slip(name: &str, known: &HashSet<&'static str>) -> Option<&'static str> {
    if known.contains(name) {
        return None;
    }
    let (plain, most) = (plain(name), most_slips(name));
    let distance = |other: &str| if self::plain(other) == plain { 0 } else { strsim::osa_distance(name, other) };
    let near = known.iter().map(|other| (distance(other), *other)).min()?;
    (near.0 <= most).then_some(near.1)
}

/// Letters and digits alone: `maxTokens` and `max-tokens` are `max_tokens`.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Letters that may be wrong, missing, too many or swapped. Short names of different parameters differ by one: `top_p`,
/// `top_k`, `top_n`.
fn most_slips(name: &str) -> usize {
    match name.len() {
        0..=5 => 0,
        6..=10 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(name: &str) -> Option<&'static str> {
        slip(name, &members(&SNAKE_CASE).chain(VENDORS).collect())
    }

    #[test]
    fn slips_are_named() {
        for (name, near) in [
            ("temprature", "temperature"),
            ("temperatuer", "temperature"),
            ("max_token", "max_tokens"),
            ("maxTokens", "max_tokens"),
            ("max-completion-tokens", "max_completion_tokens"),
            ("topp", "top_p"),
            ("frequence_penality", "frequency_penalty"),
            ("reasoning_efort", "reasoning_effort"),
            ("repitition_penalty", "repetition_penalty"),
        ] {
            assert_eq!(meant(name), Some(near), "{name}");
        }
    }

    #[test]
    fn what_may_be_a_vendors_own_passes() {
        for name in [
            "temperature",
            "max_tokens",
            "min_tokens",
            "top_n",
            "top_h",
            "a",
            "store",
            "deep",
            "nvext",
            "venice_parameters",
            "generation_config",
            "tool_config",
            "safety_settings",
            "documents",
            "citation_options",
            "truncate_prompt_tokens",
            "num_search_queries",
        ] {
            assert_eq!(meant(name), None, "{name}");
        }
    }
}
