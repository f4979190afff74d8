//! The laws of the hub, over every fixture and every pair of protocols.

mod calls;
mod faces;
pub(crate) mod fixtures;
pub(crate) mod gist;
pub(crate) mod grammar;

use bytes::Bytes;
use fixtures::{
    Case, both_roles, cases, destination, encode_stream, events, head, inbound, outbound, streaming_request,
};
use proptest::prelude::*;
use routeplane::wire::frame::{Decoder, Frame};
use routeplane::wire::ir::{Candidate, Error, Event, Part, Request, ToolKind, Usage, fold};
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{FrameKind, Protocol};
use serde_json::Value;

fn decoded(case: &Case, body: &[u8]) -> Request {
    let stream = case.read("response.json").is_none();
    inbound(case.protocol)
        .decode_request(&head(stream), body)
        .unwrap_or_else(|error| panic!("{}: {error:?}", case.name()))
}

fn encoded(protocol: &'static dyn Protocol, request: &Request) -> Result<(Vec<u8>, Losses), Error> {
    let mut out = Vec::new();
    let mut losses = Losses::default();
    let quirks = Quirks::default();
    let destination = destination(&request.model, &quirks);
    outbound(protocol).encode_request(request, &destination, &mut out, &mut losses)?;
    Ok((out, losses))
}

fn requests() -> impl Iterator<Item = (Case, Vec<u8>)> {
    cases().into_iter().filter_map(|case| case.read("request.json").map(|body| (case, body)))
}

fn streams() -> impl Iterator<Item = (Case, Vec<u8>)> {
    cases().into_iter().filter_map(|case| case.stream().map(|stream| (case, stream)))
}

#[test]
fn l1_a_request_comes_back_as_it_was() {
    for (case, body) in requests() {
        let request = decoded(&case, &body);
        let (out, losses) =
            encoded(case.protocol, &request).unwrap_or_else(|error| panic!("{}: {error:?}", case.name()));
        let [before, after]: [Value; 2] = [&body, &out].map(|text| serde_json::from_slice(text).unwrap());
        assert_eq!(after, before, "{}", case.name());
        assert!(losses.is_empty(), "{}: {losses}", case.name());
        let text = std::str::from_utf8(&out).unwrap();
        // A freeform tool has no schema: the one in the hub is ours.
        let written = request.tools.iter().flatten().filter(|tool| tool.ext.get("#custom").is_none());
        for tool in written {
            if let ToolKind::Function { parameters: Some(schema), .. } = &tool.kind {
                assert!(text.contains(schema.get()), "{}: a schema was rewritten", case.name());
                assert!(String::from_utf8_lossy(&body).contains(schema.get()), "{}: a schema was reread", case.name());
            }
        }
    }
}

#[test]
fn l2_what_is_no_loss_survives_translation() {
    for (case, body) in requests() {
        let request = decoded(&case, &body);
        for target in both_roles().into_iter().filter(|target| target.id() != case.protocol.id()) {
            let name = format!("{} to {}", case.name(), target.id());
            let (out, losses) = match encoded(target, &request) {
                Ok(written) => written,
                // A refusal says what the target cannot take, and is an answer too.
                Err(error) => {
                    assert!(
                        error.param.is_some() && error.code.as_deref() == Some("unsupported_content"),
                        "{name}: {error:?}"
                    );
                    continue;
                }
            };
            let back = inbound(target).decode_request(&head(request.stream), &out);
            let back = back.unwrap_or_else(|error| panic!("{name}: {error:?} in {}", String::from_utf8_lossy(&out)));
            gist::assert_kept(&gist::request(&request), &gist::request(&back), &losses, &name);
            assert!(gist::has_system(&back) || !gist::has_system(&request), "{name}: the system text is a turn now");
        }
    }
}

#[test]
fn l3_a_stream_folds_to_its_whole_twin() {
    let mut pairs = 0;
    for (case, stream) in streams() {
        let Some(body) = case.read("response.json") else { continue };
        pairs += 1;
        let whole = outbound(case.protocol).decode_response(&body, &Quirks::default()).unwrap();
        let folded = fold(case.protocol.id(), &events(case.protocol, &[&stream])).unwrap();
        assert_eq!(gist::answer(&folded), gist::answer(&whole), "{}", case.name());
        assert_eq!((folded.id, folded.model), (whole.id, whole.model), "{}", case.name());
        assert_eq!(folded.usage, whole.usage, "{}", case.name());
        let calls = |response: &[Candidate]| -> Vec<Option<String>> {
            let parts = response.iter().flat_map(|candidate| &candidate.parts);
            parts
                .filter_map(|part| if let Part::ToolCall(call) = part { Some(call.id.clone()) } else { None })
                .collect()
        };
        assert_eq!(calls(&folded.candidates), calls(&whole.candidates), "{}: ids of calls", case.name());
    }
    assert!(pairs > 0, "no twins");
}

#[test]
fn l4_cuts_of_the_bytes_do_not_matter() {
    let all: Vec<(Case, Vec<u8>, Vec<Event>)> = streams()
        .map(|(case, stream)| (events(case.protocol, &[&stream]), case, stream))
        .map(|(e, c, s)| (c, s, e))
        .collect();
    for (case, stream, whole) in &all {
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(&events(case.protocol, &bytes), whole, "{}", case.name());
    }
    let strategy = (0..all.len(), prop::collection::vec(any::<prop::sample::Index>(), 1..6));
    proptest!(|((at, cuts) in strategy)| {
        let (case, stream, whole) = &all[at];
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&events(case.protocol, &pieces), whole, "{}", case.name());
    });
}

#[test]
fn l5_no_edits_change_no_byte() {
    for (case, body) in requests() {
        let envelope = inbound(case.protocol).peek(&head(false), &body).unwrap();
        let pieces = envelope.splice(&Bytes::copy_from_slice(&body), &[]);
        assert_eq!(pieces.concat(), body, "{}", case.name());
    }
}

#[test]
fn l7_watching_agrees_with_reading() {
    for (case, stream) in streams() {
        let name = case.name();
        let watched = outbound(case.protocol);
        let read = events(case.protocol, &[&stream]);
        let mut frames = Decoder::new(watched.framing(), 1 << 24);
        let mut seen = Vec::new();
        frames.push(&stream, &mut |frame: Frame<'_>| seen.push(watched.observe(&frame))).unwrap();
        frames.finish(&mut |frame: Frame<'_>| seen.push(watched.observe(&frame))).unwrap();
        let usage = seen.iter().filter_map(|observation| observation.usage).fold(None, |all: Option<Usage>, usage| {
            let mut all = all.unwrap_or_default();
            watched.add_usage(&mut all, &usage);
            Some(all)
        });
        assert_eq!(usage, gist::last_usage(&read), "{name}: usage");
        let speaks = seen.iter().any(|o| matches!(o.kind, FrameKind::Content | FrameKind::Finish));
        assert_eq!(speaks, read.iter().any(Event::is_content), "{name}: content");
        let ends = seen.iter().any(|o| matches!(o.kind, FrameKind::Terminal | FrameKind::Finish));
        let fails = seen.iter().any(|o| o.kind == FrameKind::Error);
        let clean = !read.iter().any(|event| matches!(event, Event::Error(_)));
        assert_eq!(ends && !fails, clean, "{name}: end");
        if let Some(body) = case.read("response.json") {
            let whole = watched.decode_response(&body, &Quirks::default()).unwrap();
            assert_eq!(watched.usage(&body), whole.usage, "{name}: usage of the whole answer");
        }
    }
}

#[test]
fn answers_survive_translation() {
    for case in cases() {
        let Some(body) = case.read("response.json") else { continue };
        let whole = outbound(case.protocol).decode_response(&body, &Quirks::default()).unwrap();
        for target in both_roles() {
            let name = format!("{} to {}", case.name(), target.id());
            if whole.candidates.len() > 1 && !carries_several(target) {
                continue;
            }
            let mut out = Vec::new();
            inbound(target).encode_response(&whole, &mut out, &mut Losses::default());
            let back =
                outbound(target).decode_response(&out, &Quirks::default()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
            gist::assert_same_answer(&gist::answer(&whole), &gist::answer(&back), &name);
        }
    }
}

/// Whether the protocol has room for several answers to one request.
fn carries_several(protocol: &'static dyn Protocol) -> bool {
    use routeplane::wire::ProtocolId;
    matches!(protocol.id(), ProtocolId::OpenAiChat | ProtocolId::Gemini)
}

#[test]
fn streams_survive_translation_and_obey_the_grammar() {
    let request = streaming_request();
    for (case, stream) in streams() {
        let read = events(case.protocol, &[&stream]);
        let Ok(folded) = fold(case.protocol.id(), &read) else { continue };
        for target in both_roles() {
            let name = format!("{} to {}", case.name(), target.id());
            if folded.candidates.len() > 1 && !carries_several(target) {
                continue;
            }
            let out = encode_stream(target, &read, &request);
            grammar::check(target.id(), &out, &name);
            let back = fold(target.id(), &events(target, &[&out])).unwrap_or_else(|e| panic!("{name}: {e:?}"));
            gist::assert_same_answer(&gist::answer(&folded), &gist::answer(&back), &name);
        }
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_an_error_or_whole() {
    for (case, stream) in streams() {
        let whole = events(case.protocol, &[&stream]);
        if whole.iter().any(|event| matches!(event, Event::Error(_))) {
            continue;
        }
        let finish = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Finish { .. })).count();
        for end in (0..stream.len()).step_by(7) {
            let cut = events(case.protocol, &[&stream[..end]]);
            let failed = matches!(cut.last(), Some(Event::Error(_)));
            assert_eq!(failed, finish(&cut) == 0, "{}: cut at byte {end}", case.name());
        }
    }
}

#[test]
fn errors_keep_their_words_and_status() {
    for case in cases() {
        for (status, body) in case.errors() {
            let error = outbound(case.protocol).decode_error(status, &body);
            assert!(!error.message.is_empty() && error.status == status, "{}: {error:?}", case.name());
            for target in both_roles() {
                let name = format!("{} {status} to {}", case.name(), target.id());
                let mut out = Vec::new();
                inbound(target).encode_error(&error, &mut out);
                let back = outbound(target).decode_error(error.status, &out);
                assert!(back.message.contains(&error.message), "{name}: `{}` became `{}`", error.message, back.message);
            }
        }
    }
}
