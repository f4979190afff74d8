//! Routes: compiled target expressions. Presets named in an expression are expanded in place, so that every leaf knows
//! its target and its settings.

use super::{RouteIdx, SettingsIdx, TargetIdx};
use crate::rule::TextFact;
use crate::rule::predicate::Predicate;

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
    /// What the caller's `model` means by itself.
    AsRequested(SettingsIdx),
    Deny {
        status: u16,
        text: Option<Box<str>>,
    },
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
