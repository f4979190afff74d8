//! Which facts of a request its record holds: those that rules may ask for and that are no other field of it. With them a
//! record can be decided again, by another file, without the request.
//!
//! A fact that lies inside the conversation is there if somebody has read the conversation: a rule that asked for one, or
//! an access log that wants all facts.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::record::{self, Fact, MOST};
use crate::rule::facts::SECRET_HEADERS;
use crate::rule::predicate::{Atom, Predicate};
use crate::rule::{Facts, FlagFact, NumberFact, OutputKind, ReasoningLevel, TextFact};
use crate::table::{RouteNode, RoutingTable};

/// Longest text of a fact. A longer one is left out: a part of it would not be the fact.
const LONGEST: usize = 512;

/// The facts with parameters that a table names: `header(...)`, `tag(...)`, `tool(...)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// With the names that the record gives them.
    texts: Vec<(Cow<'static, str>, TextFact)>,
    /// Those that lie inside the conversation.
    inside: Vec<(Cow<'static, str>, Inside)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Inside {
    Text(TextFact),
    Flag(FlagFact),
}

impl Named {
    /// What the rules and the sticky splits of `table` name.
    pub fn of(table: &RoutingTable) -> Named {
        let mut found = Found::default();
        for rule in &table.rules {
            found.predicate(&rule.when);
        }
        for route in &table.routes {
            found.node(&route.node);
        }
        let header = |name: Box<str>| (format!("header({name})").into(), TextFact::Header(name));
        let episode = found.episode.then_some((Cow::Borrowed("episode"), TextFact::Episode));
        let tag = |name: Box<str>| (format!("tag({name})").into(), Inside::Text(TextFact::Tag(name)));
        let tool = |name: Box<str>| (format!("tool({name})").into(), Inside::Flag(FlagFact::Tool(name)));
        let headers = found.headers.into_iter().filter(|name| !SECRET_HEADERS.contains(&&**name));
        Named {
            texts: headers.take(MOST).map(header).chain(episode).collect(),
            inside: found.tags.into_iter().map(tag).chain(found.tools.into_iter().map(tool)).take(MOST).collect(),
        }
    }

    /// The facts of a request; those inside the conversation only where it is `read`.
    pub fn of_request(&self, facts: &dyn Facts, read: bool) -> record::Known {
        let mut all = record::Known::new();
        for (name, fact) in [("user", TextFact::User), ("session", TextFact::Session)] {
            if let Some(value) = text(facts, &fact) {
                all.push((Cow::Borrowed(name), value));
            }
        }
        for (name, fact) in &self.texts {
            if let Some(value) = text(facts, fact) {
                all.push((name.clone(), value));
            }
        }
        if read {
            all.extend(NUMBERS.iter().map(|(name, fact)| (Cow::Borrowed(*name), Fact::Number(facts.number(*fact)))));
            all.push(("output".into(), Fact::Text(output(facts.output()).into())));
            all.push(("reasoning".into(), Fact::Text(reasoning(facts.reasoning()).into())));
            all.extend(known(("last_tool".into(), text(facts, &TextFact::LastTool))));
            let value = |inside: &Inside| match inside {
                Inside::Text(fact) => text(facts, fact),
                Inside::Flag(fact) => Some(Fact::Flag(facts.flag(fact))),
            };
            all.extend(self.inside.iter().map(|(name, inside)| (name.clone(), value(inside))).filter_map(known));
        }
        all
    }
}

fn known((name, value): (Cow<'static, str>, Option<Fact>)) -> Option<(Cow<'static, str>, Fact)> {
    Some((name, value?))
}

/// `None` where the text is too long to be kept.
fn text(facts: &dyn Facts, fact: &TextFact) -> Option<Fact> {
    match facts.text(fact) {
        None => Some(Fact::Absent),
        Some(text) if text.len() <= LONGEST => Some(Fact::Text((*text).into())),
        Some(_) => None,
    }
}

/// Numbers inside the conversation, by their names in rules.
const NUMBERS: [(&str, NumberFact); 7] = [
    ("tools", NumberFact::Tools),
    ("images", NumberFact::Images),
    ("files", NumberFact::Files),
    ("audio", NumberFact::Audio),
    ("messages", NumberFact::Messages),
    ("input_tokens", NumberFact::InputTokens),
    ("max_tokens", NumberFact::MaxTokens),
];

/// The word for it in rules.
fn output(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::Text => "text",
        OutputKind::Json => "json",
        OutputKind::Schema => "schema",
    }
}

/// The word for it in rules.
fn reasoning(level: ReasoningLevel) -> &'static str {
    match level {
        ReasoningLevel::None => "none",
        ReasoningLevel::Minimal => "minimal",
        ReasoningLevel::Low => "low",
        ReasoningLevel::Medium => "medium",
        ReasoningLevel::High => "high",
        ReasoningLevel::Max => "max",
    }
}

/// Parameters of facts, collected.
#[derive(Default)]
struct Found {
    headers: BTreeSet<Box<str>>,
    tags: BTreeSet<Box<str>>,
    tools: BTreeSet<Box<str>>,
    /// `episode` is asked for.
    episode: bool,
}

impl Found {
    fn predicate(&mut self, predicate: &Predicate) {
        match predicate {
            Predicate::Always => {}
            Predicate::All(parts) | Predicate::Any(parts) => parts.iter().for_each(|part| self.predicate(part)),
            Predicate::Not(inner) => self.predicate(inner),
            Predicate::Atom(Atom::Text { fact, .. }) => self.text(fact),
            Predicate::Atom(Atom::Flag(FlagFact::Tool(name))) => drop(self.tools.insert(name.clone())),
            Predicate::Atom(Atom::Flag(FlagFact::Stream) | Atom::Value { .. }) => {}
        }
    }

    fn text(&mut self, fact: &TextFact) {
        match fact {
            TextFact::Header(name) => drop(self.headers.insert(name.clone())),
            TextFact::Tag(name) => drop(self.tags.insert(name.clone())),
            TextFact::Episode => self.episode = true,
            TextFact::Model
            | TextFact::User
            | TextFact::Session
            | TextFact::LastTool
            | TextFact::Key
            | TextFact::KeyAttribute(_) => {}
        }
    }

    fn node(&mut self, node: &RouteNode) {
        if let RouteNode::Split { sticky, .. } = node {
            sticky.iter().for_each(|fact| self.text(fact));
        }
        node.parts().for_each(|part| self.node(part));
    }
}
