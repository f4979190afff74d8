//! A request for vectors in another protocol, in as many calls as the upstream's batches need.

use super::{Incoming, Prepared, Toward, Translation};
use crate::proxy::structured::AnswerForm;
use crate::upstream::Pieces;
use crate::wire::ir::{EmbedRequest, Error};
use crate::wire::loss::Losses;
use crate::wire::{Destination, Embeddings};

/// What the caller asked for, and the calls that follow the first one.
#[derive(Debug, Clone)]
pub struct Batches {
    pub request: EmbedRequest,
    pub others: Vec<Pieces>,
}

/// The request's calls.
///
/// # Errors
/// What the target cannot carry, in words for the caller.
pub(super) fn translated(
    incoming: &Incoming<'_, '_>,
    document: &[u8],
    toward: &Toward<'_>,
    destination: &Destination<'_>,
) -> Result<Prepared, Error> {
    let (Some(from), Some(to)) = (incoming.codec.embeddings_in(), toward.endpoint.embeddings()) else {
        let message = format!("{} has no embeddings that this gateway can translate", toward.endpoint.protocol);
        return Err(Error::invalid(message));
    };
    let request = from.decode_request(&incoming.head, document)?;
    let mut losses = Losses::default();
    let mut bodies = bodies(&request, to, destination, &mut losses)?.into_iter();
    let Some(body) = bodies.next() else {
        return Err(Error::invalid("there is nothing to embed").with_param("input"));
    };
    let translation = Translation::Embed(Box::new(Batches { others: bodies.collect(), request }));
    Ok(Prepared { body, losses, form: AnswerForm::default(), terms: super::Terms::default(), translation })
}

fn bodies(
    request: &EmbedRequest,
    to: &dyn Embeddings,
    destination: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<Pieces>, Error> {
    let batches = request.input.batches(to.most_inputs(destination)).into_iter();
    let bodies = batches.enumerate().map(|(at, input)| {
        let batch = EmbedRequest { input, ..request.clone() };
        let (mut out, mut lost) = (Vec::new(), Losses::default());
        to.encode_request(&batch, destination, &mut out, &mut lost)?;
        // Every batch loses the same.
        if at == 0 {
            *losses = lost;
        }
        Ok(out.into())
    });
    bodies.collect()
}
