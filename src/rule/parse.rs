//! From text to [`ast`](super::ast). This file and `words` alone name pest.
//!
//! Each rule is parsed by itself, so that one bad rule does not hide the next. Nesting is bounded before the parser sees
//! the text: its recursion cannot overflow the stack.

mod slip;
pub mod words;

use std::ops::Range;

use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::{Pair, Pairs};

use super::ast::{Check, Condition, Expression, FactName, Literal, Parameter, Rule as RuleAst, Test};
use super::predicate::Comparison;
use super::strategies::{self, Choice};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{Span, Spanned};

#[derive(pest_derive::Parser)]
#[grammar = "grammar/rule.pest"]
struct Grammar;

/// Where a range of the text lies in its source. Block scalars and escapes make this more than an addition.
pub type Place<'p> = &'p dyn Fn(Range<usize>) -> Span;

/// Parentheses and brackets may nest this deep.
const DEPTH: usize = 64;

/// Reads one rule.
pub fn rule(text: &str, place: Place<'_>, diagnostics: &mut Diagnostics) -> Option<RuleAst> {
    let reader = Reader { place };
    let pair = reader.parse(Rule::rule, text, diagnostics)?;
    reader.rule(pair, diagnostics)
}

/// Reads one target expression.
pub fn route(text: &str, place: Place<'_>, diagnostics: &mut Diagnostics) -> Option<Expression> {
    let reader = Reader { place };
    let pair = reader.parse(Rule::route, text, diagnostics)?;
    reader.expression(pair.into_inner().next()?, diagnostics)
}

/// Reads a condition alone.
pub fn condition(text: &str, place: Place<'_>, diagnostics: &mut Diagnostics) -> Option<Condition> {
    let reader = Reader { place };
    let pair = reader.parse(Rule::test_condition, text, diagnostics)?;
    reader.condition(pair.into_inner().next()?, diagnostics)
}

/// The greatest weight of an arm: sums of weights stay exact enough.
const HEAVIEST: f64 = 1e9;

struct Reader<'p> {
    place: Place<'p>,
}

impl Reader<'_> {
    fn parse<'i>(&self, entry: Rule, text: &'i str, diagnostics: &mut Diagnostics) -> Option<Pair<'i, Rule>> {
        if let Some(at) = too_deep(text) {
            diagnostics.push(
                Diagnostic::new(Code::NestingTooDeep, format!("parentheses nest deeper than {DEPTH} levels"))
                    .label((self.place)(at..at + 1), "this one is too many")
                    .help("name the inner part as a preset, or write the condition with fewer parentheses"),
            );
            return None;
        }
        match Grammar::parse(entry, text) {
            Ok(mut pairs) => pairs.next(),
            Err(error) => {
                diagnostics.push(self.syntax(entry, text, &error));
                None
            }
        }
    }

    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let span = pair.as_span();
        (self.place)(span.start()..span.end())
    }

    fn spanned(&self, pair: &Pair<'_, Rule>) -> Spanned<String> {
        Spanned::new(pair.as_str().to_owned(), self.span(pair))
    }

    // === rules

    fn rule(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<RuleAst> {
        let clause = pair.into_inner().next()?;
        let span = self.trimmed(&clause);
        let is_when = clause.as_rule() == Rule::when_clause;
        let mut inner = clause.into_inner();
        let word = inner.next()?;
        if !is_when {
            let when_span = self.span(&word);
            return Some(RuleAst { when: None, then: self.last_expression(inner, diagnostics)?, span, when_span });
        }
        let condition = inner.next()?;
        let when_span = self.trimmed(&condition);
        let when = self.condition(condition, diagnostics);
        let then = self.last_expression(inner, diagnostics);
        Some(RuleAst { when: Some(when?), then: then?, span, when_span })
    }

    /// A composite pair may end in the blanks and comments that precede what follows it; its last word does not.
    fn trimmed(&self, pair: &Pair<'_, Rule>) -> Span {
        let words = pair.clone().into_inner().flatten().filter(|word| word.clone().into_inner().next().is_none());
        let end = words.map(|word| word.as_span().end()).max().unwrap_or(pair.as_span().end());
        (self.place)(pair.as_span().start()..end)
    }

    fn last_expression(&self, inner: Pairs<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Expression> {
        self.expression(inner.last()?, diagnostics)
    }

    // === conditions

    fn condition(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Condition> {
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

    // === target expressions

    fn expression(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Expression> {
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

    // === syntax errors

    fn syntax(&self, entry: Rule, text: &str, error: &pest::error::Error<Rule>) -> Diagnostic {
        let at = match error.location {
            InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
        };
        let found = word_at(text, at);
        let expected = match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => expected(positives),
            ErrorVariant::CustomError { message } => message.clone(),
        };
        let span = (self.place)(at..at + found.len());
        let message = match found {
            "" => format!("expected {expected}, and the text ends here"),
            found => format!("expected {expected}, found `{found}`"),
        };
        let diagnostic = Diagnostic::new(Code::RuleSyntax, message);
        let positives = match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => positives.as_slice(),
            ErrorVariant::CustomError { .. } => &[],
        };
        if let Some(slip) = slip::slip(text, at, found, positives) {
            let help = format!("did you mean `{}`?", slip.meant.trim_end());
            let place = (self.place)(slip.range);
            return diagnostic.label(place, "here").help(help).fix(place, slip.meant);
        }
        let diagnostic = diagnostic.label(span, "here");
        match (hint(found), text.trim_start()) {
            (Some(help), _) => diagnostic.help(help),
            (None, start) if continues(start) => {
                diagnostic.help("to continue the rule of the line before, indent this line")
            }
            (None, _) if entry == Rule::route => diagnostic.help(
                "a target is `provider/model`, `@preset` or `split(...)`; `a/b > c/d` means: `c/d` where `a/b` fails",
            ),
            (None, _) => diagnostic.help("a rule is `when CONDITION -> TARGET` or `otherwise -> TARGET`"),
        }
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

/// All values, or none; the iterator runs to its end either way, so that every finding is reported.
fn all<T>(parts: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let parts: Vec<Option<T>> = parts.collect();
    parts.into_iter().collect()
}

fn single_or<T>(mut parts: Vec<T>, many: impl FnOnce(Vec<T>) -> T) -> T {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}

/// `4096`, `150k`, `1M`.
pub fn whole_number(text: &str) -> Option<u64> {
    let (digits, factor) = match (text.strip_suffix('k'), text.strip_suffix('M')) {
        (Some(digits), _) => (digits, 1_000),
        (None, Some(digits)) => (digits, 1_000_000),
        (None, None) => (text, 1),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

fn unquoted(text: &str) -> String {
    if let Some(inner) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return inner.to_owned();
    }
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let mut out = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        out.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    out
}

/// Where the nesting of parentheses and brackets exceeds [`DEPTH`], outside quoted texts.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if open == byte || byte == b'\n' => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b'[') => depth += 1,
            (None, b')' | b']') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        if depth > DEPTH {
            return Some(at);
        }
    }
    None
}

/// The text from `at` to the next blank, at most 40 bytes, at a character's border.
fn word_at(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or("");
    let end = rest
        .char_indices()
        .find(|(offset, character)| {
            *offset >= 40 || (*offset > 0 && (character.is_whitespace() || "()[],".contains(*character)))
        })
        .map_or(rest.len(), |(offset, _)| offset);
    rest.get(..end).unwrap_or("").trim_end()
}

fn hint(found: &str) -> Option<&'static str> {
    match found {
        "=~" => Some("write `~`; the pattern is a text in which `*` stands for anything"),
        _ if found.starts_with(['"', '\'']) => {
            Some("the quote is not closed; a text ends on its line, with the quote it began with")
        }
        _ if found.starts_with('/') => Some("there are no regular expressions; `~ \"gpt-4*\"` compares with a pattern"),
        _ if found.starts_with("->") => Some("something is missing before `->`"),
        _ => None,
    }
}

/// A line that can only be the continuation of a rule.
fn continues(line: &str) -> bool {
    ["->", "and ", "or ", ">"].iter().any(|start| line.starts_with(start))
}

/// "`->`, `and` or `or`".
fn expected(rules: &[Rule]) -> String {
    let mut names: Vec<&str> = rules.iter().filter_map(|expected| to_symbol(*expected)).collect();
    names.sort_unstable();
    names.dedup();
    match names.split_last() {
        None => "something else".to_owned(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// What a message calls a rule of the grammar; `None` for what is never expected by itself.
fn to_symbol(expected: Rule) -> Option<&'static str> {
    Some(match expected {
        Rule::WHITESPACE
        | Rule::COMMENT
        | Rule::reserved
        | Rule::quoted_name
        | Rule::name_char
        | Rule::preset_char
        | Rule::target_char => {
            return None;
        }
        Rule::EOI => "the end of the rule",
        Rule::rule | Rule::when_clause | Rule::otherwise_clause => "`when` or `otherwise`",
        Rule::route | Rule::expression | Rule::target_atom | Rule::parenthesis | Rule::target => "a target",
        Rule::test_condition | Rule::condition | Rule::conjunction | Rule::negation | Rule::group | Rule::presence => {
            "a condition"
        }
        Rule::comparison | Rule::fact | Rule::name => "a fact",
        Rule::absence => "`is absent`",
        Rule::membership => "`in`",
        Rule::likeness | Rule::like => "`~`",
        Rule::relation | Rule::operator => "a comparison",
        Rule::parameter => "`(`",
        Rule::bare | Rule::string => "a quoted text",
        Rule::list | Rule::list_open => "`[`",
        Rule::literal | Rule::number | Rule::word => "a value",
        Rule::as_requested => "`as requested`",
        Rule::deny | Rule::kw_deny => "`deny`",
        Rule::call | Rule::strategy => "a strategy",
        Rule::argument => "an argument",
        Rule::weighted | Rule::weight => "a weight",
        Rule::timing | Rule::kw_timing => "`after`",
        Rule::amount => "an amount",
        Rule::mirror | Rule::kw_mirror => "`mirror`",
        Rule::status => "a status",
        Rule::preset => "`@preset`",
        Rule::kw_when => "`when`",
        Rule::kw_otherwise => "`otherwise`",
        Rule::kw_and => "`and`",
        Rule::kw_or => "`or`",
        Rule::kw_not => "`not`",
        Rule::kw_has => "`has`",
        Rule::kw_is => "`is absent`",
        Rule::kw_absent => "`absent`",
        Rule::kw_in => "`in`",
        Rule::arrow => "`->`",
        Rule::fallback => "`>`",
        Rule::open => "`(`",
        Rule::close => "`)`",
        Rule::list_close => "`]`",
        Rule::comma => "`,`",
    })
}
