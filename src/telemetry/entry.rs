//! A record while it is being written: it goes with its request from hand to hand, so nothing is locked, and whoever
//! drops it last closes it. A caller that leaves drops everything that works for it, and so its entry, too.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::content::Content;
use super::otlp::extra::Extra;
use super::otlp::{Trace, context};
use super::record::{Account, Charge, Fault, MOST, Outcome, Record, Tried, Tries, losses};
use super::sinks::Sinks;
use crate::provider::BaseUrl;
use crate::wire::ProtocolId;
use crate::wire::loss::Losses;

/// The status of a record whose caller left before an answer had one (nginx's word for it).
pub const CALLER_LEFT: u16 = 499;

/// A record on its way; empty where nobody wants any.
#[derive(Default)]
pub struct Entry(Option<Box<Open>>);

struct Open {
    record: Record,
    began: Instant,
    sinks: Arc<Sinks>,
    /// Of a part of a record: where its attempts go.
    whole: Option<UnboundedSender<Tries>>,
    /// Where attempts come from that run beside others.
    parts: Option<Parts>,
}

type Parts = (UnboundedSender<Tries>, UnboundedReceiver<Tries>);

/// Headers of a trace: its `traceparent`, and its `tracestate`.
pub type Context = [Option<(HeaderName, HeaderValue)>; 2];

/// What the gateway said to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    /// The error, where the answer is one.
    pub fault: Option<Fault>,
    /// Bytes of a whole answer; a stream counts its own.
    pub bytes: u64,
}

impl Entry {
    /// A model call has arrived.
    pub fn begin(
        sinks: &Arc<Sinks>,
        request_id: &Arc<str>,
        generation: u64,
        protocol: ProtocolId,
        headers: &HeaderMap,
    ) -> Entry {
        if !sinks.are_wanted() {
            return Entry(None);
        }
        let mut record = Record::new(SystemTime::now(), Arc::clone(request_id), generation, protocol);
        record.trace = sinks.place(headers);
        Entry(Some(Box::new(Open {
            record,
            began: Instant::now(),
            sinks: Arc::clone(sinks),
            whole: None,
            parts: None,
        })))
    }

    /// Adds what is known to the record, if there is one; the point in time is when the request arrived.
    pub fn note(&mut self, note: impl FnOnce(&mut Record, Instant)) {
        if let Some(open) = &mut self.0 {
            note(&mut open.record, open.began);
        }
    }

    /// An entry for attempts that run beside others. Dropped, it hands them to this one, however the race ends.
    pub fn fork(&mut self) -> Entry {
        let Some(open) = &mut self.0 else { return Entry(None) };
        let (whole, _) = open.parts.get_or_insert_with(unbounded_channel);
        let Record { time, request_id, generation, protocol, .. } = &open.record;
        let mut record = Record::new(*time, Arc::clone(request_id), *generation, *protocol);
        record.trace = open.record.trace.clone();
        let (began, sinks, whole) = (open.began, Arc::clone(&open.sinks), Some(whole.clone()));
        Entry(Some(Box::new(Open { record, began, sinks, whole, parts: None })))
    }

    /// Takes what ended forks have tried; `target` answered, or was tried last. What they have not finished was outrun.
    pub fn join(&mut self, target: Option<&Arc<str>>) {
        let Some(open) = &mut self.0 else { return };
        let now = open.began.elapsed();
        let record = &mut open.record;
        let before = record.attempts.len();
        collect(record, open.parts.as_mut());
        for tried in record.attempts.iter_mut().filter(|tried| tried.cause == "unfinished") {
            (tried.cause, tried.end) = ("outrun", Some(now));
        }
        if record.attempts.len() > before {
            record.attempts.sort_by_key(|tried| tried.start);
        }
        record.target = target.cloned().or(record.target.take());
    }

    /// A try begins; `told_apart`: metrics may call its model by its name. The number is for [`Entry::tried`] and
    /// [`Entry::opened`].
    pub fn tries(&mut self, target: &Arc<str>, told_apart: bool, lane: &'static str) -> usize {
        let mut number = 0;
        self.note(|record, began| {
            record.target = Some(Arc::clone(target));
            number = record.attempts.len();
            if number < MOST {
                record.attempts.push(Tried {
                    target: Arc::clone(target),
                    told_apart,
                    lane,
                    cause: "unfinished",
                    status: None,
                    start: began.elapsed(),
                    first: None,
                    end: None,
                    losses: Vec::new(),
                    left: None,
                    span: if record.trace.is_some() { context::span_id() } else { 0 },
                    server: None,
                    content: None,
                });
            }
        });
        number
    }

    /// The headers by which the upstream of a try learns of its place in the trace.
    pub fn context(&self, number: usize) -> Context {
        let Some(open) = &self.0 else { return Context::default() };
        match (&open.record.trace, open.record.attempts.get(number)) {
            (Some(trace), Some(tried)) => trace.headers(tried.span),
            _ => Context::default(),
        }
    }

    /// The request's place in a trace, whether it is sampled or not.
    pub fn trace(&self) -> Option<&Trace> {
        self.0.as_ref()?.record.trace.as_ref()
    }

    /// What the caller adds to the export of its trace, where there is one.
    pub fn exports_with(&mut self, extra: &Arc<Extra>) {
        self.note(|record, _| {
            if let Some(trace) = &mut record.trace {
                trace.extra = Some(Arc::clone(extra));
            }
        });
    }

    /// Where a try asks, which is for spans alone.
    pub fn asks(&mut self, number: usize, url: Option<&BaseUrl>) {
        if self.place().is_some() {
            self.attempt(number, |tried, _| tried.server = url.map(|url| Arc::clone(&url.server)));
        }
    }

    /// What is said in a try is to be on its span.
    pub fn listens(&mut self, number: usize, content: &Arc<Content>) {
        self.attempt(number, |tried, _| tried.content = Some(Arc::clone(content)));
    }

    /// Nobody waits for a try's answer any more, and this is what it took.
    pub fn left(&mut self, number: usize, charge: Charge) {
        self.attempt(number, |tried, _| tried.left = Some(Box::new(charge)));
    }

    /// The request's trace and its own span, where it is sampled.
    pub fn place(&self) -> Option<(u128, u64)> {
        let trace = self.0.as_ref()?.record.trace.as_ref()?;
        trace.sampled.then_some((trace.id, trace.span))
    }

    /// A try has failed.
    pub fn tried(&mut self, number: usize, cause: &'static str, status: Option<u16>) {
        self.attempt(number, |tried, began| {
            (tried.cause, tried.status, tried.end) = (cause, status, Some(began.elapsed()));
        });
    }

    /// A try has an answer: the whole of it, or the beginning of a stream, whose end is that of the request.
    pub fn opened(&mut self, number: usize, streams: bool, lost: &Losses) {
        self.attempt(number, |tried, began| {
            let now = began.elapsed();
            (tried.cause, tried.status, tried.first) = ("ok", Some(200), Some(now));
            tried.end = (!streams).then_some(now);
            tried.losses = losses(lost);
        });
    }

    fn attempt(&mut self, number: usize, note: impl FnOnce(&mut Tried, Instant)) {
        self.note(|record, began| {
            if let Some(tried) = record.attempts.get_mut(number) {
                note(tried, began);
            }
        });
    }

    /// The caller gets an answer now. A whole one ends the record; of a stream only the head is known.
    pub fn answered(&mut self, answered: Answered, streams: bool) {
        let mut now = Duration::ZERO;
        self.note(|record, began| {
            now = began.elapsed();
            record.first = Some(now);
            record.status = answered.status;
            record.bytes_out = answered.bytes;
            record.outcome = outcome(record, answered.fault.as_ref());
            record.error = answered.fault;
        });
        if !streams {
            self.end(now);
        }
    }

    /// What the translation of a stream could not carry, besides what its request lost. Its head has left long ago.
    pub fn lost(&mut self, lost: &Losses) {
        self.note(|record, _| {
            if let Some(tried) = record.attempts.iter_mut().rfind(|tried| tried.end.is_none()) {
                let room = MOST.saturating_sub(tried.losses.len());
                let new = losses(lost).into_iter().filter(|loss| !tried.losses.contains(loss));
                let new: Vec<Box<str>> = new.take(room).collect();
                tried.losses.extend(new);
            }
        });
    }

    /// A stream has ended, however it did.
    pub fn stream_ended(&mut self, outcome: Outcome, fault: Option<Fault>, bytes: u64, account: Account) {
        self.note(|record, _| {
            record.account(account);
            record.bytes_out = bytes;
            record.outcome = outcome;
            record.error = fault;
            if let Some(tried) = record.attempts.iter_mut().rfind(|tried| tried.end.is_none()) {
                tried.cause = match outcome {
                    Outcome::Ok | Outcome::Refused | Outcome::Failed => tried.cause,
                    Outcome::BrokeOff => "broke_off",
                    Outcome::CallerLeft => "caller_left",
                    Outcome::CutOff => "cut_off",
                };
            }
        });
        self.close();
    }

    /// Hands the record over. Without more words the caller has left.
    fn close(&mut self) {
        if let Some(open) = &self.0 {
            self.end(open.began.elapsed());
        }
    }

    /// Hands the record over; `total`: since the request arrived.
    fn end(&mut self, total: Duration) {
        let Some(mut open) = self.0.take() else { return };
        let record = &mut open.record;
        collect(record, open.parts.as_mut());
        if let Some(whole) = &open.whole {
            // Where nobody takes them any more, the record is closed.
            let _ = whole.send(std::mem::take(&mut record.attempts));
            return;
        }
        record.total = total;
        record.add_left();
        if record.status == 0 {
            record.status = CALLER_LEFT;
        }
        let unfinished = if record.outcome == Outcome::CutOff { "cut_off" } else { "caller_left" };
        for tried in record.attempts.iter_mut().filter(|tried| tried.end.is_none()) {
            tried.end = Some(record.total);
            if tried.cause == "unfinished" {
                tried.cause = unfinished;
            }
        }
        let Open { record, sinks, began, .. } = *open;
        sinks.put(record, began + total);
    }
}

/// Takes over what forks have handed in.
fn collect(record: &mut Record, parts: Option<&mut Parts>) {
    let Some((_, parts)) = parts else { return };
    while let Ok(tried) = parts.try_recv() {
        let room = MOST.saturating_sub(record.attempts.len());
        record.attempts.extend(tried.into_iter().take(room));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.close();
    }
}

/// How a request ended that got an answer with this error.
fn outcome(record: &Record, fault: Option<&Fault>) -> Outcome {
    match fault {
        None => Outcome::Ok,
        Some(fault) if fault.code.as_deref() == Some(DRAINING) => Outcome::CutOff,
        Some(_) if record.attempts.is_empty() => Outcome::Refused,
        Some(_) => Outcome::Failed,
    }
}

/// The code of the error that an answer ends with when the gateway stops.
pub const DRAINING: &str = "draining";
