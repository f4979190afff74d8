//! Target expressions: chains, strategies and refusals.

use pest::iterators::{Pair, Pairs};

use super::{Reader, Rule, all, single_or, unquoted};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::rule::ast::Expression;
use crate::rule::strategies::{self, Choice};
use crate::source::{Span, Spanned};

/// The greatest weight of an arm: sums of weights stay exact enough.
const HEAVIEST: f64 = 1e9;

impl Reader<'_> {
    pub(super) fn last_expression(&self, inner: Pairs<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Expression> {
        self.expression(inner.last()?, diagnostics)
    }

    pub(super) fn expression(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Expression> {
        let atoms = pair.into_inner().filter(|part| part.as_rule() != Rule::fallback);
        let members = all(atoms.map(|atom| self.atom(atom, diagnostics)))?;
        Some(single_or(members, Expression::Fallback))
    }

    fn atom(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Expression> {
        let span = self.trimmed(&pair);
        match pair.as_rule() {
            Rule::parenthesis => {
                let inner = pair.into_inner().find(|part| part.as_rule() == Rule::expression)?;
                self.expression(inner, diagnostics)
            }
            Rule::as_requested => Some(Expression::AsRequested(span)),
            Rule::deny => self.deny(pair, span, diagnostics),
            Rule::call => self.call(pair, span, diagnostics),
            Rule::preset => {
                let name = pair.as_str().strip_prefix('@').unwrap_or_default();
                Some(Expression::Preset(Spanned::new(unquoted(name), span)))
            }
            _ => Some(Expression::Target(Spanned::new(pair.as_str().to_owned(), span))),
        }
    }

    fn deny(&self, pair: Pair<'_, Rule>, span: Span, diagnostics: &mut Diagnostics) -> Option<Expression> {
        let parts = pair.into_inner();
        let status = parts.clone().find(|part| part.as_rule() == Rule::status)?;
        let text = parts.clone().find(|part| part.as_rule() == Rule::string).map(|text| unquoted(text.as_str()));
        let Some(value) = status.as_str().parse().ok().filter(|status| (400..=599).contains(status)) else {
            diagnostics.push(
                Diagnostic::new(Code::BadNumber, format!("`{}` is not the status of a refusal", status.as_str()))
                    .label(self.span(&status), "400 to 599")
                    .help("for example `deny 403 \"not for this key\"`"),
            );
            return None;
        };
        Some(Expression::Deny { status: Spanned::new(value, self.span(&status)), text, span })
    }

    fn call(&self, pair: Pair<'_, Rule>, span: Span, diagnostics: &mut Diagnostics) -> Option<Expression> {
        let mut inner = pair.into_inner();
        let name = inner.next()?;
        let arguments = inner.filter(|part| part.as_rule() == Rule::argument);
        let mut arguments = Arguments { name: name.as_str(), span, rest: arms_of(arguments).collect() };
        match arguments.name {
            "split" => {
                let arms = all(arguments.rest.into_iter().map(|argument| self.arm(argument, diagnostics)))?;
                Some(Expression::Split { arms, span })
            }
            "hedge" => self.hedge(arguments, diagnostics),
            "shadow" => self.shadow(arguments, diagnostics),
            other => match Choice::ALL.into_iter().find(|choice| choice.name() == other) {
                Some(by) => {
                    let members = self.members(&mut arguments, diagnostics)?;
                    arguments.refuse_rest(self, diagnostics)?;
                    Some(Expression::Choose { by, members, span })
                }
                None => {
                    diagnostics.push(strategies::unknown(other, self.span(&name)));
                    None
                }
            },
        }
    }

    /// Every argument that is a plain expression, taken out of `arguments`.
    fn members(&self, arguments: &mut Arguments<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<Expression>> {
        let (members, rest) = std::mem::take(&mut arguments.rest)
            .into_iter()
            .partition(|part: &Pair<'_, Rule>| part.as_rule() == Rule::expression);
        arguments.rest = rest;
        let members: Vec<Pair<'_, Rule>> = members;
        all(members.into_iter().map(|member| self.expression(member, diagnostics)))
    }

    fn hedge(&self, mut arguments: Arguments<'_>, diagnostics: &mut Diagnostics) -> Option<Expression> {
        let members = self.members(&mut arguments, diagnostics)?;
        let after = arguments.take(Rule::timing, "after");
        arguments.refuse_rest(self, diagnostics)?;
        let (Ok([first, second]), Some(after)) = (<[Expression; 2]>::try_from(members), after) else {
            diagnostics
                .push(arguments.incomplete("`hedge` takes two targets and the time after which the second starts"));
            return None;
        };
        let after =
            self.amount(after, strategies::duration, "a time of at most ten minutes: `1500ms`, `2s`", diagnostics)?;
        Some(Expression::Hedge { first: first.into(), second: second.into(), after, span: arguments.span })
    }

    fn shadow(&self, mut arguments: Arguments<'_>, diagnostics: &mut Diagnostics) -> Option<Expression> {
        let members = self.members(&mut arguments, diagnostics)?;
        let mirror = arguments.take(Rule::mirror, "mirror");
        let sample = arguments.take(Rule::timing, "sample");
        arguments.refuse_rest(self, diagnostics)?;
        let (Ok([main]), Some(mirror), Some(sample)) = (<[Expression; 1]>::try_from(members), mirror, sample) else {
            diagnostics
                .push(arguments.incomplete("`shadow` takes a target, its `mirror`, and the `sample` that is compared"));
            return None;
        };
        let mirror = self.last_expression(mirror.into_inner(), diagnostics)?;
        let sample = self.amount(sample, strategies::sample, "a share from `0.01%` to `100%`", diagnostics)?;
        Some(Expression::Shadow { main: main.into(), mirror: mirror.into(), sample, span: arguments.span })
    }

    /// The amount of an `after` or a `sample`.
    fn amount<T>(
        &self,
        timing: Pair<'_, Rule>,
        read: impl Fn(&str) -> Option<T>,
        wanted: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Spanned<T>> {
        let amount = timing.into_inner().last()?;
        let span = self.span(&amount);
        let value = read(amount.as_str());
        if value.is_none() {
            diagnostics.push(
                Diagnostic::new(Code::BadAmount, format!("`{}` is not an amount that can stand here", amount.as_str()))
                    .label(span, "cannot be used")
                    .help(format!("write {wanted}")),
            );
        }
        Some(Spanned::new(value?, span))
    }

    fn arm(&self, argument: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<(Spanned<f64>, Expression)> {
        let span = self.trimmed(&argument);
        if argument.as_rule() != Rule::weighted {
            diagnostics.push(
                Diagnostic::new(Code::BadWeight, "an arm of `split` needs a weight")
                    .label(span, "write its weight before it")
                    .help("for example `split(95 openai/gpt-5, 5 openai/gpt-5-mini)`; 0 means: only as a fallback"),
            );
            return None;
        }
        let mut inner = argument.into_inner();
        let weight = inner.next()?;
        let value = weight.as_str().trim_end_matches('%').parse::<f64>().ok().filter(|weight| *weight <= HEAVIEST);
        if value.is_none() {
            diagnostics.push(
                Diagnostic::new(Code::BadWeight, format!("`{}` is not a weight", weight.as_str()))
                    .label(self.span(&weight), "a weight is a number from 0 to 1000000000")
                    .help("weights need not add up to anything: `0.7` to `0.3` is `70` to `30`"),
            );
        }
        let expression = self.expression(inner.next()?, diagnostics)?;
        Some((Spanned::new(value?, self.span(&weight)), expression))
    }
}

/// The arguments of a strategy that nobody has taken yet.
struct Arguments<'i> {
    name: &'i str,
    span: Span,
    rest: Vec<Pair<'i, Rule>>,
}

impl<'i> Arguments<'i> {
    /// The first argument of this kind that begins with this word.
    fn take(&mut self, kind: Rule, word: &str) -> Option<Pair<'i, Rule>> {
        let at = self.rest.iter().position(|part| part.as_rule() == kind && part.as_str().starts_with(word))?;
        Some(self.rest.remove(at))
    }

    /// Reports what is left: weights, words of another strategy, or one word twice.
    fn refuse_rest(&self, reader: &Reader<'_>, diagnostics: &mut Diagnostics) -> Option<()> {
        for part in &self.rest {
            let what = match part.as_rule() {
                Rule::weighted => "no weight can",
                _ => "this cannot, or not twice,",
            };
            diagnostics.push(
                Diagnostic::new(Code::BadArgument, format!("`{}` does not take this", self.name))
                    .label(reader.trimmed(part), format!("{what} stand here"))
                    .help(format!("for example `{}`", strategies::example(self.name))),
            );
        }
        self.rest.is_empty().then_some(())
    }

    fn incomplete(&self, message: &str) -> Diagnostic {
        Diagnostic::new(Code::IncompleteStrategy, message)
            .label(self.span, "something is missing, or too much")
            .help(format!("for example `{}`", strategies::example(self.name)))
    }
}

/// Looks into the argument: `95 a/b` is weighted, everything else is not an arm.
fn arms_of<'i>(arguments: impl Iterator<Item = Pair<'i, Rule>>) -> impl Iterator<Item = Pair<'i, Rule>> {
    arguments.filter_map(|argument| argument.into_inner().next())
}
