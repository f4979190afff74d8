//! Rules by the texts, or beginnings of texts, of which their condition needs one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::FEW;
use super::merge::Merge;
use super::needs::{Need, Needed};

/// Copies of a rule's number that shorter prefixes may leave in the lists of longer ones, for each rule.
const COPIES: usize = 8;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Texts {
    exact: HashMap<Box<str>, Box<[u32]>>,
    /// Sorted by text.
    prefixes: Box<[Prefix]>,
}

#[derive(Debug, Clone, PartialEq)]
struct Prefix {
    text: Box<str>,
    /// Position of the longest other prefix that this one begins with.
    shorter: Option<usize>,
    /// The rules of this prefix and of all shorter ones.
    rules: Box<[u32]>,
}

impl Texts {
    /// `None` where prefixes of prefixes would take too much memory.
    pub(super) fn new(rules: &[(u32, &Need<'_>)]) -> Option<Texts> {
        let mut exact: HashMap<&str, Vec<u32>> = HashMap::new();
        let mut prefixes: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        let mut entries = FEW;
        for (number, need) in rules {
            for text in need.texts().into_iter().flatten() {
                entries += 1;
                match text {
                    Needed::Exact(text) => exact.entry(text).or_default().push(*number),
                    Needed::Prefix(text) => prefixes.entry(text).or_default().push(*number),
                }
            }
        }
        let prefixes = nested(&prefixes, COPIES * entries)?;
        Some(Texts { exact: exact.into_iter().map(|(text, rules)| (text.into(), rules.into())).collect(), prefixes })
    }

    /// The rules that need this very text.
    pub(super) fn exactly(&self, text: &str) -> Option<&[u32]> {
        self.exact.get(text).map(|list| &**list)
    }

    /// Adds the rules that `text` suits.
    pub(super) fn open<'i>(&'i self, text: &str, merge: &mut Merge<'i>) {
        self.exactly(text).into_iter().for_each(|list| merge.push(list));
        self.prefix_of(text).into_iter().for_each(|prefix| merge.push(&prefix.rules));
    }

    /// The longest prefix that `text` begins with: everything between it and `text` in the order begins with it too.
    fn prefix_of(&self, text: &str) -> Option<&Prefix> {
        let mut at = self.prefixes.partition_point(|prefix| *prefix.text <= *text).checked_sub(1)?;
        loop {
            let prefix = self.prefixes.get(at)?;
            if text.starts_with(&*prefix.text) {
                return Some(prefix);
            }
            at = prefix.shorter?;
        }
    }
}

/// Prefixes with the rules of those they begin with; `None` where that makes more than `most` numbers.
fn nested(prefixes: &BTreeMap<&str, Vec<u32>>, most: usize) -> Option<Box<[Prefix]>> {
    let mut nested: Vec<Prefix> = Vec::with_capacity(prefixes.len());
    let mut written = 0;
    for (text, rules) in prefixes {
        let mut shorter = nested.len().checked_sub(1);
        while let Some(known) = shorter.and_then(|at| nested.get(at)).filter(|known| !text.starts_with(&*known.text)) {
            shorter = known.shorter;
        }
        let inherited = shorter.and_then(|at| nested.get(at)).map_or(&[][..], |known| &known.rules);
        let all: BTreeSet<u32> = rules.iter().chain(inherited).copied().collect();
        written += all.len();
        if written > most {
            return None;
        }
        nested.push(Prefix { text: (*text).into(), shorter, rules: all.into_iter().collect() });
    }
    Some(nested.into())
}
