//! Targets: a model at a provider, and the lane by which each client protocol reaches it.

use std::sync::Arc;

use super::ProviderIdx;
use crate::provider::Provider;
use crate::provider::catalogue::Prices;
use crate::wire::structured::OutputPlan;
use crate::wire::{Operation, ProtocolId};

/// A model at a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub provider: ProviderIdx,
    /// The id upstream. `None` is the provider's wildcard: the model is what the caller wrote after the `/`.
    pub model: Option<Box<str>>,
    /// What the model costs, where that is known; a wildcard's models are looked up one by one.
    pub prices: Option<Prices>,
    /// What is offered for answers of a given form, by the position in `Provider::endpoints`; empty for a wildcard, whose
    /// models are looked up one by one.
    pub outputs: Box<[Option<OutputPlan>]>,
    /// Those of this very model; of a wildcard, those of a model that every endpoint serves.
    pub lanes: Arc<Lanes>,
    /// A wildcard's, where some endpoints do not serve every model: by the set of endpoints that serve one
    /// ([`Provider::serving`]).
    pub by_model: Option<Arc<[Arc<Lanes>]>>,
}

impl Target {
    /// The way from a caller's protocol to `model` at this target of `provider`.
    pub fn lane(&self, provider: &Provider, model: &str, caller: ProtocolId, operation: Operation) -> &Lane {
        let by_model = self.by_model.as_ref().and_then(|sets| sets.get(provider.serving(model)));
        by_model.unwrap_or(&self.lanes).get(caller, operation)
    }

    /// What an endpoint of `provider` offers at this target for answers of a given form.
    pub fn output_plan(&self, provider: &Provider, endpoint: usize, model: &str) -> Option<OutputPlan> {
        match self.model {
            Some(_) => self.outputs.get(endpoint).copied().flatten(),
            None => provider.endpoints.get(endpoint)?.output_plan(model),
        }
    }

    /// What `model` costs at this target of `provider`.
    pub fn prices_of(&self, provider: &Provider, model: &str) -> Option<Prices> {
        match self.model {
            Some(_) => self.prices,
            None => provider.prices_of(model),
        }
    }
}

/// The ways to a target, for every operation and every protocol of a caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Lanes([[Lane; ProtocolId::COUNT]; Operation::COUNT]);

impl Lanes {
    /// Asks `lane` for each of them.
    pub fn new(lane: impl Fn(ProtocolId, Operation) -> Lane) -> Lanes {
        Lanes(Operation::ALL.map(|operation| ProtocolId::CALLERS.map(|caller| lane(caller, operation))))
    }

    pub fn get(&self, caller: ProtocolId, operation: Operation) -> &Lane {
        #[expect(
            clippy::indexing_slicing,
            reason = "both arrays are as long as the lists that the positions come from"
        )]
        &self.0[operation.index()][caller.index()]
    }
}

/// How a request of one protocol reaches a target. Decided when the file is compiled; the request path only looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lane {
    /// The endpoint speaks the caller's protocol: bytes pass, with edits. Index in `Provider::endpoints`.
    Passthrough { endpoint: u8 },
    /// Through the hub. Index in `Provider::endpoints`.
    Translate { endpoint: u8 },
    /// No way; why, in words for the caller.
    Refused(Box<str>),
}

impl Lane {
    /// For logs: one word.
    pub fn word(&self) -> &'static str {
        match self {
            Lane::Passthrough { .. } => "passthrough",
            Lane::Translate { .. } => "translate",
            Lane::Refused(_) => "refused",
        }
    }
}
