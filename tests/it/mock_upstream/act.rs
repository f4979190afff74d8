//! What the upstream does with one request: a good answer, or one of the faults.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::dialect::{self, Reply, Stream};
use super::http::{self, Request};
use super::pack::{Packer, pack};

/// One scripted behaviour.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// A good answer in the dialect of the request's path.
    Answer,
    /// A good answer after a pause.
    AnswerAfter(Duration),
    /// The head of a good stream and all its events, one every so often.
    SlowStream(Duration),
    /// As [`Act::SlowStream`], but byte by byte.
    Drip(Duration),
    /// A good answer in a content coding. Each event of a stream is flushed by itself; those behind the first wait for a
    /// word from the test, where one is given.
    Compressed(&'static str, Option<Arc<Notify>>),
    /// RST once the request has been read.
    ResetBeforeHead,
    /// FIN once the request has been read.
    CloseBeforeHead,
    /// Nothing, for ever.
    StallBeforeHead,
    /// A head that promises a body, half of that body, then nothing.
    StallMidBody,
    /// As [`Act::StallMidBody`], then RST.
    ResetMidBody,
    /// So many events of a good stream, then nothing.
    StallMidStream(usize),
    /// So many events of a good stream and so many bytes of the next, then a pause until the test gives a word, then the
    /// rest. `meanwhile` is sent every 10 ms of the pause.
    Halt { events: usize, bytes: usize, meanwhile: &'static str, told: Arc<Notify> },
    /// So many events of a good stream, then RST.
    ResetMidStream(usize),
    /// So many events of a good stream, then a well-framed end: only the protocol's own marker is missing.
    Truncate(usize),
    /// So many events of a good stream, then the dialect's error event, under HTTP 200.
    StreamError(usize),
    /// As [`Act::StreamError`], but the error waits for a word from the test.
    StreamErrorWhenTold(usize, Arc<Notify>),
    /// So many events of a good stream, then one event of so many bytes that never ends its line.
    HugeEvent(usize, usize),
    /// Any whole answer.
    Respond { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// An error in the dialect whose message repeats every request header: what must not reach the caller.
    EchoHeaders(u16),
    /// So many events of a good stream, then the dialect's error event with every request header in its message.
    EchoHeadersInStream(usize),
    /// The bytes, whatever they are, then FIN.
    Raw(Vec<u8>),
    /// What the test's own function says to the request.
    Script(Script),
}

/// See [`Act::Script`].
#[derive(Clone)]
pub(crate) struct Script(Arc<dyn Fn(&Request) -> Reply + Send + Sync>);

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl Act {
    pub(crate) fn script(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Act {
        Act::Script(Script(Arc::new(answer)))
    }

    /// An error with the given status, in the dialect.
    pub(crate) fn status(status: u16) -> Act {
        Act::Respond { status, headers: Vec::new(), body: Vec::new() }
    }

    /// 429, with `retry-after` in seconds.
    pub(crate) fn rate_limited(retry_after: &str) -> Act {
        Act::Respond { status: 429, headers: vec![("retry-after", retry_after.to_owned())], body: Vec::new() }
    }

    /// Any status with a page of HTML, as load balancers send.
    pub(crate) fn html(status: u16) -> Act {
        Act::Respond {
            status,
            headers: vec![("content-type", "text/html".to_owned())],
            body: b"<html><body><h1>502 Bad Gateway</h1></body></html>".to_vec(),
        }
    }
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    KeepAlive,
    Close,
    Reset,
}

/// Plays `act` and says what becomes of the connection.
pub(crate) async fn play(act: &Act, request: &Request, out: &mut (impl AsyncWrite + Unpin)) -> After {
    // A write that fails means that the caller is gone; the reader's side records that.
    match try_play(act, request, out).await {
        Ok(after) => after,
        Err(_) => std::future::pending().await,
    }
}

async fn try_play(act: &Act, request: &Request, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<After> {
    match act {
        Act::Answer => answer(request, out, Duration::ZERO).await,
        Act::Script(Script(say)) => give(say(request), out, Duration::ZERO).await,
        Act::AnswerAfter(pause) => {
            tokio::time::sleep(*pause).await;
            answer(request, out, Duration::ZERO).await
        }
        Act::SlowStream(pause) => answer(request, out, *pause).await,
        Act::Drip(pause) => drip(&good_stream(request), *pause, out).await,
        Act::Compressed(coding, told) => compressed(request, coding, told.as_deref(), out).await,
        Act::ResetBeforeHead => Ok(After::Reset),
        Act::CloseBeforeHead => Ok(After::Close),
        Act::StallBeforeHead => std::future::pending().await,
        Act::StallMidBody => {
            half_body(out).await?;
            std::future::pending().await
        }
        Act::ResetMidBody => {
            half_body(out).await?;
            settle().await;
            Ok(After::Reset)
        }
        Act::StallMidStream(events) => {
            begin_stream(&good_stream(request), *events, out).await?;
            std::future::pending().await
        }
        Act::Halt { events, bytes, meanwhile, told } => {
            let stream = good_stream(request);
            begin_stream(&stream, *events, out).await?;
            let rest = stream.events.iter().skip(*events).flatten().copied().collect::<Vec<u8>>();
            let (now, later) = rest.split_at(*bytes);
            http::write_some(out, now).await?;
            while tokio::time::timeout(Duration::from_millis(10), told.notified()).await.is_err() {
                http::write_some(out, meanwhile.as_bytes()).await?;
            }
            http::write_some(out, later).await?;
            http::write_last_chunk(out).await?;
            Ok(After::KeepAlive)
        }
        Act::ResetMidStream(events) => {
            begin_stream(&good_stream(request), *events, out).await?;
            settle().await;
            Ok(After::Reset)
        }
        Act::Truncate(events) => {
            begin_stream(&good_stream(request), *events, out).await?;
            http::write_last_chunk(out).await?;
            Ok(After::KeepAlive)
        }
        Act::StreamError(events) => {
            let stream = good_stream(request);
            begin_stream(&stream, *events, out).await?;
            fail_stream(&stream, out).await
        }
        Act::StreamErrorWhenTold(events, told) => {
            let stream = good_stream(request);
            begin_stream(&stream, *events, out).await?;
            told.notified().await;
            fail_stream(&stream, out).await
        }
        Act::HugeEvent(events, bytes) => {
            begin_stream(&good_stream(request), *events, out).await?;
            http::write_chunk(out, b"data: ").await?;
            let block = vec![b'x'; 64 << 10];
            for _ in 0..bytes.div_ceil(block.len()) {
                http::write_chunk(out, &block).await?;
            }
            std::future::pending().await
        }
        Act::Respond { status, headers, body } => respond(request, *status, headers, body, out).await,
        Act::EchoHeaders(status) => {
            let text = format!("refused: {:?}", request.headers);
            let body = dialect::error(request, *status, &text);
            http::write_whole(out, *status, &[("content-type", "application/json")], body.as_bytes()).await?;
            Ok(After::KeepAlive)
        }
        Act::EchoHeadersInStream(events) => {
            let stream = good_stream(request);
            begin_stream(&stream, *events, out).await?;
            http::write_chunk(out, &(stream.error)(&format!("{:?}", request.headers))).await?;
            http::write_last_chunk(out).await?;
            Ok(After::KeepAlive)
        }
        Act::Raw(bytes) => {
            out.write_all(bytes).await?;
            Ok(After::Close)
        }
    }
}

async fn answer(request: &Request, out: &mut (impl AsyncWrite + Unpin), pause: Duration) -> io::Result<After> {
    give(dialect::reply(request), out, pause).await
}

async fn give(reply: Reply, out: &mut (impl AsyncWrite + Unpin), pause: Duration) -> io::Result<After> {
    match reply {
        Reply::Whole { status, body, headers } => {
            let mut all = vec![("content-type", "application/json")];
            all.extend(headers);
            http::write_whole(out, status, &all, body.as_bytes()).await?;
        }
        Reply::Stream(stream) => {
            http::write_stream_head(out, stream.content_type).await?;
            for event in &stream.events {
                tokio::time::sleep(pause.max(stream.pause)).await;
                http::write_chunk(out, event).await?;
            }
            http::write_last_chunk(out).await?;
        }
    }
    Ok(After::KeepAlive)
}

async fn compressed(
    request: &Request,
    coding: &str,
    told: Option<&Notify>,
    out: &mut (impl AsyncWrite + Unpin),
) -> io::Result<After> {
    match dialect::reply(request) {
        Reply::Whole { status, body, .. } => {
            let headers = [("content-type", "application/json"), ("content-encoding", coding)];
            http::write_whole(out, status, &headers, &pack(coding, body.as_bytes())).await?;
        }
        Reply::Stream(stream) => {
            http::write_stream_head(out, &format!("{}\r\ncontent-encoding: {coding}", stream.content_type)).await?;
            let mut packer = Packer::new(coding);
            for (index, event) in stream.events.iter().enumerate() {
                if let (1.., Some(told)) = (index, told) {
                    told.notified().await;
                }
                http::write_chunk(out, &packer.push(event)).await?;
            }
            http::write_chunk(out, &packer.finish()).await?;
            http::write_last_chunk(out).await?;
        }
    }
    Ok(After::KeepAlive)
}

async fn respond(
    request: &Request,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
    out: &mut (impl AsyncWrite + Unpin),
) -> io::Result<After> {
    let mut all: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let own = dialect::error(request, status, &format!("the upstream says {status}"));
    let body = if body.is_empty() { own.as_bytes() } else { body };
    if !all.iter().any(|(name, _)| *name == "content-type") {
        all.push(("content-type", "application/json"));
    }
    http::write_whole(out, status, &all, body).await?;
    Ok(After::KeepAlive)
}

/// The stream that a good upstream would send, whatever the request asks for.
fn good_stream(request: &Request) -> Stream {
    match dialect::reply(request) {
        Reply::Stream(stream) => stream,
        Reply::Whole { body, .. } => panic!("this act needs a request that streams; the answer was {body}"),
    }
}

async fn begin_stream(stream: &Stream, events: usize, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    http::write_stream_head(out, stream.content_type).await?;
    for event in stream.events.iter().take(events) {
        http::write_chunk(out, event).await?;
    }
    out.flush().await
}

async fn fail_stream(stream: &Stream, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<After> {
    http::write_chunk(out, &(stream.error)("overloaded in the middle")).await?;
    http::write_last_chunk(out).await?;
    Ok(After::KeepAlive)
}

async fn drip(stream: &Stream, pause: Duration, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<After> {
    http::write_stream_head(out, stream.content_type).await?;
    for (at, byte) in stream.events.concat().into_iter().enumerate() {
        // No timer is finer than a millisecond, and a stream has thousands of bytes.
        if at % 8 == 0 {
            tokio::time::sleep(pause).await;
        }
        http::write_chunk(out, &[byte]).await?;
    }
    http::write_last_chunk(out).await?;
    Ok(After::KeepAlive)
}

async fn half_body(out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    out.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n{\"id\":\"x\",")
        .await?;
    out.flush().await
}

/// Lets the other side read what was written: an RST discards what is still in its buffers.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}
