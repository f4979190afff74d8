//! Whole answers: `GenerateContentResponse`.

use serde_json::value::RawValue;

use super::grounding::{self, Grounds};
use super::{error, finish, member, names, note, part, usage};
use crate::wire::ProtocolId;
use crate::wire::ir::{
    Candidate, Error, ErrorKind, Finish, FinishReason, Part, Reasoning, Response, Scope, ToolCall, Usage, citation,
};
use crate::wire::json::{self, Ext, Object, ObjectWriter};
use crate::wire::loss::Losses;

/// Prefix of the members of `content` that nobody modelled.
const CONTENT: &str = "content.";

/// Reads an answer.
///
/// # Errors
/// A body that is no answer of this protocol, or an error under HTTP 200.
pub(super) fn decode(body: &[u8]) -> Result<Response, Error> {
    let foreign = |error: Error| Error { kind: ErrorKind::Upstream, status: ErrorKind::Upstream.status(), ..error };
    let mut object = Object::parse(member::text(body).map_err(foreign)?).map_err(|error| foreign(error.into()))?;
    if object.get("error").is_some() {
        return Err(error::decode(ErrorKind::Upstream.status(), body));
    }
    decode_object(&mut object).map_err(foreign)
}

fn decode_object(object: &mut Object<'_>) -> Result<Response, Error> {
    let id = object.string("responseId")?;
    let model = object.string("modelVersion")?;
    let created = created(object);
    let mut candidates = Vec::new();
    for candidate in object.array("candidates")?.unwrap_or_default() {
        candidates.push(decode_candidate(Object::of(candidate)?)?);
    }
    let mut kept = Ext::default();
    let usage = object.take("usageMetadata").map(|raw| usage::decode(raw, &mut kept));
    // Metadata without counts (Vertex's `trafficType` alone) say nothing of usage.
    let usage = usage.filter(|usage| *usage != Usage::default());
    if candidates.is_empty()
        && let Some(reason) = block_reason(object.get("promptFeedback"))
    {
        let finish = Some(finish::blocked(&reason));
        candidates.push(Candidate { parts: Vec::new(), finish, ext: Ext::default() });
    }
    let mut ext = std::mem::replace(object, Object::parse("{}")?).rest();
    ext.0.extend(kept.0);
    Ok(Response { origin: ProtocolId::Gemini, id, model, created, candidates, usage, ext })
}

/// When Vertex began the answer, in seconds since 1970. The text stays: it is finer.
pub(super) fn created(answer: &Object<'_>) -> Option<u64> {
    answer.get("createTime").and_then(json::str_of).and_then(|text| member::seconds(&text))
}

/// Why a prompt was refused, where it was. (A number, where the query asked for numbers, has no word here.)
pub(super) fn block_reason(feedback: Option<&RawValue>) -> Option<String> {
    let feedback = Object::of(feedback?).ok()?;
    let reason = feedback.get("blockReason").filter(|reason| reason.get() != "null")?;
    Some(json::str_of(reason).map_or_else(|| "SAFETY".to_owned(), std::borrow::Cow::into_owned))
}

fn decode_candidate(mut candidate: Object<'_>) -> Result<Candidate, Error> {
    candidate.take("index");
    let mut parts = Vec::new();
    let mut kept = Ext::default();
    if let Some(mut content) = candidate.object("content")? {
        content.take("role");
        for part in content.array("parts")?.unwrap_or_default() {
            parts.push(part::decode(part)?);
        }
        note::keep(&mut kept, CONTENT, content, false);
    }
    let called = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let word = candidate.take("finishReason").and_then(finish::word);
    let finish = word.map(|word| finish::decode(&word, called));
    let mut ext = candidate.rest();
    ext.0.extend(kept.0);
    cite(&mut parts, &mut ext);
    Ok(Candidate { parts, finish, ext })
}

/// Gives the texts what they rest on.
fn cite(parts: &mut [Part], ext: &mut Ext) {
    let mut sources = grounding::take(ext);
    let mut left = parts.iter().filter(|part| matches!(part, Part::Text(_))).count();
    let mut before = 0;
    for part in parts {
        let Part::Text(text) = part else { continue };
        left -= 1;
        text.ext.0.extend(citation::note(&grounding::of_text(&mut sources, &text.text, before, left == 0)));
        before += text.text.len();
    }
    if !sources.is_empty() {
        ext.replace(&grounding::of_no_text());
    }
}

/// Writes an answer.
pub(super) fn encode(response: &Response, out: &mut Vec<u8>, losses: &mut Losses) {
    let native = response.origin == ProtocolId::Gemini;
    let none = Ext::default();
    let ext = if native { &response.ext } else { &none };
    json::object(out, |w| {
        if !(native && is_blocked(response)) {
            w.array("candidates", response.candidates.iter().enumerate(), |(index, candidate), out| {
                json::object(out, |w| encode_candidate(index, candidate, native, w, losses));
            });
        }
        usage::encode(w, response.usage.as_ref(), ext);
        w.optional("modelVersion", &response.model);
        w.optional("responseId", &response.id);
        note::write_top(w, ext, &[usage::USAGE]);
    });
    if !native {
        losses.dropped_extra(Scope::Response, &response.ext);
        losses.dropped_counts(&response.usage.unwrap_or_default(), usage::SAID);
    }
}

/// Whether the only candidate stands for a blocked prompt, which Gemini answers without candidates.
fn is_blocked(response: &Response) -> bool {
    let stands_for_block = |candidate: &Candidate| {
        let filtered = |finish: &Finish| finish.reason == FinishReason::ContentFilter;
        candidate.parts.is_empty() && candidate.ext.is_empty() && candidate.finish.as_ref().is_some_and(filtered)
    };
    block_reason(response.ext.get("promptFeedback")).is_some() && response.candidates.iter().all(stands_for_block)
}

fn encode_candidate(index: usize, candidate: &Candidate, native: bool, w: &mut ObjectWriter<'_>, losses: &mut Losses) {
    let mut grounds = Grounds::default();
    w.object("content", |w| {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for part in &candidate.parts {
            if let Part::Text(text) = part
                && !native
            {
                grounds.add(&citation::of(&text.ext), &text.text, parts.len(), 0, losses);
            }
            parts.extend(encode_part(part, native, losses));
        }
        if !parts.is_empty() {
            w.array("parts", parts, |part, out| out.extend_from_slice(&part));
        }
        w.field("role", "model");
        if native {
            note::write_under(w, &candidate.ext, CONTENT, &[]);
        }
    });
    w.optional("finishReason", &candidate.finish.as_ref().map(finish::encode));
    w.field("index", &index);
    if native {
        grounding::write_kept(&candidate.ext, &[CONTENT], w);
    } else {
        grounds.write(w);
        losses.dropped_ext("choices.", &candidate.ext);
        if let Some(finish) = &candidate.finish {
            losses.dropped_stop_sequence(finish);
            losses.degraded_finish(finish, finish::UNSAID);
        }
    }
}

/// Writes a part of an answer, `None` where nothing of it can be said in Gemini's words. The answer's origin is `native`
/// where it is Gemini.
pub(super) fn encode_part(part: &Part, native: bool, losses: &mut Losses) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match part {
        Part::Opaque(opaque) if opaque.origin == ProtocolId::Gemini => {
            out.extend_from_slice(opaque.raw.get().as_bytes());
        }
        Part::Opaque(opaque) => {
            losses.dropped_part("content", &opaque.raw, "a part that only its own protocol knows");
            return None;
        }
        Part::ToolCall(call) => encode_call(call, native, losses, &mut out),
        Part::Reasoning(thought) if thought.redacted.is_some() => {
            losses.dropped("reasoning.redacted", "encrypted thoughts are of use only to their issuer");
            return None;
        }
        Part::Reasoning(thought) if !native => {
            losses.dropped_ext("content.", &thought.ext);
            let own = thought.signature.clone().filter(|signature| signature.issuer == ProtocolId::Gemini);
            if own.is_none() && thought.signature.is_some() {
                losses.dropped("reasoning.signature", "a signature of another issuer");
            }
            let plain = Reasoning { signature: own, ext: Ext::default(), ..thought.clone() };
            part::encode_reasoning(&plain, &mut out);
        }
        Part::Text(text) | Part::Refusal(text) if !native => {
            if matches!(part, Part::Refusal(_)) {
                losses.emulated("refusal", "a refusal is given as text");
            }
            losses.dropped_but_citations("content.", &text.ext);
            json::object(&mut out, |w| w.field("text", &text.text));
        }
        Part::Media(media) if !native => {
            losses.dropped_ext("content.", &media.ext);
            let plain = crate::wire::ir::Media { ext: Ext::default(), ..media.clone() };
            part::encode_media(&plain, &mut out);
        }
        Part::Text(_) | Part::Refusal(_) | Part::Media(_) | Part::Reasoning(_) | Part::ToolResult(_) => {
            part::encode_native(part, &mut out).ok()?;
        }
    }
    Some(out)
}

/// Writes a call. A foreign id is written too: Gemini's clients send it back with the result. A name that does not fit
/// stays as it is, since the caller chose it.
fn encode_call(call: &ToolCall, native: bool, losses: &mut Losses, out: &mut Vec<u8>) {
    if matches!(part::arguments(&call.arguments), std::borrow::Cow::Owned(_)) {
        losses.degraded("tool_calls.arguments", "the arguments are no JSON object and are given as `_raw`");
    }
    let name = names::encode(&call.name).unwrap_or(std::borrow::Cow::Borrowed(&call.name));
    let own = call.signature.as_ref().filter(|signature| signature.issuer == ProtocolId::Gemini);
    let signature = own.map(|signature| signature.value.as_str());
    if native {
        part::encode_call(call, &name, signature, out);
    } else {
        losses.dropped_ext("content.", &call.ext);
        part::encode_call(&ToolCall { ext: Ext::default(), ..call.clone() }, &name, signature, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> (Response, serde_json::Value) {
        let response = decode(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        encode(&response, &mut out, &mut Losses::default());
        (response, serde_json::from_slice(&out).unwrap())
    }

    #[test]
    fn members_nobody_modelled_come_back() {
        let text = r#"{"candidates":[{"content":{"parts":[{"text":"hi"},{"executableCode":{"code":"1"}}],"role":"model","x":1},
            "finishReason":"STOP","index":0,"groundingMetadata":{"webSearchQueries":["q"]},"safetyRatings":[]}],
            "usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2,"trafficType":"ON_DEMAND"},
            "modelVersion":"m","responseId":"r","createTime":"t"}"#;
        assert_eq!(round(text).1, serde_json::from_str::<serde_json::Value>(text).unwrap());
    }

    #[test]
    fn a_stop_with_calls_is_a_call() {
        let (response, written) = round(
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP"}]}"#,
        );
        assert_eq!(response.candidates[0].finish.as_ref().unwrap().reason, FinishReason::ToolCalls);
        assert_eq!(written["candidates"][0]["finishReason"], "STOP");
    }

    #[test]
    fn a_blocked_prompt_is_a_filtered_answer() {
        let text = r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":7,"totalTokenCount":7}}"#;
        let (response, written) = round(text);
        assert_eq!(response.candidates[0].finish.as_ref().unwrap().reason, FinishReason::ContentFilter);
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(text).unwrap());
    }

    #[test]
    fn an_error_under_200_is_an_error() {
        let error = decode(br#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Overloaded, "busy"));
        assert_eq!(decode(b"<html>").unwrap_err().kind, ErrorKind::Upstream);
    }

    #[test]
    fn a_foreign_answer_says_what_gemini_can_say() {
        let call = ToolCall {
            id: Some("call_1".into()),
            name: "files/read".into(),
            arguments: r#"{"path":"#.into(),
            signature: None,
            ext: Ext::default(),
        };
        let response = Response {
            origin: ProtocolId::OpenAiChat,
            id: Some("chatcmpl-1".into()),
            model: Some("gpt".into()),
            created: Some(1),
            candidates: vec![Candidate {
                parts: vec![Part::ToolCall(call)],
                finish: Some(Finish {
                    reason: FinishReason::ToolCalls,
                    raw: Some("tool_calls".into()),
                    stop_sequence: None,
                }),
                ext: Ext::default(),
            }],
            usage: None,
            ext: Ext(vec![("system_fingerprint".into(), json::raw("\"x\"").unwrap())]),
        };
        let (mut out, mut losses) = (Vec::new(), Losses::default());
        encode(&response, &mut out, &mut losses);
        let expected = concat!(
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"id":"call_1","name":"files_x2F_read","args":{"_raw":"{\"path\":"}}}],"#,
            r#""role":"model"},"finishReason":"STOP","index":0}],"modelVersion":"gpt","responseId":"chatcmpl-1"}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(losses.to_string(), "tool_calls.arguments=degraded, system_fingerprint=dropped");
    }
}
