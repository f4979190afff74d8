//! Which rules may fire for a request, found without asking each of them: a rule whose condition needs a fact to have one
//! of some texts (or beginnings) is kept under these texts. The others are asked one after the other.
//!
//! A function of the rules alone. Looking up allocates nothing, and reads a fact only when a rule that needs it is next.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use smallvec::SmallVec;

use super::Rule;
use crate::rule::predicate::{Atom, Predicate, TextTest};
use crate::rule::{Facts, TextFact};

/// Fewer rules are asked one by one: that is as quick.
const FEW: usize = 8;
/// Facts that are indexed; each costs a look-up in every decision.
const MOST_FACTS: usize = 8;
/// Lists that one decision reads: two a fact, and the rules that are always asked.
const MOST_LISTS: usize = 2 * MOST_FACTS + 1;
/// Copies of a rule's number that shorter prefixes may leave in the lists of longer ones, for each rule.
const COPIES: usize = 8;

/// The index of a table's rules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleIndex {
    /// Rules that are asked in any case, in order.
    always: Box<[u32]>,
    facts: Box<[FactIndex]>,
}

/// The rules that need a text of one fact. Lists are in the order of the rules.
#[derive(Debug, Clone, PartialEq)]
struct FactIndex {
    fact: TextFact,
    /// The first rule in any of the lists.
    first: u32,
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
        let needs: Vec<Needs<'_>> = conditions.iter().map(|condition| needs(condition)).collect();
        let chosen = choose(&needs);
        let mut always = Vec::new();
        let mut lists: BTreeMap<usize, Lists<'_>> = BTreeMap::new();
        for (needs, number) in needs.iter().zip(0..count) {
            let best = (0..).zip(&chosen).find_map(|(at, fact)| needs.get(*fact).map(|texts| (at, texts)));
            match best {
                Some((at, texts)) => lists.entry(at).or_default().add(texts, number),
                None => always.push(number),
            }
        }
        let mut facts = Vec::new();
        for (at, lists) in lists {
            let Some(fact) = chosen.get(at) else { continue };
            match lists.finish(fact) {
                Ok(index) => facts.push(index),
                Err(rules) => always.extend(rules),
            }
        }
        always.sort_unstable();
        RuleIndex { always: always.into(), facts: facts.into() }
    }

    /// The position of the first of `rules` that holds.
    pub fn first(&self, rules: &[Rule], facts: &dyn Facts) -> Option<usize> {
        self.first_where(facts, |at| rules.get(at).is_some_and(|rule| rule.when.holds(facts)))
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
        let mut lists: SmallVec<[&[u32]; MOST_LISTS]> = SmallVec::new();
        lists.push(&self.always);
        let mut closed: SmallVec<[&FactIndex; MOST_FACTS]> = self.facts.iter().collect();
        loop {
            let next = lists.iter().enumerate().filter_map(|(at, list)| Some((*list.first()?, at))).min();
            let opening = closed.iter().enumerate().map(|(at, index)| (index.first, at)).min();
            if let Some((first, at)) = opening
                && next.is_none_or(|(number, _)| first <= number)
            {
                lists.extend(closed.remove(at).lists(facts));
                continue;
            }
            let (number, at) = next?;
            if let Some(list) = lists.get_mut(at) {
                *list = list.get(1..).unwrap_or_default();
            }
            if holds(number as usize) {
                return Some(number as usize);
            }
        }
    }
}

impl FactIndex {
    /// The lists of the text that the request has.
    fn lists(&self, facts: &dyn Facts) -> SmallVec<[&[u32]; 2]> {
        match &self.fact {
            TextFact::Model => self.lists_of(facts.model()),
            fact => facts.text(fact).map(|text| self.lists_of(&text)).unwrap_or_default(),
        }
    }

    fn lists_of(&self, text: &str) -> SmallVec<[&[u32]; 2]> {
        let exact = self.exact.get(text).map(|list| &**list);
        exact.into_iter().chain(self.prefix_of(text).map(|prefix| &*prefix.rules)).collect()
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

// === what a condition needs

/// A text that a fact must have, or begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Needed<'p> {
    Exact(&'p str),
    Prefix(&'p str),
}

/// For each fact, texts of which it must have one for the condition to hold.
type Needs<'p> = HashMap<&'p TextFact, BTreeSet<Needed<'p>>>;

fn needs(condition: &Predicate) -> Needs<'_> {
    match condition {
        Predicate::Atom(Atom::Text { fact, test }) => {
            texts(test).map(|texts| HashMap::from([(fact, texts)])).unwrap_or_default()
        }
        Predicate::All(parts) => {
            let mut all = Needs::new();
            for (fact, texts) in parts.iter().flat_map(needs) {
                // Of two needs of one fact either will do; the shorter list is the more selective.
                let shorter = all.get(fact).is_none_or(|known| texts.len() < known.len());
                if shorter {
                    all.insert(fact, texts);
                }
            }
            all
        }
        Predicate::Any(parts) => {
            let mut parts = parts.iter().map(needs);
            let mut any = parts.next().unwrap_or_default();
            for part in parts {
                any.retain(|fact, _| part.contains_key(fact));
                for (fact, texts) in part {
                    any.entry(fact).and_modify(|known| known.extend(texts));
                }
            }
            any
        }
        Predicate::Always | Predicate::Not(_) | Predicate::Atom(Atom::Value { .. } | Atom::Flag(_)) => Needs::new(),
    }
}

fn texts(test: &TextTest) -> Option<BTreeSet<Needed<'_>>> {
    match test {
        TextTest::Equal(text) => Some(BTreeSet::from([Needed::Exact(text)])),
        TextTest::In(list) => Some(list.iter().map(|text| Needed::Exact(text)).collect()),
        TextTest::Like(glob) => match glob.0.split_once('*') {
            None => Some(BTreeSet::from([Needed::Exact(&glob.0)])),
            Some(("", _)) => None,
            Some((prefix, _)) => Some(BTreeSet::from([Needed::Prefix(prefix)])),
        },
        TextTest::NotEqual(_) | TextTest::NotIn(_) | TextTest::Absent => None,
    }
}

/// The facts to index, the most selective first: those of which the rules need the most different texts.
fn choose<'p>(needs: &[Needs<'p>]) -> Vec<&'p TextFact> {
    let mut texts: HashMap<&TextFact, BTreeSet<Needed<'_>>> = HashMap::new();
    for needs in needs {
        for (fact, needed) in needs {
            texts.entry(fact).or_default().extend(needed);
        }
    }
    let mut facts: Vec<(usize, String, &TextFact)> =
        texts.into_iter().map(|(fact, texts)| (texts.len(), fact.to_string(), fact)).collect();
    // By name where the numbers are equal, so that equal files give equal tables.
    facts.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    facts.into_iter().take(MOST_FACTS).map(|(_, _, fact)| fact).collect()
}

// === building

/// Lists that grow rule by rule.
#[derive(Default)]
struct Lists<'p> {
    exact: HashMap<&'p str, Vec<u32>>,
    prefixes: BTreeMap<&'p str, Vec<u32>>,
}

impl<'p> Lists<'p> {
    fn add(&mut self, texts: &BTreeSet<Needed<'p>>, number: u32) {
        for text in texts {
            match text {
                Needed::Exact(text) => self.exact.entry(text).or_default().push(number),
                Needed::Prefix(text) => self.prefixes.entry(text).or_default().push(number),
            }
        }
    }

    /// The index, or the rules in it where prefixes of prefixes would take too much memory.
    fn finish(self, fact: &TextFact) -> Result<FactIndex, Vec<u32>> {
        let numbers = || self.exact.values().chain(self.prefixes.values()).flatten().copied();
        let most = COPIES * (numbers().count() + FEW);
        let Some(prefixes) = nested(&self.prefixes, most) else {
            return Err(numbers().collect::<BTreeSet<u32>>().into_iter().collect());
        };
        Ok(FactIndex {
            fact: fact.clone(),
            first: numbers().min().unwrap_or(u32::MAX),
            exact: self.exact.into_iter().map(|(text, rules)| (text.into(), rules.into())).collect(),
            prefixes,
        })
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
        let mut all: Vec<u32> = rules.iter().chain(inherited).copied().collect();
        all.sort_unstable();
        all.dedup();
        written += all.len();
        if written > most {
            return None;
        }
        nested.push(Prefix { text: (*text).into(), shorter, rules: all.into() });
    }
    Some(nested.into())
}
