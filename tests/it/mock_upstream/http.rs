//! The least HTTP/1.1 that an upstream needs: reads requests whole, notices a closed connection, writes chunks.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A request as it arrived.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path with query.
    pub(crate) target: String,
    /// In order, names as they were sent.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header, `None` where it is absent. A header sent twice fails the test.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "header `{name}` was sent twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, `Null` where it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} {}", self.method, self.target)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "\n{}", self.text().chars().take(2000).collect::<String>())
    }
}

/// What has been read from a connection and not used yet.
#[derive(Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// Reads one request; `None` where the connection was closed between requests.
    pub(crate) async fn read_request(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
        let Some(head) = self.read_head(stream).await? else { return Ok(None) };
        let (line, headers) = parse_head(&head);
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut request = Request { method: method.into(), target: target.into(), headers, body: Vec::new() };
        if request.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            request.body = self.read_chunks(stream).await?;
        } else if let Some(length) = request.header("content-length") {
            request.body = self.take(stream, length.parse().unwrap()).await?;
        }
        Ok(Some(request))
    }

    /// Reads up to and including the empty line; `None` where there is nothing.
    pub(crate) async fn read_head(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.bytes, b"\r\n\r\n") {
                let head: Vec<u8> = self.bytes.drain(..end + 4).collect();
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            if !self.fill(stream).await? {
                return if self.bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Reads a chunked body to its end.
    pub(crate) async fn read_chunks(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = self.read_chunk(stream).await? {
            body.extend(chunk);
        }
        Ok(body)
    }

    /// Reads one chunk; `None` is the last one.
    pub(crate) async fn read_chunk(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
        let line = self.read_line(stream).await?;
        let size = line.trim().split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(|_| io::Error::other(format!("chunk size `{line}`")))?;
        let chunk = self.take(stream, size).await?;
        self.read_line(stream).await?;
        Ok((size > 0).then_some(chunk))
    }

    async fn read_line(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.bytes) {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.must_fill(stream).await?;
        }
    }

    /// Reads exactly `length` bytes.
    pub(crate) async fn take(&mut self, stream: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Vec<u8>> {
        while self.bytes.len() < length {
            self.must_fill(stream).await?;
        }
        Ok(self.bytes.drain(..length).collect())
    }

    /// Reads until the other side closes.
    pub(crate) async fn rest(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
        while self.fill(stream).await? {}
        Ok(std::mem::take(&mut self.bytes))
    }

    /// Returns when the other side has closed. What it still sends is kept.
    pub(crate) async fn closed(&mut self, stream: &mut (impl AsyncRead + Unpin)) {
        while let Ok(true) = self.fill(stream).await {}
    }

    async fn must_fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        if self.fill(stream).await? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Reads what is there; `false` at the end.
    async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        Ok(stream.read_buf(&mut self.bytes).await? > 0)
    }
}

/// The first line, and the headers in order.
pub(crate) fn parse_head(head: &str) -> (String, Vec<(String, String)>) {
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("`{line}` is not a header"));
        (name.to_owned(), value.trim().to_owned())
    };
    (first, lines.map(header).collect())
}

/// An answer with a length.
pub(crate) async fn write_whole(
    out: &mut (impl AsyncWrite + Unpin),
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<()> {
    let mut bytes = head(status, headers);
    bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
    bytes.extend(body);
    out.write_all(&bytes).await
}

/// The head of an answer that comes in chunks.
pub(crate) async fn write_stream_head(out: &mut (impl AsyncWrite + Unpin), content_type: &str) -> io::Result<()> {
    let mut bytes = head(200, &[("content-type", content_type)]);
    bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
    out.write_all(&bytes).await
}

pub(crate) async fn write_chunk(out: &mut (impl AsyncWrite + Unpin), data: &[u8]) -> io::Result<()> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend(data);
    bytes.extend(b"\r\n");
    out.write_all(&bytes).await
}

/// A chunk, unless it would be the last: that is the empty one.
pub(crate) async fn write_some(out: &mut (impl AsyncWrite + Unpin), data: &[u8]) -> io::Result<()> {
    if data.is_empty() { Ok(()) } else { write_chunk(out, data).await }
}

pub(crate) async fn write_last_chunk(out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    out.write_all(b"0\r\n\r\n").await
}

fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(status).unwrap().canonical_reason().unwrap_or("Unknown");
    let mut text = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}
