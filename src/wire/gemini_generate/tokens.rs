//! `countTokens`.

use super::{path, request};
use crate::wire::Destination;
use crate::wire::ir::{Error, Request};
use crate::wire::json;
use crate::wire::loss::Losses;

/// Writes the request for a count. AI Studio counts system text and tools only within `generateContentRequest`, which must
/// name the model once more; Vertex knows no such member.
///
/// # Errors
/// As for the request itself.
pub(super) fn encode_request(
    request: &Request,
    destination: &Destination<'_>,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let mut result = Ok(());
    json::object(out, |w| {
        if destination.quirks.plain_token_counts {
            result = request::write(request, destination, w, losses);
            return;
        }
        w.object("generateContentRequest", |w| {
            w.field("model", &format!("models/{}", path::plain_model(destination.model)));
            result = request::write(request, destination, w, losses);
        });
    });
    result
}

pub(super) fn encode_count(input_tokens: u64, out: &mut Vec<u8>) {
    json::object(out, |w| w.field("totalTokens", &input_tokens));
}
