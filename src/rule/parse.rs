//! From text to [`ast`](super::ast). This folder alone names pest.
//!
//! Each rule is parsed by itself, so that one bad rule does not hide the next. Its length and its nesting are bounded before
//! the parser sees the text: what the parser keeps of one rule stays small, and its recursion cannot overflow the stack.

mod condition;
mod hint;
mod route;
mod slip;
mod syntax;
pub mod words;

use std::ops::Range;

use pest::Parser;
use pest::iterators::Pair;

use super::ast::{Condition, Expression, Rule as RuleAst};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{Span, Spanned};

#[derive(pest_derive::Parser)]
#[grammar = "grammar/rule.pest"]
struct Grammar;

/// Where a range of the text lies in its source. Block scalars and escapes make this more than an addition.
pub type Place<'p> = &'p dyn Fn(Range<usize>) -> Span;

/// Parentheses and brackets may nest this deep.
const DEPTH: usize = 64;

/// Bytes of one rule or target expression. The parser keeps up to 130 times as much while it reads; a list of two thousand
/// users is a quarter of this.
pub const LONGEST: usize = 64 << 10;

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

struct Reader<'p> {
    place: Place<'p>,
}

impl Reader<'_> {
    fn parse<'i>(&self, entry: Rule, text: &'i str, diagnostics: &mut Diagnostics) -> Option<Pair<'i, Rule>> {
        if let Some(refusal) = self.too_large(text) {
            diagnostics.push(refusal);
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

    /// Why the parser is not to see this text.
    fn too_large(&self, text: &str) -> Option<Diagnostic> {
        if let Some(at) = too_deep(text) {
            return Some(
                Diagnostic::new(Code::NestingTooDeep, format!("parentheses nest deeper than {DEPTH} levels"))
                    .label((self.place)(at..at + 1), "this one is too many")
                    .help("name the inner part as a preset, or write the condition with fewer parentheses"),
            );
        }
        let end = text.floor_char_boundary(LONGEST);
        let too_much = text.get(end..)?.chars().next()?;
        Some(
            Diagnostic::new(
                Code::RuleTooLong,
                format!("this has {} KiB, and a rule or route may have {}", text.len().div_ceil(1024), LONGEST >> 10),
            )
            .label((self.place)(end..end + too_much.len_utf8()), "from here on it is too much")
            .help(
                "make several rules of it, or ask for something that these requests share: a header, a tag, an attribute of \
                 their keys",
            ),
        )
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
