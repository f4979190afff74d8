//! Who may come in, what may come in, and what must never get out.

use std::time::Duration;

use serde_json::json;

use crate::callers::Caller;
use crate::gateway::{self, Gateway, provider_key, providers};
use crate::http_client::{self, Connection, Response};
use crate::mock_upstream::{Act, MockUpstream, dialect};

const CLIENT_KEY: &str = "rp_client_canary_5f4dcc3b5aa765d61d8327deb882cf99";
const PROMPT: &str = "the prompt canary 7c6a180b36896a0a8c02787eeafb0e4c";

async fn raw_request(gateway: &Gateway, text: &str) -> Response {
    let mut connection = Connection::open(gateway.address).await;
    connection.send_raw(text.as_bytes()).await;
    connection.response().await
}

async fn good() -> (MockUpstream, Gateway) {
    let mock = MockUpstream::good().await;
    let gateway = Gateway::start(&providers(&[("up", "openai-chat", &mock)])).await;
    (mock, gateway)
}

#[tokio::test]
async fn only_loopback_names_are_answered_on_loopback() {
    let (mock, gateway) = good().await;
    let port = gateway.address.port();
    let allowed = ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "127.0.0.9"];
    let refused = [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example:80",
        "10.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "localhost@evil.example",
        "[::2]",
        "",
    ];
    let body = Caller::Messages.body("up/m1", "hello", false).to_string();
    for target in ["/v1/chat/completions", "/v1/messages", "/admin/reload"] {
        for (hosts, is_allowed) in [(allowed.as_slice(), true), (refused.as_slice(), false)] {
            for host in hosts {
                for host in [(*host).to_owned(), format!("{host}:{port}")] {
                    let headers = [("host", host.as_str()), ("anthropic-version", "2023-06-01")];
                    let answer = http_client::request(gateway.address, "POST", target, &headers, body.as_bytes()).await;
                    let refused = [400, 403].contains(&answer.status);
                    assert_eq!(refused, !is_allowed, "{target} with host `{host}`: {answer:?}");
                }
            }
        }
    }
    let before = mock.requests().len();
    let two = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = raw_request(&gateway, &two).await;
    assert!([400, 403].contains(&answer.status), "{answer:?}");
    assert_eq!(mock.requests().len(), before);
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let (mock, gateway) = good().await;
    let body = Caller::Chat.body("up/m1", "hello", false).to_string();
    let own = format!("http://{}", gateway.address);
    let table = [
        (own.as_str(), true),
        ("http://localhost:3000", true),
        ("https://evil.example", false),
        ("http://127.0.0.1.evil.example", false),
        ("null", false),
        ("file://", false),
        ("", false),
    ];
    for (origin, allowed) in table {
        let headers = [("origin", origin)];
        let answer =
            http_client::request(gateway.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, if allowed { 200 } else { 403 }, "origin `{origin}`: {answer:?}");
        assert_ne!(answer.header("access-control-allow-origin"), Some("*"));
    }
    let headers = [("origin", own.as_str()), ("origin", "https://evil.example")];
    let answer = http_client::request(gateway.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 403);
    assert_eq!(mock.requests().len(), 2);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let mock = MockUpstream::good().await;
    let file = providers(&[("up", "openai-chat", &mock)]);
    let gateway = Gateway::start(&format!("{file}limits: {{ body: 64KiB }}\n")).await;
    for caller in Caller::ALL {
        let target = caller.target("up/m1", false);
        // By its length alone.
        let mut connection = Connection::open(gateway.address).await;
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n"
        );
        connection.send_raw(head.as_bytes()).await;
        let answer = connection.response().await.expect_status(413);
        caller.error(&answer.json());
        // As chunks without an announced length.
        let mut connection = Connection::open(gateway.address).await;
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        connection.send_raw(head.as_bytes()).await;
        for _ in 0..20 {
            connection.send_raw(format!("{:x}\r\n{}\r\n", 8192, "x".repeat(8192)).as_bytes()).await;
        }
        connection.response().await.expect_status(413);
    }
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn bodies_that_two_readers_would_read_differently_are_refused() {
    let (mock, gateway) = good().await;
    let message = "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]";
    let bodies = [
        format!("{{\"model\":\"up/m1\",\"model\":\"up/m2\",{message}}}"),
        format!("{{\"model\":\"up/m1\",\"mod\\u0065l\":\"up/m2\",{message}}}"),
        format!("{{\"model\":\"up/m1\",\"stream\":true,\"stream\":false,{message}}}"),
        format!("{{\"model\":\"up/m1\",{message},{message}}}"),
        "not json".to_owned(),
        "[]".to_owned(),
        "{\"model\":\"up/m1\",".to_owned(),
        format!("{{\"model\":\"up/m1\",{message}}} {{}}"),
        format!("{{\"model\":7,{message}}}"),
        format!("{{{message}}}"),
        String::new(),
    ];
    for body in bodies {
        for target in ["/v1/chat/completions", "/v1/messages"] {
            let headers = [("anthropic-version", "2023-06-01")];
            let answer = http_client::request(gateway.address, "POST", target, &headers, body.as_bytes()).await;
            assert_eq!(answer.status, 400, "`{body}`: {answer:?}");
            let caller = if target.ends_with("messages") { Caller::Messages } else { Caller::Chat };
            caller.error(&answer.json());
        }
    }
    let invalid_utf8 = b"{\"model\":\"up/m1\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}";
    let answer = http_client::request(gateway.address, "POST", "/v1/chat/completions", &[], invalid_utf8).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn nesting_is_bounded() {
    let (mock, gateway) = good().await;
    for depth in [200, 100_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body =
            format!("{{\"model\":\"up/m1\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}],\"x\":{deep}}}");
        for caller in Caller::ALL {
            let answer = http_client::request(
                gateway.address,
                "POST",
                &caller.target("up/m1", false),
                caller.headers(),
                body.as_bytes(),
            )
            .await;
            assert_eq!(answer.status, 400, "{answer:?}");
            assert!(caller.error(&answer.json()).1.contains("128"), "{answer:?}");
        }
    }
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_refused() {
    let (mock, gateway) = good().await;
    let many: String = (0..300).map(|n| format!("x-{n}: 1\r\n")).collect();
    let large = format!("x-large: {}\r\n", "y".repeat(200 << 10));
    for headers in [many, large] {
        let text =
            format!("POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: 2\r\n\r\n{{}}");
        let answer = raw_request(&gateway, &text).await;
        assert!([400, 431].contains(&answer.status), "{answer:?}");
    }
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn requests_that_two_servers_would_cut_differently_are_refused() {
    let (mock, gateway) = good().await;
    let smuggled = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";
    let post = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    let payloads = [
        format!("{post}content-length: 4\r\ncontent-length: 5\r\n\r\n{smuggled}"),
        format!("{post}content-length: +4\r\n\r\n{smuggled}"),
        format!("{post}content-length: 4, 4, 5\r\n\r\n{smuggled}"),
        format!("{post}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("{post}content-length : 4\r\n\r\n{smuggled}"),
        format!("{post}x-folded: a\r\n b\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!(
            "POST /v1/chat/completions HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\n{smuggled}"),
    ];
    for payload in payloads {
        let mut connection = Connection::open(gateway.address).await;
        connection.send_raw(payload.as_bytes()).await;
        let answer = connection.response().await;
        assert!((400..500).contains(&answer.status), "`{payload}`: {answer:?}");
        assert!(connection.is_closed_by_server().await, "`{payload}`: a second answer, or the connection stays open");
    }
    assert!(mock.requests().is_empty(), "{:?}", mock.requests());
}

#[tokio::test]
async fn a_slow_head_is_not_waited_for_for_ever() {
    let (_mock, gateway) = good().await;
    let mut connection = Connection::open(gateway.address).await;
    connection.send_raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: loc").await;
    let closed = async {
        loop {
            if connection.is_closed_by_server().await {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), closed).await.expect("closed within 15 s");
}

#[tokio::test]
async fn a_connection_may_rest_longer_than_a_head_may_take() {
    let (_mock, gateway) = good().await;
    let mut connection = Connection::open(gateway.address).await;
    let request = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n";
    connection.send_raw(request).await;
    assert_eq!(connection.response().await.status, 200);
    tokio::time::sleep(Duration::from_secs(12)).await;
    connection.send_raw(request).await;
    assert_eq!(connection.response().await.status, 200);
    // A later head is not waited for either.
    connection.send_raw(b"GET /v1/mod").await;
    let closed = async { while !connection.is_closed_by_server().await {} };
    tokio::time::timeout(Duration::from_secs(20), closed).await.expect("closed within 20 s");
}

fn with_keys(mock: &MockUpstream, protocol: &str) -> String {
    let file = providers(&[("up", protocol, mock)]);
    format!("{file}keys: {{ tester: env:CLIENT_KEY }}\nretries: {{ attempts: 1 }}\n")
}

#[tokio::test]
async fn client_keys_are_asked_for_everywhere_but_at_the_health_checks() {
    let mock = MockUpstream::good().await;
    let gateway = Gateway::start_with(&with_keys(&mock, "openai-chat"), &[("CLIENT_KEY", CLIENT_KEY)]).await;
    let posts = [
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/embeddings",
        "/v1beta/models/up/m1:generateContent",
        "/admin/reload",
    ];
    let gets = ["/v1/models", "/v1beta/models", "/admin/config/status", "/v1/models/", "//v1/models", "/V1/models"];
    let wrong = format!("Bearer {CLIENT_KEY}x");
    for headers in
        [vec![], vec![("authorization", wrong.as_str())], vec![("authorization", "Bearer ")], vec![("x-api-key", "x")]]
    {
        for target in posts {
            let body = Caller::Chat.body("up/m1", "hello", false).to_string();
            let answer = http_client::request(gateway.address, "POST", target, &headers, body.as_bytes()).await;
            assert_eq!(answer.status, 401, "{target}: {answer:?}");
        }
        for target in gets {
            let answer = http_client::request(gateway.address, "GET", target, &headers, b"").await;
            assert!([401, 404].contains(&answer.status), "{target}: {answer:?}");
            assert!(!answer.text().contains("up/m1") && !answer.text().contains("generation"), "{target}: {answer:?}");
        }
    }
    assert!(mock.requests().is_empty());
    for target in ["/livez", "/readyz"] {
        assert_eq!(http_client::get(gateway.address, target).await.status, 200, "{target}");
    }
    let bearer = format!("Bearer {CLIENT_KEY}");
    for (caller, header, key) in [
        (Caller::Chat, "authorization", bearer.as_str()),
        (Caller::Messages, "x-api-key", CLIENT_KEY),
        (Caller::Gemini, "x-goog-api-key", CLIENT_KEY),
    ] {
        let headers = [caller.headers(), &[(header, key)]].concat();
        let body = caller.body("up/m1", "hello", false).to_string();
        let answer =
            http_client::request(gateway.address, "POST", &caller.target("up/m1", false), &headers, body.as_bytes())
                .await;
        answer.expect_status(200);
    }
}

#[tokio::test]
async fn a_refusal_tells_nothing_about_the_key() {
    let mock = MockUpstream::good().await;
    let gateway = Gateway::start_with(&with_keys(&mock, "openai-chat"), &[("CLIENT_KEY", CLIENT_KEY)]).await;
    let mut bodies = std::collections::BTreeSet::new();
    for key in ["", "x", &CLIENT_KEY[..CLIENT_KEY.len() - 1], "' or 1=1 --", &"k".repeat(5000)] {
        let bearer = format!("Bearer {key}");
        let answer =
            http_client::request(gateway.address, "POST", "/v1/chat/completions", &[("authorization", &bearer)], b"{}")
                .await;
        let mut body = answer.expect_status(401).json();
        body["error"].as_object_mut().unwrap().remove("request_id");
        bodies.insert(body.to_string());
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

/// Everything that a caller, an operator or a scraper can read must be free of these.
fn canaries() -> Vec<String> {
    use base64::Engine;
    let engine = base64::engine::general_purpose::STANDARD;
    let plain = [provider_key("up"), CLIENT_KEY.to_owned()];
    plain.iter().cloned().chain(plain.iter().map(|key| engine.encode(key))).collect()
}

fn assert_clean(what: &str, text: &str) {
    for canary in canaries() {
        assert!(!text.contains(&canary), "{what} holds the key `{canary}`: {text}");
    }
}

#[tokio::test]
async fn keys_never_get_out_whatever_the_upstream_says() {
    let acts = [
        Act::EchoHeaders(400),
        Act::EchoHeaders(401),
        Act::EchoHeaders(403),
        Act::EchoHeaders(429),
        Act::EchoHeaders(500),
        Act::EchoHeaders(200),
        Act::EchoHeadersInStream(0),
        Act::EchoHeadersInStream(5),
        Act::html(500),
        Act::ResetBeforeHead,
        Act::Answer,
    ];
    for upstream in Caller::ALL {
        for act in &acts {
            let mock = MockUpstream::start([act.clone()]).await;
            let file = with_keys(&mock, upstream.protocol());
            let gateway = Gateway::start_with(
                &file,
                &[("CLIENT_KEY", CLIENT_KEY), ("RUST_LOG", "debug"), ("ROUTEPLANE_LOG", "debug")],
            )
            .await;
            let bearer = format!("Bearer {CLIENT_KEY}");
            for caller in Caller::ALL {
                let streams: &[bool] =
                    if matches!(act, Act::EchoHeadersInStream(_)) { &[true] } else { &[false, true] };
                for &stream in streams {
                    let headers =
                        [caller.headers(), &[("authorization", bearer.as_str()), ("cookie", CLIENT_KEY)]].concat();
                    let body = caller.body("up/m1", PROMPT, stream).to_string();
                    let answer = http_client::request(
                        gateway.address,
                        "POST",
                        &caller.target("up/m1", stream),
                        &headers,
                        body.as_bytes(),
                    )
                    .await;
                    assert_clean(&format!("the answer to {caller:?} ({act:?})"), &format!("{answer:?}"));
                }
            }
            for target in ["/metrics", "/admin/config/status", "/admin/status", "/v1/models", "/livez", "/readyz", "/"]
            {
                let answer =
                    http_client::request(gateway.address, "GET", target, &[("authorization", &bearer)], b"").await;
                assert_clean(target, &format!("{:?}{}", answer.headers, answer.text()));
            }
            assert_clean("the log", &gateway.log());
            assert!(!gateway.log().contains(PROMPT), "the log holds a prompt: {}", gateway.log());
            for record in mock.requests() {
                let seen = format!("{:?}", record.request);
                assert!(!seen.contains(CLIENT_KEY), "the upstream got the caller's key: {seen}");
                assert!(!record.request.target.contains(&provider_key("up")), "a key in a URL: {seen}");
                assert!(seen.contains(&provider_key("up")), "the upstream did not get its own key: {seen}");
            }
        }
    }
}

#[tokio::test]
async fn the_callers_headers_do_not_reach_the_upstream() {
    let mock = MockUpstream::good().await;
    let gateway = Gateway::start(&providers(&[("up", "openai-chat", &mock)])).await;
    let headers = [
        ("authorization", "Bearer anything"),
        ("x-api-key", "anything"),
        ("x-goog-api-key", "anything"),
        ("api-key", "anything"),
        ("cookie", "a=b"),
        ("x-routeplane-session", "s"),
        ("x-routeplane-tag-env", "prod"),
        ("x-forwarded-for", "1.2.3.4"),
        ("forwarded", "for=1.2.3.4"),
        ("proxy-authorization", "Basic x"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
        ("origin", "http://localhost"),
        ("referer", "http://localhost/secret"),
    ];
    let body = Caller::Chat.body("up/m1", "hello", false).to_string();
    http_client::request(gateway.address, "POST", "/v1/chat/completions", &headers, body.as_bytes())
        .await
        .expect_status(200);
    let seen = mock.only_request().request;
    for (name, value) in headers.iter().filter(|(name, _)| *name != "authorization" && *name != "connection") {
        assert_eq!(seen.header(name), None, "`{name}: {value}` reached the upstream: {seen:?}");
    }
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {}", provider_key("up")).as_str()));
    assert_eq!(seen.header("host"), Some(mock.address().to_string().as_str()));
}

#[tokio::test]
async fn the_upstreams_private_headers_do_not_reach_the_caller() {
    let body =
        json!({ "id": "x", "object": "chat.completion", "created": 1, "model": "m1", "choices": [] }).to_string();
    let headers = vec![
        ("set-cookie", "session=abc".to_owned()),
        ("server", "upstream".to_owned()),
        ("openai-organization", "org-abc".to_owned()),
        ("x-hop", "1".to_owned()),
        ("connection", "x-hop".to_owned()),
        ("access-control-allow-origin", "*".to_owned()),
        ("alt-svc", "h3=\":443\"".to_owned()),
        ("x-routeplane-target", "forged/target".to_owned()),
    ];
    let mock = MockUpstream::start([Act::Respond { status: 200, headers, body: body.into_bytes() }]).await;
    let gateway = Gateway::start(&providers(&[("up", "openai-chat", &mock)])).await;
    let answer = Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    for name in ["set-cookie", "openai-organization", "x-hop", "access-control-allow-origin", "alt-svc"] {
        assert_eq!(answer.header(name), None, "{answer:?}");
    }
    let targets: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "x-routeplane-target").collect();
    assert!(targets.len() == 1 && targets[0].1 == "up/m1", "{targets:?}");
}

#[tokio::test]
async fn a_listener_for_everybody_needs_client_keys() {
    let mock = MockUpstream::good().await;
    let port = gateway::free_address().port();
    for listen in [format!("0.0.0.0:{port}"), format!("[::]:{port}"), format!("[::ffff:0.0.0.0]:{port}")] {
        let folder = tempfile::tempdir().unwrap();
        let file = providers(&[("up", "openai-chat", &mock)]);
        std::fs::write(folder.path().join("routeplane.yaml"), &file).unwrap();
        let started = gateway::command(folder.path(), &file)
            .args(["start", "--config", "routeplane.yaml", "--listen", &listen])
            .output();
        let output =
            tokio::time::timeout(Duration::from_secs(10), started).await.expect("it refuses to start").unwrap();
        assert!(!output.status.success(), "{listen}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("keys"), "{listen}: {said}");
        assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err(), "{listen}: something listens");
    }
}

#[tokio::test]
async fn the_default_listens_on_loopback_only() {
    let (_mock, gateway) = good().await;
    let port = format!(":{:04X}", gateway.address.port());
    let listening = |table: &str| -> Vec<String> {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        let rows = text.lines().filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned);
        rows.filter(|local| local.ends_with(&port)).collect()
    };
    let sockets: Vec<String> = listening("/proc/net/tcp").into_iter().chain(listening("/proc/net/tcp6")).collect();
    assert!(!sockets.is_empty() && sockets.iter().all(|socket| socket.starts_with("0100007F:")), "{sockets:?}");
}

#[tokio::test]
async fn placeholder_keys_do_on_loopback() {
    let (_mock, gateway) = good().await;
    let body = Caller::Chat.body("up/m1", "hello", false).to_string();
    let headers = [("authorization", "Bearer not-needed")];
    let answer = http_client::request(gateway.address, "POST", "/v1/chat/completions", &headers, body.as_bytes()).await;
    assert_eq!(Caller::Chat.heard(&answer.expect_status(200)).text, dialect::TEXT);
}
