//! What a decision may know of its targets' health. The gateway gives what it has measured; tests of a file, `explain`
//! and whoever decides again about an old request give a [`Health`] made by hand.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::dump::target_name;
use super::{ProviderIdx, RoutingTable, Target, TargetIdx, TurnIdx};
use crate::diagnostic::did_you_mean;

/// For how long a target that somebody says is cooling is passed over.
pub const COOLING: Duration = Duration::from_secs(30);
/// Answers that have been seen of a target whose latency somebody states: enough to believe it.
const SAMPLES: u64 = 1_000;

/// Whether a target may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    #[default]
    Up,
    /// It failed again and again, or asked to be left alone. For so long it is passed over, unless nothing else is left.
    Cooling(Duration),
    /// Not to be tried in any case.
    Down,
}

impl Condition {
    /// For JSON and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Condition::Up => "up",
            Condition::Cooling(_) => "cooling",
            Condition::Down => "down",
        }
    }
}

/// What is known of one target.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Vitals {
    pub condition: Condition,
    /// Moving average of the time to the first content, in milliseconds; `None` where nothing has been measured.
    pub first_token_ms: Option<f64>,
    /// Moving average of the time to the end of an answer, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Requests that are on their way there, streams to their last byte.
    pub in_flight: u32,
    /// Answers and failures that have been seen.
    pub samples: u64,
}

impl Vitals {
    /// What is known of `target`, for the operator.
    pub fn json(&self, target: &str) -> Value {
        let whole = |ms: Option<f64>| ms.map(|ms| ms.round());
        json!({
            "target": target,
            "condition": self.condition.word(),
            "cooling_ms": match self.condition {
                Condition::Cooling(pause) => Some(pause.as_millis()),
                Condition::Up | Condition::Down => None,
            },
            "first_token_ms": whole(self.first_token_ms),
            "latency_ms": whole(self.latency_ms),
            "in_flight": self.in_flight,
            "samples": self.samples,
        })
    }
}

/// The health of all targets at one moment.
pub trait HealthView {
    /// Asked about every target of a decision.
    fn condition(&self, target: TargetIdx, model: &str) -> Condition;
    /// Asked by strategies alone.
    fn vitals(&self, target: TargetIdx, model: &str) -> Vitals;
    /// How many decisions a `round_robin` has made before this one. Asked once in a decision.
    fn turn(&self, turn: TurnIdx) -> u64;
}

/// Everything is up, and nothing has been measured.
#[derive(Debug, Clone, Copy)]
pub struct AllUp;

impl HealthView for AllUp {
    fn condition(&self, _: TargetIdx, _: &str) -> Condition {
        Condition::Up
    }

    fn vitals(&self, _: TargetIdx, _: &str) -> Vitals {
        Vitals::default()
    }

    fn turn(&self, _: TurnIdx) -> u64 {
        0
    }
}

/// A health that somebody states.
pub struct Health<'t> {
    table: &'t RoutingTable,
    /// Of all models of a provider that are not in `targets`.
    providers: HashMap<ProviderIdx, Vitals>,
    targets: HashMap<ProviderIdx, HashMap<Box<str>, Vitals>>,
    /// Of what nothing is stated about.
    others: &'t dyn HealthView,
    turn: Option<u64>,
}

impl<'t> Health<'t> {
    /// Everything is up.
    pub fn new(table: &'t RoutingTable) -> Health<'t> {
        Health::over(table, &AllUp)
    }

    /// Everything is as `others` have it.
    pub fn over(table: &'t RoutingTable, others: &'t dyn HealthView) -> Health<'t> {
        Health { table, providers: HashMap::new(), targets: HashMap::new(), others, turn: None }
    }

    /// States something about a provider or a target (`provider/model`). `None` for what the table does not have: a slip of
    /// the finger would say less than it seems to.
    #[must_use = "a name that nothing has changes nothing"]
    pub fn state(&mut self, name: &str, change: impl Fn(&mut Vitals)) -> Option<()> {
        if let Some(index) = self.table.provider_names.get(name) {
            change(self.providers.entry(*index).or_default());
            self.targets.entry(*index).or_default().values_mut().for_each(change);
            return Some(());
        }
        let (provider, model) = name.split_once(['/', ':'])?;
        let index = *self.table.provider_names.get(provider)?;
        let has = |target: &Target| target.provider == index && target.model.as_deref() == Some(model);
        self.table.targets.iter().any(has).then(|| {
            let of_provider = self.providers.get(&index).copied().unwrap_or_default();
            change(self.targets.entry(index).or_default().entry(model.into()).or_insert(of_provider));
        })
    }

    /// A provider or a target is down.
    #[must_use = "a name that nothing has changes nothing"]
    pub fn down(&mut self, name: &str) -> Option<()> {
        self.state(name, |vitals| vitals.condition = Condition::Down)
    }

    /// A provider or a target is passed over for `pause`, unless nothing else is left.
    #[must_use = "a name that nothing has changes nothing"]
    pub fn cooling(&mut self, name: &str, pause: Duration) -> Option<()> {
        self.state(name, |vitals| vitals.condition = Condition::Cooling(pause))
    }

    /// Answers of a provider or a target take so long, to their first content and to their end.
    #[must_use = "a name that nothing has changes nothing"]
    pub fn latency(&mut self, name: &str, latency: Duration) -> Option<()> {
        let milliseconds = Some(latency.as_secs_f64() * 1_000.0);
        self.state(name, |vitals| {
            (vitals.first_token_ms, vitals.latency_ms) = (milliseconds, milliseconds);
            vitals.samples = SAMPLES;
        })
    }

    /// So many requests are on their way to a provider or a target.
    #[must_use = "a name that nothing has changes nothing"]
    pub fn in_flight(&mut self, name: &str, count: u64) -> Option<()> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.state(name, |vitals| vitals.in_flight = count)
    }

    /// The number of decisions that every `round_robin` has made before.
    pub fn turns(&mut self, turn: u64) {
        self.turn = Some(turn);
    }

    /// The nearest name that something could be said about.
    pub fn nearest(&self, name: &str) -> Option<String> {
        let targets: Vec<String> = self.table.targets.iter().map(|target| target_name(self.table, target)).collect();
        let providers = self.table.providers.iter().map(|provider| &*provider.name);
        did_you_mean(name, targets.iter().map(String::as_str).chain(providers)).map(str::to_owned)
    }
}

impl HealthView for Health<'_> {
    fn condition(&self, target: TargetIdx, model: &str) -> Condition {
        self.vitals(target, model).condition
    }

    fn vitals(&self, target: TargetIdx, model: &str) -> Vitals {
        let Some(provider) = self.table.target(target).map(|target| target.provider) else { return Vitals::default() };
        let stated = self.targets.get(&provider).and_then(|models| models.get(model));
        let stated = stated.or_else(|| self.providers.get(&provider));
        stated.copied().unwrap_or_else(|| self.others.vitals(target, model))
    }

    fn turn(&self, turn: TurnIdx) -> u64 {
        self.turn.unwrap_or_else(|| self.others.turn(turn))
    }
}
