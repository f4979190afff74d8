//! Spans on their way to a collector. They are written where their record is taken, into the bytes of the next export, and
//! sent by a thread of their own: whoever puts a record here neither waits nor builds anything that is thrown away again.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use tokio::runtime::Handle as Runtime;

use super::extra::Way;
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

/// So many batches are filled at a time for spans that go in ways of their own; of more ways the oldest batch leaves early.
const APART: usize = 32;

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
    /// What the process is.
    described: Vec<(String, String)>,
    /// Of exports in the way of all.
    head: Arc<Head>,
}

struct State {
    /// What is being filled.
    open: Batch,
    /// Likewise, for spans that go in ways of their own: the oldest first.
    apart: VecDeque<Batch>,
    /// What is full, the oldest first.
    full: VecDeque<Batch>,
    /// The bytes of an export that has been sent, empty again: a new one would be grown step by step.
    spare: Vec<u8>,
    /// Each is dropped when everything before it is sent.
    asking: Vec<SyncSender<()>>,
    /// No more is put here; what there is has until then.
    ends: Option<Instant>,
}

/// The spans of one export.
struct Batch {
    /// From its head on, which is ended when it is sent.
    bytes: Vec<u8>,
    spans: usize,
    head: Arc<Head>,
    /// `None`: that of all.
    way: Option<Arc<Way>>,
}

impl Batch {
    fn new(head: &Arc<Head>, way: Option<Arc<Way>>) -> Batch {
        Batch { bytes: Vec::new(), spans: 0, head: Arc::clone(head), way }
    }

    /// Its bytes, which begin as every export of its way does.
    fn begun(&mut self) -> &mut Vec<u8> {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&self.head.bytes);
        }
        &mut self.bytes
    }
}

impl State {
    /// The batch of spans without a way of their own, or that at `place`.
    fn batch(&mut self, place: Option<usize>) -> &mut Batch {
        match place.and_then(|place| self.apart.get_mut(place)) {
            Some(batch) => batch,
            None => &mut self.open,
        }
    }

    /// That batch is filled no more.
    fn is_full(&mut self, place: Option<usize>) {
        let full = match place {
            Some(place) => self.apart.remove(place),
            None => Some(self.renewed()),
        };
        self.full.extend(full);
    }

    /// Puts an empty batch in the place of the open one.
    fn renewed(&mut self) -> Batch {
        let bytes = std::mem::take(&mut self.spare);
        let empty = Batch { bytes, ..Batch::new(&self.open.head, None) };
        std::mem::replace(&mut self.open, empty)
    }
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
        let head = Arc::new(Head::of(&settings.resource));
        let open = Batch::new(&head, None);
        let (apart, full) = (VecDeque::new(), VecDeque::new());
        let state = State { open, apart, full, spare: Vec::new(), asking: Vec::new(), ends: None };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            room,
            waiting: settings.spans,
            described: settings.resource.clone(),
            head,
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
        let way = record.trace.as_ref().and_then(|trace| trace.extra.as_ref()?.way.as_ref());
        let mut state = self.shared.lock();
        let place = way.map(|way| self.shared.apart(&mut state, way));
        let batch = state.batch(place);
        batch.spans += count;
        write(record, batch.begun());
        let most = self.shared.waiting.batch.min(self.shared.waiting.queue);
        if batch.spans >= most || batch.bytes.len() >= LONGEST {
            state.is_full(place);
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

    /// Where the batch is that is filled for `way`.
    fn apart(&self, state: &mut State, way: &Arc<Way>) -> usize {
        if let Some(place) = state.apart.iter().position(|batch| batch.way.as_ref() == Some(way)) {
            return place;
        }
        if state.apart.len() >= APART {
            state.is_full(Some(0));
            self.changed.notify_one();
        }
        let head = if way.resource.is_empty() { Arc::clone(&self.head) } else { Arc::new(self.head_of(way)) };
        state.apart.push_back(Batch::new(&head, Some(Arc::clone(way))));
        state.apart.len() - 1
    }

    /// How exports begin that describe the process in another way, too.
    fn head_of(&self, way: &Way) -> Head {
        let own = self.described.iter().filter(|(name, _)| !way.resource.iter().any(|(other, _)| **other == **name));
        let other = way.resource.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Head::of(&own.cloned().chain(other).collect::<Vec<_>>())
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
        if everything {
            if state.open.spans > 0 {
                batches.push_back(state.renewed());
            }
            batches.append(&mut state.apart);
        }
        (batches, std::mem::take(&mut state.asking), state.ends)
    }

    /// Keeps the bytes of an export for another one, where nobody else holds them any more.
    fn keep(&self, sent: Bytes) {
        if let Ok(mut sent) = sent.try_into_mut() {
            sent.clear();
            self.lock().spare = sent.into();
        }
    }

    fn send(&self, batch: Batch, transport: &Transport, runtime: &Runtime, within: Duration) {
        let Batch { mut bytes, spans, head, way } = batch;
        head.end(&mut bytes);
        let none = HeaderMap::new();
        let more = way.as_ref().map_or(&none, |way| &way.headers);
        let bytes = Bytes::from(bytes);
        let result = runtime.block_on(transport.send(bytes.clone(), more, within));
        self.keep(bytes);
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
