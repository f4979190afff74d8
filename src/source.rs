//! Source texts and positions in them. Every later stage points back here, so that a diagnostic raised anywhere can show
//! the line the user wrote.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

/// Index of a source text in its [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// Half-open byte range `start..end` in one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub source: SourceId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(source: SourceId, start: usize, end: usize) -> Span {
        Span { source, start: clamped(start), end: clamped(end) }
    }

    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A value together with where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    pub fn new(value: T, span: Span) -> Spanned<T> {
        Spanned { value, span }
    }

    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), span: self.span }
    }

    pub fn as_ref(&self) -> Spanned<&T> {
        Spanned { value: &self.value, span: self.span }
    }
}

/// A text taken out of a source, and where each part of it stands there. A block scalar of YAML loses its indentation when
/// it is read; this finds the way back, so that a diagnostic inside `rules: |` points at the exact place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    pub text: String,
    /// All of it as it stands in the source, without quotes or block indicator.
    pub span: Span,
    /// In the order of the text. Empty where no way back exists (escapes): every span is then the whole one.
    runs: Runs,
}

/// Nearly every text has one; a block has one for each line.
pub(crate) type Runs = SmallVec<[Run; 1]>;

/// A stretch of bytes that stands in the source as it is. Numbers of four bytes, as in [`Span`]: a file may have a hundred
/// thousand texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Offset in the text.
    text: u32,
    /// Offset in the source.
    source: u32,
    len: u32,
}

impl Run {
    /// `len` bytes that stand at `text` in the text, and at `source` in the source.
    pub(crate) fn new(text: usize, source: usize, len: usize) -> Run {
        Run { text: clamped(text), source: clamped(source), len: clamped(len) }
    }
}

fn clamped(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl SourceText {
    /// A text that stands in `source` byte by byte, from `start` on.
    pub fn verbatim(text: impl Into<String>, source: SourceId, start: usize) -> SourceText {
        let text = text.into();
        let span = Span::new(source, start, start + text.len());
        let runs = smallvec![Run::new(0, start, text.len())];
        SourceText { text, span, runs }
    }

    pub(crate) fn with_runs(text: String, span: Span, runs: Runs) -> SourceText {
        SourceText { text, span, runs }
    }

    /// Where bytes `range` of the text stand in the source. What cannot be told apart (escapes) gives the whole span.
    pub fn span_of(&self, range: std::ops::Range<usize>) -> Span {
        let Some(first) = self.runs.first() else { return self.span };
        // By halves: a block of ten thousand rules has as many runs, and every rule asks.
        let last_before = |count: usize| count.checked_sub(1).and_then(|at| self.runs.get(at));
        let in_source = |run: &Run, at: u32| run.source.saturating_add(at.saturating_sub(run.text).min(run.len));
        let (begin, finish) = (clamped(range.start), clamped(range.end));
        let from = last_before(self.runs.partition_point(|run| run.text <= begin)).unwrap_or(first);
        let start = in_source(from, begin);
        let to = last_before(self.runs.partition_point(|run| run.text < finish)).unwrap_or(from);
        let end = if range.is_empty() { start } else { in_source(to, finish).max(start) };
        Span { source: self.span.source, start, end }
    }

    /// Offsets in the text where another line of the source begins: also where YAML has made a space of the line break.
    pub(crate) fn line_starts(&self) -> impl Iterator<Item = usize> {
        self.runs.iter().skip(1).map(|run| run.text as usize)
    }

    /// As one value with one place.
    pub fn spanned(&self) -> Spanned<String> {
        Spanned::new(self.text.clone(), self.span)
    }
}

/// One text: the user's file, a file it names, an embedded provider file, or a block scalar cut out of one of these.
#[derive(Debug, Clone)]
pub struct Source {
    /// What diagnostics print: a path, or `rules` for a block scalar.
    pub name: String,
    pub text: Arc<str>,
}

/// All texts of one compilation.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        let id = SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.sources.push(Source { name: name.into(), text: text.into() });
        id
    }

    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }

    /// The text of the source that is called `name`.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.sources.iter().find(|source| source.name == name).map(|source| &*source.text)
    }

    /// One-based line and column (in characters) of the start of `span`.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        self.position(span.source, span.start as usize)
    }

    /// One-based line and column (in characters) just after `span`.
    pub fn end_line_column(&self, span: Span) -> (usize, usize) {
        self.position(span.source, span.end as usize)
    }

    fn position(&self, source: SourceId, at: usize) -> (usize, usize) {
        let Some(source) = self.get(source) else { return (1, 1) };
        let before = source.text.get(..at).unwrap_or(&source.text);
        let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
        (line, column)
    }

    /// What diagnostics call the source of `span`; `?` for one that is not in this map.
    pub fn name(&self, id: SourceId) -> &str {
        self.get(id).map_or("?", |source| &source.name)
    }

    /// The text under `span`, empty where the span lies outside the source.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.source).and_then(|s| s.text.get(span.range())).unwrap_or("")
    }
}
