//! The record of one model call: what happened, and what it cost. Plain data; no text of a prompt or an answer is in it.
//!
//! Its JSON is the line of the access log and what `/admin/requests` answers; docs/access-log.md describes it field by
//! field, and a test holds the two together. A field that does not apply, or that nobody knows, is left out.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use compact_str::CompactString;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use super::clock;
use super::content::Content;
use super::inputs::Inputs;
use super::otlp::Trace;
use crate::provider::Server;
use crate::wire::ProtocolId;
use crate::wire::ir::Usage;
use crate::wire::loss::Losses;

/// The version of the JSON form.
pub const VERSION: u32 = 1;

/// Most attempts, skipped targets, losses and tags that one record holds.
pub const MOST: usize = 64;

/// A name in a record: one of at most 24 bytes lies in the record itself. What is in a record is filled by a thread of the
/// request path and freed by another, and each block of memory that goes that way costs the request path several times what
/// one of its own does.
pub type Name = CompactString;

/// The tries of a request, of which there is nearly always one.
pub type Tries = SmallVec<[Tried; 1]>;

/// Facts by their names in rules; most records have the caller's user and session alone.
pub type Known = SmallVec<[(Cow<'static, str>, Fact); 2]>;

/// One model call, at its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    #[serde(rename = "v")]
    pub version: u32,
    /// When the request arrived.
    #[serde(serialize_with = "instant")]
    pub time: SystemTime,
    #[serde(serialize_with = "shared")]
    pub request_id: Arc<str>,
    /// Of the configuration that decided.
    pub generation: u64,
    /// The protocol that the caller speaks.
    pub protocol: ProtocolId,
    /// What was asked for: `generate`, `embed`, ...
    pub operation: &'static str,
    pub stream: bool,
    /// The id of the client key.
    #[serde(serialize_with = "name_or_none", skip_serializing_if = "Option::is_none")]
    pub key: Option<Name>,
    /// The name that the caller asked for.
    #[serde(serialize_with = "name_or_none", skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// The rule that decided, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    #[serde(serialize_with = "shared_or_none", skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<str>>,
    /// The target that answered, or that was tried last.
    #[serde(serialize_with = "shared_or_none", skip_serializing_if = "Option::is_none")]
    pub target: Option<Arc<str>>,
    /// The model that the upstream says answered.
    #[serde(serialize_with = "name_or_none", skip_serializing_if = "Option::is_none")]
    pub response_model: Option<Name>,
    #[serde(serialize_with = "list")]
    pub attempts: Tries,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// Why the model stopped, one for each answer that was asked for, in the upstream's words.
    #[serde(serialize_with = "names", skip_serializing_if = "SmallVec::is_empty")]
    pub finish_reasons: SmallVec<[Name; 1]>,
    /// As the upstream reported it.
    #[serde(serialize_with = "usage", skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What no upstream reported, by estimate.
    #[serde(serialize_with = "usage_apart", skip_serializing_if = "Option::is_none")]
    pub usage_estimated: Option<Box<Usage>>,
    /// Of the reported usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Of the estimated usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_estimated_usd: Option<f64>,
    pub status: u16,
    pub outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    /// Of the request's body, decompressed.
    pub bytes_in: u64,
    /// Of the answer's body.
    pub bytes_out: u64,
    /// Until the targets were known.
    #[serde(rename = "decided_ms", serialize_with = "millis_or_none", skip_serializing_if = "Option::is_none")]
    pub decided: Option<Duration>,
    /// Until the answer's head went to the caller; of a stream that is when its first content was there.
    #[serde(rename = "first_ms", serialize_with = "millis_or_none", skip_serializing_if = "Option::is_none")]
    pub first: Option<Duration>,
    /// Until everything was over.
    #[serde(rename = "total_ms", serialize_with = "millis")]
    pub total: Duration,
    /// Tags that headers set.
    #[serde(serialize_with = "map", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(Box<str>, Box<str>)>,
    /// The facts that rules may ask for and that are no other field, by their names in rules.
    #[serde(serialize_with = "facts", skip_serializing_if = "SmallVec::is_empty")]
    pub facts: Known,
    /// The random number of the decision, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw: Option<f64>,
    /// The answer came from the gateway's cache.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// What else the decision hung on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Box<Inputs>>,
    /// Where traces are exported: the request's place in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
}

/// One try at one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// `provider/model`; in JSON also each for itself.
    #[serde(flatten, serialize_with = "target")]
    pub target: Arc<str>,
    /// Metrics may call the model by its name; else it is one of [`OTHER_MODELS`](super::traffic::OTHER_MODELS).
    #[serde(skip)]
    pub told_apart: bool,
    /// `passthrough`, `translate` or `refused`.
    pub lane: &'static str,
    /// `ok`, or why there was no answer.
    pub cause: &'static str,
    /// Of the upstream's answer, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// From the request's arrival.
    #[serde(rename = "start_ms", serialize_with = "millis")]
    pub start: Duration,
    /// Until the answer's first content, from the request's arrival.
    #[serde(rename = "first_ms", serialize_with = "millis_or_none", skip_serializing_if = "Option::is_none")]
    pub first: Option<Duration>,
    /// From the request's arrival.
    #[serde(rename = "end_ms", serialize_with = "millis_or_none", skip_serializing_if = "Option::is_none")]
    pub end: Option<Duration>,
    /// What the translation could not carry, as in `x-routeplane-losses`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Box<str>>,
    /// What it took by estimate, where nobody waited for its answer.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub left: Option<Box<Charge>>,
    /// The try's own span, where the request is traced.
    #[serde(skip)]
    pub span: u64,
    /// Where it was asked, where the request is sampled and the provider is asked over a network.
    #[serde(skip)]
    pub server: Option<Arc<Server>>,
    /// What was said, where a preset wants that on its spans.
    #[serde(skip)]
    pub content: Option<Arc<Content>>,
}

/// What a request takes that nobody waits for any more: its upstream may have read it, and charge for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Charge {
    #[serde(rename = "usage_estimated", serialize_with = "counts")]
    pub usage: Usage,
    #[serde(rename = "cost_estimated_usd", skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

/// A target that was left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Skipped {
    #[serde(serialize_with = "shared")]
    pub target: Arc<str>,
    pub reason: &'static str,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The caller got a whole answer.
    Ok,
    /// The gateway refused the request before any target was tried.
    Refused,
    /// No target gave an answer.
    Failed,
    /// An error came behind the beginning of a stream.
    BrokeOff,
    /// The caller left before the end.
    CallerLeft,
    /// The gateway stopped, or moved its listener, and the answer took longer than `limits.drain`.
    CutOff,
}

impl Outcome {
    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::BrokeOff => "broke_off",
            Outcome::CallerLeft => "caller_left",
            Outcome::CutOff => "cut_off",
        }
    }
}

/// The error that the caller was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// As in `x-routeplane-code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Box<str>>,
    /// Whose error it is: `gateway` or `upstream`.
    pub origin: &'static str,
}

/// The value of a fact. One that is not in the record is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Fact {
    Absent,
    Text(Box<str>),
    Number(u64),
    Flag(bool),
}

/// What an answer took, and who gave it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Account {
    pub usage: Option<Usage>,
    pub estimated: Option<Usage>,
    pub cost_usd: Option<f64>,
    pub cost_estimated_usd: Option<f64>,
    pub model: Option<Name>,
    pub finish_reasons: SmallVec<[Name; 1]>,
}

impl Tried {
    /// Provider and model, which are looked for in the target's name each time.
    pub fn parts(&self) -> (&str, &str) {
        parts(&self.target)
    }

    /// Who was asked.
    pub fn provider(&self) -> &str {
        self.parts().0
    }

    /// The model, as the upstream knows it.
    pub fn model(&self) -> &str {
        self.parts().1
    }
}

impl Record {
    /// A request that has arrived, and nothing more.
    pub fn new(time: SystemTime, request_id: Arc<str>, generation: u64, protocol: ProtocolId) -> Record {
        Record {
            version: VERSION,
            time,
            request_id,
            generation,
            protocol,
            operation: "generate",
            stream: false,
            key: None,
            model: None,
            rule: None,
            route: None,
            target: None,
            response_model: None,
            attempts: SmallVec::new(),
            skipped: Vec::new(),
            finish_reasons: SmallVec::new(),
            usage: None,
            usage_estimated: None,
            cost_usd: None,
            cost_estimated_usd: None,
            status: 0,
            outcome: Outcome::CallerLeft,
            error: None,
            bytes_in: 0,
            bytes_out: 0,
            decided: None,
            first: None,
            total: Duration::ZERO,
            tags: Vec::new(),
            facts: SmallVec::new(),
            draw: None,
            cached: false,
            inputs: None,
            trace: None,
        }
    }

    /// Takes over what is known of the answer.
    pub fn account(&mut self, account: Account) {
        let Account { usage, estimated, cost_usd, cost_estimated_usd, model, finish_reasons } = account;
        self.usage = usage;
        self.usage_estimated = estimated.map(Box::new);
        self.cost_usd = cost_usd;
        self.cost_estimated_usd = cost_estimated_usd;
        self.response_model = model;
        self.finish_reasons = finish_reasons;
    }

    /// Adds what tries took whose answers nobody waited for.
    pub(super) fn add_left(&mut self) {
        for Charge { usage, cost_usd } in self.attempts.iter().filter_map(|tried| tried.left.as_deref()) {
            let known = self.usage_estimated.get_or_insert_default();
            known.input = known.input.into_iter().chain(usage.input).reduce(u64::saturating_add);
            self.cost_estimated_usd = self.cost_estimated_usd.into_iter().chain(*cost_usd).reduce(|a, b| a + b);
        }
    }

    /// The value of a fact, by its name in rules; `None` where it is not known.
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// Losses as a record keeps them: `seed=dropped`.
pub fn losses(losses: &Losses) -> Vec<Box<str>> {
    const LONGEST: usize = 120;
    let text = |loss: &crate::wire::loss::Loss| {
        let field: String = loss.field.chars().take(LONGEST).collect();
        format!("{field}={}", loss.effect.word()).into()
    };
    losses.iter().take(MOST).map(text).collect()
}

// === how it is written

fn shared<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

fn shared_or_none<S: Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(to)
}

fn name_or_none<S: Serializer>(name: &Option<Name>, to: S) -> Result<S::Ok, S::Error> {
    name.as_deref().serialize(to)
}

fn names<S: Serializer>(names: &[Name], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(names.iter().map(Name::as_str))
}

fn list<T: Serialize, S: Serializer>(values: &[T], to: S) -> Result<S::Ok, S::Error> {
    values.serialize(to)
}

fn instant<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(clock::rfc3339_millis(*time).as_str())
}

/// Milliseconds, to the microsecond.
fn millis<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_micros() as f64 / 1e3)
}

fn millis_or_none<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => millis(time, to),
        None => to.serialize_none(),
    }
}

/// A target's name, and its two parts each for itself.
fn target<S: Serializer>(target: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    let (provider, model) = parts(target);
    to.collect_map([("target", &**target), ("provider", provider), ("model", model)])
}

/// Provider and model. A provider's name has no slash.
pub fn parts(target: &str) -> (&str, &str) {
    target.split_once('/').unwrap_or((target, ""))
}

/// The counts that are known.
fn usage<S: Serializer>(usage: &Option<Usage>, to: S) -> Result<S::Ok, S::Error> {
    counts(&usage.unwrap_or_default(), to)
}

fn usage_apart<S: Serializer>(usage: &Option<Box<Usage>>, to: S) -> Result<S::Ok, S::Error> {
    counts(&usage.as_deref().copied().unwrap_or_default(), to)
}

fn counts<S: Serializer>(usage: &Usage, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(usage.counts().into_iter().filter_map(|(name, count)| Some((name, count?))))
}

fn map<S: Serializer>(pairs: &[(Box<str>, Box<str>)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

fn facts<S: Serializer>(facts: &[(Cow<'static, str>, Fact)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(facts.len()))?;
    for (name, value) in facts {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut record = Record::new(SystemTime::UNIX_EPOCH, "r1".into(), 3, ProtocolId::Gemini);
        record.facts = smallvec::smallvec![("user".into(), Fact::Absent), ("tools".into(), Fact::Number(2))];
        record.usage = Some(Usage { input: Some(4), ..Usage::default() });
        record.total = Duration::from_micros(1_234_567);
        let json = serde_json::to_string(&record).unwrap();
        let expected = concat!(
            r#"{"v":1,"time":"1970-01-01T00:00:00.000Z","request_id":"r1","generation":3,"protocol":"gemini","#,
            r#""operation":"generate","stream":false,"attempts":[],"usage":{"input":4},"status":0,"#,
            r#""outcome":"caller_left","bytes_in":0,"bytes_out":0,"total_ms":1234.567,"#,
            r#""facts":{"user":null,"tools":2}}"#
        );
        assert_eq!(json, expected);
        assert_eq!((record.fact("tools"), record.fact("images")), (Some(&Fact::Number(2)), None));
    }
}
