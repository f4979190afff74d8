//! Streams through the pipe of every pair of protocols: cut anywhere, and with the usage that nobody but the gateway asked for.

use bytes::Bytes;
use routeplane::proxy::pipe::{Out, Pipe, Progress, Terms};
use routeplane::wire::ir::{ErrorKind, Event, fold};
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Protocol, ProtocolId};

use crate::laws::fixtures::{Case, both_roles, cases, events, head, inbound, outbound, streaming_request};

/// What became of a stream.
struct Outcome {
    /// Something was said before the end: the caller gets it, and no other target takes over.
    committed: bool,
    failed: Option<ErrorKind>,
    out: Vec<u8>,
}

/// The relay of a Chat Completions stream.
fn chat_relay(hides_usage: bool) -> Pipe {
    let chat = ProtocolId::OpenAiChat.codec().unwrap();
    Pipe::relay(inbound(chat), outbound(chat), Terms { hides_usage, ..Terms::default() })
}

/// `answers`: how many the stream holds.
fn pipe(from: &'static dyn Protocol, to: &'static dyn Protocol, answers: usize) -> Pipe {
    if from.id() == to.id() {
        return Pipe::relay(inbound(to), outbound(from), Terms { answers: answers as u64, ..Terms::default() });
    }
    let encoder = inbound(to).stream_encoder(&head(true), &streaming_request());
    let decoder = outbound(from).stream_decoder(&Quirks::default());
    Pipe::translate(inbound(to), outbound(from), &head(true), decoder, encoder)
}

fn run(mut pipe: Pipe, pieces: &[&[u8]]) -> Outcome {
    let mut out = Out::default();
    let mut committed = false;
    for piece in pieces {
        pipe.push(Bytes::copy_from_slice(piece), &mut out);
        committed |= matches!(pipe.progress(), Progress::Content | Progress::Complete);
    }
    let before = out.len();
    pipe.finish(&mut out);
    // Words of an event without its end count only if they were written.
    committed |= out.len() > before && !pipe.has_failed();
    let failed = match pipe.progress() {
        Progress::Failed(error) => Some(error.kind),
        Progress::Preamble | Progress::Content | Progress::Complete => None,
    };
    Outcome { committed, failed, out: out.take().to_vec() }
}

/// Where to cut: every byte of a short stream; of a long one the ends of lines, and three places within each.
fn cuts(stream: &[u8]) -> Vec<usize> {
    if stream.len() < 500 {
        return (0..stream.len()).collect();
    }
    let mut cuts = Vec::new();
    let mut start = 0;
    for line in stream.split_inclusive(|&byte| byte == b'\n') {
        cuts.extend([start + 1, start + line.len() / 2, start + line.len() - 1, start + line.len()]);
        start += line.len();
    }
    cuts.retain(|&cut| cut < stream.len());
    cuts.dedup();
    cuts
}

/// Every clean stream of the fixtures, and how many answers it holds.
fn streams() -> impl Iterator<Item = (Case, Vec<u8>, usize)> {
    cases().into_iter().filter_map(|case| {
        let stream = case.read("stream.sse")?;
        let answer = fold(case.protocol.id(), &events(case.protocol, &[&stream])).ok()?;
        Some((case, stream, answer.candidates.len()))
    })
}

#[test]
fn a_stream_that_is_cut_never_ends_cleanly_in_any_pair() {
    let (mut failed, mut whole) = (0, 0);
    for (case, stream, answers) in streams() {
        for to in both_roles() {
            for cut in cuts(&stream) {
                let name = format!("{} to {}, cut at byte {cut}", case.name(), to.id());
                let outcome = run(pipe(case.protocol, to, answers), &[&stream[..cut]]);
                if !outcome.committed {
                    assert!(outcome.failed.is_some(), "{name}: nothing was said, and that is an answer");
                    continue;
                }
                let heard = events(to, &[&outcome.out]);
                let errors = heard.iter().filter(|event| matches!(event, Event::Error(_))).count();
                let finishes = heard.iter().filter(|event| matches!(event, Event::Finish { .. })).count();
                let text = String::from_utf8_lossy(&outcome.out);
                if let Some(kind) = outcome.failed {
                    failed += 1;
                    assert!(matches!(heard.last(), Some(Event::Error(_))) && errors == 1, "{name}: {text}");
                    assert_eq!(kind, ErrorKind::Truncated, "{name}: {text}");
                } else if case.protocol.id() == to.id() {
                    // Nothing is added to what the upstream said, and that is all but the marker of its end.
                    whole += 1;
                    assert!(stream.starts_with(&outcome.out), "{name}: {text}");
                    let reason = [
                        "\"stop_reason\":\"",
                        "\"finish_reason\":\"",
                        "\"finishReason\"",
                        "\"blockReason\"",
                        "event: response.completed",
                        "event: response.incomplete",
                    ];
                    assert!(reason.iter().any(|reason| text.contains(reason)), "{name}: {text}");
                } else {
                    whole += 1;
                    assert!(finishes > 0 && errors == 0, "{name}: {text}");
                }
            }
        }
    }
    assert!(failed > 1000 && whole > 100, "{failed} cut, {whole} whole");
}

#[test]
fn a_relayed_stream_is_the_upstreams_byte_for_byte_however_it_comes() {
    for (case, stream, answers) in streams() {
        let relay = || pipe(case.protocol, case.protocol, answers);
        assert_eq!(run(relay(), &[&stream]).out, stream, "{}", case.name());
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(run(relay(), &bytes).out, stream, "{}", case.name());
    }
}

/// What of SSE a codec does not read stays for the caller: ids, retries, comments, unknown fields, unknown members.
const ODD: &str = "\u{feff}: hello\n\nid: 7\nretry: 10\nfoo: bar\nevent: \ndata: {\"new\":[1,{}],\"choices\":[{\"index\":0,\
    \"delta\":{\"content\":\"a\",\"x\":null},\"y\":1.0}]}\n\n: PROCESSING\ndata:{\"choices\":[{\"index\":0,\"delta\":{},\
    \"finish_reason\":\"stop\"}],\ndata:\"usage\":null}\n\ndata: [DONE]\n\n: later\n\n";

#[test]
fn no_field_of_a_relayed_event_is_dropped() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ODD.replace('\n', end);
        for size in 1..text.len() {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let outcome = run(chat_relay(true), &pieces);
            assert_eq!(outcome.failed, None);
            assert_eq!(String::from_utf8_lossy(&outcome.out), text, "{size} bytes at a time");
        }
    }
}

/// A chat stream in events, and which of them came only because usage was asked for.
fn with_usage() -> Vec<(String, bool)> {
    let chunk =
        |choices: &str, usage: &str| format!("data: {{\"id\":\"c\",\"choices\":[{choices}],\"usage\":{usage}}}\n\n");
    let choice = |delta: &str, finish: &str| format!("{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}");
    let counts = "{\"prompt_tokens\":3,\"completion_tokens\":2}";
    vec![
        (": warming up\n\n".to_owned(), false),
        (chunk(&choice("{\"role\":\"assistant\"}", "null"), "null"), false),
        (chunk(&choice("{\"content\":\"a\"}", "null"), "null"), false),
        (chunk(&choice("{\"content\":\"\\\"choices\\\":[],\\\"usage\\\":{}\"}", "null"), counts), false),
        (chunk(&choice("{}", "\"stop\""), "null"), false),
        (": still there\n\n".to_owned(), false),
        (chunk("", counts), true),
        (": nearly\n\n".to_owned(), false),
        ("data: [DONE]\n\n".to_owned(), false),
    ]
}

#[test]
fn usage_that_the_caller_did_not_ask_for_is_taken_out_and_nothing_else() {
    for end in ["\n", "\r\n"] {
        let text = |all: bool| -> String {
            let events = with_usage().into_iter().filter(|(_, hidden)| all || !hidden);
            events.map(|(event, _)| event.replace('\n', end)).collect()
        };
        let (stream, expected) = (text(true), text(false));
        let whole = run(chat_relay(false), &[stream.as_bytes()]);
        assert_eq!(String::from_utf8_lossy(&whole.out), stream, "a caller that asks gets all of it");
        for size in 1..=stream.len() {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let mut pipe = chat_relay(true);
            let mut out = Out::default();
            pieces.iter().for_each(|piece| pipe.push(Bytes::copy_from_slice(piece), &mut out));
            pipe.finish(&mut out);
            assert!(pipe.is_complete());
            assert_eq!(pipe.usage().and_then(|usage| usage.total()), Some(5));
            assert_eq!(String::from_utf8_lossy(&out.take()), expected, "{size} bytes at a time");
        }
    }
}

#[test]
fn usage_that_lacks_its_blank_line_is_taken_out_too() {
    let events: Vec<String> = with_usage().into_iter().take(7).map(|(event, _)| event).collect();
    let stream = events.concat();
    let outcome = run(chat_relay(true), &[stream.trim_end().as_bytes()]);
    assert_eq!(String::from_utf8_lossy(&outcome.out), events[..6].concat());
}

#[test]
fn chunks_behind_the_end_are_not_heard() {
    let more = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"late\"},\"finish_reason\":null}]}\n\ndata: [DONE]\n\n";
    let chat = ProtocolId::OpenAiChat.codec().unwrap();
    let stream: String = with_usage().into_iter().map(|(event, _)| event).collect();
    for to in both_roles().into_iter().filter(|to| to.id() != ProtocolId::OpenAiChat) {
        let plain = run(pipe(chat, to, 1), &[stream.as_bytes()]).out;
        crate::laws::grammar::check(to.id(), &plain, to.id().name());
        for pieces in [vec![stream.clone() + more], vec![stream.clone(), more.to_owned()]] {
            let pieces: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            assert_eq!(run(pipe(chat, to, 1), &pieces).out, plain, "{}", to.id());
        }
    }
}

#[test]
fn no_cache_is_told_before_somebody_reported_it() {
    let [chat, messages] = [ProtocolId::OpenAiChat, ProtocolId::AnthropicMessages].map(|id| id.codec().unwrap());
    let cached = "{\"prompt_tokens\":30,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":20}}";
    let stream: String = with_usage().into_iter().map(|(event, _)| event).collect();
    let stream = stream.replace("{\"prompt_tokens\":3,\"completion_tokens\":2}", cached);
    let out = String::from_utf8(run(pipe(chat, messages, 1), &[stream.as_bytes()]).out).unwrap();
    let data: Vec<serde_json::Value> =
        out.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let usage_of = |kind: &str| data.iter().find(|event| event["type"] == kind).unwrap().clone();
    let start = usage_of("message_start");
    let usage = start["message"]["usage"].as_object().unwrap();
    assert!(usage.contains_key("input_tokens") && usage.contains_key("output_tokens"), "{usage:?}");
    assert!(!usage.keys().any(|key| key.contains("cache")), "{usage:?}");
    let expected = serde_json::json!({ "input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 2 });
    assert_eq!(usage_of("message_delta")["usage"], expected);
}
