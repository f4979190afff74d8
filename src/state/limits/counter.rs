//! The buckets of one rate. A bucket is what one subject has used, and since when its window runs; one that has used nothing
//! is as good as none.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::table::limits::{Rate, Window};

/// Most buckets of all counters together. Subjects beyond them share one bucket a rate: callers that make names up gain nothing, and
/// take no memory.
const MOST: usize = 100_000;
const SHARDS: usize = 16;
/// The bucket that subjects share where there is no room for their own.
const OTHERS: u128 = 0;
/// Between two searches of a shard for buckets that are no longer needed.
const SWEEP: u64 = 1_000;

/// How many buckets there are.
#[derive(Debug)]
pub struct Room {
    taken: AtomicUsize,
    most: usize,
}

impl Default for Room {
    fn default() -> Room {
        Room::of(MOST)
    }
}

impl Room {
    pub fn of(most: usize) -> Room {
        Room { taken: AtomicUsize::new(0), most }
    }

    fn enter(&self) -> bool {
        let more = |taken| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn leave(&self, count: usize) {
        self.taken.fetch_sub(count, Ordering::Relaxed);
    }

    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// The buckets of one rate.
#[derive(Debug)]
pub(super) struct Counter {
    /// Held for one look-up, never across a wait; requests that no limit is for take none.
    shards: [Mutex<Shard>; SHARDS],
    window: u64,
    room: Arc<Room>,
}

#[derive(Debug, Default)]
struct Shard {
    buckets: HashMap<u128, Bucket>,
    swept: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    used: u64,
    /// When its window began.
    since: u64,
    /// What each window gives back, as the last that took from it knew.
    refill: u64,
}

impl Bucket {
    /// Gives back what has come since.
    fn advance(&mut self, window: u64, now: u64) {
        let windows = now.saturating_sub(self.since) / window;
        self.used = self.used.saturating_sub(self.refill.saturating_mul(windows));
        self.since = match self.used {
            // A window begins with the first use.
            0 => now,
            _ => self.since.saturating_add(windows.saturating_mul(window)),
        };
    }
}

/// What was taken from one bucket.
#[derive(Debug)]
pub(super) struct Use {
    counter: Arc<Counter>,
    bucket: u128,
    amount: u64,
    /// The window that it was taken in.
    since: u64,
}

impl Use {
    /// `used` of it was needed. What is too much goes back while the window lasts; what is missing is taken whatever is left.
    pub(super) fn settle(self, used: u64, now: u64) {
        if used != self.amount {
            self.counter.settle(&self, used, now);
        }
    }
}

impl Counter {
    pub(super) fn new(window: Window, room: &Arc<Room>) -> Counter {
        Counter { shards: Default::default(), window: window.millis(), room: Arc::clone(room) }
    }

    /// Takes `amount` from a bucket.
    ///
    /// # Errors
    /// There is not enough: until when, `None` for never.
    pub(super) fn take(
        self: &Arc<Self>,
        bucket: u128,
        rate: &Rate,
        amount: u64,
        now: u64,
    ) -> Result<Use, Option<Duration>> {
        if amount.max(1) > rate.capacity {
            return Err(None);
        }
        self.with(bucket, rate.refill, now, |bucket, kept| {
            // What is not known before is not refused before the rest is used up.
            let needed = kept.used.saturating_add(amount.max(1));
            if let Some(missing) = needed.checked_sub(rate.capacity).filter(|missing| *missing > 0) {
                if rate.refill == 0 {
                    return Err(None);
                }
                let windows = missing.div_ceil(rate.refill);
                let free = kept.since.saturating_add(windows.saturating_mul(self.window));
                return Err(Some(Duration::from_millis(free.saturating_sub(now))));
            }
            kept.used += amount;
            Ok(Use { counter: Arc::clone(self), bucket, amount, since: kept.since })
        })
    }

    fn settle(&self, taken: &Use, used: u64, now: u64) {
        let mut shard = self.shard(taken.bucket);
        let Some(kept) = shard.buckets.get_mut(&taken.bucket) else { return };
        kept.advance(self.window, now);
        match used.checked_sub(taken.amount) {
            Some(more) => kept.used = kept.used.saturating_add(more),
            None if kept.since == taken.since => kept.used = kept.used.saturating_sub(taken.amount - used),
            // By then it has been given back with the window.
            None => {}
        }
    }

    /// Calls `f` with the bucket of this name, or with the shared one, and the name that it has.
    fn with<T>(&self, name: u128, refill: u64, now: u64, f: impl FnOnce(u128, &mut Bucket) -> T) -> T {
        let mut shard = self.shard(name);
        let known = shard.buckets.contains_key(&name);
        if known || self.enter(&mut shard, now) {
            return f(name, shard.bucket(name, self.window, refill, now));
        }
        drop(shard);
        let mut shard = self.shard(OTHERS);
        if !shard.buckets.contains_key(&OTHERS) {
            // One more than there is room for, for each rate.
            self.room.taken.fetch_add(1, Ordering::Relaxed);
        }
        f(OTHERS, shard.bucket(OTHERS, self.window, refill, now))
    }

    /// Makes room for one more bucket in `shard`, where that is possible.
    fn enter(&self, shard: &mut Shard, now: u64) -> bool {
        if self.room.enter() {
            return true;
        }
        if now < shard.swept.saturating_add(SWEEP) {
            return false;
        }
        shard.swept = now;
        let before = shard.buckets.len();
        shard.buckets.retain(|_, bucket| {
            bucket.advance(self.window, now);
            bucket.used > 0
        });
        self.room.leave(before - shard.buckets.len());
        self.room.enter()
    }

    fn shard(&self, bucket: u128) -> MutexGuard<'_, Shard> {
        let at = bucket as usize % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "a remainder is smaller than what it is of")]
        let shard = &self.shards[at];
        // Every change is done in one step: a panic cannot leave half of one.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn bucket(&mut self, name: u128, window: u64, refill: u64, now: u64) -> &mut Bucket {
        let bucket = self.buckets.entry(name).or_insert(Bucket { used: 0, since: now, refill });
        bucket.advance(window, now);
        bucket.refill = refill;
        bucket
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let count = self.shards.iter_mut().map(|shard| shard.get_mut().map_or(0, |shard| shard.buckets.len())).sum();
        self.room.leave(count);
    }
}
