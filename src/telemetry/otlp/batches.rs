//! Spans on their way to a collector. They are written where their record is taken, into the bytes of the next export, and
//! sent by a thread of their own: whoever puts a record here neither waits nor builds anything that is thrown away again.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle as Runtime;

use super::protobuf;
use super::settings::{Settings, Signal, Waiting};
use super::spans;
use super::transport::Transport;
use crate::telemetry::metrics::TelemetryMetrics;
use crate::telemetry::record::Record;
use crate::telemetry::room::Room;

/// An export is no longer than this, but for the spans of a single request: collectors take 4 MiB over gRPC unless they are
/// told otherwise.
const LONGEST: usize = 3 << 20;

/// The spans of one collector.
pub(super) struct Traces {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to do for the thread.
    changed: Condvar,
    room: Room,
    waiting: Waiting,
    head: Head,
}

struct State {
    /// What is being filled.
    open: Batch,
    /// What is full, the oldest first.
    full: VecDeque<Batch>,
    /// Each is dropped when everything before it is sent.
    asking: Vec<SyncSender<()>>,
    /// No more is put here; what there is has until then.
    ends: Option<Instant>,
}

/// The spans of one export.
#[derive(Default)]
struct Batch {
    /// From [`Head`] on, which is ended when it is sent.
    bytes: Vec<u8>,
    spans: usize,
}

impl Traces {
    /// Starts the thread.
    ///
    /// # Errors
    /// A setting that nothing can be sent with; a system that gives no more threads.
    pub(super) fn start(
        signal: &Signal,
        settings: &Settings,
        runtime: &Runtime,
        counts: &TelemetryMetrics,
    ) -> Result<Traces, String> {
        let room = Room::new(settings.spans.queue, "otlp_traces", counts);
        let transport = Transport::new(signal, runtime)?;
        let state = State { open: Batch::default(), full: VecDeque::new(), asking: Vec::new(), ends: None };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            room,
            waiting: settings.spans,
            head: Head::of(&settings.resource),
        });
        let (sender, runtime, timeout) = (shared.clone(), runtime.clone(), signal.timeout);
        let thread = std::thread::Builder::new().name("otlp-traces".to_owned());
        thread.spawn(move || sender.run(&transport, &runtime, timeout)).map_err(|error| error.to_string())?;
        Ok(Traces { shared })
    }

    /// Takes the spans of a record, where it is sampled and there is room for them.
    pub(super) fn put(&self, record: &Record) {
        self.put_spans(record, spans::count(record), spans::write);
    }

    /// Takes the span of a request's copy.
    pub(super) fn put_mirror(&self, record: &Record) {
        self.put_spans(record, spans::count_mirror(record), spans::write_mirror);
    }

    /// Takes as many spans of a record as `write` writes.
    fn put_spans(&self, record: &Record, count: usize, write: fn(&Record, &mut Vec<u8>)) {
        if count == 0 {
            return;
        }
        if !self.shared.room.take(count) {
            // Nobody is going to tell what was said: it is not kept with the record.
            record.attempts.iter().filter_map(|tried| tried.content.as_ref()).for_each(|content| drop(content.tell()));
            return;
        }
        let mut state = self.shared.lock();
        state.open.spans += count;
        write(record, self.shared.begun(&mut state.open));
        let most = self.shared.waiting.batch.min(self.shared.waiting.queue);
        if state.open.spans >= most || state.open.bytes.len() >= LONGEST {
            let full = std::mem::take(&mut state.open);
            state.full.push_back(full);
            self.shared.changed.notify_one();
        }
    }

    /// Sends what is waiting; `done` is dropped afterwards.
    pub(super) fn flush(&self, done: SyncSender<()>) {
        self.shared.lock().asking.push(done);
        self.shared.changed.notify_one();
    }

    /// Sends what is waiting, for `limit` at most, and ends the thread; `done` is dropped afterwards.
    pub(super) fn end(&self, limit: Duration, done: Option<SyncSender<()>>) {
        let mut state = self.shared.lock();
        state.asking.extend(done);
        state.ends = Some(Instant::now() + limit);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of a batch, which begin as every export does.
    fn begun<'b>(&self, batch: &'b mut Batch) -> &'b mut Vec<u8> {
        if batch.bytes.is_empty() {
            batch.bytes.extend_from_slice(&self.head.bytes);
        }
        &mut batch.bytes
    }

    fn run(&self, transport: &Transport, runtime: &Runtime, timeout: Duration) {
        loop {
            let (batches, asking, ends) = self.next();
            for batch in batches {
                let left = ends.map(|ends| ends.saturating_duration_since(Instant::now()));
                let within = left.map_or(timeout, |left| left.min(timeout));
                self.send(batch, transport, runtime, within);
            }
            drop(asking);
            if ends.is_some() {
                return;
            }
        }
    }

    /// What is to be sent next: full batches, and what there is when somebody asks, or has waited for long enough.
    fn next(&self) -> (VecDeque<Batch>, Vec<SyncSender<()>>, Option<Instant>) {
        let calm = |state: &mut State| state.full.is_empty() && state.asking.is_empty() && state.ends.is_none();
        let waited = self.changed.wait_timeout_while(self.lock(), self.waiting.delay, calm);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        let mut batches = std::mem::take(&mut state.full);
        let everything = waited.timed_out() || !state.asking.is_empty() || state.ends.is_some();
        if everything && state.open.spans > 0 {
            batches.push_back(std::mem::take(&mut state.open));
        }
        (batches, std::mem::take(&mut state.asking), state.ends)
    }

    fn send(&self, batch: Batch, transport: &Transport, runtime: &Runtime, within: Duration) {
        let Batch { mut bytes, spans } = batch;
        self.head.end(&mut bytes);
        let result = runtime.block_on(transport.send(Bytes::from(bytes), within));
        self.room.left(spans);
        if let Err(error) = result {
            let (sink, count) = (self.room.sink(), spans as u64);
            self.room.counts().dropped(sink, count);
            // The error names the address and the answer, no headers.
            tracing::warn!(sink, count, %error, "the collector does not take telemetry; it is lost, and counted");
        }
    }
}

/// What every export begins with, and where two of its messages begin that end with the export.
struct Head {
    bytes: Vec<u8>,
    /// The only `ResourceSpans`.
    group: usize,
    /// The only `ScopeSpans` in it.
    scope: usize,
}

impl Head {
    /// `ExportTraceServiceRequest` up to its first span; `described`: what the process is.
    fn of(described: &[(String, String)]) -> Head {
        let mut bytes = Vec::new();
        let group = protobuf::open(&mut bytes, 1);
        let resource = protobuf::open(&mut bytes, 1);
        for (name, value) in described {
            protobuf::attribute(&mut bytes, 1, name, value.as_str().into());
        }
        protobuf::close(&mut bytes, resource);
        let scope = protobuf::open(&mut bytes, 2);
        let name = protobuf::open(&mut bytes, 1);
        protobuf::bytes(&mut bytes, 1, &[b"routeplane"]);
        protobuf::bytes(&mut bytes, 2, &[env!("CARGO_PKG_VERSION").as_bytes()]);
        protobuf::close(&mut bytes, name);
        Head { bytes, group, scope }
    }

    /// Ends an export that begins so.
    fn end(&self, export: &mut Vec<u8>) {
        protobuf::close(export, self.scope);
        protobuf::close(export, self.group);
    }
}
