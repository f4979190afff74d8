//! Rules by ranges of a number: a tree over the numbers at which some range begins or ends. Each range lies at the few
//! nodes that make it up together, and the rules of a number are those on its way to the root.

use super::merge::Merge;
use super::needs::Need;

/// Most ranges of one rule; more become the one range around them.
const MOST: usize = 16;

/// Numbers of which one is needed: ascending ranges, both ends included, with gaps between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    pub(super) fn of(mut ranges: Vec<(u64, u64)>) -> Ranges {
        ranges.sort_unstable();
        let mut apart: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (least, most) in ranges {
            match apart.last_mut() {
                Some((_, last)) if least <= last.saturating_add(1) => *last = most.max(*last),
                _ => apart.push((least, most)),
            }
        }
        match (apart.first(), apart.last()) {
            (Some((least, _)), Some((_, most))) if apart.len() > MOST => Ranges(vec![(*least, *most)]),
            _ => Ranges(apart),
        }
    }

    pub(super) fn either(&self, other: &Ranges) -> Ranges {
        Ranges::of(self.0.iter().chain(&other.0).copied().collect())
    }

    pub(super) fn both(&self, other: &Ranges) -> Ranges {
        let pairs = self.0.iter().flat_map(|(least, most)| {
            other.0.iter().map(move |(other_least, other_most)| (*least.max(other_least), *most.min(other_most)))
        });
        Ranges::of(pairs.filter(|(least, most)| least <= most).collect())
    }
}

/// The numbers at which ranges begin, or which follow the end of one; 0 is always among them.
pub(super) struct Cuts(Box<[u64]>);

impl Cuts {
    pub(super) fn of<'r>(ranges: impl Iterator<Item = &'r Ranges>) -> Cuts {
        let mut cuts = vec![0];
        for (least, most) in ranges.flat_map(|ranges| &ranges.0) {
            cuts.push(*least);
            cuts.extend(most.checked_add(1));
        }
        cuts.sort_unstable();
        cuts.dedup();
        Cuts(cuts.into())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The numbers between two cuts, by position, that a range is made up of.
    fn covered(&self, (least, most): (u64, u64)) -> (usize, usize) {
        (self.0.partition_point(|cut| *cut < least), self.0.partition_point(|cut| *cut <= most))
    }

    /// How many of the pieces between two cuts the ranges cover.
    pub(super) fn count(&self, ranges: &Ranges) -> usize {
        ranges.0.iter().map(|range| self.covered(*range)).map(|(start, end)| end - start).sum()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct RangeTree {
    cuts: Box<[u64]>,
    /// Where the rules of each node begin in `rules`, and where the last ones end. Node 1 is the root, the leaves are the last
    /// half, in the order of `cuts`.
    starts: Box<[u32]>,
    rules: Box<[u32]>,
}

impl RangeTree {
    pub(super) fn new(rules: &[(u32, &Need<'_>)]) -> RangeTree {
        let ranges = || rules.iter().filter_map(|(number, need)| Some((*number, need.ranges()?)));
        let cuts = Cuts::of(ranges().map(|(_, ranges)| ranges));
        let mut nodes: Vec<Vec<u32>> = vec![Vec::new(); 2 * cuts.len()];
        for (number, ranges) in ranges() {
            for range in &ranges.0 {
                let (start, end) = cuts.covered(*range);
                for node in spanned(start + cuts.len(), end + cuts.len()) {
                    if let Some(node) = nodes.get_mut(node) {
                        node.push(number);
                    }
                }
            }
        }
        let mut starts = Vec::with_capacity(nodes.len() + 1);
        let mut written = 0u32;
        for node in &nodes {
            starts.push(written);
            written = written.saturating_add(u32::try_from(node.len()).unwrap_or(u32::MAX));
        }
        starts.push(written);
        RangeTree { cuts: cuts.0, starts: starts.into(), rules: nodes.concat().into() }
    }

    /// Adds the rules with a range in which `value` lies.
    pub(super) fn open<'i>(&'i self, value: u64, merge: &mut Merge<'i>) {
        let before = self.cuts.partition_point(|cut| *cut <= value);
        // 0 is a cut: some cut is not above the value.
        let mut node = self.cuts.len() + before - 1;
        while node > 0 {
            merge.push(self.node(node).unwrap_or_default());
            node /= 2;
        }
    }

    fn node(&self, at: usize) -> Option<&[u32]> {
        let (start, end) = (*self.starts.get(at)?, *self.starts.get(at + 1)?);
        self.rules.get(start as usize..end as usize)
    }
}

/// The nodes that make up the leaves `start..end`: as few as there are.
fn spanned(mut start: usize, mut end: usize) -> impl Iterator<Item = usize> {
    let mut nodes = Vec::new();
    while start < end {
        if !start.is_multiple_of(2) {
            nodes.push(start);
            start += 1;
        }
        if !end.is_multiple_of(2) {
            end -= 1;
            nodes.push(end);
        }
        start /= 2;
        end /= 2;
    }
    nodes.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_range(random: &mut fastrand::Rng) -> (u64, u64) {
        let least = random.u64(0..20);
        let most = random.u64(least..25);
        (if least == 0 { 0 } else { least }, if most == 24 { u64::MAX } else { most })
    }

    fn has(ranges: &[(u64, u64)], value: u64) -> bool {
        ranges.iter().any(|(least, most)| (*least..=*most).contains(&value))
    }

    const VALUES: [u64; 8] = [0, 1, 5, 10, 19, 23, 24, u64::MAX];

    #[test]
    fn both_and_either_mean_what_they_say() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..500 {
            let lists: [Vec<(u64, u64)>; 2] =
                std::array::from_fn(|_| (0..random.usize(0..4)).map(|_| a_range(&mut random)).collect());
            let [one, other] = lists.clone().map(Ranges::of);
            for value in VALUES {
                let (in_one, in_other) = (has(&lists[0], value), has(&lists[1], value));
                assert_eq!(has(&one.0, value), in_one);
                assert_eq!(has(&one.both(&other).0, value), in_one && in_other);
                assert_eq!(has(&one.either(&other).0, value), in_one || in_other);
            }
        }
    }

    #[test]
    fn many_ranges_become_one_around_them() {
        let points = |count: u64| Ranges::of((0..count).map(|at| (10 * at, 10 * at)).collect()).0.len();
        assert_eq!((points(16), points(17)), (16, 1));
    }

    #[test]
    fn a_tree_gives_each_rule_of_a_value_once_and_no_other() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..300 {
            let lists: Vec<Vec<(u64, u64)>> = (0..random.usize(1..12))
                .map(|_| (0..random.usize(0..4)).map(|_| a_range(&mut random)).collect())
                .collect();
            let needs: Vec<Need<'_>> = lists.iter().map(|list| Need::Ranges(Ranges::of(list.clone()))).collect();
            let rules: Vec<(u32, &Need<'_>)> = (0..).zip(&needs).collect();
            let tree = RangeTree::new(&rules);
            for value in VALUES {
                let mut merge = Merge::default();
                tree.open(value, &mut merge);
                let found: Vec<u32> = std::iter::from_fn(|| merge.take()).collect();
                let expected: Vec<u32> =
                    (0..).zip(&lists).filter(|(_, list)| has(list, value)).map(|(number, _)| number).collect();
                assert_eq!(found, expected, "{value} in {lists:?}");
            }
        }
    }
}
