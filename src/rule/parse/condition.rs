//! Conditions: facts, what is asked of them, and what joins them.

use pest::iterators::Pair;

use super::{Reader, Rule, all, single_or, unquoted, whole_number};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::rule::ast::{Check, Condition, FactName, Literal, Parameter, Test};
use crate::rule::predicate::Comparison;
use crate::source::Spanned;

impl Reader<'_> {
    pub(super) fn condition(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Condition> {
        let parts = pair.into_inner().filter(|part| part.as_rule() == Rule::conjunction);
        let parts = all(parts.map(|part| self.conjunction(part, diagnostics)))?;
        Some(single_or(parts, Condition::Any))
    }

    fn conjunction(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Condition> {
        let parts = pair.into_inner().filter(|part| part.as_rule() == Rule::negation);
        let parts = all(parts.map(|part| self.negation(part, diagnostics)))?;
        Some(single_or(parts, Condition::All))
    }

    fn negation(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Condition> {
        let mut negated = false;
        for part in pair.into_inner() {
            if part.as_rule() == Rule::kw_not {
                // Two `not` cancel each other.
                negated = !negated;
                continue;
            }
            let condition = self.primary(part, diagnostics)?;
            return Some(if negated { Condition::Not(Box::new(condition)) } else { condition });
        }
        None
    }

    fn primary(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Condition> {
        if pair.as_rule() == Rule::group {
            let inner = pair.into_inner().find(|part| part.as_rule() == Rule::condition)?;
            return self.condition(inner, diagnostics);
        }
        if pair.as_rule() == Rule::presence {
            return Some(Condition::Has(self.spanned(&pair.into_inner().last()?)));
        }
        let span = self.trimmed(&pair);
        let mut inner = pair.into_inner();
        let fact = self.fact(inner.next()?)?;
        let check = match inner.next() {
            Some(part) => Some(self.check(part, diagnostics)?),
            None => None,
        };
        Some(Condition::Test(Test { fact, check, span }))
    }

    fn fact(&self, pair: Pair<'_, Rule>) -> Option<FactName> {
        let span = self.trimmed(&pair);
        let mut inner = pair.into_inner();
        let name = self.spanned(&inner.next()?);
        let parameter = inner.next().map(|parameter| {
            let whole = self.span(&parameter);
            let text = parameter.into_inner().find(|part| matches!(part.as_rule(), Rule::string | Rule::bare));
            match text {
                Some(text) if text.as_rule() == Rule::string => {
                    Parameter { text: Spanned::new(unquoted(text.as_str()), self.span(&text)), quoted: true }
                }
                Some(text) => Parameter {
                    text: Spanned::new(text.as_str().trim().to_owned(), self.trimmed(&text)),
                    quoted: false,
                },
                None => Parameter { text: Spanned::new(String::new(), whole), quoted: false },
            }
        });
        Some(FactName { name, parameter, span })
    }

    fn check(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Check> {
        let kind = pair.as_rule();
        let mut inner = pair.into_inner();
        if kind == Rule::absence {
            return Some(Check::Absent);
        }
        if kind == Rule::likeness {
            return Some(Check::Like(self.literal(inner.last()?, diagnostics)?));
        }
        if kind == Rule::relation {
            let operator = inner.next()?;
            let comparison = Spanned::new(self.comparison(&operator, diagnostics)?, self.span(&operator));
            return Some(Check::Compare(comparison, self.literal(inner.next()?, diagnostics)?));
        }
        let negated = inner.clone().any(|part| part.as_rule() == Rule::kw_not);
        let list = inner.find(|part| part.as_rule() == Rule::list)?;
        let span = self.span(&list);
        let literals = list.into_inner().filter(|part| part.as_rule() == Rule::literal);
        let literals = all(literals.map(|literal| self.literal(literal, diagnostics)))?;
        Some(Check::In { negated, list: Spanned::new(literals, span) })
    }

    fn comparison(&self, pair: &Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Comparison> {
        let known = match pair.as_str() {
            "==" => Some(Comparison::Equal),
            "!=" => Some(Comparison::NotEqual),
            "<" => Some(Comparison::Less),
            "<=" => Some(Comparison::AtMost),
            ">" => Some(Comparison::Greater),
            ">=" => Some(Comparison::AtLeast),
            _ => None,
        };
        if known.is_none() {
            let span = self.span(pair);
            diagnostics.push(
                Diagnostic::new(Code::RuleSyntax, "a comparison is written `==`")
                    .label(span, "write `==` here")
                    .help("nothing is assigned in a rule; `==` asks whether two values are equal")
                    .fix(span, "=="),
            );
        }
        known
    }

    fn literal(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Spanned<Literal>> {
        let span = self.trimmed(&pair);
        let value = pair.into_inner().next()?;
        let literal = match value.as_rule() {
            Rule::string => Literal::Text(unquoted(value.as_str())),
            Rule::number => Literal::Number(self.number(&value, diagnostics)?),
            _ => Literal::Word(value.as_str().to_owned()),
        };
        Some(Spanned::new(literal, span))
    }

    fn number(&self, pair: &Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<u64> {
        let value = whole_number(pair.as_str());
        if value.is_none() {
            diagnostics.push(
                Diagnostic::new(Code::BadNumber, format!("`{}` is not a whole number", pair.as_str()))
                    .label(self.span(pair), "a number is digits, with `k` for thousands or `M` for millions")
                    .help("for example `4096`, `150k` or `1M`"),
            );
        }
        value
    }
}
