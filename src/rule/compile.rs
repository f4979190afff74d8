//! From a condition as written to a [`Predicate`], with every type checked.

use super::FlagFact;
use super::ast::{Check, Condition, Literal, Test};
use super::predicate::{Atom, Comparison, Predicate, TextTest, ValueFact, ValueTest};
use super::types::{self, Subject, mismatch};
use super::{TextFact, facts::Words};
use crate::diagnostic::Diagnostics;
use crate::glob::Glob;
use crate::source::{Span, Spanned};

/// Resolves the facts of `condition` and checks their types.
pub fn predicate(condition: &Condition, diagnostics: &mut Diagnostics) -> Option<Predicate> {
    match condition {
        Condition::All(parts) => {
            let parts = predicates(parts, diagnostics)?;
            Some(Predicate::All(parts.into_iter().flat_map(|part| flattened(part, true)).collect()))
        }
        Condition::Any(parts) => {
            let parts = predicates(parts, diagnostics)?;
            Some(Predicate::Any(parts.into_iter().flat_map(|part| flattened(part, false)).collect()))
        }
        Condition::Not(inner) => Some(match predicate(inner, diagnostics)? {
            Predicate::Not(twice) => *twice,
            inner => Predicate::Not(Box::new(inner)),
        }),
        Condition::Has(name) => {
            let fact = ValueFact::Number(types::counted(name, diagnostics)?);
            Some(Predicate::Atom(Atom::Value { fact, test: ValueTest::Compare(Comparison::Greater, 0) }))
        }
        Condition::Test(test) => atom(test, diagnostics).map(Predicate::Atom),
    }
}

fn predicates(parts: &[Condition], diagnostics: &mut Diagnostics) -> Option<Vec<Predicate>> {
    let parts: Vec<Option<Predicate>> = parts.iter().map(|part| predicate(part, diagnostics)).collect();
    parts.into_iter().collect()
}

/// `(a and b) and c` is `a and b and c`.
fn flattened(part: Predicate, all: bool) -> Vec<Predicate> {
    match part {
        Predicate::All(parts) if all => parts.into_vec(),
        Predicate::Any(parts) if !all => parts.into_vec(),
        part => vec![part],
    }
}

fn atom(test: &Test, diagnostics: &mut Diagnostics) -> Option<Atom> {
    match types::subject(&test.fact, diagnostics)? {
        Subject::Text(fact) => {
            let test = text_test(&fact, test, diagnostics)?;
            Some(Atom::Text { fact, test })
        }
        Subject::Value(fact) => {
            let test = value_test(&fact, test, diagnostics)?;
            Some(Atom::Value { fact, test })
        }
        Subject::Flag(fact) => flag(fact, test, diagnostics),
    }
}

fn text_test(fact: &TextFact, test: &Test, diagnostics: &mut Diagnostics) -> Option<TextTest> {
    match &test.check {
        Some(Check::Absent) => Some(TextTest::Absent),
        Some(Check::Compare(comparison, literal)) => match comparison.value {
            Comparison::Equal => Some(TextTest::Equal(types::text_value(fact, literal, diagnostics)?)),
            Comparison::NotEqual => Some(TextTest::NotEqual(types::text_value(fact, literal, diagnostics)?)),
            Comparison::Less | Comparison::AtMost | Comparison::Greater | Comparison::AtLeast => {
                diagnostics.push(
                    mismatch(format!("`{fact}` is a text, and texts have no order"))
                        .label(comparison.span, "only `==`, `!=`, `in` and `~` compare texts")
                        .help(format!("for example `{fact} == \"x\"` or `{fact} ~ \"x*\"`")),
                );
                None
            }
        },
        Some(Check::In { negated, list }) => {
            let values = list.value.iter().map(|literal| types::text_value(fact, literal, diagnostics));
            let values = all(values.collect(), list, diagnostics)?;
            Some(if *negated { TextTest::NotIn(values) } else { TextTest::In(values) })
        }
        Some(Check::Like(literal)) => Some(TextTest::Like(Glob(types::text_value(fact, literal, diagnostics)?))),
        None => {
            diagnostics.push(
                mismatch(format!("`{fact}` is a text, and a condition needs a comparison"))
                    .label(test.span, "compare it")
                    .help(format!("for example `{fact} == \"x\"`, or `not {fact} is absent`")),
            );
            None
        }
    }
}

fn value_test(fact: &ValueFact, test: &Test, diagnostics: &mut Diagnostics) -> Option<ValueTest> {
    match &test.check {
        Some(Check::Compare(comparison, literal)) => {
            let ordered = fact.words().is_none_or(|words| words.ordered);
            if !ordered && !matches!(comparison.value, Comparison::Equal | Comparison::NotEqual) {
                diagnostics.push(unordered(fact, comparison.span));
                return None;
            }
            Some(ValueTest::Compare(comparison.value, types::value(fact, literal, diagnostics)?))
        }
        Some(Check::In { negated, list }) => {
            let values = list.value.iter().map(|literal| types::value(fact, literal, diagnostics));
            let values = all(values.collect(), list, diagnostics)?;
            Some(if *negated { ValueTest::NotIn(values) } else { ValueTest::In(values) })
        }
        Some(Check::Like(literal)) => {
            diagnostics.push(
                mismatch(format!("`{fact}` is not a text, and `~` compares texts"))
                    .label(literal.span, "a pattern cannot match here")
                    .help(format!("for example `{}`", example(fact))),
            );
            None
        }
        Some(Check::Absent) => {
            diagnostics.push(
                mismatch(format!("`{fact}` is never absent"))
                    .label(test.span, "always has a value")
                    .help(format!("for example `{}`", example(fact))),
            );
            None
        }
        None => {
            diagnostics.push(
                mismatch(format!("`{fact}` is not yes or no, and a condition needs a comparison"))
                    .label(test.span, "compare it")
                    .help(format!("for example `{}`", example(fact))),
            );
            None
        }
    }
}

fn flag(fact: FlagFact, test: &Test, diagnostics: &mut Diagnostics) -> Option<Atom> {
    if test.check.is_none() {
        return Some(Atom::Flag(fact));
    }
    let negative = match &test.check {
        Some(Check::Compare(comparison, Spanned { value: Literal::Word(word), .. })) => {
            (comparison.value == Comparison::NotEqual) != matches!(word.as_str(), "false" | "no")
        }
        _ => false,
    };
    let better = if negative { format!("not {fact}") } else { fact.to_string() };
    diagnostics.push(
        mismatch(format!("`{fact}` is yes or no, and stands alone"))
            .label(test.span, "nothing to compare")
            .help(format!("write `{better}`"))
            .fix(test.span, better),
    );
    None
}

fn unordered(fact: &ValueFact, span: Span) -> crate::diagnostic::Diagnostic {
    let words = fact.words().map_or(String::new(), |Words { list, .. }| list.join(", "));
    mismatch(format!("the values of `{fact}` have no order"))
        .label(span, "only `==`, `!=` and `in` compare them")
        .help(format!("for example `{}`; the values are {words}", example(fact)))
}

fn example(fact: &ValueFact) -> String {
    let name = fact.to_string();
    let known = super::facts::FACTS.iter().find(|known| name.split('(').next() == Some(known.name));
    known.map_or(name, |known| known.example.to_owned())
}

/// Every value of a list, which must have one.
fn all<T>(
    values: Vec<Option<T>>,
    list: &Spanned<Vec<Spanned<Literal>>>,
    diagnostics: &mut Diagnostics,
) -> Option<Box<[T]>> {
    if list.value.is_empty() {
        diagnostics.push(
            mismatch("an empty list holds nothing")
                .label(list.span, "put at least one value here")
                .help("for example `model in [\"auto\", \"fast\"]`"),
        );
        return None;
    }
    values.into_iter().collect()
}
