//! Bedrock Converse as an upstream, end to end.

use std::collections::BTreeSet;
use std::time::Duration;

use routeplane::wire::frame::event_stream;
use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, provider_key, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream};

const MODEL: &str = "up/anthropic.claude-sonnet-4-5-20250929-v1:0";

fn events(events: &[(&str, Value)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, payload) in events {
        event_stream::write_event(name, |out| out.extend(payload.to_string().bytes()), &mut out);
    }
    out
}

fn said() -> Vec<(&'static str, Value)> {
    vec![
        ("messageStart", json!({ "role": "assistant", "p": "abcdef" })),
        ("contentBlockDelta", json!({ "contentBlockIndex": 0, "delta": { "text": "Hel" }, "p": "a" })),
        ("contentBlockDelta", json!({ "contentBlockIndex": 0, "delta": { "text": "lo" } })),
        ("contentBlockStop", json!({ "contentBlockIndex": 0 })),
    ]
}

/// More than one read of the gateway takes: what follows cannot arrive together with the first words.
fn said_at_length() -> Vec<(&'static str, Value)> {
    let piece = ("contentBlockDelta", json!({ "contentBlockIndex": 0, "delta": { "text": "word ".repeat(2000) } }));
    let mut events = said();
    events.splice(3..3, std::iter::repeat_n(piece, 300));
    events
}

fn ended() -> Vec<(&'static str, Value)> {
    let usage = json!({ "inputTokens": 3, "outputTokens": 5, "totalTokens": 18, "cacheReadInputTokens": 10 });
    vec![
        ("messageStop", json!({ "stopReason": "end_turn" })),
        ("metadata", json!({ "usage": usage, "metrics": { "latencyMs": 7 } })),
    ]
}

fn exception(out: &mut Vec<u8>) {
    let body = br#"{"message":"Too many tokens, wait"}"#;
    event_stream::write_exception("throttlingException", |out| out.extend_from_slice(body), out);
}

fn stream(body: Vec<u8>) -> Act {
    let headers = vec![("content-type", "application/vnd.amazon.eventstream".to_owned())];
    Act::Respond { status: 200, headers, body }
}

/// A gateway in front of an upstream that plays `act`, and the answer to one call.
async fn call(act: Act, caller: Caller, streaming: bool) -> (Response, MockUpstream) {
    let mock = MockUpstream::start([act]).await;
    let yaml = providers(&[("up", "bedrock-converse", &mock)]);
    let gateway = Gateway::start(&format!("{yaml}retries: {{ attempts: 1 }}\n")).await;
    let body = caller.body(MODEL, "hi", streaming).to_string();
    let target = caller.target(MODEL, streaming);
    let sending = http_client::request(gateway.address, "POST", &target, caller.headers(), body.as_bytes());
    (tokio::time::timeout(Duration::from_secs(20), sending).await.unwrap(), mock)
}

#[tokio::test]
async fn a_converse_answer_reaches_every_caller() {
    let body = json!({
        "output": { "message": { "role": "assistant", "content": [{ "text": "Hello" }] } },
        "stopReason": "end_turn",
        "usage": { "inputTokens": 3, "outputTokens": 5, "totalTokens": 8 },
        "metrics": { "latencyMs": 7 },
    });
    for caller in Caller::ALL {
        let act = Act::Respond {
            status: 200,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        };
        let (got, mock) = call(act, caller, false).await;
        assert!(got.expect_status(200).text().contains("Hello"), "{caller:?}");
        let seen = mock.only_request().request;
        assert_eq!(seen.path(), "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse");
        assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {}", provider_key("up"))));
        let sent: Value = serde_json::from_str(&seen.text()).unwrap();
        assert_eq!(sent["messages"], json!([{ "role": "user", "content": [{ "text": "hi" }] }]));
    }
}

#[tokio::test]
async fn a_converse_stream_reaches_every_caller() {
    for caller in Caller::ALL {
        let (got, mock) = call(stream(events(&[said(), ended()].concat())), caller, true).await;
        let got = got.expect_status(200);
        if caller != Caller::Converse {
            assert_eq!(got.header("content-type"), Some("text/event-stream"), "{caller:?}");
        }
        let text = got.text();
        assert!(text.contains("Hel") && text.contains("lo") && text.contains('5'), "{caller:?}: {text}");
        assert!(caller == Caller::Converse || !text.contains("abcdef"), "padding is not translated");
        assert!(mock.only_request().request.path().ends_with("/converse-stream"));
    }
}

#[tokio::test]
async fn an_exception_within_a_converse_stream_is_told_to_the_caller() {
    let mut bytes = events(&said_at_length());
    exception(&mut bytes);
    let (got, _mock) = call(stream(bytes), Caller::Messages, true).await;
    let text = got.expect_status(200).text();
    assert!(text.contains("event: error") && text.contains("Too many tokens, wait"));
    assert!(!text.contains("message_stop"));
}

#[tokio::test]
async fn an_exception_before_any_content_is_an_answer_with_its_status() {
    let mut bytes = events(&said()[..1]);
    exception(&mut bytes);
    let (got, _mock) = call(stream(bytes), Caller::Messages, true).await;
    let text = got.expect_status(429).text();
    assert!(text.contains("rate_limit_error") && text.contains("Too many tokens, wait"), "{text}");
}

#[tokio::test]
async fn a_converse_stream_that_was_cut_is_an_error() {
    let (got, _mock) = call(stream(events(&said_at_length())), Caller::Messages, true).await;
    let text = got.expect_status(200).text();
    assert!(text.contains("event: error") && !text.contains("message_stop"));
    let mut broken = events(&[said_at_length(), ended()].concat());
    let at = broken.len() - 6;
    broken[at] ^= 1;
    let (got, _mock) = call(stream(broken), Caller::Messages, true).await;
    let text = got.expect_status(200).text();
    assert!(text.contains("wrong checksum") && !text.contains("message_stop"));
}

/// The id and the time that a caller reads in a whole answer, or in each event of a stream that tells them.
fn stamps(caller: Caller, documents: &[Value]) -> Vec<(String, Option<u64>)> {
    let (id, created) = match caller {
        Caller::Chat => ("/id", Some("/created")),
        Caller::Responses if documents.len() > 1 => ("/response/id", Some("/response/created_at")),
        Caller::Responses => ("/id", Some("/created_at")),
        Caller::Messages if documents.len() > 1 => ("/message/id", None),
        Caller::Messages => ("/id", None),
        Caller::Gemini => ("/responseId", None),
        Caller::Converse => return Vec::new(),
    };
    let told = documents.iter().filter_map(|document| Some((document.pointer(id)?.as_str()?.to_owned(), document)));
    told.map(|(id, document)| (id, created.and_then(|created| document.pointer(created)?.as_u64()))).collect()
}

/// Converse gives its answers neither an id nor a time; callers keep apart by them what they were told.
#[tokio::test]
async fn an_answer_without_an_id_gets_one_of_the_callers_own_form() {
    let whole = json!({
        "output": { "message": { "role": "assistant", "content": [{ "text": "Hello" }] } },
        "stopReason": "end_turn",
        "usage": { "inputTokens": 3, "outputTokens": 5, "totalTokens": 8 },
    });
    let mut ids = BTreeSet::new();
    let mut calls = 0;
    for caller in Caller::ALL.into_iter().filter(|caller| *caller != Caller::Converse) {
        for streaming in [false, true] {
            for _ in 0..2 {
                let act = match streaming {
                    true => stream(events(&[said(), ended()].concat())),
                    false => Act::Respond {
                        status: 200,
                        headers: vec![("content-type", "application/json".to_owned())],
                        body: whole.to_string().into_bytes(),
                    },
                };
                let (got, _) = call(act, caller, streaming).await;
                let got = got.expect_status(200);
                let documents = if streaming { got.json_events() } else { vec![got.json()] };
                let told = stamps(caller, &documents);
                let (id, created) = told.first().unwrap_or_else(|| panic!("{caller:?}: {}", got.text()));
                assert!(told.iter().all(|stamp| stamp == &told[0]), "{caller:?}: {told:?}");
                let prefix = match caller {
                    Caller::Chat => "chatcmpl-",
                    Caller::Responses => "resp_",
                    Caller::Messages => "msg_",
                    Caller::Gemini | Caller::Converse => "",
                };
                assert!(id.starts_with(prefix) && id.len() >= prefix.len() + 24, "{caller:?}: {id}");
                assert!(created.is_none_or(|created| created > 1_700_000_000), "{caller:?}: {created:?}");
                ids.insert(id.clone());
                calls += 1;
            }
        }
    }
    assert_eq!(ids.len(), calls, "{ids:?}");
}
