//! What a condition needs of each fact: without it, the condition does not hold, whatever else the request has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::ranges::Ranges;
use crate::rule::predicate::{Atom, Comparison, Predicate, TextTest, ValueFact, ValueTest};
use crate::rule::{FlagFact, NumberFact, TextFact};

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key<'p> {
    Text(&'p TextFact),
    /// The names of the tools that are offered.
    Tools,
    Value(&'p ValueFact),
    /// 1 where a stream is asked for.
    Stream,
}

/// A text that a fact must have, or begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Needed<'p> {
    Exact(&'p str),
    Prefix(&'p str),
}

/// What a fact must have one of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Need<'p> {
    /// A text may stand here twice. No set: that of one text takes ten times as much as the text.
    Texts(Vec<Needed<'p>>),
    Ranges(Ranges),
}

type Needs<'p> = HashMap<Key<'p>, Need<'p>>;

/// The needs of one of tens of thousands of rules, which has one or two: a map of its own would take five times as much.
pub(super) type Kept<'p> = Vec<(Key<'p>, Need<'p>)>;

/// What the condition needs to hold.
pub(super) fn kept(condition: &Predicate) -> Kept<'_> {
    let mut kept: Kept<'_> = needs(condition, true).into_iter().collect();
    for (_, need) in &mut kept {
        if let Need::Texts(texts) = need {
            texts.sort_unstable();
            texts.dedup();
            texts.shrink_to_fit();
        }
    }
    kept
}

/// What is needed of this fact.
pub(super) fn of_key<'k, 'p>(kept: &'k Kept<'p>, key: Key<'_>) -> Option<&'k Need<'p>> {
    kept.iter().find(|(known, _)| *known == key).map(|(_, need)| need)
}

impl Key<'_> {
    /// It lies in the conversation, for which the body must be read whole.
    pub(super) fn lies_inside(&self) -> bool {
        match self {
            Key::Tools => true,
            Key::Text(fact) => **fact == TextFact::LastTool,
            Key::Stream => false,
            Key::Value(fact) => match fact {
                ValueFact::Number(NumberFact::Hour | NumberFact::Weekday)
                | ValueFact::Bucket(_)
                | ValueFact::Protocol => false,
                ValueFact::Number(
                    NumberFact::Tools
                    | NumberFact::Images
                    | NumberFact::Files
                    | NumberFact::Audio
                    | NumberFact::Messages
                    | NumberFact::InputTokens
                    | NumberFact::MaxTokens,
                )
                | ValueFact::Reasoning
                | ValueFact::Output => true,
            },
        }
    }

    /// The fact that is read to answer an atom.
    pub(super) fn of(atom: &Atom) -> Key<'_> {
        match atom {
            Atom::Text { fact, .. } => Key::Text(fact),
            Atom::Value { fact, .. } => Key::Value(fact),
            Atom::Flag(FlagFact::Stream) => Key::Stream,
            Atom::Flag(FlagFact::Tool(_)) => Key::Tools,
        }
    }
}

impl<'p> Need<'p> {
    pub(super) fn texts(&self) -> Option<&[Needed<'p>]> {
        match self {
            Need::Texts(texts) => Some(texts),
            Need::Ranges(_) => None,
        }
    }

    pub(super) fn ranges(&self) -> Option<&Ranges> {
        match self {
            Need::Ranges(ranges) => Some(ranges),
            Need::Texts(_) => None,
        }
    }

    /// Both are needed.
    fn and(&mut self, other: Need<'p>) {
        match (self, other) {
            (Need::Ranges(ranges), Need::Ranges(other)) => *ranges = ranges.both(&other),
            // Of two needs of one fact either will do; the shorter list is the more selective.
            (Need::Texts(texts), Need::Texts(other)) if other.len() < texts.len() => *texts = other,
            // A fact has texts or numbers, never both.
            (Need::Texts(_), _) | (Need::Ranges(_), Need::Texts(_)) => {}
        }
    }

    /// One of both is needed.
    fn or(&mut self, other: Need<'p>) {
        match (self, other) {
            (Need::Ranges(ranges), Need::Ranges(other)) => *ranges = ranges.either(&other),
            (Need::Texts(texts), Need::Texts(other)) => texts.extend(other),
            (Need::Texts(_), Need::Ranges(_)) | (Need::Ranges(_), Need::Texts(_)) => {}
        }
    }
}

/// What is needed for the condition to hold, or not to hold.
fn needs(condition: &Predicate, holds: bool) -> Needs<'_> {
    match (condition, holds) {
        (Predicate::Always, _) => Needs::new(),
        (Predicate::Not(inner), holds) => needs(inner, !holds),
        (Predicate::All(parts), true) | (Predicate::Any(parts), false) => {
            let mut all = Needs::new();
            for (key, need) in parts.iter().flat_map(|part| needs(part, holds)) {
                match all.entry(key) {
                    Entry::Occupied(mut known) => known.get_mut().and(need),
                    Entry::Vacant(free) => drop(free.insert(need)),
                }
            }
            all
        }
        (Predicate::Any(parts), true) | (Predicate::All(parts), false) => {
            let mut parts = parts.iter().map(|part| needs(part, holds));
            let mut any = parts.next().unwrap_or_default();
            for mut part in parts {
                any.retain(|key, need| part.remove(key).map(|other| need.or(other)).is_some());
                if any.is_empty() {
                    break;
                }
            }
            any
        }
        (Predicate::Atom(atom), holds) => need(atom, holds).map(|need| (Key::of(atom), need)).into_iter().collect(),
    }
}

/// `None` where nearly every value will do.
fn need(atom: &Atom, holds: bool) -> Option<Need<'_>> {
    match atom {
        Atom::Text { test, .. } => texts(test, holds).map(Need::Texts),
        Atom::Value { test, .. } => ranges(test, holds).map(Need::Ranges),
        Atom::Flag(FlagFact::Stream) => Some(Need::Ranges(Ranges::of(vec![(holds.into(), holds.into())]))),
        Atom::Flag(FlagFact::Tool(name)) => holds.then(|| Need::Texts(vec![Needed::Exact(name)])),
    }
}

fn texts(test: &TextTest, holds: bool) -> Option<Vec<Needed<'_>>> {
    match (test, holds) {
        (TextTest::Equal(text), true) | (TextTest::NotEqual(text), false) => Some(vec![Needed::Exact(text)]),
        (TextTest::In(list), true) | (TextTest::NotIn(list), false) => {
            Some(list.iter().map(|text| Needed::Exact(text)).collect())
        }
        (TextTest::Like(glob), true) => match glob.0.split_once('*') {
            None => Some(vec![Needed::Exact(&glob.0)]),
            Some(("", _)) => None,
            Some((prefix, _)) => Some(vec![Needed::Prefix(prefix)]),
        },
        (TextTest::Equal(_) | TextTest::In(_) | TextTest::Like(_), false)
        | (TextTest::NotEqual(_) | TextTest::NotIn(_), true)
        | (TextTest::Absent, _) => None,
    }
}

fn ranges(test: &ValueTest, holds: bool) -> Option<Ranges> {
    match (test, holds) {
        (ValueTest::Compare(comparison, value), holds) => compared(*comparison, *value, holds),
        (ValueTest::In(list), true) | (ValueTest::NotIn(list), false) => {
            Some(Ranges::of(list.iter().map(|value| (*value, *value)).collect()))
        }
        (ValueTest::In(_), false) | (ValueTest::NotIn(_), true) => None,
    }
}

fn compared(comparison: Comparison, value: u64, holds: bool) -> Option<Ranges> {
    use Comparison::{AtLeast, AtMost, Equal, Greater, Less, NotEqual};
    let range = match (comparison, holds) {
        (Equal, true) | (NotEqual, false) => Some((value, value)),
        (Equal, false) | (NotEqual, true) => return None,
        (Less, true) | (AtLeast, false) => value.checked_sub(1).map(|most| (0, most)),
        (AtMost, true) | (Greater, false) => Some((0, value)),
        (Greater, true) | (AtMost, false) => value.checked_add(1).map(|least| (least, u64::MAX)),
        (AtLeast, true) | (Less, false) => Some((value, u64::MAX)),
    };
    // No range at all: no value will do.
    Some(Ranges::of(range.into_iter().collect()))
}
