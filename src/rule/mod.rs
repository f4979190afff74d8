//! The rule language: conditions over the facts of a request, and what they lead to.
//!
//! parse (pest) → AST with names → resolve and type-check → [`predicate::Predicate`]. Pure; evaluation allocates nothing
//! and never fails.

pub mod analysis;
pub mod ast;
pub mod compile;
pub mod curl;
pub mod facts;
pub mod lines;
pub mod parse;
pub mod predicate;
pub mod request;
pub mod strategies;
mod types;

use std::borrow::Cow;

use crate::wire::ProtocolId;

/// What a rule may know of a request. Implementations compute lazily: a fact that no rule asks for costs nothing.
///
/// Absent texts are `None`; a comparison with them is false and its negation true.
pub trait Facts {
    /// The name the caller asked for.
    fn model(&self) -> &str;
    fn protocol(&self) -> ProtocolId;
    /// The endpoint is one for embeddings; the fact `protocol` is then `embeddings`.
    fn embeddings(&self) -> bool;
    fn text(&self, fact: &TextFact) -> Option<Cow<'_, str>>;
    fn number(&self, fact: NumberFact) -> u64;
    fn flag(&self, fact: &FlagFact) -> bool;
    /// Calls `each` with the name of every tool for which [`FlagFact::Tool`] holds. `false`: not all of them are known, and
    /// they are to be asked for by name.
    fn offered(&self, each: &mut dyn FnMut(&str)) -> bool;
    fn output(&self) -> OutputKind;
    fn reasoning(&self) -> ReasoningLevel;
    /// 0 to 99, stable for one user, session or request id under one salt.
    fn bucket(&self, salt: &str) -> u8;
}

/// Facts that are texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextFact {
    Model,
    User,
    Session,
    /// The episode: calls that belong to one course of events.
    Episode,
    LastTool,
    /// The id of the client key.
    Key,
    /// `key.team`, `key.<attr>`.
    KeyAttribute(Box<str>),
    /// Lower case.
    Header(Box<str>),
    Tag(Box<str>),
}

/// Facts that are whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NumberFact {
    Tools,
    Images,
    Files,
    Audio,
    Messages,
    InputTokens,
    MaxTokens,
    /// 0 to 23, in the file's time zone.
    Hour,
    /// 0 is Monday.
    Weekday,
}

/// Facts that hold or do not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FlagFact {
    Stream,
    /// This tool is offered.
    Tool(Box<str>),
}

/// The form of the answer that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutputKind {
    Text,
    Json,
    Schema,
}

impl OutputKind {
    /// The kind at this position of [`facts::OUTPUT`].
    pub(crate) fn at(position: u64) -> OutputKind {
        [OutputKind::Json, OutputKind::Schema]
            .into_iter()
            .find(|kind| *kind as u64 == position)
            .unwrap_or(OutputKind::Text)
    }
}

/// How much reasoning was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReasoningLevel {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Max,
}

impl ReasoningLevel {
    /// The level at this position of [`facts::REASONING`].
    pub(crate) fn at(position: u64) -> ReasoningLevel {
        use ReasoningLevel::{High, Low, Max, Medium, Minimal, None};
        [Minimal, Low, Medium, High, Max].into_iter().find(|level| *level as u64 == position).unwrap_or(None)
    }
}
