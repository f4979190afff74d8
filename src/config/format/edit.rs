//! A text, its lines, and changes to it.

use std::ops::Range;

use crate::config::yaml::layout::{self, Value};

/// Replaces a part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) with: String,
}

/// A text that knows where its lines begin.
pub(super) struct Lines<'t> {
    pub(super) text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Lines<'t> {
        let first = text.len() - text.trim_start_matches('\u{feff}').len();
        let breaks = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        Lines { text, starts: std::iter::once(first).chain(breaks).collect() }
    }

    /// How many there are; the last one may be empty.
    pub(super) fn count(&self) -> usize {
        self.starts.len()
    }

    /// The number, from 0, of the line that `at` is in.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    pub(super) fn start(&self, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(self.text.len())
    }

    /// The line without its break.
    pub(super) fn content(&self, line: usize) -> &'t str {
        let end = self.starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        self.text.get(self.start(line)..end).unwrap_or("")
    }

    /// Bytes of white space before the text of the line.
    pub(super) fn indent(&self, line: usize) -> usize {
        let content = self.content(line);
        content.len() - content.trim_start().len()
    }

    pub(super) fn is_blank(&self, line: usize) -> bool {
        self.content(line).trim().is_empty()
    }

    /// Bytes before `at` in its line.
    pub(super) fn column(&self, at: usize) -> usize {
        at.saturating_sub(self.start(self.line_of(at)))
    }

    /// Nothing but white space stands before `at` in its line.
    pub(super) fn is_first(&self, at: usize) -> bool {
        self.column(at) == self.indent(self.line_of(at))
    }
}

/// A comment behind a value.
struct Behind {
    line: usize,
    /// The white space before it.
    gap: Range<usize>,
    /// In characters.
    column: usize,
}

fn behind(lines: &Lines<'_>, root: &Value) -> Vec<Behind> {
    let comments = layout::comments(lines.text, root).into_iter();
    let behind = comments.filter_map(|comment| {
        let line = lines.line_of(comment.start);
        let before = lines.text.get(lines.start(line)..comment.start)?;
        let content = before.trim_end();
        let gap = lines.start(line) + content.len()..comment.start;
        (!content.is_empty()).then(|| Behind { line, gap, column: before.chars().count() })
    });
    behind.collect()
}

/// `text` with the changes made, which do not overlap. Comments behind values that stand in a column stay there as far as
/// they can; others stay as near as they were.
pub(super) fn apply(text: &str, root: &Value, mut edits: Vec<Edit>) -> String {
    let lines = Lines::new(text);
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut gaps = Vec::new();
    let comments = behind(&lines, root);
    for (at, comment) in comments.iter().enumerate() {
        let neighbours = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| comments.get(at));
        let in_column = |other: &Behind| other.column == comment.column && other.line.abs_diff(comment.line) == 1;
        if comment.gap.len() <= 2 && !neighbours.into_iter().any(in_column) {
            continue;
        }
        let from = edits.partition_point(|edit| edit.range.start < lines.start(comment.line));
        let here = edits.iter().skip(from).take_while(|edit| edit.range.end <= comment.gap.start);
        let (added, removed) = here.fold((0, 0), |(added, removed), edit| {
            let old = text.get(edit.range.clone()).unwrap_or("");
            (added + edit.with.chars().count(), removed + old.chars().count())
        });
        let wanted = (comment.gap.len() + removed).saturating_sub(added).max(1);
        if wanted != comment.gap.len() {
            gaps.push(Edit { range: comment.gap.clone(), with: " ".repeat(wanted) });
        }
    }
    edits.extend(gaps);
    make(text, edits)
}

/// `text` with the changes made.
pub(super) fn make(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        out.push_str(text.get(at..edit.range.start).unwrap_or(""));
        out.push_str(&edit.with);
        at = edit.range.end;
    }
    out.push_str(text.get(at..).unwrap_or(""));
    out
}
