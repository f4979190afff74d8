//! The upstream's request. Every try makes it anew from the caller's document, which nothing changes: what was done for
//! one target cannot leak to the next.

mod betas;
pub mod embed;
mod form;
pub mod head;
mod loss;
mod preset;
pub mod proofs;
mod translate;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::HeaderMap;

use embed::Batches;

use self::proofs::Proofs;
use super::ingress::Call;
use super::pipe::Terms;
use super::responses::Session;
use super::structured::{AnswerForm, Correction};
use super::tensorzero::Inference;
use crate::provider::Endpoint;
use crate::table::settings::BodyEdit;
use crate::table::{Attempt, Lane};
use crate::upstream::Pieces;
use crate::wire::envelope::Envelope;
use crate::wire::ir::{self, Error};
use crate::wire::loss::Losses;
use crate::wire::quirk::Quirks;
use crate::wire::structured::check::Checker;
use crate::wire::{Head, Inbound, Operation, Outbound, Protocol, Relay, rerank};

/// The caller's request, as every try derives its own from it.
pub struct Incoming<'r, 'b> {
    pub call: &'r Call<'r>,
    pub head: Head<'r>,
    pub codec: &'static dyn Protocol,
    pub inbound: &'static dyn Inbound,
    pub headers: &'r HeaderMap,
    pub query: Option<&'r str>,
    /// Whose answers it may get from the cache: the id of the client key, empty where none is asked for. `None`: nobody's.
    pub owner: Option<&'r str>,
    pub body: &'r Bytes,
    pub envelope: &'r Envelope<'b>,
    /// Of a Responses call: the answers before and after it.
    pub session: Option<&'r Session>,
    /// Of a call of TensorZero's surface: what it says beyond its conversation.
    pub surface: Option<&'r Inference<'r>>,
    /// The document in the hub, read by the first try that needs it unedited.
    pub decoded: OnceLock<ir::Request>,
    /// The compiled schema of the answer, and its text: most tries of a request want the same.
    pub checker: OnceLock<(Box<str>, Arc<Checker>)>,
}

impl Incoming<'_, '_> {
    /// A credential that the request brings for a provider, in its body or in a header.
    pub fn credential(&self, name: &str) -> Option<&str> {
        let in_header = || {
            let header = format!("x-routeplane-credential-{}", name.to_ascii_lowercase());
            self.headers.get(header).and_then(|value| value.to_str().ok())
        };
        self.surface.and_then(|inference| inference.credential(name)).or_else(in_header)
    }
}

/// Where a try's request goes.
pub struct Toward<'r> {
    pub endpoint: &'r Endpoint,
    pub outbound: &'static dyn Outbound,
    /// How the upstream deviates for this try's model.
    pub quirks: &'r Quirks,
    /// Which proofs of reasoning go there.
    pub proofs: Proofs,
    /// An earlier answer of this target, and what was wrong with it.
    pub correction: Option<&'r Correction>,
}

/// A body for an upstream.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub body: Pieces,
    pub losses: Losses,
    /// What was done for the sake of the answer's form, and what is to be done about the answer.
    pub form: AnswerForm,
    /// How the answer is to be relayed, where it is.
    pub terms: Terms,
    /// What the caller asked for, in the hub, where the answer needs translation.
    pub translation: Translation,
}

impl Prepared {
    /// The same with another body.
    pub fn with_body(&self, body: Pieces) -> Prepared {
        Prepared { body, ..self.clone() }
    }
}

/// How the answer comes back.
#[derive(Debug, Clone)]
pub enum Translation {
    None,
    Generate(Box<ir::Request>),
    Embed(Box<Batches>),
    CountTokens,
    /// The answer has the caller's shape.
    Rerank,
}

/// Makes the body for one try.
///
/// # Errors
/// What the target cannot carry, in words for the caller.
pub fn body(incoming: &Incoming<'_, '_>, attempt: &Attempt<'_>, toward: &Toward<'_>) -> Result<Prepared, Error> {
    // Parameters and system texts are for models that answer.
    let edited = match incoming.call.operation.takes_settings() {
        false => None,
        true => preset::document(incoming, attempt.settings, toward.quirks)?,
    };
    let passes = matches!(attempt.lane(incoming.call.protocol, incoming.call.operation), Lane::Passthrough { .. });
    let rendered = if passes { preset::rendered(incoming, edited.as_ref(), attempt.settings)? } else { None };
    let is_rendered = rendered.is_some();
    let edited = rendered.or(edited);
    let translated = || translate::translated(incoming, edited.as_ref(), is_rendered, attempt, toward);
    let relay = match attempt.lane(incoming.call.protocol, incoming.call.operation) {
        // What the upstream calls otherwise is written, and read, by the hub.
        Lane::Passthrough { .. }
            if incoming.call.operation == Operation::Embed
                && (toward.quirks.embed_output_dimension || toward.quirks.embed_predictions) =>
        {
            Relay::Translated
        }
        Lane::Passthrough { .. } if form::needs_the_hub(incoming, edited.as_ref(), attempt, toward)? => {
            Relay::Translated
        }
        Lane::Passthrough { .. } => toward.proofs.relay(incoming),
        Lane::Translate { .. } | Lane::Refused(_) => Relay::Translated,
    };
    let mut prepared = match relay {
        Relay::AsItIs => relayed(incoming, edited.as_ref(), attempt, toward)?,
        Relay::Rewritten => Prepared { translation: Translation::None, ..translated()? },
        Relay::Translated => translated()?,
    };
    // A document that went through the hub and out again in its own protocol is still the caller's.
    let relayed = toward.endpoint.protocol == incoming.call.protocol;
    if let Some(member) = toward.outbound.betas_member().filter(|_| relayed)
        && let Some(value) = betas::member(incoming, toward.endpoint, &mut prepared.losses)
    {
        let edit = BodyEdit { pointer: format!("/{member}").into(), value: Some(value.into()) };
        prepared.body = preset::edit_body(&prepared.body, &[edit])?;
    }
    loss::check(incoming, attempt, &prepared)?;
    let edits = &attempt.settings.body;
    if !edits.is_empty() {
        prepared.body = preset::edit_body(&prepared.body, edits)?;
        if let Translation::Embed(batches) = &mut prepared.translation {
            for body in &mut batches.others {
                *body = preset::edit_body(body, edits)?;
            }
        }
    }
    if let Some(inference) = incoming.surface {
        prepared.body = inference.edit_body(prepared.body, attempt)?;
    }
    Ok(prepared)
}

/// The caller's document with the upstream's name of the model, and with the question for usage that metering needs.
fn relayed(
    incoming: &Incoming<'_, '_>,
    edited: Option<&Bytes>,
    attempt: &Attempt<'_>,
    toward: &Toward<'_>,
) -> Result<Prepared, Error> {
    if incoming.call.operation == Operation::Rerank && toward.quirks.rerank_top_k {
        let body = rerank::request_by_top_k(incoming.envelope, incoming.body, attempt.model);
        return Ok(unchanged(Pieces::new(body), Terms::default()));
    }
    let asks = attempt.provider.include_usage && incoming.call.operation == Operation::Generate;
    let renamed = |envelope: &Envelope<'_>, body: &Bytes| {
        let question = if asks { toward.outbound.ask_for_usage(envelope, toward.quirks) } else { None };
        let terms = Terms {
            hides_usage: question.is_some(),
            answers: preset::answers(incoming, envelope),
            notes_id: incoming.session.is_some_and(Session::notes_ids),
        };
        let body = Pieces::new(toward.outbound.rename(&incoming.head, envelope, body, attempt.model, question)?);
        Ok(unchanged(body, terms))
    };
    let document = edited.unwrap_or(incoming.body);
    let own = incoming.session.map(|session| session.for_its_own_kind(incoming.inbound, &incoming.head, document));
    match own.transpose()?.flatten().as_ref().or(edited) {
        None => renamed(incoming.envelope, incoming.body),
        Some(edited) => renamed(&incoming.inbound.peek(&incoming.head, edited)?, edited),
    }
}

/// A body whose answer passes as it comes, but for what `terms` hide.
fn unchanged(body: Pieces, terms: Terms) -> Prepared {
    Prepared { body, losses: Losses::default(), form: AnswerForm::default(), terms, translation: Translation::None }
}

/// The caller's document in the hub.
///
/// # Errors
/// A document that is not of its protocol.
pub fn decoded<'i>(incoming: &'i Incoming<'_, '_>) -> Result<&'i ir::Request, Error> {
    if let Some(request) = incoming.decoded.get() {
        return Ok(request);
    }
    let request = incoming.inbound.decode_request(&incoming.head, incoming.body)?;
    Ok(incoming.decoded.get_or_init(|| request))
}
