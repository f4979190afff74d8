//! Diagnostics for people, through miette. The only file that names it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, NamedSource, SourceCode,
    SourceSpan, SpanContents,
};

use super::mask::{masked, visible};
use super::{Diagnostic, Diagnostics, Label, Severity};
use crate::source::{SourceId, SourceMap};

/// How findings are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For a terminal.
    Human { color: bool },
    /// ASCII, for logs.
    Plain,
}

/// Where messages and helps are broken; the indentation comes on top.
const WIDTH: usize = 92;
/// The longest line that is shown whole. Of a longer one (a file on one line) the part around the place is cut out.
const LONGEST_LINE: usize = 300;
/// What is shown before and after a place in a line that is too long.
const WINDOW: usize = 60;

/// Every finding with the lines it is about. Keys that stand in these lines are masked.
pub fn render(diagnostics: &Diagnostics, sources: &SourceMap, style: Style) -> String {
    let handler = handler(style);
    let texts: BTreeMap<SourceId, Arc<str>> =
        masked(diagnostics, sources).into_iter().map(|(id, text)| (id, text.into())).collect();
    let mut out = String::new();
    for diagnostic in diagnostics.iter() {
        for report in reports(diagnostic, sources, &texts) {
            // Writing to a string cannot fail.
            let _ = handler.render_report(&mut out, &report);
        }
        out.push('\n');
    }
    if diagnostics.dropped() > 0 {
        out.push_str(&format!("and {} findings more\n", diagnostics.dropped()));
    }
    out
}

fn handler(style: Style) -> GraphicalReportHandler {
    let theme = match style {
        Style::Human { color: true } => GraphicalTheme::unicode(),
        Style::Human { color: false } => GraphicalTheme::unicode_nocolor(),
        Style::Plain => GraphicalTheme::none(),
    };
    GraphicalReportHandler::new_themed(theme)
        .with_wrap_lines(false)
        .with_context_lines(1)
        .with_links(false)
        .without_cause_chain()
        .without_syntax_highlighting()
}

/// `text` in lines of at most [`WIDTH`] characters, broken at spaces, but not inside backticks: what is to be typed stays
/// in one piece. Lines that it has already are kept.
fn wrapped(text: &str) -> String {
    visible(text).split('\n').map(wrapped_line).collect::<Vec<_>>().join("\n")
}

fn wrapped_line(line: &str) -> String {
    let text = line.trim_start_matches(' ');
    let mut out = " ".repeat(line.len() - text.len());
    let mut column = 0;
    for piece in pieces(text) {
        let width = piece.chars().count();
        if column > 0 {
            let fits = column + 1 + width <= WIDTH;
            out.push(if fits { ' ' } else { '\n' });
            column = if fits { column + 1 } else { 0 };
        }
        out.push_str(&piece);
        column += width;
    }
    out
}

/// The words of `text`; several of them are one piece where backticks hold them together.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut open = false;
    for word in text.split(' ') {
        match pieces.last_mut() {
            Some(last) if open => {
                last.push(' ');
                last.push_str(word);
            }
            Some(_) | None => pieces.push(word.to_owned()),
        }
        open ^= word.matches('`').count() % 2 == 1;
    }
    pieces
}

/// One report with the labels in the first label's source, and one for each other source.
fn reports(diagnostic: &Diagnostic, sources: &SourceMap, texts: &BTreeMap<SourceId, Arc<str>>) -> Vec<Report> {
    let mut groups: Vec<(SourceId, Vec<&Label>)> = Vec::new();
    for label in &diagnostic.labels {
        match groups.iter_mut().find(|(id, _)| *id == label.span.source) {
            Some((_, labels)) => labels.push(label),
            None => groups.push((label.span.source, vec![label])),
        }
    }
    let head = Report {
        code: Some(diagnostic.code.to_string()),
        severity: diagnostic.severity,
        message: wrapped(&diagnostic.message),
        help: advice(diagnostic),
        labels: Vec::new(),
        source: None,
    };
    let mut reports = vec![head];
    for (id, labels) in groups {
        let name = sources.name(id);
        let Some(text) = texts.get(&id) else { continue };
        let snippets = snippets(name, text, &labels);
        for (source, labels) in snippets {
            match reports.last_mut() {
                Some(first) if first.source.is_none() => {
                    first.source = Some(source);
                    first.labels = labels;
                }
                Some(_) | None => reports.push(Report::aside(source, labels)),
            }
        }
    }
    reports
}

/// The help, and the request that shows what it is about: in one piece, so that it can be copied.
fn advice(diagnostic: &Diagnostic) -> Option<String> {
    let witness = diagnostic.witness.as_deref().map(|witness| format!("for example:\n{}", visible(witness)));
    let parts: Vec<String> = diagnostic.help.as_deref().map(wrapped).into_iter().chain(witness).collect();
    (!parts.is_empty()).then(|| parts.join("\n"))
}

type Snippet = (Box<dyn SourceCode>, Vec<LabeledSpan>);

/// What is shown of one source: the labels together, or each by itself where their lines are too long to show.
fn snippets(name: &str, text: &Arc<str>, labels: &[&Label]) -> Vec<Snippet> {
    if labels.iter().all(|label| lines_are_short(text, label)) {
        let spans = labels.iter().map(|label| {
            let (start, end) = clamp(text, label);
            LabeledSpan::new(Some(visible(&label.text)), start, end - start)
        });
        let mut spans: Vec<LabeledSpan> = spans.collect();
        if let Some(first) = spans.first_mut() {
            // The first label is the place of the finding, also where another stands above it.
            *first = LabeledSpan::new_primary_with_span(first.label().map(str::to_owned), *first.inner());
        }
        return vec![(Box::new(NamedSource::new(name, Arc::clone(text))), spans)];
    }
    labels.iter().map(|label| window(name, text, label)).collect()
}

/// The label's place within the text, on the edges of characters.
fn clamp(text: &str, label: &Label) -> (usize, usize) {
    let start = text.floor_char_boundary(label.span.start as usize);
    (start, text.ceil_char_boundary(label.span.end as usize).max(start))
}

/// The lines of the label and those next to them may be shown whole.
fn lines_are_short(text: &str, label: &Label) -> bool {
    let (start, end) = clamp(text, label);
    let before = text.get(..start).unwrap_or("").rsplit('\n').take(2);
    let after = text.get(end..).unwrap_or("").split('\n').take(2);
    let inside = text.get(start..end).unwrap_or("").split('\n');
    before.chain(inside).chain(after).all(|part| part.len() <= LONGEST_LINE)
}

/// The part of a long line around the label.
fn window(name: &str, text: &str, label: &Label) -> Snippet {
    let (start, end) = clamp(text, label);
    let end = text.floor_char_boundary(end.min(start + WINDOW)).max(start);
    let line = text.get(..start).unwrap_or("").rfind('\n').map_or(0, |newline| newline + 1);
    let from = text.ceil_char_boundary(start.saturating_sub(WINDOW)).max(line);
    let rest = text.get(end..).unwrap_or("");
    let tail = rest.get(..text_floor(rest, WINDOW)).unwrap_or("").lines().next().unwrap_or("");
    let number = memchr::memchr_iter(b'\n', text.get(..line).unwrap_or("").as_bytes()).count();
    let cut = text.get(from..end + tail.len()).unwrap_or("");
    let shown = cut.lines().next().unwrap_or("").to_owned();
    let width = (end - start).min(shown.len().saturating_sub(start - from));
    let column = text.get(line..start).unwrap_or("").chars().count();
    let labelled = LabeledSpan::new(Some(visible(&label.text)), start - from, width);
    (Box::new(Window { name: name.to_owned(), text: shown, line: number, column }), vec![labelled])
}

fn text_floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

/// A part of one line that knows where it stands.
#[derive(Debug)]
struct Window {
    name: String,
    text: String,
    line: usize,
    column: usize,
}

impl SourceCode for Window {
    fn read_span<'a>(
        &'a self,
        _span: &SourceSpan,
        _before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            self.text.as_bytes(),
            (0, self.text.len()).into(),
            self.line,
            self.column,
            1,
        )))
    }
}

/// A finding, or a part of one, as miette sees it.
struct Report {
    code: Option<String>,
    severity: Severity,
    message: String,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    source: Option<Box<dyn SourceCode>>,
}

impl Report {
    /// What belongs to the finding above it and stands elsewhere.
    fn aside(source: Box<dyn SourceCode>, labels: Vec<LabeledSpan>) -> Report {
        Report {
            code: None,
            severity: Severity::Info,
            message: "see also".to_owned(),
            help: None,
            labels,
            source: Some(source),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code.as_ref().map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Info => miette::Severity::Advice,
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_deref()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty())
            .then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}
