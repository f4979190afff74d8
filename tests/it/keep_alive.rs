//! Silences of a stream: what the caller gets meanwhile, and where it must not stand.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client::{Connection, Response};
use crate::mock_upstream::{Act, MockUpstream, dialect};

/// Events of a mock's stream up to its first word.
pub(crate) fn first_word(upstream: Caller) -> usize {
    match upstream {
        Caller::Chat => 2,
        Caller::Responses => 5,
        Caller::Messages => 4,
        Caller::Gemini => 1,
        Caller::Converse => 2,
    }
}

/// What a caller of this protocol gets in a silence.
fn keep_alive(caller: Caller) -> Option<&'static str> {
    match caller {
        Caller::Chat | Caller::Responses => Some(": keep-alive\n\n"),
        Caller::Messages => Some("event: ping\ndata: {\"type\": \"ping\"}\n\n"),
        Caller::Gemini => None,
        // The name of the event, within its binary message.
        Caller::Converse => Some("keepAlive"),
    }
}

async fn gateway(upstream: Caller, mock: &MockUpstream, timeout: &str) -> Gateway {
    let providers = providers(&[("up", upstream.protocol(), mock)]);
    Gateway::start(&format!("{providers}retries: {{ attempts: 1 }}\ntimeout: {{ total: 20s, {timeout} }}\n")).await
}

/// Reads on until `text` has come so many times.
async fn read_until(connection: &mut Connection, text: &str, times: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while String::from_utf8_lossy(&body).matches(text).count() < times {
        let chunk = connection.chunk().await;
        body.extend(chunk.unwrap_or_else(|| panic!("the stream ended without {text:?}: {body:?}")));
    }
    body
}

/// The rest of an answer of which `body` has been read.
async fn rest(connection: &mut Connection, mut body: Vec<u8>) -> Response {
    while let Some(chunk) = connection.chunk().await {
        body.extend(chunk);
    }
    Response { status: 200, headers: Vec::new(), body, complete: true }
}

/// The body without the events that are `what` and nothing else.
fn without(body: &str, what: &str) -> String {
    body.split_inclusive("\n\n").filter(|event| *event != what).collect()
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_in_the_callers_dialect() {
    for upstream in Caller::ALL {
        let told = Arc::new(Notify::new());
        let halt = Act::Halt { events: first_word(upstream), bytes: 0, meanwhile: "", told: told.clone() };
        let mock = MockUpstream::start([halt]).await;
        let gateway = gateway(upstream, &mock, "keep_alive: 25ms").await;
        for caller in Caller::ALL {
            let mut connection = caller.begin(gateway.address, "up/m1", "hello", true).await;
            assert_eq!(connection.head().await.status, 200);
            let begun = match keep_alive(caller) {
                Some(text) => read_until(&mut connection, text, 3).await,
                None => {
                    let begun = read_until(&mut connection, "Hello", 1).await;
                    tokio::time::sleep(Duration::from_millis(150)).await;
                    begun
                }
            };
            told.notify_one();
            let answer = rest(&mut connection, begun).await;
            let place = format!("{caller:?} to {upstream:?}: {answer:?}");
            assert_eq!(caller.heard_in_stream(&answer).text, dialect::TEXT, "{place}");
            assert!(caller.has_end_marker(&answer), "{place}");
            if caller == Caller::Gemini {
                let text = answer.text().replace("\r\n", "\n");
                assert!(text.lines().all(|line| line.is_empty() || line.starts_with("data: ")), "{place}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_put_inside_an_event_that_is_relayed() {
    for caller in [Caller::Chat, Caller::Responses, Caller::Messages, Caller::Converse] {
        for bytes in [1, 7, 30, 60] {
            let told = Arc::new(Notify::new());
            let halt = Act::Halt { events: first_word(caller), bytes, meanwhile: "", told: told.clone() };
            let mock = MockUpstream::start([Act::Answer, halt]).await;
            let gateway = gateway(caller, &mock, "keep_alive: 20ms").await;
            let plain = caller.ask(gateway.address, "up/m1", "hello", true).await.expect_status(200);
            let mut connection = caller.begin(gateway.address, "up/m1", "hello", true).await;
            connection.head().await;
            let begun = read_until(&mut connection, "Hello", 1).await;
            tokio::time::sleep(Duration::from_millis(150)).await;
            told.notify_one();
            let answer = rest(&mut connection, begun).await;
            let what = keep_alive(caller).unwrap();
            if caller == Caller::Converse {
                let mut events = answer.json_events();
                events.retain(|event| event.get(what).is_none());
                assert_eq!(events, plain.json_events(), "{bytes} bytes");
            } else {
                let [kept, whole] = [&answer, &plain].map(|answer| without(&answer.text(), what));
                assert_eq!(kept, whole, "{caller:?}, {bytes} bytes");
            }
        }
    }
}

#[tokio::test]
async fn pings_of_the_upstream_reach_their_own_dialect_and_starve_no_other() {
    const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    let told = Arc::new(Notify::new());
    let events = first_word(Caller::Messages);
    let mock = MockUpstream::start([Act::Halt { events, bytes: 0, meanwhile: PING, told: told.clone() }]).await;
    let gateway = gateway(Caller::Messages, &mock, "keep_alive: 40ms").await;
    for (caller, expected) in [(Caller::Messages, PING), (Caller::Chat, ": keep-alive\n\n")] {
        let mut connection = caller.begin(gateway.address, "up/m1", "hello", true).await;
        connection.head().await;
        let begun = read_until(&mut connection, expected, 4).await;
        told.notify_one();
        let answer = rest(&mut connection, begun).await;
        assert_eq!(caller.heard_in_stream(&answer).text, dialect::TEXT, "{caller:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_stream_that_is_kept_alive_still_has_its_limit() {
    for upstream in [Caller::Chat, Caller::Messages] {
        let mock = MockUpstream::start([Act::StallMidStream(first_word(upstream))]).await;
        let gateway = gateway(upstream, &mock, "idle: 500ms, keep_alive: 50ms").await;
        for caller in [Caller::Chat, Caller::Messages] {
            let answer = caller.ask(gateway.address, "up/m1", "hello", true).await.expect_status(200);
            assert!(answer.text().contains(keep_alive(caller).unwrap()), "{answer:?}");
            let error = caller.in_band_error(&answer).unwrap_or_else(|| panic!("no error: {answer:?}"));
            assert!(error.contains("sent nothing for 500 ms"), "{error}");
        }
    }
}

#[tokio::test]
async fn zero_means_no_keep_alives() {
    let mock = MockUpstream::start([Act::StallMidStream(first_word(Caller::Chat))]).await;
    let gateway = gateway(Caller::Chat, &mock, "idle: 300ms, keep_alive: 0s").await;
    for caller in Caller::ALL {
        let answer = caller.ask(gateway.address, "up/m1", "hello", true).await.expect_status(200);
        assert!(caller.in_band_error(&answer).is_some(), "{answer:?}");
        assert!(keep_alive(caller).is_none_or(|text| !answer.text().contains(text)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_stream_may_take_longer_than_any_single_silence() {
    for upstream in [Caller::Chat, Caller::Messages] {
        let mock = MockUpstream::start([Act::SlowStream(Duration::from_millis(200))]).await;
        let gateway = gateway(upstream, &mock, "first_token: 900ms, idle: 900ms, keep_alive: 30ms").await;
        let ask = |caller: Caller| caller.ask(gateway.address, "up/m1", "hello", true);
        let (chat, messages, gemini) = tokio::join!(ask(Caller::Chat), ask(Caller::Messages), ask(Caller::Gemini));
        for (caller, answer) in [(Caller::Chat, chat), (Caller::Messages, messages), (Caller::Gemini, gemini)] {
            assert_eq!(caller.heard_in_stream(&answer).text, dialect::TEXT, "{caller:?}: {answer:?}");
            assert!(answer.complete && caller.has_end_marker(&answer), "{caller:?}: {answer:?}");
        }
    }
}
