//! The thread that brings finished records to their places, and does everything that may wait: the list of recent requests, the
//! access log, the exporters.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;
use std::vec::Drain;

use super::desks::{Batch, Desks, Finished};
use super::recent::Recent;
use super::record::Record;
use super::room::Room;
use super::spend::Spend;
use super::{access_log, otlp};

/// After some work the thread rests so long, or until a desk is full or somebody cannot wait: under load it is woken once for
/// many requests, not for each.
const REST: Duration = Duration::from_millis(50);

/// What the recorder is told.
pub(super) enum Message {
    /// Something lies on a desk.
    Clear,
    /// A desk was full, or all were in use.
    Finished(Batch),
    /// The copy of a request, for traces and for what was spent.
    Mirror(Box<Record>),
    /// Requests behind this are kept in memory, or not.
    Keep(bool),
    /// What is put behind this goes there.
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
    /// The last requests are kept, and added up.
    keeps: bool,
    access_log: Option<access_log::Handle>,
    otlp: Option<otlp::Handle>,
    /// What is to be brought with what lies on the desks.
    handed: Vec<Batch>,
    /// Empty ones, for the desks.
    empty: Vec<Batch>,
    /// Each ends when a place that nothing goes to any more has what was put there.
    retiring: Vec<Receiver<()>>,
}

impl Recorder {
    pub(super) fn new(desks: Arc<Desks>, recent: Arc<Recent>, spend: Arc<Spend>, room: Room) -> Recorder {
        Recorder {
            desks,
            recent,
            spend,
            room,
            keeps: true,
            access_log: None,
            otlp: None,
            handed: Vec::new(),
            empty: Vec::new(),
            retiring: Vec::new(),
        }
    }

    /// Until the last of those who may tell it something is gone; what they have left is brought. `answers`: it is going to
    /// look at the desks now.
    pub(super) fn run(mut self, messages: &Receiver<Message>, answers: impl Fn()) {
        while let Ok(message) = messages.recv() {
            // What is put behind this calls again.
            answers();
            self.take(message);
            while let Ok(message) = messages.try_recv() {
                self.take(message);
            }
            self.bring();
            self.access_log.iter_mut().for_each(access_log::Handle::hand_over);
            std::thread::park_timeout(REST);
        }
        self.bring();
        self.access_log.iter_mut().for_each(access_log::Handle::hand_over);
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Clear => {}
            Message::Finished(batch) => self.handed.push(batch),
            Message::Mirror(record) => {
                self.otlp.iter().for_each(|otlp| otlp.put_mirror(&record));
                if self.keeps {
                    self.spend.count_mirror(&record);
                }
            }
            Message::Keep(keeps) => {
                self.bring();
                self.keeps = keeps;
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

    /// Brings everything that was put to its places, in the order in which the requests ended.
    fn bring(&mut self) {
        let mut batches = std::mem::take(&mut self.handed);
        self.room.left(batches.iter().map(Vec::len).sum());
        for mut papers in self.desks.each() {
            papers.give_back(&mut self.empty);
            if !papers.is_empty() {
                batches.push(papers.clear());
            }
        }
        let mut left: Vec<Drain<'_, Finished>> = batches.iter_mut().map(|batch| batch.drain(..)).collect();
        while let Some(record) = earliest(&mut left) {
            self.place(record);
        }
        drop(left);
        self.empty = batches;
    }

    fn place(&mut self, record: Record) {
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

    /// Ends the use of a place; `end` drops what it is given once everything is there.
    fn retire(&mut self, end: impl FnOnce(SyncSender<()>)) {
        self.retiring.retain(|one| matches!(one.try_recv(), Err(TryRecvError::Empty)));
        let (done, wait) = sync_channel(1);
        end(done);
        self.retiring.push(wait);
    }
}

/// The record of the request that ended first, of what is left of several batches.
fn earliest(batches: &mut Vec<Drain<'_, Finished>>) -> Option<Record> {
    batches.retain(|batch| !batch.as_slice().is_empty());
    let first = batches.iter_mut().min_by_key(|batch| batch.as_slice().first().map(|finished| finished.at))?;
    first.next().map(|finished| finished.record)
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
    use std::time::{Instant, SystemTime};

    use super::*;
    use crate::wire::ProtocolId;

    #[test]
    fn what_lay_on_several_desks_is_taken_in_the_order_of_its_ends() {
        let begun = Instant::now();
        let finished = |number: u64| {
            let record = Record::new(SystemTime::UNIX_EPOCH, number.to_string().into(), 1, ProtocolId::Gemini);
            Finished { record, at: begun + Duration::from_nanos(number) }
        };
        let mut batches = [vec![1, 4, 5], vec![], vec![0, 2, 6], vec![3]].map(|numbers| {
            let batch: Batch = numbers.into_iter().map(finished).collect();
            batch
        });
        let mut left: Vec<Drain<'_, Finished>> = batches.iter_mut().map(|batch| batch.drain(..)).collect();
        let order: Vec<String> =
            std::iter::from_fn(|| earliest(&mut left)).map(|record| record.request_id.to_string()).collect();
        assert_eq!(order, ["0", "1", "2", "3", "4", "5", "6"]);
    }
}
