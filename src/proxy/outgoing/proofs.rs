//! Proofs of reasoning on their way to a target and back: what `wire::proof` does, for this target and under this preset.

use super::{Incoming, Toward};
use crate::table::Attempt;
use crate::table::settings::OnForeignReasoning;
use crate::wire::Relay;
use crate::wire::ir::{Error, Request};
use crate::wire::loss::Losses;
use crate::wire::proof::fit::{self, Target};
use crate::wire::proof::{Asked, Issuer, Seal};

/// Which proofs a target gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proofs {
    /// Those of its own issuer.
    Fitting,
    /// None: it has refused one of those that fitted.
    Bare,
}

impl Proofs {
    /// How the document gets to an upstream of the caller's protocol: one with sealed proofs in it goes through the hub.
    pub(super) fn relay(self, incoming: &Incoming<'_, '_>) -> Relay {
        match incoming.inbound.relay(&incoming.head, incoming.envelope) {
            Relay::AsItIs if self == Proofs::Bare || incoming.envelope.members.has_sealed_proofs() => Relay::Rewritten,
            relay => relay,
        }
    }
}

/// Whose proofs the target of a try makes and takes.
fn issuer<'a>(attempt: &'a Attempt<'_>, toward: &Toward<'a>) -> Issuer<'a> {
    let group = toward.quirks.reasoning_issuer.as_deref().or_else(|| toward.outbound.proof_group(attempt.model));
    Issuer { protocol: toward.endpoint.protocol, group: group.unwrap_or(&attempt.provider.name) }
}

/// Fits the proofs of `request` to the target.
///
/// # Errors
/// A target that is to be skipped, and a request that has no proofs to leave out where it is to go without.
pub(super) fn fit(
    request: &mut Request,
    incoming: &Incoming<'_, '_>,
    attempt: &Attempt<'_>,
    toward: &Toward<'_>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let policy = attempt.settings.on_foreign_reasoning;
    let target = Target {
        issuer: issuer(attempt, toward),
        from: incoming.codec.carriage(),
        to: toward.endpoint.protocol.codec().map(|codec| codec.carriage()).unwrap_or_default(),
        outbound: toward.outbound,
        model: attempt.model,
        as_text: policy == OnForeignReasoning::Text,
        bare: toward.proofs == Proofs::Bare,
    };
    let outcome = fit::fit(request, &target, losses);
    match toward.proofs {
        Proofs::Bare if !outcome.stripped => Err(Error::invalid("the request has no proofs of reasoning")),
        Proofs::Fitting if outcome.breaks_turn && policy == OnForeignReasoning::Skip => Err(skipped(attempt)),
        Proofs::Bare | Proofs::Fitting => Ok(()),
    }
}

fn skipped(attempt: &Attempt<'_>) -> Error {
    let message = format!(
        "{}/{} cannot read the reasoning that another vendor's model began this turn with, and `on_foreign_reasoning: skip` \
         of its preset forbids to go on without; write `on_foreign_reasoning: strip` in the preset, or ask for the model \
         that began",
        attempt.provider.name, attempt.model
    );
    Error::invalid(message).with_code("foreign_reasoning")
}

/// How the proofs of the answer are sealed, `None` where the caller speaks the upstream's protocol.
pub fn seal(
    incoming: &Incoming<'_, '_>,
    attempt: &Attempt<'_>,
    toward: &Toward<'_>,
    request: &Request,
) -> Option<Seal> {
    Seal::new(issuer(attempt, toward), incoming.call.protocol, incoming.codec.carriage(), Asked::of(request))
}
