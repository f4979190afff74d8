//! OpenAI Responses (`POST /v1/responses`), in both roles.
//!
//! Facts: OpenAI's OpenAPI description (August 2026) and recorded answers of a dozen providers.
//!
//! The input is a flat list of items. Consecutive items of the model's (thoughts, messages, calls) are one assistant message
//! of the hub, because other protocols know turns; notes about the items (`#message`, `#id`, see [`note`]) take them apart
//! again for an upstream of this protocol.

mod cite;
mod content;
mod echo;
mod encode;
mod foreign;
mod freeform;
pub mod history;
mod item;
mod note;
mod peek;
mod picture;
mod preset;
mod request;
mod response;
mod stream;
mod usage;

use super::envelope::{Edit, Envelope};
use super::frame::{Frame, Framing, sse};
use super::halves;
use super::ir::{self, Error};
use super::loss::Losses;
use super::naming;
use super::openai_error as error;
use super::quirk::Quirks;
use super::schema::Dialect;
use super::structured::{Means, OutputPlan};
use super::{
    Answering, Destination, Embeddings, Ending, Head, Inbound, Observation, Operation, Outbound, Protocol, ProtocolId,
    StreamDecoder, StreamEncoder, json, proof,
};

/// This protocol, for the origin of what it reads and the issuer of its encrypted thoughts.
const SELF: ProtocolId = ProtocolId::OpenAiResponses;

/// Responses, both roles.
pub struct OpenAiResponses;

impl Protocol for OpenAiResponses {
    fn id(&self) -> ProtocolId {
        SELF
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        Some(self)
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        Some(self)
    }

    fn embeddings(&self) -> Option<&dyn Embeddings> {
        None
    }

    fn carriage(&self) -> proof::Carriage {
        proof::Carriage { removes_unproven: true, mark: proof::Mark::Thoughts, ..proof::Carriage::default() }
    }
}

impl Inbound for OpenAiResponses {
    fn peek<'a>(&self, _head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, Error> {
        peek::envelope(body)
    }

    fn decode_request(&self, _head: &Head<'_>, body: &[u8]) -> Result<ir::Request, Error> {
        request::decode(&halves::mended(body))
    }

    fn refuse_state(&self, request: &ir::Request) -> Result<(), Error> {
        request::refuse_state(request)
    }

    fn answer_prefix(&self) -> &'static str {
        "resp_"
    }

    fn encode_response(&self, response: &ir::Response, out: &mut Vec<u8>, losses: &mut Losses) {
        response::encode(response, out, losses);
    }

    fn encode_answer(
        &self,
        answering: &Answering<'_>,
        response: &ir::Response,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        response::encode_answer(answering, response, out, losses);
    }

    fn encode_token_count(&self, input_tokens: u64, out: &mut Vec<u8>) {
        json::object(out, |answer| {
            answer.field("object", "response.input_tokens");
            answer.field("input_tokens", &input_tokens);
        });
    }

    fn encode_error(&self, error: &Error, out: &mut Vec<u8>) {
        error::encode(error, out);
    }

    fn encode_stream_error(&self, error: &Error, _head: &Head<'_>, out: &mut Vec<u8>) {
        sse::write_data(Some("error"), |data| stream::write_error(error, 0, data), out);
    }

    fn stream_encoder(&self, _head: &Head<'_>, request: &ir::Request) -> Box<dyn StreamEncoder> {
        Box::new(stream::Encoder::new(&request.model))
    }

    fn answer_encoder(&self, _head: &Head<'_>, answering: &Answering<'_>) -> Box<dyn StreamEncoder> {
        Box::new(stream::Encoder::answering(answering))
    }

    fn stream_content_type(&self, _head: &Head<'_>) -> &'static str {
        "text/event-stream"
    }

    fn parameter(&self, name: &str, _quirks: &Quirks) -> &'static [&'static str] {
        preset::parameter(name)
    }

    fn form_members(&self) -> &'static [&'static str] {
        &["text"]
    }

    fn prepend_system(&self, envelope: &Envelope<'_>, text: &str) -> Option<Edit<'static>> {
        Some(preset::prepend_system(envelope, text))
    }
}

impl Outbound for OpenAiResponses {
    fn path(&self, operation: Operation, _model: &str, _stream: bool) -> Option<String> {
        match operation {
            Operation::Generate => Some("/responses".to_owned()),
            Operation::CountTokens => Some("/responses/input_tokens".to_owned()),
            Operation::Compact => Some("/responses/compact".to_owned()),
            _ => None,
        }
    }

    fn model_member(&self) -> Option<&'static str> {
        Some("model")
    }

    /// As in Chat Completions.
    fn output_plan(&self, _model: &str, quirks: &Quirks) -> OutputPlan {
        let plan = OutputPlan {
            schema: Means::BestEffort,
            schema_beside_tools: Means::BestEffort,
            unfit: Means::BestEffort,
            json: Means::JsonMode,
            json_beside_tools: Means::JsonMode,
            dialect: Dialect::OpenAi,
        };
        plan.under(quirks.structured_output)
    }

    fn lacks_stops(&self) -> bool {
        true
    }

    fn forget_form(&self, ext: &mut json::Ext) {
        ext.0.retain(|(key, _)| key != "#format");
    }

    fn encode_request(
        &self,
        request: &ir::Request,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), Error> {
        foreign::check(request)?;
        encode::encode(request, destination, out, losses);
        Ok(())
    }

    fn encode_count_tokens(
        &self,
        request: &ir::Request,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), Error> {
        foreign::check(request)?;
        encode::encode_count(request, destination, out, losses);
        Ok(())
    }

    fn decode_token_count(&self, body: &[u8]) -> Option<u64> {
        ir::count::told(body, "input_tokens")
    }

    fn decode_response(&self, body: &[u8], _quirks: &Quirks) -> Result<ir::Response, Error> {
        response::decode(&halves::mended(body))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Error {
        stream::decode_error(status, body)
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn stream_decoder(&self, _quirks: &Quirks) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::default())
    }

    fn is_mark(&self, frame: &Frame<'_>) -> bool {
        peek::is_mark(frame)
    }

    fn observe(&self, frame: &Frame<'_>) -> Observation {
        peek::observe(frame)
    }

    fn answer_id(&self, frame: &Frame<'_>) -> Option<String> {
        peek::answer_id(frame)
    }

    fn model_told(&self) -> &'static [naming::Path] {
        &[&["response", "model"], &["model"]]
    }

    fn ending(&self, text: &[u8]) -> Ending {
        peek::ending(text)
    }

    fn usage(&self, body: &[u8]) -> Option<ir::Usage> {
        peek::usage(body)
    }
}
