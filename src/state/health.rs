//! How targets do: measured on the request path with atomics, read by decisions without a lock, kept over reloads for
//! every target that stays the same (provider, addresses, model).

mod average;
mod circuit;
mod gauge;
mod unlisted;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use circuit::Turned;
pub use gauge::{Gauge, InFlight};
use unlisted::Unlisted;

use super::credentials::now_ms;
use crate::provider::Provider;
use crate::table::{Condition, HealthView, RoutingTable, Target, TargetIdx, TurnIdx, Vitals};
use crate::telemetry::traffic::OTHER_MODELS;

/// The health of a table's targets.
#[derive(Default)]
pub struct TargetHealth {
    /// By [`TargetIdx`].
    targets: Box<[Measured]>,
    /// By [`TurnIdx`]: the name and the number of decisions made.
    turns: Box<[(Box<str>, Arc<AtomicU64>)]>,
}

/// What is measured at one target of the table.
struct Measured {
    /// What makes it the same target after a reload.
    identity: Box<str>,
    of: Of,
}

enum Of {
    Model(Arc<Gauge>),
    /// A provider's wildcard: every model by itself.
    Any {
        /// Models of other targets, which callers may name too.
        listed: HashMap<Box<str>, Arc<Gauge>>,
        others: Arc<Unlisted>,
    },
}

impl TargetHealth {
    /// That of `table`'s targets; what `previous` knows of the same ones stays known.
    pub fn prepare(table: &RoutingTable, previous: Option<&TargetHealth>) -> TargetHealth {
        let known: HashMap<&str, &Of> = previous
            .iter()
            .flat_map(|previous| &previous.targets)
            .map(|target| (&*target.identity, &target.of))
            .collect();
        let mut targets: Vec<Measured> = Vec::with_capacity(table.targets.len());
        let mut listed: HashMap<u32, HashMap<Box<str>, Arc<Gauge>>> = HashMap::new();
        for target in &table.targets {
            let provider = table.provider(target.provider);
            let identity = provider.map(|provider| identity(provider, target)).unwrap_or_default();
            let name = provider.map_or("", |provider| &provider.name);
            let any = |others| Of::Any { listed: HashMap::new(), others };
            let of = match (&target.model, known.get(&*identity)) {
                (Some(_), Some(Of::Model(gauge))) => Of::Model(Arc::clone(gauge)),
                (Some(model), _) => Of::Model(Arc::new(Gauge::new(name, model))),
                (None, Some(Of::Any { others, .. })) => any(Arc::clone(others)),
                (None, _) => any(Arc::new(Unlisted::new(name))),
            };
            if let (Some(model), Of::Model(gauge)) = (&target.model, &of) {
                listed.entry(target.provider.0).or_default().insert(model.clone(), Arc::clone(gauge));
            }
            targets.push(Measured { identity, of });
        }
        for (measured, target) in targets.iter_mut().zip(&table.targets) {
            if let Of::Any { listed: models, .. } = &mut measured.of {
                *models = listed.remove(&target.provider.0).unwrap_or_default();
            }
        }
        TargetHealth { targets: targets.into(), turns: turns(table, previous) }
    }

    /// What is measured at `model` of this target; `None` for one of a provider's models beyond those that are told apart.
    pub fn gauge(&self, target: TargetIdx, model: &str) -> Option<&Arc<Gauge>> {
        self.find(target, model, Unlisted::enter)
    }

    /// What metrics call `model` of this target: its name where it is told apart, else [`OTHER_MODELS`].
    pub fn label<'m>(&self, target: TargetIdx, model: &'m str) -> &'m str {
        if self.gauge(target, model).is_some() { model } else { OTHER_MODELS }
    }

    fn find<'s>(
        &'s self,
        target: TargetIdx,
        model: &str,
        unlisted: impl Fn(&'s Unlisted, &str) -> Option<&'s Arc<Gauge>>,
    ) -> Option<&'s Arc<Gauge>> {
        match &self.targets.get(target.0 as usize)?.of {
            Of::Model(gauge) => Some(gauge),
            Of::Any { listed, others } => listed.get(model).or_else(|| unlisted(others, model)),
        }
    }

    fn known(&self, target: TargetIdx, model: &str) -> Option<&Arc<Gauge>> {
        self.find(target, model, Unlisted::get)
    }

    /// Every target that anything is known of, as `provider/model`, in the table's order.
    pub fn report(&self, table: &RoutingTable) -> Vec<(String, Vitals)> {
        let now = now_ms();
        let mut all = Vec::new();
        for (measured, target) in self.targets.iter().zip(&table.targets) {
            let provider = table.provider(target.provider).map_or("", |provider| &provider.name);
            let mut add = |gauge: &Gauge| {
                let vitals = gauge.vitals(now);
                if vitals.samples > 0 || vitals.in_flight > 0 {
                    all.push((format!("{provider}/{}", gauge.model()), vitals));
                }
            };
            match &measured.of {
                Of::Model(gauge) => add(gauge),
                Of::Any { others, .. } => others.iter().for_each(add),
            }
        }
        all
    }
}

/// As it is now, for whoever only looks: turns are not taken.
impl HealthView for TargetHealth {
    fn condition(&self, target: TargetIdx, model: &str) -> Condition {
        self.known(target, model).map_or(Condition::Up, |gauge| gauge.condition(now_ms))
    }

    fn vitals(&self, target: TargetIdx, model: &str) -> Vitals {
        self.known(target, model).map(|gauge| gauge.vitals(now_ms())).unwrap_or_default()
    }

    fn turn(&self, turn: TurnIdx) -> u64 {
        self.turns.get(turn.0 as usize).map_or(0, |(_, turn)| turn.load(Ordering::Relaxed))
    }
}

/// As it is now, for a request that goes on its way: turns that it asks for are taken.
pub struct Taking<'h>(pub &'h TargetHealth);

impl HealthView for Taking<'_> {
    fn condition(&self, target: TargetIdx, model: &str) -> Condition {
        self.0.condition(target, model)
    }

    fn vitals(&self, target: TargetIdx, model: &str) -> Vitals {
        self.0.vitals(target, model)
    }

    fn turn(&self, turn: TurnIdx) -> u64 {
        self.0.turns.get(turn.0 as usize).map_or(0, |(_, turn)| turn.fetch_add(1, Ordering::Relaxed))
    }
}

fn identity(provider: &Provider, target: &Target) -> Box<str> {
    let mut identity = provider.name.to_string();
    for endpoint in &provider.endpoints {
        identity.push(' ');
        identity.push_str(&endpoint.base_url.to_string());
    }
    identity.push(' ');
    identity.push_str(target.model.as_deref().unwrap_or_default());
    identity.into()
}

fn turns(table: &RoutingTable, previous: Option<&TargetHealth>) -> Box<[(Box<str>, Arc<AtomicU64>)]> {
    let known: HashMap<&str, &Arc<AtomicU64>> =
        previous.iter().flat_map(|previous| &previous.turns).map(|(name, turn)| (&**name, turn)).collect();
    let carried = |name: &str| (name.into(), known.get(name).map(|turn| Arc::clone(turn)).unwrap_or_default());
    table.turns.iter().map(|name| carried(name)).collect()
}
