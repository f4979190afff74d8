//! Where finished records go. Whoever ends a request puts its record on a desk and goes on; one thread brings it to its places.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Thread, available_parallelism};
use std::time::{Duration, Instant};

use http::HeaderMap;

use super::desks::{Batch, Desks, Finished};
use super::metrics::Metrics;
use super::otlp::context::LiveSampler;
use super::otlp::{self, Trace};
use super::recent::Recent;
use super::record::Record;
use super::recorder::{Message, Recorder};
use super::room::Room;
use super::spend::Spend;
use super::{Wanted, access_log};
use crate::table::telemetry::FactDepth;

/// Requests that may wait for the recorder, besides those on the desks, and messages to it. What comes on top is dropped, and
/// counted.
const QUEUE: usize = 4096;
/// The label of what is lost on the way to the recorder.
const SINK: &str = "queue";

/// The way of finished records out of the request path.
pub struct Sinks {
    desks: Arc<Desks>,
    queue: SyncSender<Message>,
    room: Room,
    /// The recorder is going to look at the desks.
    called: Arc<AtomicBool>,
    /// Rests between two looks.
    recorder: Option<Thread>,
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

impl Sinks {
    /// Starts the thread. Without one (the system gives no more threads) records are dropped and counted.
    /// An `access_log` that is given here wins over every file's.
    pub fn start(metrics: Arc<Metrics>, access_log: Option<access_log::Settings>) -> Arc<Sinks> {
        let (queue, messages) = sync_channel(QUEUE);
        let (recent, spend) = <(Arc<Recent>, Arc<Spend>)>::default();
        // One more than there are workers as a rule.
        let desks = Arc::new(Desks::new(available_parallelism().map_or(1, usize::from) + 1));
        let room = Room::new(QUEUE, SINK, &metrics.telemetry);
        let recorder = Recorder::new(desks.clone(), recent.clone(), spend.clone(), room.clone());
        let called = Arc::<AtomicBool>::default();
        let answered = called.clone();
        let thread = std::thread::Builder::new().name("telemetry".to_owned());
        let run = move || recorder.run(&messages, || answered.store(false, Ordering::Release));
        let started = thread.spawn(run).inspect_err(|error| {
            tracing::error!(%error, "no thread for telemetry: no request is recorded");
        });
        Arc::new(Sinks {
            desks,
            queue,
            room,
            called,
            recorder: started.ok().map(|started| started.thread().clone()),
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
        // Without a recorder nothing goes anywhere, which has been said.
        let tell = |message| {
            let _ = self.queue.send(message);
            self.wake();
        };
        if applied.forgets != wanted.forgets {
            tell(Message::Keep(!wanted.forgets));
        }
        if applied.access_log != wanted.access_log {
            let handle =
                wanted.access_log.clone().map(|log| access_log::Handle::start(log, self.metrics.telemetry.clone()));
            let facts = wanted.access_log.as_ref().map_or(FactDepth::default(), |log| log.facts);
            self.facts.store(facts as u8, Ordering::Relaxed);
            tell(Message::AccessLog(handle));
        }
        if applied.otlp != wanted.otlp {
            let started = wanted.otlp.as_ref().map(|settings| otlp::Handle::start(settings, &self.metrics));
            let handle = started.and_then(|started| {
                started.inspect_err(|error| tracing::error!(%error, "nothing is exported to the collector")).ok()
            });
            let traced = wanted.otlp.as_ref().filter(|settings| handle.is_some() && settings.traces.is_some());
            self.sampler.set(traced.map(|settings| settings.sampler));
            tell(Message::Otlp(handle));
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
        self.wake();
    }

    /// Whether records are worth the making.
    pub fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Hands a record over, whose request was over at `at`. Never waits.
    pub fn put(&self, record: Record, at: Instant) {
        let finished = Finished { record, at };
        let Some(mut papers) = self.desks.mine() else { return self.send(vec![finished]) };
        let first = papers.is_empty();
        let full = papers.put(finished);
        drop(papers);
        match full {
            Some(batch) => self.send(batch),
            None if first => self.call(),
            None => {}
        }
    }

    /// Hands records over, where there is room for them.
    fn send(&self, batch: Batch) {
        let count = batch.len();
        if self.room.take(count) && self.queue.try_send(Message::Finished(batch)).is_err() {
            self.room.left(count);
            self.metrics.telemetry.dropped(SINK, count as u64);
        }
        self.wake();
    }

    /// Ends the recorder's rest.
    fn wake(&self) {
        self.recorder.iter().for_each(Thread::unpark);
    }

    /// Has the recorder look at the desks.
    fn call(&self) {
        if !self.called.load(Ordering::Relaxed) && !self.called.swap(true, Ordering::AcqRel) {
            // Where the queue is full, or nobody reads it any more, there is nobody who could be called.
            let _ = self.queue.try_send(Message::Clear);
        }
    }

    /// Hands over what became of a request's copy. Never waits.
    pub fn put_mirror(&self, record: Box<Record>) {
        if self.queue.try_send(Message::Mirror(record)).is_err() {
            self.metrics.telemetry.dropped(SINK, 1);
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
            self.wake();
            // Nothing is sent: everybody who has it drops it when done. What takes longer is lost with the process.
            let _ = wait.recv_timeout(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::wire::ProtocolId;

    fn record(id: &str) -> Record {
        Record::new(SystemTime::UNIX_EPOCH, id.into(), 1, ProtocolId::Gemini)
    }

    fn kept(sinks: &Sinks) -> Vec<String> {
        let listed: serde_json::Value = serde_json::from_slice(&sinks.recent().json(0, usize::MAX)).unwrap();
        let id = |one: &serde_json::Value| one["request_id"].as_str().unwrap().to_owned();
        listed.as_array().unwrap().iter().rev().map(id).collect()
    }

    #[test]
    fn what_is_put_is_kept_in_order() {
        let sinks = Sinks::start(Arc::new(Metrics::new()), None);
        (0..100).for_each(|number| sinks.put(record(&number.to_string()), Instant::now()));
        sinks.flush(Duration::from_secs(20));
        assert_eq!(kept(&sinks), (0..100).map(|number| number.to_string()).collect::<Vec<String>>());
    }

    #[test]
    fn what_threads_put_beside_one_another_arrives() {
        let sinks = Sinks::start(Arc::new(Metrics::new()), None);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let sinks = &sinks;
                let put = move |number: u64| {
                    sinks.put(record(&number.to_string()), begun + Duration::from_nanos(number));
                };
                scope.spawn(move || (0..100).for_each(|number| put(number * 4 + thread)));
            }
        });
        sinks.flush(Duration::from_secs(20));
        let mut kept: Vec<u64> = kept(&sinks).iter().map(|id| id.parse().unwrap()).collect();
        kept.sort_unstable();
        assert_eq!(kept, (0..400).collect::<Vec<u64>>());
        assert_eq!(sinks.spend().books().total.requests, 400);
    }

    #[test]
    fn nobody_waits_for_a_full_queue() {
        let metrics = Arc::new(Metrics::new());
        let (queue, messages) = sync_channel(2);
        let sinks = Sinks {
            desks: Arc::new(Desks::new(1)),
            queue,
            room: Room::new(2, SINK, &metrics.telemetry),
            called: Arc::default(),
            recorder: None,
            wanted: AtomicBool::new(true),
            facts: AtomicU8::new(0),
            sampler: LiveSampler::default(),
            recent: Arc::default(),
            spend: Arc::default(),
            metrics: metrics.clone(),
            access_log: None,
            applied: Mutex::default(),
        };
        // Somebody else is at the only desk.
        let papers = sinks.desks.mine();
        (0..5).for_each(|_| sinks.put(record("r"), Instant::now()));
        drop(papers);
        assert_eq!(messages.try_iter().count(), 2);
        let text = metrics.render();
        assert!(text.contains("routeplane_telemetry_dropped_total{sink=\"queue\"} 3"), "{text}");
        // A desk that nobody clears is full one day, and emptied for those that come.
        (0..1000).for_each(|_| sinks.put(record("r"), Instant::now()));
        let text = metrics.render();
        assert!(text.contains("routeplane_telemetry_dropped_total{sink=\"queue\"} 771"), "{text}");
        assert_eq!(messages.try_iter().filter(|message| matches!(message, Message::Clear)).count(), 1);
    }
}
