//! The caller's own document under the upstream's name of the model. The path names it; batches of embeddings and wrapped
//! counts of tokens name it once more inside.

use std::borrow::Cow;

use bytes::Bytes;
use smallvec::SmallVec;

use super::path;
use crate::wire::envelope::{Edit, Envelope};
use crate::wire::ir::Error;
use crate::wire::{Head, Operation, json, pointer};

/// The member of `countTokens` that holds a whole request.
const COUNTED: &str = "generateContentRequest";
/// The members of `batchEmbedContents`.
const BATCH: &str = "requests";

/// # Errors
/// A batch that is no list of objects, a wrapped request that is no object.
pub(super) fn rename(
    head: &Head<'_>,
    envelope: &Envelope<'_>,
    body: &Bytes,
    model: &str,
    more: Option<Edit<'_>>,
) -> Result<SmallVec<[Bytes; 4]>, Error> {
    // A member of the body would contradict the path.
    let mut edits = SmallVec::<[Edit<'_>; 2]>::from_iter([Edit::Remove("model")]);
    edits.extend(more);
    let inside = match head.operation {
        Operation::Embed => BATCH,
        Operation::CountTokens => COUNTED,
        _ => return Ok(envelope.splice(body, &edits)),
    };
    if let Some(text) = envelope.members.get(inside) {
        let name = json::quoted(&format!("models/{}", path::plain_model(model)));
        let renamed = if inside == BATCH { in_batch(text, &name)? } else { in_object(text, &name, COUNTED)? };
        edits.push(Edit::Set(inside, Cow::Owned(renamed.into_bytes())));
    }
    Ok(envelope.splice(body, &edits))
}

/// Each request of a batch names the model, which must be that of the path.
fn in_batch(text: &str, name: &str) -> Result<String, Error> {
    let requests: Vec<&serde_json::value::RawValue> = serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("`{BATCH}` is not a list: {error}")).with_param(BATCH))?;
    let renamed: Vec<String> =
        requests.iter().map(|request| in_object(request.get(), name, BATCH)).collect::<Result<_, Error>>()?;
    Ok(format!("[{}]", renamed.join(",")))
}

fn in_object(text: &str, name: &str, param: &str) -> Result<String, Error> {
    pointer::set(text, &[Cow::Borrowed("model")], name)
        .map_err(|error| Error::invalid(error.to_string()).with_param(param))
}
