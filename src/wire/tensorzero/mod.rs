//! The surface of a TensorZero gateway, which callers speak and no upstream does: the native `/inference`, and
//! `/openai/v1/*`, OpenAI's form with members of its own.
//!
//! A request is read into the hub as if it were one of Chat Completions, whose parts it is made of; what it says besides is
//! [`call::Call`], and what its answer says besides is [`Told`]. Facts: `tensorzero` 2026.6.0, by running it.

mod aggregate;
mod answer;
mod block;
pub mod call;
mod chat_request;
mod embeddings;
mod error;
mod left;
mod native_request;
mod params;
pub mod provider_tool;
mod raw;
mod stream;
mod told;
pub mod variant;

use std::borrow::Cow;
use std::sync::Arc;

pub use params::{ask_for_json, strict as strict_output};
pub use raw::{FailedTry, Raws};
pub use told::{Price, Told};

use super::envelope::{Edit, Envelope};
use super::halves;
use super::json::{self, JsonError};
use super::loss::Losses;
use super::outline::Outline;
use super::quirk::Quirks;
use super::{
    Answering, Embeddings, EmbeddingsIn, Head, Inbound, Operation, Outbound, Protocol, ProtocolId, StreamEncoder,
};
use crate::wire::ir::{self, Error};

/// One of the forms of the surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// `/inference`.
    Native,
    /// `/openai/v1/chat/completions`.
    Chat,
    /// `/openai/v1/embeddings`.
    Embeddings,
}

impl Face {
    /// The form of a request, `None` where it is none of this surface.
    pub fn of(protocol: ProtocolId, operation: Operation) -> Option<Face> {
        match (protocol, operation) {
            (ProtocolId::TensorZero, _) => Some(Face::Native),
            (ProtocolId::TensorZeroChat, Operation::Embed) => Some(Face::Embeddings),
            (ProtocolId::TensorZeroChat, _) => Some(Face::Chat),
            _ => None,
        }
    }

    /// What the names of the members begin with that tell of the upstream.
    fn mark(self) -> &'static str {
        match self {
            Face::Native => "",
            Face::Chat => "tensorzero_",
            Face::Embeddings => "tensorzero::",
        }
    }
}

/// Whom a request asks.
///
/// # Errors
/// A name in none of the forms of the surface.
pub fn asked(face: Face, envelope: &Envelope<'_>) -> Result<call::Asked, Error> {
    match face {
        Face::Native => {
            call::asked_of_native(envelope.members.get("function_name"), envelope.members.get("model_name"))
        }
        Face::Chat => call::asked_of_chat(&envelope.model),
        Face::Embeddings => Ok(call::asked_of_embeddings(&envelope.model)),
    }
}

/// A system text as a message of its own.
pub fn system_message(part: ir::Part) -> ir::Message {
    block::turn(ir::Role::System, vec![part])
}

/// The surface, in one of the protocols by which callers reach it.
pub struct Surface {
    id: ProtocolId,
    /// Of calls that want an answer in words.
    face: Face,
}

/// `/inference`.
pub static NATIVE: Surface = Surface { id: ProtocolId::TensorZero, face: Face::Native };

/// `/openai/v1/*`.
pub static CHAT: Surface = Surface { id: ProtocolId::TensorZeroChat, face: Face::Chat };

impl Protocol for Surface {
    fn id(&self) -> ProtocolId {
        self.id
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        Some(self)
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        None
    }

    fn embeddings(&self) -> Option<&dyn Embeddings> {
        None
    }

    fn embeddings_in(&self) -> Option<&dyn EmbeddingsIn> {
        match self.face {
            Face::Native => None,
            Face::Chat | Face::Embeddings => Some(self),
        }
    }
}

impl Inbound for Surface {
    fn peek<'a>(&self, _head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, Error> {
        let members = Outline::parse(json::utf8(body)?)?;
        let stream = match members.get("stream") {
            Some("true") => true,
            None | Some("false" | "null") => false,
            Some(_) => return Err(JsonError::Type { key: "stream".to_owned(), expected: "true or false" }.into()),
        };
        let model = match self.face {
            Face::Native => {
                let asked = call::asked_of_native(members.get("function_name"), members.get("model_name"))?;
                Cow::Owned(asked.name())
            }
            Face::Chat | Face::Embeddings => {
                let missing = || JsonError::Missing { key: "model".to_owned() };
                let wrong = || JsonError::Type { key: "model".to_owned(), expected: "a string that names a model" };
                json::string(members.get("model").ok_or_else(missing)?).ok_or_else(wrong)?
            }
        };
        Ok(Envelope { body, model, stream, user: None, members })
    }

    fn decode_request(&self, _head: &Head<'_>, body: &[u8]) -> Result<ir::Request, Error> {
        let body = &halves::mended(body);
        match self.face {
            Face::Native => native_request::decode(body),
            Face::Chat | Face::Embeddings => chat_request::decode(body),
        }
    }

    /// An answer of which nobody said what it is to be called.
    fn encode_response(&self, response: &ir::Response, out: &mut Vec<u8>, losses: &mut Losses) {
        let told = Arc::new(Told::unnamed(response.model.as_deref().unwrap_or_default()));
        let request = params::empty(told.name.clone(), false);
        let answering = Answering { request: &request, id: None, previous: None, now: 0, told: Some(&told), raw: None };
        Inbound::encode_answer(self, &answering, response, out, losses);
    }

    fn encode_answer(
        &self,
        answering: &Answering<'_>,
        response: &ir::Response,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        match (answering.told, self.face) {
            (None, _) => Inbound::encode_response(self, response, out, losses),
            (Some(told), Face::Native) => answer::native(told, answering, response, out, losses),
            (Some(told), Face::Chat | Face::Embeddings) => answer::chat(told, response, answering.raw, out, losses),
        }
    }

    fn encode_token_count(&self, input_tokens: u64, out: &mut Vec<u8>) {
        json::object(out, |answer| answer.field("input_tokens", &input_tokens));
    }

    fn encode_error(&self, error: &Error, out: &mut Vec<u8>) {
        error::write(self.face, error, &[], out);
    }

    fn encode_stream_error(&self, error: &Error, _head: &Head<'_>, out: &mut Vec<u8>) {
        super::frame::sse::write_data(None, |data| error::write(self.face, error, &[], data), out);
    }

    fn stream_encoder(&self, _head: &Head<'_>, request: &ir::Request) -> Box<dyn StreamEncoder> {
        Box::new(stream::Encoder::new(self.face, Arc::new(Told::unnamed(&request.model)), &[]))
    }

    fn answer_encoder(&self, head: &Head<'_>, answering: &Answering<'_>) -> Box<dyn StreamEncoder> {
        let Some(told) = answering.told else { return self.stream_encoder(head, answering.request) };
        let offered = answering.request.tools.as_deref().unwrap_or_default();
        Box::new(stream::Encoder::new(self.face, Arc::clone(told), offered))
    }

    fn stream_content_type(&self, _head: &Head<'_>) -> &'static str {
        "text/event-stream"
    }

    fn parameter(&self, name: &str, _quirks: &Quirks) -> &'static [&'static str] {
        match self.face {
            Face::Native => params::native_place(name),
            Face::Chat | Face::Embeddings => params::chat_place(name),
        }
    }

    fn form_members(&self) -> &'static [&'static str] {
        match self.face {
            Face::Native => &["params", "output_schema"],
            Face::Chat | Face::Embeddings => &["response_format", "tensorzero::params"],
        }
    }

    /// System texts of presets go into the hub.
    fn prepend_system(&self, _envelope: &Envelope<'_>, _text: &str) -> Option<Edit<'static>> {
        None
    }
}

/// Writes an error after tries that failed, which the caller wants to see.
pub fn write_error(face: Face, error: &Error, failed: &[FailedTry], out: &mut Vec<u8>) {
    error::write(face, error, failed, out);
}
