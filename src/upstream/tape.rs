//! What passes of a body, kept beside it: slices of the same bytes, or a copy of its beginning, up to a bound.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// A record of a body. One copy hears, another takes what was heard.
#[derive(Debug, Clone)]
pub struct Tape(Arc<Mutex<Heard>>);

#[derive(Debug)]
enum Heard {
    /// All of it or nothing.
    Whole {
        pieces: Vec<Bytes>,
        /// Bytes that may still come; `None`: there were too many.
        room: Option<usize>,
    },
    /// A copy, so that short pieces do not hold the long buffers that they stand in.
    Beginning { copy: Vec<u8>, most: usize, hold: Hold, cut: bool },
}

impl Tape {
    /// `most`: longest body that is kept.
    pub fn new(most: usize) -> Tape {
        Tape(Arc::new(Mutex::new(Heard::Whole { pieces: Vec::new(), room: Some(most) })))
    }

    /// One that keeps the first `most` bytes, as far as `budget` lets it.
    pub fn beginning(most: usize, budget: &'static Budget) -> Tape {
        Tape(Arc::new(Mutex::new(Heard::Beginning { copy: Vec::new(), most, hold: budget.hold(), cut: false })))
    }

    pub(super) fn hear(&self, piece: &Bytes) {
        match &mut *self.heard() {
            Heard::Whole { pieces, room: room_left } => {
                let Some(room) = *room_left else { return };
                *room_left = room.checked_sub(piece.len());
                match room_left {
                    Some(_) => pieces.push(piece.clone()),
                    None => pieces.clear(),
                }
            }
            Heard::Beginning { copy, most, hold, cut } => {
                let fits = copy.len() + piece.len() <= *most && !*cut && hold.grow(piece.len());
                if fits {
                    copy.extend_from_slice(piece);
                }
                *cut |= !fits;
            }
        }
    }

    /// Everything that has passed; `None` where that was too much, and where only a beginning is kept.
    pub fn take(&self) -> Option<Bytes> {
        let Heard::Whole { pieces, room } = &mut *self.heard() else { return None };
        room.take()?;
        Some(std::mem::take(pieces).concat().into())
    }

    /// What has passed and was kept, and whether that is all of it; nothing where the whole was to be kept.
    pub fn heard_so_far(&self) -> (Vec<u8>, bool) {
        match &mut *self.heard() {
            Heard::Whole { .. } => (Vec::new(), false),
            Heard::Beginning { copy, cut, .. } => (std::mem::take(copy), !*cut),
        }
    }

    /// Only ever held for one push: one task hears, and the same takes.
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that many may keep together.
#[derive(Debug)]
pub struct Budget {
    kept: AtomicUsize,
    most: usize,
}

/// A part of a budget, given back when it is dropped.
#[derive(Debug)]
pub struct Hold {
    budget: &'static Budget,
    bytes: usize,
}

impl Budget {
    pub const fn new(most: usize) -> Budget {
        Budget { kept: AtomicUsize::new(0), most }
    }

    /// An empty part of it.
    pub fn hold(&'static self) -> Hold {
        Hold { budget: self, bytes: 0 }
    }
}

impl Hold {
    /// Takes so many bytes more, where there are so many.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let fits = self.budget.kept.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.budget.most;
        if fits {
            self.bytes += bytes;
        } else {
            self.budget.kept.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.kept.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_not_kept_at_all() {
        let tape = Tape::new(6);
        tape.hear(&Bytes::from_static(b"abc"));
        tape.hear(&Bytes::from_static(b"def"));
        assert_eq!(tape.take().unwrap(), "abcdef");
        assert!(tape.take().is_none(), "taken once");
        let tape = Tape::new(5);
        tape.hear(&Bytes::from_static(b"abc"));
        tape.hear(&Bytes::from_static(b"def"));
        tape.hear(&Bytes::from_static(b"g"));
        assert!(tape.take().is_none());
    }

    #[test]
    fn a_beginning_is_kept_as_far_as_the_budget_of_all_goes() {
        static BUDGET: Budget = Budget::new(10);
        let heard = |tape: &Tape, text: &'static str| tape.hear(&Bytes::from_static(text.as_bytes()));
        let (one, two) = (Tape::beginning(6, &BUDGET), Tape::beginning(100, &BUDGET));
        heard(&one, "abcd");
        heard(&one, "efg");
        heard(&one, "h");
        assert_eq!(one.heard_so_far(), (b"abcd".to_vec(), false), "nothing follows a gap");
        heard(&two, "123456");
        heard(&two, "7");
        assert_eq!(two.heard_so_far(), (b"123456".to_vec(), false));
        drop((one, two));
        let three = Tape::beginning(100, &BUDGET);
        heard(&three, "1234567890");
        assert_eq!(three.heard_so_far(), (b"1234567890".to_vec(), true));
    }
}
