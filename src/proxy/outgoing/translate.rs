//! The request in another protocol than the caller's.

use bytes::Bytes;

use super::{Incoming, Prepared, Toward, Translation, decoded, embed, form, preset, proofs};
use crate::provider::catalogue;
use crate::proxy::pipe::Terms;
use crate::proxy::structured::AnswerForm;
use crate::table::Attempt;
use crate::wire::ir::{self, Error};
use crate::wire::loss::Losses;
use crate::wire::{Destination, Operation, rerank};

pub(super) fn translated(
    incoming: &Incoming<'_, '_>,
    edited: Option<&Bytes>,
    is_rendered: bool,
    attempt: &Attempt<'_>,
    toward: &Toward<'_>,
) -> Result<Prepared, Error> {
    let known = attempt.provider.catalogue.as_deref().and_then(|provider| catalogue::find(provider, attempt.model));
    let Toward { endpoint, outbound, quirks, .. } = *toward;
    let destination = Destination {
        model: attempt.model,
        quirks,
        max_output_tokens: known.and_then(|model| model.max_output_tokens).map(u64::from),
    };
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    let document = edited.unwrap_or(incoming.body);
    let fit = |request: &mut ir::Request, losses: &mut Losses| proofs::fit(request, incoming, attempt, toward, losses);
    let mut form = AnswerForm::default();
    let translation = match incoming.call.operation {
        Operation::Embed => return embed::translated(incoming, document, toward, &destination),
        Operation::Rerank => {
            out = rerank::request_at_bedrock(incoming.envelope, attempt.model, &mut losses)?;
            Translation::Rerank
        }
        Operation::CountTokens => {
            let mut request = incoming.inbound.decode_request(&incoming.head, document)?;
            if !is_rendered {
                preset::render(&mut request, attempt.settings)?;
            }
            fit(&mut request, &mut losses)?;
            form::apply(incoming, &mut request, attempt, toward, &mut losses)?;
            outbound.encode_count_tokens(&request, &destination, &mut out, &mut losses)?;
            Translation::CountTokens
        }
        _ => {
            let mut request = match edited {
                Some(edited) => incoming.inbound.decode_request(&incoming.head, edited)?,
                None => decoded(incoming)?.clone(),
            };
            if !is_rendered {
                preset::render(&mut request, attempt.settings)?;
            }
            // A target of the caller's own protocol may have the state.
            if endpoint.protocol != incoming.call.protocol {
                incoming.inbound.refuse_state(&request)?;
            }
            if let Some(inference) = incoming.surface {
                inference.shape(&mut request, attempt, endpoint.protocol)?;
            }
            fit(&mut request, &mut losses)?;
            form = form::apply(incoming, &mut request, attempt, toward, &mut losses)?;
            outbound.encode_request(&request, &destination, &mut out, &mut losses)?;
            Translation::Generate(Box::new(request))
        }
    };
    Ok(Prepared { body: out.into(), losses, form, terms: Terms::default(), translation })
}
