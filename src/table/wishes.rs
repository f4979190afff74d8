//! What a caller wishes of its request's way, in the request itself: OpenRouter's `models` and `provider`, and `routing`. Only
//! where the file allows it, and within what rules and presets have decided.

mod asked;
mod beside;
mod read;

use smallvec::SmallVec;

use super::choose::{price, size};
pub use asked::{Asked, Unmet, Way};
use beside::Beside;

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
    /// Whether the request may go to the provider of this name.
    fn lets(&self, provider: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|name| name == provider);
        (self.only.is_empty() || named(&self.only) || named(&self.fallbacks)) && !named(&self.ignore)
    }

    /// Everything that is asked, in words: `models a, b`.
    pub fn words(&self) -> Vec<String> {
        let list = |name: &str, list: &[String]| (!list.is_empty()).then(|| format!("{name} {}", list.join(", ")));
        let most =
            |what: &str, usd: Option<f64>| usd.map(|usd| format!("at most {usd} USD per million tokens of {what}"));
        let words = [
            list("models", &self.models),
            list("providers in the order", &self.order),
            list("only the providers", &self.only),
            list("not the providers", &self.ignore),
            list("then the providers", &self.fallbacks),
            self.sort.map(|sort| format!("each model by {}", sort.word())),
            self.sort_models.map(|sort| format!("all by {}", sort.word())),
            self.allow_fallbacks.map(|allowed| if allowed { "with fallbacks" } else { "without fallbacks" }.to_owned()),
            self.require_parameters.then(|| "only models known to do what is needed".to_owned()),
            most("the input", self.most_input),
            most("the answer", self.most_output),
        ];
        words.into_iter().flatten().collect()
    }
}

impl Sort {
    fn word(self) -> &'static str {
        match self {
            Sort::Cost => "cost",
            Sort::Latency => "latency",
            Sort::Performance => "performance",
        }
    }
}

impl<'f> Renamed<'f> {
    /// The name.
    pub fn name(&self) -> &'f str {
        self.model
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

    fn offered(&self, each: &mut dyn FnMut(&str)) -> bool {
        self.facts.offered(each)
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
    /// As [`RoutingTable::select`], by the caller's wishes; `renamed` are the request's other names.
    fn select_wished<'t>(
        &'t self,
        facts: &'t dyn Facts,
        (wishes, renamed): (&Wishes, &'t [Renamed<'t>]),
        health: &dyn HealthView,
        draw: Draw,
    ) -> Decision<'t> {
        let sort = wishes.sort_models.or(wishes.sort).unwrap_or_default();
        let mut decision = self.select_sorted(facts, health, draw, sort);
        let mut beside = Beside::default();
        let (candidates, skipped): (Vec<Candidate<'t>>, _) = match &mut decision.outcome {
            Outcome::Attempts { attempts, skipped, races, mirrors } => {
                beside.add(attempts, races, std::mem::take(mirrors));
                (attempts.iter().map(|attempt| (0, *attempt)).collect(), std::mem::take(skipped))
            }
            // Wishes can say which of several providers is meant.
            Outcome::NotFound(NotFound::Ambiguous { providers }) => {
                let there = self.at_each(providers, facts.model());
                (there.into_iter().map(|attempt| (0, attempt)).collect(), SmallVec::new())
            }
            Outcome::Deny { .. } | Outcome::NotFound(_) | Outcome::Unmet(_) => return decision,
        };
        let others = renamed.iter().map(|other| (other.model, self.select_sorted(other, health, draw, sort).outcome));
        decision.outcome = match self.by_wishes(facts, wishes, (candidates, &mut beside), others) {
            Ok(mut candidates) => {
                in_order(wishes, facts, health, &mut candidates);
                if wishes.allow_fallbacks == Some(false) {
                    only_the_first(wishes, &mut candidates);
                }
                let attempts: SmallVec<_> = candidates.into_iter().map(|(_, attempt)| attempt).collect();
                let races = beside.races(&attempts);
                Outcome::Attempts { skipped, races, mirrors: beside.mirrors(wishes, &attempts), attempts }
            }
            Err(message) => Outcome::Unmet(Unmet { code: "no_target_allowed", member: None, message }),
        };
        decision
    }

    /// All that may be tried, at least one: `candidates` of the first name, what `others` lead to, and what the providers that
    /// are named serve of all these.
    ///
    /// # Errors
    /// A wish that cannot be fulfilled, in words for the caller.
    fn by_wishes<'t>(
        &'t self,
        facts: &dyn Facts,
        wishes: &Wishes,
        (mut candidates, beside): (Vec<Candidate<'t>>, &mut Beside<'t>),
        others: impl Iterator<Item = (&'t str, Outcome<'t>)>,
    ) -> Result<Vec<Candidate<'t>>, String> {
        let named: Vec<&String> = wishes.order.iter().chain(&wishes.only).chain(&wishes.fallbacks).collect();
        for name in named.iter().copied().chain(&wishes.ignore) {
            self.known_provider(name)?;
        }
        for ((model, outcome), group) in others.zip(1..) {
            match outcome {
                Outcome::Attempts { attempts, races, mirrors, .. } => {
                    beside.add(&attempts, &races, mirrors);
                    attempts.into_iter().for_each(|attempt| add(&mut candidates, group, attempt));
                }
                Outcome::NotFound(NotFound::Ambiguous { providers }) => {
                    let there = self.at_each(&providers, model);
                    there.into_iter().for_each(|attempt| add(&mut candidates, group, attempt));
                }
                Outcome::NotFound(why) => return Err(format!("the model `{model}` cannot be a fallback: {why}")),
                // A rule denies it: the caller may not go there.
                Outcome::Deny { .. } | Outcome::Unmet(_) => {}
            }
        }
        for name in named {
            let known = candidates.clone();
            let there =
                known.iter().filter_map(|(group, at)| Some((*group, self.listed(name, at.model, at.leaf.settings)?)));
            there.for_each(|(group, attempt)| add(&mut candidates, group, attempt));
        }
        self.keep_fitting(wishes, facts, &mut candidates);
        if candidates.is_empty() {
            return Err("no target fits what the request says of models and providers".to_owned());
        }
        Ok(candidates)
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
        let within =
            |most: Option<f64>, price: Option<f64>| most.is_none_or(|most| price.is_some_and(|price| price <= most));
        let operation = if facts.embeddings() { Operation::Embed } else { Operation::Generate };
        candidates.retain(|(_, attempt)| {
            let prices = attempt.target.prices_of(attempt.provider, attempt.model);
            wishes.lets(&attempt.provider.name)
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
