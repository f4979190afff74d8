//! Where finished records go. The request path puts them into a bounded queue and goes on; one thread takes them out and
//! does everything that may wait: the list of recent requests, the access log, the exporters.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;

use super::metrics::Metrics;
use super::otlp::context::LiveSampler;
use super::otlp::{self, Trace};
use super::recent::Recent;
use super::record::Record;
use super::spend::Spend;
use super::{Wanted, access_log};
use crate::table::telemetry::FactDepth;

/// Records that may wait. What comes on top is dropped, and counted.
const QUEUE: usize = 4096;
/// After some records the thread rests so long: under load it is woken once for many records, not for each.
const REST: Duration = Duration::from_millis(20);

/// The way of finished records out of the request path.
pub struct Sinks {
    queue: SyncSender<Message>,
    wanted: AtomicBool,
    /// Position in [`FactDepth::ALL`].
    facts: AtomicU8,
    /// Which requests are traced.
    sampler: LiveSampler,
    recent: Arc<Recent>,
    spend: Arc<Spend>,
    metrics: Arc<Metrics>,
    /// From the command line: wins over the file.
    access_log: Option<access_log::Settings>,
    /// What is in force. Reloads alone take this lock.
    applied: Mutex<Wanted>,
}

enum Message {
    Record(Arc<Record>),
    /// The copy of a request, for traces and for what was spent.
    Mirror(Box<Record>),
    /// Records behind this are kept in memory, or not.
    Keep(bool),
    /// Records behind this go there.
    AccessLog(Option<access_log::Handle>),
    /// Records behind this go there.
    Otlp(Option<otlp::Handle>),
    /// Files are opened anew.
    Reopen,
    /// Dropped when everything before this is where it belongs.
    Flush(SyncSender<()>),
}

impl Sinks {
    /// Starts the thread. Without one (the system gives no more threads) records are dropped and counted.
    /// An `access_log` that is given here wins over every file's.
    pub fn start(metrics: Arc<Metrics>, access_log: Option<access_log::Settings>) -> Arc<Sinks> {
        let (queue, records) = sync_channel(QUEUE);
        let (recent, spend) = <(Arc<Recent>, Arc<Spend>)>::default();
        let recorder = Recorder {
            recent: recent.clone(),
            spend: spend.clone(),
            keeps: true,
            access_log: None,
            otlp: None,
            retiring: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("telemetry".to_owned());
        if let Err(error) = thread.spawn(move || recorder.run(&records)) {
            tracing::error!(%error, "no thread for telemetry: no request is recorded");
        }
        Arc::new(Sinks {
            queue,
            wanted: AtomicBool::new(true),
            facts: AtomicU8::new(FactDepth::default() as u8),
            sampler: LiveSampler::default(),
            recent,
            spend,
            metrics,
            access_log,
            applied: Mutex::default(),
        })
    }

    /// What is put from now on goes where `wanted` says; what has been put goes where it was meant to go. May wait for the
    /// recorder: not for the request path.
    pub fn apply(&self, wanted: &Wanted) {
        let access_log = self.access_log.clone().or_else(|| wanted.access_log.clone());
        let wanted = Wanted { access_log, ..wanted.clone() };
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        if applied.forgets != wanted.forgets {
            // Without a recorder nothing goes anywhere, which has been said.
            let _ = self.queue.send(Message::Keep(!wanted.forgets));
        }
        if applied.access_log != wanted.access_log {
            let handle =
                wanted.access_log.clone().map(|log| access_log::Handle::start(log, self.metrics.telemetry.clone()));
            let facts = wanted.access_log.as_ref().map_or(FactDepth::default(), |log| log.facts);
            self.facts.store(facts as u8, Ordering::Relaxed);
            // Without a recorder nothing goes anywhere, which has been said.
            let _ = self.queue.send(Message::AccessLog(handle));
        }
        if applied.otlp != wanted.otlp {
            let started = wanted.otlp.as_ref().map(|settings| otlp::Handle::start(settings, &self.metrics));
            let handle = started.and_then(|started| {
                started.inspect_err(|error| tracing::error!(%error, "nothing is exported to the collector")).ok()
            });
            let traced = wanted.otlp.as_ref().filter(|settings| handle.is_some() && settings.traces.is_some());
            self.sampler.set(traced.map(|settings| settings.sampler));
            let _ = self.queue.send(Message::Otlp(handle));
        }
        let anywhere = !wanted.forgets || wanted.access_log.is_some() || wanted.otlp.is_some();
        self.wanted.store(anywhere, Ordering::Relaxed);
        *applied = wanted;
    }

    /// The place in a trace of a request with these headers; `None` where nothing is traced.
    pub fn place(&self, headers: &HeaderMap) -> Option<Trace> {
        self.sampler.place(headers)
    }

    /// Which facts records are to hold.
    pub fn facts(&self) -> FactDepth {
        let at = usize::from(self.facts.load(Ordering::Relaxed));
        FactDepth::ALL.get(at).copied().unwrap_or_default()
    }

    /// Opens log files anew, as those who rotate them ask for with SIGHUP.
    pub fn reopen(&self) {
        // Where the queue is full, files are looked at soon anyway.
        let _ = self.queue.try_send(Message::Reopen);
    }

    /// Whether records are worth the making.
    pub fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Hands a record over. Never waits.
    pub fn put(&self, record: Arc<Record>) {
        match self.queue.try_send(Message::Record(record)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.metrics.telemetry.dropped("queue", 1),
        }
    }

    /// Hands over what became of a request's copy. Never waits.
    pub fn put_mirror(&self, record: Box<Record>) {
        if self.queue.try_send(Message::Mirror(record)).is_err() {
            self.metrics.telemetry.dropped("queue", 1);
        }
    }

    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    pub fn spend(&self) -> &Spend {
        &self.spend
    }

    /// Waits until what has been put so far is where it belongs, at most for `limit`. Blocks: not for the request path.
    pub fn flush(&self, limit: Duration) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            // Nothing is sent: everybody who has it drops it when done. What takes longer is lost with the process.
            let _ = wait.recv_timeout(limit);
        }
    }
}

/// What the thread works with.
struct Recorder {
    recent: Arc<Recent>,
    spend: Arc<Spend>,
    /// The last requests are kept, and added up.
    keeps: bool,
    access_log: Option<access_log::Handle>,
    otlp: Option<otlp::Handle>,
    /// Each ends when a place that records no longer go to has what was put there.
    retiring: Vec<Receiver<()>>,
}

impl Recorder {
    /// Until the last of those who may put records is gone.
    fn run(mut self, records: &Receiver<Message>) {
        while let Ok(message) = records.recv() {
            self.take(message);
            while let Ok(message) = records.try_recv() {
                self.take(message);
            }
            self.access_log.iter_mut().for_each(access_log::Handle::hand_over);
            std::thread::park_timeout(REST);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record(record) => {
                if let Some(otlp) = &self.otlp {
                    otlp.put(&record);
                }
                if let Some(log) = &mut self.access_log {
                    log.put(&record);
                }
                if self.keeps {
                    self.spend.count(&record);
                    self.recent.keep(record);
                }
            }
            Message::Mirror(record) => {
                self.otlp.iter().for_each(|otlp| otlp.put_mirror(&record));
                if self.keeps {
                    self.spend.count_mirror(&record);
                }
            }
            Message::Keep(keeps) => self.keeps = keeps,
            Message::AccessLog(handle) => {
                if let Some(mut old) = std::mem::replace(&mut self.access_log, handle) {
                    self.retire(|done| old.flush(done));
                }
            }
            Message::Otlp(handle) => {
                if let Some(old) = std::mem::replace(&mut self.otlp, handle) {
                    self.retire(|done| old.retire(&done));
                }
            }
            Message::Reopen => self.access_log.iter_mut().for_each(access_log::Handle::reopen),
            Message::Flush(done) => {
                self.access_log.iter_mut().for_each(|log| log.flush(done.clone()));
                self.otlp.iter().for_each(|otlp| otlp.flush(done.clone()));
                wait_beside(std::mem::take(&mut self.retiring), done);
            }
        }
    }

    /// Ends the use of a place; `end` drops what it is given once everything is there.
    fn retire(&mut self, end: impl FnOnce(SyncSender<()>)) {
        self.retiring.retain(|one| matches!(one.try_recv(), Err(TryRecvError::Empty)));
        let (done, wait) = sync_channel(1);
        end(done);
        self.retiring.push(wait);
    }
}

/// Drops `done` when all of `retiring` have ended; each bounds its own time.
fn wait_beside(retiring: Vec<Receiver<()>>, done: SyncSender<()>) {
    if retiring.is_empty() {
        return;
    }
    let wait = move || {
        for one in retiring {
            // Nothing is sent: everybody who has the other end drops it when done.
            let _ = one.recv();
        }
        drop(done);
    };
    if let Err(error) = std::thread::Builder::new().name("telemetry".to_owned()).spawn(wait) {
        tracing::warn!(%error, "no thread to wait for what telemetry still sends to its former places");
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::wire::ProtocolId;

    #[test]
    fn what_is_put_is_kept_in_order() {
        let sinks = Sinks::start(Arc::new(Metrics::new()), None);
        for number in 0..100 {
            let id = number.to_string().into();
            sinks.put(Arc::new(Record::new(SystemTime::UNIX_EPOCH, id, 1, ProtocolId::Gemini)));
        }
        sinks.flush(Duration::from_secs(20));
        let kept = sinks.recent().list(0, usize::MAX);
        assert_eq!(kept.len(), 100);
        assert!(kept.iter().rev().enumerate().all(|(at, kept)| *kept.record.request_id == *at.to_string()));
    }

    #[test]
    fn nobody_waits_for_a_full_queue() {
        let metrics = Arc::new(Metrics::new());
        let (queue, records) = sync_channel(2);
        let sinks = Sinks {
            queue,
            wanted: AtomicBool::new(true),
            facts: AtomicU8::new(0),
            sampler: LiveSampler::default(),
            recent: Arc::default(),
            spend: Arc::default(),
            metrics: metrics.clone(),
            access_log: None,
            applied: Mutex::default(),
        };
        for _ in 0..5 {
            sinks.put(Arc::new(Record::new(SystemTime::UNIX_EPOCH, "r".into(), 1, ProtocolId::Gemini)));
        }
        assert_eq!(records.try_iter().count(), 2);
        let text = metrics.render();
        assert!(text.contains("routeplane_telemetry_dropped_total{sink=\"queue\"} 3"), "{text}");
    }
}
