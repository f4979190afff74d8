//! What must survive a translation: the words, the calls, the results, the tools, and the numbers.

use routeplane::wire::ProtocolId;
use routeplane::wire::ir::{Candidate, Event, FinishReason, Part, Request, Response, Role, ToolKind, Usage};
use routeplane::wire::loss::Losses;
use serde_json::Value;

/// An answer, as far as every protocol can tell it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AnswerGist {
    /// Text and refusal: not every protocol keeps them apart.
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<(String, Value)>,
    pub(crate) finish: Option<&'static str>,
    pub(crate) usage: Option<(u64, u64)>,
}

pub(crate) fn answer(response: &Response) -> Vec<AnswerGist> {
    let usage = response.usage.map(|usage| (usage.input.unwrap_or(0), usage.output.unwrap_or(0)));
    response.candidates.iter().map(|candidate| candidate_gist(candidate, usage)).collect()
}

fn candidate_gist(candidate: &Candidate, usage: Option<(u64, u64)>) -> AnswerGist {
    let mut gist = AnswerGist {
        text: String::new(),
        reasoning: String::new(),
        calls: Vec::new(),
        finish: candidate.finish.as_ref().map(|finish| class(finish.reason)),
        usage,
    };
    for part in &candidate.parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => gist.text.push_str(&text.text),
            Part::Reasoning(reasoning) => gist.reasoning.push_str(&reasoning.text),
            Part::ToolCall(call) => gist.calls.push((call.name.clone(), json(&call.arguments))),
            Part::Media(_) | Part::ToolResult(_) | Part::Opaque(_) => {}
        }
    }
    gist
}

/// Reasons that some protocol has one word for.
fn class(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::Pause
        | FinishReason::Malformed
        | FinishReason::Other => "stop",
        FinishReason::ToolCalls => "calls",
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::ContentFilter | FinishReason::Refusal => "filter",
    }
}

/// Arguments as a value: no protocol but OpenAI's keeps their white space, and none at all is an empty object. Protocols
/// that take only objects wrap what is none (`_raw`).
pub(crate) fn json(text: &str) -> Value {
    let text = if text.trim().is_empty() { "{}" } else { text };
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) if object.len() == 1 && object.contains_key("_raw") => {
            Value::String(object["_raw"].as_str().unwrap_or_default().trim().to_owned())
        }
        Ok(Value::Null) => Value::Object(serde_json::Map::new()),
        Ok(value) => value,
        Err(_) => Value::String(text.trim().to_owned()),
    }
}

/// A request, as far as every protocol can ask it.
#[derive(Debug, Default)]
pub(crate) struct RequestGist {
    /// Every text, in order; white space left out, because joints of texts differ.
    pub(crate) texts: Vec<String>,
    pub(crate) calls: Vec<(String, Value)>,
    pub(crate) results: Vec<String>,
    pub(crate) tools: Vec<(String, Value)>,
    pub(crate) sampling: Vec<(&'static str, String)>,
}

pub(crate) fn request(request: &Request) -> RequestGist {
    let mut gist = RequestGist::default();
    for message in &request.messages {
        for part in &message.parts {
            match part {
                Part::Text(text) => gist.texts.push(squeezed(&text.text)),
                Part::ToolCall(call) => gist.calls.push((call.name.clone(), json(&call.arguments))),
                Part::ToolResult(result) => gist.results.push(result_text(&result.content)),
                // The model's words in its history are no one's to lose, but its refusals and thoughts may stay behind.
                Part::Refusal(_) | Part::Reasoning(_) | Part::Media(_) | Part::Opaque(_) => {}
            }
        }
    }
    for tool in request.tools.iter().flatten() {
        if let ToolKind::Function { name, parameters, .. } = &tool.kind {
            let schema = parameters.as_ref().map_or(Value::Null, |raw| json(raw.get()));
            gist.tools.push((name.clone(), schema));
        }
        // A freeform tool of Chat Completions, which has no schema.
        if let ToolKind::Opaque { origin: ProtocolId::OpenAiChat, name, raw } = &tool.kind
            && json(raw.get())["type"] == "custom"
        {
            gist.tools.push((name.clone(), Value::Null));
        }
    }
    let sampling = &request.sampling;
    let mut number = |name, value: Option<String>| gist.sampling.extend(value.map(|value| (name, value)));
    number("temperature", sampling.temperature.as_ref().map(ToString::to_string));
    number("top_p", sampling.top_p.as_ref().map(ToString::to_string));
    number("max_tokens", sampling.max_tokens.map(|limit| limit.value.to_string()));
    number("stop", sampling.stop.as_ref().map(|stop| stop.join("\u{0}")));
    number("seed", sampling.seed.as_ref().map(ToString::to_string));
    gist
}

fn result_text(content: &[Part]) -> String {
    let texts =
        content.iter().filter_map(|part| if let Part::Text(text) = part { Some(squeezed(&text.text)) } else { None });
    texts.collect()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Everything that `before` says is in `after`, but for what `losses` names.
pub(crate) fn assert_kept(before: &RequestGist, after: &RequestGist, losses: &Losses, case: &str) {
    let lost = |word: &str| losses.iter().any(|loss| loss.field.contains(word));
    let said = after.texts.concat() + &after.results.concat();
    for text in &before.texts {
        assert!(said.contains(text), "{case}: the text `{text}` is gone; losses: {losses}");
    }
    assert_eq!(after.calls, before.calls, "{case}: calls; losses: {losses}");
    assert_eq!(after.results.len(), before.results.len(), "{case}: results");
    for (result, kept) in before.results.iter().zip(&after.results) {
        // A result may be wrapped (`{"output": ...}`) or marked (`Error: `).
        assert!(unquoted(kept).contains(&unquoted(result)), "{case}: the result `{result}` became `{kept}`");
    }
    // A choice among some of the tools may be made by leaving out the others.
    if lost("tool_choice") {
        // Converse demands that the tools of a history be declared, be they offered or not.
        let called = |name: &str| before.calls.iter().any(|(called, _)| called == name);
        let known = |name: &&str| names(before).contains(name) || called(name);
        assert!(names(after).iter().all(known), "{case}: tools; losses: {losses}");
    } else if !lost("tools") {
        assert_eq!(names(after), names(before), "{case}: tools; losses: {losses}");
        for ((name, schema), (_, kept)) in before.tools.iter().zip(&after.tools) {
            // A protocol that requires a schema gives a tool without one an empty object's.
            assert!(schema.is_null() || schema == kept, "{case}: the schema of `{name}` became {kept}");
        }
    }
    for (name, value) in &before.sampling {
        let kept = after.sampling.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        assert!(kept == Some(value) || lost(name), "{case}: `{name}` was {value}, became {kept:?}; losses: {losses}");
    }
}

fn names(gist: &RequestGist) -> Vec<&str> {
    gist.tools.iter().map(|(name, _)| name.as_str()).collect()
}

fn unquoted(text: &str) -> String {
    text.replace(['\\', '"'], "")
}

/// Reasoning, calls and finish as `after` should have them; reasoning only where it is carried.
pub(crate) fn assert_same_answer(before: &[AnswerGist], after: &[AnswerGist], case: &str) {
    assert_eq!(after.len(), before.len(), "{case}: answers");
    for (before, after) in before.iter().zip(after) {
        assert_eq!(after.text, before.text, "{case}: text");
        assert_eq!(after.reasoning, before.reasoning, "{case}: reasoning");
        assert_eq!(after.calls, before.calls, "{case}: calls");
        assert_eq!(after.finish, before.finish, "{case}: finish");
        assert_eq!(after.usage.unwrap_or((0, 0)), before.usage.unwrap_or((0, 0)), "{case}: usage");
    }
}

/// The last usage that a stream told.
pub(crate) fn last_usage(events: &[Event]) -> Option<Usage> {
    events.iter().rev().find_map(|event| if let Event::Usage(usage) = event { Some(*usage) } else { None })
}

/// Whether anything but the user and the model speaks.
pub(crate) fn has_system(request: &Request) -> bool {
    request.messages.iter().any(|message| matches!(message.role, Role::System | Role::Developer))
}
