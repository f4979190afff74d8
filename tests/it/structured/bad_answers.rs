//! What becomes of answers that are not of the form that was asked for, by each policy of `on_invalid`.

use serde_json::{Value, json};

use super::{Setup, heard};
use crate::callers::Caller;
use crate::gateway::Gateway;
use crate::http_client::{self, Response};
use crate::mock_upstream::dialect::{BADLY_STRUCTURED, STRUCTURED};
use crate::mock_upstream::{Act, MockUpstream};

/// Presets of every policy, to a native target of each protocol; `chain-*` begins with a target whose answers are bad.
pub(super) fn policies() -> String {
    let mut presets = String::new();
    for (name, target) in
        [("chat", "chat/m1"), ("messages", "messages/claude-sonnet-4-6"), ("gemini", "gemini/gemini-2.5-flash")]
    {
        for policy in ["pass", "repair", "retry", "error"] {
            presets += &format!("  {policy}-{name}: {{ route: {target}, on_invalid: {policy} }}\n");
        }
        presets +=
            &format!("  bad-{name}: {{ route: {target}, body: {{ set: {{ /zz: \"case:structured-bad\" }} }} }}\n");
        presets += &format!("  fallback-{name}: {{ route: \"@bad-{name} > {target}\", on_invalid: fallback }}\n");
        presets += &format!("  nowhere-{name}: {{ route: [\"@bad-{name}\"], on_invalid: fallback }}\n");
    }
    presets
}

const TARGETS: [&str; 3] = ["chat", "messages", "gemini"];

/// Converse has a status of its own for a model that failed.
fn bad_status(caller: Caller) -> u16 {
    if caller == Caller::Converse { 424 } else { 502 }
}

fn text_of(caller: Caller, answer: &Response, stream: bool) -> String {
    heard(caller, answer, stream).0
}

#[tokio::test]
async fn nobody_looks_where_the_file_does_not_ask() {
    let setup = Setup::start(&policies()).await;
    for caller in Caller::ALL {
        for target in TARGETS {
            let answer =
                setup.ask(caller, &format!("pass-{target}"), "case:structured-bad", false).await.expect_status(200);
            assert_eq!(text_of(caller, &answer, false), BADLY_STRUCTURED);
            assert_eq!(answer.header("x-routeplane-output"), None);
        }
    }
}

#[tokio::test]
async fn a_bad_answer_becomes_an_error_that_names_the_place_and_not_the_content() {
    let setup = Setup::start(&policies()).await;
    for caller in Caller::ALL {
        for target in TARGETS {
            let model = format!("error-{target}");
            let answer =
                setup.ask(caller, &model, "case:structured-bad", false).await.expect_status(bad_status(caller));
            let (_, message) = caller.error(&answer.json());
            assert!(message.contains("at `/answer`") && message.contains("/properties/answer/type"), "{message}");
            assert!(!message.contains("many"), "{message}");
            assert_eq!(answer.header("x-routeplane-code"), Some("invalid_output"), "{answer:?}");

            let stream = setup.ask(caller, &model, "case:structured-bad", true).await.expect_status(200);
            let error = caller.in_band_error(&stream).unwrap_or_else(|| panic!("{caller:?} to {target}: {stream:?}"));
            assert!(error.contains("at `/answer`") && !error.contains("many"), "{error}");

            let good = setup.ask(caller, &model, "case:structured", false).await.expect_status(200);
            assert_eq!(good.header("x-routeplane-output"), Some("valid"), "{good:?}");
            let stream = setup.ask(caller, &model, "case:structured", true).await.expect_status(200);
            assert_eq!(text_of(caller, &stream, true), STRUCTURED);
            assert!(caller.has_end_marker(&stream));
        }
    }
    let metrics = http_client::request(setup.gateway.address, "GET", "/metrics", &[], b"").await.text();
    for outcome in ["valid", "invalid"] {
        let line = format!("routeplane_structured_answers_total{{provider=\"messages\",outcome=\"{outcome}\"}}");
        assert!(metrics.contains(&line), "no {line} in {metrics}");
    }
}

#[tokio::test]
async fn an_untidy_answer_is_mended() {
    let setup = Setup::start(&policies()).await;
    for caller in Caller::ALL {
        for target in TARGETS {
            for policy in ["repair", "retry"] {
                for stream in [false, true] {
                    let model = format!("{policy}-{target}");
                    let before = setup.mock.requests().len();
                    let answer = setup.ask(caller, &model, "case:structured-untidy", stream).await.expect_status(200);
                    assert_eq!(text_of(caller, &answer, stream), STRUCTURED, "{caller:?} {model} {stream}");
                    assert_eq!(answer.header("x-routeplane-output"), Some("repaired"), "{answer:?}");
                    assert_eq!(setup.mock.requests().len(), before + 1, "nothing is asked for twice");
                }
            }
            for stream in [false, true] {
                let model = format!("repair-{target}");
                let answer = setup.ask(caller, &model, "case:structured-bad", stream).await.expect_status(200);
                assert_eq!(text_of(caller, &answer, stream), BADLY_STRUCTURED, "what cannot be mended passes");
                assert_eq!(answer.header("x-routeplane-output"), Some("invalid"), "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_target_is_asked_once_more_and_told_what_was_wrong() {
    let setup = Setup::start(&policies()).await;
    for caller in Caller::ALL {
        for target in TARGETS {
            for stream in [false, true] {
                let model = format!("retry-{target}");
                let before = setup.mock.requests().len();
                let answer = setup.ask(caller, &model, "case:structured-once", stream).await.expect_status(200);
                assert_eq!(text_of(caller, &answer, stream), STRUCTURED, "{caller:?} {model} {stream}");
                assert_eq!(answer.header("x-routeplane-attempts"), Some("2"), "{answer:?}");
                let sent: Vec<String> =
                    setup.mock.requests()[before..].iter().map(|seen| seen.request.text()).collect();
                assert_eq!(sent.len(), 2);
                assert!(sent[1].contains("at `/answer`") && sent[1].contains("many"), "{}", sent[1]);
                assert!(!sent[0].contains("at `/answer`"), "{}", sent[0]);

                let before = setup.mock.requests().len();
                let answer =
                    setup.ask(caller, &model, "case:structured-bad", stream).await.expect_status(bad_status(caller));
                assert_eq!(answer.header("x-routeplane-code"), Some("invalid_output"), "{answer:?}");
                assert_eq!(setup.mock.requests().len(), before + 2, "once more, and no more");
            }
        }
    }
}

#[tokio::test]
async fn the_next_target_is_asked() {
    let setup = Setup::start(&policies()).await;
    for caller in Caller::ALL {
        for target in TARGETS {
            for stream in [false, true] {
                let answer = setup
                    .ask(caller, &format!("fallback-{target}"), "case:structured", stream)
                    .await
                    .expect_status(200);
                assert_eq!(text_of(caller, &answer, stream), STRUCTURED, "{caller:?} {target} {stream}");
                assert_eq!(answer.header("x-routeplane-attempts"), Some("2"), "{answer:?}");
                let answer = setup.ask(caller, &format!("nowhere-{target}"), "case:structured", stream).await;
                assert_eq!(
                    answer.expect_status(bad_status(caller)).header("x-routeplane-code"),
                    Some("invalid_output")
                );
            }
        }
    }
}

#[tokio::test]
async fn a_cut_answer_is_no_invalid_one() {
    let setup = Setup::start(&policies()).await;
    for policy in ["error", "retry"] {
        for target in ["chat", "messages"] {
            for stream in [false, true] {
                let model = format!("{policy}-{target}");
                let answer = setup.ask(Caller::Chat, &model, "case:structured-cut", stream).await.expect_status(200);
                let heard = heard(Caller::Chat, &answer, stream);
                assert_eq!(heard, ("{\"answer\":42,\"un".to_owned(), "length".to_owned()), "{model} {stream}");
                if !(stream && policy == "error") {
                    assert_eq!(answer.header("x-routeplane-output"), Some("cut"), "{answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_held_may_not_be_silent_for_long() {
    for (preset, route, policy) in [("held", "up/m1", "retry"), ("chain", "\"up/m1 > up/m2\"", "fallback")] {
        let mock = MockUpstream::start([Act::StallMidStream(2), Act::Answer]).await;
        let file = crate::gateway::providers(&[("up", "openai-chat", &mock)]);
        let limits = "timeout: { idle: 1s, total: 60s }\nretries: { attempts: 1 }\n";
        let presets = format!("presets:\n  {preset}: {{ route: {route}, on_invalid: {policy} }}\n");
        let gateway = Gateway::start(&format!("{file}{limits}{presets}")).await;
        let body = Caller::Chat.body(preset, "case:structured", true);
        let got = http_client::post(gateway.address, "/v1/chat/completions", &body).await;
        if preset == "held" {
            assert_eq!(got.json()["error"]["code"], "idle_timeout", "and not the end of the whole request: {got:?}");
        } else {
            assert_eq!(got.header("x-routeplane-target"), Some("up/m2"), "the next target takes over: {got:?}");
        }
    }
}

/// Two answers in one stream of Chat Completions, piece by piece in turns; the second is not in order.
fn two_answers(second: &str) -> Act {
    let chunk = |index: usize, delta: Value, finish: Value| {
        let choice = json!({ "index": index, "delta": delta, "finish_reason": finish });
        format!(
            "data: {}\n\n",
            json!({ "id": "c", "object": "chat.completion.chunk", "model": "m1", "choices": [choice] })
        )
    };
    let mut body = String::new();
    for (index, piece) in [(0, r#"{"answer""#), (1, second), (0, r#": 42, "unit": "km"}"#)] {
        body += &chunk(index, json!({ "content": piece }), Value::Null);
    }
    body += &chunk(0, json!({}), json!("stop"));
    body += &chunk(1, json!({}), json!("stop"));
    body += "data: [DONE]\n\n";
    let head = format!("content-type: text/event-stream\r\ncontent-length: {}", body.len());
    Act::Raw(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").into_bytes())
}

#[tokio::test]
async fn each_of_several_streamed_answers_is_judged() {
    let untidy = r#"Sure: {"answer": 7, "unit": "m",}"#;
    let bad = r#"{"answer": "many", "unit": "m"}"#;
    let acts = [untidy, bad, bad, untidy, bad, bad].map(two_answers);
    let mock = MockUpstream::start(acts).await;
    let setup = Setup::with(mock, &policies()).await;
    let ask = |model: &'static str| {
        let mut body = Caller::Chat.body(model, "case:structured", true);
        body["n"] = json!(2);
        let address = setup.gateway.address;
        async move { Caller::Chat.post(address, model, &body, true).await }
    };
    let said = |answer: &Response| {
        let mut texts = [String::new(), String::new()];
        for chunk in answer.json_events() {
            for choice in chunk["choices"].as_array().into_iter().flatten() {
                let at = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
                texts[at] += choice["delta"]["content"].as_str().unwrap_or_default();
            }
        }
        texts
    };
    let first = r#"{"answer": 42, "unit": "km"}"#;

    let mended = ask("repair-chat").await;
    assert_eq!(said(&mended), [first, r#"{"answer": 7, "unit": "m"}"#]);
    assert_eq!(mended.header("x-routeplane-output"), Some("valid, repaired"));

    let passed = ask("repair-chat").await;
    assert_eq!(said(&passed), [first, bad], "what cannot be mended passes");
    assert_eq!(passed.header("x-routeplane-output"), Some("valid, invalid"));

    // Behind content the error is in the stream; here all may come at once.
    for fault in ["answer 2: at `/answer`", "answer 2: it is not JSON"] {
        let failed = ask("error-chat").await;
        let error = if failed.status == 200 { Caller::Chat.in_band_error(&failed) } else { Some(failed.text()) };
        let error = error.unwrap_or_else(|| panic!("{failed:?}"));
        assert!(error.contains(fault) && !error.contains("many"), "{error}");
    }

    let before = setup.mock.requests().len();
    let retried = ask("retry-chat").await;
    let sent: Vec<String> = setup.mock.requests()[before..].iter().map(|seen| seen.request.text()).collect();
    assert_eq!(sent.len(), 2, "{retried:?}");
    assert!(sent[1].contains("answer 2: at `/answer`") && sent[1].contains("many"), "{}", sent[1]);
    let metrics = http_client::request(setup.gateway.address, "GET", "/metrics", &[], b"").await.text();
    let line = r#"routeplane_structured_answers_total{provider="chat",outcome="repaired"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
}
