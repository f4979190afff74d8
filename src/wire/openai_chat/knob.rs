//! How much to think, in the member that the upstream has for it.
//!
//! Facts: OpenRouter "Reasoning tokens"; DeepSeek "Thinking mode"; Z.ai "Deep thinking"; Moonshot "Thinking models"; Alibaba Model
//! Studio "Deep thinking"; vLLM "Reasoning outputs".

use super::encode::Body;
use crate::wire::ProtocolId;
use crate::wire::ir::{ReasoningEffort, ReasoningRequest, Request};
use crate::wire::json;
use crate::wire::loss::Losses;
use crate::wire::quirk::ReasoningMember;

/// Writes the member. Callers of this protocol know what their upstream calls it.
pub(super) fn write(request: &Request, body: &mut Body<'_, '_, '_>) {
    let Some(reasoning) = &request.reasoning else { return };
    reasoning.report_unmodelled(body.losses);
    let own = request.origin == ProtocolId::OpenAiChat;
    let member = if own { ReasoningMember::ReasoningEffort } else { body.quirks.reasoning_member };
    if reasoning.include.is_some() && member != ReasoningMember::Reasoning {
        body.losses.dropped("reasoning.include", "the upstream decides what it shows of its thoughts");
    }
    match member {
        ReasoningMember::ReasoningEffort => effort(reasoning, own, body),
        ReasoningMember::Reasoning => openrouter(reasoning, body),
        ReasoningMember::Thinking => {
            if let Some(thinks) = switch(reasoning, body.losses) {
                let word = if thinks { "enabled" } else { "disabled" };
                body.write("thinking", |out| json::object(out, |thinking| thinking.field("type", word)));
            }
        }
        ReasoningMember::EnableThinking => tokens(reasoning, body),
        ReasoningMember::ChatTemplate => {
            if let Some(thinks) = switch(reasoning, body.losses) {
                body.write("chat_template_kwargs", |out| {
                    json::object(out, |arguments| arguments.field("enable_thinking", &thinks));
                });
            }
        }
    }
}

fn effort(reasoning: &ReasoningRequest, own: bool, body: &mut Body<'_, '_, '_>) {
    let words = "Chat Completions has words for the effort, not a number of tokens";
    let effort = reasoning.effort_in_words(words, body.losses);
    let Some(effort) = effort else { return };
    if body.quirks.no_reasoning_effort {
        body.losses.dropped("reasoning_effort", "this upstream refuses it");
    } else if effort == ReasoningEffort::None && !own {
        // Most models refuse the word, and those that do not reason refuse the member.
        body.losses.degraded("reasoning_effort", "thinking was turned off; the upstream's default stands");
    } else {
        body.field("reasoning_effort", effort.word());
    }
}

/// One of effort, tokens and a switch; whether thoughts are shown goes beside it.
fn openrouter(reasoning: &ReasoningRequest, body: &mut Body<'_, '_, '_>) {
    let word = match (reasoning.effort, reasoning.budget) {
        (Some(ReasoningEffort::Max), _) => {
            body.losses.degraded("reasoning_effort", "the greatest effort of this upstream is `xhigh`");
            Some("xhigh")
        }
        (Some(effort), _) => Some(effort.word()),
        (None, Some(0)) => Some("none"),
        (None, _) => None,
    };
    let hides = reasoning.include == Some(false);
    if word.is_none() && reasoning.budget.is_none() && !hides {
        return;
    }
    body.write("reasoning", |out| {
        json::object(out, |member| {
            match (word, reasoning.budget) {
                (Some(word), _) => member.field("effort", word),
                (None, Some(..0)) => member.field("enabled", &true),
                (None, Some(budget)) => member.field("max_tokens", &budget),
                (None, None) => {}
            }
            if hides {
                member.field("exclude", &true);
            }
        });
    });
}

/// Whether to think, for upstreams that can be told no more.
fn switch(reasoning: &ReasoningRequest, losses: &mut Losses) -> Option<bool> {
    const WHY: &str = "the upstream can only be told to think or not to";
    match (reasoning.effort, reasoning.budget) {
        (Some(ReasoningEffort::None), _) | (None, Some(0)) => Some(false),
        (Some(_), _) => {
            losses.degraded("reasoning_effort", WHY);
            Some(true)
        }
        (None, Some(budget)) => {
            if budget > 0 {
                losses.degraded("reasoning.budget", WHY);
            }
            Some(true)
        }
        (None, None) => None,
    }
}

/// A switch, and a number of tokens.
fn tokens(reasoning: &ReasoningRequest, body: &mut Body<'_, '_, '_>) {
    let budget = match (reasoning.effort, reasoning.budget) {
        (None, None) => return,
        (_, Some(budget)) if reasoning.effort != Some(ReasoningEffort::None) => u64::try_from(budget).ok(),
        (Some(effort), _) => {
            if effort != ReasoningEffort::None {
                body.losses
                    .degraded("reasoning_effort", "the upstream has a number of tokens, not words for the effort");
            }
            Some(effort.budget())
        }
        (None, Some(_)) => None,
    };
    body.field("enable_thinking", &(budget != Some(0)));
    body.optional("thinking_budget", &budget.filter(|budget| *budget > 0));
}
