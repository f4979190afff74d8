//! Answers of upstreams that requests with the same content may get again, in memory. Bounded in bytes: what nobody asked for
//! longest makes room.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use tokio::time::Instant;

use crate::table::CacheLimits;

/// What a request is known by: a digest of everything that shapes its answer.
pub type Digest = [u8; 32];

/// What an entry takes besides its texts, roughly.
const OVERHEAD: usize = 256;
/// The part of the memory that one answer may take.
const SHARE: usize = 4;

/// Answers of one gateway.
#[derive(Default)]
pub struct Cache {
    // Held for look-ups and changes of the map, never across a wait; only requests that ask for a cache take it.
    shelf: Mutex<Shelf>,
}

/// A good answer of an upstream, as it came.
#[derive(Debug, Clone)]
pub struct Kept {
    pub content_type: Option<HeaderValue>,
    pub body: Bytes,
}

#[derive(Default)]
struct Shelf {
    entries: HashMap<Digest, Entry>,
    /// By the time of the last use.
    order: BTreeMap<u64, Digest>,
    next: u64,
    bytes: usize,
}

struct Entry {
    number: u64,
    at: Instant,
    kept: Kept,
}

impl Entry {
    fn size(&self) -> usize {
        self.kept.body.len() + OVERHEAD
    }
}

/// Most bytes that one answer may have.
pub fn largest(limits: &CacheLimits) -> usize {
    limits.memory / SHARE
}

impl Cache {
    /// The answer to the same request, and its age, where it is not older than `oldest`.
    pub fn find(&self, digest: &Digest, oldest: Duration) -> Option<(Kept, Duration)> {
        let mut shelf = self.shelf();
        let number = shelf.next;
        let entry = shelf.entries.get_mut(digest)?;
        let age = entry.at.elapsed();
        if age > oldest {
            return None;
        }
        let before = std::mem::replace(&mut entry.number, number);
        let kept = entry.kept.clone();
        shelf.order.remove(&before);
        shelf.order.insert(number, *digest);
        shelf.next += 1;
        Some((kept, age))
    }

    /// Keeps an answer, in place of an earlier one to the same request. Gives the bytes of all that are kept.
    pub fn keep(&self, limits: &CacheLimits, digest: Digest, kept: Kept) -> usize {
        // What is dropped is dropped outside of the lock.
        let mut gone = Vec::new();
        let mut shelf = self.shelf();
        if kept.body.len() <= largest(limits) {
            gone.extend(shelf.remove(&digest));
            let number = shelf.next;
            shelf.next += 1;
            let entry = Entry { number, at: Instant::now(), kept };
            shelf.bytes += entry.size();
            shelf.order.insert(number, digest);
            shelf.entries.insert(digest, entry);
        }
        while let Some((_, last)) = shelf.order.first_key_value()
            && (shelf.bytes > limits.memory || shelf.entries.get(last).is_some_and(|it| it.at.elapsed() > limits.ttl))
        {
            let last = *last;
            gone.extend(shelf.remove(&last));
        }
        shelf.bytes
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn remove(&mut self, digest: &Digest) -> Option<Entry> {
        let entry = self.entries.remove(digest)?;
        self.order.remove(&entry.number);
        self.bytes -= entry.size();
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(memory: usize) -> CacheLimits {
        CacheLimits { memory, ..CacheLimits::default() }
    }

    fn kept(length: usize) -> Kept {
        Kept { content_type: None, body: vec![b'x'; length].into() }
    }

    #[test]
    fn what_was_asked_for_last_stays_and_memory_is_bounded() {
        let (cache, limits) = (Cache::default(), limits(10_000));
        let day = Duration::from_secs(86_400);
        for number in 0..8 {
            cache.keep(&limits, [number; 32], kept(1_000));
        }
        // Seven of them have room; the first has gone.
        assert!(cache.find(&[0; 32], day).is_none() && cache.find(&[1; 32], day).is_some());
        let bytes = cache.keep(&limits, [9; 32], kept(1_000));
        assert_eq!(bytes, 7 * (1_000 + OVERHEAD));
        assert!(cache.find(&[1; 32], day).is_some() && cache.find(&[2; 32], day).is_none());
        // Too large for its share.
        assert_eq!(cache.keep(&limits, [10; 32], kept(2_501)), bytes);
        assert!(cache.find(&[10; 32], day).is_none());
        // The same request again takes no more room.
        assert_eq!(cache.keep(&limits, [9; 32], kept(1_000)), bytes);
        assert_eq!(cache.keep(&CacheLimits { memory: 0, ..limits }, [11; 32], kept(1)), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_an_age() {
        let (cache, limits) = (Cache::default(), limits(10_000));
        cache.keep(&limits, [1; 32], kept(5));
        tokio::time::advance(Duration::from_secs(60)).await;
        let (_, age) = cache.find(&[1; 32], Duration::from_secs(60)).unwrap();
        assert_eq!(age, Duration::from_secs(60));
        assert!(cache.find(&[1; 32], Duration::from_secs(59)).is_none());
        // What nobody may have any more makes room with the next one.
        tokio::time::advance(limits.ttl).await;
        assert_eq!(cache.keep(&limits, [2; 32], kept(5)), 5 + OVERHEAD);
    }
}
