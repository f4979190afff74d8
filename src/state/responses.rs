//! Answers of Responses calls that later calls may go on from (`previous_response_id`), in memory.
//!
//! Bounded in number and in bytes: the oldest make room. Whoever asks with another client key finds nothing. A conversation
//! is a list of turns that its answers share; a turn's bytes are free when the last answer that needs it is gone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;

use crate::table::Kept;

/// What an entry takes besides its texts, roughly.
const OVERHEAD: usize = 256;

/// The shelf of one gateway.
#[derive(Default)]
pub struct Responses {
    // Held for look-ups and changes of the map, never across a wait; only calls that keep or ask for answers take it.
    shelf: Mutex<Shelf>,
    used: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Shelf {
    /// By id and owner.
    entries: BTreeMap<(Box<str>, Box<str>), Entry>,
    /// Ids and owners by age.
    order: BTreeMap<u64, (Box<str>, Box<str>)>,
    next: u64,
}

struct Entry {
    number: u64,
    at: Instant,
    held: Held,
    _bytes: Counted,
}

/// What is known of an answer.
#[derive(Clone)]
pub enum Held {
    /// The gateway's own: the conversation up to it.
    Kept(Arc<[Arc<Turn>]>),
    /// The provider of this name keeps it.
    Passed(Box<str>),
}

/// One turn of a conversation.
pub struct Turn {
    /// The value of the request's `input`, empty for none.
    pub input: Bytes,
    /// The whole answer.
    pub response: Bytes,
    _bytes: Counted,
}

/// Bytes that count until this is dropped.
struct Counted {
    bytes: usize,
    used: Arc<AtomicUsize>,
}

impl Counted {
    fn new(bytes: usize, used: &Arc<AtomicUsize>) -> Counted {
        used.fetch_add(bytes, Ordering::Relaxed);
        Counted { bytes, used: used.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Responses {
    /// Keeps an answer: the turns before it, then its own. What is larger than all that may be kept is not kept.
    pub fn keep(&self, limits: &Kept, owner: &str, id: &str, before: &[Arc<Turn>], input: &[u8], response: Vec<u8>) {
        let bytes = input.len() + response.len() + OVERHEAD;
        let turn = Turn {
            input: Bytes::copy_from_slice(input),
            response: response.into(),
            _bytes: Counted::new(bytes, &self.used),
        };
        let turns: Arc<[Arc<Turn>]> = before.iter().cloned().chain([Arc::new(turn)]).collect();
        self.put(limits, owner, id, Held::Kept(turns));
    }

    /// Remembers that `provider` keeps the answer.
    pub fn pass(&self, limits: &Kept, owner: &str, id: &str, provider: &str) {
        self.put(limits, owner, id, Held::Passed(provider.into()));
    }

    fn put(&self, limits: &Kept, owner: &str, id: &str, held: Held) {
        let listed = match &held {
            Held::Kept(turns) => size_of_val::<[Arc<Turn>]>(turns),
            Held::Passed(provider) => provider.len(),
        };
        let bytes = Counted::new(OVERHEAD + 2 * (owner.len() + id.len()) + listed, &self.used);
        let key: (Box<str>, Box<str>) = (id.into(), owner.into());
        // What is dropped is dropped outside of the lock.
        let mut gone = Vec::new();
        let mut shelf = self.shelf();
        let number = shelf.next;
        shelf.next += 1;
        gone.extend(shelf.remove(&key));
        shelf.order.insert(number, key.clone());
        shelf.entries.insert(key, Entry { number, at: Instant::now(), held, _bytes: bytes });
        while shelf.entries.len() > limits.entries {
            gone.extend(shelf.remove_oldest());
        }
        while self.used.load(Ordering::Relaxed) > limits.memory && !shelf.entries.is_empty() {
            // The turns of a removed entry are free only when it is dropped.
            drop(shelf.remove_oldest());
        }
        shelf.remove_expired(limits, &mut gone);
    }

    /// What is known of the answer `id` of this owner.
    pub fn find(&self, limits: &Kept, owner: &str, id: &str) -> Option<Held> {
        let mut gone = Vec::new();
        let mut shelf = self.shelf();
        shelf.remove_expired(limits, &mut gone);
        shelf.entries.get(&(Box::from(id), Box::from(owner))).map(|entry| entry.held.clone())
    }

    /// Whether the answer `id` is known, and is not this owner's.
    pub fn is_anothers(&self, owner: &str, id: &str) -> bool {
        let shelf = self.shelf();
        let from: (Box<str>, Box<str>) = (id.into(), "".into());
        let mut owners = shelf.entries.range(from..).map(|((known, owner), _)| (known, owner));
        let mut of_id = std::iter::from_fn(|| owners.next().filter(|(known, _)| ***known == *id)).peekable();
        of_id.peek().is_some() && of_id.all(|(_, known)| **known != *owner)
    }

    /// Forgets the answer `id` of this owner.
    pub fn forget(&self, owner: &str, id: &str) -> bool {
        let entry = self.shelf().remove(&(id.into(), owner.into()));
        entry.is_some()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn remove(&mut self, key: &(Box<str>, Box<str>)) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.number);
        Some(entry)
    }

    fn remove_oldest(&mut self) -> Option<Entry> {
        let (_, key) = self.order.pop_first()?;
        self.entries.remove(&key)
    }

    /// Those that are older than they may become; as they are in order of age, a look at the first is enough mostly.
    fn remove_expired(&mut self, limits: &Kept, gone: &mut Vec<Entry>) {
        let now = Instant::now();
        while let Some(key) = self.order.first_key_value().map(|(_, key)| key) {
            let expired =
                self.entries.get(key).is_none_or(|entry| now.saturating_duration_since(entry.at) >= limits.ttl);
            if !expired {
                return;
            }
            gone.extend(self.remove_oldest());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: Kept = Kept { ttl: Duration::from_secs(60), entries: 4, memory: 1 << 20 };

    fn turns(store: &Responses, limits: &Kept, owner: &str, id: &str) -> Option<Vec<String>> {
        match store.find(limits, owner, id)? {
            Held::Kept(turns) => Some(turns.iter().map(|t| String::from_utf8(t.input.to_vec()).unwrap()).collect()),
            Held::Passed(provider) => Some(vec![format!("at {provider}")]),
        }
    }

    fn keep(store: &Responses, limits: &Kept, id: &str, previous: Option<&str>, input: &str) {
        let before = match previous.and_then(|id| store.find(limits, "a", id)) {
            Some(Held::Kept(turns)) => turns,
            _ => Arc::new([]),
        };
        store.keep(limits, "a", id, &before, input.as_bytes(), b"{}".to_vec());
    }

    #[test]
    fn another_owner_finds_nothing() {
        let store = Responses::default();
        keep(&store, &LIMITS, "r1", None, "one");
        store.pass(&LIMITS, "b", "r2", "openai");
        assert_eq!(turns(&store, &LIMITS, "a", "r1").unwrap(), ["one"]);
        assert_eq!(turns(&store, &LIMITS, "b", "r2").unwrap(), ["at openai"]);
        assert!(turns(&store, &LIMITS, "b", "r1").is_none() && turns(&store, &LIMITS, "a", "r2").is_none());
        assert!(store.is_anothers("b", "r1") && !store.is_anothers("a", "r1") && !store.is_anothers("a", "r"));
        assert!(!store.forget("b", "r1") && store.forget("a", "r1") && !store.forget("a", "r1"));
    }

    #[test]
    fn the_oldest_make_room_and_shared_turns_count_once() {
        let store = Responses::default();
        for (id, previous) in [("r1", None), ("r2", Some("r1")), ("r3", Some("r2")), ("r4", None), ("r5", None)] {
            keep(&store, &LIMITS, id, previous, id);
        }
        assert!(turns(&store, &LIMITS, "a", "r1").is_none(), "five of four");
        assert_eq!(turns(&store, &LIMITS, "a", "r3").unwrap(), ["r1", "r2", "r3"], "a turn lives as long as its heirs");
        let small = Kept { memory: 4_000, ..LIMITS };
        keep(&store, &small, "large", None, &"x".repeat(2_500));
        assert_eq!(turns(&store, &small, "a", "large").unwrap().len(), 1);
        assert!(store.used.load(Ordering::Relaxed) <= small.memory);
        keep(&store, &small, "too-large", None, &"x".repeat(5_000));
        assert!(turns(&store, &small, "a", "too-large").is_none());
        assert_eq!(store.used.load(Ordering::Relaxed), 0, "nothing is left, and nothing is counted");
    }

    #[test]
    fn nothing_is_kept_where_nothing_may_be() {
        let store = Responses::default();
        let none = Kept { entries: 0, ..LIMITS };
        keep(&store, &none, "r1", None, "one");
        assert!(turns(&store, &LIMITS, "a", "r1").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn answers_grow_old() {
        let store = Responses::default();
        keep(&store, &LIMITS, "r1", None, "one");
        tokio::time::advance(Duration::from_secs(59)).await;
        keep(&store, &LIMITS, "r2", Some("r1"), "two");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(turns(&store, &LIMITS, "a", "r1").is_none());
        assert_eq!(turns(&store, &LIMITS, "a", "r2").unwrap(), ["one", "two"]);
    }
}
