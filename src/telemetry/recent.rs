//! The last requests, in memory: what `routeplane top` and the console show.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use super::record::Record;

/// How many are kept.
pub const KEPT: usize = 512;
/// How many a view may be behind before it misses some.
const BEHIND: usize = 256;

/// A record with its number, counted from 1 in the order of the requests' ends.
#[derive(Debug, Clone)]
pub struct Numbered {
    pub number: u64,
    pub record: Arc<Record>,
}

/// The last requests. Only the recorder's thread and those who look take its lock; the request path never does.
pub struct Recent {
    kept: Mutex<Kept>,
    live: broadcast::Sender<Numbered>,
}

struct Kept {
    records: VecDeque<Numbered>,
    last: u64,
}

impl Recent {
    /// Keeps one more; the oldest makes room.
    pub(super) fn keep(&self, record: Arc<Record>) {
        let mut kept = self.lock();
        kept.last += 1;
        let numbered = Numbered { number: kept.last, record };
        if kept.records.len() == KEPT {
            kept.records.pop_front();
        }
        kept.records.push_back(numbered.clone());
        drop(kept);
        // Nobody need be looking.
        let _ = self.live.send(numbered);
    }

    /// The newest, at most `most` of them and only those behind number `after`, newest first.
    pub fn list(&self, after: u64, most: usize) -> Vec<Numbered> {
        let kept = self.lock();
        kept.records.iter().rev().take_while(|numbered| numbered.number > after).take(most).cloned().collect()
    }

    /// Every record from now on. A view that is slow misses some, and learns how many.
    pub fn subscribe(&self) -> broadcast::Receiver<Numbered> {
        self.live.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Recent {
    fn default() -> Recent {
        let kept = Mutex::new(Kept { records: VecDeque::new(), last: 0 });
        Recent { kept, live: broadcast::channel(BEHIND).0 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::wire::ProtocolId;

    #[test]
    fn the_oldest_make_room_and_the_newest_come_first() {
        let recent = Recent::default();
        let mut live = recent.subscribe();
        for number in 0..KEPT + 3 {
            let id = number.to_string();
            recent.keep(Arc::new(Record::new(SystemTime::UNIX_EPOCH, id.into(), 1, ProtocolId::Gemini)));
            if number == 0 {
                assert_eq!(live.try_recv().unwrap().number, 1);
            }
        }
        let all = recent.list(0, usize::MAX);
        assert_eq!(all.len(), KEPT);
        assert_eq!((&*all[0].record.request_id, all[0].number), ("514", 515));
        assert_eq!(all.last().unwrap().number, 4);
        assert_eq!(recent.list(513, 10).len(), 2);
        assert_eq!(recent.list(0, 1)[0].number, 515);
        // A view that did not keep up is told so.
        assert!(matches!(live.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
    }
}
