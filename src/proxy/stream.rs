//! The body of a streamed answer: reads the upstream, runs the pipe, and writes merged frames.
//!
//! hyper flushes each body frame by itself, so a stream of twenty events that arrived together would leave in twenty
//! system calls. The body therefore takes everything that the upstream has sent by now, and emits it as one frame. It waits
//! for no timer and no network: an event that arrives alone leaves alone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tokio::time::{Instant, Sleep};

use super::attempt::Judged;
use super::cached::Trace;
use super::cut::{self, Cut};
use super::limits::Ticket;
use super::pipe::{Out, Pipe, Progress};
use super::recorded;
use super::shadow::Half;
use super::warning::Warning;
use crate::state::Credential;
use crate::table::settings::Timeouts;
use crate::telemetry::Entry;
use crate::telemetry::record::Account;
use crate::telemetry::traffic::StreamRecord;
use crate::upstream;
use crate::upstream::body::Broken;
use crate::wire::ir::{Error, ErrorKind};

/// Most bytes of one merged frame.
const MERGED: usize = 16 << 10;
/// How long a complete stream may wait for the end of its bytes, so that the connection can be used again.
const LINGER: Duration = Duration::from_secs(1);

/// A stream on its way to the caller. Dropping it drops the upstream's connection: a caller that leaves takes the
/// upstream's work with it.
pub struct StreamBody {
    stream: Opened,
    idle: Idle,
    record: StreamRecord,
    /// What the request takes, by estimate, where the upstream has not reported it by now.
    prompt: Option<u64>,
    /// The key that the upstream got, and might repeat in an error.
    credential: Option<Arc<Credential>>,
    /// The end of the connection, where one is to be expected.
    cut: Option<Arc<Cut>>,
    /// The call's record, which ends with the stream.
    entry: Entry,
    /// Whom a line in the log names where the answer loses something, if the file asks for one.
    warning: Option<Warning>,
    /// Bytes that the caller got.
    sent: u64,
    /// The target's health, for which it counts until its last byte.
    health: Option<Judged>,
    /// What the cache has to do with it.
    trace: Option<Trace>,
    /// What it has taken of rate limits.
    ticket: Option<Ticket>,
    /// Somebody compares this answer with another.
    half: Option<Half>,
}

/// The times of a stream. One timer, re-armed only when it fires: events do not touch it.
struct Idle {
    limit: Duration,
    deadline: Instant,
    /// After how long a silence the caller is told that the stream lives; `None` for never.
    keep_alive: Option<Duration>,
    /// The upstream sent something.
    last_data: Instant,
    /// The caller got something. What the upstream sends need not reach a caller: pings are not translated.
    last_written: Instant,
    timer: Pin<Box<Sleep>>,
}

/// What the timer of a stream can say.
enum Passed {
    Limit(Error),
    /// The caller has heard nothing for long.
    Silence,
}

impl Idle {
    fn new(timeouts: &Timeouts, deadline: Instant) -> Idle {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(now));
        let keep_alive = Some(timeouts.keep_alive).filter(|pause| !pause.is_zero());
        let mut idle = Idle { limit: timeouts.idle, deadline, keep_alive, last_data: now, last_written: now, timer };
        idle.arm();
        idle
    }

    fn arm(&mut self) {
        let limit = (self.last_data + self.limit).min(self.deadline);
        let keep_alive = self.keep_alive.map(|pause| self.last_written + pause);
        self.timer.as_mut().reset(keep_alive.map_or(limit, |time| time.min(limit)));
    }

    /// What has passed, if something has. A silence is told once, then again after as long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Passed> {
        loop {
            std::task::ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if now >= self.deadline {
                let error = late("deadline_exceeded", "the answer took longer than the whole request may");
                return Poll::Ready(Passed::Limit(error));
            }
            if now >= self.last_data + self.limit {
                return Poll::Ready(Passed::Limit(silent(self.limit)));
            }
            let silent = self.keep_alive.is_some_and(|pause| now >= self.last_written + pause);
            if silent {
                self.last_written = now;
            }
            self.arm();
            if silent {
                return Poll::Ready(Passed::Silence);
            }
        }
    }

    /// The answer is complete: only its end may still come, and soon.
    fn linger(&mut self) {
        self.limit = self.limit.min(LINGER);
        self.keep_alive = None;
        self.arm();
    }
}

fn silent(limit: Duration) -> Error {
    late("idle_timeout", &format!("the upstream sent nothing for {} ms", limit.as_millis()))
}

fn late(code: &str, message: &str) -> Error {
    Error::new(ErrorKind::Timeout, message).with_code(code)
}

/// A stream that has shown its first content, or why it has not.
pub struct Opened {
    pub upstream: upstream::Body,
    pub pipe: Pipe,
    pub out: Out,
    /// The upstream's bytes have ended already.
    pub ended: bool,
    /// The commit point was reached: whatever comes now, it comes from this target.
    pub committed: bool,
}

/// Reads a stream up to its first content. Until then nothing has reached the caller, and another target can take over.
/// What is there with the first content leaves with it, and with the head. `idle`: the longest silence, which a stream that is
/// held to its end may have anywhere in it.
pub async fn open(upstream: upstream::Body, pipe: Pipe, idle: Duration) -> Opened {
    let mut opened = Opened { upstream, pipe, out: Out::default(), ended: false, committed: false };
    while opened.pipe.progress() == Progress::Preamble && !opened.ended {
        let advancing = std::future::poll_fn(|cx| opened.advance(cx));
        if tokio::time::timeout(idle, advancing).await.is_err() {
            opened.pipe.fail(silent(idle), &mut opened.out);
            opened.ended = true;
        }
    }
    opened.committed = matches!(opened.pipe.progress(), Progress::Content | Progress::Complete);
    while opened.committed && !opened.ended && opened.out.len() < MERGED && !opened.pipe.has_failed() {
        let more = std::future::poll_fn(|cx| Poll::Ready(opened.advance(cx).is_ready())).await;
        if !more {
            break;
        }
    }
    opened
}

impl Opened {
    /// Takes what the upstream has now. `Ready`: there is something to do again at once, or the stream has ended.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match std::task::ready!(Pin::new(&mut self.upstream).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    self.pipe.push(bytes, &mut self.out);
                }
            }
            // What breaks behind the answer's own end has broken nothing.
            Some(Err(_)) if self.pipe.is_complete() => {
                self.pipe.finish(&mut self.out);
                self.ended = true;
            }
            Some(Err(error)) => {
                self.pipe.fail(broken(&error), &mut self.out);
                self.ended = true;
            }
            None => {
                self.pipe.finish(&mut self.out);
                self.ended = true;
            }
        }
        Poll::Ready(())
    }
}

fn broken(error: &Broken) -> Error {
    let (kind, code) = match error {
        Broken::Connection(_) | Broken::Truncated(_) => (ErrorKind::Truncated, "upstream_truncated"),
        Broken::Corrupt(_) => (ErrorKind::Upstream, "upstream_protocol"),
    };
    Error::new(kind, error.to_string()).with_code(code)
}

/// The answer cannot be finished, and nothing can be said about that within it.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's answer broke off")]
pub struct BrokenOff;

impl StreamBody {
    /// `deadline`: end of the whole request. `prompt`: the estimate of what it takes, where nothing better is known yet.
    pub fn new(
        stream: Opened,
        timeouts: &Timeouts,
        deadline: Instant,
        record: StreamRecord,
        prompt: Option<u64>,
        credential: Option<Arc<Credential>>,
    ) -> StreamBody {
        let mut body = StreamBody {
            stream,
            idle: Idle::new(timeouts, deadline),
            record,
            prompt,
            credential,
            cut: None,
            entry: Entry::default(),
            warning: None,
            sent: 0,
            health: None,
            trace: None,
            ticket: None,
            half: None,
        };
        if body.stream.pipe.has_failed() {
            body.end_failed();
        }
        body
    }

    /// Ends the stream in words when `cut` is made.
    pub fn ends_with(&mut self, cut: Arc<Cut>) {
        self.cut = Some(cut);
    }

    /// What the stream loses is to be told in the log; it is known at the end only.
    pub fn warns(&mut self, warning: Warning) {
        self.warning = Some(warning);
    }

    /// Ends `entry` with the stream.
    pub fn recorded_in(&mut self, entry: Entry) {
        self.entry = entry;
    }

    /// The stream counts for the health of its target.
    pub fn counts_for(&mut self, health: Judged) {
        self.health = Some(health);
    }

    /// It comes from the cache, or may go there once it is complete.
    pub fn traced(&mut self, trace: Trace) {
        self.trace = Some(trace);
    }

    /// What it takes in the end is settled with `ticket`.
    pub fn settles(&mut self, ticket: Ticket) {
        self.ticket = Some(ticket);
    }

    /// The answer is one side of a comparison.
    pub fn compared(&mut self, half: Half) {
        self.half = Some(half);
    }

    /// An error of the upstream is in hand, in its own words; nothing follows it.
    fn end_failed(&mut self) {
        self.stream.ended = true;
        if let Some(credential) = &self.credential {
            let mut text = self.stream.out.take().to_vec();
            credential.scrub(&mut text);
            self.stream.out.pieces.push(text.into());
        }
    }

    /// As [`Opened::advance`], with an eye on the time.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        std::task::ready!(self.stream.advance(cx));
        self.idle.last_data = Instant::now();
        match self.stream.pipe.progress() {
            Progress::Failed(_) => self.end_failed(),
            Progress::Complete => self.idle.linger(),
            Progress::Preamble | Progress::Content => {}
        }
        Poll::Ready(())
    }

    fn flush(&mut self) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let piece = self.stream.out.take();
        self.record.written(piece.len());
        self.sent += piece.len() as u64;
        // Data leaves as soon as it is there, so the time of the last that came is right and costs no look at the clock.
        self.idle.last_written = self.idle.last_written.max(self.idle.last_data);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    /// A limit of time has passed, the stream's own or the gateway's.
    fn expire(&mut self, error: Error) {
        if !self.stream.pipe.is_complete() {
            self.stream.pipe.fail(error, &mut self.stream.out);
        } else {
            self.stream.pipe.finish(&mut self.stream.out);
        }
        self.stream.ended = true;
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self.get_mut();
        if !this.stream.ended && this.cut.as_ref().is_some_and(|cut| cut.is_made()) {
            this.expire(cut::stopping());
        }
        loop {
            if this.stream.out.len() >= MERGED || (this.stream.ended && !this.stream.out.is_empty()) {
                return this.flush();
            }
            if this.stream.ended {
                return Poll::Ready(this.stream.pipe.breaks_off().then_some(Err(BrokenOff)));
            }
            if this.advance(cx).is_ready() {
                continue;
            }
            if !this.stream.out.is_empty() {
                return this.flush();
            }
            match std::task::ready!(this.idle.poll(cx)) {
                Passed::Limit(error) => this.expire(error),
                Passed::Silence => {
                    this.stream.pipe.keep_alive(&mut this.stream.out);
                    if !this.stream.out.is_empty() {
                        return this.flush();
                    }
                }
            }
        }
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        let outcome = if self.stream.pipe.is_complete() {
            "ok"
        } else if self.stream.pipe.has_failed() {
            "failed"
        } else {
            "caller_left"
        };
        if let (Some(health), true) = (&mut self.health, outcome != "ok") {
            health.cut_short(outcome == "failed");
        }
        let pipe = &self.stream.pipe;
        let hit = self.trace.as_ref().is_some_and(Trace::is_hit);
        let estimated = if hit { None } else { pipe.estimate(self.prompt) };
        let usage = pipe.usage().filter(|_| !hit).copied();
        if let Some(trace) = self.trace.take().filter(|_| outcome == "ok") {
            trace.keep(None);
        }
        let [cost_usd, cost_estimated_usd] = self.record.end(outcome, usage.as_ref(), estimated.as_ref());
        let (model, finish_reasons) = pipe.answered_by();
        let account = Account { usage, estimated, cost_usd, cost_estimated_usd, model, finish_reasons };
        if let Some(ticket) = &mut self.ticket {
            ticket.settle(&account);
        }
        if let Some(half) = self.half.take() {
            half.ended(outcome, &account);
        }
        if let Some(lost) = pipe.losses() {
            self.entry.lost(lost);
            self.warning.iter().for_each(|warning| warning.log(lost));
        }
        let (outcome, fault) = recorded::stream_end(pipe);
        self.entry.stream_ended(outcome, fault, self.sent, account);
    }
}
