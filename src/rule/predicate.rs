//! Compiled conditions: printable, comparable data. Evaluation allocates nothing and never fails.

use super::Facts;

/// A condition over facts.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    Always,
}

impl Predicate {
    pub fn holds(&self, _facts: &dyn Facts) -> bool {
        match self {
            Predicate::Always => true,
        }
    }
}
