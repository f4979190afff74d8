//! Which rules may fire for a request, found without asking each of them. A rule whose condition needs a fact to have one of
//! some texts (or beginnings) is kept under these texts, one that needs a tool to be offered under the tool's name, and one
//! that needs a number to lie between two others in a tree of ranges. The others are asked one after the other.
//!
//! A function of the rules alone. Looking up allocates nothing, and reads a fact only when a rule that needs it is next.

mod choose;
mod merge;
mod needs;
mod ranges;
mod texts;

use merge::Merge;
use needs::{Kept, Key};
use ranges::RangeTree;
use smallvec::SmallVec;
use texts::Texts;

use super::Rule;
use crate::rule::predicate::{Predicate, ValueFact};
use crate::rule::{Facts, FlagFact, TextFact};

/// Fewer rules are asked one by one: that is as quick.
const FEW: usize = 8;
/// Tools of a request that are looked up; past it, every rule that needs one is asked.
const MOST_TOOLS: usize = 32;

/// The index of a table's rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleIndex {
    /// Rules that are asked in any case, in order.
    always: Box<[u32]>,
    /// In the order in which they are opened: by the first rule in any of their lists.
    facts: Box<[FactIndex]>,
}

/// The rules that need something of one fact. Lists are in the order of the rules.
#[derive(Debug, Clone, PartialEq)]
struct FactIndex {
    /// The first rule in any of the lists.
    first: u32,
    by: By,
}

#[derive(Debug, Clone, PartialEq)]
enum By {
    Text { fact: TextFact, texts: Texts },
    Tools { texts: Texts, all: Box<[u32]> },
    Value { fact: ValueFact, ranges: RangeTree },
    Stream { ranges: RangeTree },
}

impl RuleIndex {
    pub fn new(rules: &[Rule]) -> RuleIndex {
        let conditions: Vec<&Predicate> = rules.iter().map(|rule| &rule.when).collect();
        RuleIndex::of(&conditions)
    }

    fn of(conditions: &[&Predicate]) -> RuleIndex {
        let count = u32::try_from(conditions.len()).unwrap_or(u32::MAX);
        if conditions.len() <= FEW {
            return RuleIndex { always: (0..count).collect(), facts: Box::default() };
        }
        let mut needed: Vec<Kept<'_>> = conditions.iter().map(|condition| needs::kept(condition)).collect();
        choose::forget_costly(conditions, &mut needed);
        let ranked = choose::ranked(&needed);
        let mut always = Vec::new();
        let mut chosen: Vec<Vec<(u32, &needs::Need<'_>)>> = vec![Vec::new(); ranked.len()];
        for (needs, number) in needed.iter().zip(0..count) {
            let best =
                ranked.iter().zip(&mut chosen).find_map(|(key, rules)| Some((needs::of_key(needs, *key)?, rules)));
            match best {
                Some((need, rules)) => rules.push((number, need)),
                None => always.push(number),
            }
        }
        let mut facts = Vec::new();
        for (key, rules) in ranked.into_iter().zip(chosen) {
            let Some((first, _)) = rules.first().copied() else { continue };
            match by(key, &rules) {
                Some(by) => facts.push(FactIndex { first, by }),
                None => always.extend(rules.iter().map(|(number, _)| *number)),
            }
        }
        always.sort_unstable();
        facts.sort_by_key(|index| index.first);
        RuleIndex { always: always.into(), facts: facts.into() }
    }

    /// The position of the first of `rules` that holds.
    pub fn first(&self, rules: &[Rule], facts: &dyn Facts) -> Option<usize> {
        self.first_where(facts, |at| rules.get(at).is_some_and(|rule| rule.when.holds(facts)))
    }

    /// The position of the first of `rules` that holds, and how many tests were asked to find it: what a proof, which asks
    /// for each rule of a file, is to be charged with.
    pub fn first_counted(&self, rules: &[Rule], facts: &dyn Facts) -> (Option<usize>, u64) {
        let mut asked = 0;
        let holds = |at| rules.get(at).is_some_and(|rule: &Rule| rule.when.holds_counting(facts, &mut asked));
        (self.first_where(facts, holds), asked)
    }

    /// How many rules a decision asks.
    pub fn asked(&self, rules: &[Rule], facts: &dyn Facts) -> usize {
        let mut count = 0;
        self.first_where(facts, |at| {
            count += 1;
            rules.get(at).is_some_and(|rule| rule.when.holds(facts))
        });
        count
    }

    /// The first candidate, in the order of the rules, of which `holds` is true.
    fn first_where(&self, facts: &dyn Facts, mut holds: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut merge = Merge::default();
        merge.push(&self.always);
        let mut closed = self.facts.iter().peekable();
        loop {
            while let Some(index) = closed.next_if(|index| merge.next().is_none_or(|number| index.first <= number)) {
                index.open(facts, &mut merge);
            }
            let number = merge.take()? as usize;
            if holds(number) {
                return Some(number);
            }
        }
    }
}

/// `None` where it would take too much memory.
fn by(key: Key<'_>, rules: &[(u32, &needs::Need<'_>)]) -> Option<By> {
    Some(match key {
        Key::Text(fact) => By::Text { fact: fact.clone(), texts: Texts::new(rules)? },
        Key::Tools => By::Tools { texts: Texts::new(rules)?, all: rules.iter().map(|(number, _)| *number).collect() },
        Key::Value(fact) => By::Value { fact: fact.clone(), ranges: RangeTree::new(rules) },
        Key::Stream => By::Stream { ranges: RangeTree::new(rules) },
    })
}

impl FactIndex {
    /// Adds the lists of what the request has.
    fn open<'i>(&'i self, facts: &dyn Facts, merge: &mut Merge<'i>) {
        match &self.by {
            By::Text { fact: TextFact::Model, texts } => texts.open(facts.model(), merge),
            By::Text { fact, texts } => {
                if let Some(text) = facts.text(fact) {
                    texts.open(&text, merge);
                }
            }
            By::Tools { texts, all } => open_tools(texts, all, facts, merge),
            By::Value { fact, ranges } => ranges.open(fact.value(facts), merge),
            By::Stream { ranges } => ranges.open(facts.flag(&FlagFact::Stream).into(), merge),
        }
    }
}

fn open_tools<'i>(texts: &'i Texts, all: &'i [u32], facts: &dyn Facts, merge: &mut Merge<'i>) {
    let mut lists: SmallVec<[&[u32]; MOST_TOOLS]> = SmallVec::new();
    let mut few = true;
    let known = facts.offered(&mut |tool| {
        if let Some(list) = texts.exactly(tool) {
            few = lists.len() < MOST_TOOLS;
            if few {
                lists.push(list);
            }
        }
    });
    if known && few {
        lists.into_iter().for_each(|list| merge.push(list));
    } else {
        merge.push(all);
    }
}
