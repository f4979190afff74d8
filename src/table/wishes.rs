//! What a caller wishes of its request's way, in the request itself: OpenRouter's `models` and `provider`, and `routing`. Only
//! where the file allows it, and within what rules and presets have decided.

mod read;

use smallvec::SmallVec;

use super::choose::{price, size};
use super::select::{Attempt, Decision, Draw, HealthView, NotFound, Outcome};
use super::{Lane, Leaf, RoutingTable, SettingsIdx};
use crate::diagnostic::did_you_mean;
use crate::provider::catalogue;
use crate::rule::{Facts, FlagFact, NumberFact, OutputKind, ReasoningLevel, TextFact};
use crate::wire::{Operation, ProtocolId};

/// Top-level members of a request that hold wishes. They go to nobody.
pub const MEMBERS: [&str; 3] = ["models", "provider", "routing"];

/// What is wished.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wishes {
    /// Models to go on with where the first fails.
    pub models: Vec<String>,
    /// Providers, the first first.
    pub order: Vec<String>,
    /// No other providers; empty for all.
    pub only: Vec<String>,
    pub ignore: Vec<String>,
    /// Providers to go on with, behind all others.
    pub fallbacks: Vec<String>,
    /// Within each model.
    pub sort: Option<Sort>,
    /// Over all models.
    pub sort_models: Option<Sort>,
    /// `false`: one provider for each model, or those of `order`.
    pub allow_fallbacks: Option<bool>,
    /// Only targets that are known to do what the request needs.
    pub require_parameters: bool,
    /// In USD per million tokens.
    pub most_input: Option<f64>,
    pub most_output: Option<f64>,
}

/// By what targets are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// By the price of this request.
    #[default]
    Cost,
    /// By the time to the first token.
    Latency,
    /// By the time to the end of an answer.
    Performance,
}

/// A request under another model's name.
pub struct Renamed<'f> {
    facts: &'f (dyn Facts + Sync),
    model: &'f str,
}

impl Wishes {
    /// The request under each of the other models' names.
    pub fn renamed<'f>(&'f self, facts: &'f (dyn Facts + Sync)) -> Vec<Renamed<'f>> {
        self.models.iter().map(|model| Renamed { facts, model }).collect()
    }
}

impl Facts for Renamed<'_> {
    fn model(&self) -> &str {
        self.model
    }

    fn protocol(&self) -> ProtocolId {
        self.facts.protocol()
    }

    fn embeddings(&self) -> bool {
        self.facts.embeddings()
    }

    fn text(&self, fact: &TextFact) -> Option<std::borrow::Cow<'_, str>> {
        match fact {
            TextFact::Model => Some(self.model.into()),
            other => self.facts.text(other),
        }
    }

    fn number(&self, fact: NumberFact) -> u64 {
        self.facts.number(fact)
    }

    fn flag(&self, fact: &FlagFact) -> bool {
        self.facts.flag(fact)
    }

    fn output(&self) -> OutputKind {
        self.facts.output()
    }

    fn reasoning(&self) -> ReasoningLevel {
        self.facts.reasoning()
    }

    fn bucket(&self, salt: &str) -> u8 {
        self.facts.bucket(salt)
    }
}

/// An attempt, and the position of the model's name that led to it.
type Candidate<'t> = (usize, Attempt<'t>);

impl RoutingTable {
    /// As [`RoutingTable::select`], by the caller's wishes; `renamed` are the request's other names
    /// ([`Wishes::renamed`]). Rules and presets decide about every name that the caller gives.
    ///
    /// # Errors
    /// A wish that cannot be fulfilled, in words for the caller.
    pub fn select_wished<'t>(
        &'t self,
        facts: &'t dyn Facts,
        (wishes, renamed): (&Wishes, &'t [Renamed<'t>]),
        health: &dyn HealthView,
        draw: Draw,
    ) -> Result<Decision<'t>, String> {
        let sort = wishes.sort_models.or(wishes.sort).unwrap_or_default();
        let mut decision = self.select_sorted(facts, health, draw, sort);
        let named: Vec<&String> = wishes.order.iter().chain(&wishes.only).chain(&wishes.fallbacks).collect();
        for name in named.iter().copied().chain(&wishes.ignore) {
            self.known_provider(name)?;
        }
        let (mut candidates, skipped): (Vec<Candidate<'t>>, _) = match &decision.outcome {
            Outcome::Attempts { attempts, skipped, .. } => {
                (attempts.iter().map(|attempt| (0, *attempt)).collect(), skipped.clone())
            }
            // Wishes can say which of several providers is meant.
            Outcome::NotFound(NotFound::Ambiguous { providers }) => {
                let there = self.at_each(providers, facts.model());
                (there.into_iter().map(|attempt| (0, attempt)).collect(), SmallVec::new())
            }
            Outcome::Deny { .. } | Outcome::NotFound(_) => return Ok(decision),
        };
        for (other, group) in renamed.iter().zip(1..) {
            match self.select_sorted(other, health, draw, sort).outcome {
                Outcome::Attempts { attempts, .. } => {
                    attempts.into_iter().for_each(|attempt| add(&mut candidates, group, attempt));
                }
                Outcome::NotFound(NotFound::Ambiguous { providers }) => {
                    let there = self.at_each(&providers, other.model);
                    there.into_iter().for_each(|attempt| add(&mut candidates, group, attempt));
                }
                Outcome::NotFound(why) => {
                    return Err(format!("the model `{}` cannot be a fallback: {why}", other.model));
                }
                // A rule denies it: the caller may not go there.
                Outcome::Deny { .. } => {}
            }
        }
        for name in named {
            let known = candidates.clone();
            let there =
                known.iter().filter_map(|(group, at)| Some((*group, self.listed(name, at.model, at.leaf.settings)?)));
            there.for_each(|(group, attempt)| add(&mut candidates, group, attempt));
        }
        self.keep_fitting(wishes, facts, &mut candidates);
        in_order(wishes, facts, health, &mut candidates);
        if wishes.allow_fallbacks == Some(false) {
            only_the_first(wishes, &mut candidates);
        }
        if candidates.is_empty() {
            return Err("no target fits what the request says of models and providers".to_owned());
        }
        let attempts = candidates.into_iter().map(|(_, attempt)| attempt).collect();
        let (races, mirrors) = (SmallVec::new(), Vec::new());
        decision.outcome = Outcome::Attempts { attempts, skipped, races, mirrors };
        Ok(decision)
    }

    fn known_provider(&self, name: &str) -> Result<(), String> {
        if self.provider_names.contains_key(name) {
            return Ok(());
        }
        let near = did_you_mean(name, self.provider_names.keys().map(|name| &**name));
        let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        Err(format!("the provider `{name}` is not active here{near}"))
    }

    /// `model` at each of several providers that serve it.
    fn at_each<'t>(&'t self, providers: &[&str], model: &str) -> Vec<Attempt<'t>> {
        providers.iter().filter_map(|provider| self.listed(provider, model, SettingsIdx::BASE)).collect()
    }

    /// `model` at the provider of this name, where it lists it.
    fn listed<'t>(&'t self, provider: &str, model: &str, settings: SettingsIdx) -> Option<Attempt<'t>> {
        let target = *self.models.get(&*format!("{provider}/{model}"))?;
        let model = self.target(target)?.model.as_deref()?;
        self.attempt(Leaf { target, settings }, model)
    }

    fn keep_fitting(&self, wishes: &Wishes, facts: &dyn Facts, candidates: &mut Vec<Candidate<'_>>) {
        let names = |list: &[String], attempt: &Attempt<'_>| list.iter().any(|name| **name == *attempt.provider.name);
        let within =
            |most: Option<f64>, price: Option<f64>| most.is_none_or(|most| price.is_some_and(|price| price <= most));
        let operation = if facts.embeddings() { Operation::Embed } else { Operation::Generate };
        candidates.retain(|(_, attempt)| {
            let prices = attempt.target.prices_of(attempt.provider, attempt.model);
            (wishes.only.is_empty() || names(&wishes.only, attempt) || names(&wishes.fallbacks, attempt))
                && !names(&wishes.ignore, attempt)
                && within(wishes.most_input, prices.and_then(|prices| prices.input))
                && within(wishes.most_output, prices.and_then(|prices| prices.output))
                && (!wishes.require_parameters
                    || (super::auto::is_capable(attempt, facts)
                        && !matches!(attempt.lane(facts.protocol(), operation), Lane::Refused(_))))
        });
    }
}

fn add<'t>(candidates: &mut Vec<Candidate<'t>>, group: usize, attempt: Attempt<'t>) {
    let same =
        |(_, other): &Candidate<'t>| other.provider.name == attempt.provider.name && other.model == attempt.model;
    if !candidates.iter().any(same) {
        candidates.push((group, attempt));
    }
}

/// By the caller's order; what it does not name stays in the order that it has.
fn in_order(wishes: &Wishes, facts: &dyn Facts, health: &dyn HealthView, candidates: &mut Vec<Candidate<'_>>) {
    let place = |list: &[String], attempt: &Attempt<'_>| list.iter().position(|name| **name == *attempt.provider.name);
    let asked = wishes.sort_models.or(wishes.sort);
    let whole = size(facts);
    let mut keyed: Vec<_> = std::mem::take(candidates)
        .into_iter()
        .map(|(group, attempt)| {
            let first = if wishes.sort_models.is_some() { 0 } else { group };
            let behind = place(&wishes.fallbacks, &attempt).map_or(0, |at| at + 1);
            let order = place(&wishes.order, &attempt).unwrap_or(usize::MAX);
            let score = asked.map_or(0.0, |sort| score(sort, &attempt, &whole, health));
            ((first, behind, order), score, (group, attempt))
        })
        .collect();
    keyed.sort_by(|(a, one, _), (b, other, _)| a.cmp(b).then(one.total_cmp(other)));
    candidates.extend(keyed.into_iter().map(|(_, _, candidate)| candidate));
}

/// The lower the better; what is not known comes last.
pub(super) fn score(sort: Sort, attempt: &Attempt<'_>, whole: &crate::wire::ir::Usage, health: &dyn HealthView) -> f64 {
    let vitals = || health.vitals(attempt.leaf.target, attempt.model);
    let known = match sort {
        Sort::Cost => price(attempt, whole),
        Sort::Latency => vitals().first_token_ms,
        Sort::Performance => vitals().latency_ms,
    };
    known.unwrap_or(f64::INFINITY)
}

/// For each model its first target; where the caller gave an order, those of it.
fn only_the_first(wishes: &Wishes, candidates: &mut Vec<Candidate<'_>>) {
    let ordered = |attempt: &Attempt<'_>| wishes.order.iter().any(|name| **name == *attempt.provider.name);
    let mut seen = Vec::new();
    candidates.retain(|(group, attempt)| {
        let first = !seen.contains(group);
        seen.push(*group);
        first || ordered(attempt)
    });
}

/// The row of the catalogue for an attempt.
pub(super) fn row(attempt: &Attempt<'_>) -> Option<&'static catalogue::Model> {
    catalogue::find(attempt.provider.catalogue.as_deref()?, attempt.model)
}
