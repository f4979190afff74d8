//! The one decision function: a pure function of (table, facts, health, draw). The request path, `explain`, `check`'s
//! tests, and everything that re-decides call it.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{Leaf, Settings, Target, TargetIdx};
use crate::provider::Provider;

/// The randomness of one decision: a number in `0.0..1.0`, drawn by the caller of [`RoutingTable::select`].
///
/// [`RoutingTable::select`]: super::RoutingTable::select
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw(pub f64);

/// What a decision may know of the targets' health.
pub trait HealthView {
    /// The target is not to be tried now (a test's `given: down`, later the circuit breaker).
    fn is_down(&self, target: TargetIdx, model: &str) -> bool;
}

/// Everything is up.
#[derive(Debug, Clone, Copy)]
pub struct AllUp;

impl HealthView for AllUp {
    fn is_down(&self, _: TargetIdx, _: &str) -> bool {
        false
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<'t> {
    /// One-based number of the rule that fired.
    pub rule: Option<u32>,
    /// The route's name: `@cheap`, `rule 3`, `openai/gpt-5`.
    pub route: Cow<'t, str>,
    pub outcome: Outcome<'t>,
}

#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "the large variant is the common one, and lives on the stack on purpose")]
pub enum Outcome<'t> {
    /// Try these, in order.
    Attempts {
        attempts: SmallVec<[Attempt<'t>; 4]>,
        /// Left out because they are down.
        skipped: SmallVec<[Attempt<'t>; 2]>,
    },
    /// A rule or preset refuses the request.
    Deny { status: u16, text: Option<&'t str> },
    /// The name means nothing here.
    NotFound(NotFound<'t>),
}

/// One target to try.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt<'t> {
    pub leaf: Leaf,
    pub target: &'t Target,
    pub provider: &'t Provider,
    pub settings: &'t Settings,
    /// The model id as the upstream knows it.
    pub model: &'t str,
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, PartialEq)]
pub enum NotFound<'t> {
    /// Nothing has this name; the nearest that has one.
    Unknown { suggestion: Option<&'t str> },
    /// A bare model that several active providers serve.
    Ambiguous { providers: SmallVec<[&'t str; 4]> },
    /// A provider that exists but has no key: the variables that would activate it.
    Inactive { provider: &'t str, variables: Cow<'t, str> },
}
