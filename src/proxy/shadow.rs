//! Copies of requests for a second target, off the caller's way: the answer is there before the copy is made, and nothing that
//! becomes of the copy can change it. Both results are compared in the log and in the metrics.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::info;

use super::attempt::{self, Answer, AnswerBody, Try};
use super::ingress::Call;
use super::outgoing::Incoming;
use super::{Gateway, respond};
use crate::live::Live;
use crate::table::{Leaf, Mirror};
use crate::telemetry::record::Account;
use crate::telemetry::traffic::Traffic;
use crate::wire::Operation;

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

/// The end of one side that has not come yet.
pub struct Half {
    comparison: Arc<Comparison>,
    at: usize,
    began: Instant,
    ended: bool,
}

impl Half {
    /// The side has ended: well (`ok`), or why not.
    pub fn ended(mut self, outcome: &'static str, account: &Account) {
        self.put(outcome, account);
    }

    fn put(&mut self, outcome: &'static str, account: &Account) {
        self.ended = true;
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
        let half = |at, began| Half { comparison: Arc::clone(&comparison), at, began, ended: false };
        let main = half(0, self.began);
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
        tokio::spawn(copy.send(gateway, live, half(1, Instant::now()), room));
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
    async fn send(self, gateway: Arc<Gateway>, live: Arc<Live>, half: Half, room: OwnedSemaphorePermit) {
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
        let this = Try {
            gateway: &gateway,
            live: &live,
            incoming: &incoming,
            attempt: &attempt,
            deadline: Instant::now() + total,
            total,
            first: None,
            correction: None,
            trace: &[None, None],
            barred: None,
        };
        match attempt::run(&this).await {
            Ok(Answer { body: AnswerBody::Whole(_), account, .. }) => half.ended("ok", &account),
            Ok(Answer { body: AnswerBody::Stream(mut stream), .. }) => {
                stream.compared(half);
                while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut *stream).poll_frame(cx)).await {}
            }
            Err(failure) => half.ended(failure.cause(), &Account::default()),
        }
        drop(room);
    }
}
