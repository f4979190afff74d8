//! The `rules:` of the file: each parsed and type-checked by itself.

use std::collections::HashMap;

use super::document::RulesEntry;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::rule::ast::Expression;
use crate::rule::predicate::Predicate;
use crate::rule::{compile, lines, parse};
use crate::source::{SourceMap, Span};

/// A rule whose condition is compiled and whose outcome still has names.
pub(super) struct ReadRule {
    pub(super) when: Predicate,
    pub(super) then: Expression,
    pub(super) when_span: Span,
    /// One-based.
    pub(super) line: u32,
}

/// Reads every rule, and warns of those that a rule above takes everything from.
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
        Some(ReadRule { when, then: rule.then, when_span: rule.when_span, line: lines.line(rule.span) })
    });
    let rules: Vec<ReadRule> = rules.collect();
    warn_of_unreachable(&rules, diagnostics);
    rules
}

/// A rule after `otherwise`, and one whose condition stands above it already.
fn warn_of_unreachable(rules: &[ReadRule], diagnostics: &mut Diagnostics) {
    let mut otherwise: Option<Span> = None;
    let mut seen: HashMap<String, Span> = HashMap::new();
    for rule in rules {
        let covered = otherwise.or_else(|| seen.get(&rule.when.to_string()).copied());
        if let Some(first) = covered {
            diagnostics.push(
                Diagnostic::new(Code::UnreachableRule, "this rule can never fire")
                    .label(rule.when_span, "never reached")
                    .label(first, "takes every request that would come here")
                    .help("move it up, or remove it"),
            );
            continue;
        }
        if rule.when == Predicate::Always {
            otherwise = Some(rule.when_span);
        }
        seen.insert(rule.when.to_string(), rule.when_span);
    }
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
