//! Tells a head that dawdles from a connection that rests. hyper has one time for both; a slow head must not be waited for,
//! while a client may keep a connection for its next request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What is known of a connection's present head.
#[derive(Debug)]
pub struct HeadWatch {
    opened: Instant,
    /// Milliseconds after `opened`, plus one, at which the first bytes of a head came; 0 while there is none.
    begun: AtomicU64,
    /// A request is being answered: what is read now is its body.
    busy: AtomicBool,
}

impl HeadWatch {
    /// A connection's very first head is waited for from the start.
    pub fn new() -> Arc<HeadWatch> {
        Arc::new(HeadWatch { opened: Instant::now(), begun: AtomicU64::new(1), busy: AtomicBool::new(false) })
    }

    /// The head is complete.
    pub fn request_begins(&self) {
        self.begun.store(0, Ordering::Relaxed);
        self.busy.store(true, Ordering::Relaxed);
    }

    /// The request has been read and decided about: what is read now is the next head.
    pub fn request_ends(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    fn bytes_came(&self) {
        if !self.busy.load(Ordering::Relaxed) && self.begun.load(Ordering::Relaxed) == 0 {
            self.begun.store(self.now().saturating_add(1), Ordering::Relaxed);
        }
    }

    /// How long the present head has been coming, `None` where none has begun.
    pub fn age(&self) -> Option<Duration> {
        let begun = self.begun.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_millis(self.now().saturating_sub(begun)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A socket whose reads are noticed.
#[derive(Debug)]
pub struct Watched {
    pub stream: TcpStream,
    pub watch: Arc<HeadWatch>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.watch.bytes_came();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
