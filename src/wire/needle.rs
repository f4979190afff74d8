//! Texts that are looked for in every frame. Preparing a search costs more than searching a short frame, so it is done once.

use std::sync::OnceLock;

use memchr::memmem::Finder;

/// A text to look for.
pub(super) struct Needle {
    text: &'static [u8],
    finder: OnceLock<Finder<'static>>,
}

impl Needle {
    pub(super) const fn new(text: &'static str) -> Needle {
        Needle { text: text.as_bytes(), finder: OnceLock::new() }
    }

    fn finder(&self) -> &Finder<'static> {
        self.finder.get_or_init(|| Finder::new(self.text))
    }

    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.finder().find(text).is_some()
    }

    /// What follows each occurrence.
    pub(super) fn tails<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
        self.finder().find_iter(text).filter_map(|at| text.get(at + self.text.len()..))
    }
}
