//! What answers cost: the header of whole answers, the metrics of all, and whose prices count.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::callers::Caller;
use crate::gateway::Gateway;
use crate::http_client;
use crate::mock_upstream::{Act, MockUpstream, dialect};

/// Prices whose sums differ for every kind of token.
const PRICES: &str = "{ input: 100, output: 10000, cache_read: 1 }";

/// What the mock's answer to `hello` costs at [`PRICES`], in USD: 7 tokens of new input, 4 of cached, 7 of output.
const COST: f64 = 0.070704;

/// A file with one provider, `up`, that speaks `upstream` and has `more` keys.
fn file(upstream: Caller, mock: &MockUpstream, more: &str) -> String {
    let (protocol, base_url) = (upstream.protocol(), mock.base_url(upstream.protocol()));
    format!(
        "version: 1\nproviders:\n  up: {{ protocol: {protocol}, base_url: \"{base_url}\", key: env:KEY_OF_up, {more} }}\n\
         presets:\n  listed: up/m1\n"
    )
}

async fn metrics(gateway: &Gateway) -> String {
    http_client::get(gateway.address, "/metrics").await.expect_status(200).text()
}

/// The value of one line of `/metrics`; 0 while the line is not there.
fn value(metrics: &str, name: &str) -> f64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits until no stream is open: from then on all are settled.
async fn settled(gateway: &Gateway) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let text = metrics(gateway).await;
        if value(&text, "routeplane_streams_open") == 0.0 {
            return text;
        }
        assert!(Instant::now() < deadline, "a stream stays open:\n{text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asserts what `up` has cost, in USD.
fn expect_cost(metrics: &str, expected: f64) {
    let cost = value(metrics, "routeplane_cost_usd_total{provider=\"up\"}");
    assert!((cost - expected).abs() < 1e-9, "{cost} instead of {expected} in\n{metrics}");
}

fn tokens(metrics: &str, kind: &str) -> f64 {
    value(metrics, &format!("routeplane_tokens_total{{provider=\"up\",kind=\"{kind}\"}}"))
}

#[test]
fn the_expected_cost_is_that_of_the_mock_s_answer() {
    assert_eq!((dialect::INPUT_TOKENS, dialect::CACHED_TOKENS, dialect::TEXT_TOKENS), (11, 4, 7));
}

#[tokio::test]
async fn a_streamed_answer_costs_what_the_whole_one_costs() {
    for upstream in Caller::ALL {
        let mock = MockUpstream::good().await;
        let gateway = Gateway::start(&file(upstream, &mock, &format!("prices: {{ m1: {PRICES} }}"))).await;
        let mut answers = 0.0;
        for caller in Caller::ALL {
            for model in ["up/m1", "@listed"] {
                let whole = caller.ask(gateway.address, model, "hello", false).await.expect_status(200);
                assert_eq!(whole.header("x-routeplane-cost-usd"), Some("0.070704"), "{caller:?} to {upstream:?}");
                answers += 1.0;
                expect_cost(&metrics(&gateway).await, answers * COST);

                let stream = caller.ask(gateway.address, model, "hello", true).await.expect_status(200);
                assert_eq!(stream.header("x-routeplane-cost-usd"), None, "{caller:?} to {upstream:?}");
                answers += 1.0;
                expect_cost(&settled(&gateway).await, answers * COST);
            }
        }
        let text = metrics(&gateway).await;
        assert_eq!((tokens(&text, "input"), tokens(&text, "output")), (answers * 11.0, answers * 7.0));
        assert_eq!((tokens(&text, "cached"), tokens(&text, "cache_write")), (answers * 4.0, 0.0));
    }
}

#[tokio::test]
async fn a_stream_that_its_caller_leaves_is_settled_with_what_was_reported() {
    let mock = MockUpstream::start([Act::StallMidStream(5)]).await;
    let gateway = Gateway::start(&file(Caller::Messages, &mock, &format!("prices: {{ m1: {PRICES} }}"))).await;
    for (left, caller) in (1_u8..).zip(Caller::ALL) {
        let mut connection = caller.begin(gateway.address, "up/m1", "hello", true).await;
        connection.head().await;
        assert!(connection.chunk().await.is_some());
        drop(connection);
        // The beginning reports all input and one token of output.
        let text = settled(&gateway).await;
        assert_eq!((tokens(&text, "input"), tokens(&text, "output")), (f64::from(left) * 11.0, f64::from(left)));
        expect_cost(&text, f64::from(left) * 0.010704);
    }
}

#[tokio::test]
async fn the_user_s_prices_win_over_the_catalogue_s() {
    let mock = MockUpstream::good().await;
    let more =
        format!("catalogue: openai, prices: {{ \"gpt-5-m*\": {{ input: 5, output: 0 }}, gpt-5-mini: {PRICES} }}");
    let gateway = Gateway::start(&file(Caller::Chat, &mock, &more)).await;
    for (model, expected) in [
        // The catalogue's 1.25, 0.125 and 10.
        ("up/gpt-5", Some("0.00007925")),
        // The id itself, although a pattern before it fits as well.
        ("up/gpt-5-mini", Some("0.070704")),
        // The pattern, whose cached input costs what input costs.
        ("up/gpt-5-mini-2025-08-07", Some("0.000055")),
        ("up/nobody-knows-this", None),
    ] {
        let answer = Caller::Chat.ask(gateway.address, model, "hello", false).await.expect_status(200);
        assert_eq!(answer.header("x-routeplane-cost-usd"), expected, "{model}");
    }
    expect_cost(&metrics(&gateway).await, 0.00007925 + 0.070704 + 0.000055);
}

#[tokio::test]
async fn an_answer_of_no_tokens_in_no_time_is_counted() {
    let answer = json!({
        "id": "c", "object": "chat.completion", "created": 0, "model": "m1",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": "" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 },
    });
    let act = Act::Respond { status: 200, headers: Vec::new(), body: answer.to_string().into_bytes() };
    let mock = MockUpstream::start([act]).await;
    let gateway = Gateway::start(&file(Caller::Chat, &mock, &format!("prices: {{ m1: {PRICES} }}"))).await;
    for caller in Caller::ALL {
        let answer = caller.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
        assert_eq!(answer.header("x-routeplane-cost-usd"), Some("0"), "{caller:?}");
    }
    expect_cost(&metrics(&gateway).await, 0.0);
}

#[test]
fn a_price_is_part_of_the_table() {
    let table = |price: &str| {
        let yaml = format!(
            "version: 1\nproviders:\n  up: {{ protocol: openai-chat, base_url: \"http://127.0.0.1:9/v1\", auth: none, \
             prices: {{ m1: {{ input: {price} }} }} }}\n"
        );
        crate::table::compile(&yaml, &[]).table.unwrap().id
    };
    assert_ne!(table("1"), table("2"));
}
