//! Copies of requests for a second target, off the caller's way: the answer is there before the copy is made, and nothing that
//! becomes of the copy can change it. Both results are compared in the log and in the metrics.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;
use smallvec::smallvec;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::info;

use super::attempt::{self, Answer, AnswerBody, Try};
use super::estimate::Left;
use super::ingress::Call;
use super::outgoing::Incoming;
use super::{Gateway, content, respond};
use crate::live::Live;
use crate::table::{Leaf, Mirror};
use crate::telemetry::Sinks;
use crate::telemetry::entry::Context;
use crate::telemetry::otlp::{Trace, context};
use crate::telemetry::record::{Account, Record, Tried, losses};
use crate::telemetry::traffic::Traffic;
use crate::wire::Operation;
use crate::wire::loss::Losses;

/// Copies under way at once; beyond them none is made.
const MOST: usize = 32;

/// Room for copies.
pub struct Shadows(Arc<Semaphore>);

impl Default for Shadows {
    fn default() -> Shadows {
        Shadows(Arc::new(Semaphore::new(MOST)))
    }
}

/// How one side ended.
#[derive(Debug)]
struct Side {
    /// `ok`, or the cause of a failure.
    outcome: &'static str,
    finish: String,
    input: Option<u64>,
    output: Option<u64>,
    ms: u128,
}

/// Two results, compared once both are there.
struct Comparison {
    main: String,
    provider: String,
    model: String,
    /// What metrics call the model.
    label: String,
    request_id: Arc<str>,
    traffic: Arc<Traffic>,
    sides: [OnceLock<Side>; 2],
    there: AtomicU8,
}

/// What a copy took and how it went: for its span, and for the sums of what was spent.
struct Recorded {
    sinks: Arc<Sinks>,
    /// Of the copy alone, with its one try.
    record: Box<Record>,
}

impl Recorded {
    /// Hands it over, now that the copy has ended: well (`ok`), or why not.
    fn ended(mut self, after: Duration, outcome: &'static str, account: &Account) {
        self.record.account(account.clone());
        self.record.total = after;
        for tried in &mut self.record.attempts {
            (tried.cause, tried.end) = (outcome, Some(after));
        }
        self.sinks.put_mirror(self.record);
    }
}

/// The end of one side that has not come yet.
pub struct Half {
    comparison: Arc<Comparison>,
    at: usize,
    began: Instant,
    ended: bool,
    /// Of the copy alone.
    recorded: Option<Recorded>,
}

impl Half {
    /// There is no answer, but perhaps a status.
    fn fails(&mut self, status: Option<u16>) {
        for tried in self.recorded.iter_mut().flat_map(|own| &mut own.record.attempts) {
            tried.status = status;
        }
    }

    /// The first content is there.
    fn answers(&mut self, lost: &Losses) {
        let after = self.began.elapsed();
        for tried in self.recorded.iter_mut().flat_map(|own| &mut own.record.attempts) {
            (tried.first, tried.status, tried.losses) = (Some(after), Some(200), losses(lost));
        }
    }

    /// The side has ended: well (`ok`), or why not.
    pub fn ended(mut self, outcome: &'static str, account: &Account) {
        self.put(outcome, account);
    }

    fn put(&mut self, outcome: &'static str, account: &Account) {
        self.ended = true;
        if let Some(own) = self.recorded.take() {
            own.ended(self.began.elapsed(), outcome, account);
        }
        let reasons: Vec<String> = account.finish_reasons.iter().map(|reason| plain(reason)).collect();
        let side = Side {
            outcome,
            finish: reasons.join(","),
            input: account.usage.and_then(|usage| usage.input),
            output: account.usage.and_then(|usage| usage.output),
            ms: self.began.elapsed().as_millis(),
        };
        if self.comparison.sides.get(self.at).is_some_and(|place| place.set(side).is_ok())
            && self.comparison.there.fetch_add(1, Ordering::AcqRel) == 1
        {
            self.comparison.tell();
        }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if !self.ended {
            self.put("unfinished", &Account::default());
        }
    }
}

/// One word for what vendors call differently.
fn plain(reason: &str) -> String {
    let reason = reason.to_ascii_lowercase();
    let word = match reason.as_str() {
        "stop" | "end_turn" | "stop_sequence" | "completed" => "stop",
        "length" | "max_tokens" | "max_output_tokens" | "incomplete" => "length",
        "tool_calls" | "tool_use" | "function_call" => "tools",
        "content_filter" | "safety" | "refusal" | "guardrail_intervened" => "filter",
        other => other,
    };
    word.to_owned()
}

impl Comparison {
    fn tell(&self) {
        let [Some(main), Some(mirror)] = self.sides.each_ref().map(OnceLock::get) else { return };
        // Not every answer says why it ended.
        let alike = main.finish == mirror.finish || main.finish.is_empty() || mirror.finish.is_empty();
        let verdict = match (main.outcome, mirror.outcome) {
            ("ok", "ok") if alike => "same",
            ("ok", "ok") => "differs",
            ("ok", _) => "failed",
            _ => "main_failed",
        };
        self.traffic.shadowed(&self.provider, &self.label, verdict);
        info!(
            request_id = &*self.request_id,
            verdict,
            main = self.main,
            main_outcome = main.outcome,
            main_finish = main.finish,
            main_input_tokens = main.input,
            main_output_tokens = main.output,
            main_ms = main.ms,
            mirror = format!("{}/{}", self.provider, self.model),
            mirror_outcome = mirror.outcome,
            mirror_finish = mirror.finish,
            mirror_input_tokens = mirror.input,
            mirror_output_tokens = mirror.output,
            mirror_ms = mirror.ms,
            "compared with a mirror"
        );
    }
}

/// A request of which a copy may be made.
pub(super) struct Original<'r, 'i, 'b> {
    pub gateway: &'r Arc<Gateway>,
    pub live: &'r Arc<Live>,
    pub incoming: &'r Incoming<'i, 'b>,
    pub request_id: &'r Arc<str>,
    /// Its place in a trace.
    pub trace: Option<&'r Trace>,
    pub began: Instant,
}

impl Original<'_, '_, '_> {
    /// Sends the copy that `mirror` wants, now that `target` has given `answer`.
    pub(super) fn copy_for(&self, mirror: &Mirror<'_>, target: &str, answer: &mut Answer) {
        // What TensorZero's surface says beyond the conversation belongs to its one inference.
        if self.incoming.call.operation != Operation::Generate || self.incoming.surface.is_some() {
            return;
        }
        let (provider, model) = (&*mirror.attempt.provider.name, mirror.attempt.model);
        let label = self.live.runtime.health.label(mirror.attempt.leaf.target, model);
        let Ok(room) = Arc::clone(&self.gateway.shadows.0).try_acquire_owned() else {
            self.gateway.traffic.shadowed(provider, label, "dropped");
            return;
        };
        let comparison = Arc::new(Comparison {
            main: target.to_owned(),
            provider: provider.to_owned(),
            model: model.to_owned(),
            label: label.to_owned(),
            request_id: Arc::clone(self.request_id),
            traffic: Arc::clone(&self.gateway.traffic),
            sides: Default::default(),
            there: AtomicU8::new(0),
        });
        let half =
            |at, began, recorded| Half { comparison: Arc::clone(&comparison), at, began, ended: false, recorded };
        let main = half(0, self.began, None);
        match &mut answer.body {
            AnswerBody::Whole(_) => main.ended("ok", &answer.account),
            AnswerBody::Stream(stream) => stream.compared(main),
        }
        let copy = Copy {
            call: self.incoming.call.clone().into_owned(),
            headers: self.incoming.headers.clone(),
            query: self.incoming.query.map(str::to_owned),
            body: self.incoming.body.clone(),
            leaf: mirror.attempt.leaf,
            model: model.into(),
        };
        let (gateway, live) = (Arc::clone(self.gateway), Arc::clone(self.live));
        let half = half(1, Instant::now(), self.recorded(mirror, label == model));
        tokio::spawn(copy.send(gateway, live, half, room));
    }

    /// `told_apart`: metrics may call the model by its name.
    fn recorded(&self, mirror: &Mirror<'_>, told_apart: bool) -> Option<Recorded> {
        if !self.gateway.sinks.are_wanted() {
            return None;
        }
        let (id, protocol) = (Arc::clone(self.request_id), self.incoming.call.protocol);
        let mut record = Record::new(SystemTime::now(), id, self.live.generation, protocol);
        record.trace = self.trace.cloned();
        record.operation = self.incoming.call.operation.name();
        record.stream = self.incoming.envelope.stream;
        record.attempts = smallvec![Tried {
            target: mirror.attempt.name(),
            told_apart,
            lane: mirror.attempt.lane(protocol, self.incoming.call.operation).word(),
            cause: "unfinished",
            status: None,
            start: Duration::ZERO,
            first: None,
            end: None,
            losses: Vec::new(),
            left: None,
            span: context::span_id(),
            server: mirror.attempt.base_url(protocol, self.incoming.call.operation).map(|url| Arc::clone(&url.server)),
            content: None,
        }];
        Some(Recorded { sinks: Arc::clone(&self.gateway.sinks), record: Box::new(record) })
    }
}

/// A request that belongs to nobody but its task.
struct Copy {
    call: Call<'static>,
    headers: HeaderMap,
    query: Option<String>,
    body: Bytes,
    leaf: Leaf,
    model: Box<str>,
}

impl Copy {
    async fn send(self, gateway: Arc<Gateway>, live: Arc<Live>, mut half: Half, room: OwnedSemaphorePermit) {
        let attempt = live.table.attempt(self.leaf, &self.model);
        let inbound = respond::dialect(self.call.protocol);
        let (Some(attempt), Some(inbound), Some(codec)) = (attempt, inbound, self.call.protocol.codec()) else {
            return;
        };
        let head = self.call.head();
        let Ok(envelope) = inbound.peek(&head, &self.body) else { return };
        let incoming = Incoming {
            call: &self.call,
            head,
            codec,
            inbound,
            headers: &self.headers,
            query: self.query.as_deref(),
            owner: None,
            body: &self.body,
            envelope: &envelope,
            session: None,
            surface: None,
            decoded: OnceLock::new(),
            checker: OnceLock::new(),
        };
        let total = attempt.settings.timeouts.all(envelope.stream);
        let trace = half.recorded.as_ref().and_then(|own| own.record.trace.as_ref());
        let content = content::of(trace, &incoming, &attempt, &live);
        let mut headers = Context::default();
        for Recorded { record, .. } in half.recorded.iter_mut() {
            for tried in &mut record.attempts {
                headers = record.trace.as_ref().map_or_else(Context::default, |trace| trace.headers(tried.span));
                tried.content.clone_from(&content);
            }
        }
        let this = Try {
            gateway: &gateway,
            live: &live,
            incoming: &incoming,
            attempt: &attempt,
            deadline: Instant::now() + total,
            total,
            first: None,
            correction: None,
            trace: &headers,
            left: &Left::new(),
            content: content.as_ref(),
            barred: None,
        };
        match attempt::run(&this).await {
            Ok(Answer { body: AnswerBody::Whole(_), account, losses, .. }) => {
                half.answers(&losses);
                half.ended("ok", &account);
            }
            Ok(Answer { body: AnswerBody::Stream(mut stream), losses, .. }) => {
                half.answers(&losses);
                stream.compared(half);
                while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut *stream).poll_frame(cx)).await {}
            }
            Err(failure) => {
                half.fails(failure.upstream_status());
                half.ended(failure.cause(), &Account::default());
            }
        }
        drop(room);
    }
}
