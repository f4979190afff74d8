//! One recorded call, and what another file makes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::facts::Recorded;
use super::tally::Missing;
use super::world::{Inputs, World};
use crate::config::decode::moment;
use crate::provider::cost::cost;
use crate::table::{Draw, Outcome, RoutingTable};
use crate::wire::ir::Usage;
use crate::wire::{Operation, ProtocolId};

/// What of a line of the access log a decision needs, and what it is compared with.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    pub(super) request_id: String,
    pub(super) protocol: String,
    #[serde(default)]
    pub(super) operation: String,
    #[serde(default)]
    pub(super) stream: bool,
    pub(super) key: Option<String>,
    pub(super) model: Option<String>,
    time: Option<String>,
    route: Option<String>,
    #[serde(default)]
    attempts: Vec<Tried>,
    #[serde(default)]
    skipped: Vec<Tried>,
    usage: Option<BTreeMap<String, u64>>,
    usage_estimated: Option<BTreeMap<String, u64>>,
    cost_usd: Option<f64>,
    cost_estimated_usd: Option<f64>,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) facts: BTreeMap<String, Value>,
    #[serde(default, deserialize_with = "exact")]
    draw: Option<f64>,
    #[serde(default)]
    pub(super) inputs: Inputs,
}

/// A number to its last bit: strategies draw more numbers from the bits of the first.
fn exact<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let text = Option::<Box<RawValue>>::deserialize(from)?;
    Ok(text.and_then(|text| text.get().parse().ok()))
}

#[derive(Debug, Deserialize)]
struct Tried {
    target: String,
}

/// What becomes of a call by the other file.
pub(super) enum Redecided {
    /// It was not decided then: the gateway refused it before.
    Not,
    /// The record does not say what a rule or a strategy asks for.
    Unknown {
        missing: Missing,
    },
    Decided {
        was: String,
        is: String,
        rule: Option<u32>,
        cost: Option<Cost>,
    },
}

/// What the call cost, and would cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Cost {
    pub(super) was: f64,
    pub(super) is: f64,
}

impl Call {
    /// # Errors
    /// Why the line is no record.
    pub(super) fn read(line: &[u8]) -> Result<Call, String> {
        let call: Call = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        match ProtocolId::from_name(&call.protocol) {
            Some(_) => Ok(call),
            None => Err(format!("there is no protocol `{}`", call.protocol)),
        }
    }

    pub(super) fn protocol(&self) -> ProtocolId {
        ProtocolId::from_name(&self.protocol).unwrap_or(ProtocolId::OpenAiChat)
    }

    /// Seconds since 1970 at which the request came.
    pub(super) fn seconds(&self) -> Option<u64> {
        u64::try_from(moment::rfc3339(self.time.as_deref()?)?).ok()
    }

    /// A target was left out then.
    pub(super) fn skips(&self, target: &str) -> bool {
        self.skipped.iter().any(|skipped| skipped.target == target)
    }

    fn asks_for(&self) -> Operation {
        match self.operation.as_str() {
            "embed" => Operation::Embed,
            _ => Operation::Generate,
        }
    }

    /// Decides the call by `table`, in the world as it was.
    pub(super) fn again(&self, table: &RoutingTable) -> Redecided {
        // A request without a route was refused before it was decided about: no key, no body.
        let (Some(model), Some(was)) = (&self.model, self.was()) else { return Redecided::Not };
        let (world, facts) = (World::new(self, table), Recorded::new(self, model, table));
        let asked = match self.inputs.asked(table, facts.key(), self.asks_for()) {
            Ok(asked) => asked,
            Err(missing) => return Redecided::Unknown { missing },
        };
        let renamed = asked.renamed(&facts);
        let decision = table.decide(&facts, (&asked, &renamed), &world, Draw(self.draw.unwrap_or(0.0)));
        if let Some(missing) = facts.missed().map(Missing::Fact).or(world.missed()) {
            return Redecided::Unknown { missing };
        }
        let (is, price) = match &decision.outcome {
            Outcome::Attempts { attempts, .. } => match attempts.first() {
                Some(first) => {
                    let name = format!("{}/{}", first.provider.name, first.model);
                    (name, first.target.prices_of(first.provider, first.model))
                }
                None => ("no target".to_owned(), None),
            },
            Outcome::Deny { status, .. } => (refused(*status), None),
            Outcome::NotFound(_) => (refused(404), None),
            Outcome::Unmet(_) => (refused(400), None),
        };
        let usage = self.usage.as_ref().or(self.usage_estimated.as_ref()).map(usage);
        let then = self.cost_usd.or(self.cost_estimated_usd);
        let now = if was == is { then } else { usage.zip(price).and_then(|(usage, prices)| cost(&usage, &prices)) };
        let cost = then.zip(now).map(|(was, is)| Cost { was, is });
        Redecided::Decided { was, is, rule: decision.rule, cost }
    }

    /// What was decided then, as far as it can be seen: the target that was tried first, or the refusal.
    fn was(&self) -> Option<String> {
        if let Some(first) = self.attempts.first() {
            return Some(first.target.clone());
        }
        if !self.skipped.is_empty() {
            return Some("no target".to_owned());
        }
        let decided = self.route.is_some() || matches!(self.status, 403 | 404 | 413);
        (decided && self.outcome == "refused").then(|| refused(self.status))
    }
}

fn refused(status: u16) -> String {
    format!("refused with {status}")
}

fn usage(counts: &BTreeMap<String, u64>) -> Usage {
    let count = |name: &str| counts.get(name).copied();
    Usage {
        input: count("input"),
        cache_read: count("cache_read"),
        cache_write: count("cache_write"),
        output: count("output"),
        reasoning: count("reasoning"),
        ..Usage::default()
    }
}
