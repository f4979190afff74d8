//! Conditions, and parts of them, that hold always or never; and which words are to blame.

use super::File;
use crate::config::rules::{self, ReadRule};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::rule::analysis::{Prover, Required, Space, Verdict};
use crate::rule::ast::Condition;
use crate::rule::compile;
use crate::rule::predicate::{Atom, Predicate, TextTest};
use crate::rule::request::RequestShape;
use crate::source::Span;

/// A condition with the places of its parts.
struct Part {
    predicate: Predicate,
    span: Span,
    kind: Kind,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    All,
    Any,
    Not,
    Atom,
}

/// Requests seen before: most parts hold for some of them and not for others, and need no proof.
#[derive(Default)]
pub(super) struct Samples {
    /// The request that the rule at hand takes.
    pub(super) first: Option<Box<RequestShape>>,
    others: Vec<RequestShape>,
}

#[derive(Clone, Copy, PartialEq)]
enum Truth {
    Always,
    Never,
    Sometimes,
}

/// Reports the parts of the rule at this position that hold always or never. `None` where that could not be decided.
///
/// Nearly always there is none, and the compiled condition tells so. Only else the rule is read again, for the places of its
/// parts.
pub(super) fn check(
    file: &File<'_>,
    (rule, read): (usize, &ReadRule),
    space: &Space,
    prover: &mut Prover<'_>,
    samples: &mut Samples,
    diagnostics: &mut Diagnostics,
) -> Option<()> {
    let predicate = &file.table.rules.get(rule)?.when;
    if *predicate == Predicate::Always || all_sometimes(predicate, prover, samples)? {
        return Some(());
    }
    let whole = part(&rules::condition(file.document.rules.as_ref()?, read)?)?;
    let mut open = vec![&whole];
    while let Some(part) = open.pop() {
        let truth = truth(&part.predicate, prover, samples)?;
        if truth == Truth::Sometimes {
            open.extend(part.parts.iter().rev());
            continue;
        }
        let blamed = blamed(part, truth, prover)?;
        let is_whole = std::ptr::eq(part, &whole);
        diagnostics.push_with(code(truth), || finding(truth, &blamed, rule, is_whole, space));
    }
    Some(())
}

fn code(truth: Truth) -> Code {
    if truth == Truth::Never { Code::NeverHolds } else { Code::AlwaysHolds }
}

/// The condition taken apart again, each part compiled by itself. It compiled before.
fn part(condition: &Condition) -> Option<Part> {
    let (kind, parts) = match condition {
        Condition::All(parts) => (Kind::All, parts.iter().map(part).collect::<Option<Vec<Part>>>()?),
        Condition::Any(parts) => (Kind::Any, parts.iter().map(part).collect::<Option<Vec<Part>>>()?),
        Condition::Not(inner) => (Kind::Not, vec![part(inner)?]),
        Condition::Has(name) => return atom(condition, name.span),
        Condition::Test(test) => return atom(condition, test.span),
    };
    let (first, last) = (parts.first()?.span, parts.last()?.span);
    let own = || parts.iter().map(|part| part.predicate.clone()).collect();
    let predicate = match kind {
        Kind::All => Predicate::All(own()),
        Kind::Any => Predicate::Any(own()),
        Kind::Not | Kind::Atom => Predicate::Not(Box::new(parts.first()?.predicate.clone())),
    };
    Some(Part { predicate, span: Span { end: last.end.max(first.end), ..first }, kind, parts })
}

fn atom(condition: &Condition, span: Span) -> Option<Part> {
    let predicate = compile::predicate(condition, &mut Diagnostics::default())?;
    Some(Part { predicate, span, kind: Kind::Atom, parts: Vec::new() })
}

// === the truth of a part

/// Whether the condition and all its parts hold for some requests and not for others. A chain in a chain is one chain here,
/// which changes nothing: where the inner one holds always or never, so does the outer one, or each of its members.
fn all_sometimes(condition: &Predicate, prover: &mut Prover<'_>, samples: &mut Samples) -> Option<bool> {
    let mut open = vec![condition];
    while let Some(part) = open.pop() {
        if truth(part, prover, samples)? != Truth::Sometimes {
            return Some(false);
        }
        match part {
            Predicate::All(parts) | Predicate::Any(parts) => open.extend(parts.iter().rev()),
            Predicate::Not(inner) => open.push(inner),
            Predicate::Always | Predicate::Atom(_) => {}
        }
    }
    Some(true)
}

fn truth(part: &Predicate, prover: &mut Prover<'_>, samples: &mut Samples) -> Option<Truth> {
    if matches!(part, Predicate::Atom(atom) if is_plain(atom)) {
        return Some(Truth::Sometimes);
    }
    let (mut holds, mut fails) = (false, false);
    for shape in samples.first.as_deref().into_iter().chain(&samples.others) {
        let held = part.holds(shape);
        holds |= held;
        fails |= !held;
    }
    if !holds && !possible(&[(part, true)], prover, samples)? {
        return Some(Truth::Never);
    }
    if !fails && !possible(&[(part, false)], prover, samples)? {
        return Some(Truth::Always);
    }
    Some(Truth::Sometimes)
}

/// A test that nearly every file has, and that some requests pass and others do not.
fn is_plain(atom: &Atom) -> bool {
    use crate::rule::TextFact::{Header, LastTool, Model, Tag, User};
    match atom {
        Atom::Text { fact: Model | User | LastTool | Tag(_), test: TextTest::Equal(_) | TextTest::NotEqual(_) } => true,
        Atom::Text { fact: Header(name), test: TextTest::Equal(text) | TextTest::NotEqual(text) } => {
            let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            word(name) && word(text)
        }
        Atom::Flag(_) => true,
        Atom::Text { .. } | Atom::Value { .. } => false,
    }
}

fn possible(required: &[Required<'_>], prover: &mut Prover<'_>, samples: &mut Samples) -> Option<bool> {
    const KEPT: usize = 8;
    match prover.meets(required) {
        Verdict::Request(shape) => {
            if samples.others.len() == KEPT {
                samples.others.remove(0);
            }
            samples.others.push(*shape);
            Some(true)
        }
        Verdict::Never(_) => Some(false),
        Verdict::Undecided => None,
    }
}

// === who is to blame

/// Parts that hold always or never, together.
struct Blamed<'p> {
    truth: Truth,
    parts: Vec<&'p Part>,
}

/// The smallest parts that make it so.
fn blamed<'p>(part: &'p Part, truth: Truth, prover: &mut Prover<'_>) -> Option<Blamed<'p>> {
    // What holds never as a chain of `and`, holds never by some of its members; always and `or` likewise.
    let chain = if truth == Truth::Never { Kind::All } else { Kind::Any };
    match part.kind {
        Kind::Not => {
            let opposite = if truth == Truth::Never { Truth::Always } else { Truth::Never };
            blamed(part.parts.first()?, opposite, prover)
        }
        kind if kind == chain => {
            let mut members: Vec<&Part> = part.parts.iter().collect();
            for at in (0..members.len()).rev() {
                let mut fewer = members.clone();
                fewer.remove(at);
                let required: Vec<Required<'_>> =
                    fewer.iter().map(|member| (&member.predicate, truth == Truth::Never)).collect();
                match prover.meets(&required) {
                    Verdict::Request(_) => {}
                    Verdict::Never(_) => members = fewer,
                    Verdict::Undecided => return None,
                }
            }
            match members.as_slice() {
                [only] => blamed(only, truth, prover),
                _ => Some(Blamed { truth, parts: members }),
            }
        }
        Kind::All | Kind::Any | Kind::Atom => Some(Blamed { truth, parts: vec![part] }),
    }
}

// === saying so

fn finding(truth: Truth, blamed: &Blamed<'_>, rule: usize, is_whole: bool, space: &Space) -> Diagnostic {
    let how = if truth == Truth::Never { "can never hold" } else { "always holds" };
    let what = if is_whole { "the condition" } else { "a part of the condition" };
    let mut diagnostic = Diagnostic::new(code(truth), format!("{what} of rule {} {how}", rule + 1));
    let labels = match (blamed.parts.len(), blamed.truth) {
        (1, Truth::Never) => ("never true", ""),
        (1, _) => ("always true", ""),
        (_, Truth::Never) => ("this", "and this exclude each other"),
        (_, _) => ("this", "or this always holds"),
    };
    for (at, part) in blamed.parts.iter().enumerate() {
        let last = at > 0 && at + 1 == blamed.parts.len();
        diagnostic = diagnostic.label(part.span, if last { labels.1 } else { labels.0 });
    }
    let cause = match blamed.parts.as_slice() {
        [Part { predicate: Predicate::Atom(atom), .. }] => space.reason(atom).map(|reason| format!("{reason}; ")),
        _ => None,
    };
    let remedy = match (truth, is_whole) {
        (Truth::Never, true) => "mend the condition, or remove the rule",
        (Truth::Never, false) => "mend this part, or remove it: it adds no request",
        (_, true) => "write `otherwise`, or mend the condition",
        (_, false) => "mend this part, or remove it: it excludes no request",
    };
    diagnostic.help(format!("{}{remedy}", cause.unwrap_or_default()))
}
