//! Calls in streams, over every pair of protocols: their arguments arrive whatever their length, wherever they are cut into
//! pieces, and where the limit of tokens ends them in the middle.

use routeplane::wire::ir::{Delta, Event, Finish, FinishReason, Part, PartKind, fold};
use routeplane::wire::{Protocol, ProtocolId};
use serde_json::{Value, json};

use super::fixtures::{both_roles, encode_stream, events, streaming_request};

fn call(pieces: &[String], reason: FinishReason) -> Vec<Event> {
    let kind = PartKind::ToolCall { id: Some("call_1".to_owned()), name: "f".to_owned() };
    let mut said = vec![
        Event::Start { id: Some("msg_1".to_owned()), model: Some("m".to_owned()), created: Some(1) },
        Event::PartStart { index: 0, candidate: 0, kind },
    ];
    said.extend(pieces.iter().map(|piece| Event::Delta { index: 0, delta: Delta::Arguments(piece.clone()) }));
    said.extend([Event::PartEnd { index: 0 }, Event::Finish { candidate: 0, finish: Finish::new(reason) }]);
    said
}

/// The arguments of the one call, and why the answer ended, as a caller of `to` reads what an upstream of `from` streams.
fn through(from: &'static dyn Protocol, to: &'static dyn Protocol, said: &[Event]) -> (String, FinishReason) {
    let request = streaming_request();
    let upstream = encode_stream(from, said, &request);
    let told = encode_stream(to, &events(from, &[&upstream]), &request);
    let mut answer = fold(to.id(), &events(to, &[&told])).unwrap();
    let candidate = answer.candidates.remove(0);
    let [Part::ToolCall(call)] = candidate.parts.as_slice() else { panic!("{:?}", candidate.parts) };
    assert_eq!(call.name, "f");
    (call.arguments.clone(), candidate.finish.unwrap().reason)
}

fn in_pieces(text: &str, characters: usize) -> Vec<String> {
    text.chars().collect::<Vec<char>>().chunks(characters).map(|piece| piece.iter().collect()).collect()
}

#[test]
fn arguments_of_any_size_survive_in_every_pair() {
    for (repeated, piece) in [(0, 1), (1, 1), (1, 1000), (100, 7), (100_000, 4096), (100_000, 1 << 20)] {
        let arguments = json!({ "text": "é\"\\\n😀{".repeat(repeated) }).to_string();
        let said = call(&in_pieces(&arguments, piece), FinishReason::ToolCalls);
        for from in both_roles() {
            for to in both_roles() {
                let (told, reason) = through(from, to, &said);
                // Not by `assert_eq`, whose message would be as long as they are.
                assert!(told == arguments, "{} to {}, {repeated} times by {piece}", from.id(), to.id());
                assert_eq!(reason, FinishReason::ToolCalls);
            }
        }
    }
}

/// What came of the arguments is told: the client sees that they are no JSON, and the reason says why. Gemini has no room for a
/// text that is no object, so there it is wrapped in one.
#[test]
fn a_call_that_the_limit_cuts_off_is_told_in_every_pair() {
    let arguments = r#"{"city":"Wien","days":[1,2]}"#;
    for length in 1..arguments.len() {
        let cut = &arguments[..length];
        let said = call(&in_pieces(cut, 3), FinishReason::Length);
        for from in both_roles() {
            for to in both_roles() {
                let (told, reason) = through(from, to, &said);
                let wrapped = [from, to].iter().any(|protocol| protocol.id() == ProtocolId::Gemini);
                let expected = if wrapped { json!({ "_raw": cut }) } else { Value::from(cut) };
                let told = if wrapped { serde_json::from_str(&told).unwrap() } else { Value::from(told) };
                assert_eq!((told, reason), (expected, FinishReason::Length), "{} to {}", from.id(), to.id());
            }
        }
    }
}
