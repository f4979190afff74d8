//! The request in another protocol than the caller's.

use bytes::Bytes;

use super::{Incoming, Prepared, Toward, Translation, decoded, form};
use crate::provider::{Endpoint, catalogue};
use crate::proxy::pipe::Terms;
use crate::table::Attempt;
use crate::wire::ir::{self, Error, ErrorKind};
use crate::wire::loss::Losses;
use crate::wire::structured::{Applied, request};
use crate::wire::{Destination, Operation};

pub(super) fn translated(
    incoming: &Incoming<'_, '_>,
    edited: Option<&Bytes>,
    attempt: &Attempt<'_>,
    toward: &Toward<'_>,
) -> Result<Prepared, Error> {
    let known = attempt.provider.catalogue.as_deref().and_then(|provider| catalogue::find(provider, attempt.model));
    let Toward { endpoint, outbound, quirks } = *toward;
    let destination = Destination {
        model: attempt.model,
        quirks,
        max_output_tokens: known.and_then(|model| model.max_output_tokens).map(u64::from),
    };
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    let document = edited.unwrap_or(incoming.body);
    let mut applied = Applied::default();
    let mut with_form = |asked: &mut ir::Request, losses: &mut Losses| {
        if let Some(plan) = form::plan(attempt, endpoint) {
            applied = request::prepare(asked, (endpoint.protocol, outbound), &plan, losses);
        }
    };
    let translation = match incoming.call.operation {
        Operation::Embed => {
            let (from, to) =
                (incoming.codec.embeddings(), endpoint.protocol.codec().and_then(|codec| codec.embeddings()));
            let (Some(from), Some(to)) = (from, to) else { return Err(no_operation(endpoint, "embeddings")) };
            let request = from.decode_request(&incoming.head, document)?;
            to.encode_request(&request, &destination, &mut out, &mut losses)?;
            Translation::Embed(Box::new(request))
        }
        Operation::CountTokens => {
            let mut request = incoming.inbound.decode_request(&incoming.head, document)?;
            with_form(&mut request, &mut losses);
            outbound.encode_count_tokens(&request, &destination, &mut out, &mut losses)?;
            Translation::CountTokens
        }
        _ => {
            let mut request = match edited {
                Some(edited) => incoming.inbound.decode_request(&incoming.head, edited)?,
                None => decoded(incoming)?.clone(),
            };
            // A target of the caller's own protocol may have the state.
            if endpoint.protocol != incoming.call.protocol {
                incoming.inbound.refuse_state(&request)?;
            }
            with_form(&mut request, &mut losses);
            outbound.encode_request(&request, &destination, &mut out, &mut losses)?;
            Translation::Generate(Box::new(request))
        }
    };
    Ok(Prepared { body: out.into(), losses, form: applied, terms: Terms::default(), translation })
}

fn no_operation(endpoint: &Endpoint, what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        format!("{} has no {what} that this gateway can translate", endpoint.protocol),
    )
}
