//! How much work may go into an answer: counted in steps, so that the same file gives the same answers everywhere.

/// Steps that may still be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    left: u64,
}

impl Budget {
    pub fn new(steps: u64) -> Budget {
        Budget { left: steps }
    }

    /// Takes `steps` away; `None` where there were not so many.
    pub(super) fn spend(&mut self, steps: u64) -> Option<()> {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or(0);
        left.map(drop)
    }

    pub fn left(&self) -> u64 {
        self.left
    }
}
