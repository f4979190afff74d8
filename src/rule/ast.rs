//! Rules and target expressions as written: names, not yet things, each with its place.

use std::fmt;
use std::time::Duration;

use super::predicate::{Comparison, Quoted};
use super::strategies::{After, Choice, Sample};
use crate::source::{Span, Spanned};

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// `None` for `otherwise`.
    pub when: Option<Condition>,
    pub then: Expression,
    /// The whole rule.
    pub span: Span,
    /// The condition, or the word `otherwise`.
    pub when_span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// `has tools`.
    Has(Spanned<String>),
    Test(Test),
}

/// A fact and what is asked of it; without a check it stands for itself (`stream`).
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    pub fact: FactName,
    pub check: Option<Check>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FactName {
    pub name: Spanned<String>,
    pub parameter: Option<Parameter>,
    pub span: Span,
}

/// What stands between the parentheses of a fact.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub text: Spanned<String>,
    pub quoted: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    Compare(Spanned<Comparison>, Spanned<Literal>),
    In { negated: bool, list: Spanned<Vec<Spanned<Literal>>> },
    Like(Spanned<Literal>),
    Absent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// In quotes.
    Text(String),
    Number(u64),
    /// Without quotes: `high`, `sat`, `messages`.
    Word(String),
}

/// A target expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// `provider/model`.
    Target(Spanned<String>),
    /// `@preset`; the name without `@`, the span with it.
    Preset(Spanned<String>),
    Fallback(Vec<Expression>),
    Split {
        arms: Vec<(Spanned<f64>, Expression)>,
        span: Span,
    },
    /// `cheapest(a/b, c/d)` and its like.
    Choose {
        by: Choice,
        members: Vec<Expression>,
        span: Span,
    },
    Hedge {
        first: Box<Expression>,
        second: Box<Expression>,
        after: Spanned<Duration>,
        span: Span,
    },
    Shadow {
        main: Box<Expression>,
        mirror: Box<Expression>,
        /// In hundredths of a percent.
        sample: Spanned<u32>,
        span: Span,
    },
    AsRequested(Span),
    Deny {
        status: Spanned<u16>,
        text: Option<String>,
        span: Span,
    },
}

impl Expression {
    /// Where it begins; for a chain, the place of its first member.
    pub fn span(&self) -> Span {
        match self {
            Expression::Target(name) | Expression::Preset(name) => name.span,
            Expression::Split { span, .. }
            | Expression::Choose { span, .. }
            | Expression::Hedge { span, .. }
            | Expression::Shadow { span, .. }
            | Expression::AsRequested(span)
            | Expression::Deny { span, .. } => *span,
            Expression::Fallback(members) => {
                members.first().map_or(Span::new(crate::source::SourceId(0), 0, 0), Expression::span)
            }
        }
    }
}

/// A preset's name as an expression names it: `@cheap`, `@"my preset"`.
pub struct PresetName<'n>(pub &'n str);

impl fmt::Display for PresetName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') || !c.is_ascii();
        match self.0.chars().all(bare) && !self.0.is_empty() {
            true => write!(f, "@{}", self.0),
            false => write!(f, "@{}", Quoted(self.0)),
        }
    }
}

impl Expression {
    /// The expressions that it is made of, in the order in which they are written.
    pub fn parts(&self) -> Vec<&Expression> {
        match self {
            Expression::Target(_) | Expression::Preset(_) | Expression::AsRequested(_) | Expression::Deny { .. } => {
                Vec::new()
            }
            Expression::Fallback(members) | Expression::Choose { members, .. } => members.iter().collect(),
            Expression::Split { arms, .. } => arms.iter().map(|(_, arm)| arm).collect(),
            Expression::Hedge { first, second, .. } => vec![first, second],
            Expression::Shadow { main, mirror, .. } => vec![main, mirror],
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Target(name) => f.write_str(&name.value),
            Expression::Preset(name) => PresetName(&name.value).fmt(f),
            Expression::Fallback(members) => {
                for (at, member) in members.iter().enumerate() {
                    let separator = if at > 0 { " > " } else { "" };
                    if matches!(member, Expression::Fallback(_)) {
                        write!(f, "{separator}({member})")?;
                    } else {
                        write!(f, "{separator}{member}")?;
                    }
                }
                Ok(())
            }
            Expression::Split { arms, .. } => {
                f.write_str("split(")?;
                for (at, (weight, arm)) in arms.iter().enumerate() {
                    let separator = if at > 0 { ", " } else { "" };
                    write!(f, "{separator}{} {arm}", weight.value)?;
                }
                f.write_str(")")
            }
            Expression::Choose { by, members, .. } => {
                write!(f, "{}(", by.name())?;
                for (at, member) in members.iter().enumerate() {
                    let separator = if at > 0 { ", " } else { "" };
                    write!(f, "{separator}{member}")?;
                }
                f.write_str(")")
            }
            Expression::Hedge { first, second, after, .. } => {
                write!(f, "hedge({first}, {second}, after {})", After(after.value))
            }
            Expression::Shadow { main, mirror, sample, .. } => {
                write!(f, "shadow({main}, mirror {mirror}, sample {})", Sample(sample.value))
            }
            Expression::AsRequested(_) => f.write_str("as requested"),
            Expression::Deny { status, text: None, .. } => write!(f, "deny {}", status.value),
            Expression::Deny { status, text: Some(text), .. } => write!(f, "deny {} {}", status.value, Quoted(text)),
        }
    }
}
