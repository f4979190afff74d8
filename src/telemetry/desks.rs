//! Where threads of the request path write. Each has a desk of its own as a rule, so none waits for another: a desk that is
//! in use, by the recorder that clears it or by a thread that happens to share it, is passed over for the next.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::batch::Batch;

/// All desks.
pub(super) struct Desks(Box<[Desk]>);

/// No two in one line of a cache, nor in two that are fetched together.
#[derive(Default)]
#[repr(align(128))]
struct Desk(Mutex<Papers>);

/// What lies on a desk.
#[derive(Default)]
pub(super) struct Papers {
    pub(super) batch: Batch,
    /// An empty one, for when that is full.
    pub(super) spare: Option<Batch>,
}

impl Papers {
    /// Takes the batch away; an empty one takes its place.
    pub(super) fn renew(&mut self) -> Batch {
        std::mem::replace(&mut self.batch, self.spare.take().unwrap_or_default())
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

    pub(super) fn count(&self) -> usize {
        self.0.len()
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
    use super::*;

    #[test]
    fn a_desk_in_use_is_passed_over() {
        let desks = Desks::new(2);
        let (first, second) = (desks.mine().unwrap(), desks.mine().unwrap());
        assert!(desks.mine().is_none());
        drop((first, second));
        assert!(desks.mine().is_some());
        assert_eq!((desks.each().count(), Desks::new(0).count()), (2, 1));
    }
}
