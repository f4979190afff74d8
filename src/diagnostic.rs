//! What is said about a file: one finding, with where it is, why, and how to mend it.

pub mod codes;
pub mod github;
pub mod json;
pub mod mask;
pub mod render;
pub mod sarif;

pub use codes::Code;

use crate::source::Span;

/// One finding. Messages are lower case, without a final full stop, with the user's words in backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    pub message: String,
    /// Where; the first label is the place, the others are context ("defined here").
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
    /// A change that mends it, for editors and agents.
    pub fix: Option<Box<Fix>>,
    /// A request that shows it, as a command, and what becomes of it.
    pub witness: Option<String>,
}

impl Severity {
    /// As printed.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Errors refuse the file; warnings do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Warning,
    Error,
}

/// A place and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// Replace the text under `span` by `replacement`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    pub span: Span,
    pub replacement: String,
}

impl Diagnostic {
    /// A finding with the code's own severity.
    pub fn new(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: code.severity(),
            message: message.into(),
            labels: Vec::new(),
            help: None,
            fix: None,
            witness: None,
        }
    }

    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    pub fn witness(mut self, witness: impl Into<String>) -> Diagnostic {
        self.witness = Some(witness.into());
        self
    }

    pub fn fix(mut self, span: Span, replacement: impl Into<String>) -> Diagnostic {
        self.fix = Some(Box::new(Fix { span, replacement: replacement.into() }));
        self
    }
}

/// The most findings that are kept: a file with more needs another remedy than reading them.
const MAX_FINDINGS: usize = 500;

/// All findings of one compilation: the only channel through which the front end speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics {
    findings: Vec<Diagnostic>,
    /// Places that hold secrets; whoever prints a source prints `***` there.
    hidden: Vec<Span>,
    /// Findings beyond [`MAX_FINDINGS`], by whether they were errors.
    dropped_errors: usize,
    dropped_others: usize,
}

impl Diagnostics {
    /// Adds a finding, unless the same is said of the same place already (of a value that several aliases repeat).
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let same = |known: &Diagnostic| {
            known.code == diagnostic.code
                && known.message == diagnostic.message
                && known.labels.first() == diagnostic.labels.first()
        };
        if self.findings.len() < MAX_FINDINGS {
            if !self.findings.iter().any(same) {
                self.findings.push(diagnostic);
            }
        } else if diagnostic.severity == Severity::Error {
            self.dropped_errors += 1;
        } else {
            self.dropped_others += 1;
        }
    }

    /// Adds the finding that `make` makes, which is not made where it would not be kept. For what a hostile file can cause
    /// by the thousand.
    pub(crate) fn push_with(&mut self, code: Code, make: impl FnOnce() -> Diagnostic) {
        if self.findings.len() < MAX_FINDINGS {
            self.push(make());
        } else {
            self.push(Diagnostic::new(code, ""));
        }
    }

    /// Adds a place to all findings but the first `from`.
    pub(crate) fn add_label(&mut self, from: usize, span: Span, text: &str) {
        for diagnostic in self.findings.iter_mut().skip(from) {
            diagnostic.labels.push(Label { span, text: text.to_owned() });
        }
    }

    /// What stands at `span` is never printed.
    pub fn hide(&mut self, span: Span) {
        self.hidden.push(span);
    }

    /// Places that hold secrets.
    pub fn hidden(&self) -> &[Span] {
        &self.hidden
    }

    /// How many findings were too many to keep.
    pub fn dropped(&self) -> usize {
        self.dropped_errors + self.dropped_others
    }

    pub fn has_errors(&self) -> bool {
        self.dropped_errors > 0 || self.findings.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.findings.iter()
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// In the order of the text, each file by itself; errors before warnings at the same place.
    pub fn sort(&mut self) {
        self.findings.sort_by_key(|diagnostic| {
            (diagnostic.labels.first().map(|label| label.span), std::cmp::Reverse(diagnostic.severity))
        });
    }
}

/// The candidate nearest to `wanted`, where one is near enough to be a slip of the finger.
pub fn did_you_mean<'c>(wanted: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(wanted, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
