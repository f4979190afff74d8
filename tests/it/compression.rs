//! Compressed bodies: of upstreams that compress unasked, and of callers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use routeplane::upstream::coding::{self, Decoder};
use serde_json::json;
use tokio::sync::Notify;

use crate::callers::Caller;
use crate::gateway::{Gateway, providers};
use crate::http_client::{self, Response};
use crate::mock_upstream::pack::{CODINGS, Packer, pack};
use crate::mock_upstream::{Act, MockUpstream, dialect};

/// A gateway in front of an upstream that speaks `protocol` and plays `act`.
async fn start(protocol: &str, act: Act) -> (Gateway, MockUpstream) {
    let mock = MockUpstream::start([act]).await;
    let text = providers(&[("up", protocol, &mock)]);
    let gateway = Gateway::start(&format!("{text}limits: {{ body: 1MiB }}\n")).await;
    (gateway, mock)
}

/// An answer with `content-encoding`.
fn encoded(status: u16, kind: &str, coding: &str, body: Vec<u8>) -> Act {
    let headers = vec![("content-type", kind.to_owned()), ("content-encoding", coding.to_owned())];
    Act::Respond { status, headers, body }
}

/// No header of the answer speaks of bytes that are no longer there.
fn expect_plain(answer: &Response) {
    assert_eq!(answer.header("content-encoding"), None, "{answer:?}");
    if let Some(length) = answer.header("content-length") {
        assert_eq!(length, answer.body.len().to_string(), "{answer:?}");
    }
    assert!(answer.complete, "{answer:?}");
}

fn decoder(coding: &str) -> Decoder {
    let name = coding.strip_prefix("bare ").unwrap_or(coding);
    let headers = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, HeaderValue::from_str(name).unwrap())]);
    Decoder::new(coding::of(&headers).unwrap().unwrap()).unwrap()
}

/// Everything that comes out for `input`.
fn drain(decoder: &mut Decoder, input: &[u8]) -> Result<Vec<u8>, coding::Corrupt> {
    let (mut input, mut whole) = (Bytes::copy_from_slice(input), Vec::new());
    loop {
        let piece = decoder.decode(&mut input)?;
        if piece.is_empty() {
            return Ok(whole);
        }
        whole.extend_from_slice(&piece);
    }
}

fn long_text() -> Vec<u8> {
    (0..20_000).flat_map(|n| format!("{n} of many, ").into_bytes()).collect()
}

#[test]
fn a_decoder_holds_nothing_back() {
    for coding in ["gzip", "deflate", "bare deflate", "br", "zstd"] {
        let (mut packer, mut decoder) = (Packer::new(coding), decoder(coding));
        for n in 0..100 {
            let event = format!("data: {{\"n\":{n}}}\n\n");
            let got = drain(&mut decoder, &packer.push(event.as_bytes())).unwrap();
            assert_eq!(String::from_utf8_lossy(&got), event, "{coding}");
            assert!(!decoder.is_complete(), "{coding}");
            // Asking again without bytes changes nothing.
            assert_eq!(drain(&mut decoder, b""), Ok(Vec::new()), "{coding}");
        }
        assert_eq!(drain(&mut decoder, &packer.finish()), Ok(Vec::new()), "{coding}");
        assert!(decoder.is_complete(), "{coding}");
    }
}

#[test]
fn bytes_may_come_in_any_pieces_and_an_end_too_soon_is_seen() {
    let text = long_text();
    for coding in ["gzip", "deflate", "bare deflate", "br", "zstd"] {
        let packed = pack(coding, &text);
        for size in [1, 7, packed.len()] {
            let (mut decoder, mut got, mut left) = (decoder(coding), Vec::new(), packed.len());
            for piece in packed.chunks(size) {
                got.extend(drain(&mut decoder, piece).unwrap());
                left -= piece.len();
                assert_eq!(decoder.is_complete(), left == 0, "{coding}: {left} bytes before the end");
            }
            assert!(got == text, "{coding} in pieces of {size}");
        }
        let behind = [packed, b"more".to_vec()].concat();
        assert_eq!(drain(&mut decoder(coding), &behind), Err(coding::Corrupt), "{coding}");
        // Deflate without a frame has no mark: only a wrong checksum of zlib's frame is sure to be seen.
        if !coding.contains("deflate") {
            assert_eq!(drain(&mut decoder(coding), b"plain text, not packed"), Err(coding::Corrupt), "{coding}");
        }
    }
}

#[test]
fn gzip_has_members_with_headers_and_checksums() {
    let first = flate2::GzBuilder::new().filename("a.json").comment("said").extra(vec![7; 300]);
    let mut first = first.write(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut first, b"one, ").unwrap();
    let both = [first.finish().unwrap(), pack("gzip", b"two")].concat();
    assert_eq!(drain(&mut decoder("gzip"), &both), Ok(b"one, two".to_vec()));
    let mut wrong = pack("gzip", b"two");
    let checksum = wrong.len() - 8;
    wrong[checksum] ^= 1;
    assert_eq!(drain(&mut decoder("gzip"), &wrong), Err(coding::Corrupt));
}

#[tokio::test]
async fn compressed_answers_are_decoded() {
    for coding in CODINGS {
        let (gateway, mock) = start("openai-chat", Act::Compressed(coding, None)).await;
        for caller in [Caller::Chat, Caller::Messages] {
            let whole = caller.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
            expect_plain(&whole);
            assert_eq!(caller.heard(&whole).text, dialect::TEXT, "{coding}");
            let stream = caller.ask(gateway.address, "up/m1", "hello", true).await.expect_status(200);
            expect_plain(&stream);
            assert_eq!(caller.heard_in_stream(&stream).text, dialect::TEXT, "{coding}");
            assert!(caller.has_end_marker(&stream), "{stream:?}");
        }
        let asked = mock.requests();
        assert!(asked.iter().all(|asked| asked.request.header("accept-encoding") == Some("identity")), "{asked:?}");
    }
}

#[tokio::test]
async fn compressed_events_arrive_one_by_one() {
    for coding in CODINGS {
        for protocol in ["openai-chat", "anthropic-messages"] {
            let told = Arc::new(Notify::new());
            let (gateway, _mock) = start(protocol, Act::Compressed(coding, Some(Arc::clone(&told)))).await;
            let mut connection = Caller::Chat.begin(gateway.address, "up/m1", "hello", true).await;
            // One event more for each word: the words of the answer must come long before its end.
            let (mut text, mut words) = (String::new(), 0);
            let head = loop {
                tokio::select! {
                    head = connection.head() => break head,
                    () = tokio::time::sleep(std::time::Duration::from_millis(20)) => { words += 1; told.notify_one(); }
                }
            };
            assert_eq!(head.status, 200, "{coding}: after {words} words");
            while !text.contains("Hello") {
                text.push_str(&String::from_utf8_lossy(&connection.chunk().await.expect("an event")));
            }
            assert!(!text.contains("mock."), "{coding}: the end came before it was sent: {text}");
            while !text.contains("[DONE]") {
                tokio::select! {
                    chunk = connection.chunk() => text.push_str(&String::from_utf8_lossy(&chunk.expect("an event"))),
                    () = tokio::time::sleep(std::time::Duration::from_millis(5)) => told.notify_one(),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_compressed_error_is_told_in_its_own_words() {
    for coding in CODINGS {
        let words =
            json!({ "error": { "message": "no such voice", "type": "invalid_request_error", "code": "voice" } });
        let body = pack(coding, words.to_string().as_bytes());
        let (gateway, _mock) = start("openai-chat", encoded(400, "application/json", coding, body)).await;
        for (caller, stream) in [(Caller::Chat, false), (Caller::Chat, true), (Caller::Gemini, false)] {
            let answer = caller.ask(gateway.address, "up/m1", "hello", stream).await.expect_status(400);
            expect_plain(&answer);
            assert!(caller.error(&answer.json()).1.contains("no such voice"), "{coding}: {answer:?}");
        }
        let same = Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await;
        assert_eq!(same.text(), words.to_string(), "{coding}");
    }
}

#[tokio::test]
async fn a_compressed_answer_that_ends_too_soon_is_an_error() {
    for coding in CODINGS {
        let whole = pack(coding, b"{\"id\":\"x\",\"object\":\"chat.completion\",\"choices\":[]}");
        let cut = whole[..whole.len() - 3].to_vec();
        let (gateway, _mock) = start("openai-chat", encoded(200, "application/json", coding, cut)).await;
        let answer = Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(502);
        assert_eq!(answer.header("x-routeplane-code"), Some("upstream_truncated"), "{coding}: {answer:?}");

        let event = "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":\
            [{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n";
        let cut = Packer::new(coding).push(event.as_bytes());
        let (gateway, _mock) = start("openai-chat", encoded(200, "text/event-stream", coding, cut)).await;
        for caller in [Caller::Chat, Caller::Messages] {
            let answer = caller.ask(gateway.address, "up/m1", "hello", true).await.expect_status(200);
            assert!(answer.text().contains("Hello"), "{coding}: {answer:?}");
            let error = caller.in_band_error(&answer).unwrap_or_else(|| panic!("no error: {answer:?}"));
            assert!(error.contains(coding), "{coding}: {error}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_not_what_its_header_says_is_an_error() {
    let plain = b"{\"id\":\"x\",\"object\":\"chat.completion\",\"choices\":[]}".to_vec();
    for coding in CODINGS {
        // Much can be read as deflate; a wrong checksum of zlib's frame cannot.
        let mut wrong = if coding == "deflate" { pack(coding, &plain) } else { plain.clone() };
        *wrong.last_mut().unwrap() ^= 1;
        for (stream, kind) in [(false, "application/json"), (true, "text/event-stream")] {
            let (gateway, _mock) = start("openai-chat", encoded(200, kind, coding, wrong.clone())).await;
            let answer = Caller::Chat.ask(gateway.address, "up/m1", "hello", stream).await.expect_status(502);
            let (_, message) = Caller::Chat.error(&answer.json());
            assert!(message.contains(&format!("`{coding}`")), "{message}");
        }
    }
}

#[tokio::test]
async fn a_decompression_bomb_of_an_upstream_is_refused() {
    for coding in CODINGS {
        let bomb = pack(coding, &vec![b' '; 65 << 20]);
        assert!(bomb.len() < 1 << 20, "{coding}");
        for (stream, kind) in [(false, "application/json"), (true, "text/event-stream")] {
            let bomb = match stream {
                false => bomb.clone(),
                true => pack(coding, &[&b"data: "[..], &vec![b'x'; 9 << 20]].concat()),
            };
            let (gateway, _mock) = start("openai-chat", encoded(200, kind, coding, bomb)).await;
            let answer = Caller::Chat.ask(gateway.address, "up/m1", "hello", stream).await.expect_status(502);
            let code = answer.header("x-routeplane-code");
            assert_eq!(code, Some("upstream_too_large"), "{coding}, stream: {stream}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_coding_passes_or_is_refused_and_never_misread() {
    let (gateway, _mock) = start("openai-chat", encoded(200, "application/json", "foo", b"\x01\x02".to_vec())).await;
    let same = Caller::Chat.ask(gateway.address, "up/m1", "hello", false).await.expect_status(200);
    assert_eq!((same.header("content-encoding"), &*same.body), (Some("foo"), &b"\x01\x02"[..]), "{same:?}");
    let other = Caller::Messages.ask(gateway.address, "up/m1", "hello", false).await.expect_status(502);
    assert!(Caller::Messages.error(&other.json()).1.contains("`foo`"), "{other:?}");
    for (status, told) in [(200, 502), (500, 500)] {
        let act = encoded(status, "text/event-stream", "gzip, foo", b"\x01\x02".to_vec());
        let (gateway, _mock) = start("openai-chat", act).await;
        let answer = Caller::Chat.ask(gateway.address, "up/m1", "hello", true).await.expect_status(told);
        assert!(Caller::Chat.error(&answer.json()).1.contains("content-encoding"), "{answer:?}");
        expect_plain(&answer);
    }
}

/// Sends `body` as it is, with `content-encoding`.
async fn send(gateway: &Gateway, caller: Caller, coding: &str, body: &[u8]) -> Response {
    let mut headers = caller.headers().to_vec();
    headers.push(("content-encoding", coding));
    http_client::request(gateway.address, "POST", &caller.target("up/m1", false), &headers, body).await
}

#[tokio::test]
async fn compressed_requests_are_decoded() {
    let (gateway, mock) = start("openai-chat", Act::Answer).await;
    for coding in CODINGS {
        for caller in Caller::ALL {
            let body = caller.body("up/m1", "hello", false).to_string();
            let answer = send(&gateway, caller, coding, &pack(coding, body.as_bytes())).await.expect_status(200);
            assert_eq!(caller.heard(&answer).text, dialect::TEXT, "{coding}");
            let seen = mock.requests().pop().unwrap().request;
            assert_eq!(
                (seen.header("content-encoding"), seen.json()["model"].as_str()),
                (None, Some("m1")),
                "{seen:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_compressed_request_is_bounded_by_what_it_stands_for() {
    let (gateway, mock) = start("openai-chat", Act::Answer).await;
    for coding in CODINGS {
        let bomb = pack(coding, &vec![b' '; 20 << 20]);
        let answer = send(&gateway, Caller::Chat, coding, &bomb).await.expect_status(413);
        assert_eq!(answer.header("x-routeplane-code"), Some("body_too_large"), "{answer:?}");
        let body = pack(coding, b"{\"model\":\"up/m1\",\"messages\":[]}");
        for wrong in [&body[..body.len() - 2], b"{\"model\":\"up/m1\",\"messages\":[]}"] {
            let answer = send(&gateway, Caller::Chat, coding, wrong).await.expect_status(400);
            assert!(Caller::Chat.error(&answer.json()).1.contains(&format!("`{coding}`")), "{answer:?}");
        }
    }
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn unknown_codings_of_requests_are_refused() {
    let (gateway, mock) = start("openai-chat", Act::Answer).await;
    for coding in ["foo", "compress", "deflate, gzip"] {
        for caller in Caller::ALL {
            let answer = send(&gateway, caller, coding, b"\x1f\x8b").await.expect_status(415);
            assert!(caller.error(&answer.json()).1.contains(&format!("`{coding}`")), "{answer:?}");
            assert_eq!(answer.header("accept-encoding"), Some("gzip, deflate, br, zstd"));
        }
    }
    assert!(mock.requests().is_empty());
}
