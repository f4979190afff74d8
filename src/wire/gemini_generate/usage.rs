//! `usageMetadata`: Gemini's counts and the hub's.
//!
//! `promptTokenCount` includes what was cached, but not the prompts of server-side tools; `candidatesTokenCount` excludes
//! thoughts. Counts in a stream are cumulative.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::note;
use crate::wire::ir::Usage;
use crate::wire::ir::count::{Count, count};
use crate::wire::ir::usage::sum;
use crate::wire::json::{self, Ext, Object, ObjectWriter};

/// Prefix under which members of `usageMetadata` that nobody modelled are kept.
pub(super) const USAGE: &str = "usageMetadata.";
/// Counts of the hub that [`encode`] writes.
pub(super) const SAID: &[&str] = &[
    "input",
    "cache_read",
    "audio_input",
    "image_input",
    // Of its own answers.
    "tool_prompt",
    "output",
    "reasoning",
    "audio_output",
    "image_output",
];
/// The tool prompts' share of the input; kept so that `promptTokenCount` can be written back.
const TOOL_PROMPT: &str = "usageMetadata.toolUsePromptTokenCount";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Counts<'a> {
    prompt_token_count: Count,
    cached_content_token_count: Count,
    candidates_token_count: Count,
    thoughts_token_count: Count,
    tool_use_prompt_token_count: Count,
    #[serde(borrow)]
    prompt_tokens_details: Option<&'a RawValue>,
    #[serde(borrow)]
    candidates_tokens_details: Option<&'a RawValue>,
}

/// How many tokens are of one kind.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    /// `AUDIO`; a number where the query asked for `enum-encoding=int`.
    modality: serde_json::Value,
    token_count: Count,
}

/// How many tokens are sound, and how many images, where they are told apart and there are any.
fn kinds(details: Option<&RawValue>) -> [Option<u64>; 2] {
    let Some(details) = details.filter(|raw| raw.get().contains("AUDIO") || raw.get().contains("IMAGE")) else {
        return [None, None];
    };
    let details: Vec<Detail> = serde_json::from_str(details.get()).unwrap_or_default();
    ["AUDIO", "IMAGE"].map(|modality| {
        let counts = details.iter().filter(|detail| detail.modality == modality);
        Some(counts.filter_map(|detail| detail.token_count.0).sum()).filter(|sum| *sum > 0)
    })
}

impl Counts<'_> {
    fn usage(&self) -> Usage {
        let [audio_input, image_input] = kinds(self.prompt_tokens_details);
        let [audio_output, image_output] = kinds(self.candidates_tokens_details);
        Usage {
            input: sum(self.prompt_token_count.0, self.tool_use_prompt_token_count.0),
            cache_read: self.cached_content_token_count.0,
            output: sum(self.candidates_token_count.0, self.thoughts_token_count.0),
            reasoning: self.thoughts_token_count.0,
            tool_prompt: self.tool_use_prompt_token_count.0,
            audio_input,
            image_input,
            audio_output,
            image_output,
            ..Usage::default()
        }
    }
}

/// Reads `usageMetadata`; what the hub does not model is added to `ext`, and notes on counts that were left out. Counts that cannot be read are no counts.
pub(super) fn decode(raw: &RawValue, ext: &mut Ext) -> Usage {
    let usage = serde_json::from_str::<Counts<'_>>(raw.get()).unwrap_or_default().usage();
    let Ok(mut object) = Object::of(raw) else { return usage };
    for (key, value) in written(&usage, tool_prompt(object.get("toolUsePromptTokenCount"))) {
        match object.get(key) {
            Some(given) if given.get() == value.to_string() => drop(object.take(key)),
            Some(_) => {}
            None => note::add(ext, &format!("{USAGE}{key}.")),
        }
    }
    note::keep(ext, USAGE, object, false);
    usage
}

/// Writes `usageMetadata`, with the members in `ext` that came with it.
pub(super) fn encode(writer: &mut ObjectWriter<'_>, usage: Option<&Usage>, ext: &Ext) {
    if usage.is_none() && !note::any_under(ext, USAGE) {
        return;
    }
    let counts = usage.map(|usage| written(usage, tool_prompt(ext.get(TOOL_PROMPT)))).unwrap_or_default();
    writer.object("usageMetadata", |w| {
        for (key, value) in counts {
            let path = format!("{USAGE}{key}");
            let absent = note::has(ext, &format!("{path}."));
            if ext.get(&path).is_none() && !absent {
                w.field(key, &value);
            }
        }
        if let Some(usage) = usage {
            let [input, output] = ["promptTokensDetails", "candidatesTokensDetails"];
            write_kinds(w, input, [usage.audio_input, usage.image_input], ext);
            write_kinds(w, output, [usage.audio_output, usage.image_output], ext);
        }
        note::write_under(w, ext, USAGE, &[]);
    });
}

/// Writes how many tokens are sound and images, unless the upstream's own list is at hand.
fn write_kinds(writer: &mut ObjectWriter<'_>, key: &str, counts: [Option<u64>; 2], ext: &Ext) {
    if counts.iter().all(Option::is_none) || ext.get(&format!("{USAGE}{key}")).is_some() {
        return;
    }
    let told = ["AUDIO", "IMAGE"].into_iter().zip(counts).filter_map(|(modality, count)| Some((modality, count?)));
    writer.array(key, told, |(modality, count), out| {
        json::object(out, |detail| {
            detail.field("modality", modality);
            detail.field("tokenCount", &count);
        });
    });
}

fn tool_prompt(raw: Option<&RawValue>) -> Option<u64> {
    raw.and_then(count)
}

/// The members that say what `usage` says.
fn written(usage: &Usage, tool_prompt: Option<u64>) -> Vec<(&'static str, u64)> {
    let mut counts = Vec::with_capacity(5);
    let mut push = |key, value: Option<u64>| counts.extend(value.map(|value| (key, value)));
    push("promptTokenCount", usage.input.map(|input| input.saturating_sub(tool_prompt.unwrap_or(0))));
    push("cachedContentTokenCount", usage.cache_read);
    let said = usage.output.map(|output| output.saturating_sub(usage.reasoning.unwrap_or(0)));
    // Gemini leaves the count out where there are only thoughts.
    push("candidatesTokenCount", said.filter(|&said| said > 0 || usage.reasoning.is_none()));
    push("thoughtsTokenCount", usage.reasoning);
    push("totalTokenCount", usage.total());
    counts
}

/// The last usage in a body or a frame, found without reading the rest. Within a JSON string the quotes of the name would
/// be escaped, so only a member is found.
pub(super) fn find(body: &[u8]) -> Option<Usage> {
    const NAME: &[u8] = b"\"usageMetadata\"";
    let at = memmem::rfind(body, NAME)? + NAME.len();
    let rest = body.get(at..)?;
    let colon = rest.iter().position(|&byte| byte == b':')? + 1;
    let mut deserializer = serde_json::Deserializer::from_slice(rest.get(colon..)?);
    let usage = Counts::deserialize(&mut deserializer).ok()?.usage();
    (usage != Usage::default()).then_some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> (Usage, String) {
        let mut ext = Ext::default();
        let usage = decode(&json::raw(text).unwrap(), &mut ext);
        let mut out = Vec::new();
        json::object(&mut out, |w| encode(w, Some(&usage), &ext));
        (usage, String::from_utf8(out).unwrap())
    }

    fn same(text: &str) -> Usage {
        let (usage, written) = round(text);
        let written: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(written["usageMetadata"], serde_json::from_str::<serde_json::Value>(text).unwrap());
        usage
    }

    #[test]
    fn thoughts_and_tool_prompts_count() {
        let usage = same(
            r#"{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":5,"thoughtsTokenCount":7,
                "toolUsePromptTokenCount":3,"totalTokenCount":25,"serviceTier":"standard","promptTokensDetails":[]}"#,
        );
        let expected = Usage {
            input: Some(13),
            cache_read: Some(4),
            tool_prompt: Some(3),
            output: Some(12),
            reasoning: Some(7),
            ..Usage::default()
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn sound_and_images_are_told_in_both_directions() {
        let text = r#"{"promptTokenCount":30,"candidatesTokenCount":9,"totalTokenCount":39,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":4},{"modality":"AUDIO","tokenCount":6},{"modality":"IMAGE","tokenCount":20}],
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":9},{"modality":"HOLOGRAM"}]}"#;
        let usage = same(text);
        assert_eq!((usage.audio_input, usage.image_input), (Some(6), Some(20)));
        assert_eq!((usage.audio_output, usage.image_output), (Some(9), None));
        // Of another protocol's answer only these kinds are known.
        let mut out = Vec::new();
        json::object(&mut out, |w| encode(w, Some(&usage), &Ext::default()));
        let written: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let again = decode(&json::raw(written["usageMetadata"].to_string()).unwrap(), &mut Ext::default());
        assert_eq!((again.audio_input, again.audio_output, again.output), (Some(6), Some(9), Some(9)));
    }

    #[test]
    fn odd_documents_come_back() {
        same(r#"{"promptTokenCount":10,"thoughtsTokenCount":7,"totalTokenCount":17}"#);
        same(r#"{"promptTokenCount":10,"candidatesTokenCount":0,"thoughtsTokenCount":7,"totalTokenCount":17}"#);
        same(r#"{"promptTokenCount":10,"candidatesTokenCount":2,"totalTokenCount":99}"#);
        same(r#"{"promptTokenCount":10,"candidatesTokenCount":2}"#);
        same(r#"{"trafficType":"ON_DEMAND"}"#);
    }

    #[test]
    fn usage_is_found_without_a_tree() {
        let body = br#"{"candidates":[{"content":{"parts":[{"text":"\"usageMetadata\": {\"promptTokenCount\":1}"}]}}],
            "usageMetadata" : {"promptTokenCount":8,"candidatesTokenCount":2},"responseId":"r"}"#;
        let usage = find(body).unwrap();
        assert_eq!((usage.input, usage.output), (Some(8), Some(2)));
        assert_eq!(find(b"{}"), None);
        assert_eq!(find(br#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#), None);
    }
}
