//! Several lists of rules as one, in the order of the rules.

use smallvec::SmallVec;

/// Lists that are merged without allocating: a path through a tree of ranges is at most 18 for the rules of one file, and a
/// request rarely meets more than two such trees.
const INLINE: usize = 64;

/// A heap of ascending lists, the one with the smallest number on top. None of them is empty.
#[derive(Default)]
pub(super) struct Merge<'i> {
    lists: SmallVec<[&'i [u32]; INLINE]>,
}

impl<'i> Merge<'i> {
    pub(super) fn push(&mut self, list: &'i [u32]) {
        if list.is_empty() {
            return;
        }
        let mut at = self.lists.len();
        self.lists.push(list);
        while at > 0 && self.number(at) < self.number((at - 1) / 2) {
            self.lists.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    /// The number that [`take`](Merge::take) would take.
    pub(super) fn next(&self) -> Option<u32> {
        self.number(0)
    }

    /// Takes the smallest number. A rule that is in two lists comes twice.
    pub(super) fn take(&mut self) -> Option<u32> {
        let top = self.lists.first_mut()?;
        let (number, rest) = top.split_first()?;
        if rest.is_empty() {
            self.lists.swap_remove(0);
        } else {
            *top = rest;
        }
        self.sink();
        Some(*number)
    }

    /// Brings the list on top to where it belongs.
    fn sink(&mut self) {
        let mut at = 0;
        loop {
            let child = 2 * at + 1;
            let Some(left) = self.number(child) else { return };
            let child = if self.number(child + 1).is_some_and(|right| right < left) { child + 1 } else { child };
            if self.number(at) <= self.number(child) {
                return;
            }
            self.lists.swap(at, child);
            at = child;
        }
    }

    fn number(&self, at: usize) -> Option<u32> {
        self.lists.get(at)?.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_as_one_in_order() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..500 {
            let lists: Vec<Vec<u32>> = (0..random.usize(0..9))
                .map(|_| {
                    let mut list: Vec<u32> = (0..random.usize(0..6)).map(|_| random.u32(0..20)).collect();
                    list.sort_unstable();
                    list
                })
                .collect();
            let mut merge = Merge::default();
            lists.iter().for_each(|list| merge.push(list));
            let mut expected: Vec<u32> = lists.concat();
            expected.sort_unstable();
            let merged: Vec<u32> = std::iter::from_fn(|| merge.take()).collect();
            assert_eq!(merged, expected);
            assert_eq!(merge.next(), None);
        }
    }
}
