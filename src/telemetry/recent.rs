//! The last requests, in memory: what `routeplane top` and the console show.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::json;
use super::record::Record;

/// How many are kept.
pub const KEPT: usize = 512;

/// The last requests. Only the recorder and those who look take its lock; the request path never does.
#[derive(Default)]
pub struct Recent {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The newest last.
    records: VecDeque<Record>,
    /// The number of the newest, counted from 1 in the order of the requests' ends.
    last: u64,
}

impl Recent {
    /// Keeps one more; the oldest makes room.
    pub(super) fn keep(&self, record: Record) {
        let mut kept = self.lock();
        kept.last += 1;
        if kept.records.len() == KEPT {
            kept.records.pop_front();
        }
        kept.records.push_back(record);
    }

    /// A JSON array of the newest, at most `most` of them and only those behind number `after`, newest first, each with its
    /// `number`.
    pub fn json(&self, after: u64, most: usize) -> Vec<u8> {
        let kept = self.lock();
        let numbered = kept.records.iter().rev().zip((0..=kept.last).rev());
        let mut out = b"[".to_vec();
        for (record, number) in numbered.take_while(|(_, number)| *number > after).take(most) {
            if out.len() > 1 {
                out.push(b',');
            }
            json::numbered(number, record, &mut out);
        }
        out.push(b']');
        out
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use serde_json::Value;

    use super::*;
    use crate::wire::ProtocolId;

    #[test]
    fn the_oldest_make_room_and_the_newest_come_first() {
        let recent = Recent::default();
        assert_eq!(recent.json(0, 10), b"[]");
        for number in 0..KEPT + 3 {
            let id = number.to_string().into();
            recent.keep(Record::new(SystemTime::UNIX_EPOCH, id, 1, ProtocolId::Gemini));
        }
        let list = |after, most| serde_json::from_slice::<Vec<Value>>(&recent.json(after, most)).unwrap();
        let all = list(0, usize::MAX);
        assert_eq!(all.len(), KEPT);
        assert_eq!((&all[0]["request_id"], &all[0]["number"]), (&"514".into(), &515.into()));
        assert_eq!(all.last().unwrap()["number"], 4);
        assert_eq!((list(513, 10).len(), list(600, 10).len()), (2, 0));
        assert_eq!(list(0, 1)[0]["number"], 515);
    }
}
