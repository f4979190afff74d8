//! Targets that fail again and again: passed over, shown, and back when they answer.

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client;
use crate::mock_upstream::{Act, MockUpstream};

const ROUTES: &str =
    "retries: { attempts: 1 }\npresets:\n  both: { route: first/m1 > second/m1 }\n  only: { route: first/m1 }\n";

async fn behind(acts: Vec<Act>) -> (Gateway, MockUpstream, MockUpstream) {
    let (first, second) = (MockUpstream::start(acts).await, MockUpstream::good().await);
    let yaml = providers(&[("first", "openai-chat", &first), ("second", "openai-chat", &second)]) + ROUTES;
    (Gateway::start(&yaml).await, first, second)
}

async fn served_by(gateway: &Gateway, model: &str) -> Option<String> {
    let answer = Caller::Chat.ask(gateway.address, model, "hello", false).await;
    (answer.status == 200).then(|| answer.header("x-routeplane-target").unwrap().to_owned())
}

async fn target(gateway: &Gateway, name: &str) -> Value {
    let health = http_client::get(gateway.address, "/admin/health").await;
    let health: Value = serde_json::from_slice(&health.body).unwrap();
    let targets = health["targets"].as_array().unwrap();
    targets.iter().find(|target| target["target"] == name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn five_failures_in_a_row_and_a_target_is_passed_over_until_it_answers() {
    let failing = std::iter::repeat_n(Act::status(500), 5).chain([Act::Answer]);
    let (gateway, first, _second) = behind(failing.collect()).await;
    for _ in 0..5 {
        assert_eq!(served_by(&gateway, "@both").await.as_deref(), Some("second/m1"));
    }
    assert_eq!(target(&gateway, "first/m1").await["condition"], "cooling");
    let metrics = String::from_utf8(http_client::get(gateway.address, "/metrics").await.body).unwrap();
    let labels = "{provider=\"first\",model=\"m1\"} 1";
    for name in ["routeplane_circuit_open", "routeplane_circuit_openings_total"] {
        assert!(metrics.contains(&format!("{name}{labels}")), "{metrics}");
    }
    let status = http_client::get(gateway.address, "/admin/config/status").await;
    let status: Value = serde_json::from_slice(&status.body).unwrap();
    assert_eq!(status["cooling"][0]["target"], "first/m1");

    // Nothing else is left: it is asked all the same, and is back.
    assert_eq!(served_by(&gateway, "@only").await.as_deref(), Some("first/m1"));
    assert_eq!(first.requests().len(), 6);
    let back = target(&gateway, "first/m1").await;
    assert_eq!((&back["condition"], &back["samples"], &back["in_flight"]), (&json!("up"), &json!(6), &json!(0)));
    assert_eq!(served_by(&gateway, "@both").await.as_deref(), Some("first/m1"));
    assert!(gateway.log().contains("the target answers again"));
}

#[tokio::test]
async fn a_target_rests_as_long_as_it_asks() {
    let (gateway, first, _second) = behind(vec![Act::rate_limited("30")]).await;
    for _ in 0..3 {
        assert_eq!(served_by(&gateway, "@both").await.as_deref(), Some("second/m1"));
    }
    assert_eq!(first.requests().len(), 1);
    let resting = target(&gateway, "first/m1").await;
    assert!((20_000..=30_000).contains(&resting["cooling_ms"].as_u64().unwrap()), "{resting}");
    // With nothing else left, the caller gets the upstream's own words.
    let answer = Caller::Chat.ask(gateway.address, "@only", "hello", false).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("30")));
}

#[tokio::test]
async fn wrong_requests_cool_nothing() {
    let (gateway, first, _second) = behind(vec![Act::status(400)]).await;
    for _ in 0..7 {
        let answer = Caller::Chat.ask(gateway.address, "@both", "hello", false).await;
        assert_eq!(answer.status, 400);
    }
    assert_eq!(first.requests().len(), 7);
    assert_eq!(target(&gateway, "first/m1").await, Value::Null, "nothing was measured");
}

#[tokio::test]
async fn names_without_end_fill_neither_the_memory_nor_the_metrics() {
    const NAMES: usize = 90;
    // Five failures open a circuit, for each model by itself.
    let (gateway, first, _second) = behind(std::iter::repeat_n(Act::status(500), 5 * NAMES).collect()).await;
    for number in 0..NAMES {
        for _ in 0..5 {
            assert_eq!(served_by(&gateway, &format!("first/random-{number}")).await, None);
        }
    }
    assert_eq!(first.requests().len(), 5 * NAMES, "models beyond the room are asked all the same");
    let metrics = String::from_utf8(http_client::get(gateway.address, "/metrics").await.body).unwrap();
    let open = metrics.lines().filter(|line| line.starts_with("routeplane_circuit_open{")).count();
    assert!((1..=64).contains(&open), "{metrics}");
    let health = http_client::get(gateway.address, "/admin/health").await;
    let health: Value = serde_json::from_slice(&health.body).unwrap();
    assert_eq!(health["targets"].as_array().unwrap().len(), open);
}
