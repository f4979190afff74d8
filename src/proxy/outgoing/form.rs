//! Answers of a given form: whether a request that could pass as it is must go through the hub for the sake of its answer.

use bytes::Bytes;

use super::{Incoming, decoded};
use crate::provider::Endpoint;
use crate::table::Attempt;
use crate::wire::Operation;
use crate::wire::envelope::Envelope;
use crate::wire::ir::{Error, OutputFormat};
use crate::wire::structured::{Means, OutputPlan};

/// Whether the target, though it speaks the caller's protocol, lacks the form of the answer that is asked for. Nothing of the
/// document is read where the target has every form, or where no member asks for one.
pub(super) fn needs_the_hub(
    incoming: &Incoming<'_, '_>,
    edited: Option<&Bytes>,
    attempt: &Attempt<'_>,
    endpoint: &Endpoint,
) -> Result<bool, Error> {
    if incoming.call.operation != Operation::Generate {
        return Ok(false);
    }
    let Some(plan) = plan(attempt, endpoint).filter(|plan| !plan.is_native()) else { return Ok(false) };
    let asks = |envelope: &Envelope<'_>| {
        incoming.inbound.form_members().iter().any(|member| envelope.members.get(member).is_some())
    };
    let form = match edited {
        None if asks(incoming.envelope) => decoded(incoming)?.output.as_ref().map(is_native(&plan)),
        Some(edited) if asks(&incoming.inbound.peek(&incoming.head, edited)?) => {
            incoming.inbound.decode_request(&incoming.head, edited)?.output.as_ref().map(is_native(&plan))
        }
        None | Some(_) => None,
    };
    Ok(form == Some(false))
}

fn is_native(plan: &OutputPlan) -> impl Fn(&OutputFormat) -> bool {
    |output| match output {
        OutputFormat::Text => true,
        OutputFormat::Json => plan.json == Means::JsonMode,
        OutputFormat::Schema { .. } => plan.schema.is_native(),
    }
}

/// What the target offers. The endpoint is one of the provider's own.
pub(super) fn plan(attempt: &Attempt<'_>, endpoint: &Endpoint) -> Option<OutputPlan> {
    let at = attempt.provider.endpoints.iter().position(|known| std::ptr::eq(known, endpoint))?;
    attempt.target.output_plan(attempt.provider, at, attempt.model)
}
