//! Compiled conditions: printable, comparable data. Evaluation allocates nothing and never fails.

use std::fmt;

use super::facts::{self, Words};
use super::{Facts, FlagFact, NumberFact, TextFact};
use crate::glob::Glob;

/// A condition over facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// `otherwise`.
    Always,
    All(Box<[Predicate]>),
    Any(Box<[Predicate]>),
    Not(Box<Predicate>),
    Atom(Atom),
}

/// One test of one fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Atom {
    Text { fact: TextFact, test: TextTest },
    Value { fact: ValueFact, test: ValueTest },
    Flag(FlagFact),
}

/// A test of a text that may be absent. An absent text equals nothing: `==`, `in` and `~` are false, `!=` and `not in` true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    Equal(Box<str>),
    NotEqual(Box<str>),
    In(Box<[Box<str>]>),
    NotIn(Box<[Box<str>]>),
    Like(Glob),
    Absent,
}

/// Facts whose values are finitely many or ordered: all of them are read as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ValueFact {
    Number(NumberFact),
    /// 0 to 99 under this salt.
    Bucket(Box<str>),
    /// Position in [`facts::REASONING`].
    Reasoning,
    /// Position in [`facts::OUTPUT`].
    Output,
    /// Position in [`facts::PROTOCOL`].
    Protocol,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueTest {
    Compare(Comparison, u64),
    In(Box<[u64]>),
    NotIn(Box<[u64]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Predicate {
    pub fn holds(&self, facts: &dyn Facts) -> bool {
        match self {
            Predicate::Always => true,
            Predicate::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Predicate::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Predicate::Not(inner) => !inner.holds(facts),
            Predicate::Atom(atom) => atom.holds(facts),
        }
    }

    /// As [`holds`](Predicate::holds), and adds to `asked` how many tests that took.
    pub(crate) fn holds_counting(&self, facts: &dyn Facts, asked: &mut u64) -> bool {
        match self {
            Predicate::Always => true,
            Predicate::All(parts) => parts.iter().all(|part| part.holds_counting(facts, asked)),
            Predicate::Any(parts) => parts.iter().any(|part| part.holds_counting(facts, asked)),
            Predicate::Not(inner) => !inner.holds_counting(facts, asked),
            Predicate::Atom(atom) => {
                *asked += 1;
                atom.holds(facts)
            }
        }
    }

    /// The first part that decides that the whole does not hold: what `explain` shows. `None` where it holds.
    pub fn failing(&self, facts: &dyn Facts) -> Option<&Predicate> {
        match self {
            Predicate::Always => None,
            Predicate::All(parts) => parts.iter().find_map(|part| part.failing(facts)),
            Predicate::Any(_) | Predicate::Not(_) | Predicate::Atom(_) => (!self.holds(facts)).then_some(self),
        }
    }
}

impl Atom {
    pub fn holds(&self, facts: &dyn Facts) -> bool {
        match self {
            Atom::Text { fact: TextFact::Model, test } => test.holds(Some(facts.model())),
            Atom::Text { fact, test } => test.holds(facts.text(fact).as_deref()),
            Atom::Value { fact, test } => test.holds(fact.value(facts)),
            Atom::Flag(fact) => facts.flag(fact),
        }
    }

    /// What the request has for this atom's fact, for people.
    pub fn actual(&self, facts: &dyn Facts) -> String {
        match self {
            Atom::Text { fact: TextFact::Model, .. } => Quoted(facts.model()).to_string(),
            Atom::Text { fact, .. } => {
                facts.text(fact).map_or_else(|| "absent".to_owned(), |text| Quoted(&text).to_string())
            }
            Atom::Value { fact, .. } => fact.spell(fact.value(facts)).to_string(),
            Atom::Flag(fact) => if facts.flag(fact) { "yes" } else { "no" }.to_owned(),
        }
    }
}

impl TextTest {
    pub(super) fn holds(&self, text: Option<&str>) -> bool {
        match self {
            TextTest::Equal(wanted) => text == Some(wanted),
            TextTest::NotEqual(wanted) => text != Some(wanted),
            TextTest::In(list) => text.is_some_and(|text| list.iter().any(|entry| **entry == *text)),
            TextTest::NotIn(list) => !text.is_some_and(|text| list.iter().any(|entry| **entry == *text)),
            TextTest::Like(glob) => text.is_some_and(|text| glob.matches(text)),
            TextTest::Absent => text.is_none(),
        }
    }
}

impl ValueTest {
    fn holds(&self, value: u64) -> bool {
        match self {
            ValueTest::Compare(comparison, wanted) => comparison.holds(value, *wanted),
            ValueTest::In(list) => list.contains(&value),
            ValueTest::NotIn(list) => !list.contains(&value),
        }
    }
}

impl Comparison {
    pub fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Less => left < right,
            Comparison::AtMost => left <= right,
            Comparison::Greater => left > right,
            Comparison::AtLeast => left >= right,
        }
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

impl ValueFact {
    /// What the request has.
    pub(crate) fn value(&self, facts: &dyn Facts) -> u64 {
        match self {
            ValueFact::Number(fact) => facts.number(*fact),
            ValueFact::Bucket(salt) => u64::from(facts.bucket(salt)),
            ValueFact::Reasoning => facts.reasoning() as u64,
            ValueFact::Output => facts.output() as u64,
            ValueFact::Protocol => facts::protocol_position(facts.protocol(), facts.embeddings()),
        }
    }

    /// The words that stand for this fact's values, where it has words.
    pub fn words(&self) -> Option<Words> {
        match self {
            ValueFact::Number(NumberFact::Weekday) => Some(facts::WEEKDAY),
            ValueFact::Number(_) | ValueFact::Bucket(_) => None,
            ValueFact::Reasoning => Some(facts::REASONING),
            ValueFact::Output => Some(facts::OUTPUT),
            ValueFact::Protocol => Some(facts::PROTOCOL),
        }
    }

    /// A value as it is written in a rule.
    fn spell(&self, value: u64) -> Spelled {
        let word = self.words().and_then(|words| usize::try_from(value).ok().and_then(|at| words.list.get(at)));
        word.map_or(Spelled::Count(value), |word| Spelled::Word(word))
    }
}

// === printing: what is printed parses to the same predicate

/// A text in double quotes.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

enum Spelled {
    Word(&'static str),
    Count(u64),
}

impl fmt::Display for Spelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spelled::Word(word) => f.write_str(word),
            Spelled::Count(count) if *count >= 1_000_000 && count % 1_000_000 == 0 => {
                write!(f, "{}M", count / 1_000_000)
            }
            Spelled::Count(count) if *count >= 10_000 && count % 1_000 == 0 => write!(f, "{}k", count / 1_000),
            Spelled::Count(count) => write!(f, "{count}"),
        }
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Predicate::Always => f.write_str("otherwise"),
            Predicate::All(parts) => {
                joined(f, parts, " and ", |part| matches!(part, Predicate::All(_) | Predicate::Any(_)))
            }
            Predicate::Any(parts) => joined(f, parts, " or ", |part| matches!(part, Predicate::Any(_))),
            Predicate::Not(inner) => match **inner {
                Predicate::All(_) | Predicate::Any(_) => write!(f, "not ({inner})"),
                Predicate::Always | Predicate::Not(_) | Predicate::Atom(_) => write!(f, "not {inner}"),
            },
            Predicate::Atom(atom) => write!(f, "{atom}"),
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Predicate],
    word: &str,
    needs_parentheses: fn(&Predicate) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        if needs_parentheses(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Flag(fact) => write!(f, "{fact}"),
            Atom::Text { fact, test } => match test {
                TextTest::Equal(text) => write!(f, "{fact} == {}", Quoted(text)),
                TextTest::NotEqual(text) => write!(f, "{fact} != {}", Quoted(text)),
                TextTest::In(list) => write!(f, "{fact} in [{}]", quoted_list(list)),
                TextTest::NotIn(list) => write!(f, "{fact} not in [{}]", quoted_list(list)),
                TextTest::Like(glob) => write!(f, "{fact} ~ {}", Quoted(&glob.0)),
                TextTest::Absent => write!(f, "{fact} is absent"),
            },
            Atom::Value { fact, test } => match test {
                ValueTest::Compare(comparison, value) => {
                    write!(f, "{fact} {} {}", comparison.symbol(), fact.spell(*value))
                }
                ValueTest::In(list) => write!(f, "{fact} in [{}]", value_list(fact, list)),
                ValueTest::NotIn(list) => write!(f, "{fact} not in [{}]", value_list(fact, list)),
            },
        }
    }
}

fn quoted_list(list: &[Box<str>]) -> String {
    list.iter().map(|text| Quoted(text).to_string()).collect::<Vec<_>>().join(", ")
}

fn value_list(fact: &ValueFact, list: &[u64]) -> String {
    list.iter().map(|value| fact.spell(*value).to_string()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for TextFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextFact::Model => f.write_str("model"),
            TextFact::User => f.write_str("user"),
            TextFact::Session => f.write_str("session"),
            TextFact::Episode => f.write_str("episode"),
            TextFact::LastTool => f.write_str("last_tool"),
            TextFact::Key => f.write_str("key"),
            TextFact::KeyAttribute(name) => write!(f, "key.{name}"),
            TextFact::Header(name) => write!(f, "header({})", Quoted(name)),
            TextFact::Tag(name) => write!(f, "tag({})", Quoted(name)),
        }
    }
}

impl fmt::Display for FlagFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlagFact::Stream => f.write_str("stream"),
            FlagFact::Tool(name) => write!(f, "tool({})", Quoted(name)),
        }
    }
}

impl fmt::Display for ValueFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueFact::Number(fact) => f.write_str(facts::number_name(*fact)),
            ValueFact::Bucket(salt) => write!(f, "bucket({})", Quoted(salt)),
            ValueFact::Reasoning => f.write_str("reasoning"),
            ValueFact::Output => f.write_str("output"),
            ValueFact::Protocol => f.write_str("protocol"),
        }
    }
}
