//! From names of facts to facts, and the messages where a name or a type does not fit.

use super::ast::{FactName, Literal};
use super::facts::{self, Fact, Kind, Words};
use super::predicate::{Quoted, ValueFact};
use super::{FlagFact, NumberFact, TextFact};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::source::{Span, Spanned};

/// A fact with its type.
pub(super) enum Subject {
    Text(TextFact),
    Value(ValueFact),
    Flag(FlagFact),
}

/// Finds the fact that `written` names.
pub(super) fn subject(written: &FactName, diagnostics: &mut Diagnostics) -> Option<Subject> {
    let name = written.name.value.as_str();
    if let Some(attribute) = name.strip_prefix("key.") {
        return Some(Subject::Text(TextFact::KeyAttribute(attribute.into())));
    }
    let Some(fact) = facts::find(name) else {
        diagnostics.push(unknown(written));
        return None;
    };
    let parameter = parameter(fact, written, diagnostics)?;
    Some(match fact.kind {
        Kind::Text(make) => Subject::Text(make(parameter)),
        Kind::Value(make) => Subject::Value(make(parameter)),
        Kind::Flag(make) => Subject::Flag(make(parameter)),
    })
}

fn unknown(written: &FactName) -> Diagnostic {
    let name = written.name.value.as_str();
    let span = written.name.span;
    if facts::LIVE_STATE.contains(&name) {
        return Diagnostic::new(Code::LiveStateInCondition, format!("a condition cannot ask for `{name}`"))
            .label(written.span, "no fact of the request")
            .help(format!(
                "conditions see the request alone; what differs from target to target and from moment to moment is the business \
                 of the target: {}",
                strategy(name)
            ));
    }
    let diagnostic = Diagnostic::new(Code::UnknownFact, format!("unknown fact `{name}`")).label(span, "not a fact");
    let synonym = facts::SYNONYMS.iter().find(|(other, _)| *other == name).map(|(_, fact)| *fact);
    match synonym.or_else(|| did_you_mean(name, facts::FACTS.iter().map(|fact| fact.name))) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(span, near),
        None => {
            let names: Vec<&str> = facts::FACTS.iter().map(|fact| fact.name).collect();
            diagnostic.help(format!("facts are {}", names.join(", ")))
        }
    }
}

/// What does the work of a condition on this live state.
fn strategy(name: &str) -> &'static str {
    match name {
        "price" | "cost" | "spend" => "`-> cheapest(a/b, c/d)` tries the cheapest for this request first",
        "latency" | "ttft" | "throughput" => "`-> fastest(a/b, c/d)` tries the one with the quickest first token first",
        "load" | "in_flight" => "`-> least_busy(a/b, c/d)` tries the one with the fewest requests in flight first",
        "rpm" | "tpm" => {
            "`rate_limits:` of the file bound what callers may have, and `-> a/b > c/d` goes on when one is full"
        }
        _ => "`-> a/b > c/d` skips a target that is down and goes on when one fails",
    }
}

/// The text between the parentheses, empty for a fact that has none.
fn parameter<'w>(fact: &Fact, written: &'w FactName, diagnostics: &mut Diagnostics) -> Option<&'w str> {
    match (fact.parameter, &written.parameter) {
        (None, None) => Some(""),
        (Some(_), Some(parameter)) if parameter.quoted => Some(&parameter.text.value),
        (Some(what), Some(parameter)) => {
            let text = parameter.text.value.as_str();
            let quoted = Quoted(if text.is_empty() { "x" } else { text }).to_string();
            let diagnostic = mismatch(format!("`{}` needs {what} in quotes", fact.name))
                .label(parameter.text.span, "not in quotes")
                .help(format!("write `{}({quoted})`", fact.name));
            let fixable = !text.is_empty();
            diagnostics.push(if fixable { diagnostic.fix(parameter.text.span, quoted) } else { diagnostic });
            None
        }
        (Some(what), None) => {
            diagnostics.push(
                mismatch(format!("`{}` needs {what}", fact.name))
                    .label(written.span, "in parentheses and quotes")
                    .help(format!("for example `{}`", fact.example)),
            );
            None
        }
        (None, Some(_)) => {
            diagnostics.push(
                mismatch(format!("`{}` takes nothing in parentheses", fact.name))
                    .label(written.span, "remove the parentheses")
                    .help(format!("for example `{}`", fact.example))
                    .fix(written.span, fact.name),
            );
            None
        }
    }
}

/// The literal as a text.
pub(super) fn text_value(
    fact: &TextFact,
    literal: &Spanned<Literal>,
    diagnostics: &mut Diagnostics,
) -> Option<Box<str>> {
    let bare = match &literal.value {
        Literal::Text(text) => return Some(text.as_str().into()),
        Literal::Number(number) => number.to_string(),
        Literal::Word(word) => word.clone(),
    };
    if matches!(bare.as_str(), "null" | "nil" | "none" | "None" | "undefined") {
        diagnostics.push(
            mismatch(format!("`{bare}` is no text"))
                .label(literal.span, "nothing is compared with nothing")
                .help(format!("write `{fact} is absent`, or `not {fact} is absent`")),
        );
        return None;
    }
    let quoted = Quoted(&bare).to_string();
    diagnostics.push(
        mismatch(format!("`{fact}` is a text, and `{bare}` is not in quotes"))
            .label(literal.span, "needs quotes")
            .help(format!("write `{quoted}`"))
            .fix(literal.span, quoted),
    );
    None
}

/// The literal as a value of `fact`: a number, or the position of one of its words.
pub(super) fn value(fact: &ValueFact, literal: &Spanned<Literal>, diagnostics: &mut Diagnostics) -> Option<u64> {
    match (fact.words(), &literal.value) {
        (None, Literal::Number(number)) => Some(*number),
        (None, Literal::Text(text) | Literal::Word(text)) => {
            let quoted = matches!(literal.value, Literal::Text(_));
            let written = if quoted { Quoted(text).to_string() } else { text.clone() };
            let diagnostic = mismatch(format!("`{fact}` is a whole number, and `{written}` is not"))
                .label(literal.span, "needs a number, without quotes")
                .help("for example `4096`, `150k` or `1M`");
            let number = super::parse::whole_number(text).map(|_| text.clone()).filter(|text| !text.is_empty());
            diagnostics.push(match number {
                Some(number) => diagnostic.fix(literal.span, number),
                None => diagnostic,
            });
            None
        }
        (Some(words), Literal::Word(word)) => {
            let position = words.list.iter().position(|known| known == word);
            if position.is_none() {
                diagnostics.push(unknown_word(fact, words, word, literal.span));
            }
            position.map(|position| position as u64)
        }
        (Some(words), Literal::Text(text)) => {
            diagnostics.push(match words.list.contains(&text.as_str()) {
                true => mismatch(format!("`{fact}` has words of its own, written without quotes"))
                    .label(literal.span, "remove the quotes")
                    .help(format!("write `{text}`"))
                    .fix(literal.span, text.clone()),
                false => unknown_word(fact, words, text, literal.span),
            });
            None
        }
        (Some(words), Literal::Number(number)) => {
            diagnostics.push(unknown_word(fact, words, &number.to_string(), literal.span));
            None
        }
    }
}

fn unknown_word(fact: &ValueFact, words: Words, word: &str, span: Span) -> Diagnostic {
    let list = || words.list.join(", ");
    let diagnostic = mismatch(format!("`{word}` is not a value of `{fact}`")).label(span, format!("one of {}", list()));
    match did_you_mean(word, words.list.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(span, near),
        None => diagnostic.help(format!("write one of {}", list())),
    }
}

/// `has X`: X counts something.
pub(super) fn counted(name: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<NumberFact> {
    let counted = match name.value.as_str() {
        "tools" | "tool" => Some(NumberFact::Tools),
        "images" | "image" => Some(NumberFact::Images),
        "files" | "file" => Some(NumberFact::Files),
        "audio" => Some(NumberFact::Audio),
        _ => None,
    };
    if counted.is_none() {
        let diagnostic = mismatch(format!("`has {}` means nothing", name.value))
            .label(name.span, "`has` goes with tools, images, files or audio");
        diagnostics.push(match facts::find(&name.value).map(|fact| fact.kind) {
            Some(Kind::Text(_)) => diagnostic.help(format!("write `not {} is absent`", name.value)),
            Some(Kind::Value(_)) => diagnostic.help(format!("write `{} > 0`", name.value)),
            Some(Kind::Flag(_)) => diagnostic.help(format!("write `{}` alone", name.value)),
            None => diagnostic.help("for example `has tools`, which means `tools > 0`"),
        });
    }
    counted
}

pub(super) fn mismatch(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::TypeMismatch, message)
}
