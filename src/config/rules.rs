//! The `rules:` of the file: each parsed and type-checked by itself.
//!
//! What was parsed of a condition takes some forty times as much memory as its text, so that it is not kept: whoever wants
//! the places of its parts has the rule read again.

use std::ops::Range;

use super::document::RulesEntry;
use crate::diagnostic::Diagnostics;
use crate::rule::ast::{Condition, Expression, Rule};
use crate::rule::predicate::Predicate;
use crate::rule::{compile, lines, parse};
use crate::source::{SourceMap, Span};

/// A rule without its condition, and with an outcome that still has names.
pub(super) struct ReadRule {
    pub(super) then: Expression,
    pub(super) when_span: Span,
    /// One-based.
    pub(super) line: u32,
    /// Where it stands in the text of `rules:`.
    range: Range<usize>,
}

/// Reads every rule; the conditions come apart, compiled, one for each rule.
pub(super) fn read(
    entry: Option<&RulesEntry>,
    sources: &SourceMap,
    diagnostics: &mut Diagnostics,
) -> (Vec<ReadRule>, Vec<Predicate>) {
    let Some(entry) = entry else { return Default::default() };
    let lines = Lines::new(entry, sources);
    let ranges = lines::cut(&entry.text.text);
    let (mut rules, mut conditions) = (Vec::with_capacity(ranges.len()), Vec::with_capacity(ranges.len()));
    for range in ranges {
        let Some(rule) = parsed(entry, range.clone(), diagnostics) else { continue };
        let when = match &rule.when {
            Some(condition) => compile::predicate(condition, diagnostics),
            None => Some(Predicate::Always),
        };
        let Some(when) = when else { continue };
        conditions.push(when);
        rules.push(ReadRule { then: rule.then, when_span: rule.when_span, line: lines.line(rule.span), range });
    }
    (rules, conditions)
}

/// The condition of a rule that was read before, as it is written; `None` for `otherwise`.
pub(super) fn condition(entry: &RulesEntry, rule: &ReadRule) -> Option<Condition> {
    parsed(entry, rule.range.clone(), &mut Diagnostics::default())?.when
}

fn parsed(entry: &RulesEntry, range: Range<usize>, diagnostics: &mut Diagnostics) -> Option<Rule> {
    let start = range.start;
    let place = |inner: Range<usize>| entry.text.span_of(start + inner.start..start + inner.end);
    parse::rule(entry.text.text.get(range)?, &place, diagnostics)
}

/// The beginnings of the lines of one source, found once.
struct Lines {
    starts: Vec<u32>,
}

impl Lines {
    fn new(entry: &RulesEntry, sources: &SourceMap) -> Lines {
        let text = sources.get(entry.text.span.source).map_or("", |source| &source.text);
        let breaks = memchr::memchr_iter(b'\n', text.as_bytes());
        Lines { starts: breaks.filter_map(|at| u32::try_from(at + 1).ok()).collect() }
    }

    fn line(&self, span: Span) -> u32 {
        let before = self.starts.partition_point(|start| *start <= span.start);
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }
}
