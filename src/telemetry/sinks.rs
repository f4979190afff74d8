//! Where finished records go. The request path puts them into a bounded queue and goes on; one thread takes them out and
//! does everything that may wait: the list of recent requests, the access log, the exporters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::metrics::TelemetryMetrics;
use super::recent::Recent;
use super::record::Record;

/// Records that may wait. What comes on top is dropped, and counted.
const QUEUE: usize = 4096;
/// After some records the thread rests so long: under load it is woken once for many records, not for each.
const REST: Duration = Duration::from_millis(20);

/// The way of finished records out of the request path.
pub struct Sinks {
    queue: SyncSender<Message>,
    wanted: AtomicBool,
    recent: Arc<Recent>,
    metrics: TelemetryMetrics,
}

enum Message {
    Record(Box<Record>),
    /// Answer when everything before this is done.
    Flush(SyncSender<()>),
}

impl Sinks {
    /// Starts the thread. Without one (the system gives no more threads) records are dropped and counted.
    pub fn start(metrics: TelemetryMetrics) -> Arc<Sinks> {
        let (queue, records) = sync_channel(QUEUE);
        let recent = Arc::new(Recent::default());
        let recorder = Recorder { recent: recent.clone() };
        let thread = std::thread::Builder::new().name("telemetry".to_owned());
        if let Err(error) = thread.spawn(move || recorder.run(&records)) {
            tracing::error!(%error, "no thread for telemetry: no request is recorded");
        }
        Arc::new(Sinks { queue, wanted: AtomicBool::new(true), recent, metrics })
    }

    /// Whether records are worth the making.
    pub fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Hands a record over. Never waits.
    pub fn put(&self, record: Record) {
        match self.queue.try_send(Message::Record(Box::new(record))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.metrics.dropped("queue", 1),
        }
    }

    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Waits until what has been put so far is where it belongs, at most for `limit`. Blocks: not for the request path.
    pub fn flush(&self, limit: Duration) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            // What takes longer is lost with the process.
            let _ = wait.recv_timeout(limit);
        }
    }
}

/// What the thread works with.
struct Recorder {
    recent: Arc<Recent>,
}

impl Recorder {
    /// Until the last of those who may put records is gone.
    fn run(self, records: &Receiver<Message>) {
        while let Ok(message) = records.recv() {
            self.take(message);
            while let Ok(message) = records.try_recv() {
                self.take(message);
            }
            std::thread::park_timeout(REST);
        }
    }

    fn take(&self, message: Message) {
        match message {
            Message::Record(record) => self.recent.keep(Arc::from(record)),
            Message::Flush(done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.try_send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::telemetry::metrics::Metrics;
    use crate::wire::ProtocolId;

    #[test]
    fn what_is_put_is_kept_in_order() {
        let sinks = Sinks::start(Metrics::new().telemetry);
        for number in 0..100 {
            sinks.put(Record::new(SystemTime::UNIX_EPOCH, &number.to_string(), 1, ProtocolId::Gemini));
        }
        sinks.flush(Duration::from_secs(20));
        let kept = sinks.recent().list(0, usize::MAX);
        assert_eq!(kept.len(), 100);
        assert!(kept.iter().rev().enumerate().all(|(at, kept)| *kept.record.request_id == *at.to_string()));
    }

    #[test]
    fn nobody_waits_for_a_full_queue() {
        let metrics = Metrics::new();
        let (queue, records) = sync_channel(2);
        let sinks =
            Sinks { queue, wanted: AtomicBool::new(true), recent: Arc::default(), metrics: metrics.telemetry.clone() };
        for _ in 0..5 {
            sinks.put(Record::new(SystemTime::UNIX_EPOCH, "r", 1, ProtocolId::Gemini));
        }
        assert_eq!(records.try_iter().count(), 2);
        let text = metrics.render();
        assert!(text.contains("routeplane_telemetry_dropped_total{sink=\"queue\"} 3"), "{text}");
    }
}
