//! Rate limits on the running gateway: whom they count, what they take before an attempt and settle after it, what a caller is
//! told.

use serde_json::{Value, json};

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream};
use crate::records::records;

fn file(mock: &MockUpstream, rest: &str) -> String {
    format!("{}{rest}", providers(&[("up", "openai-chat", mock)]))
}

async fn ask(gateway: &Gateway, body: &Value, headers: &[(&str, &str)]) -> Response {
    let headers = [&[("content-type", "application/json")], headers].concat();
    http_client::request(gateway.address, "POST", "/v1/chat/completions", &headers, body.to_string().as_bytes()).await
}

fn chat(model: &str, more: Value) -> Value {
    let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn statuses(gateway: &Gateway, body: &Value, headers: &[(&str, &str)], times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(ask(gateway, body, headers).await.status);
    }
    statuses
}

#[tokio::test]
async fn every_caller_is_told_in_its_dialect_and_when_to_come_back() {
    let mock = MockUpstream::good().await;
    let gateway = Gateway::start(&file(&mock, "rate_limits: { few: { attempts: 1/day } }\n")).await;
    Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    for caller in Caller::ALL {
        for stream in [false, true] {
            let refused = caller.ask(gateway.address, "up/m1", "hello", stream).await;
            assert_eq!(refused.status, caller.status(429), "{caller:?}");
            let (_, message) = caller.error(&refused.json());
            assert!(message.contains("`few` is used up (1 attempt a day)"), "{message}");
            assert_eq!(refused.header("x-routeplane-code"), Some("rate_limited"));
            assert_eq!(refused.header("x-routeplane-origin"), Some("gateway"));
            let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
            assert!((80_000..=86_400).contains(&seconds), "{seconds}");
        }
    }
    assert_eq!(mock.requests().len(), 1);
    let metrics = http_client::get(gateway.address, "/metrics").await.text();
    let count =
        format!("routeplane_rate_limited_total{{limit=\"few\",resource=\"attempts\"}} {}", 2 * Caller::ALL.len());
    assert!(metrics.lines().any(|line| line == count), "{metrics}");
}

#[tokio::test]
async fn each_subject_has_its_own_and_the_highest_priority_holds() {
    let mock = MockUpstream::good().await;
    let limits = r#"rate_limits:
  each: { scope: { tag("customer"): each }, priority: 1, attempts: 1/day }
  big: { scope: { tag("customer"): [big, huge] }, priority: 2, attempts: 3/day }
  tagged: { scope: { tag("job"): total }, attempts: 2/day }
"#;
    let gateway = Gateway::start(&file(&mock, limits)).await;
    let body = chat("up/m1", json!({}));
    let customer =
        async |name: &str, times| statuses(&gateway, &body, &[("x-routeplane-tag-customer", name)], times).await;
    assert_eq!(customer("a", 2).await, [200, 429]);
    assert_eq!(customer("b", 2).await, [200, 429]);
    // The lower priority does not hold, and the two share what they have.
    assert_eq!(customer("big", 2).await, [200, 200]);
    assert_eq!(customer("huge", 2).await, [200, 429]);
    assert_eq!(statuses(&gateway, &body, &[], 2).await, [200, 200]);
    let mut jobs = Vec::new();
    for job in ["x", "y", "z"] {
        jobs.extend(statuses(&gateway, &body, &[("x-routeplane-tag-job", job)], 1).await);
    }
    assert_eq!(jobs, [200, 200, 429]);
}

#[tokio::test]
async fn what_one_target_may_not_have_the_next_one_answers() {
    let (first, second) = (MockUpstream::good().await, MockUpstream::good().await);
    let yaml = format!(
        "{}presets: {{ r: one/m1 > two/m1 }}\nrate_limits: {{ one: {{ scope: {{ provider: one }}, attempts: 1/day }} }}\n",
        providers(&[("one", "openai-chat", &first), ("two", "openai-chat", &second)])
    );
    let gateway = Gateway::start(&yaml).await;
    let body = chat("@r", json!({}));
    assert_eq!(statuses(&gateway, &body, &[], 3).await, [200, 200, 200]);
    assert_eq!((first.requests().len(), second.requests().len()), (1, 2));
    let records = records(&gateway, 3).await;
    let causes = records.iter().map(|record| record["attempts"][0]["cause"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(causes, ["ok", "rate_limited", "rate_limited"]);
}

#[tokio::test]
async fn tokens_are_taken_before_and_settled_after() {
    let mock = MockUpstream::good().await;
    let spent = |answer: &Response| answer.json()["usage"]["total_tokens"].as_u64().unwrap();
    let probe = Gateway::start(&file(&mock, "")).await;
    let one = spent(&ask(&probe, &chat("up/m1", json!({})), &[]).await.expect_status(200));
    // Room for what two answers take, and for the estimate of one with 1,000 tokens of answer.
    let limit = 1_100 + one;
    let gateway = Gateway::start(&file(&mock, &format!("rate_limits: {{ t: {{ tokens: {limit}/day }} }}\n"))).await;
    let long = chat("up/m1", json!({ "max_tokens": 1000 }));
    for stream in [false, true] {
        let mut body = long.clone();
        body["stream"] = stream.into();
        body["stream_options"] = if stream { json!({ "include_usage": true }) } else { Value::Null };
        let answer = ask(&gateway, &body, &[]).await.expect_status(200);
        assert!(answer.complete);
    }
    // Two answers have been settled at what they took. What never fits is said so, and is told no time.
    let never = ask(&gateway, &chat("up/m1", json!({ "max_tokens": 5000 })), &[]).await.expect_status(429);
    assert!(never.text().contains("has no room for") && never.header("retry-after").is_none(), "{}", never.text());
    let few = chat("up/m1", json!({ "max_tokens": 1100 }));
    let full = ask(&gateway, &few, &[]).await.expect_status(429);
    assert!(full.text().contains("is used up") && full.header("retry-after").is_some(), "{}", full.text());
    // Without a limit of its own an answer is counted afterwards.
    assert_eq!(statuses(&gateway, &chat("up/m1", json!({})), &[], 1).await, [200]);
}

#[tokio::test]
async fn an_attempt_without_an_answer_gives_its_tokens_back_but_counts() {
    let mock = MockUpstream::start([Act::status(500), Act::Answer]).await;
    let rest = "retries: { attempts: 1 }\nrate_limits: { t: { tokens: 1k/day, attempts: 2/day } }\n";
    let gateway = Gateway::start(&file(&mock, rest)).await;
    let body = chat("up/m1", json!({ "max_tokens": 900 }));
    assert_eq!(statuses(&gateway, &body, &[], 3).await, [500, 200, 429]);
    assert_eq!(mock.requests().len(), 2);
}

#[tokio::test]
async fn cost_is_counted_at_the_targets_prices() {
    let mock = MockUpstream::good().await;
    let url = mock.base_url("openai-chat");
    let yaml = |limits: &str| {
        format!(
            "version: 1\nproviders:\n  up: {{ protocol: openai-chat, base_url: \"{url}\", key: env:KEY_OF_up, \
             prices: {{ m1: {{ input: 0, output: 1000000 }} }} }}\n{limits}"
        )
    };
    let short = chat("up/m1", json!({ "max_tokens": 1 }));
    let probe = Gateway::start(&yaml("")).await;
    let answer = ask(&probe, &short, &[]).await.expect_status(200);
    // A dollar a token.
    let tokens = answer.json()["usage"]["completion_tokens"].as_u64().unwrap();
    assert_eq!(answer.header("x-routeplane-cost-usd").unwrap(), tokens.to_string());
    let gateway = Gateway::start(&yaml(&format!("rate_limits: {{ money: {{ cost: {tokens}/day }} }}\n"))).await;
    let dear = ask(&gateway, &chat("up/m1", json!({ "max_tokens": tokens + 1 })), &[]).await.expect_status(429);
    assert!(dear.text().contains(&format!("has no room for {} USD", tokens + 1)), "{}", dear.text());
    // The estimate was one dollar; what it took is what counts.
    assert_eq!(statuses(&gateway, &short, &[], 2).await, [200, 429]);
}

#[tokio::test]
async fn a_model_without_a_price_counts_what_the_file_says() {
    let mock = MockUpstream::good().await;
    let limits = "rate_limits: { money: { cost: 1/day, unpriced: 0.5 }, loose: { cost: 1/hour } }\n";
    let gateway = Gateway::start(&file(&mock, limits)).await;
    assert_eq!(statuses(&gateway, &chat("up/m1", json!({})), &[], 3).await, [200, 200, 429]);
    let status = http_client::get(gateway.address, "/admin/config/status").await.json();
    assert_eq!(status["limited_subjects"], 2);
    assert_eq!(mock.requests().len(), 2);
}

#[tokio::test]
async fn values_that_are_spelt_as_our_words_are_values_in_a_list() {
    let mock = MockUpstream::good().await;
    let limits = "rate_limits: { odd: { scope: { tag(\"pass\"): [each, each] }, attempts: 1/day } }\n";
    let gateway = Gateway::start(&file(&mock, limits)).await;
    let body = chat("up/m1", json!({}));
    assert_eq!(statuses(&gateway, &body, &[("x-routeplane-tag-pass", "other")], 2).await, [200, 200]);
    assert_eq!(statuses(&gateway, &body, &[("x-routeplane-tag-pass", "each")], 2).await, [200, 429]);
}

#[tokio::test]
async fn a_reload_keeps_what_was_counted() {
    let mock = MockUpstream::good().await;
    let limits =
        |amount: u32| format!("rate_limits: {{ few: {{ attempts: {amount}/day }}, other: {{ attempts: 90/day }} }}\n");
    let gateway = Gateway::start(&file(&mock, &limits(5))).await;
    let body = chat("up/m1", json!({}));
    assert_eq!(statuses(&gateway, &body, &[], 3).await, [200; 3]);
    gateway.edit(&file(&mock, &limits(2)));
    gateway.cli(&["reload"]).await;
    assert_eq!(statuses(&gateway, &body, &[], 1).await, [429]);
    gateway.edit(&file(&mock, &limits(4)));
    gateway.cli(&["reload"]).await;
    assert_eq!(statuses(&gateway, &body, &[], 2).await, [200, 429]);
}

#[tokio::test]
async fn tensorzeros_tags_count_and_its_clients_get_429() {
    let mock = MockUpstream::good().await;
    let rest = r#"presets: { small: up/m1, f.v1: "@small", f.v2: "@small", f: "@f.v1 > @f.v2" }
tensorzero:
  functions: { f: { type: chat, variants: { v1: "@f.v1", v2: "@f.v2" } } }
  models: { small: "@small" }
rate_limits: { each: { scope: { tag("user"): each }, attempts: 1/day } }
"#;
    let gateway = Gateway::start(&file(&mock, rest)).await;
    let infer = async |user: &str, variant: Option<&str>| {
        let body = json!({ "function_name": "f", "variant_name": variant, "tags": { "user": user },
            "input": { "messages": [{ "role": "user", "content": "hi" }] } });
        http_client::post(gateway.address, "/inference", &body).await
    };
    assert_eq!(infer("a", None).await.status, 200);
    let refused = infer("a", None).await.expect_status(429).json();
    assert!(refused["error"].as_str().unwrap().contains("`each` is used up"), "{refused}");
    assert_eq!(infer("a", Some("v1")).await.status, 429);
    assert_eq!(infer("b", Some("v2")).await.status, 200);
}
