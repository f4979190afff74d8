//! What of an answer has no place in this surface, and is reported.

use super::told::Told;
use crate::wire::ir::{Finish, FinishReason, Opaque, Part, Response, Scope, Usage};
use crate::wire::loss::Losses;

/// The counts of usage that answers tell.
const SAID: &[&str] = &["input", "cache_read", "cache_write", "output"];

/// Reasons to stop that neither form has a word for.
const UNSAID: &[FinishReason] = &[FinishReason::Pause, FinishReason::Malformed];

const ONE_VALUE: &str = "the answer of a JSON function is one value";

/// Of a whole answer.
pub(super) fn of_answer(told: &Told, response: &Response, losses: &mut Losses) {
    losses.dropped_extra(Scope::Response, &response.ext);
    of_usage(&response.usage.unwrap_or_default(), losses);
    if response.candidates.len() > 1 {
        several(losses);
    }
    let Some(candidate) = response.candidates.first() else { return };
    losses.dropped_ext("choices.", &candidate.ext);
    candidate.finish.iter().for_each(|finish| of_finish(finish, losses));
    candidate.parts.iter().for_each(|part| of_part(told, part, losses));
    let is_value = |part: &&Part| matches!(part, Part::Text(_) | Part::Refusal(_) | Part::ToolCall(_));
    if told.json && candidate.parts.iter().filter(is_value).nth(1).is_some() {
        losses.dropped("content", format!("{ONE_VALUE}: the last"));
    }
}

fn of_part(told: &Told, part: &Part, losses: &mut Losses) {
    match part {
        Part::Text(text) | Part::Refusal(text) => losses.dropped_ext("content.", &text.ext),
        Part::Reasoning(thought) => {
            losses.dropped_ext("content.", &thought.ext);
            if told.json {
                thoughts_of_value(losses);
            }
        }
        Part::ToolCall(call) => {
            losses.dropped_ext("content.", &call.ext);
            if call.signature.is_some() {
                signature_of_call(losses);
            }
        }
        Part::Media(_) => of_media(losses),
        Part::Opaque(opaque) => of_opaque(opaque, losses),
        Part::ToolResult(_) => losses.dropped("content.tool_result", "answers of this surface carry no results"),
    }
}

/// Another answer than the first.
pub(super) fn several(losses: &mut Losses) {
    losses.dropped("choices", "TensorZero has one answer; the first is given");
}

pub(super) fn of_usage(usage: &Usage, losses: &mut Losses) {
    losses.dropped_counts(usage, SAID);
}

pub(super) fn of_finish(finish: &Finish, losses: &mut Losses) {
    losses.dropped_stop_sequence(finish);
    losses.degraded_finish(finish, UNSAID);
}

/// Thoughts before the value of a JSON function.
pub(super) fn thoughts_of_value(losses: &mut Losses) {
    losses.dropped("content.reasoning", ONE_VALUE);
}

pub(super) fn signature_of_call(losses: &mut Losses) {
    losses.dropped("content.signature", "TensorZero's calls have no member for a proof");
}

pub(super) fn of_media(losses: &mut Losses) {
    losses.dropped("content.media", "answers of this surface carry no media");
}

/// What only the provider whose word it is understands.
pub(super) fn of_opaque(opaque: &Opaque, losses: &mut Losses) {
    losses.dropped_part("content", &opaque.raw, "only the provider whose word it is understands this part");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ir::{Candidate, Reasoning, Signature, Text};
    use crate::wire::json::Ext;
    use crate::wire::tensorzero::{Face, answer};
    use crate::wire::{Answering, ProtocolId};

    fn response(parts: Vec<Part>) -> Response {
        let finish = Finish { stop_sequence: Some("END".to_owned()), ..Finish::new(FinishReason::Pause) };
        Response {
            origin: ProtocolId::AnthropicMessages,
            id: None,
            model: None,
            created: None,
            candidates: vec![Candidate { parts, finish: Some(finish), ext: Ext::default() }; 2],
            usage: Some(Usage { input: Some(1), reasoning: Some(2), ..Usage::default() }),
            ext: Ext::default(),
        }
    }

    /// The answer in a form, and what it reports.
    fn told(face: Face, json: bool, parts: Vec<Part>) -> (String, String) {
        let told = Told { json, provider_type: "anthropic", ..Told::unnamed("m") };
        let (mut out, mut losses) = (Vec::new(), Losses::default());
        let request = super::super::params::empty(String::new(), false);
        let answering = Answering { request: &request, id: None, previous: None, now: 0, told: None, raw: None };
        match face {
            Face::Native => answer::native(&told, &answering, &response(parts), &mut out, &mut losses),
            Face::Chat | Face::Embeddings => answer::chat(&told, &response(parts), None, &mut out, &mut losses),
        }
        (String::from_utf8(out).unwrap(), losses.to_string())
    }

    fn parts() -> Vec<Part> {
        let proof = Signature { issuer: ProtocolId::AnthropicMessages, value: "SEALED".to_owned() };
        let hidden = Part::Reasoning(Reasoning { redacted: Some(proof), ..Reasoning::default() });
        vec![hidden, Part::Text(Text::new("a")), Part::Text(Text::new("b"))]
    }

    #[test]
    fn what_is_encrypted_whole_is_a_thought_of_nothing_but_its_proof() {
        let common = "choices=dropped, stop_sequence=dropped, finish_reason=degraded";
        let (native, losses) = told(Face::Native, false, parts());
        let block = r#"{"type":"thought","signature":"SEALED","provider_type":"anthropic"}"#;
        assert!(native.contains(block), "{native}");
        assert_eq!(losses, format!("usage.reasoning=dropped, {common}"));
        let (chat, losses) = told(Face::Chat, false, parts());
        let block = r#"{"type":"thought","insert_index":0,"signature":"SEALED","provider_type":"anthropic"}"#;
        assert!(chat.contains(block), "{chat}");
        assert_eq!(losses, format!("usage.reasoning=dropped, {common}"));
    }

    #[test]
    fn a_json_function_has_a_place_for_one_value() {
        for face in [Face::Native, Face::Chat] {
            let (answer, losses) = told(face, true, parts());
            assert!(answer.contains(r#""b""#) && !answer.contains("SEALED"), "{answer}");
            assert!(losses.ends_with("content.reasoning=dropped, content=dropped"), "{losses}");
        }
    }
}
