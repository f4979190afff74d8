//! What functions of an application need of presets: experiments, chains that are repeated, times that nest.

use std::time::Duration;

use serde_json::json;

use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::{Act, MockUpstream};

/// Two targets that play `first` and `second`, and a gateway with `presets` in front of them.
struct Setup {
    gateway: Gateway,
    first: MockUpstream,
    second: MockUpstream,
}

impl Setup {
    async fn start(first: Vec<Act>, second: Vec<Act>, presets: &str) -> Setup {
        let (first, second) = (MockUpstream::start(first).await, MockUpstream::start(second).await);
        let entries = [("first", "openai-chat", &first), ("second", "openai-chat", &second)];
        let yaml = format!("{}retries: {{ attempts: 1 }}\npresets:\n{presets}", providers(&entries));
        Setup { gateway: Gateway::start(&yaml).await, first, second }
    }

    async fn ask(&self, model: &str, stream: bool) -> Response {
        let body = json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "hello" }] });
        http_client::post(self.gateway.address, "/v1/chat/completions", &body).await
    }

    fn counts(&self) -> (usize, usize) {
        (self.first.requests().len(), self.second.requests().len())
    }
}

#[tokio::test]
async fn a_chain_is_repeated_as_a_whole() {
    let bad = || Act::status(400);
    let presets = "  chain: { route: first/m1 > second/m1, retries: { attempts: 3, around: chain, backoff: 10ms } }\n";
    let setup = Setup::start(vec![bad()], vec![Act::status(500), bad(), Act::Answer], presets).await;
    let answer = setup.ask("@chain", false).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-target"), Some("second/m1"));
    assert_eq!(answer.header("x-routeplane-attempts"), Some("6"));
    assert_eq!(setup.counts(), (3, 3));
}

#[tokio::test]
async fn a_chain_ends_with_its_attempts_and_what_stands_after_it_follows() {
    let presets = "  chain: { route: first/m1, retries: { attempts: 2, around: chain, backoff: 10ms } }\n  all: \"@chain > second/m1\"\n";
    let setup = Setup::start(vec![Act::status(400)], vec![Act::Answer], presets).await;
    setup.ask("@all", false).await.expect_status(200);
    assert_eq!(setup.counts(), (2, 1));
    // By itself it gives up with the last failure.
    setup.ask("@chain", false).await.expect_status(400);
    assert_eq!(setup.counts(), (4, 1));
}

#[tokio::test]
async fn a_chain_is_repeated_after_the_failures_that_it_lists() {
    let presets = "  chain: { route: first/m1, retries: { attempts: 3, around: chain, on: 5xx, backoff: 10ms } }\n";
    let setup = Setup::start(vec![Act::status(500), Act::status(404)], vec![Act::Answer], presets).await;
    setup.ask("@chain", false).await.expect_status(404);
    assert_eq!(setup.counts(), (2, 0));
}

#[tokio::test]
async fn every_failure_falls_through_where_the_file_says_so() {
    for status in [400, 401, 404, 422] {
        let presets = "  any: { route: first/m1 > second/m1, fall_through: any }\n  usual: first/m1 > second/m1\n";
        let setup = Setup::start(vec![Act::status(status)], vec![Act::Answer], presets).await;
        setup.ask("@any", false).await.expect_status(200);
        assert_eq!(setup.counts(), (1, 1), "{status}");
        let stops = matches!(status, 400 | 422);
        setup.ask("@usual", false).await.expect_status(if stops { status } else { 200 });
    }
}

#[tokio::test]
async fn the_time_of_a_preset_ends_what_it_leads_to_and_nothing_else() {
    let presets = "  quick: { route: first/m1 > first/m2, timeout: { around: preset, whole: 300ms, first_token: 300ms } }\n  \
                   all: \"@quick > second/m1\"\n";
    let setup = Setup::start(vec![Act::StallBeforeHead], vec![Act::Answer], presets).await;
    for (stream, asked) in [(false, 1), (true, 2)] {
        let answer = setup.ask("@all", stream).await.expect_status(200);
        assert_eq!(answer.header("x-routeplane-target"), Some("second/m1"), "stream {stream}");
        // The second target of the preset has no time left.
        assert_eq!(setup.counts(), (asked, asked), "stream {stream}");
    }
    let late = setup.ask("@quick", false).await.expect_status(504);
    assert!(late.text().contains("no answer within 300 ms"), "{}", late.text());
}

#[tokio::test]
async fn times_of_presets_hold_inside_each_other() {
    let presets = "  one: { route: first/m1, timeout: { around: preset, total: 200ms } }\n  \
                   chain: { route: \"@one > second/m1\", timeout: { around: preset, total: 20s }, \
                   retries: { attempts: 2, around: chain, backoff: 10ms } }\n";
    let setup = Setup::start(vec![Act::StallBeforeHead], vec![Act::status(500), Act::Answer], presets).await;
    let answer = setup.ask("@chain", false).await.expect_status(200);
    assert_eq!(answer.header("x-routeplane-attempts"), Some("4"));
    assert_eq!(setup.counts(), (2, 2));
}

#[tokio::test]
async fn a_stream_that_has_begun_ends_with_the_time_of_its_preset() {
    let presets = "  short: { route: first/m1, timeout: { around: preset, stream: 400ms } }\n";
    let setup = Setup::start(vec![Act::SlowStream(Duration::from_millis(150))], vec![Act::Answer], presets).await;
    let answer = setup.ask("@short", true).await.expect_status(200);
    let events = answer.events();
    assert!(events.iter().any(|event| event.contains("\"error\"")), "{events:?}");
    assert!(!events.iter().any(|event| event.contains("[DONE]")), "{events:?}");
}

#[tokio::test]
async fn an_episode_keeps_its_variant_and_presets_may_have_any_name() {
    let presets = "  \"my fn\":\n    route: 'split(0.5 @\"v: 1\", 0.5 @v2)'\n    sticky: episode\n  \"v: 1\": first/m1\n  v2: second/m1\n";
    let setup = Setup::start(vec![Act::Answer], vec![Act::Answer], presets).await;
    let body = json!({ "model": "my fn", "messages": [{ "role": "user", "content": "hello" }] }).to_string();
    let ask = async |episode: u32| {
        let episode = format!("019b0000-0000-7000-8000-{episode:012}");
        let headers = [("x-routeplane-episode", episode.as_str())];
        let answer =
            http_client::request(setup.gateway.address, "POST", "/v1/chat/completions", &headers, body.as_bytes());
        let answer = answer.await.expect_status(200);
        answer.header("x-routeplane-target").unwrap().to_owned()
    };
    let mut seen = std::collections::BTreeSet::new();
    for episode in 0..12 {
        let target = ask(episode).await;
        for _ in 0..3 {
            assert_eq!(ask(episode).await, target);
        }
        seen.insert(target);
    }
    assert_eq!(seen.len(), 2);
}

// === edits of what is sent

/// A gateway with `presets` in front of one upstream, and what arrives when `model` is asked.
async fn sent(presets: &str, model: &str, message: &str) -> (serde_json::Value, Vec<(String, String)>) {
    let mock = MockUpstream::good().await;
    let yaml = format!("{}presets:\n{presets}", providers(&[("first", "openai-chat", &mock)]));
    let gateway = Gateway::start(&yaml).await;
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": message }] });
    http_client::post(gateway.address, "/v1/chat/completions", &body).await.expect_status(200);
    let request = mock.only_request().request;
    (serde_json::from_slice(&request.body).unwrap(), request.headers)
}

#[tokio::test]
async fn edits_of_a_body_are_made_in_their_order() {
    let presets = r#"  p:
    route: first/m1
    body:
      - set: { /extra/deep: { a: 1 }, /messages/-: { role: user, content: more } }
      - { set: { /extra/deep/b: 2, /messages/-: { role: user, content: last } }, remove: [/extra/deep/a, /absent/member] }
"#;
    let (body, _) = sent(presets, "@p", "hello").await;
    assert_eq!(body["extra"], json!({ "deep": { "b": 2 } }));
    let texts: Vec<&str> =
        body["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap()).collect();
    assert_eq!(texts, ["hello", "more", "last"]);
}

#[tokio::test]
async fn the_last_edits_come_after_those_of_presets_around_them() {
    let inner = |last: &str| {
        format!(
            "  inner: {{ route: first/m1, body: {{ set: {{ /x: inner, /y: inner }}{last} }}, headers: {{ set: {{ x-a: inner }}{last} }} }}\n"
        )
    };
    let outer = "  outer: { route: \"@inner\", body: { set: { /x: outer, /z: outer }, remove: [/y] }, headers: { set: { x-a: outer } } }\n";
    for (last, x, y, header) in
        [("", json!("outer"), None, "outer"), (", last: true", json!("inner"), Some("inner"), "inner")]
    {
        let (body, headers) = sent(&format!("{}{outer}", inner(last)), "@outer", "hello").await;
        assert_eq!((&body["x"], body["z"].as_str()), (&x, Some("outer")), "{last}");
        assert_eq!(body.get("y").and_then(|y| y.as_str()), y, "{last}");
        assert!(headers.iter().any(|(name, value)| name == "x-a" && value == header), "{last}: {headers:?}");
    }
}

#[tokio::test]
async fn an_edit_that_does_not_fit_fails_its_target_alone() {
    let presets = "  bad: { route: first/m1, body: { set: { /messages/9: {} } } }\n  \
                   both: { route: \"@bad > second/m1\" }\n";
    let setup = Setup::start(vec![Act::Answer], vec![Act::Answer], presets).await;
    setup.ask("@both", false).await.expect_status(200);
    assert_eq!(setup.counts(), (0, 1));
}

// === credentials of requests

#[tokio::test]
async fn a_key_comes_from_the_request_or_from_what_stands_in_for_it() {
    let mock = MockUpstream::start([Act::status(401), Act::Answer]).await;
    let url = mock.base_url("openai-chat");
    let provider =
        |name: &str, key: &str| format!("  {name}: {{ protocol: openai-chat, base_url: \"{url}\", {key} }}\n");
    let yaml = format!(
        "version: 1\nretries: {{ attempts: 1 }}\nproviders:\n{}{}{}",
        provider("alone", "key: request:TEAM_KEY"),
        provider("first", "key: { default: request:TEAM_KEY, fallback: env:OWN }"),
        provider("second", "keys: [env:OWN, request:TEAM_KEY]"),
    );
    let gateway = Gateway::start_with(&yaml, &[("OWN", "sk-own-0123456789")]).await;
    let ask = async |model: &str, credential: Option<&str>| {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] }).to_string();
        let headers: Vec<(&str, &str)> =
            credential.map(|credential| ("x-routeplane-credential-team_key", credential)).into_iter().collect();
        http_client::request(gateway.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).await
    };
    // A refusal upstream changes nothing about which key is used, and nobody sees the key.
    let refused = ask("first/m1", Some("sk-theirs-9876543210")).await.expect_status(502);
    assert!(!refused.text().contains("sk-theirs"), "{}", refused.text());
    let key = || {
        let request = mock.requests().pop().unwrap().request;
        assert!(!request.headers.iter().any(|(name, _)| name.starts_with("x-routeplane")), "{:?}", request.headers);
        request.headers.into_iter().find(|(name, _)| name == "authorization").unwrap().1
    };
    for (model, credential, expected) in [
        ("alone/m1", Some("sk-theirs-9876543210"), "Bearer sk-theirs-9876543210"),
        ("first/m1", Some("sk-theirs-9876543210"), "Bearer sk-theirs-9876543210"),
        ("first/m1", None, "Bearer sk-own-0123456789"),
        ("second/m1", Some("sk-theirs-9876543210"), "Bearer sk-own-0123456789"),
    ] {
        ask(model, credential).await.expect_status(200);
        assert_eq!(key(), expected, "{model} {credential:?}");
    }
    let missing = ask("alone/m1", None).await.expect_status(400);
    assert_eq!(missing.json()["error"]["code"], "credential_missing");
    assert!(!gateway.log().contains("sk-theirs"), "{}", gateway.log());
}

#[tokio::test]
async fn clients_of_tensorzero_bring_credentials_in_the_body() {
    let mock = MockUpstream::good().await;
    let yaml = format!(
        "version: 1\nproviders:\n  up: {{ protocol: openai-chat, base_url: \"{}\", key: request:TEAM_KEY }}\n\
         presets:\n  small: up/m1\ntensorzero:\n  models: {{ small: \"@small\" }}\n",
        mock.base_url("openai-chat")
    );
    let gateway = Gateway::start(&yaml).await;
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let secret = "sk-theirs-9876543210";
    let calls = [
        (
            "/openai/v1/chat/completions",
            json!({ "model": "tensorzero::model_name::small", "messages": messages,
            "tensorzero::credentials": { "TEAM_KEY": secret } }),
        ),
        (
            "/inference",
            json!({ "model_name": "small", "input": { "messages": messages },
            "credentials": { "TEAM_KEY": secret } }),
        ),
    ];
    for (at, (path, body)) in calls.iter().enumerate() {
        http_client::post(gateway.address, path, body).await.expect_status(200);
        let request = &mock.requests()[at].request;
        let key = request.headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.as_str());
        assert_eq!(key, Some("Bearer sk-theirs-9876543210"), "{path}");
        assert!(!String::from_utf8_lossy(&request.body).contains(secret), "{path}");
    }
    assert!(!gateway.log().contains(secret));
}
