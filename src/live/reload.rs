//! The reloader: one task that turns changes of the file into a new generation, or into a refusal that is seen.
//!
//! Whatever may fail comes first (reading, compiling, secrets, addresses); then one pointer is swapped, which cannot
//! fail. At most one reload runs and one waits; everybody who asks is answered by a reload that began to read after the
//! question.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::error;

use super::candidate::{self, Candidate, Cause, Compiler, Inputs, Origin, Refusal};
use super::files::Snapshot;
use super::status::{Board, service_manager};
use super::watch::{Plan, Signal};
use super::{Live, LiveTable, findings};
use crate::diagnostic::{Code, Diagnostic};
use crate::table::RoutingTable;
use crate::table::diff::diff;
use crate::telemetry::Sinks;
use crate::telemetry::logs::{FOR_PEOPLE, FOR_PROGRAMS};
use crate::telemetry::metrics::ReloadResult;

/// Quiet time after the last sign of a change.
const QUIET: Duration = Duration::from_millis(100);
/// A file that never comes to rest is looked at all the same.
const MOST_WAIT: Duration = Duration::from_secs(1);
/// How long a writer that does not close the file is waited for.
const MOST_WRITING: Duration = Duration::from_secs(10);
/// Between two reminders that the file is refused.
pub const REMIND: Duration = Duration::from_secs(600);
/// Requests for a reload that may wait for the reloader.
const QUEUE: usize = 1024;

/// Where requests come in. Bound before the swap, served after it.
pub trait Listeners: Send + Sync {
    /// Takes `address` without serving it yet.
    ///
    /// # Errors
    /// Those of the operating system.
    fn bind(&self, address: SocketAddr) -> io::Result<Bound>;

    /// No new connection at `address`, which is one that [`Listeners::bind`] was given; requests in flight there have
    /// `drain` to finish.
    fn retire(&self, address: SocketAddr, drain: Duration);

    /// At most so many connections at once from now on. Those that are there stay.
    fn limit(&self, connections: u32);
}

/// An address that is taken and not served yet.
pub struct Bound {
    /// With the port that the operating system chose where 0 was asked for.
    pub address: SocketAddr,
    pub serve: Box<dyn FnOnce() + Send>,
}

/// The answer to a request for a reload.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Never `Coalesced`.
    pub result: ReloadResult,
    /// Of what is live after this reload.
    pub generation: u64,
    /// Content id of what is live after this reload.
    pub id: String,
    /// What changed, a line each.
    pub changes: Vec<String>,
    /// Why the file was refused, as JSON.
    pub errors: serde_json::Value,
    /// The reload was started by another request.
    pub coalesced: bool,
}

struct Request {
    /// `None`: nobody waits (SIGHUP).
    answer: Option<oneshot::Sender<Verdict>>,
}

/// Asks for reloads.
#[derive(Clone)]
pub struct Handle(mpsc::Sender<Request>);

impl Handle {
    /// Asks for a reload and waits for the verdict on the files as they are now; `None` if there is none within `wait`.
    /// The reload goes on.
    pub async fn reload(&self, wait: Duration) -> Option<Verdict> {
        let (answer, verdict) = oneshot::channel();
        let asked = async {
            self.0.send(Request { answer: Some(answer) }).await.ok()?;
            verdict.await.ok()
        };
        tokio::time::timeout(wait, asked).await.ok().flatten()
    }

    /// Asks for a reload. Where the queue is full, a reload is about to happen anyway.
    pub fn ask(&self) {
        let _ = self.0.try_send(Request { answer: None });
    }
}

/// Requests on their way to the reloader.
pub struct Requests(mpsc::Receiver<Request>);

/// The two ends of the way to a reloader.
pub fn channel() -> (Handle, Requests) {
    let (ask, requests) = mpsc::channel(QUEUE);
    (Handle(ask), Requests(requests))
}

/// What the reloader works with.
pub struct Parts {
    pub inputs: Inputs,
    pub live: Arc<LiveTable>,
    pub board: Arc<Board>,
    /// Where records of requests go; a reload may change that.
    pub sinks: Arc<Sinks>,
    pub listeners: Arc<dyn Listeners>,
    pub compiler: Compiler,
    /// Between two reminders that the file is refused: [`REMIND`], but for tests.
    pub remind: Duration,
}

struct Reloader {
    parts: Parts,
    signal: Arc<Signal>,
    requests: mpsc::Receiver<Request>,
    plan: watch::Sender<Plan>,
    retired: mpsc::UnboundedSender<Arc<Live>>,
    /// What is live was made of.
    active: Origin,
    /// The last refusal, while it holds.
    refused: Option<Refused>,
}

struct Refused {
    origin: Origin,
    /// The findings, for the reminder.
    text: String,
    found: Vec<findings::Logged>,
    remind_at: Instant,
}

/// Starts the reloader, the watcher and the reaper. `active` is what the live table was made of.
pub fn spawn(parts: Parts, active: Origin, requests: Requests) {
    let (plan, plans) = watch::channel(Plan {
        config: parts.inputs.config.clone(),
        others: active.others.clone(),
        digest: active.digest,
        settings: parts.live.load().table.reload.clone(),
    });
    let (retired, to_reap) = mpsc::unbounded_channel();
    let signal = Arc::new(Signal::default());
    super::watch::spawn(plans, signal.clone(), parts.board.clone());
    tokio::spawn(super::reap::run(to_reap, parts.board.clone()));
    let reloader = Reloader { parts, signal, requests: requests.0, plan, retired, active, refused: None };
    tokio::spawn(reloader.run());
}

impl Reloader {
    async fn run(mut self) {
        loop {
            let mut waiting = Vec::new();
            let remind_at = self.refused.as_ref().map(|refused| refused.remind_at);
            tokio::select! {
                () = self.signal.changed() => {}
                request = self.requests.recv() => match request {
                    Some(request) => waiting.push(request),
                    None => return,
                },
                () = sleep_until(remind_at) => {
                    self.remind();
                    continue;
                }
            }
            self.come_to_rest(&mut waiting).await;
            let verdict = self.reload(!waiting.is_empty()).await;
            self.answer(waiting, &verdict);
        }
    }

    /// Waits until nothing has happened for a moment, and collects who asks in the meantime.
    async fn come_to_rest(&mut self, waiting: &mut Vec<Request>) {
        let start = Instant::now();
        loop {
            let writing = waiting.is_empty() && self.signal.is_being_written();
            let most = start + if writing { MOST_WRITING } else { MOST_WAIT };
            let quiet = (Instant::now() + QUIET).min(most);
            tokio::select! {
                () = self.signal.changed() => {}
                Some(request) = self.requests.recv() => waiting.push(request),
                () = tokio::time::sleep_until(quiet) => if !writing || quiet == most { return },
            }
            if Instant::now() >= most {
                return;
            }
        }
    }

    fn answer(&self, waiting: Vec<Request>, verdict: &Verdict) {
        for (position, request) in waiting.into_iter().enumerate() {
            let coalesced = position > 0;
            if coalesced {
                self.parts.board.coalesced();
            }
            if let Some(answer) = request.answer {
                // Whoever has stopped waiting does not want to know.
                let _ = answer.send(Verdict { coalesced, ..verdict.clone() });
            }
        }
    }

    async fn reload(&mut self, by_hand: bool) -> Verdict {
        if self.parts.board.status().draining {
            let diagnostic = Diagnostic::new(Code::Draining, "the gateway is stopping");
            return self.nack(&Refusal::of_file(Cause::Draining, None, vec![diagnostic]));
        }
        if by_hand {
            service_manager::reloading();
        }
        let mut others = self.active.others.clone();
        others.extend(self.refused.iter().flat_map(|refused| refused.origin.others.iter().cloned()));
        let snapshot = candidate::settle(self.parts.inputs.config.as_deref(), &others).await;
        let verdict = self.decide(by_hand, snapshot).await;
        self.publish();
        verdict
    }

    async fn decide(&mut self, by_hand: bool, mut snapshot: Snapshot) -> Verdict {
        if snapshot.restricted(&self.active.others).digest() == self.active.digest {
            return self.unchanged();
        }
        let digest = snapshot.digest();
        if !by_hand && self.refused.as_ref().is_some_and(|refused| refused.origin.digest == digest) {
            return self.verdict(ReloadResult::Nack);
        }
        let start = Instant::now();
        let candidate = self.parts.compiler.candidate(&self.parts.inputs, &mut snapshot).await;
        self.parts.board.metrics().config.compiled(start.elapsed().as_secs_f64());
        let outcome = match candidate {
            Ok(candidate) => self.accept(candidate).await,
            Err(refusal) => Err(refusal),
        };
        match outcome {
            Ok(verdict) => verdict,
            Err(refusal) => self.refuse(&refusal, candidate::origin(&self.parts.inputs.env, &snapshot, None)),
        }
    }

    /// Everything that may fail, then the swap.
    async fn accept(&mut self, candidate: Candidate) -> Result<Verdict, Refusal> {
        let inputs = &self.parts.inputs;
        let Candidate { compiled, sources, warnings, origin } = candidate;
        let old = self.parts.live.load();
        candidate::guard_against_shrinking(inputs, &old.table, &compiled.table)?;
        let changes = changes(&old.table, &compiled.table);
        let (listen, connections) = (compiled.table.listen, compiled.table.limits.connections);
        let bound = if old.table.listen == listen {
            None
        } else {
            let bound = self.parts.listeners.bind(listen);
            Some(bound.map_err(|error| candidate::listen_failed(inputs, listen, &error))?)
        };
        let (table, runtime) = candidate::prepare(compiled, inputs, Some(old.clone())).await?;
        let generation = old.generation + 1;
        drop(old);

        // Nothing fails from here on.
        let live = Arc::new(Live { table, generation, runtime });
        let retired = self.parts.live.swap(live.clone());
        self.parts.sinks.apply(&live.runtime.telemetry);
        drop(live);
        let listen = self.move_listener(bound, &retired.table);
        self.parts.listeners.limit(connections);
        // The reaper lives as long as the process.
        let _ = self.retired.send(retired);
        self.active = origin;
        self.refused = None;
        self.parts.board.acknowledge(generation, &self.active.id, listen, changes.clone());
        tracing::info!(generation, id = %self.active.id, ?changes, "configuration accepted");
        findings::warn(&warnings, &sources);
        Ok(Verdict { changes, ..self.verdict(ReloadResult::Ack) })
    }

    /// The new listener serves before the old one stops. Returns where requests are accepted now.
    fn move_listener(&self, bound: Option<Bound>, old: &RoutingTable) -> SocketAddr {
        let Some(bound) = bound else { return self.parts.board.status().listen };
        (bound.serve)();
        self.parts.listeners.retire(old.listen, old.limits.drain);
        tracing::info!(from = %old.listen, to = %bound.address, "the listener has moved");
        bound.address
    }

    fn unchanged(&mut self) -> Verdict {
        self.refused = None;
        if self.parts.board.unchanged() {
            tracing::info!(id = %self.active.id, "the file is again what is live");
        } else {
            tracing::debug!(id = %self.active.id, "the file has not changed");
        }
        self.verdict(ReloadResult::Noop)
    }

    fn refuse(&mut self, refusal: &Refusal, origin: Origin) -> Verdict {
        let verdict = self.nack(refusal);
        self.parts.board.refuse(&origin.id, refusal.cause == Cause::Missing, verdict.errors.clone());
        let text = findings::plain(&refusal.diagnostics, &refusal.sources);
        let found = findings::logged(&refusal.diagnostics, &refusal.sources);
        let (active, refused) = (verdict.generation, &origin.id);
        error!(name: FOR_PEOPLE, active, %refused, "configuration refused\n{text}");
        error!(name: FOR_PROGRAMS, active, %refused, findings = found.len(), "configuration refused");
        findings::in_fields(&found);
        self.refused = Some(Refused { origin, text, found, remind_at: Instant::now() + self.parts.remind });
        verdict
    }

    fn remind(&mut self) {
        let generation = self.parts.live.load().generation;
        if let Some(refused) = &mut self.refused {
            let (active, id) = (generation, &refused.origin.id);
            error!(name: FOR_PEOPLE, active, "the configuration is still refused\n{}", refused.text);
            error!(name: FOR_PROGRAMS, active, refused = %id, findings = refused.found.len(), "the configuration is still refused");
            findings::in_fields(&refused.found);
            refused.remind_at = Instant::now() + self.parts.remind;
        }
    }

    fn nack(&self, refusal: &Refusal) -> Verdict {
        let errors = findings::json(&refusal.diagnostics, &refusal.sources);
        Verdict { errors, ..self.verdict(ReloadResult::Nack) }
    }

    fn verdict(&self, result: ReloadResult) -> Verdict {
        Verdict {
            result,
            generation: self.parts.live.load().generation,
            id: self.active.id.clone(),
            changes: Vec::new(),
            errors: serde_json::Value::Array(Vec::new()),
            coalesced: false,
        }
    }

    /// Tells the watcher what to look at from now on.
    fn publish(&self) {
        let seen = self.refused.as_ref().map_or(&self.active, |refused| &refused.origin);
        // Nobody listens only while the process ends.
        let _ = self.plan.send(Plan {
            config: self.parts.inputs.config.clone(),
            others: seen.others.clone(),
            digest: seen.digest,
            settings: self.parts.live.load().table.reload.clone(),
        });
    }
}

/// What a reload changes, a line each: `preset @cheap changed`.
fn changes(old: &RoutingTable, new: &RoutingTable) -> Vec<String> {
    let changes = diff(old, new).changes;
    changes.iter().map(|change| format!("{} {} {}", change.kind.name(), change.id, change.verb())).collect()
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
