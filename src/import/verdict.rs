//! What became of every leaf of the input.

use std::collections::BTreeMap;

use super::toml::{Node, Step, Value, rendered};
use crate::diagnostic::Severity;
use crate::source::Span;

/// What became of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The same behaviour.
    Carried,
    /// It works, and something differs.
    Adapted,
    /// It has no counterpart.
    Dropped,
    /// The other gateway would not load it.
    Refused,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Carried => "carried",
            Outcome::Adapted => "adapted",
            Outcome::Dropped => "dropped",
            Outcome::Refused => "refused",
        }
    }
}

/// What became of a leaf, how much that matters, and why. An error breaks a request that worked, or lets something else answer it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub outcome: Outcome,
    pub severity: Severity,
    pub message: String,
}

/// One leaf (a scalar, or an empty list or table) and its verdict.
#[derive(Debug, Clone)]
pub struct Finding {
    /// As TOML would write it: `models."gpt-4.1".routing[0]`.
    pub path: String,
    pub span: Span,
    pub verdict: Verdict,
}

/// Verdicts while they are made. One on a list or table holds for all below it that have none of their own.
#[derive(Default)]
pub struct Ledger {
    by_node: BTreeMap<u32, Verdict>,
    /// What is left out as a whole, whatever was said of its parts.
    left_out: BTreeMap<u32, Verdict>,
}

impl Ledger {
    pub fn carried(&mut self, node: &Node, message: impl Into<String>) {
        self.settle(node, Outcome::Carried, Severity::Info, message);
    }

    pub fn adapted(&mut self, node: &Node, severity: Severity, message: impl Into<String>) {
        self.settle(node, Outcome::Adapted, severity, message);
    }

    pub fn dropped(&mut self, node: &Node, severity: Severity, message: impl Into<String>) {
        self.settle(node, Outcome::Dropped, severity, message);
    }

    /// It is left out with all that is in it, and requests break for want of it.
    pub fn left_out(&mut self, node: &Node, message: impl Into<String>) {
        let verdict = Verdict { outcome: Outcome::Dropped, severity: Severity::Error, message: message.into() };
        self.left_out.entry(node.id).or_insert(verdict);
    }

    /// Of two verdicts on one node the graver stays: something may be used in several places.
    pub fn settle(&mut self, node: &Node, outcome: Outcome, severity: Severity, message: impl Into<String>) {
        let verdict = Verdict { outcome, severity, message: message.into() };
        let known = self.by_node.get(&node.id);
        if known.is_none_or(|known| rank(&verdict) > rank(known)) {
            self.by_node.insert(node.id, verdict);
        }
    }

    /// The node itself has a verdict.
    pub fn knows(&self, node: &Node) -> bool {
        self.by_node.contains_key(&node.id)
    }

    /// Every leaf of `root` in the order of the files. `None` in place of a verdict where nobody gave one: a mistake of ours.
    pub fn leaves(&self, root: &Node) -> Vec<(String, Span, Option<Verdict>)> {
        let mut out = Vec::new();
        self.walk(root, &mut Vec::new(), (None, None), &mut out);
        out.sort_by_key(|(_, span, _)| *span);
        out
    }

    fn walk<'v>(
        &'v self,
        node: &Node,
        path: &mut Vec<Step>,
        (around, without): (Option<&'v Verdict>, Option<&'v Verdict>),
        out: &mut Vec<(String, Span, Option<Verdict>)>,
    ) {
        let own = self.by_node.get(&node.id).or(around);
        let without = self.left_out.get(&node.id).or(without);
        match &node.value {
            Value::Table(entries) if !entries.is_empty() => {
                for entry in entries {
                    path.push(Step::Key(entry.key.clone()));
                    self.walk(&entry.node, path, (own, without), out);
                    path.pop();
                }
            }
            Value::List(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    path.push(Step::Index(index));
                    self.walk(item, path, (own, without), out);
                    path.pop();
                }
            }
            // A file without a single key has no leaf.
            Value::Table(_) if path.is_empty() => {}
            _ => {
                let grave = own.filter(|own| own.severity == Severity::Error);
                out.push((rendered(path), node.span, grave.or(without).or(own).cloned()));
            }
        }
    }
}

fn rank(verdict: &Verdict) -> (Severity, u8) {
    let outcome = match verdict.outcome {
        Outcome::Carried => 0,
        Outcome::Adapted => 1,
        Outcome::Dropped => 2,
        Outcome::Refused => 3,
    };
    (verdict.severity, outcome)
}
