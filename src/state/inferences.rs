//! Inferences and episodes of late, which feedback may be given about: in memory, bounded, the oldest make room.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// Most inferences that are known.
const MOST: usize = 20_000;

/// What is known of an inference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub episode_id: Uuid,
    /// Of its request, which logs and traces have too.
    pub request_id: Box<str>,
    /// Its trace and its span, where it is traced.
    pub place: Option<(u128, u64)>,
    /// As the caller asked for it.
    pub function: Box<str>,
    pub variant: Box<str>,
}

/// The inferences of one gateway.
#[derive(Default)]
pub struct Inferences {
    // Held for a look-up or a change of the maps, never across a wait; only calls of TensorZero's surface take it.
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    by_id: HashMap<Uuid, Known>,
    /// How many known inferences each episode has, and the newest of them.
    episodes: HashMap<Uuid, (usize, Uuid)>,
    order: VecDeque<Uuid>,
}

impl Inferences {
    pub fn keep(&self, id: Uuid, known: Known) {
        let mut shelf = self.shelf();
        let episode = shelf.episodes.entry(known.episode_id).or_insert((0, id));
        *episode = (episode.0 + 1, id);
        shelf.by_id.insert(id, known);
        shelf.order.push_back(id);
        while shelf.order.len() > MOST {
            shelf.forget_oldest();
        }
    }

    pub fn inference(&self, id: Uuid) -> Option<Known> {
        self.shelf().by_id.get(&id).cloned()
    }

    /// The newest inference of an episode.
    pub fn episode(&self, id: Uuid) -> Option<Known> {
        let shelf = self.shelf();
        let (_, newest) = shelf.episodes.get(&id)?;
        shelf.by_id.get(newest).cloned()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn forget_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        let Some(known) = self.by_id.remove(&oldest) else { return };
        if let Some((count, _)) = self.episodes.get_mut(&known.episode_id) {
            *count -= 1;
            if *count == 0 {
                self.episodes.remove(&known.episode_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(episode: u128) -> Known {
        Known {
            episode_id: Uuid::from_u128(episode),
            request_id: "r".into(),
            place: None,
            function: "f".into(),
            variant: "v".into(),
        }
    }

    #[test]
    fn the_oldest_make_room() {
        let inferences = Inferences::default();
        inferences.keep(Uuid::from_u128(1), known(7));
        inferences.keep(Uuid::from_u128(2), known(7));
        assert_eq!(inferences.episode(Uuid::from_u128(7)), Some(known(7)));
        for id in 0..MOST as u128 {
            inferences.keep(Uuid::from_u128(100 + id), known(8));
        }
        assert_eq!((inferences.inference(Uuid::from_u128(1)), inferences.episode(Uuid::from_u128(7))), (None, None));
        assert_eq!(inferences.inference(Uuid::from_u128(100)), Some(known(8)));
        assert_eq!(inferences.shelf().by_id.len(), MOST);
    }
}
