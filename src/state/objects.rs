//! Whose are the files, batches and uploads that providers keep: which client key made them. In memory and bounded.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most things that one key is known to have made; the oldest make room.
const MOST: usize = 10_000;
/// Bytes of the longest id that is remembered; providers' ids have some forty.
const LONGEST: usize = 256;

/// An id, and the provider that gave it: by id first, because some questions do not say where.
type Thing = (Box<str>, Box<str>);

/// What is known of one gateway's providers.
#[derive(Default)]
pub struct Owners {
    // Held for a look-up or a change of the maps, never across a wait; only requests take it that name such things.
    shelf: Mutex<HashMap<Box<str>, Own>>,
}

/// What one key made.
#[derive(Default)]
struct Own {
    numbers: BTreeMap<Thing, u64>,
    order: BTreeMap<u64, Thing>,
    next: u64,
}

impl Owners {
    /// `owner` made this. What it made long ago is forgotten when it has made too much since.
    pub fn made(&self, owner: &str, provider: &str, id: &str) {
        if id.len() > LONGEST {
            return;
        }
        let mut shelf = self.shelf();
        let own = shelf.entry(owner.into()).or_default();
        let thing: Thing = (id.into(), provider.into());
        if own.numbers.contains_key(&thing) {
            return;
        }
        let number = own.next;
        own.next += 1;
        own.numbers.insert(thing.clone(), number);
        own.order.insert(number, thing);
        while own.numbers.len() > MOST {
            let Some((_, oldest)) = own.order.pop_first() else { return };
            own.numbers.remove(&oldest);
        }
    }

    pub fn owns(&self, owner: &str, provider: &str, id: &str) -> bool {
        self.shelf().get(owner).is_some_and(|own| own.numbers.contains_key(&(Box::from(id), Box::from(provider))))
    }

    /// Whether `owner` made something of this id, whichever provider keeps it.
    pub fn owns_somewhere(&self, owner: &str, id: &str) -> bool {
        let from: Thing = (id.into(), "".into());
        let shelf = self.shelf();
        let first = shelf.get(owner).and_then(|own| own.numbers.range(from..).next());
        first.is_some_and(|((known, _), _)| **known == *id)
    }

    /// It is no more.
    pub fn forget(&self, owner: &str, provider: &str, id: &str) {
        let mut shelf = self.shelf();
        let Some(own) = shelf.get_mut(owner) else { return };
        if let Some(number) = own.numbers.remove(&(Box::from(id), Box::from(provider))) {
            own.order.remove(&number);
        }
    }

    fn shelf(&self) -> MutexGuard<'_, HashMap<Box<str>, Own>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_owns_what_it_made_until_that_is_gone() {
        let owners = Owners::default();
        owners.made("a", "openai", "file-1");
        owners.made("a", "openai", "file-1");
        owners.made("b", "groq", "file-1");
        assert!(owners.owns("a", "openai", "file-1") && !owners.owns("a", "groq", "file-1"));
        assert!(!owners.owns("b", "openai", "file-1") && owners.owns_somewhere("b", "file-1"));
        assert!(!owners.owns_somewhere("a", "file") && !owners.owns_somewhere("a", "file-11"));
        owners.forget("a", "openai", "file-1");
        owners.forget("a", "openai", "file-1");
        assert!(!owners.owns("a", "openai", "file-1") && owners.owns("b", "groq", "file-1"));
    }

    #[test]
    fn what_a_key_made_is_bounded_and_takes_nothing_from_another() {
        let owners = Owners::default();
        owners.made("b", "openai", "first");
        for at in 0..MOST {
            owners.made("a", "openai", &format!("file-{at}"));
        }
        assert!(owners.owns("a", "openai", "file-0"));
        owners.forget("a", "openai", "file-1");
        owners.made("a", "openai", "one more");
        assert!(owners.owns("a", "openai", "file-0"), "there was room");
        owners.made("a", "openai", "and one");
        assert!(!owners.owns("a", "openai", "file-0") && owners.owns("a", "openai", "file-2"));
        assert!(owners.owns("b", "openai", "first"));
        owners.made("b", "openai", &"x".repeat(LONGEST + 1));
        assert_eq!(owners.shelf().get("b").unwrap().numbers.len(), 1);
    }
}
