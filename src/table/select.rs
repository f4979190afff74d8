//! The one decision function: a pure function of (table, facts, health, draw). The request path, `explain`, `check`'s
//! tests, and everything that re-decides call it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::auto::AUTO;
use super::health::Condition;
pub use super::health::{AllUp, HealthView};
use super::wishes::{Sort, Unmet};
use super::{
    Lane, Leaf, Route, RouteNode, RoutingTable, RuleOutcome, Settings, SettingsIdx, Target, TargetIdx, TurnIdx,
};
use crate::diagnostic::did_you_mean;
use crate::provider::{BaseUrl, Provider, Transport};
use crate::rule::{Facts, TextFact, facts};
use crate::wire::{Operation, ProtocolId};

/// The randomness of one decision: a number in `0.0..1.0`, drawn by the caller of [`RoutingTable::select`].
///
/// [`RoutingTable::select`]: super::RoutingTable::select
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw(pub f64);

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<'t> {
    /// One-based number of the rule that fired.
    pub rule: Option<u32>,
    /// The route's name: `@cheap`, `rule 3`, `openai/gpt-5`.
    pub route: Cow<'t, str>,
    pub outcome: Outcome<'t>,
}

#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "the large variant is the common one, and lives on the stack on purpose")]
pub enum Outcome<'t> {
    /// Try these, in order.
    Attempts {
        attempts: SmallVec<[Attempt<'t>; 4]>,
        /// Left out because of their health: [`Attempt::condition`].
        skipped: SmallVec<[Attempt<'t>; 2]>,
        /// Parts of `attempts` that run beside each other; inner ones before outer ones.
        races: SmallVec<[Race; 1]>,
        /// Who gets a copy of this very request.
        mirrors: Vec<Mirror<'t>>,
    },
    /// A rule or preset refuses the request.
    Deny { status: u16, text: Option<&'t str> },
    /// The name means nothing here.
    NotFound(NotFound<'t>),
    /// The request asks for a way that it cannot go.
    Unmet(Unmet),
}

/// One target to try.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt<'t> {
    pub leaf: Leaf,
    pub target: &'t Target,
    pub provider: &'t Provider,
    pub settings: &'t Settings,
    /// The model id as the upstream knows it.
    pub model: &'t str,
    /// How the target was when this was decided. One that is cooling is tried where nothing else is left.
    pub condition: Condition,
}

impl<'t> Attempt<'t> {
    /// `provider/model`, as headers, records and logs have it.
    pub fn name(&self) -> Arc<str> {
        let mut name = String::with_capacity(self.provider.name.len() + 1 + self.model.len());
        name.push_str(&self.provider.name);
        name.push('/');
        name.push_str(self.model);
        name.into()
    }

    /// Where a caller of this protocol is served from; `None` where that is in this process, or nowhere.
    pub fn base_url(&self, caller: ProtocolId, operation: Operation) -> Option<&'t BaseUrl> {
        match (self.provider.transport, self.lane(caller, operation)) {
            (Transport::Http, Lane::Passthrough { endpoint } | Lane::Translate { endpoint }) => {
                self.provider.endpoints.get(usize::from(*endpoint)).map(|endpoint| &endpoint.base_url)
            }
            (Transport::Demo, _) | (_, Lane::Refused(_)) => None,
        }
    }

    /// The way from a caller's protocol to this target.
    pub fn lane(&self, caller: ProtocolId, operation: Operation) -> &'t Lane {
        self.target.lane(self.provider, self.model, caller, operation)
    }
}

/// A hedge, by positions in the attempts: `from..second` begins, `second..until` begins where the first has no content
/// after a time, or fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Race {
    pub from: usize,
    pub second: usize,
    pub until: usize,
    pub after: Duration,
}

/// A copy for a second target, where one of the attempts `from..until` answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Mirror<'t> {
    pub from: usize,
    pub until: usize,
    pub attempt: Attempt<'t>,
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, PartialEq)]
pub enum NotFound<'t> {
    /// Nothing has this name; the nearest that has one.
    Unknown { suggestion: Option<&'t str> },
    /// A bare model that several active providers serve.
    Ambiguous { providers: SmallVec<[&'t str; 4]> },
    /// A provider that exists but has no key: the variables that would activate it.
    Inactive { provider: &'t str, variables: Cow<'t, str> },
}

impl RoutingTable {
    /// What becomes of a request. Rules first, the first that holds wins; without one, or where it says `as requested`,
    /// the plain meaning of the model's name.
    pub fn select<'t>(&'t self, facts: &'t dyn Facts, health: &dyn HealthView, draw: Draw) -> Decision<'t> {
        self.select_sorted(facts, health, draw, Sort::default())
    }

    /// As [`select`](RoutingTable::select), with an order for `auto`.
    pub(super) fn select_sorted<'t>(
        &'t self,
        facts: &'t dyn Facts,
        health: &dyn HealthView,
        draw: Draw,
        sort: Sort,
    ) -> Decision<'t> {
        let fired = self.rule_index.first(&self.rules, facts);
        let number = fired.and_then(|at| u32::try_from(at + 1).ok());
        let mut walk = Walk::new(self, facts, health, draw, sort);
        let route = match fired.and_then(|at| self.rules.get(at)).map(|rule| rule.then) {
            Some(RuleOutcome::Route(index)) => self.route(index),
            Some(RuleOutcome::AsRequested) | None => None,
        };
        let name = match route {
            Some(route) => {
                walk.node(&route.node, SettingsIdx::BASE);
                &*route.name
            }
            None => walk.requested(SettingsIdx::BASE),
        };
        Decision { rule: number, route: Cow::Borrowed(name), outcome: walk.outcome() }
    }

    /// One target with its settings, as a decision names it.
    pub fn attempt<'t>(&'t self, leaf: Leaf, model: &'t str) -> Option<Attempt<'t>> {
        let target = self.target(leaf.target)?;
        let (provider, settings) = (self.provider(target.provider)?, self.settings(leaf.settings)?);
        Some(Attempt { leaf, target, provider, settings, model, condition: Condition::Up })
    }

    /// What a model's name means by itself, before any rule.
    pub fn meaning<'t>(&'t self, name: &'t str) -> Meaning<'t> {
        let preset = self.presets.get(name.strip_prefix('@').unwrap_or(name)).and_then(|index| self.route(*index));
        if let Some(route) = preset {
            return Meaning::Preset(route);
        }
        if let Some(index) = self.models.get(name) {
            return self.target_meaning(*index, name);
        }
        if let Some((provider, model)) = split_name(name)
            && let Some(meaning) = self.at_provider(provider, model)
        {
            return meaning;
        }
        if let Some(indices) = self.ambiguous.get(name) {
            let providers = indices.iter().filter_map(|index| self.provider(*index)).map(|provider| &*provider.name);
            return Meaning::Nothing(NotFound::Ambiguous { providers: providers.collect() });
        }
        Meaning::Nothing(NotFound::Unknown { suggestion: self.nearest(name) })
    }

    /// `model` at the provider of this name, `None` where no provider has it.
    fn at_provider<'t>(&'t self, provider: &'t str, model: &'t str) -> Option<Meaning<'t>> {
        if let Some(index) = self.provider_names.get(provider) {
            let target = *self.wildcards.get(index.0 as usize)?;
            return Some(Meaning::Target { target, model });
        }
        let (provider, variables) = self.inactive.get_key_value(provider)?;
        Some(Meaning::Nothing(NotFound::Inactive { provider, variables: Cow::Borrowed(variables) }))
    }

    fn target_meaning<'t>(&'t self, target: TargetIdx, name: &'t str) -> Meaning<'t> {
        let listed = self.target(target).and_then(|target| target.model.as_deref());
        Meaning::Target { target, model: listed.unwrap_or(name) }
    }

    /// The nearest name that means something. Bounded: a caller may send any name as often as it likes.
    fn nearest(&self, name: &str) -> Option<&str> {
        const LONGEST: usize = 100;
        const MOST: usize = 4_000;
        if name.len() > LONGEST {
            return None;
        }
        let presets = self.presets.values().filter_map(|index| self.route(*index)).map(|route| &*route.name);
        let models = self.models.keys().chain(self.ambiguous.keys()).map(|name| &**name);
        did_you_mean(name, presets.chain(models).take(MOST))
    }
}

/// What a model's name means by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning<'t> {
    Preset(&'t Route),
    Target { target: TargetIdx, model: &'t str },
    Nothing(NotFound<'t>),
}

/// `provider/model` or `provider:model`, at the first of the two signs.
fn split_name(name: &str) -> Option<(&str, &str)> {
    let (provider, model) = name.split_once(['/', ':'])?;
    (!provider.is_empty() && !model.is_empty()).then_some((provider, model))
}

/// Attempts that belong together.
#[derive(Default)]
pub(super) struct Part<'t> {
    pub(super) attempts: SmallVec<[Attempt<'t>; 4]>,
    pub(super) skipped: SmallVec<[Attempt<'t>; 2]>,
    pub(super) races: SmallVec<[Race; 1]>,
    pub(super) mirrors: Vec<Mirror<'t>>,
}

/// One walk through the routes, collecting attempts.
pub(super) struct Walk<'t, 'h> {
    pub(super) table: &'t RoutingTable,
    pub(super) facts: &'t dyn Facts,
    pub(super) health: &'h dyn HealthView,
    pub(super) draw: Draw,
    /// Splits met so far: each gets a draw of its own.
    splits: u64,
    /// Other numbers drawn so far.
    pub(super) drawn: u64,
    /// Turns taken in this decision.
    pub(super) turns: Vec<(TurnIdx, u64)>,
    /// By what `auto` chooses.
    sort: Sort,
    /// The caller's own name has been looked up: a preset that says `as requested` cannot mean itself.
    looked_up: bool,
    pub(super) part: Part<'t>,
    denied: Option<(u16, Option<&'t str>)>,
    nothing: Option<NotFound<'t>>,
}

impl<'t, 'h> Walk<'t, 'h> {
    fn new(
        table: &'t RoutingTable,
        facts: &'t dyn Facts,
        health: &'h dyn HealthView,
        draw: Draw,
        sort: Sort,
    ) -> Walk<'t, 'h> {
        Walk {
            table,
            facts,
            health,
            draw,
            splits: 0,
            drawn: 0,
            turns: Vec::new(),
            sort,
            looked_up: false,
            part: Part::default(),
            denied: None,
            nothing: None,
        }
    }

    pub(super) fn node(&mut self, node: &'t RouteNode, outer: SettingsIdx) {
        if self.denied.is_some() {
            return;
        }
        match node {
            RouteNode::Leaf(leaf) => {
                let settings = self.nested(outer, leaf.settings);
                self.leaf(Leaf { target: leaf.target, settings }, "");
            }
            RouteNode::Fallback(members) => members.iter().for_each(|member| self.node(member, outer)),
            RouteNode::Split { arms, sticky, salt } => self.split(arms, sticky.as_ref(), salt, outer),
            RouteNode::Choose { by, members } => self.choose(*by, members, outer),
            RouteNode::Hedge { first, second, after } => self.hedge(first, second, *after, outer),
            RouteNode::Shadow { main, mirror, sample } => self.shadow(main, mirror, *sample, outer),
            RouteNode::AsRequested(settings) => {
                self.requested(self.nested(outer, *settings));
            }
            RouteNode::Deny { status, text } => self.denied = Some((*status, text.as_deref())),
        }
    }

    /// Adds what the caller's `model` means, and returns the name of it.
    fn requested(&mut self, settings: SettingsIdx) -> &'t str {
        let name = self.facts.model();
        if std::mem::replace(&mut self.looked_up, true) {
            return name;
        }
        match self.table.meaning(name) {
            Meaning::Preset(route) => {
                self.node(&route.node, settings);
                &route.name
            }
            Meaning::Target { target, model } => {
                self.leaf(Leaf { target, settings }, model);
                name
            }
            Meaning::Nothing(NotFound::Unknown { .. }) if name == AUTO && self.auto(settings, self.sort) => name,
            Meaning::Nothing(why) => {
                self.nothing = Some(why);
                name
            }
        }
    }

    fn split(&mut self, arms: &'t [(f64, RouteNode)], sticky: Option<&TextFact>, salt: &str, outer: SettingsIdx) {
        let draw = self.next_draw(sticky, salt);
        let mut rest: SmallVec<[&(f64, RouteNode); 8]> = arms.iter().collect();
        while let Some(at) = drawn(rest.iter().map(|(weight, _)| *weight), draw) {
            let (_, arm) = rest.remove(at);
            self.node(arm, outer);
        }
        rest.iter().for_each(|(_, arm)| self.node(arm, outer));
    }

    /// The first split uses the draw as it is, so that a test of the file can say which arm it means; later ones use
    /// numbers derived from it, so that they are not drawn alike.
    fn next_draw(&mut self, sticky: Option<&TextFact>, salt: &str) -> f64 {
        let count = self.splits;
        self.splits += 1;
        let value = sticky.and_then(|fact| self.facts.text(fact));
        match value {
            Some(value) if sticky == Some(&TextFact::Episode) => facts::episode_fraction(salt, &value),
            Some(value) => facts::fraction(salt, &value),
            None if count == 0 => self.draw.0,
            None => scrambled(self.draw.0, count),
        }
    }

    pub(super) fn leaf(&mut self, leaf: Leaf, requested: &'t str) {
        let table = self.table;
        let Some(target) = table.target(leaf.target) else { return };
        let (Some(provider), Some(settings)) = (table.provider(target.provider), table.settings(leaf.settings)) else {
            return;
        };
        let model = target.model.as_deref().unwrap_or(requested);
        let mut attempt = Attempt { leaf, target, provider, settings, model, condition: Condition::Up };
        if self.has(&attempt) {
            return;
        }
        attempt.condition = self.health.condition(leaf.target, model);
        match attempt.condition {
            Condition::Up => self.part.attempts.push(attempt),
            Condition::Cooling(_) | Condition::Down => self.part.skipped.push(attempt),
        }
    }

    /// A target that has just failed is not tried again under another name. Long chains are not searched: the compiler
    /// has warned of their duplicates.
    pub(super) fn has(&self, attempt: &Attempt<'t>) -> bool {
        const SEARCHED: usize = 64;
        let same = |other: &Attempt<'t>| {
            other.leaf.settings == attempt.leaf.settings
                && other.target.provider == attempt.target.provider
                && other.model == attempt.model
        };
        self.part.attempts.iter().take(SEARCHED).any(same) || self.part.skipped.iter().take(SEARCHED).any(same)
    }

    /// Where every target is cooling, they are tried all the same, the one that is ready first first: an answer that may fail
    /// is better than none.
    fn take_the_last_resort(&mut self) {
        let Part { attempts, skipped, .. } = &mut self.part;
        for attempt in std::mem::take(skipped) {
            match attempt.condition {
                Condition::Up | Condition::Cooling(_) => attempts.push(attempt),
                Condition::Down => skipped.push(attempt),
            }
        }
        attempts.sort_by_key(|attempt| match attempt.condition {
            Condition::Cooling(pause) => pause,
            Condition::Up | Condition::Down => Duration::ZERO,
        });
    }

    fn nested(&self, outer: SettingsIdx, inner: SettingsIdx) -> SettingsIdx {
        match (outer, inner) {
            (SettingsIdx::BASE, inner) => inner,
            (outer, SettingsIdx::BASE) => outer,
            pair => self.table.nested.get(&pair).copied().unwrap_or(outer),
        }
    }

    fn outcome(mut self) -> Outcome<'t> {
        if self.part.attempts.is_empty() && self.part.skipped.is_empty() {
            if let Some((status, text)) = self.denied {
                return Outcome::Deny { status, text };
            }
            return Outcome::NotFound(self.nothing.unwrap_or(NotFound::Unknown { suggestion: None }));
        }
        if self.part.attempts.is_empty() {
            self.take_the_last_resort();
        }
        let Part { attempts, skipped, races, mirrors } = self.part;
        Outcome::Attempts { attempts, skipped, races, mirrors }
    }
}

/// The weight on which `draw`, in `0.0..1.0`, falls; `None` where every one is 0.
fn drawn(weights: impl Iterator<Item = f64> + Clone, draw: f64) -> Option<usize> {
    let point = draw.clamp(0.0, 1.0) * weights.clone().sum::<f64>();
    let mut upper = 0.0;
    let mut last = None;
    for (at, weight) in weights.enumerate().filter(|(_, weight)| *weight > 0.0) {
        upper += weight;
        last = Some(at);
        if point < upper {
            break;
        }
    }
    last
}

/// SplitMix64 over the draw's bits: the `count`-th number of this decision.
pub(super) fn scrambled(draw: f64, count: u64) -> f64 {
    let mut z = draw.to_bits().wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1u64 << 53) as f64
}
