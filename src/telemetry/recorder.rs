//! The thread that brings what was written down of finished requests to its places, and does everything that may wait: the
//! list of recent requests, the access log, the exporters.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use super::batch::{Batch, Forms, Told};
use super::desks::Desks;
use super::recent::Recent;
use super::record::Record;
use super::room::Room;
use super::spend::Spend;
use super::{access_log, otlp};

/// After some work the thread rests so long, or until somebody has no more room or cannot wait: under load it is woken once for
/// many requests, not for each.
const REST: Duration = Duration::from_millis(100);

/// What the recorder is told.
pub(super) enum Message {
    /// Something lies on a desk.
    Clear,
    /// A desk was full.
    Full(Batch),
    /// What is written of it takes its time: what was said in it is to be read. It was over then.
    Long(Box<Record>, Instant),
    /// The copy of a request, for traces and for what was spent.
    Mirror(Box<Record>),
    /// What is put behind this is written so.
    Forms(Forms),
    /// And goes there.
    AccessLog(Option<access_log::Handle>),
    /// And there.
    Otlp(Option<otlp::Handle>),
    /// Files are opened anew.
    Reopen,
    /// Dropped when everything before this is where it belongs.
    Flush(SyncSender<()>),
}

/// What the thread works with.
pub(super) struct Recorder {
    desks: Arc<Desks>,
    recent: Arc<Recent>,
    spend: Arc<Spend>,
    /// The room of what is neither on a desk nor brought.
    room: Room,
    forms: Forms,
    access_log: Option<access_log::Handle>,
    otlp: Option<otlp::Handle>,
    /// What is to be brought with the next that lies on the desks.
    full: Vec<Batch>,
    /// What the recorder writes itself.
    own: Batch,
    /// Empty ones, for the desks.
    spares: Vec<Batch>,
    /// Each ends when a place that nothing goes to any more has what was put there.
    retiring: Vec<Receiver<()>>,
}

impl Recorder {
    pub(super) fn new(desks: Arc<Desks>, recent: Arc<Recent>, spend: Arc<Spend>, room: Room, forms: Forms) -> Recorder {
        Recorder {
            desks,
            recent,
            spend,
            room,
            forms,
            access_log: None,
            otlp: None,
            full: Vec::new(),
            own: Batch::default(),
            spares: Vec::new(),
            retiring: Vec::new(),
        }
    }

    /// Until the last of those who may tell it something is gone.
    pub(super) fn run(mut self, messages: &Receiver<Message>, called: impl Fn()) {
        while let Ok(message) = messages.recv() {
            // Before the desks are looked at: what is put behind that calls again.
            called();
            self.take(message);
            while let Ok(message) = messages.try_recv() {
                self.take(message);
            }
            self.bring();
            self.access_log.iter_mut().for_each(access_log::Handle::hand_over);
            std::thread::park_timeout(REST);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Clear => {}
            Message::Full(batch) => self.full.push(batch),
            Message::Long(record, at) => {
                self.room.left(1);
                self.own.add(&record, at, self.forms);
            }
            Message::Mirror(record) => {
                self.otlp.iter().for_each(|otlp| otlp.put_mirror(&record));
                if self.forms.kept {
                    self.spend.count_mirror(&record);
                }
            }
            Message::Forms(forms) => {
                self.bring();
                self.forms = forms;
            }
            Message::AccessLog(handle) => {
                self.bring();
                if let Some(mut old) = std::mem::replace(&mut self.access_log, handle) {
                    self.retire(|done| old.flush(done));
                }
            }
            Message::Otlp(handle) => {
                self.bring();
                if let Some(old) = std::mem::replace(&mut self.otlp, handle) {
                    self.retire(|done| old.retire(&done));
                }
            }
            Message::Reopen => {
                self.bring();
                self.access_log.iter_mut().for_each(access_log::Handle::reopen);
            }
            Message::Flush(done) => {
                self.bring();
                self.access_log.iter_mut().for_each(|log| log.flush(done.clone()));
                self.otlp.iter().for_each(|otlp| otlp.flush(done.clone()));
                wait_beside(std::mem::take(&mut self.retiring), done);
            }
        }
    }

    /// Brings everything that is written down to its places, in the order in which the requests ended.
    fn bring(&mut self) {
        let mut batches = std::mem::take(&mut self.full);
        self.room.left(batches.iter().map(Batch::len).sum());
        self.clear_desks(&mut batches);
        if self.own.len() > 0 {
            batches.push(std::mem::replace(&mut self.own, self.spares.pop().unwrap_or_default()));
        }
        let mut told: Vec<Told<'_>> = batches.iter().flat_map(Batch::told).collect();
        if batches.len() > 1 {
            told.sort_by_key(|told| told.at);
        }
        if self.forms.kept {
            self.recent.keep(told.iter().map(|told| told.json).filter(|json| !json.is_empty()));
        }
        if let Some(log) = &mut self.access_log {
            told.iter().for_each(|told| log.put(told));
        }
        if let Some(otlp) = &self.otlp {
            otlp.put_spans(&told);
        }
        for mut batch in batches {
            self.spend.add(&batch.books);
            if let Some(otlp) = &self.otlp {
                otlp.measure(&batch.samples);
            }
            batch.clear();
            if self.spares.len() < self.desks.count() {
                self.spares.push(batch);
            }
        }
    }

    fn clear_desks(&mut self, batches: &mut Vec<Batch>) {
        for mut papers in self.desks.each() {
            if papers.spare.is_none() {
                papers.spare = self.spares.pop();
            }
            if papers.batch.len() > 0 {
                batches.push(papers.renew());
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
