//! What a caller gets of a translated answer, whole and streamed: one answer with everything in it, in each caller's words.

use routeplane::wire::ir::{
    Candidate, Delta, Event, Finish, FinishReason, Media, MediaKind, MediaSource, Part, PartKind, Reasoning, Response,
    Signature, Text, ToolCall, Usage,
};
use routeplane::wire::json::Ext;
use routeplane::wire::loss::Losses;
use routeplane::wire::{CALLERS_ONLY, Protocol, ProtocolId};

use crate::laws::fixtures::{head, inbound, streaming_request};

/// What an answer may hold, and the text by which it is found.
pub(super) const HELD: [(&str, &str); 10] = [
    ("text", "MARK-TEXT"),
    ("parallel calls", "mark_second_call"),
    ("arguments of calls", "MARK-ARGUMENT"),
    ("reasoning", "MARK-THOUGHT"),
    ("proof of reasoning", "TUFSS1NJRw=="),
    ("refusal", "MARK-REFUSAL"),
    ("image", "TUFSSw=="),
    ("cached input in the usage", "4242"),
    ("the stop text that was met", "MARK-STOP"),
    ("a second answer", "MARK-OTHER"),
];

fn parts(issuer: ProtocolId) -> Vec<Part> {
    let call = |name: &str| {
        Part::ToolCall(ToolCall {
            id: Some(format!("call_{name}")),
            name: name.to_owned(),
            arguments: r#"{"a":"MARK-ARGUMENT"}"#.to_owned(),
            signature: None,
            ext: Ext::default(),
        })
    };
    let source = MediaSource::Base64 { media_type: "image/png".to_owned(), data: "TUFSSw==".to_owned() };
    vec![
        Part::Reasoning(Reasoning {
            text: "MARK-THOUGHT".to_owned(),
            signature: Some(Signature { issuer, value: "TUFSS1NJRw==".to_owned() }),
            ..Reasoning::default()
        }),
        Part::Text(Text::new("MARK-TEXT")),
        Part::Refusal(Text::new("MARK-REFUSAL")),
        Part::Media(Media { kind: MediaKind::Image, source, detail: None, name: None, ext: Ext::default() }),
        call("mark_first_call"),
        call("mark_second_call"),
    ]
}

/// An answer with everything in it, as if it came from an upstream of `origin`.
fn answer(origin: ProtocolId) -> Response {
    let finish = Finish { stop_sequence: Some("MARK-STOP".to_owned()), ..Finish::new(FinishReason::StopSequence) };
    let candidate = |parts| Candidate { parts, finish: Some(finish.clone()), ext: Ext::default() };
    Response {
        origin,
        id: Some("id".to_owned()),
        model: Some("m".to_owned()),
        created: None,
        candidates: vec![candidate(parts(origin)), candidate(vec![Part::Text(Text::new("MARK-OTHER"))])],
        usage: Some(Usage { input: Some(5000), cache_read: Some(4242), output: Some(7), ..Usage::default() }),
        ext: Ext::default(),
    }
}

fn stream(answer: &Response) -> Vec<Event> {
    let mut events = vec![Event::Start { id: answer.id.clone(), model: answer.model.clone(), created: answer.created }];
    let mut index = 0;
    for (candidate, said) in (0..).zip(&answer.candidates) {
        for part in &said.parts {
            let (kind, deltas) = pieces(part);
            events.push(Event::PartStart { index, candidate, kind });
            events.extend(deltas.into_iter().map(|delta| Event::Delta { index, delta }));
            events.push(Event::PartEnd { index });
            index += 1;
        }
    }
    events.extend(answer.usage.map(Event::Usage));
    for (candidate, said) in (0..).zip(&answer.candidates) {
        events.extend(said.finish.clone().map(|finish| Event::Finish { candidate, finish }));
    }
    events
}

fn pieces(part: &Part) -> (PartKind, Vec<Delta>) {
    match part {
        Part::Text(text) => (PartKind::Text, vec![Delta::Text(text.text.clone())]),
        Part::Refusal(text) => (PartKind::Refusal, vec![Delta::Text(text.text.clone())]),
        Part::Reasoning(thought) => {
            let proof = thought.signature.clone().map(Delta::Signature);
            (PartKind::Reasoning, std::iter::once(Delta::Text(thought.text.clone())).chain(proof).collect())
        }
        Part::ToolCall(call) => (
            PartKind::ToolCall { id: call.id.clone(), name: call.name.clone() },
            vec![Delta::Arguments(call.arguments.clone())],
        ),
        Part::Media(media) => (PartKind::Media(media.clone()), Vec::new()),
        Part::ToolResult(_) | Part::Opaque(_) => unreachable!("not in the answer of this test"),
    }
}

/// For each of [`HELD`], whether it is in the whole answer and in the stream that a caller gets. `origin` is none of the
/// caller's.
pub(super) fn arriving(caller: &'static dyn Protocol, origin: ProtocolId) -> Vec<(bool, bool)> {
    let answer = answer(origin);
    let (mut whole, mut losses) = (Vec::new(), Losses::default());
    inbound(caller).encode_response(&answer, &mut whole, &mut losses);
    let mut encoder = inbound(caller).stream_encoder(&head(true), &streaming_request());
    let mut streamed = Vec::new();
    stream(&answer).iter().for_each(|event| encoder.event(event, &mut streamed));
    encoder.finish(&mut streamed);
    let has = |text: &[u8], mark: &str| String::from_utf8_lossy(text).contains(mark);
    let found: Vec<(bool, bool)> = HELD.iter().map(|(_, mark)| (has(&whole, mark), has(&streamed, mark))).collect();
    let missing = |of: fn(&(bool, bool)) -> bool| found.iter().any(|held| !of(held));
    assert!(!missing(|held| held.0) || !losses.is_empty(), "{}: a whole answer lost something in silence", caller.id());
    assert!(
        !missing(|held| held.1) || !encoder.losses().is_empty(),
        "{}: a stream lost something in silence",
        caller.id()
    );
    found
}

#[test]
fn a_stream_carries_what_a_whole_answer_carries() {
    for caller in crate::laws::fixtures::both_roles().into_iter().chain(CALLERS_ONLY.iter().copied()) {
        for origin in ProtocolId::ALL.into_iter().filter(|origin| *origin != caller.id()) {
            for ((held, _), (whole, streamed)) in HELD.iter().zip(arriving(caller, origin)) {
                assert_eq!(whole, streamed, "{held} from {origin} to {}: whole, streamed", caller.id());
            }
        }
    }
}
