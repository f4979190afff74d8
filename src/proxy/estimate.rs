//! Tokens that nobody counted: estimates, by length. docs/usage-and-cost.md says how far off they are.

use std::sync::OnceLock;

use bytes::Bytes;
use memchr::{memchr, memmem};

use super::facts::{BYTES_PER_TOKEN, TOKENS_PER_MEDIUM, estimate_tokens};
use super::outgoing::Translation;
use crate::provider::cost::Tariff;
use crate::telemetry::record::Charge;
use crate::telemetry::traffic::ProviderCounters;
use crate::wire::ir::{Part, Response, Usage};

/// Fewer bytes of base64 are an id or a signature, and count as text.
const SMALLEST_MEDIUM: usize = 256;
/// What media in a request begin with: data URLs, and the members of Anthropic, Google and Converse.
const MEDIA: [&[u8]; 4] = [b";base64,", b"\"data\":\"", b"\"data\": \"", b"\"bytes\":\""];

/// The tokens of so many bytes of text.
pub fn text(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

/// The tokens of a request: of the conversation where it has been read, else of the document as it was sent.
pub fn request(body: &[u8], translation: &Translation) -> u64 {
    match translation {
        Translation::Generate(request) => estimate_tokens(request),
        Translation::None | Translation::Embed(_) | Translation::CountTokens | Translation::Rerank => document(body),
    }
}

/// The tokens of a request's JSON text, without reading it: media apart, every byte is text.
pub fn document(body: &[u8]) -> u64 {
    let (mut media, mut encoded) = (0, 0);
    for beginning in MEDIA {
        for at in memmem::find_iter(body, beginning) {
            let value = body.get(at + beginning.len()..).unwrap_or_default();
            let length = memchr(b'"', value).unwrap_or(value.len());
            // A data URL in a member `data` is found by its own beginning.
            if length >= SMALLEST_MEDIUM && !value.starts_with(b"data:") {
                media += 1;
                encoded += length;
            }
        }
    }
    text(body.len().saturating_sub(encoded)) + media * TOKENS_PER_MEDIUM
}

/// The tokens of an answer's text, thoughts and calls.
pub fn answer(answer: &Response) -> u64 {
    let length = |part: &Part| match part {
        Part::Text(text) | Part::Refusal(text) => text.text.len(),
        Part::Reasoning(reasoning) => reasoning.text.len(),
        Part::ToolCall(call) => call.name.len() + call.arguments.len(),
        Part::ToolResult(_) | Part::Media(_) | Part::Opaque(_) => 0,
    };
    text(answer.candidates.iter().flat_map(|candidate| &candidate.parts).map(length).sum())
}

/// A request that is on its way, and that its caller may leave before there is an answer: the upstream may have
/// read it by then, and charge for it.
pub struct Underway<'a, F: Fn() -> Tariff> {
    counters: &'a ProviderCounters,
    /// Asked only where the caller leaves.
    tariff: F,
    body: &'a Bytes,
    /// Where it is told.
    left: &'a Left,
    settled: bool,
}

/// What a request has taken that its caller left.
pub type Left = OnceLock<Charge>;

impl<'a, F: Fn() -> Tariff> Underway<'a, F> {
    pub fn begin(counters: &'a ProviderCounters, tariff: F, body: &'a Bytes, left: &'a Left) -> Underway<'a, F> {
        Underway { counters, tariff, body, left, settled: false }
    }

    /// There is an answer, or a failure: what it took is counted with it.
    pub fn settle(mut self) {
        self.settled = true;
    }
}

impl<F: Fn() -> Tariff> Drop for Underway<'_, F> {
    fn drop(&mut self) {
        if !self.settled {
            let usage = Usage { input: Some(document(self.body)), ..Usage::default() };
            let cost_usd = self.counters.estimated(&usage, &(self.tariff)());
            // A try is charged once, however often its request went out.
            let _ = self.left.set(Charge { usage, cost_usd });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_do_not_count_by_their_length() {
        let document = |content: String| document(format!(r#"{{"messages":[{content}]}}"#).as_bytes());
        let plain = document(String::new());
        assert_eq!(plain, 4);
        assert_eq!(document("x".repeat(400)), plain + 100);
        let data = "A".repeat(40_000);
        for content in [
            format!(r#"{{"url":"data:image/png;base64,{data}"}}"#),
            format!(r#"{{"data":"{data}"}}"#),
            format!(r#"{{"data":"data:audio/wav;base64,{data}"}}"#),
            format!(r#"{{"bytes":"{data}"}}"#),
        ] {
            let tokens = document(content.clone());
            assert!((1_000..1_020).contains(&tokens), "{tokens}");
            assert!((2_000..2_040).contains(&document(format!("{content},{content}"))));
        }
        // Short ones are text.
        assert_eq!(document(r#"{"data":"AAAA"}"#.to_owned()), plain + 4);
    }
}
