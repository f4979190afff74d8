//! Hedges and shadows over scripted upstreams: who answers, what is dropped, what is compared.

use std::time::Duration;

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Connection};
use crate::mock_upstream::{Act, MockUpstream, dialect};

async fn behind(route: &str, first: Act, second: Act) -> (Gateway, MockUpstream, MockUpstream) {
    let (first, second) = (MockUpstream::start([first]).await, MockUpstream::start([second]).await);
    let entries = [("first", "openai-chat", &first), ("second", "anthropic-messages", &second)];
    let file = format!("{}retries: {{ attempts: 1 }}\npresets:\n  r: \"{route}\"\n", providers(&entries));
    (Gateway::start(&file).await, first, second)
}

const SOON: &str = "hedge(first/m1, second/m1, after 50ms)";
const LATE: &str = "hedge(first/m1, second/m1, after 5m)";

async fn metrics(gateway: &Gateway) -> String {
    String::from_utf8(http_client::get(gateway.address, "/metrics").await.body).unwrap()
}

/// Waits until the metrics hold `line`.
async fn wait_for_metric(gateway: &Gateway, line: &str) {
    for _ in 0..400 {
        if metrics(gateway).await.contains(line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no {line} in\n{}", metrics(gateway).await);
}

/// The record of the one call, which comes a moment after its answer.
async fn recorded(gateway: &Gateway) -> String {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let records = http_client::get(gateway.address, "/admin/requests").await.json();
        if !records["requests"].as_array().unwrap().is_empty() {
            return records.to_string();
        }
        assert!(tokio::time::Instant::now() < deadline, "no record");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_second_answers_where_the_first_is_slow_and_the_first_is_dropped() {
    for stream in [false, true] {
        for slow in [Act::StallBeforeHead, Act::StallMidStream(1)] {
            if !stream && matches!(slow, Act::StallMidStream(_)) {
                continue;
            }
            let (gateway, first, second) = behind(SOON, slow, Act::Answer).await;
            let answer = Caller::Chat.ask(gateway.address, "@r", "hello", stream).await.expect_status(200);
            assert_eq!(answer.header("x-routeplane-target"), Some("second/m1"));
            assert_eq!(answer.header("x-routeplane-attempts"), Some("2"));
            let heard = if stream { Caller::Chat.heard_in_stream(&answer) } else { Caller::Chat.heard(&answer) };
            assert_eq!(heard.text, dialect::TEXT, "nothing of the first is in it");
            first.wait_for_hang_up(0).await;
            assert!(second.only_request().finished);
            let outcome = "routeplane_hedges_total{provider=\"second\",model=\"m1\",outcome=\"second\"} 1";
            wait_for_metric(&gateway, outcome).await;
            // What the first may have taken is an estimate.
            wait_for_metric(&gateway, "routeplane_tokens_estimated_total{provider=\"first\",kind=\"input\"}").await;
            let text = recorded(&gateway).await;
            assert!(text.contains("\"cause\":\"outrun\"") && text.contains("\"cause\":\"ok\""), "{text}");
        }
    }
}

#[tokio::test]
async fn a_caller_with_wishes_of_its_own_is_hedged_too() {
    let (first, second) = (MockUpstream::start([Act::StallBeforeHead]).await, MockUpstream::start([Act::Answer]).await);
    let entries = [("first", "openai-chat", &first), ("second", "anthropic-messages", &second)];
    let file = format!("{}allow_request_routing: true\npresets:\n  r: \"{SOON}\"\n", providers(&entries));
    let gateway = Gateway::start(&file).await;
    let body = json!({ "model": "@r", "messages": [{ "role": "user", "content": "hello" }], "models": ["second/m2"] });
    let answer = http_client::post(gateway.address, "/v1/chat/completions", &body).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-target"), Some("second/m1"));
    first.wait_for_hang_up(0).await;
}

#[tokio::test]
async fn the_second_is_not_asked_where_the_first_is_quick() {
    let (gateway, first, second) = behind(LATE, Act::Answer, Act::Answer).await;
    let answer = Caller::Messages.ask(gateway.address, "@r", "hello", true).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-target"), Some("first/m1"));
    assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
    assert!(!metrics(&gateway).await.contains("routeplane_hedges_total{"));
}

#[tokio::test]
async fn a_first_that_fails_is_not_waited_for() {
    let (gateway, first, second) = behind(LATE, Act::status(500), Act::Answer).await;
    let answer = Caller::Chat.ask(gateway.address, "@r", "hello", false).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-target"), Some("second/m1"));
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_second_that_fails_leaves_the_first() {
    let slow = Act::AnswerAfter(Duration::from_millis(400));
    let (gateway, first, second) = behind(SOON, slow, Act::status(500)).await;
    let answer = Caller::Chat.ask(gateway.address, "@r", "hello", false).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-target"), Some("first/m1"));
    assert!(first.only_request().hung_up.is_none() && second.requests().len() == 1);
}

#[tokio::test]
async fn where_both_fail_the_caller_is_told_and_what_stands_behind_is_tried() {
    let slow = Act::AnswerAfter(Duration::from_secs(60));
    let (gateway, _first, _second) = behind(LATE, Act::status(503), Act::status(529)).await;
    let answer = Caller::Chat.ask(gateway.address, "@r", "hello", false).await;
    assert_eq!((answer.status, answer.header("x-routeplane-attempts")), (529, Some("2")));
    let nested = "hedge(first/m1, hedge(first/m2, first/m3, after 5m), after 5m) > second/m1";
    let (gateway, first, second) = behind(nested, Act::status(500), Act::Answer).await;
    let answer = Caller::Chat.ask(gateway.address, "@r", "hello", false).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-target"), Some("second/m1"));
    assert_eq!((first.requests().len(), second.requests().len()), (3, 1));
    // A request that is itself wrong is wrong everywhere.
    let (gateway, _first, second) = behind(SOON, Act::status(400), slow).await;
    let answer = Caller::Chat.ask(gateway.address, "@r", "hello", false).await;
    assert_eq!((answer.status, second.requests().len()), (400, 0));
}

#[tokio::test]
async fn a_caller_that_leaves_takes_both_with_it() {
    let (gateway, first, second) = behind(SOON, Act::StallBeforeHead, Act::StallBeforeHead).await;
    let mut connection = Connection::open(gateway.address).await;
    let body = json!({ "model": "@r", "messages": [{ "role": "user", "content": "hello" }] }).to_string();
    let headers = [("content-type", "application/json")];
    connection.send("POST", "/v1/chat/completions", &headers, body.as_bytes()).await;
    second.wait_for_requests(1).await;
    drop(connection);
    first.wait_for_hang_up(0).await;
    second.wait_for_hang_up(0).await;
    // The record is closed once all that worked for the caller is gone.
    for _ in 0..400 {
        let records = http_client::get(gateway.address, "/admin/requests").await.text();
        if records.contains("first/m1") && records.contains("second/m1") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no record of both: {}", http_client::get(gateway.address, "/admin/requests").await.text());
}

const SHADOW: &str = "shadow(first/m1, mirror second/m9, sample 100%)";

#[tokio::test]
async fn a_mirror_gets_its_own_copy_and_is_compared() {
    for stream in [false, true] {
        let (gateway, first, second) = behind(SHADOW, Act::Answer, Act::Answer).await;
        let answer = Caller::Chat.ask(gateway.address, "@r", "hello", stream).await.expect_status(200);
        assert_eq!(answer.header("x-routeplane-target"), Some("first/m1"));
        assert_eq!(answer.header("x-routeplane-attempts"), Some("1"));
        wait_for_metric(&gateway, "routeplane_shadows_total{provider=\"second\",model=\"m9\",outcome=\"same\"} 1")
            .await;
        let sent: Value = serde_json::from_slice(&second.only_request().request.body).unwrap();
        assert_eq!(sent["model"], "m9");
        assert_eq!(first.requests().len(), 1);
        assert!(gateway.log().contains("compared with a mirror"));
    }
}

#[tokio::test]
async fn a_mirror_that_fails_or_hangs_changes_nothing() {
    let (gateway, _first, _second) = behind(SHADOW, Act::Answer, Act::status(500)).await;
    Caller::Chat.ask(gateway.address, "@r", "hello", false).await.expect_status(200);
    wait_for_metric(&gateway, "routeplane_shadows_total{provider=\"second\",model=\"m9\",outcome=\"failed\"} 1").await;

    // So many at once, and no more.
    let (gateway, _first, second) = behind(SHADOW, Act::Answer, Act::StallBeforeHead).await;
    for _ in 0..34 {
        Caller::Chat.ask(gateway.address, "@r", "hello", false).await.expect_status(200);
    }
    second.wait_for_requests(32).await;
    wait_for_metric(&gateway, "routeplane_shadows_total{provider=\"second\",model=\"m9\",outcome=\"dropped\"} 2").await;
    assert_eq!(second.requests().len(), 32);
}

/// A request sees one file, from its first byte to its last: also the second side of a hedge, which may start long after.
#[tokio::test]
async fn a_reload_in_the_middle_of_a_hedge_changes_nothing_for_it() {
    for stream in [false, true] {
        let first = MockUpstream::start([Act::StallBeforeHead]).await;
        let (second, third) = (MockUpstream::good().await, MockUpstream::good().await);
        let entries = [
            ("first", "openai-chat", &first),
            ("second", "anthropic-messages", &second),
            ("third", "openai-chat", &third),
        ];
        let once = "retries: { attempts: 1 }\n";
        let gateway = Gateway::start(&format!("{}{once}presets:\n  r: \"{LATE}\"\n", providers(&entries))).await;
        let mut waiting = Caller::Chat.begin(gateway.address, "@r", "hello", stream).await;
        first.wait_for_requests(1).await;

        let entries = [("third", "openai-chat", &third)];
        gateway.edit(&format!("{}presets:\n  r: third/m1\n", providers(&entries)));
        gateway.cli(&["reload"]).await;
        let answer = Caller::Chat.ask(gateway.address, "@r", "hello", stream).await.expect_status(200);
        let told = |answer: &http_client::Response, name: &str| answer.header(name).map(str::to_owned);
        assert_eq!(told(&answer, "x-routeplane-target").as_deref(), Some("third/m1"));
        assert_ne!(told(&answer, "x-routeplane-generation").as_deref(), Some("1"));

        // The first fails, and a provider that the new file does not know takes over, by the old one.
        drop(first);
        let answer = waiting.response().await.expect_status(200);
        assert_eq!(told(&answer, "x-routeplane-target").as_deref(), Some("second/m1"));
        assert_eq!(told(&answer, "x-routeplane-generation").as_deref(), Some("1"));
        assert_eq!(told(&answer, "x-routeplane-attempts").as_deref(), Some("2"));
        assert!(answer.complete, "{}", answer.text());
        second.only_request();
    }
}

#[tokio::test]
async fn a_caller_that_leaves_after_a_reload_takes_both_sides_with_it() {
    let (gateway, first, second) = behind(SOON, Act::StallBeforeHead, Act::StallBeforeHead).await;
    let waiting = Caller::Chat.begin(gateway.address, "@r", "hello", true).await;
    first.wait_for_requests(1).await;
    second.wait_for_requests(1).await;
    gateway.edit("version: 1\npresets:\n  r: demo/chat\n");
    gateway.cli(&["reload"]).await;
    let answer = Caller::Chat.ask(gateway.address, "@r", "hello", false).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-target"), Some("demo/chat"));
    assert!(first.only_request().hung_up.is_none() && second.only_request().hung_up.is_none());
    drop(waiting);
    first.wait_for_hang_up(0).await;
    second.wait_for_hang_up(0).await;
}
