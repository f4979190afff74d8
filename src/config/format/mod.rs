//! The file in its one form: `routeplane fmt`.
//!
//! White space, the layout of rules and the quotes of expressions change; words, their order, line breaks between values
//! and comments do not. A pass is taken back where the text would not mean the same after it, so that a fault of a pass
//! can make a file less pretty, and nothing else.

mod blank;
mod edit;
mod expressions;
mod indent;
mod rules;
mod same;
mod spacing;

use super::decode::decode;
use super::document::{Document, RouteText};
use super::yaml::layout::{self, Value};
use super::yaml::parse;
use crate::diagnostic::Diagnostics;
use crate::rule::parse::words;
use crate::rule::{self, lines};
use crate::source::{SourceId, SourceMap};

/// Brings a part of the layout into its form.
type Pass = fn(&str, &Value) -> String;

const PASSES: &[Pass] = &[indent::indent, spacing::space, expressions::expressions, blank::lines];

/// The text of `source` in its one form; `None`, with the reasons, where it is no YAML or has a rule or a route that cannot
/// be read. What they mean is not looked at: a file may name presets that it lacks.
pub fn format(source: SourceId, sources: &SourceMap, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = &sources.get(source)?.text;
    let root = parse(source, text, diagnostics)?;
    if !diagnostics.has_errors()
        && let Some(document) = decode(&root, &mut Diagnostics::default())
    {
        unreadable(&document, diagnostics);
    }
    (!diagnostics.has_errors()).then(|| formatted(text))
}

/// Reports rules and routes that are none.
fn unreadable(document: &Document, diagnostics: &mut Diagnostics) {
    let routes = document.presets.iter().filter_map(|entry| entry.route.as_ref()).flat_map(|route| match route {
        RouteText::Expression(text) => std::slice::from_ref(text),
        RouteText::List(list) => list,
    });
    for text in routes.filter(|text| words::of_route(&text.text).is_none()) {
        rule::parse::route(&text.text, &|range| text.span_of(range), diagnostics);
    }
    let Some(entry) = &document.rules else { return };
    for range in lines::cut(&entry.text.text) {
        let (start, text) = (range.start, entry.text.text.get(range).unwrap_or(""));
        if words::of_rule(text).is_none() {
            let place = |inner: std::ops::Range<usize>| entry.text.span_of(start + inner.start..start + inner.end);
            rule::parse::rule(text, &place, diagnostics);
        }
    }
}

/// A text without faults in its one form, with the line ends that it had.
fn formatted(text: &str) -> String {
    let crlf = text.find('\n').is_some_and(|at| text.get(..at).is_some_and(|before| before.ends_with('\r')));
    let plain = text.replace("\r\n", "\n");
    if plain.contains('\r') {
        // A lone CR ends a line, too, in YAML; nobody writes such files any more.
        return text.to_owned();
    }
    let formatted = PASSES.iter().fold(plain, |text, pass| {
        let Some(root) = layout::layout(&text) else { return text };
        let passed = pass(&text, &root);
        if passed == text || same::says_the_same(&text, &passed) { passed } else { text }
    });
    if crlf { formatted.replace('\n', "\r\n") } else { formatted }
}
