//! How likely the pieces of an answer were, as callers of OpenAI's two protocols get it from any upstream that tells it.

use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Protocol, ProtocolId};
use serde_json::Value;

use crate::laws::fixtures::{Case, cases, encode_stream, events, inbound, outbound, streaming_request};

const CALLERS: [ProtocolId; 2] = [ProtocolId::OpenAiChat, ProtocolId::OpenAiResponses];

/// Each piece, how likely it was, and what else it could have been.
fn pieces(documents: &[Value], caller: ProtocolId) -> Vec<(String, f64, Vec<String>)> {
    let pointer = match caller {
        ProtocolId::OpenAiChat => "/choices/0/logprobs/content",
        _ => "/output/0/content/0/logprobs",
    };
    let lists = documents.iter().filter_map(|document| document.pointer(pointer)?.as_array());
    let read = |piece: &Value| {
        let tops = piece["top_logprobs"].as_array().unwrap();
        let tops = tops.iter().map(|top| top["token"].as_str().unwrap().to_owned()).collect();
        assert!(piece["bytes"].is_array(), "{piece}");
        (piece["token"].as_str().unwrap().to_owned(), piece["logprob"].as_f64().unwrap(), tops)
    };
    lists.flatten().map(read).collect()
}

fn whole(case: &Case, caller: &'static dyn Protocol) -> Vec<Value> {
    let body = case.read("response.json").unwrap();
    let answer = outbound(case.protocol).decode_response(&body, &Quirks::default()).unwrap();
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    inbound(caller).encode_response(&answer, &mut out, &mut losses);
    assert!(!losses.iter().any(|loss| loss.field.contains("logprobs")), "{losses:?}");
    vec![serde_json::from_slice(&out).unwrap()]
}

fn streamed(case: &Case, caller: &'static dyn Protocol) -> Vec<Value> {
    let said = events(case.protocol, &[&case.read("stream.sse").unwrap()]);
    let text = encode_stream(caller, &said, &streaming_request());
    let text = String::from_utf8(text).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let documents = data.map(|data| serde_json::from_str::<Value>(data).unwrap());
    match caller.id() {
        ProtocolId::OpenAiResponses => documents
            .filter(|event| event["type"] == "response.completed")
            .map(|event| event["response"].clone())
            .collect(),
        _ => documents.collect(),
    }
}

#[test]
fn pieces_and_their_alternatives_reach_callers_of_openais_protocols() {
    let alternatives = |one: &str, other: &str| vec![one.to_owned(), other.to_owned()];
    let expected =
        [("Ja".to_owned(), -0.25, alternatives("Ja", "Nein")), (" 🎻".to_owned(), -0.5, alternatives(" 🎻", "."))];
    let mut tried = 0;
    for case in cases().iter().filter(|case| case.name().ends_with("logprobs")) {
        for caller in CALLERS.into_iter().filter(|caller| *caller != case.protocol.id()) {
            let codec = caller.codec().unwrap();
            assert_eq!(pieces(&whole(case, codec), caller), expected, "{} to {caller}", case.name());
            assert_eq!(pieces(&streamed(case, codec), caller), expected, "{} to {caller}, streamed", case.name());
            tried += 1;
        }
    }
    assert_eq!(tried, 4);
}
