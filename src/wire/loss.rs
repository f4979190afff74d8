//! The loss ledger: what a translation could not carry as it was. Never silent.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use super::ir::{FinishReason, Scope, Usage};
use super::usage_left;

/// What became of a field that the target cannot express as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Reached by other means with the same meaning.
    Emulated,
    /// Carried with less than its full meaning.
    Degraded,
    /// Not carried.
    Dropped,
}

impl Effect {
    /// In headers and logs.
    pub fn word(self) -> &'static str {
        match self {
            Effect::Emulated => "emulated",
            Effect::Degraded => "degraded",
            Effect::Dropped => "dropped",
        }
    }

    /// The target does not get all that the caller meant.
    pub fn loses_meaning(self) -> bool {
        match self {
            Effect::Emulated => false,
            Effect::Degraded | Effect::Dropped => true,
        }
    }
}

/// One field that was not carried as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Path of the field in the caller's document, array positions left out: `messages.content.cache_control`.
    pub field: Cow<'static, str>,
    pub effect: Effect,
    /// Why, and what was done instead; lower case, no full stop.
    pub reason: Cow<'static, str>,
}

/// Most losses that are kept. Members that nobody knows are as many as the caller likes, and nobody reads a list of that
/// length.
const MOST: usize = 256;

/// The losses of one translation, each (field, effect) once; no more than 256.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Losses(Vec<Loss>);

/// Members of Google's parts that stand beside the one that says what a part is.
const BESIDE: [&str; 5] = ["thought", "thoughtSignature", "thought_signature", "partMetadata", "part_metadata"];

impl Losses {
    pub fn emulated(&mut self, field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) {
        self.add(field.into(), Effect::Emulated, reason.into());
    }

    pub fn degraded(&mut self, field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) {
        self.add(field.into(), Effect::Degraded, reason.into());
    }

    pub fn dropped(&mut self, field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) {
        self.add(field.into(), Effect::Dropped, reason.into());
    }

    /// Members that nobody modelled and that the target's protocol therefore cannot carry; `prefix` is the path of their
    /// object with its full stop (`messages.`), or empty. A `null` is no loss: it said nothing.
    pub fn dropped_ext(&mut self, prefix: &str, ext: &super::json::Ext) {
        if ext.get(super::ir::citation::NOTE).is_some() {
            self.dropped(format!("{prefix}citations"), "the target's protocol has no member for it");
        }
        self.dropped_but_citations(prefix, ext);
    }

    /// As [`Losses::dropped_ext`], where the target's encoder tells a text's citations itself.
    pub fn dropped_but_citations(&mut self, prefix: &str, ext: &super::json::Ext) {
        for key in ext.keys() {
            let is_empty = |raw: &RawValue| super::json::says_nothing(raw) || super::json::is_blank(raw);
            // The number of a call of an answer is its place in the list.
            let is_place = prefix == "content." && key == "index";
            if !is_place && !ext.get(key).is_some_and(is_empty) {
                self.dropped(format!("{prefix}{key}"), "the target's protocol has no member for it");
            }
        }
    }

    /// Members of an answer that nobody modelled, where it came in another protocol than the caller's; those of `usage` are
    /// named one by one, and those that count nothing not at all.
    pub fn dropped_extra(&mut self, scope: Scope, ext: &super::json::Ext) {
        let prefix = match scope {
            Scope::Response => "",
            Scope::Candidate(_) => "choices.",
            Scope::Part(_) => "content.",
        };
        if scope != Scope::Response {
            return self.dropped_ext(prefix, ext);
        }
        // When Gemini's answer was made is told where the caller's protocol has a time, as are the times of others.
        let others = ext.0.iter().filter(|(key, _)| key != usage_left::MEMBER && key != "createTime").cloned();
        self.dropped_ext(prefix, &super::json::Ext(others.collect()));
        for path in ext.get(usage_left::MEMBER).map(usage_left::told).unwrap_or_default() {
            self.dropped(path, "the caller's protocol has no such count");
        }
    }

    /// Counts that the caller's protocol has no member for; `said` are those that it has.
    pub fn dropped_counts(&mut self, usage: &Usage, said: &[&str]) {
        for (name, count) in usage.counts() {
            if count.is_some_and(|count| count > 0) && !said.contains(&name) {
                self.dropped(
                    format!("usage.{name}"),
                    "the caller's protocol has no such count; the log and the metrics have it",
                );
            }
        }
    }

    /// A part of a message or an answer that only its origin understands, named by its `type`, or by its first member where
    /// it has none; `list` is where it stands.
    pub fn dropped_part(&mut self, list: &str, part: &RawValue, reason: impl Into<Cow<'static, str>>) {
        let part = super::json::Object::of(part).ok();
        let kind = part.as_ref().and_then(|part| {
            let name = part.get("type").and_then(super::json::str_of);
            let says_what = |key: &str| !BESIDE.contains(&key);
            let members = || part.members().iter().map(|member| &member.key);
            name.or_else(|| members().find(|key| says_what(key)).or_else(|| members().next()).cloned())
        });
        let field = kind.map_or_else(|| list.to_owned(), |kind| format!("{list}.{kind}"));
        self.add(field.into(), Effect::Dropped, reason.into());
    }

    /// A tool that no function of the caller's is; `name` may be empty.
    pub fn dropped_tool(&mut self, name: &str, reason: impl Into<Cow<'static, str>>) {
        let field = if name.is_empty() { "tools".into() } else { format!("tools.{name}").into() };
        self.add(field, Effect::Dropped, reason.into());
    }

    /// The stop text that was met, to a caller whose protocol has no member for it.
    pub fn dropped_stop_sequence(&mut self, finish: &super::ir::Finish) {
        if finish.stop_sequence.is_some() {
            self.dropped("stop_sequence", "the caller's protocol does not tell which stop text was met");
        }
    }

    /// A reason to stop that the caller's protocol has no word for: one of `unsaid`.
    pub fn degraded_finish(&mut self, finish: &super::ir::Finish, unsaid: &[FinishReason]) {
        if unsaid.contains(&finish.reason) {
            let own = finish.raw.as_deref().filter(|_| finish.reason == FinishReason::Other);
            let word = own.unwrap_or_else(|| finish.reason.word());
            self.degraded("finish_reason", format!("the caller's protocol has no word for `{word}`"));
        }
    }

    fn add(&mut self, field: Cow<'static, str>, effect: Effect, reason: Cow<'static, str>) {
        if self.0.len() < MOST && !self.0.iter().any(|known| known.field == field && known.effect == effect) {
            self.0.push(Loss { field, effect, reason });
        }
    }

    pub fn extend(&mut self, other: &Losses) {
        for loss in &other.0 {
            self.add(loss.field.clone(), loss.effect, loss.reason.clone());
        }
    }

    /// The paths of what does not arrive with its full meaning, each once, for people: `` `seed`, `messages.name` and 3 more ``.
    /// Bounded, since some paths hold names of the caller's own. `None` where all meaning arrives.
    pub fn meaning_lost(&self) -> Option<String> {
        const SHOWN: usize = 8;
        const LONGEST: usize = 80;
        let mut fields: Vec<&str> = Vec::new();
        for loss in self.0.iter().filter(|loss| loss.effect.loses_meaning()) {
            if !fields.contains(&&*loss.field) {
                fields.push(&loss.field);
            }
        }
        let shown: Vec<String> = fields
            .iter()
            .take(SHOWN)
            .map(|field| {
                let plain = field.chars().map(|c| if c.is_control() { ' ' } else { c });
                format!("`{}`", plain.take(LONGEST).collect::<String>())
            })
            .collect();
        let more = fields.len().saturating_sub(SHOWN);
        match more {
            _ if shown.is_empty() => None,
            0 => Some(shown.join(", ")),
            _ => Some(format!("{} and {more} more", shown.join(", "))),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.0.iter()
    }
}

/// The form of the header `x-routeplane-losses`: `seed=dropped, messages.name=dropped`.
impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, loss) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{}={}", loss.field, loss.effect.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_meaning_is_told_once_and_bounded() {
        let mut losses = Losses::default();
        losses.emulated("system", "elsewhere");
        assert_eq!(losses.meaning_lost(), None);
        losses.dropped("seed", "no member");
        losses.degraded("seed", "rounded");
        losses.degraded("a\nb", "x");
        assert_eq!(losses.meaning_lost().as_deref(), Some("`seed`, `a b`"));
        for position in 0..1_000 {
            losses.dropped(format!("{position}{}", "\u{e9}".repeat(500)), "x");
        }
        assert_eq!(losses.iter().count(), MOST);
        let text = losses.meaning_lost().unwrap();
        // Eight are shown; `system` has lost nothing, and `seed` is two losses of one field.
        assert!(text.ends_with(&format!(" and {} more", MOST - 8 - 2)), "{text}");
        assert!(text.chars().count() < 700, "{text}");
    }
}
