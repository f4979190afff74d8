//! Where threads of the request path put finished records. Each has a desk of its own as a rule, so none waits for another: a
//! desk that is in use, by the recorder that clears it or by a thread that happens to share it, is passed over for the next.
//!
//! Records lie there by value, one behind the other, in memory that comes back to be used again. A block for each would be
//! filled by one core and freed by another, and cost the request path several times what its own blocks do.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use super::record::Record;

/// Records that one desk holds, and that are handed over together.
const MOST: usize = 256;

/// All desks.
pub(super) struct Desks(Box<[Desk]>);

/// No two in one line of a cache, nor in two that are fetched together.
#[derive(Default)]
#[repr(align(128))]
struct Desk(Mutex<Papers>);

/// What lies on a desk.
#[derive(Default)]
pub(super) struct Papers {
    finished: Batch,
    /// Empty ones, for when that is full.
    spare: Vec<Batch>,
}

/// Records in the order in which they were put.
pub(super) type Batch = Vec<Finished>;

/// A record, and when its request was over.
pub(super) struct Finished {
    pub(super) record: Record,
    pub(super) at: Instant,
}

impl Papers {
    /// Puts one more record there. Gives all of them where the desk is full.
    pub(super) fn put(&mut self, finished: Finished) -> Option<Batch> {
        self.finished.push(finished);
        (self.finished.len() >= MOST).then(|| self.clear())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.finished.is_empty()
    }

    /// Takes everything away.
    pub(super) fn clear(&mut self) -> Batch {
        let empty = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(MOST));
        std::mem::replace(&mut self.finished, empty)
    }

    /// Brings back what is empty again, as long as there is a place for it.
    pub(super) fn give_back(&mut self, empty: &mut Vec<Batch>) {
        const SPARE: usize = 4;
        while self.spare.len() < SPARE
            && let Some(batch) = empty.pop()
        {
            self.spare.push(batch);
        }
    }
}

impl Desks {
    /// So many desks, and one at least.
    pub(super) fn new(count: usize) -> Desks {
        Desks((0..count.max(1)).map(|_| Desk::default()).collect())
    }

    /// The desk of this thread, or the first behind it that is free. Never waits; `None`: all are in use.
    pub(super) fn mine(&self) -> Option<MutexGuard<'_, Papers>> {
        let (before, from) = self.0.split_at_checked(number() % self.0.len())?;
        from.iter().chain(before).find_map(|desk| match desk.0.try_lock() {
            Ok(papers) => Some(papers),
            Err(TryLockError::Poisoned(papers)) => Some(papers.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }

    /// Each desk, for whom may wait until it is free.
    pub(super) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Papers>> {
        self.0.iter().map(|desk| desk.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The number of this thread among those that asked for theirs.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    MINE.get().unwrap_or_else(|| {
        let mine = NEXT.fetch_add(1, Ordering::Relaxed);
        MINE.set(Some(mine));
        mine
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::wire::ProtocolId;

    #[test]
    fn a_desk_in_use_is_passed_over() {
        let desks = Desks::new(2);
        let (first, second) = (desks.mine().unwrap(), desks.mine().unwrap());
        assert!(desks.mine().is_none());
        drop((first, second));
        assert!(desks.mine().is_some());
        assert_eq!((desks.each().count(), Desks::new(0).each().count()), (2, 1));
    }

    #[test]
    fn a_full_desk_is_cleared_and_its_memory_used_again() {
        let mut papers = Papers::default();
        let put = |papers: &mut Papers| {
            let record = Record::new(SystemTime::UNIX_EPOCH, "r".into(), 1, ProtocolId::Gemini);
            papers.put(Finished { record, at: Instant::now() })
        };
        assert!((1..MOST).all(|_| put(&mut papers).is_none()) && !papers.is_empty());
        let mut full = put(&mut papers).unwrap();
        assert_eq!((full.len(), papers.is_empty()), (MOST, true));
        full.clear();
        let place = full.as_ptr();
        papers.give_back(&mut vec![full]);
        drop(papers.clear());
        put(&mut papers);
        let again = papers.clear();
        assert_eq!((again.len(), again.as_ptr()), (1, place));
    }
}
