//! The record of every model call: one each, at its true end, whatever that end is.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client;
use crate::mock_upstream::{Act, MockUpstream};
use crate::sandbox::Sandbox;

/// The records of a gateway that has ended `count` calls, oldest first.
pub(crate) async fn records(gateway: &Gateway, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let answer = http_client::get(gateway.address, "/admin/requests").await.expect_status(200).json();
        let mut records = answer["requests"].as_array().unwrap().clone();
        assert!(records.len() <= count, "more than one record for a call: {records:#?}");
        if records.len() == count {
            records.reverse();
            return records;
        }
        assert!(Instant::now() < deadline, "{count} calls, and these records: {records:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Waits until the number of records is one more than `before`, and gives the last.
async fn last(gateway: &Gateway, before: usize) -> Value {
    records(gateway, before + 1).await.pop().unwrap()
}

/// A gateway whose provider `up` speaks `upstream` and plays `acts`; each target is tried once.
async fn start(upstream: Caller, acts: impl IntoIterator<Item = Act>, more: &str) -> (Gateway, MockUpstream) {
    let mock = MockUpstream::start(acts).await;
    let file = providers(&[("up", upstream.protocol(), &mock)]);
    (Gateway::start(&format!("{file}retries: {{ attempts: 1 }}\n{more}")).await, mock)
}

#[track_caller]
fn assert_has(record: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(record[name], *value, "`{name}` of {record:#}");
    }
}

#[tokio::test]
async fn an_answered_call_says_who_answered_and_what_it_took() {
    for upstream in [Caller::Chat, Caller::Messages] {
        let (gateway, _mock) = start(upstream, [Act::Answer], "").await;
        let mut count = 0;
        for caller in Caller::ALL {
            for stream in [false, true] {
                let answer = caller.ask(gateway.address, "up/m1", "hello", stream).await.expect_status(200);
                let record = last(&gateway, count).await;
                count += 1;
                let lane = if caller == upstream { "passthrough" } else { "translate" };
                assert_has(
                    &record,
                    &json!({
                        "number": count, "v": 1, "request_id": answer.header("x-request-id"), "generation": 1,
                        "protocol": caller.protocol(), "operation": "generate", "stream": stream, "model": "up/m1",
                        "route": "up/m1", "target": "up/m1", "status": 200, "outcome": "ok", "key": null, "error": null,
                        "bytes_out": answer.body.len(),
                    }),
                );
                assert_eq!((&record["usage"]["input"], &record["usage"]["output"]), (&json!(11), &json!(7)));
                let attempts = record["attempts"].as_array().unwrap();
                assert_eq!(attempts.len(), 1, "{record:#}");
                assert_has(
                    &attempts[0],
                    &json!({ "target": "up/m1", "provider": "up", "model": "m1", "lane": lane, "cause": "ok", "status": 200 }),
                );
                let time = |record: &Value, name: &str| record[name].as_f64().unwrap();
                let order = [
                    time(&record, "decided_ms"),
                    time(&attempts[0], "start_ms"),
                    time(&attempts[0], "first_ms"),
                    time(&record, "first_ms"),
                    time(&record, "total_ms"),
                ];
                assert!(order.is_sorted() && time(&attempts[0], "end_ms") <= order[4], "{record:#}");
                assert!(record["bytes_in"].as_u64().unwrap() > 10 && record["draw"].as_f64().is_some(), "{record:#}");
                assert!(record["time"].as_str().unwrap().ends_with('Z'), "{record:#}");
            }
        }
    }
}

#[tokio::test]
async fn every_try_is_there_with_its_cause() {
    let mock = MockUpstream::start([Act::status(500), Act::ResetBeforeHead, Act::ResetBeforeHead, Act::Answer]).await;
    let file = providers(&[("up", "openai-chat", &mock)]);
    let more = "retries: { attempts: 2, backoff: 1ms }\npresets: { two: up/m1 > up/m2 }\n";
    let gateway = Gateway::start(&format!("{file}{more}")).await;
    Caller::Chat.ask(gateway.address, "@two", "hello", true).await.expect_status(200);
    let record = last(&gateway, 0).await;
    assert_has(&record, &json!({ "route": "@two", "target": "up/m2", "outcome": "ok" }));
    let told: Vec<Value> = record["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| json!([one["target"], one["cause"], one["status"]]))
        .collect();
    assert_eq!(told, [json!(["up/m1", "status", 500]), json!(["up/m1", "broken", null]), json!(["up/m2", "ok", 200])]);
}

#[tokio::test]
async fn what_gives_no_answer_is_recorded_too() {
    let more =
        "limits: { body: 2000 }\nrules: |\n  when user == \"eve\" -> deny 403 \"no\"\n  otherwise -> as requested\n";
    let (gateway, _mock) = start(Caller::Chat, [Act::status(500)], more).await;
    let mut denied = Caller::Chat.body("up/m1", "hello", false);
    denied["user"] = json!("eve");
    let long = Caller::Chat.body("up/m1", &"x".repeat(3000), false);
    let refused = |code: &str| json!({ "code": code, "origin": "gateway" });
    let ask = async |body: &[u8], headers: &[(&str, &str)]| {
        http_client::request(gateway.address, "POST", "/v1/chat/completions", headers, body).await.status
    };
    let body = |value: &Value| value.to_string().into_bytes();
    let unknown = Caller::Chat.body("nothing/m1", "hello", false);
    let good = Caller::Chat.body("up/m1", "hello", false);
    for (count, (sent, headers, status, expected)) in [
        (
            body(&unknown),
            &[][..],
            404,
            json!({ "outcome": "refused", "error": refused("model_not_found"), "model": "nothing/m1" }),
        ),
        (body(&denied), &[], 403, json!({ "outcome": "refused", "error": refused("denied"), "rule": 1 })),
        (body(&long), &[], 413, json!({ "outcome": "refused", "error": refused("body_too_large"), "model": null })),
        (b"{".to_vec(), &[], 400, json!({ "outcome": "refused", "error": refused("invalid_json"), "bytes_in": 1 })),
        (
            body(&good),
            &[("origin", "http://evil.example")],
            403,
            json!({ "outcome": "refused", "error": refused("forbidden_origin") }),
        ),
        (body(&good), &[], 500, json!({ "outcome": "failed", "error": { "origin": "upstream" }, "target": "up/m1" })),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(ask(&sent, headers).await, status, "{expected}");
        let record = last(&gateway, count).await;
        assert_has(&record, &expected);
        assert_has(&record, &json!({ "status": status, "operation": "generate" }));
    }
    // What is no model call has no record.
    http_client::get(gateway.address, "/v1/models").await.expect_status(200);
    http_client::get(gateway.address, "/v1/chat/completions").await.expect_status(405);
    assert_eq!(records(&gateway, 6).await.len(), 6);
}

#[tokio::test]
async fn a_refused_key_is_recorded_without_the_key() {
    let sandbox = Sandbox::with("keys: { ci: env:CI_KEY }\n").env("CI_KEY", "client-key-0123456789");
    let daemon = sandbox.start(&[]).await;
    let bearer = format!("Bearer {}", daemon.token);
    let body = Caller::Chat.body("demo/chat", "hello", false).to_string();
    for (key, status) in [("Bearer wrong-key-0123456789", 401), ("Bearer client-key-0123456789", 200)] {
        let headers = [("authorization", key)];
        let path = "/v1/chat/completions";
        http_client::request(daemon.address, "POST", path, &headers, body.as_bytes()).await.expect_status(status);
    }
    // A record of a whole answer is there a moment after the answer.
    let listed = async |daemon: &crate::sandbox::Daemon| {
        let headers = [("authorization", bearer.as_str())];
        http_client::request(daemon.address, "GET", "/admin/requests", &headers, b"").await.expect_status(200)
    };
    daemon.until("both are recorded", async |daemon| listed(daemon).await.json()["requests"][1].is_object()).await;
    let answer = listed(&daemon).await;
    let records = answer.json();
    assert_has(
        &records["requests"][1],
        &json!({ "status": 401, "outcome": "refused", "key": null, "error": { "code": "invalid_api_key", "origin": "gateway" } }),
    );
    assert_has(&records["requests"][0], &json!({ "status": 200, "outcome": "ok", "key": "ci" }));
    assert!(!answer.text().contains("-key-0123456789"), "{answer:?}");
    // The list is not for everybody.
    assert_eq!(daemon.get("/admin/requests").await.status, 401);
}

#[tokio::test]
async fn a_caller_that_leaves_ends_its_record() {
    for (act, stream, status) in
        [(Act::StallBeforeHead, false, 499), (Act::StallBeforeHead, true, 499), (Act::StallMidStream(3), true, 200)]
    {
        for caller in [Caller::Chat, Caller::Gemini] {
            let (gateway, mock) = start(Caller::Chat, [act.clone()], "").await;
            let mut connection = caller.begin(gateway.address, "up/m1", "hello", stream).await;
            mock.wait_for_requests(1).await;
            if status == 200 {
                connection.head().await;
                connection.chunk().await.unwrap();
            }
            drop(connection);
            let record = last(&gateway, 0).await;
            assert_has(
                &record,
                &json!({ "status": status, "outcome": "caller_left", "error": null, "target": "up/m1" }),
            );
            assert_eq!(record["attempts"][0]["cause"], "caller_left", "{record:#}");
            assert_eq!(record["attempts"][0]["end_ms"], record["total_ms"]);
            // The upstream may have read it by then.
            assert!(record["usage_estimated"]["input"].as_u64().unwrap() > 0, "{record:#}");
            if status == 499 {
                assert_eq!(record["attempts"][0]["usage_estimated"], record["usage_estimated"], "{record:#}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_says_so() {
    for (act, code) in [(Act::ResetMidStream(3), "upstream_truncated"), (Act::StreamError(3), "")] {
        for caller in [Caller::Chat, Caller::Messages] {
            let (gateway, _mock) = start(Caller::Chat, [act.clone()], "").await;
            let answer = caller.ask(gateway.address, "up/m1", "hello", true).await.expect_status(200);
            let record = last(&gateway, 0).await;
            assert_has(&record, &json!({ "status": 200, "outcome": "broke_off", "bytes_out": answer.body.len() }));
            assert_eq!(record["error"]["origin"], "upstream", "{record:#}");
            assert!(code.is_empty() || record["error"]["code"] == code, "{record:#}");
            assert_eq!(record["attempts"][0]["cause"], "broke_off");
            assert!(record["usage_estimated"]["output"].as_u64().unwrap() > 0, "{record:#}");
        }
    }
}

#[tokio::test]
async fn facts_are_those_of_the_rules_and_hold_no_secret() {
    let more = "rules: |\n  when header(\"x-team\") == \"a\" and tag(\"env\") == \"prod\" -> up/m2\n  \
                when header(\"authorization\") == \"x\" -> up/m3\n  when tool(\"bash\") and messages > 9 -> up/m4\n  \
                otherwise -> as requested\n";
    let (gateway, _mock) = start(Caller::Chat, [Act::Answer], more).await;
    let mut body = Caller::Chat.body("up/m1", "hello", false);
    body["user"] = json!("ada");
    body["metadata"] = json!({ "env": "test", "city": "secret-city" });
    let headers = [("x-team", "b"), ("authorization", "Bearer secret-key"), ("x-routeplane-tag-shift", "night")];
    let body = body.to_string();
    http_client::request(gateway.address, "POST", "/v1/chat/completions", &headers, body.as_bytes())
        .await
        .expect_status(200);
    let record = last(&gateway, 0).await;
    let facts = &record["facts"];
    assert_has(
        facts,
        &json!({
            "user": "ada", "session": null, "header(x-team)": "b", "tag(env)": "test", "tool(bash)": false, "messages": 1,
            "tools": 0, "output": "text", "reasoning": "none", "last_tool": null,
        }),
    );
    assert_eq!(record["tags"], json!({ "shift": "night" }));
    assert!(facts.as_object().unwrap().contains_key("session"), "absent is not unknown: {facts:#}");
    assert!(!record.to_string().contains("secret") && !record.to_string().contains("hello"), "{record:#}");
}

#[tokio::test]
async fn facts_inside_the_conversation_are_unknown_where_nobody_read_it() {
    let (gateway, _mock) = start(Caller::Chat, [Act::Answer], "").await;
    Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    let record = last(&gateway, 0).await;
    let names: Vec<&String> = record["facts"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["user", "session"]);
}

#[tokio::test]
async fn the_list_gives_what_is_new() {
    let (gateway, _mock) = start(Caller::Chat, [Act::Answer], "").await;
    for _ in 0..3 {
        Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    }
    records(&gateway, 3).await;
    let numbers = async |query: &str| {
        let answer =
            http_client::get(gateway.address, &format!("/admin/requests{query}")).await.expect_status(200).json();
        answer["requests"].as_array().unwrap().iter().map(|one| one["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers("").await, [3, 2, 1]);
    assert_eq!(numbers("?after=1").await, [3, 2]);
    assert_eq!(numbers("?limit=1").await, [3]);
    assert_eq!(numbers("?after=3").await, [0; 0]);
}
