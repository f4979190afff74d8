//! Rate limits: whom they are for, how much of what in which time, and which of them hold for an attempt.

use std::fmt;

use crate::provider::cost::decimal;
use crate::rule::predicate::Quoted;
use crate::rule::{Facts, TextFact};

/// One limit of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    pub name: Box<str>,
    /// All must match; empty: everybody.
    pub scope: Box<[(Subject, Wanted)]>,
    /// `None`: it always holds.
    pub priority: Option<u64>,
    /// What an attempt counts for cost where the target's model has no price, in billionths of a USD.
    pub unpriced: u64,
    pub rates: Box<[Rate]>,
}

/// What is counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Fact(TextFact),
    /// The name of the attempt's provider.
    Provider,
    /// `provider/model` of the attempt.
    Target,
}

/// Which values of a subject a limit is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Every one, each by itself.
    Each,
    /// Every one, all together.
    Total,
    /// These, together.
    OneOf(Box<[Box<str>]>),
}

/// How much in which time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    pub resource: Resource,
    /// The most that can be used at once, in units of the resource.
    pub capacity: u64,
    /// What every window adds.
    pub refill: u64,
    pub window: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// Tries at targets.
    Attempts,
    /// Of requests and answers together.
    Tokens,
    /// In billionths of a USD.
    Cost,
}

impl Resource {
    pub const ALL: [Resource; 3] = [Resource::Attempts, Resource::Tokens, Resource::Cost];

    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            Resource::Attempts => "attempts",
            Resource::Tokens => "tokens",
            Resource::Cost => "cost",
        }
    }

    /// An amount in words: `100 attempts`, `0.5 USD`.
    pub fn amount(self, units: u64) -> String {
        match self {
            Resource::Attempts if units == 1 => "1 attempt".to_owned(),
            Resource::Attempts => format!("{units} attempts"),
            Resource::Tokens => format!("{units} tokens"),
            #[expect(clippy::cast_precision_loss, reason = "for people, and exact up to nine million USD")]
            Resource::Cost => format!("{} USD", decimal(units as f64 / NANO)),
        }
    }
}

/// Units of cost in one USD.
pub const NANO: f64 = 1e9;

/// `cost` in billionths of a USD, rounded up.
pub fn nano(cost: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, as it should")]
    let units = (cost.max(0.0) * NANO).ceil() as u64;
    units
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    /// 30 days.
    Month,
}

impl Window {
    pub const ALL: [Window; 6] =
        [Window::Second, Window::Minute, Window::Hour, Window::Day, Window::Week, Window::Month];

    /// As it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            Window::Second => "second",
            Window::Minute => "minute",
            Window::Hour => "hour",
            Window::Day => "day",
            Window::Week => "week",
            Window::Month => "month",
        }
    }

    pub fn millis(self) -> u64 {
        const DAY: u64 = 24 * 60 * 60 * 1_000;
        match self {
            Window::Second => 1_000,
            Window::Minute => 60 * 1_000,
            Window::Hour => 60 * 60 * 1_000,
            Window::Day => DAY,
            Window::Week => 7 * DAY,
            Window::Month => 30 * DAY,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Fact(fact) => fact.fmt(f),
            Subject::Provider => f.write_str("provider"),
            Subject::Target => f.write_str("target"),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Each => f.write_str("each"),
            Wanted::Total => f.write_str("total"),
            Wanted::OneOf(values) => {
                let quoted: Vec<String> = values.iter().map(|value| Quoted(value).to_string()).collect();
                f.write_str(&quoted.join(" or "))
            }
        }
    }
}

/// `100 attempts a minute`, and what may be used at once where that is another amount.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let article = if self.window == Window::Hour { "an" } else { "a" };
        write!(f, "{} {article} {}", self.resource.amount(self.refill), self.window.word())?;
        if self.capacity != self.refill {
            write!(f, ", {} at once", self.resource.amount(self.capacity))?;
        }
        Ok(())
    }
}

impl RateLimit {
    /// Whom it is for, in words: `everybody`, or `key each, tag("tier") "free"`.
    pub fn scope_words(&self) -> String {
        let words: Vec<String> = self.scope.iter().map(|(subject, wanted)| format!("{subject} {wanted}")).collect();
        if words.is_empty() { "everybody".to_owned() } else { words.join(", ") }
    }

    /// The bucket that an attempt at `model` of `provider` is counted in; `None` where the limit is not for it.
    fn bucket(&self, facts: &dyn Facts, provider: &str, model: &str) -> Option<u128> {
        let mut hasher = blake3::Hasher::new();
        for (subject, wanted) in &self.scope {
            let value = match subject {
                Subject::Fact(fact) => facts.text(fact)?,
                Subject::Provider => provider.into(),
                Subject::Target => format!("{provider}/{model}").into(),
            };
            match wanted {
                Wanted::Each => {
                    hasher.update(&(value.len() as u64).to_le_bytes());
                    hasher.update(value.as_bytes());
                }
                Wanted::Total => {}
                Wanted::OneOf(values) => {
                    values.iter().find(|known| ***known == *value)?;
                }
            }
        }
        let digest = hasher.finalize();
        let (first, _) = digest.as_bytes().split_first_chunk::<16>()?;
        Some(u128::from_le_bytes(*first))
    }
}

/// A limit that holds for an attempt, by its position, and the bucket that it is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    pub limit: usize,
    pub bucket: u128,
}

/// The limits that hold for an attempt at `model` of `provider`: those without a priority, and of the others the ones with the
/// highest that is among them.
pub fn holding(limits: &[RateLimit], facts: &dyn Facts, provider: &str, model: &str) -> Vec<Holding> {
    let matching = limits.iter().enumerate().filter_map(|(at, limit)| {
        let bucket = limit.bucket(facts, provider, model)?;
        Some((limit.priority, Holding { limit: at, bucket }))
    });
    let matching: Vec<(Option<u64>, Holding)> = matching.collect();
    let highest = matching.iter().filter_map(|(priority, _)| *priority).max();
    let holds = |priority: &Option<u64>| priority.is_none() || *priority == highest;
    matching.into_iter().filter(|(priority, _)| holds(priority)).map(|(_, holding)| holding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::request::RequestShape;

    fn limit(name: &str, priority: Option<u64>, scope: Vec<(Subject, Wanted)>) -> RateLimit {
        RateLimit { name: name.into(), scope: scope.into(), priority, unpriced: 0, rates: Box::new([]) }
    }

    fn tag(name: &str) -> Subject {
        Subject::Fact(TextFact::Tag(name.into()))
    }

    fn names(limits: &[RateLimit], shape: &RequestShape) -> Vec<String> {
        holding(limits, shape, "up", "m").iter().map(|held| limits[held.limit].name.to_string()).collect()
    }

    #[test]
    fn only_the_highest_priority_holds_beside_those_without_one() {
        let free = Wanted::OneOf(Box::new(["free".into(), "trial".into()]));
        let limits = [
            limit("all", None, vec![]),
            limit("low", Some(1), vec![(tag("customer"), Wanted::Each)]),
            limit("high", Some(2), vec![(tag("customer"), Wanted::Each), (tag("tier"), free)]),
            limit("other", Some(3), vec![(Subject::Provider, Wanted::OneOf(Box::new(["elsewhere".into()])))]),
        ];
        let mut shape = RequestShape::new("x");
        assert_eq!(names(&limits, &shape), ["all"]);
        shape.tags.insert("customer".into(), "a".into());
        assert_eq!(names(&limits, &shape), ["all", "low"]);
        shape.tags.insert("tier".into(), "trial".into());
        assert_eq!(names(&limits, &shape), ["all", "high"]);
        shape.tags.insert("tier".into(), "paid".into());
        assert_eq!(names(&limits, &shape), ["all", "low"]);
    }

    #[test]
    fn each_value_has_a_bucket_and_all_of_a_total_share_one() {
        let bucket = |wanted: Wanted, value: &str| {
            let mut shape = RequestShape::new("x");
            shape.tags.insert("t".into(), value.into());
            limit("l", None, vec![(tag("t"), wanted)]).bucket(&shape, "up", "m").unwrap()
        };
        assert_ne!(bucket(Wanted::Each, "a"), bucket(Wanted::Each, "b"));
        assert_eq!(bucket(Wanted::Each, "a"), bucket(Wanted::Each, "a"));
        assert_eq!(bucket(Wanted::Total, "a"), bucket(Wanted::Total, "b"));
        // Values of several subjects do not run together.
        let two = |one: &str, other: &str| {
            let mut shape = RequestShape::new("x");
            shape.tags.insert("a".into(), one.into());
            shape.tags.insert("b".into(), other.into());
            let scope = vec![(tag("a"), Wanted::Each), (tag("b"), Wanted::Each)];
            limit("l", None, scope).bucket(&shape, "up", "m").unwrap()
        };
        assert_ne!(two("ab", "c"), two("a", "bc"));
        let target = limit("l", None, vec![(Subject::Target, Wanted::Each)]);
        let shape = RequestShape::new("x");
        assert_ne!(target.bucket(&shape, "up", "m"), target.bucket(&shape, "up", "n"));
    }

    #[test]
    fn rates_are_said_in_words() {
        let rate = |resource, refill, capacity, window| Rate { resource, refill, capacity, window }.to_string();
        assert_eq!(rate(Resource::Attempts, 100, 100, Window::Minute), "100 attempts a minute");
        assert_eq!(rate(Resource::Cost, 500_000_000, 2_000_000_000, Window::Hour), "0.5 USD an hour, 2 USD at once");
    }
}
