//! `model: "auto"`: a capable model among those that are active, where the file has no preset of that name.

use super::select::{Attempt, Walk};
use super::wishes::{Sort, row, score};
use super::{Lane, Leaf, SettingsIdx, TargetIdx};
use crate::provider::catalogue::{Capability, Mode, Model};
use crate::rule::{Facts, NumberFact, OutputKind, ReasoningLevel};
use crate::wire::Operation;

/// The name.
pub(super) const AUTO: &str = "auto";
/// Targets of one request.
const MOST: usize = 4;

impl<'t> Walk<'t, '_> {
    /// Adds the best targets that are known to do what the request needs. Says whether there is one.
    pub(super) fn auto(&mut self, settings: SettingsIdx, sort: Sort) -> bool {
        let (table, facts) = (self.table, self.facts);
        if facts.embeddings() {
            return false;
        }
        let whole = super::choose::size(facts);
        let needed = Needed::by(facts);
        let mut found: Vec<(f64, Attempt<'t>)> = (0..)
            .zip(&table.targets)
            .filter_map(|(at, target)| {
                table.attempt(Leaf { target: TargetIdx(at), settings }, target.model.as_deref()?)
            })
            .filter(|attempt| row(attempt).is_some_and(|model| is_general(model) && needed.is_met_by(model)))
            .filter(|attempt| !matches!(attempt.lane(facts.protocol(), Operation::Generate), Lane::Refused(_)))
            .map(|attempt| (score(sort, &attempt, &whole, self.health), attempt))
            .collect();
        found.sort_by(|(one, a), (other, b)| {
            one.total_cmp(other).then_with(|| (&a.provider.name, a.model).cmp(&(&b.provider.name, b.model)))
        });
        let before = self.part.attempts.len();
        for (_, attempt) in &found {
            if self.part.attempts.len() >= before + MOST {
                break;
            }
            self.leaf(attempt.leaf, attempt.model);
        }
        !found.is_empty()
    }
}

/// A model for any question: one that answers in text and can call tools. That leaves out models for search, sound and the like.
fn is_general(model: &Model) -> bool {
    model.mode == Mode::Chat && model.capabilities.has(Capability::Tools)
}

/// Whether the catalogue says that the target can do what the request needs.
pub(super) fn is_capable(attempt: &Attempt<'_>, facts: &dyn Facts) -> bool {
    row(attempt).is_some_and(|model| Needed::by(facts).is_met_by(model))
}

/// What a request needs of a model.
struct Needed {
    capabilities: Vec<Capability>,
    /// Tokens of the request and of its answer.
    window: u64,
}

impl Needed {
    fn by(facts: &dyn Facts) -> Needed {
        let needs = [
            (facts.number(NumberFact::Tools) > 0, Capability::Tools),
            (facts.number(NumberFact::Images) > 0, Capability::Images),
            (facts.number(NumberFact::Audio) > 0, Capability::Audio),
            (facts.number(NumberFact::Files) > 0, Capability::Pdf),
            (facts.output() == OutputKind::Schema, Capability::Schema),
            (facts.reasoning() > ReasoningLevel::None, Capability::Reasoning),
        ];
        let window = facts.number(NumberFact::InputTokens).saturating_add(facts.number(NumberFact::MaxTokens));
        let capabilities = needs.into_iter().filter(|(needed, _)| *needed).map(|(_, capability)| capability).collect();
        Needed { capabilities, window }
    }

    fn is_met_by(&self, model: &Model) -> bool {
        self.capabilities.iter().all(|capability| model.capabilities.has(*capability))
            && model.max_input_tokens.is_some_and(|window| u64::from(window) >= self.window)
    }
}
