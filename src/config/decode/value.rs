//! Readers of values with a meaning of their own: the version, routes, rules, failures.

use super::leaf::{Expression, text};
use super::list::List;
use super::shape::Shape;
use super::{Reader, bad_value, mismatch};
use crate::config::document::{RouteText, RulesEntry};
use crate::config::node::{Kind, Node};
use crate::config::yaml::shorten;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{SourceText, Spanned};

/// `version:`. There is one.
pub struct Version;

impl Reader for Version {
    type Value = Spanned<u64>;
    const SHAPE: Shape = Shape::Version;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<u64>> {
        if matches!(&node.kind, Kind::Number(number) if number.text == "1") {
            return Some(Spanned::new(1, node.span));
        }
        let refusal = Diagnostic::new(Code::BadValue, "the version of this format is `1`")
            .label(node.span, "not known to this build")
            .help("write `version: 1`");
        // Where nothing is written, the place is the key's.
        let nothing = matches!(node.kind, Kind::Null);
        diagnostics.push(if nothing { refusal } else { refusal.fix(node.span, "1") });
        None
    }
}

/// `route:`, an expression or a list of them in fallback order.
pub struct Route;

impl Reader for Route {
    type Value = RouteText;
    const SHAPE: Shape = Shape::OneOrMore(&Shape::Expression);

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<RouteText> {
        match &node.kind {
            Kind::Sequence(_) => List::<Expression>::read(node, diagnostics).map(RouteText::List),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Mapping(_) => {
                Expression::read(node, diagnostics).map(RouteText::Expression)
            }
        }
    }
}

/// The `rules:` block.
pub struct Rules;

impl Reader for Rules {
    type Value = RulesEntry;
    const SHAPE: Shape = Shape::Rules;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<RulesEntry> {
        if matches!(node.kind, Kind::Null) {
            return Some(RulesEntry { text: SourceText::verbatim("", node.span.source, node.span.range().end) });
        }
        let text = text(node, &Self::SHAPE, diagnostics)?.clone();
        // What is joined needs no second finding about what it then means.
        (!joined(&text, diagnostics)).then_some(RulesEntry { text })
    }
}

/// Without `|` YAML makes one line of several, and the second rule becomes a part of the first.
fn joined(rules: &SourceText, diagnostics: &mut Diagnostics) -> bool {
    for start in rules.line_starts() {
        let after_space = rules.text.get(..start).is_some_and(|before| before.ends_with(' '));
        let rest = rules.text.get(start..).unwrap_or("");
        let word = ["when", "otherwise"].into_iter().find(|word| rest.split_whitespace().next() == Some(*word));
        if let (true, Some(word)) = (after_space, word) {
            diagnostics.push(
                Diagnostic::new(Code::JoinedRules, "YAML reads these rules as one line")
                    .label(rules.span_of(start..start + word.len()), "does not begin a line when it is read")
                    .help("write `rules: |` and the rules below it, one a line"),
            );
            return true;
        }
    }
    false
}

/// A failure that is tried again; statuses are written as numbers.
pub struct RetryOn;

impl Reader for RetryOn {
    type Value = Spanned<String>;
    const SHAPE: Shape = Shape::Failure;

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        let word = match &node.kind {
            Kind::String(text) | Kind::Number(text) => text,
            Kind::Null | Kind::Bool(_) | Kind::Sequence(_) | Kind::Mapping(_) => {
                mismatch(node, &Self::SHAPE, diagnostics);
                return None;
            }
        };
        let status = word.text.parse::<u16>().is_ok_and(|status| (400..600).contains(&status));
        if status || matches!(word.text.as_str(), "5xx" | "timeout" | "connect" | "empty" | "any") {
            return Some(word.spanned());
        }
        let message = format!("`{}` is not a failure that can be retried", shorten(&word.text));
        bad_value(node.span, message, format!("write {}", Self::SHAPE.phrase()), diagnostics);
        None
    }
}
