//! Retry and fallback: what happens before the first content, and what must not happen after it.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::callers::Caller;
use crate::gateway::{Gateway, provider};
use crate::mock_upstream::{Act, MockUpstream, Refused, dialect};

/// A file in which `@r` tries `first`, then `second`, each once.
fn two_targets(first: &str, second: &str) -> String {
    format!(
        "version: 1\nretries: {{ attempts: 1 }}\ntimeout: {{ connect: 300ms, first_token: 400ms, idle: 400ms, total: 20s }}\n\
         providers:\n{first}{second}presets:\n  r: {{ route: first/m1 > second/m1 }}\n"
    )
}

/// A gateway whose first target plays `act` and whose second is good; both speak `upstream`.
async fn act_then_good(upstream: Caller, act: Act) -> (Gateway, MockUpstream, MockUpstream) {
    let (first, second) = (MockUpstream::start([act]).await, MockUpstream::good().await);
    let protocol = upstream.protocol();
    let yaml = two_targets(
        &provider("first", protocol, &first.base_url(protocol)),
        &provider("second", protocol, &second.base_url(protocol)),
    );
    (Gateway::start(&yaml).await, first, second)
}

#[tokio::test]
async fn a_refused_connection_falls_back_at_once() {
    let second = MockUpstream::good().await;
    let nobody = Refused::new();
    let refused = format!("http://{}/v1", nobody.address());
    let yaml = two_targets(
        &provider("first", "openai-chat", &refused),
        &provider("second", "openai-chat", &second.base_url("openai-chat")),
    );
    let gateway = Gateway::start(&yaml).await;
    for caller in Caller::ALL {
        let started = Instant::now();
        let answer = caller.ask(gateway.address, "@r", "hello", false).await.expect_status(200);
        assert!(started.elapsed() < Duration::from_millis(300), "{:?}", started.elapsed());
        assert_eq!(answer.header("x-routeplane-target"), Some("second/m1"));
        assert_eq!(answer.header("x-routeplane-attempts"), Some("2"));
        assert_eq!(answer.header("x-routeplane-route"), Some("@r"));
    }
}

/// Failures of a whole answer after which the next target serves.
fn whole_failures() -> Vec<Act> {
    vec![
        Act::ResetBeforeHead,
        Act::CloseBeforeHead,
        Act::ResetMidBody,
        Act::StallMidBody,
        Act::status(500),
        Act::status(503),
        Act::status(529),
        Act::status(404),
        Act::status(401),
        Act::rate_limited("30"),
        Act::html(502),
        Act::html(200),
        Act::Respond { status: 302, headers: vec![("location", "http://127.0.0.1:9/".to_owned())], body: Vec::new() },
        Act::Respond { status: 200, headers: Vec::new(), body: b"{\"not\":\"an answer".to_vec() },
    ]
}

#[tokio::test]
async fn every_failure_before_an_answer_falls_back() {
    for act in whole_failures() {
        for upstream in Caller::ALL {
            let (gateway, first, second) = act_then_good(upstream, act.clone()).await;
            // What passes through is not parsed on its way: broken JSON is then the caller's to see.
            let unread = matches!(&act, Act::Respond { status: 200, body, .. } if body.starts_with(b"{"));
            let callers: Vec<Caller> =
                Caller::ALL.into_iter().filter(|caller| !unread || *caller != upstream).collect();
            for caller in &callers {
                let answer = caller.ask(gateway.address, "@r", "hello", false).await;
                assert_eq!(answer.status, 200, "{act:?}, {caller:?} to {upstream:?}: {answer:?}");
                assert_eq!(caller.heard(&answer).text, dialect::TEXT, "{act:?}, {caller:?} to {upstream:?}");
                assert_eq!(answer.header("x-routeplane-target"), Some("second/m1"), "{act:?}");
            }
            assert!(!first.requests().is_empty() && second.requests().len() == callers.len(), "{act:?} {upstream:?}");
        }
    }
}

/// Events of a stream that say nothing yet: the role, `message_start` with the first block's start and a ping.
fn preamble(upstream: Caller) -> usize {
    match upstream {
        Caller::Chat => 1,
        Caller::Responses => 4,
        Caller::Messages => 3,
        Caller::Gemini => 0,
        Caller::Converse => 1,
    }
}

/// Failures of a stream before its first content.
fn stream_failures(upstream: Caller) -> Vec<Act> {
    let said = preamble(upstream);
    vec![
        Act::ResetBeforeHead,
        Act::StallBeforeHead,
        Act::status(503),
        Act::html(200),
        Act::StreamError(0),
        Act::StreamError(said),
        Act::Truncate(0),
        Act::Truncate(said),
        Act::ResetMidStream(said),
        Act::StallMidStream(said),
    ]
}

#[tokio::test]
async fn every_failure_of_a_stream_before_content_falls_back() {
    for upstream in Caller::ALL {
        for act in stream_failures(upstream) {
            let (gateway, first, _second) = act_then_good(upstream, act.clone()).await;
            for caller in Caller::ALL {
                let answer = caller.ask(gateway.address, "@r", "hello", true).await;
                assert_eq!(answer.status, 200, "{act:?}, {caller:?} to {upstream:?}: {answer:?}");
                let heard = caller.heard_in_stream(&answer);
                assert_eq!(heard.text, dialect::TEXT, "{act:?}, {caller:?} to {upstream:?}: {answer:?}");
                assert!(answer.complete && caller.has_end_marker(&answer), "{act:?}: {answer:?}");
                assert_eq!(caller.in_band_error(&answer), None, "{act:?}: {answer:?}");
                assert_eq!(answer.header("x-routeplane-target"), Some("second/m1"), "{act:?}");
            }
            assert_eq!(first.requests().len(), Caller::ALL.len(), "{act:?}");
        }
    }
}

#[tokio::test]
async fn no_fallback_after_content_but_an_error_in_the_callers_dialect() {
    for upstream in Caller::ALL {
        let content = preamble(upstream) + 2;
        let failures = [
            Act::StreamError(content),
            Act::Truncate(content),
            Act::ResetMidStream(content),
            Act::StallMidStream(content),
        ];
        for act in failures {
            let (gateway, _first, second) = act_then_good(upstream, act.clone()).await;
            for caller in Caller::ALL {
                let answer = caller.ask(gateway.address, "@r", "hello", true).await.expect_status(200);
                let place = format!("{act:?}, {caller:?} to {upstream:?}: {answer:?}");
                assert!(answer.text().contains("Hello"), "{place}");
                let error = caller.in_band_error(&answer).unwrap_or_else(|| panic!("no error in the stream: {place}"));
                assert!(!error.is_empty(), "{place}");
                assert!(!caller.has_end_marker(&answer), "{place}");
                assert_eq!(answer.header("x-routeplane-target"), Some("first/m1"), "{place}");
            }
            assert!(second.requests().is_empty(), "{act:?}: a stream that has begun must not move");
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_right_before_its_end_marker_is_not_a_clean_end() {
    for upstream in [Caller::Messages, Caller::Chat] {
        // All events but the last ones: the text is complete, the protocol's end is not.
        let events = if upstream == Caller::Messages { 8 } else { 5 };
        let (gateway, _first, _second) = act_then_good(upstream, Act::Truncate(events)).await;
        for caller in Caller::ALL {
            let answer = caller.ask(gateway.address, "@r", "hello", true).await;
            assert!(caller.in_band_error(&answer).is_some(), "{caller:?} to {upstream:?}: {answer:?}");
        }
    }
}

/// A gateway with one target that is tried `attempts` times.
async fn one_target(mock: &MockUpstream, attempts: u32) -> Gateway {
    let up = provider("up", "openai-chat", &mock.base_url("openai-chat"));
    let yaml = format!(
        "version: 1\nretries: {{ attempts: {attempts}, backoff: 20ms }}\ntimeout: {{ total: 20s }}\nproviders:\n{up}"
    );
    Gateway::start(&yaml).await
}

#[tokio::test]
async fn a_retry_sends_the_same_request_again() {
    for failure in
        [Act::status(500), Act::status(503), Act::rate_limited("0"), Act::ResetBeforeHead, Act::CloseBeforeHead]
    {
        let mock = MockUpstream::start([failure.clone(), failure.clone(), Act::Answer]).await;
        let gateway = one_target(&mock, 3).await;
        let answer = Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
        assert_eq!(answer.header("x-routeplane-attempts"), Some("3"), "{failure:?}");
        let bodies: Vec<String> = mock.requests().iter().map(|record| record.request.text()).collect();
        assert_eq!(bodies.len(), 3, "{failure:?}");
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:#?}");
    }
}

#[tokio::test]
async fn retries_are_bounded_and_the_last_error_is_told() {
    let mock = MockUpstream::start([Act::status(503)]).await;
    let gateway = one_target(&mock, 3).await;
    for caller in Caller::ALL {
        let answer = caller.ask(gateway.address, "up/m1", "hello", true).await;
        assert!(answer.status >= 500, "{answer:?}");
        let (_, message) = caller.error(&answer.json());
        assert!(message.contains("the upstream says 503"), "{message}");
        assert_eq!(answer.header("x-routeplane-attempts"), Some("3"));
    }
    assert_eq!(mock.requests().len(), 3 * Caller::ALL.len());
}

#[tokio::test]
async fn a_wrong_request_is_not_tried_again() {
    for status in [400, 422] {
        let (gateway, first, second) = act_then_good(Caller::Chat, Act::status(status)).await;
        let answer = Caller::Chat.ask(gateway.address, "@r", "hello", false).await.expect_status(status);
        assert!(Caller::Chat.error(&answer.json()).1.contains(&format!("the upstream says {status}")));
        assert_eq!((first.requests().len(), second.requests().len()), (1, 0), "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let mock = MockUpstream::start([Act::rate_limited("1"), Act::Answer]).await;
    let gateway = one_target(&mock, 2).await;
    Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    let requests = mock.requests();
    let pause = requests[1].received - requests[0].received;
    assert!(pause >= Duration::from_millis(990) && pause < Duration::from_secs(4), "{pause:?}");
}

#[tokio::test]
async fn a_long_retry_after_is_the_callers_to_wait_for() {
    let mock = MockUpstream::start([Act::rate_limited("30")]).await;
    let gateway = one_target(&mock, 3).await;
    let started = Instant::now();
    for caller in Caller::ALL {
        let answer = caller.ask(gateway.address, "up/m1", "hello", false).await.expect_status(429);
        let seconds: u64 = answer.header("retry-after").expect("retry-after").parse().unwrap();
        assert!((25..=30).contains(&seconds), "{seconds}");
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "nobody waits 30 s inside the gateway: {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn an_attempt_does_not_depend_on_the_one_before() {
    let (first, second) = (MockUpstream::start([Act::status(500)]).await, MockUpstream::good().await);
    let alone = MockUpstream::good().await;
    let yaml = |first: &MockUpstream, second: &MockUpstream| {
        format!(
            "version: 1\nretries: {{ attempts: 1 }}\nproviders:\n{}{}presets:\n  r: {{ route: \"@one > @two\" }}\n  \
             one: {{ route: first/m1, system: \"You are the first.\", override: {{ temperature: 0.1, top_p: 0.5 }}, \
             headers: {{ set: {{ x-which: one }} }} }}\n  \
             two: {{ route: second/m2, params: {{ max_tokens: 77 }} }}\n",
            provider("first", "anthropic-messages", &first.base_url("anthropic-messages")),
            provider("second", "openai-chat", &second.base_url("openai-chat")),
        )
    };
    let through = Gateway::start(&yaml(&first, &second)).await;
    Caller::Chat.ask(through.address, "@r", "hello", false).await.expect_status(200);
    let direct = Gateway::start(&yaml(&first, &alone)).await;
    Caller::Chat.ask(direct.address, "@two", "hello", false).await.expect_status(200);
    let (after_a_failure, by_itself) = (second.only_request().request, alone.only_request().request);
    assert_eq!(after_a_failure.text(), by_itself.text());
    assert_eq!(after_a_failure.json()["model"], "m2");
    assert_eq!(after_a_failure.header("x-which"), None);
    let failed = first.requests()[0].request.json();
    assert_eq!(
        (&failed["temperature"], &failed["system"].to_string().contains("the first")),
        (&json!(0.1), &true),
        "{failed}"
    );
}

#[tokio::test]
async fn a_used_up_key_rests_while_the_others_of_its_pool_serve() {
    let mock = MockUpstream::start([Act::rate_limited("30"), Act::Answer]).await;
    let yaml = format!(
        "version: 1\nretries: {{ attempts: 2, backoff: 10ms }}\nproviders:\n  up:\n    protocol: openai-chat\n    \
         base_url: \"{}\"\n    keys: [env:KEY_OF_a, env:KEY_OF_b]\n",
        mock.base_url("openai-chat")
    );
    let gateway = Gateway::start(&yaml).await;
    let started = Instant::now();
    for _ in 0..4 {
        Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let keys: Vec<String> =
        mock.requests().iter().map(|record| record.request.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert!(keys[1..].iter().all(|key| *key != keys[0]), "the key that was refused is used again: {keys:?}");
}

#[tokio::test]
async fn connect_timeout_and_total_timeout_are_504() {
    let hole = crate::mock_upstream::BlackHole::start().await;
    let stalled = MockUpstream::start([Act::StallBeforeHead]).await;
    let slow = MockUpstream::start([Act::SlowStream(Duration::from_millis(200))]).await;
    let yaml = format!(
        "version: 1\nretries: {{ attempts: 1 }}\nproviders:\n{}{}{}presets:\n  \
         hole: {{ route: hole/m1, timeout: {{ connect: 200ms }} }}\n  \
         stalled: {{ route: stalled/m1, timeout: {{ first_token: 200ms }} }}\n  \
         total: {{ route: stalled/m1, timeout: {{ total: 200ms }} }}\n  \
         slow: {{ route: slow/m1, timeout: {{ total: 900ms }} }}\n",
        provider("hole", "openai-chat", &format!("http://{}/v1", hole.address())),
        provider("stalled", "openai-chat", &stalled.base_url("openai-chat")),
        provider("slow", "openai-chat", &slow.base_url("openai-chat")),
    );
    let gateway = Gateway::start(&yaml).await;
    // A whole answer's head comes with its last token: only a stream has a first token to wait for.
    for (preset, code, stream) in [
        ("@hole", "connect_timeout", false),
        ("@stalled", "ttfb_timeout", true),
        ("@total", "deadline_exceeded", false),
    ] {
        let started = Instant::now();
        let answer = Caller::Chat.ask(gateway.address, preset, "hello", stream).await.expect_status(504);
        assert_eq!(Caller::Chat.error(&answer.json()).0, code, "{answer:?}");
        assert!((Duration::from_millis(190)..Duration::from_secs(2)).contains(&started.elapsed()), "{preset}");
    }
    let answer = Caller::Chat.ask(gateway.address, "@slow", "hello", true).await.expect_status(200);
    assert!(Caller::Chat.in_band_error(&answer).is_some(), "the total limit ends a stream: {answer:?}");
}
