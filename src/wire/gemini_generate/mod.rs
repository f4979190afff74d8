//! Google's `generateContent`, `streamGenerateContent`, `countTokens` and `batchEmbedContents` (Gemini API, `v1beta`).
//!
//! What this folder assumes and settles:
//!
//! - The model and the stream switch stand in the path, never in the body ([`Head::path_model`], [`Head::path_stream`]);
//!   a `model` member in a body is read over, the path decides.
//! - Callers may write every modelled member in camelCase or in snake_case (protocol buffers' JSON mapping allows both);
//!   camelCase is written.
//! - Upstream streams are always asked for with `alt=sse`. A caller without `alt=sse` wants one JSON array; its answer is
//!   translated from Gemini to Gemini through the hub, and therefore the hub carries every member of a chunk
//!   ([`ir::Event::Extra`], [`ir::Part::Opaque`]).
//! - Streams hold nothing but `data: ` lines. google-genai takes any other line, comments included, for JSON text, so there
//!   is no keep-alive.
//! - [`note`] explains how the origin's spelling survives where the hub has one form for several.

mod config;
mod embeddings;
mod error;
mod finish;
mod grounding;
mod member;
mod names;
mod note;
mod part;
mod path;
mod peek;
mod predict;
mod preset;
mod rename;
mod request;
mod response;
mod schema;
mod signed;
mod stream;
mod thinking;
mod tokens;
mod tools;
mod usage;

use bytes::Bytes;
use smallvec::SmallVec;

use super::envelope::{Edit, Envelope};
use super::frame::{Frame, Framing};
use super::halves;
use super::ir;
use super::loss::Losses;
use super::naming;
use super::quirk::Quirks;
use super::schema::Dialect;
use super::structured::{Means, OutputPlan};
use super::{
    Destination, Embeddings, EmbeddingsIn, Ending, Head, Inbound, Observation, Operation, Outbound, Protocol,
    ProtocolId, Relay, StreamDecoder, StreamEncoder, proof,
};

/// Google's generateContent protocol.
pub struct Gemini;

impl Protocol for Gemini {
    fn id(&self) -> ProtocolId {
        ProtocolId::Gemini
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        Some(self)
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        Some(self)
    }

    fn embeddings(&self) -> Option<&dyn Embeddings> {
        Some(self)
    }

    fn embeddings_in(&self) -> Option<&dyn EmbeddingsIn> {
        Some(self)
    }

    fn carriage(&self) -> proof::Carriage {
        proof::Carriage {
            calls: true,
            aside: true,
            base64: true,
            removes_unproven: true,
            mark: proof::Mark::Calls,
            group: None,
        }
    }
}

impl Inbound for Gemini {
    fn peek<'a>(&self, head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, ir::Error> {
        peek::peek(head, body)
    }

    /// No upstream is asked for a stream as one array, nor for a single embedding.
    fn relay(&self, head: &Head<'_>, envelope: &Envelope<'_>) -> Relay {
        let array = envelope.stream && !head.alt_sse;
        let single = head.operation == Operation::Embed && envelope.members.get("requests").is_none();
        if array || single { Relay::Translated } else { Relay::AsItIs }
    }

    fn decode_request(&self, head: &Head<'_>, body: &[u8]) -> Result<ir::Request, ir::Error> {
        request::decode(head, &halves::mended(body))
    }

    fn encode_response(&self, response: &ir::Response, out: &mut Vec<u8>, losses: &mut Losses) {
        response::encode(response, out, losses);
    }

    fn encode_token_count(&self, input_tokens: u64, out: &mut Vec<u8>) {
        tokens::encode_count(input_tokens, out);
    }

    fn encode_error(&self, error: &ir::Error, out: &mut Vec<u8>) {
        error::encode(error, out);
    }

    fn encode_stream_error(&self, error: &ir::Error, head: &Head<'_>, out: &mut Vec<u8>) {
        stream::encode_error(error, head, out);
    }

    /// Nothing: Google's SDK for Python reads every line as JSON, comments too.
    fn keep_alive(&self) -> Option<&'static [u8]> {
        None
    }

    fn stream_encoder(&self, head: &Head<'_>, _request: &ir::Request) -> Box<dyn StreamEncoder> {
        Box::new(stream::Encoder::new(head.alt_sse))
    }

    fn stream_content_type(&self, head: &Head<'_>) -> &'static str {
        if head.alt_sse { "text/event-stream" } else { "application/json" }
    }

    fn parameter(&self, name: &str, _quirks: &Quirks) -> &'static [&'static str] {
        preset::parameter(name)
    }

    fn form_members(&self) -> &'static [&'static str] {
        &["generationConfig", "generation_config"]
    }

    fn prepend_system(&self, envelope: &Envelope<'_>, text: &str) -> Option<Edit<'static>> {
        preset::prepend_system(envelope, text)
    }
}

impl Outbound for Gemini {
    fn path(&self, operation: Operation, model: &str, stream: bool) -> Option<String> {
        path::path(operation, model, stream)
    }

    fn model_member(&self) -> Option<&'static str> {
        None
    }

    fn rename(
        &self,
        head: &Head<'_>,
        envelope: &Envelope<'_>,
        body: &Bytes,
        model: &str,
        more: Option<Edit<'_>>,
    ) -> Result<SmallVec<[Bytes; 4]>, ir::Error> {
        rename::rename(head, envelope, body, model, more)
    }

    /// Before generation 3 neither a schema nor JSON mode may be asked for beside tools.
    fn output_plan(&self, model: &str, quirks: &Quirks) -> OutputPlan {
        let beside = |means| match thinking::Generation::of(model) {
            thinking::Generation::Level { .. } => means,
            thinking::Generation::Budget { .. } => Means::Prompt,
        };
        let plan = OutputPlan {
            schema: Means::Strict,
            schema_beside_tools: beside(Means::Strict),
            unfit: Means::JsonMode,
            json: Means::JsonMode,
            json_beside_tools: beside(Means::JsonMode),
            dialect: Dialect::Gemini,
        };
        plan.under(quirks.structured_output)
    }

    fn forget_form(&self, ext: &mut super::json::Ext) {
        config::forget_output(ext);
    }

    fn encode_request(
        &self,
        request: &ir::Request,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), ir::Error> {
        request::encode(request, destination, out, losses)
    }

    fn encode_count_tokens(
        &self,
        request: &ir::Request,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), ir::Error> {
        tokens::encode_request(request, destination, out, losses)
    }

    fn decode_token_count(&self, body: &[u8]) -> Option<u64> {
        ir::count::told(body, "totalTokens")
    }

    fn decode_response(&self, body: &[u8], _quirks: &Quirks) -> Result<ir::Response, ir::Error> {
        response::decode(&halves::mended(body))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ir::Error {
        error::decode(status, body)
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn stream_decoder(&self, _quirks: &Quirks) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::default())
    }

    fn observe(&self, frame: &Frame<'_>) -> Observation {
        peek::observe(frame)
    }

    fn finishes(&self, frame: &Frame<'_>) -> SmallVec<[u64; 2]> {
        peek::finishes(frame)
    }

    fn model_told(&self) -> &'static [naming::Path] {
        &[&["modelVersion"]]
    }

    fn ending(&self, text: &[u8]) -> Ending {
        peek::ending(text)
    }

    fn usage(&self, body: &[u8]) -> Option<ir::Usage> {
        usage::find(body)
    }

    fn stand_in_proof(&self, model: &str) -> Option<&'static str> {
        thinking::Generation::of(model).wants_signatures().then_some(thinking::NO_SIGNATURE)
    }

    fn kept_proofs(&self) -> Option<proof::Kept> {
        Some(signed::KEPT)
    }

    fn forget_proofs(&self, part: &mut ir::Part) -> bool {
        signed::forget(part)
    }
}

impl Embeddings for Gemini {
    fn most_inputs(&self, destination: &Destination<'_>) -> usize {
        embeddings::most_inputs(destination)
    }

    fn encode_request(
        &self,
        request: &ir::EmbedRequest,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), ir::Error> {
        embeddings::encode_request(request, destination, out, losses)
    }

    fn decode_response(&self, body: &[u8]) -> Result<ir::EmbedResponse, ir::Error> {
        embeddings::decode_response(body)
    }
}

impl EmbeddingsIn for Gemini {
    fn decode_request(&self, head: &Head<'_>, body: &[u8]) -> Result<ir::EmbedRequest, ir::Error> {
        embeddings::decode_request(head, body)
    }

    fn encode_response(
        &self,
        request: &ir::EmbedRequest,
        response: &ir::EmbedResponse,
        out: &mut Vec<u8>,
        _losses: &mut Losses,
    ) {
        embeddings::encode_response(request, response, out);
    }
}
