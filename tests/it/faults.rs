//! Upstreams that break HTTP or their protocol, and callers that leave.

use std::time::Duration;

use tokio::time::Instant;

use crate::callers::Caller;
use crate::gateway::{Gateway, provider, providers};
use crate::http_client::{self, Connection};
use crate::mock_upstream::{Act, BlackHole, MockUpstream, dialect};

/// A gateway with one target, `up/m1`, tried once.
async fn gateway_for(protocol: &str, mock: &MockUpstream) -> Gateway {
    let file = providers(&[("up", protocol, mock)]);
    Gateway::start(&format!("{file}retries: {{ attempts: 1 }}\ntimeout: {{ first_token: 2s, idle: 2s, total: 20s }}\n"))
        .await
}

fn good_chat_body() -> String {
    "{\"id\":\"x\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m1\",\"choices\":[{\"index\":0,\"message\":\
     {\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":\"stop\"}],\"usage\":null}"
        .to_owned()
}

fn raw(head: &str, body: &str) -> Act {
    Act::Raw(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").into_bytes())
}

#[tokio::test]
async fn answers_that_break_http_are_a_502() {
    let body = good_chat_body();
    let json = "content-type: application/json";
    let broken = [
        Act::Raw(b"NOT HTTP AT ALL\r\n\r\n".to_vec()),
        Act::Raw(b"HTTP/1.1 banana OK\r\n\r\n".to_vec()),
        raw(&format!("{json}\r\ncontent-length: 5\r\ncontent-length: 9"), "hello"),
        raw(&format!("{json}\r\ncontent-length: -1"), ""),
        raw(&format!("{json}\r\ntransfer-encoding: chunked"), "zz\r\nhello\r\n0\r\n\r\n"),
        raw(&format!("{json}\r\ntransfer-encoding: chunked"), &format!("{:x}\r\n{body}", body.len())),
        raw(&format!("{json}\r\ncontent-length: {}", body.len() + 10), &body),
        raw(&(0..200).map(|n| format!("x-{n}: 1")).collect::<Vec<_>>().join("\r\n"), &body),
        raw(&format!("{json}\r\nx-long: {}\r\ncontent-length: {}", "y".repeat(1 << 20), body.len()), &body),
    ];
    for act in broken {
        let mock = MockUpstream::start([act.clone()]).await;
        let gateway = gateway_for("openai-chat", &mock).await;
        for caller in Caller::ALL {
            let answer = caller.ask(gateway.address, "up/m1", "hello", false).await.expect_status(caller.status(502));
            let (_, message) = caller.error(&answer.json());
            assert!(message.starts_with("up/m1"), "{message}");
        }
    }
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let body = good_chat_body();
    let answer = format!(
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mock = MockUpstream::start([Act::Raw(answer.into_bytes())]).await;
    let gateway = gateway_for("openai-chat", &mock).await;
    let answer = Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    assert_eq!(answer.text(), body);
}

#[tokio::test]
async fn bytes_after_an_answer_do_not_become_the_next_one() {
    let body = good_chat_body();
    let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let mock = MockUpstream::start([raw(&head, &format!("{body}{evil}")), Act::Answer]).await;
    let gateway = gateway_for("openai-chat", &mock).await;
    assert_eq!(Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.text(), body);
    let next = Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    assert_eq!(Caller::Chat.heard(&next).text, dialect::TEXT);
    let connections: Vec<usize> = mock.requests().iter().map(|record| record.connection).collect();
    assert_eq!(connections, [0, 1]);
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_while_idle_costs_nobody_a_request() {
    let body = good_chat_body();
    let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
    // Each answer ends with FIN and says nothing about it.
    let mock = MockUpstream::start([raw(&head, &body)]).await;
    let gateway = gateway_for("openai-chat", &mock).await;
    for _ in 0..50 {
        Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    }
}

/// Whether a request got through before its used connection broke nobody can tell: it is sent once more, and not twice.
#[tokio::test]
async fn a_used_connection_that_breaks_before_an_answer_is_tried_once_more_by_a_new_one() {
    let acts =
        [Act::Answer, Act::ResetBeforeHead, Act::Answer, Act::ResetBeforeHead, Act::CloseBeforeHead, Act::Answer];
    let mock = MockUpstream::start(acts).await;
    let gateway = gateway_for("openai-chat", &mock).await;
    let ask = || Caller::Chat.ask(gateway.address, "up/m1", "hello", false);
    ask().await.expect_status(200);
    ask().await.expect_status(200);
    let seen = mock.requests();
    assert_eq!(seen.len(), 3, "one of them twice");
    assert_eq!(seen[1].request.text(), seen[2].request.text());
    assert_ne!(seen[1].connection, seen[2].connection);
    let failed = ask().await.expect_status(502);
    assert_eq!(Caller::Chat.error(&failed.json()).0, "upstream_reset");
    assert_eq!(mock.requests().len(), 5, "once more, and not twice");
    let metrics = http_client::request(gateway.address, "GET", "/metrics", &[], b"").await.text();
    assert!(metrics.contains("routeplane_ambiguous_retries_total{provider=\"up\"} 2"), "{metrics}");
}

#[tokio::test]
async fn redirects_are_never_followed() {
    let elsewhere = MockUpstream::good().await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("http://{}/v1/chat/completions", elsewhere.address());
        let redirect = Act::Respond { status, headers: vec![("location", location)], body: Vec::new() };
        let mock = MockUpstream::start([redirect]).await;
        let gateway = gateway_for("openai-chat", &mock).await;
        let answer = Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(502);
        assert_eq!(Caller::Chat.error(&answer.json()).0, "upstream_redirect");
        assert_eq!(answer.header("location"), None);
        assert!(elsewhere.requests().is_empty(), "{status} was followed");
    }
}

#[tokio::test]
async fn a_page_of_html_is_not_an_answer_and_is_not_repeated() {
    for (act, status) in [(Act::html(200), 502), (Act::html(500), 500), (Act::html(502), 502)] {
        let mock = MockUpstream::start([act]).await;
        let gateway = gateway_for("openai-chat", &mock).await;
        for caller in [Caller::Messages, Caller::Gemini] {
            for stream in [false, true] {
                let answer = caller.ask(gateway.address, "up/m1", "hello", stream).await;
                assert!(answer.status == status || answer.status == 502, "{answer:?}");
                caller.error(&answer.json());
                assert!(!answer.text().contains("<html>"), "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_huge_error_body_is_cut() {
    let body = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "long ".repeat(2 << 20)).into_bytes();
    let mock = MockUpstream::start([Act::Respond { status: 500, headers: Vec::new(), body }]).await;
    let gateway = gateway_for("openai-chat", &mock).await;
    for caller in Caller::ALL {
        let answer = caller.ask(gateway.address, "up/m1", "hello", false).await;
        assert!(answer.status >= 500, "{}", answer.status);
        assert!(answer.body.len() < 256 << 10, "{} bytes reached the caller", answer.body.len());
    }
}

#[tokio::test]
async fn an_event_without_an_end_is_an_error_not_a_leak() {
    let mock = MockUpstream::start([Act::HugeEvent(3, 64 << 20)]).await;
    let gateway = gateway_for("openai-chat", &mock).await;
    // Translated, the event must be held whole: there is a limit.
    let answer = Caller::Messages.ask(gateway.address, "up/m1", "hello", true).await.expect_status(200);
    assert!(Caller::Messages.in_band_error(&answer).is_some(), "{answer:?}");
    assert!(answer.body.len() < 1 << 20, "{} bytes reached the caller", answer.body.len());
}

#[tokio::test]
async fn a_stream_that_drips_byte_by_byte_arrives_whole() {
    for upstream in Caller::ALL {
        let mock = MockUpstream::start([Act::Drip(Duration::from_micros(50))]).await;
        let gateway = gateway_for(upstream.protocol(), &mock).await;
        for caller in Caller::ALL {
            let answer = caller.ask(gateway.address, "up/m1", "case:reasoning", true).await.expect_status(200);
            let heard = caller.heard_in_stream(&answer);
            assert_eq!((heard.reasoning.as_str(), heard.text.as_str()), (dialect::REASONING, dialect::TEXT));
            assert!(caller.has_end_marker(&answer), "{caller:?} to {upstream:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn invalid_utf8_in_an_event_passes_through_and_never_stalls_a_translation() {
    let event = |bytes: &[u8]| {
        let mut event = b"data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\
            \"delta\":{\"content\":\""
            .to_vec();
        event.extend(bytes);
        event.extend(b"\"},\"finish_reason\":null}]}\n\n");
        event
    };
    let body = [event(b"Hello"), event(b"bad \xff byte"), event(b"more"), b"data: [DONE]\n\n".to_vec()].concat();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n", body.len());
    let mock = MockUpstream::start([Act::Raw([head.into_bytes(), body.clone()].concat())]).await;
    let gateway = gateway_for("openai-chat", &mock).await;
    let same = Caller::Chat.ask(gateway.address, "up/m1", "hello", true).await.expect_status(200);
    assert_eq!(same.body, body, "{same:?}");
    let started = Instant::now();
    let translated = Caller::Messages.ask(gateway.address, "up/m1", "hello", true).await;
    match translated.status {
        // Before anything was shown, the error is an answer of its own.
        502 => assert!(Caller::Messages.error(&translated.json()).1.contains("UTF-8"), "{translated:?}"),
        _ => assert!(Caller::Messages.in_band_error(&translated).is_some(), "{translated:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn text_that_looks_like_framing_stays_text() {
    let text = "a\\n\\ndata: [DONE]\\n\\nevent: error\\r\\u2028b";
    let body = good_chat_body().replace("Hello", text);
    let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
    let mock = MockUpstream::start([raw(&head, &body)]).await;
    let gateway = gateway_for("openai-chat", &mock).await;
    for caller in Caller::ALL {
        let answer = caller.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
        assert_eq!(caller.heard(&answer).text, "a\n\ndata: [DONE]\n\nevent: error\r\u{2028}b", "{caller:?}");
    }
}

// === The caller leaves ===

/// How soon the upstream must notice. The product's bar is 250 ms; a busy machine gets the rest.
const NOTICE: Duration = Duration::from_secs(2);

/// Requests of every endpoint, as method target and body.
fn endpoints(stream: bool) -> Vec<(Caller, String, String)> {
    let mut all: Vec<_> = Caller::ALL
        .into_iter()
        .map(|caller| (caller, caller.target("up/m1", stream), caller.body("up/m1", "hello", stream).to_string()))
        .collect();
    if !stream {
        let body = serde_json::json!({ "model": "up/m1", "input": "hello" });
        all.push((Caller::Chat, "/v1/embeddings".to_owned(), body.to_string()));
    }
    all
}

async fn begin(gateway: &Gateway, caller: Caller, target: &str, body: &str) -> Connection {
    let mut connection = Connection::open(gateway.address).await;
    connection.send("POST", target, caller.headers(), body.as_bytes()).await;
    connection
}

#[tokio::test]
async fn a_caller_that_leaves_takes_the_upstreams_work_with_it() {
    let phases = [
        (Act::StallBeforeHead, false),
        (Act::StallBeforeHead, true),
        (Act::StallMidBody, false),
        (Act::StallMidStream(1), true),
        (Act::StallMidStream(5), true),
        (Act::SlowStream(Duration::from_millis(300)), true),
    ];
    for upstream in Caller::ALL {
        for (act, stream) in phases.clone() {
            let mock = MockUpstream::start([act.clone()]).await;
            let gateway = gateway_for(upstream.protocol(), &mock).await;
            let embeds = matches!(upstream, Caller::Chat | Caller::Gemini);
            let endpoints = endpoints(stream).into_iter().filter(|(_, target, _)| embeds || !target.contains("embed"));
            for (index, (caller, target, body)) in endpoints.enumerate() {
                let connection = begin(&gateway, caller, &target, &body).await;
                mock.wait_for_requests(index + 1).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                let left = Instant::now();
                drop(connection);
                let noticed = mock.wait_for_hang_up(index).await - left;
                assert!(noticed < NOTICE, "{act:?}, {target} to {upstream:?}: the upstream noticed after {noticed:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_caller_that_leaves_while_connecting_ends_the_connecting() {
    let hole = BlackHole::start().await;
    let up = provider("up", "openai-chat", &format!("http://{}/v1", hole.address()));
    let gateway = Gateway::start(&format!("version: 1\ntimeout: {{ connect: 20s }}\nproviders:\n{up}")).await;
    for stream in [false, true] {
        for (caller, target, body) in endpoints(stream) {
            let before = hole.pending_connections();
            let connection = begin(&gateway, caller, &target, &body).await;
            wait_until(&format!("{target}: connecting"), || hole.pending_connections() > before).await;
            drop(connection);
            wait_until(&format!("{target}: connecting ended"), || hole.pending_connections() <= before).await;
        }
    }
}

async fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + NOTICE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {NOTICE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_caller_that_leaves_between_two_tries_ends_the_trying() {
    let mock = MockUpstream::start([Act::rate_limited("1")]).await;
    let file = providers(&[("up", "openai-chat", &mock)]);
    let gateway = Gateway::start(&format!("{file}retries: {{ attempts: 2 }}\n")).await;
    let all: Vec<_> = endpoints(false).into_iter().chain(endpoints(true)).collect();
    for (index, (caller, target, body)) in all.iter().enumerate() {
        let connection = begin(&gateway, *caller, target, body).await;
        mock.wait_for_requests(index + 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(connection);
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(mock.requests().len(), all.len(), "a request was tried again though its caller had left");
}

#[tokio::test]
async fn a_caller_that_stops_reading_stops_the_upstream() {
    // An answer of 64 MiB of events; a caller that reads nothing of it.
    let event = format!(
        "data: {}\n\n",
        "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"},\"finish_reason\":null}]}"
    );
    let body = event.repeat((64 << 20) / event.len());
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n", body.len());
    let mock = MockUpstream::start([Act::Raw((head + &body).into_bytes())]).await;
    let gateway = gateway_for("openai-chat", &mock).await;
    let before = gateway.resident_kib();
    let _unread =
        begin(&gateway, Caller::Chat, "/v1/chat/completions", &Caller::Chat.body("up/m1", "hello", true).to_string())
            .await;
    mock.wait_for_requests(1).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!mock.only_request().finished, "the whole answer went somewhere");
    let grown = gateway.resident_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB are held for a caller that does not read");
}

#[tokio::test]
async fn a_gateway_that_saw_all_this_still_serves() {
    let mock = MockUpstream::start([Act::ResetBeforeHead, Act::html(500), Act::CloseBeforeHead, Act::Answer]).await;
    let gateway = gateway_for("openai-chat", &mock).await;
    for _ in 0..3 {
        Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await;
    }
    Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    assert_eq!(http_client::get(gateway.address, "/livez").await.status, 200);
}
