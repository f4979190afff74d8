//! What passes of a body, kept beside it: slices of the same bytes, up to a bound.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// A record of a body. One copy hears, another takes what was heard.
#[derive(Debug, Clone)]
pub struct Tape(Arc<Mutex<Heard>>);

#[derive(Debug)]
struct Heard {
    pieces: Vec<Bytes>,
    /// Bytes that may still come; `None`: there were too many.
    room: Option<usize>,
}

impl Tape {
    /// `most`: longest body that is kept.
    pub fn new(most: usize) -> Tape {
        Tape(Arc::new(Mutex::new(Heard { pieces: Vec::new(), room: Some(most) })))
    }

    pub(super) fn hear(&self, piece: &Bytes) {
        let mut heard = self.heard();
        let Some(room) = heard.room else { return };
        heard.room = room.checked_sub(piece.len());
        match heard.room {
            Some(_) => heard.pieces.push(piece.clone()),
            None => heard.pieces.clear(),
        }
    }

    /// Everything that has passed; `None` where that was too much.
    pub fn take(&self) -> Option<Bytes> {
        let mut heard = self.heard();
        heard.room.take()?;
        Some(std::mem::take(&mut heard.pieces).concat().into())
    }

    /// Only ever held for one push: one task hears, and the same takes.
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
}
