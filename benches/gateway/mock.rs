//! The upstream, in a process of its own: canned answers over raw TCP, so that it is never what is measured.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Events of a stream before `[DONE]`.
const EVENTS: usize = 20;

/// Serves until it is killed. The first line of the output is the address.
pub(crate) async fn run() {
    crate::process::raise_file_limit();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let answers = Arc::new(Answers::new());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(serve(stream, answers.clone()));
    }
}

/// Everything that is ever said, as bytes.
struct Answers {
    chat: Vec<u8>,
    messages: Vec<u8>,
    gemini: Vec<u8>,
    stream_head: Vec<u8>,
    /// One chunk each.
    events: Vec<Vec<u8>>,
    /// Head, events and end.
    whole_stream: Vec<u8>,
}

enum Answer<'a> {
    Whole(&'a [u8]),
    Stream(Duration),
    /// One event, then nothing.
    Idle,
}

async fn serve(mut stream: TcpStream, answers: Arc<Answers>) {
    let mut buffer = Vec::with_capacity(16 << 10);
    while let Some(length) = read_request(&mut stream, &mut buffer).await {
        let written = match answers.to(&buffer[..length]) {
            Answer::Whole(bytes) => stream.write_all(bytes).await,
            Answer::Stream(pause) => write_stream(&mut stream, &answers, pause).await,
            Answer::Idle => {
                let begun = [answers.stream_head.as_slice(), &answers.events[0], &answers.events[1]].concat();
                let written = stream.write_all(&begun).await;
                // Until the other side leaves.
                let _ = stream.read_buf(&mut buffer).await;
                written
            }
        };
        if written.is_err() {
            return;
        }
        buffer.drain(..length);
    }
}

/// Without a pause everything is one write, as when an upstream's answer arrives in one read.
async fn write_stream(stream: &mut TcpStream, answers: &Answers, pause: Duration) -> std::io::Result<()> {
    if pause.is_zero() {
        return stream.write_all(&answers.whole_stream).await;
    }
    stream.write_all(&answers.stream_head).await?;
    for event in &answers.events {
        tokio::time::sleep(pause).await;
        stream.write_all(event).await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}

/// Reads until `buffer` begins with a whole request, and says how long that is; `None` at the end.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(length) = request_length(buffer)
            && buffer.len() >= length
        {
            return Some(length);
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let is_length = |line: &&str| line.len() > 15 && line[..15].eq_ignore_ascii_case("content-length:");
    let line = text.lines().find(is_length);
    assert!(line.is_some(), "the mock of the bench reads bodies with a length only: {text}");
    Some(head + line?[15..].trim().parse::<usize>().ok()?)
}

impl Answers {
    fn to(&self, request: &[u8]) -> Answer<'_> {
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let has = |text: &str, word: &[u8]| memchr::memmem::find(text.as_bytes(), word).is_some();
        let line = String::from_utf8_lossy(line);
        // A collector of telemetry, too.
        if [&b"/v1/traces"[..], b"/v1/metrics", b"/v1/logs"].into_iter().any(|path| has(&line, path)) {
            return Answer::Whole(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
        if has(&line, b":generateContent") {
            return Answer::Whole(&self.gemini);
        }
        if has(&line, b"/messages") {
            return Answer::Whole(&self.messages);
        }
        let body = |word: &[u8]| memchr::memmem::find(request, word).is_some();
        match body(b"\"stream\":true") {
            false => Answer::Whole(&self.chat),
            true if body(b"idle\"") => Answer::Idle,
            true if body(b"paced\"") => Answer::Stream(Duration::from_millis(2)),
            true => Answer::Stream(Duration::ZERO),
        }
    }

    fn new() -> Answers {
        let envelope = "\"id\":\"chatcmpl-bench0123456789\",\"created\":1700000000,\"model\":\"m1\"";
        let usage = "\"usage\":{\"prompt_tokens\":31,\"completion_tokens\":20,\"total_tokens\":51,\
                     \"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}";
        let chat = format!(
            "{{{envelope},\"object\":\"chat.completion\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\
             \"content\":\"The answer to everything is forty-two.\"}},\"finish_reason\":\"stop\"}}],{usage}}}"
        );
        let messages = "{\"id\":\"msg_bench0123456789\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m1\",\
                        \"content\":[{\"type\":\"text\",\"text\":\"The answer to everything is forty-two.\"}],\
                        \"stop_reason\":\"end_turn\",\"stop_sequence\":null,\
                        \"usage\":{\"input_tokens\":31,\"output_tokens\":20}}";
        let gemini = "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"The answer to everything is forty-two.\"}],\
                      \"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":31,\
                      \"candidatesTokenCount\":20,\"totalTokenCount\":51},\"modelVersion\":\"m1\",\"responseId\":\"bench\"}";
        let stream_head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
                            transfer-encoding: chunked\r\n\r\n"
            .to_vec();
        let events = events(envelope, usage);
        Answers {
            chat: whole(&chat),
            messages: whole(messages),
            gemini: whole(gemini),
            whole_stream: [stream_head.as_slice(), &events.concat(), b"0\r\n\r\n"].concat(),
            stream_head,
            events,
        }
    }
}

fn events(envelope: &str, usage: &str) -> Vec<Vec<u8>> {
    let envelope = format!("{envelope},\"object\":\"chat.completion.chunk\"");
    let delta = |delta: &str, finish: &str| {
        format!(
            "{{{envelope},\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}],\"usage\":null}}"
        )
    };
    let mut data = vec![delta("{\"role\":\"assistant\",\"content\":\"\"}", "null")];
    data.extend((0..EVENTS - 3).map(|n| delta(&format!("{{\"content\":\" word{n}\"}}"), "null")));
    data.push(delta("{}", "\"stop\""));
    data.push(format!("{{{envelope},\"choices\":[],{usage}}}"));
    data.push("[DONE]".to_owned());
    let chunk = |data: String| {
        let event = format!("data: {data}\n\n");
        format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
    };
    data.into_iter().map(chunk).collect()
}

fn whole(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}
