//! The `rules:` of the file: each parsed and type-checked by itself.

use super::document::RulesEntry;
use crate::diagnostic::Diagnostics;
use crate::rule::ast::{Condition, Expression};
use crate::rule::predicate::Predicate;
use crate::rule::{compile, lines, parse};
use crate::source::{SourceMap, Span};

/// A rule whose condition is compiled and whose outcome still has names.
pub(super) struct ReadRule {
    pub(super) when: Predicate,
    /// As written; `None` for `otherwise`.
    pub(super) condition: Option<Condition>,
    pub(super) then: Expression,
    pub(super) when_span: Span,
    /// One-based.
    pub(super) line: u32,
}

/// Reads every rule.
pub(super) fn read(entry: Option<&RulesEntry>, sources: &SourceMap, diagnostics: &mut Diagnostics) -> Vec<ReadRule> {
    let Some(entry) = entry else { return Vec::new() };
    let lines = Lines::new(entry, sources);
    let text = entry.text.text.as_str();
    let rules = lines::cut(text).into_iter().filter_map(|range| {
        let start = range.start;
        let place = |inner: std::ops::Range<usize>| entry.text.span_of(start + inner.start..start + inner.end);
        let rule = parse::rule(text.get(range)?, &place, diagnostics)?;
        let when = match &rule.when {
            Some(condition) => compile::predicate(condition, diagnostics)?,
            None => Predicate::Always,
        };
        let line = lines.line(rule.span);
        Some(ReadRule { when, condition: rule.when, then: rule.then, when_span: rule.when_span, line })
    });
    rules.collect()
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
