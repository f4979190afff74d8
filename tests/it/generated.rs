//! The laws over values that nobody wrote: answers, streams and requests made by proptest, through every protocol.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use routeplane::wire::ir::{
    Candidate, Delta, Event, Finish, FinishReason, Part, PartKind, Reasoning, Response, Text, ToolCall, Usage, fold,
};
use routeplane::wire::json::Ext;
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Protocol, ProtocolId};
use serde_json::{Value, json};

use crate::laws::fixtures::{
    both_roles, destination, encode_stream, events, head, inbound, outbound, streaming_request,
};
use crate::laws::{gist, grammar};

/// A part of an answer: what it is, and its text.
fn part() -> impl Strategy<Value = (u8, String)> {
    (0..3_u8, "[a-z\"\\\\\n 漢é😀{}\\[\\]:,]{1,24}")
}

fn answer() -> impl Strategy<Value = Response> {
    let usage = (0..500_u64, 0..500_u64, 0..500_u64, 0..500_u64);
    (vec(part(), 1..6), usage, any::<bool>()).prop_map(|(parts, (fresh, cached, said, thought), cut)| {
        let parts: Vec<Part> = parts.into_iter().enumerate().map(|(at, (kind, text))| made(at, kind, text)).collect();
        let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        let reason = match (cut, calls) {
            (true, _) => FinishReason::Length,
            (false, true) => FinishReason::ToolCalls,
            (false, false) => FinishReason::Stop,
        };
        let usage = Usage {
            input: Some(fresh + cached),
            cache_read: Some(cached),
            output: Some(said + thought),
            reasoning: Some(thought),
            ..Usage::default()
        };
        let candidate = Candidate { parts, finish: Some(Finish::new(reason)), ext: Ext::default() };
        Response {
            origin: ProtocolId::Gemini,
            id: Some("answer-1".to_owned()),
            model: Some("model-1".to_owned()),
            created: Some(1_700_000_000),
            candidates: vec![candidate],
            usage: Some(usage),
            ext: Ext::default(),
        }
    })
}

fn made(at: usize, kind: u8, text: String) -> Part {
    match kind {
        0 => Part::Text(Text::new(text)),
        1 => Part::Reasoning(Reasoning { text, ..Reasoning::default() }),
        _ => Part::ToolCall(ToolCall {
            id: Some(format!("call_{at}")),
            name: format!("tool_{at}"),
            arguments: json!({ "text": text, "number": at }).to_string(),
            signature: None,
            ext: Ext::default(),
        }),
    }
}

/// The stream that tells `answer`, in pieces of so many characters.
fn told(answer: &Response, size: usize) -> Vec<Event> {
    let candidate = &answer.candidates[0];
    let (id, model) = (answer.id.clone(), answer.model.clone());
    let mut events = vec![Event::Start { id, model, created: answer.created }];
    for (index, part) in (0_u32..).zip(&candidate.parts) {
        let (kind, text) = match part {
            Part::Text(text) => (PartKind::Text, &text.text),
            Part::Reasoning(reasoning) => (PartKind::Reasoning, &reasoning.text),
            Part::ToolCall(call) => {
                (PartKind::ToolCall { id: call.id.clone(), name: call.name.clone() }, &call.arguments)
            }
            other => panic!("{other:?}"),
        };
        let is_call = matches!(kind, PartKind::ToolCall { .. });
        events.push(Event::PartStart { index, candidate: 0, kind });
        let characters: Vec<char> = text.chars().collect();
        for piece in characters.chunks(size) {
            let piece: String = piece.iter().collect();
            let delta = if is_call { Delta::Arguments(piece) } else { Delta::Text(piece) };
            events.push(Event::Delta { index, delta });
        }
        events.push(Event::PartEnd { index });
    }
    events.extend(answer.usage.map(Event::Usage));
    let finish = candidate.finish.clone().unwrap();
    events.push(Event::Finish { candidate: 0, finish });
    events
}

/// The answer as if another protocol had brought it than the target's.
fn foreign(answer: &Response, target: &'static dyn Protocol) -> Response {
    let origin = if target.id() == ProtocolId::Gemini { ProtocolId::AnthropicMessages } else { ProtocolId::Gemini };
    Response { origin, ..answer.clone() }
}

#[test]
fn answers_whole_and_streamed_say_the_same_in_every_protocol_however_the_bytes_are_cut() {
    let request = streaming_request();
    let config = ProptestConfig::with_cases(96);
    proptest!(config, |(answer in answer(), size in 1..9_usize, cuts in vec(any::<Index>(), 0..6))| {
        for target in both_roles() {
            let name = target.id().name();
            let (answer, mut out) = (foreign(&answer, target), Vec::new());
            inbound(target).encode_response(&answer, &mut out, &mut Losses::default());
            let whole = outbound(target).decode_response(&out, &Quirks::default()).unwrap();
            gist::assert_same_answer(&gist::answer(&answer), &gist::answer(&whole), name);

            let stream = encode_stream(target, &told(&answer, size), &request);
            grammar::check(target.id(), &stream, name);
            let read = events(target, &[&stream]);
            let folded = fold(target.id(), &read).unwrap();
            gist::assert_same_answer(&gist::answer(&answer), &gist::answer(&folded), name);
            gist::assert_same_answer(&gist::answer(&whole), &gist::answer(&folded), name);

            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(events(target, &pieces), read, "{}", name);
        }
    });
}

/// A request of Chat Completions: a system text, turns, tools, numbers.
fn asked() -> impl Strategy<Value = Value> {
    let text = "[a-z漢é😀\"\\\\]{1,16}";
    let numbers = (prop::option::of(0..100_u32), prop::option::of(0..100_u32), prop::option::of(1..9_000_u32));
    (prop::option::of(text), vec((text, text), 0..4), text, vec("[a-z][a-z0-9_]{0,12}", 0..4), numbers).prop_map(
        |(system, turns, last, tools, (temperature, top_p, limit))| {
            let mut messages: Vec<Value> =
                system.iter().map(|text| json!({ "role": "system", "content": text })).collect();
            for (said, answered) in turns {
                messages.push(json!({ "role": "user", "content": said }));
                messages.push(json!({ "role": "assistant", "content": answered }));
            }
            messages.push(json!({ "role": "user", "content": last }));
            let mut body = json!({ "model": "model-1", "messages": messages });
            let mut names = tools;
            names.sort_unstable();
            names.dedup();
            if !names.is_empty() {
                let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
                let tool =
                    |name: &String| json!({ "type": "function", "function": { "name": name, "parameters": schema } });
                body["tools"] = names.iter().map(tool).collect();
            }
            let mut number = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    body[key] = value;
                }
            };
            number("temperature", temperature.map(|value| json!(f64::from(value) / 100.0)));
            number("top_p", top_p.map(|value| json!(f64::from(value) / 100.0)));
            number("max_completion_tokens", limit.map(|value| json!(value)));
            body
        },
    )
}

#[test]
fn requests_keep_what_they_ask_in_every_protocol() {
    let config = ProptestConfig::with_cases(96);
    proptest!(config, |(body in asked())| {
        let chat = inbound(ProtocolId::OpenAiChat.codec().unwrap());
        let request = chat.decode_request(&head(false), body.to_string().as_bytes()).unwrap();
        let quirks = Quirks::default();
        let written = |target: &'static dyn Protocol, request: &_| {
            let (mut out, mut losses) = (Vec::new(), Losses::default());
            let to = destination("model-1", &quirks);
            outbound(target).encode_request(request, &to, &mut out, &mut losses).unwrap();
            (out, losses)
        };
        for target in both_roles() {
            let name = target.id().name();
            let (once, losses) = written(target, &request);
            let back = inbound(target).decode_request(&head(false), &once).unwrap();
            gist::assert_kept(&gist::request(&request), &gist::request(&back), &losses, name);
            // Written back in its own protocol it is the same document.
            let (twice, losses) = written(target, &back);
            prop_assert!(losses.is_empty(), "{}: {}", name, losses);
            let [once, twice]: [Value; 2] = [&once, &twice].map(|text| serde_json::from_slice(text).unwrap());
            prop_assert_eq!(twice, once, "{}", name);
        }
    });
}
