//! Models that no file and no list names, told apart as far as there is room: their names come from callers.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock, OnceLock};

use super::Gauge;

/// So many models of one provider.
const ROOM: usize = 64;
/// Longest name.
const LONGEST: usize = 128;
/// Places that are looked at for one name.
const LOOKS: usize = 8;

static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A table of fixed size that is read without a lock. Nothing leaves it before the provider leaves the configuration.
pub(super) struct Unlisted {
    provider: Box<str>,
    places: [OnceLock<Arc<Gauge>>; ROOM],
}

impl Unlisted {
    /// Those of `provider`: none so far.
    pub(super) fn new(provider: &str) -> Unlisted {
        Unlisted { provider: provider.into(), places: [const { OnceLock::new() }; ROOM] }
    }

    /// The gauge of `model`, where it has one.
    pub(super) fn get(&self, model: &str) -> Option<&Arc<Gauge>> {
        self.places(model).map_while(OnceLock::get).find(|gauge| gauge.model() == model)
    }

    /// The gauge of `model`, new or known; `None` where there is no room.
    pub(super) fn enter(&self, model: &str) -> Option<&Arc<Gauge>> {
        if model.len() > LONGEST {
            return None;
        }
        let new = || Arc::new(Gauge::new(&self.provider, model));
        self.places(model).map(|place| place.get_or_init(new)).find(|gauge| gauge.model() == model)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Gauge> {
        self.places.iter().filter_map(OnceLock::get).map(|gauge| &**gauge)
    }

    fn places(&self, model: &str) -> impl Iterator<Item = &OnceLock<Arc<Gauge>>> {
        let start = usize::try_from(HASHER.hash_one(model) % ROOM as u64).unwrap_or(0);
        self.places.iter().cycle().skip(start).take(LOOKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_as_far_as_there_is_room() {
        let unlisted = Unlisted::new("p");
        assert!(unlisted.get("a").is_none());
        let a = Arc::clone(unlisted.enter("a").unwrap());
        assert!(Arc::ptr_eq(&a, unlisted.enter("a").unwrap()) && Arc::ptr_eq(&a, unlisted.get("a").unwrap()));
        assert!(!Arc::ptr_eq(&a, unlisted.enter("b").unwrap()));
        let entered = (0..10 * ROOM).filter(|n| unlisted.enter(&format!("m{n}")).is_some()).count();
        assert!(entered <= ROOM && unlisted.iter().count() <= ROOM);
        assert!(Arc::ptr_eq(&a, unlisted.get("a").unwrap()));
        assert!(unlisted.enter(&"x".repeat(LONGEST + 1)).is_none());
    }
}
