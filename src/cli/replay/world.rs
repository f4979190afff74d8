//! The world of a recorded call: how its targets were then, whose turn it was, and what the request asked for itself. What
//! the record does not say is noticed, and never guessed.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use super::tally::Missing;
use crate::table::health::{Condition, HealthView, Vitals};
use crate::table::wishes::{Asked, MEMBERS};
use crate::table::{ClientKey, RoutingTable, TargetIdx, TurnIdx};
use crate::wire::Operation;

/// What a decision hung on besides the facts and the draw.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Inputs {
    health: BTreeMap<String, Measured>,
    turns: BTreeMap<String, u64>,
    wishes: Option<Value>,
}

#[derive(Debug, Deserialize, Clone, Copy)]
struct Measured {
    cooling_ms: Option<u64>,
    first_token_ms: Option<f64>,
    latency_ms: Option<f64>,
    #[serde(default)]
    in_flight: u32,
}

impl Measured {
    fn vitals(self) -> Vitals {
        Vitals {
            condition: self.cooling_ms.map_or(Condition::Up, |pause| Condition::Cooling(Duration::from_millis(pause))),
            first_token_ms: self.first_token_ms,
            latency_ms: self.latency_ms,
            in_flight: self.in_flight,
            samples: 0,
        }
    }
}

/// The health of targets as it was.
pub(super) struct World<'c> {
    call: &'c Call,
    table: &'c RoutingTable,
    /// What was asked for first and is not in the record.
    missed: OnceLock<Missing>,
}

impl<'c> World<'c> {
    pub(super) fn new(call: &'c Call, table: &'c RoutingTable) -> World<'c> {
        World { call, table, missed: OnceLock::new() }
    }

    pub(super) fn missed(self) -> Option<Missing> {
        self.missed.into_inner()
    }

    fn name(&self, target: TargetIdx, model: &str) -> Option<String> {
        let provider = self.table.provider(self.table.target(target)?.provider)?;
        Some(format!("{}/{model}", provider.name))
    }

    fn recorded(&self, name: &str) -> Option<Measured> {
        self.call.inputs.health.get(name).copied()
    }
}

impl HealthView for World<'_> {
    /// Targets that were left out then, and of which no more is known, are taken to be down.
    fn condition(&self, target: TargetIdx, model: &str) -> Condition {
        let Some(name) = self.name(target, model) else { return Condition::Up };
        match self.recorded(&name) {
            Some(measured) => measured.vitals().condition,
            None if self.call.skips(&name) => Condition::Down,
            None => Condition::Up,
        }
    }

    fn vitals(&self, target: TargetIdx, model: &str) -> Vitals {
        let Some(name) = self.name(target, model) else { return Vitals::default() };
        self.recorded(&name).map(Measured::vitals).unwrap_or_else(|| {
            self.missed.get_or_init(|| Missing::Input(format!("health({name})")));
            Vitals::default()
        })
    }

    fn turn(&self, turn: TurnIdx) -> u64 {
        let name = self.table.turns.get(turn.0 as usize).map_or("", |name| &**name);
        self.call.inputs.turns.get(name).copied().unwrap_or_else(|| {
            self.missed.get_or_init(|| Missing::Input(format!("turn({name})")));
            0
        })
    }
}

impl Inputs {
    /// What the request asked for of its own way, as `table` has it for this caller.
    ///
    /// # Errors
    /// It was not recorded, and `table` would obey it.
    pub(super) fn asked(
        &self,
        table: &RoutingTable,
        key: Option<&ClientKey>,
        operation: Operation,
    ) -> Result<Asked, Missing> {
        let allowed = table.allows_request_routing(key);
        match &self.wishes {
            None => Ok(Asked::Nothing),
            Some(Value::Object(members)) => {
                let texts: Vec<(&String, String)> =
                    members.iter().map(|(name, value)| (name, value.to_string())).collect();
                let text = |name: &str| texts.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
                Ok(Asked::read(allowed, operation, text))
            }
            Some(name) => {
                let member = MEMBERS.into_iter().find(|member| name == member).unwrap_or("routing");
                if allowed { Err(Missing::Input(member.to_owned())) } else { Ok(Asked::Unheard(member)) }
            }
        }
    }
}
