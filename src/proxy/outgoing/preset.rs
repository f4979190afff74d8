//! What a preset does to a request's body: parameters and the system text laid on the caller's own document, edits of the
//! upstream's body at the very end.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Incoming, decoded};
use crate::table::settings::{BodyEdit, Settings};
use crate::upstream::Pieces;
use crate::wire::envelope::{Edit, Envelope};
use crate::wire::ir::{self, Error, ErrorKind};
use crate::wire::json::Object;
use crate::wire::loss::Losses;
use crate::wire::multipart;
use crate::wire::pointer;
use crate::wire::quirk::Quirks;
use crate::wire::template::render;
use crate::wire::{Destination, Operation};

/// The caller's document with the preset's parameters in it, as if the caller had written them; `None` where the preset
/// adds nothing.
pub(super) fn document(
    incoming: &Incoming<'_, '_>,
    settings: &Settings,
    quirks: &Quirks,
) -> Result<Option<Bytes>, Error> {
    // Before a text that a template makes it stands once that is made.
    let system = settings.system.as_ref().filter(|_| !settings.prompts.has_system());
    if settings.params.is_empty() && settings.overrides.is_empty() && system.is_none() {
        return Ok(None);
    }
    let mut edits: Vec<(String, String)> = Vec::new();
    let current = |edits: &[(String, String)], member: &str| -> Option<String> {
        let edited = edits.iter().rev().find(|(key, _)| key == member).map(|(_, value)| value.clone());
        edited.or_else(|| incoming.envelope.members.get(member).map(str::to_owned))
    };
    let defaults = settings.params.iter().map(|(name, value)| (name, value, false));
    let overrides = settings.overrides.iter().map(|(name, value)| (name, value, true));
    for (name, value, force) in defaults.chain(overrides) {
        let own = [format!("/{name}")];
        let known = incoming.inbound.parameter(name, quirks);
        let places: SmallVec<[&str; 2]> =
            if known.is_empty() { own.iter().map(String::as_str).collect() } else { known.iter().copied().collect() };
        let mut steps = Vec::new();
        for place in places {
            steps.push(pointer::steps(place).map_err(|error| Error::invalid(error.to_string()))?);
        }
        let given = steps.iter().find(|steps| {
            let Some((member, rest)) = steps.split_first() else { return false };
            current(&edits, member).is_some_and(|text| rest.is_empty() || pointer::get(&text, rest).is_some())
        });
        if given.is_some() && !force {
            continue;
        }
        let Some((member, rest)) = given.or(steps.first()).and_then(|steps| steps.split_first()) else { continue };
        let inner = current(&edits, member).unwrap_or_else(|| "{}".to_owned());
        let value = if rest.is_empty() {
            value.to_string()
        } else {
            pointer::set(&inner, rest, value)
                .map_err(|error| Error::invalid(error.to_string()).with_param(name.to_string()))?
        };
        edits.push((member.to_string(), value));
    }
    let mut edits: Vec<Edit<'_>> = edits.iter().map(|(key, value)| Edit::Set(key, value.as_bytes().into())).collect();
    if let Some(system) = system {
        edits.extend(incoming.inbound.prepend_system(incoming.envelope, system));
    }
    let pieces = incoming.envelope.splice(incoming.body, &edits);
    Ok(Some(Pieces::new(pieces).join()))
}

/// The caller's document with the texts that templates make; `None` where there are no templates.
pub(super) fn rendered(
    incoming: &Incoming<'_, '_>,
    edited: Option<&Bytes>,
    settings: &Settings,
) -> Result<Option<Bytes>, Error> {
    if settings.prompts.is_empty() || !matches!(incoming.call.operation, Operation::Generate | Operation::CountTokens) {
        return Ok(None);
    }
    let Some(own) = incoming.codec.outbound() else { return Ok(None) };
    let mut request = match edited {
        Some(edited) => incoming.inbound.decode_request(&incoming.head, edited)?,
        None => decoded(incoming)?.clone(),
    };
    render(&mut request, settings)?;
    let quirks = Quirks::default();
    let destination = Destination { model: &incoming.envelope.model, quirks: &quirks, max_output_tokens: None };
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    match incoming.call.operation {
        Operation::CountTokens => own.encode_count_tokens(&request, &destination, &mut out, &mut losses)?,
        _ => own.encode_request(&request, &destination, &mut out, &mut losses)?,
    }
    Ok(Some(out.into()))
}

/// Puts the texts that templates make into the request.
pub(super) fn render(request: &mut ir::Request, settings: &Settings) -> Result<(), Error> {
    if settings.prompts.is_empty() && !render::asks_for_templates(request) {
        return Ok(());
    }
    let lead = settings.system.as_deref().filter(|_| settings.prompts.has_system());
    render::apply(request, &settings.prompts, lead)
}

/// How many answers the caller wants at once.
pub(super) fn answers(incoming: &Incoming<'_, '_>, envelope: &Envelope<'_>) -> u64 {
    let places = match incoming.inbound.parameter("n", &Quirks::default()) {
        [] => &["/n"],
        places => places,
    };
    let given = places.iter().find_map(|place| {
        let steps = pointer::steps(place).ok()?;
        let (member, rest) = steps.split_first()?;
        let text = envelope.members.get(member)?;
        let text = if rest.is_empty() { text } else { pointer::get(text, rest)? };
        text.parse().ok()
    });
    given.unwrap_or(1)
}

/// The file's own edits of the upstream's body, last of all.
pub(super) fn edit_body(body: &Pieces, edits: &[BodyEdit]) -> Result<Pieces, Error> {
    let wrong = |error: pointer::PointerError| {
        Error::new(ErrorKind::Internal, format!("an edit of `body:` does not fit this request: {error}"))
    };
    let body = body.join();
    if multipart::is_form(&body) {
        return Err(Error::invalid(
            "the preset edits the upstream's body, and the body of this request is a form, not JSON",
        ));
    }
    let mut text = String::from_utf8_lossy(&body).into_owned();
    Object::parse(&text)?;
    for BodyEdit { pointer: place, value } in edits {
        let steps = pointer::steps(place).map_err(wrong)?;
        text = match value {
            Some(value) => pointer::set(&text, &steps, value).map_err(wrong)?,
            None => pointer::remove(&text, &steps).map_err(wrong)?,
        };
    }
    Ok(text.into_bytes().into())
}
