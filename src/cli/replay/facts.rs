//! The facts of a recorded call. What the record does not say is noticed, and never guessed.

use std::borrow::Cow;
use std::sync::OnceLock;

use serde_json::Value;

use super::call::Call;
use crate::rule::{Facts, FlagFact, NumberFact, OutputKind, ReasoningLevel, TextFact, facts};
use crate::table::facts::{hour, weekday};
use crate::table::{ClientKey, RoutingTable};
use crate::wire::ProtocolId;

pub(super) struct Recorded<'c> {
    call: &'c Call,
    model: &'c str,
    /// As the table that decides knows it.
    key: Option<&'c ClientKey>,
    utc_offset: i32,
    /// The first fact that was asked for and is not in the record.
    missed: OnceLock<String>,
}

impl<'c> Recorded<'c> {
    pub(super) fn new(call: &'c Call, model: &'c str, table: &'c RoutingTable) -> Recorded<'c> {
        let key = call.key.as_deref().and_then(|id| table.keys.iter().find(|key| *key.id == *id));
        Recorded { call, model, key, utc_offset: table.utc_offset, missed: OnceLock::new() }
    }

    /// The caller's key, as the table that decides knows it.
    pub(super) fn key(&self) -> Option<&'c ClientKey> {
        self.key
    }

    /// The fact because of which the decision means nothing.
    pub(super) fn missed(&self) -> Option<String> {
        self.missed.get().cloned()
    }

    fn miss(&self, name: &str) {
        self.missed.get_or_init(|| name.to_owned());
    }

    /// The recorded value; `None` is noticed.
    fn value(&self, name: &str) -> Option<&'c Value> {
        let value = self.call.facts.get(name);
        if value.is_none() {
            self.miss(name);
        }
        value
    }

    fn recorded(&self, name: &str) -> Option<Cow<'_, str>> {
        self.value(name).and_then(Value::as_str).map(Cow::Borrowed)
    }

    fn count(&self, name: &str) -> u64 {
        self.value(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// The position of the recorded word.
    fn word(&self, name: &str, words: facts::Words) -> u64 {
        let word = self.value(name).and_then(Value::as_str);
        word.and_then(|word| words.list.iter().position(|known| *known == word)).unwrap_or(0) as u64
    }

    /// Seconds on the file's clock.
    fn local(&self, fact: &str) -> u64 {
        let Some(seconds) = self.call.seconds() else {
            self.miss(fact);
            return 0;
        };
        seconds.saturating_add_signed(i64::from(self.utc_offset) * 60)
    }
}

impl Facts for Recorded<'_> {
    fn model(&self) -> &str {
        self.model
    }

    fn protocol(&self) -> ProtocolId {
        self.call.protocol()
    }

    fn embeddings(&self) -> bool {
        self.call.operation == "embed"
    }

    fn text(&self, fact: &TextFact) -> Option<Cow<'_, str>> {
        match fact {
            TextFact::Model => Some(Cow::Borrowed(self.model)),
            TextFact::User => self.recorded("user"),
            TextFact::Session => self.recorded("session"),
            TextFact::Episode => self.recorded("episode"),
            TextFact::LastTool => self.recorded("last_tool"),
            TextFact::Key => self.key.map(|key| Cow::Borrowed(&*key.id)),
            TextFact::KeyAttribute(name) => {
                self.key.and_then(|key| key.attributes.get(name)).map(|text| Cow::Borrowed(&**text))
            }
            TextFact::Header(name) => self.recorded(&format!("header({name})")),
            TextFact::Tag(name) => match self.call.tags.get(&**name) {
                Some(tag) => Some(Cow::Borrowed(tag)),
                None => self.recorded(&format!("tag({name})")),
            },
        }
    }

    fn number(&self, fact: NumberFact) -> u64 {
        match fact {
            NumberFact::Tools => self.count("tools"),
            NumberFact::Images => self.count("images"),
            NumberFact::Files => self.count("files"),
            NumberFact::Audio => self.count("audio"),
            NumberFact::Messages => self.count("messages"),
            NumberFact::InputTokens => self.count("input_tokens"),
            NumberFact::MaxTokens => self.count("max_tokens"),
            NumberFact::Hour => hour(self.local("hour")),
            NumberFact::Weekday => weekday(self.local("weekday")),
        }
    }

    fn flag(&self, fact: &FlagFact) -> bool {
        match fact {
            FlagFact::Stream => self.call.stream,
            // Where no tool is offered, this one is not.
            FlagFact::Tool(_) if self.call.facts.get("tools").and_then(Value::as_u64) == Some(0) => false,
            FlagFact::Tool(name) => self.value(&format!("tool({name})")).and_then(Value::as_bool).unwrap_or(false),
        }
    }

    /// A record knows of the tools that the rules of its time named.
    fn offered(&self, _: &mut dyn FnMut(&str)) -> bool {
        self.call.facts.get("tools").and_then(Value::as_u64) == Some(0)
    }

    fn output(&self) -> OutputKind {
        OutputKind::at(self.word("output", facts::OUTPUT))
    }

    fn reasoning(&self) -> ReasoningLevel {
        ReasoningLevel::at(self.word("reasoning", facts::REASONING))
    }

    fn bucket(&self, salt: &str) -> u8 {
        let subject = self.text(&TextFact::User).or_else(|| self.text(&TextFact::Session));
        facts::bucket(salt, &subject.unwrap_or(Cow::Borrowed(&self.call.request_id)))
    }
}
