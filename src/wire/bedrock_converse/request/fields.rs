//! `additionalModelRequestFields`: what Converse does not model, in the words of the model's vendor. What the hub knows is
//! taken out and put back in the same place; the objects that held it stay, be they empty, and tell where that was.

use std::borrow::Cow;

use serde_json::Number;
use serde_json::value::RawValue;

use crate::wire::ir::{ReasoningEffort, ReasoningRequest, Sampling};
use crate::wire::{json, pointer};

/// Where a value may stand: the first object that is there has it. The empty name is the outermost one.
type Places = &'static [(&'static str, &'static str)];

const TOP_K: Places = &[("inferenceConfig", "topK"), ("", "top_k")];
const SEED: Places = &[("", "seed")];
const FREQUENCY_PENALTY: Places = &[("", "frequency_penalty")];
const PRESENCE_PENALTY: Places = &[("", "presence_penalty")];
const EFFORT: Places =
    &[("output_config", "effort"), ("reasoningConfig", "maxReasoningEffort"), ("", "reasoning_effort")];
/// Claude's thinking, and the name it had with Claude 3.7.
const KIND: Places = &[("thinking", "type"), ("reasoning_config", "type")];
const BUDGET: Places = &[("thinking", "budget_tokens"), ("reasoning_config", "budget_tokens")];
const DISPLAY: Places = &[("thinking", "display"), ("reasoning_config", "display")];

/// A document of fields under edit.
struct Fields(String);

impl Fields {
    fn place(&self, places: Places) -> Option<Vec<Cow<'static, str>>> {
        places.iter().find_map(|(container, member)| {
            if container.is_empty() {
                return Some(vec![Cow::Borrowed(*member)]);
            }
            let inside = pointer::get(&self.0, &[Cow::Borrowed(*container)])?;
            inside.starts_with('{').then(|| vec![Cow::Borrowed(*container), Cow::Borrowed(*member)])
        })
    }

    fn peek<T>(&self, places: Places, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        read(pointer::get(&self.0, &self.place(places)?)?)
    }

    fn take<T>(&mut self, places: Places, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.peek(places, read)?;
        self.0 = pointer::remove(&self.0, &self.place(places)?).ok()?;
        Some(value)
    }

    fn set(&mut self, places: Places, value: Option<impl serde::Serialize>) {
        let (Some(value), Some(place)) = (value, self.place(places)) else { return };
        let mut text = Vec::new();
        json::write(&value, &mut text);
        // A place is a member of an object that is there.
        if let Ok(edited) = pointer::set(&self.0, &place, &String::from_utf8_lossy(&text)) {
            self.0 = edited;
        }
    }
}

fn number(text: &str) -> Option<Number> {
    serde_json::from_str(text).ok()
}

fn word(text: &str) -> Option<String> {
    json::string(text).map(Cow::into_owned)
}

/// Takes from `given` what the hub knows; returns the rest, which is written back. `effort`: already given elsewhere.
pub(super) fn decode(
    given: &RawValue,
    sampling: &mut Sampling,
    outer: Option<ReasoningEffort>,
) -> (Option<ReasoningRequest>, Box<RawValue>) {
    let mut fields = Fields(given.get().to_owned());
    if json::kind(given) != json::Kind::Object {
        return (of_effort(outer), given.to_owned());
    }
    sampling.top_k = fields.take(TOP_K, number);
    sampling.seed = fields.take(SEED, number);
    sampling.frequency_penalty = fields.take(FREQUENCY_PENALTY, number);
    sampling.presence_penalty = fields.take(PRESENCE_PENALTY, number);
    let reasoning = reasoning(&mut fields, outer);
    let rest = json::raw(fields.0).unwrap_or_else(|| given.to_owned());
    (reasoning, rest)
}

pub(super) fn of_effort(effort: Option<ReasoningEffort>) -> Option<ReasoningRequest> {
    effort.map(|effort| ReasoningRequest { effort: Some(effort), ..ReasoningRequest::default() })
}

fn reasoning(fields: &mut Fields, outer: Option<ReasoningEffort>) -> Option<ReasoningRequest> {
    let thinks = fields.place(KIND).is_some();
    // "No effort" beside `thinking` would be written as its type; it stays where it is.
    let effort_of = |text: &str| {
        ReasoningEffort::from_word(&word(text)?).filter(|effort| !thinks || *effort != ReasoningEffort::None)
    };
    let mut effort = outer.or_else(|| fields.take(EFFORT, effort_of));
    let whole = |text: &str| serde_json::from_str::<u64>(text).ok().and_then(|tokens| i64::try_from(tokens).ok());
    let budget = match fields.peek(KIND, word).as_deref() {
        Some("enabled") => {
            let budget = fields.take(BUDGET, whole);
            budget.inspect(|_| {
                fields.take(KIND, word);
            })
        }
        Some("adaptive") => fields.take(KIND, word).map(|_| -1),
        Some("disabled") if effort.is_none() => {
            fields.take(KIND, word);
            effort = Some(ReasoningEffort::None);
            None
        }
        Some(_) | None => None,
    };
    let shown = |text: &str| match word(text)?.as_str() {
        "summarized" => Some(true),
        "omitted" => Some(false),
        _ => None,
    };
    let include = fields.take(DISPLAY, shown);
    let any = effort.is_some() || budget.is_some() || include.is_some();
    any.then(|| ReasoningRequest { effort, budget, include, ..ReasoningRequest::default() })
}

/// What [`decode`] was given. `outer`: the effort is written elsewhere.
pub(super) fn encode(
    rest: &RawValue,
    sampling: &Sampling,
    reasoning: Option<&ReasoningRequest>,
    outer: bool,
) -> String {
    let mut fields = Fields(rest.get().to_owned());
    if json::kind(rest) != json::Kind::Object {
        return fields.0;
    }
    fields.set(TOP_K, sampling.top_k.as_ref());
    fields.set(SEED, sampling.seed.as_ref());
    fields.set(FREQUENCY_PENALTY, sampling.frequency_penalty.as_ref());
    fields.set(PRESENCE_PENALTY, sampling.presence_penalty.as_ref());
    let Some(ReasoningRequest { effort, budget, include, .. }) = reasoning else { return fields.0 };
    match (budget, effort) {
        (Some(budget), _) if *budget >= 0 => {
            fields.set(KIND, Some("enabled"));
            fields.set(BUDGET, Some(budget));
        }
        (Some(_), _) => fields.set(KIND, Some("adaptive")),
        (None, Some(ReasoningEffort::None)) if !outer && fields.place(KIND).is_some() => {
            fields.set(KIND, Some("disabled"));
            fields.set(DISPLAY, include.map(display));
            return fields.0;
        }
        (None, _) => {}
    }
    fields.set(DISPLAY, include.map(display));
    if !outer {
        fields.set(EFFORT, effort.map(ReasoningEffort::word));
    }
    fields.0
}

/// As [`encode`], with thinking switched off.
pub(super) fn encode_without_thinking(rest: &RawValue, sampling: &Sampling) -> String {
    let mut fields = Fields(encode(rest, sampling, None, false));
    fields.set(KIND, Some("disabled"));
    fields.0
}

fn display(include: bool) -> &'static str {
    if include { "summarized" } else { "omitted" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_and_mean_something() {
        for (given, rest, top_k, effort, budget) in [
            (r#"{"top_k":7,"a":[1]}"#, r#"{"a":[1]}"#, true, None, None),
            (r#"{"inferenceConfig":{"topK":7}}"#, r#"{"inferenceConfig":{}}"#, true, None, None),
            (r#"{"thinking":{"type":"enabled","budget_tokens":2048}}"#, r#"{"thinking":{}}"#, false, None, Some(2048)),
            (
                r#"{"reasoning_config":{"type":"enabled","budget_tokens":1}}"#,
                r#"{"reasoning_config":{}}"#,
                false,
                None,
                Some(1),
            ),
            (r#"{"thinking":{"type":"disabled"}}"#, r#"{"thinking":{}}"#, false, Some(ReasoningEffort::None), None),
            (
                r#"{"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max"}}"#,
                r#"{"thinking":{},"output_config":{}}"#,
                false,
                Some(ReasoningEffort::Max),
                Some(-1),
            ),
            (r#"{"reasoning_effort":"high"}"#, "{}", false, Some(ReasoningEffort::High), None),
            (
                r#"{"thinking":{"type":"enabled"},"reasoning_effort":"none"}"#,
                r#"{"thinking":{"type":"enabled"},"reasoning_effort":"none"}"#,
                false,
                None,
                None,
            ),
            ("[1]", "[1]", false, None, None),
        ] {
            let mut sampling = Sampling::default();
            let (reasoning, left) = decode(&json::raw(given).unwrap(), &mut sampling, None);
            assert_eq!(left.get(), rest, "{given}");
            let meant = reasoning.as_ref().map_or((None, None), |reasoning| (reasoning.effort, reasoning.budget));
            assert_eq!((sampling.top_k.is_some(), meant), (top_k, (effort, budget)), "{given}");
            let [back, before]: [serde_json::Value; 2] = [&encode(&left, &sampling, reasoning.as_ref(), false), given]
                .map(|text| serde_json::from_str(text).unwrap());
            assert_eq!(back, before);
        }
    }
}
