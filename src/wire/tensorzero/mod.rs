//! The surface of a TensorZero gateway, which callers speak and no upstream does: the native `/inference`, and
//! `/openai/v1/*`, OpenAI's form with members of its own.
//!
//! A request is read into the hub as if it were one of Chat Completions, whose parts it is made of; what it says besides is
//! [`call::Call`], and what its answer says besides is [`Told`]. Facts: `tensorzero` 2026.6.0, by running it.

mod answer;
mod block;
pub mod call;
mod chat_request;
mod embeddings;
mod error;
mod native_request;
mod params;
mod stream;
mod told;

use std::borrow::Cow;
use std::sync::Arc;

pub use params::{ask_for_json, strict as strict_output};
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

/// `/inference`.
pub struct Native;

/// `/openai/v1/*`.
pub struct Chat;

impl Protocol for Native {
    fn id(&self) -> ProtocolId {
        ProtocolId::TensorZero
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
}

impl Protocol for Chat {
    fn id(&self) -> ProtocolId {
        ProtocolId::TensorZeroChat
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
        Some(self)
    }
}

impl Inbound for Native {
    fn peek<'a>(&self, _head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, Error> {
        let (members, stream) = outside(body)?;
        let asked = call::asked_of_native(members.get("function_name"), members.get("model_name"))?;
        Ok(Envelope { body, model: Cow::Owned(asked.name()), stream, user: None, members })
    }

    fn decode_request(&self, _head: &Head<'_>, body: &[u8]) -> Result<ir::Request, Error> {
        native_request::decode(&halves::mended(body))
    }

    fn encode_response(&self, response: &ir::Response, out: &mut Vec<u8>, losses: &mut Losses) {
        unnamed(response, out, losses);
    }

    fn encode_answer(
        &self,
        answering: &Answering<'_>,
        response: &ir::Response,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        match answering.told {
            Some(told) => answer::native(told, answering, response, out, losses),
            None => unnamed(response, out, losses),
        }
    }

    fn encode_token_count(&self, input_tokens: u64, out: &mut Vec<u8>) {
        super::json::object(out, |answer| answer.field("input_tokens", &input_tokens));
    }

    fn encode_error(&self, error: &Error, out: &mut Vec<u8>) {
        error::write(Face::Native, error, out);
    }

    fn encode_stream_error(&self, error: &Error, _head: &Head<'_>, out: &mut Vec<u8>) {
        super::frame::sse::write_data(None, |data| error::write(Face::Native, error, data), out);
    }

    fn stream_encoder(&self, _head: &Head<'_>, request: &ir::Request) -> Box<dyn StreamEncoder> {
        Box::new(stream::Encoder::new(Face::Native, Arc::new(Told::unnamed(&request.model))))
    }

    fn answer_encoder(&self, head: &Head<'_>, answering: &Answering<'_>) -> Box<dyn StreamEncoder> {
        match answering.told {
            Some(told) => Box::new(stream::Encoder::new(Face::Native, Arc::clone(told))),
            None => self.stream_encoder(head, answering.request),
        }
    }

    fn stream_content_type(&self, _head: &Head<'_>) -> &'static str {
        "text/event-stream"
    }

    fn parameter(&self, name: &str, _quirks: &Quirks) -> &'static [&'static str] {
        match name {
            "temperature" => &["/params/chat_completion/temperature"],
            "top_p" => &["/params/chat_completion/top_p"],
            "max_tokens" | "max_completion_tokens" => &["/params/chat_completion/max_tokens"],
            "seed" => &["/params/chat_completion/seed"],
            "presence_penalty" => &["/params/chat_completion/presence_penalty"],
            "frequency_penalty" => &["/params/chat_completion/frequency_penalty"],
            "stop" => &["/params/chat_completion/stop_sequences"],
            "reasoning_effort" => &["/params/chat_completion/reasoning_effort"],
            "service_tier" => &["/params/chat_completion/service_tier"],
            "verbosity" => &["/params/chat_completion/verbosity"],
            "thinking_budget_tokens" => &["/params/chat_completion/thinking_budget_tokens"],
            _ => &[],
        }
    }

    fn form_members(&self) -> &'static [&'static str] {
        &["params", "output_schema"]
    }

    /// System texts of presets go into the hub.
    fn prepend_system(&self, _envelope: &Envelope<'_>, _text: &str) -> Option<Edit<'static>> {
        None
    }
}

impl Inbound for Chat {
    fn peek<'a>(&self, _head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, Error> {
        let (members, stream) = outside(body)?;
        let missing = || JsonError::Missing { key: "model".to_owned() };
        let wrong = || JsonError::Type { key: "model".to_owned(), expected: "a string that names a model" };
        let model = super::json::string(members.get("model").ok_or_else(missing)?).ok_or_else(wrong)?;
        Ok(Envelope { body, model, stream, user: None, members })
    }

    fn decode_request(&self, _head: &Head<'_>, body: &[u8]) -> Result<ir::Request, Error> {
        chat_request::decode(&halves::mended(body))
    }

    fn encode_response(&self, response: &ir::Response, out: &mut Vec<u8>, losses: &mut Losses) {
        let told = Told::unnamed(response.model.as_deref().unwrap_or_default());
        answer::chat(&told, response, None, out, losses);
    }

    fn encode_answer(
        &self,
        answering: &Answering<'_>,
        response: &ir::Response,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        match answering.told {
            Some(told) => answer::chat(told, response, answering.raw, out, losses),
            None => Inbound::encode_response(self, response, out, losses),
        }
    }

    fn encode_token_count(&self, input_tokens: u64, out: &mut Vec<u8>) {
        super::json::object(out, |answer| answer.field("input_tokens", &input_tokens));
    }

    fn encode_error(&self, error: &Error, out: &mut Vec<u8>) {
        error::write(Face::Chat, error, out);
    }

    fn encode_stream_error(&self, error: &Error, _head: &Head<'_>, out: &mut Vec<u8>) {
        super::frame::sse::write_data(None, |data| error::write(Face::Chat, error, data), out);
    }

    fn stream_encoder(&self, _head: &Head<'_>, request: &ir::Request) -> Box<dyn StreamEncoder> {
        Box::new(stream::Encoder::new(Face::Chat, Arc::new(Told::unnamed(&request.model))))
    }

    fn answer_encoder(&self, head: &Head<'_>, answering: &Answering<'_>) -> Box<dyn StreamEncoder> {
        match answering.told {
            Some(told) => Box::new(stream::Encoder::new(Face::Chat, Arc::clone(told))),
            None => self.stream_encoder(head, answering.request),
        }
    }

    fn stream_content_type(&self, _head: &Head<'_>) -> &'static str {
        "text/event-stream"
    }

    fn parameter(&self, name: &str, _quirks: &Quirks) -> &'static [&'static str] {
        match name {
            "max_tokens" | "max_completion_tokens" => {
                &["/max_completion_tokens", "/max_tokens", "/tensorzero::params/chat_completion/max_tokens"]
            }
            "temperature" => &["/temperature", "/tensorzero::params/chat_completion/temperature"],
            "top_p" => &["/top_p", "/tensorzero::params/chat_completion/top_p"],
            "seed" => &["/seed", "/tensorzero::params/chat_completion/seed"],
            "stop" => &["/stop", "/tensorzero::params/chat_completion/stop_sequences"],
            "thinking_budget_tokens" => &["/tensorzero::params/chat_completion/thinking_budget_tokens"],
            _ => &[],
        }
    }

    fn form_members(&self) -> &'static [&'static str] {
        &["response_format", "tensorzero::params"]
    }

    /// System texts of presets go into the hub.
    fn prepend_system(&self, _envelope: &Envelope<'_>, _text: &str) -> Option<Edit<'static>> {
        None
    }
}

/// The members of a document, and whether it asks for a stream.
fn outside(body: &[u8]) -> Result<(Outline<'_>, bool), Error> {
    let text = json::utf8(body)?;
    let members = Outline::parse(text)?;
    let stream = match members.get("stream") {
        Some("true") => true,
        None | Some("false" | "null") => false,
        Some(_) => return Err(JsonError::Type { key: "stream".to_owned(), expected: "true or false" }.into()),
    };
    Ok((members, stream))
}

/// An answer of which nobody said what it is to be called.
fn unnamed(response: &ir::Response, out: &mut Vec<u8>, losses: &mut Losses) {
    let told = Told::unnamed(response.model.as_deref().unwrap_or_default());
    let request = params::empty(told.name.clone(), false);
    let answering = Answering { request: &request, id: None, previous: None, now: 0, told: None, raw: None };
    answer::native(&told, &answering, response, out, losses);
}
