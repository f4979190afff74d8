//! Routes: compiled target expressions. Presets named in an expression are expanded in place, so that every leaf knows
//! its target and its settings.

use std::time::Duration;

use super::{RouteIdx, SettingsIdx, TargetIdx, TurnIdx};
use crate::rule::TextFact;
use crate::rule::predicate::Predicate;
use crate::rule::strategies::Choice;

/// A compiled expression with a name for people: `@cheap`, `rule 3`.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub name: Box<str>,
    pub node: RouteNode,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RouteNode {
    Leaf(Leaf),
    /// Try in order.
    Fallback(Box<[RouteNode]>),
    /// Draw one by weight. Where it fails, the next is drawn with the same number among the rest; arms of weight 0, which are
    /// never drawn, follow in order.
    Split {
        arms: Box<[(f64, RouteNode)]>,
        /// What keeps the draw the same from request to request; `None`, or absent in a request: each one draws.
        sticky: Option<TextFact>,
        /// Keeps the draws of different splits apart for one sticky value: the preset's or rule's name.
        salt: Box<str>,
    },
    /// Put in an order when a request comes; the others follow as fallbacks.
    Choose {
        by: ChooseBy,
        members: Box<[RouteNode]>,
    },
    /// The second starts where the first has no content by then, or has failed.
    Hedge {
        first: Box<RouteNode>,
        second: Box<RouteNode>,
        after: Duration,
    },
    /// Answers come from the first; of a part of the requests the second gets a copy.
    Shadow {
        main: Box<RouteNode>,
        mirror: Box<RouteNode>,
        /// In hundredths of a percent.
        sample: u32,
    },
    /// What the caller's `model` means by itself.
    AsRequested(SettingsIdx),
    Deny {
        status: u16,
        text: Option<Box<str>>,
    },
}

impl RouteNode {
    /// The routes that it is made of, in the order in which they are written.
    pub fn parts(&self) -> impl Iterator<Item = &RouteNode> {
        let members = match self {
            RouteNode::Fallback(members) | RouteNode::Choose { members, .. } => &**members,
            _ => &[],
        };
        let arms = match self {
            RouteNode::Split { arms, .. } => &**arms,
            _ => &[],
        };
        let pair = match self {
            RouteNode::Hedge { first, second, .. } => [Some(&**first), Some(&**second)],
            RouteNode::Shadow { main, mirror, .. } => [Some(&**main), Some(&**mirror)],
            _ => [None; 2],
        };
        members.iter().chain(arms.iter().map(|(_, arm)| arm)).chain(pair.into_iter().flatten())
    }
}

/// By what a strategy orders its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChooseBy {
    /// Whose turn it is.
    Turn(TurnIdx),
    Price,
    FirstToken,
    InFlight,
}

impl ChooseBy {
    /// As the file calls it.
    pub fn choice(self) -> Choice {
        match self {
            ChooseBy::Turn(_) => Choice::RoundRobin,
            ChooseBy::Price => Choice::Cheapest,
            ChooseBy::FirstToken => Choice::Fastest,
            ChooseBy::InFlight => Choice::LeastBusy,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaf {
    pub target: TargetIdx,
    pub settings: SettingsIdx,
}

/// `when CONDITION -> ROUTE`, or `otherwise -> ROUTE` (a predicate that always holds).
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub when: Predicate,
    pub then: RuleOutcome,
    /// In canonical form, for people.
    pub text: Box<str>,
    /// One-based line of the file.
    pub line: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleOutcome {
    Route(RouteIdx),
    /// `otherwise -> as requested`.
    AsRequested,
}
