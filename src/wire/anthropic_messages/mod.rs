//! Anthropic Messages (`POST /v1/messages`, `anthropic-version: 2023-06-01`), in both roles.
//!
//! What the hub does not model of a request or an answer stays in `ext` under the name it has here; of a nested object
//! (`metadata`, `output_config`, `usage`) the members that were not modelled stay, under the object's name.

mod block;
mod cite;
mod error;
mod hosted;
mod legal;
mod model;
mod peek;
mod preset;
mod request;
mod response;
mod stream;
mod usage;

pub(super) use block::BLOCK;

use super::envelope::{Edit, Envelope};
use super::frame::{Frame, Framing};
use super::halves;
use super::hosting::Hosting;
use super::loss::Losses;
use super::naming;
use super::quirk::Quirks;
use super::schema::Dialect;
use super::structured::{Means, OutputPlan};
use super::{
    Destination, Embeddings, Ending, Head, Inbound, Observation, Operation, Outbound, Protocol, ProtocolId, Relay,
    StreamDecoder, StreamEncoder, ir, json, proof,
};

use hosted::Hosted;

/// This protocol, for the origin of what it reads and the issuer of its signatures.
const SELF: ProtocolId = ProtocolId::AnthropicMessages;

pub struct AnthropicMessages;

impl Protocol for AnthropicMessages {
    fn id(&self) -> ProtocolId {
        SELF
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        Some(self)
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        Some(self)
    }

    fn hosted(&self, hosting: Hosting) -> Option<&dyn Outbound> {
        match hosting {
            Hosting::Own => Some(self),
            Hosting::Vertex => Some(&Hosted::Vertex),
            Hosting::Bedrock => Some(&Hosted::Bedrock),
        }
    }

    fn embeddings(&self) -> Option<&dyn Embeddings> {
        None
    }

    fn carriage(&self) -> proof::Carriage {
        proof::Carriage {
            // "Signature values are compatible across platforms" (Extended thinking, docs.anthropic.com).
            group: Some("anthropic"),
            mark: proof::Mark::CallsWithoutThoughts,
            ..proof::Carriage::default()
        }
    }
}

impl Inbound for AnthropicMessages {
    fn peek<'a>(&self, _head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, ir::Error> {
        peek::envelope(body)
    }

    fn relay(&self, _head: &Head<'_>, envelope: &Envelope<'_>) -> Relay {
        if peek::has_empty_signature(envelope.body) { Relay::Rewritten } else { Relay::AsItIs }
    }

    fn decode_request(&self, head: &Head<'_>, body: &[u8]) -> Result<ir::Request, ir::Error> {
        request::decode(head, &halves::mended(body))
    }

    fn answer_prefix(&self) -> &'static str {
        "msg_"
    }

    fn encode_response(&self, response: &ir::Response, out: &mut Vec<u8>, losses: &mut Losses) {
        response::encode(response, out, losses);
    }

    fn encode_token_count(&self, input_tokens: u64, out: &mut Vec<u8>) {
        json::object(out, |body| body.field("input_tokens", &input_tokens));
    }

    fn encode_error(&self, error: &ir::Error, out: &mut Vec<u8>) {
        error::encode(error, out);
    }

    fn encode_stream_error(&self, error: &ir::Error, _head: &Head<'_>, out: &mut Vec<u8>) {
        error::encode_event(error, out);
    }

    /// Anthropic's own; its clients expect pings anywhere in a stream.
    fn keep_alive(&self) -> Option<&'static [u8]> {
        Some(b"event: ping\ndata: {\"type\": \"ping\"}\n\n")
    }

    fn stream_encoder(&self, _head: &Head<'_>, request: &ir::Request) -> Box<dyn StreamEncoder> {
        Box::new(stream::Encoder::new(&request.model))
    }

    fn stream_content_type(&self, _head: &Head<'_>) -> &'static str {
        "text/event-stream"
    }

    fn parameter(&self, name: &str, _quirks: &Quirks) -> &'static [&'static str] {
        preset::parameter(name)
    }

    fn form_members(&self) -> &'static [&'static str] {
        &["output_config", "output_format"]
    }

    fn prepend_system(&self, envelope: &Envelope<'_>, text: &str) -> Option<Edit<'static>> {
        preset::prepend_system(envelope, text)
    }
}

impl Outbound for AnthropicMessages {
    /// Whoever serves Claude, Anthropic signs its thoughts; other vendors offer models of their own by this protocol.
    fn proof_group(&self, model: &str) -> Option<&'static str> {
        model.contains("claude").then_some("anthropic")
    }

    fn path(&self, operation: Operation, _model: &str, _stream: bool) -> Option<String> {
        match operation {
            Operation::Generate => Some("/v1/messages".to_owned()),
            Operation::CountTokens => Some("/v1/messages/count_tokens".to_owned()),
            Operation::Files => Some("/v1/files".to_owned()),
            Operation::Batches => Some("/v1/messages/batches".to_owned()),
            _ => None,
        }
    }

    fn model_member(&self) -> Option<&'static str> {
        Some("model")
    }

    /// Schemas since Claude 4.1, beside tools too; a JSON mode never.
    fn output_plan(&self, model: &str, quirks: &Quirks) -> OutputPlan {
        let traits = model::traits(model);
        let tool = if traits.forced_calls { Means::Tool } else { Means::Prompt };
        let plan = OutputPlan {
            schema: if traits.schemas { Means::Strict } else { tool },
            schema_beside_tools: if traits.schemas { Means::Strict } else { Means::Prompt },
            unfit: tool,
            json: Means::Prompt,
            json_beside_tools: Means::Prompt,
            dialect: Dialect::Anthropic,
        };
        plan.under(quirks.structured_output)
    }

    fn forget_form(&self, ext: &mut json::Ext) {
        ext.0.retain(|(key, _)| key != "output_format");
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
        request::encode_count_tokens(request, destination, out, losses)
    }

    fn decode_token_count(&self, body: &[u8]) -> Option<u64> {
        ir::count::told(body, "input_tokens")
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

    fn is_mark(&self, frame: &Frame<'_>) -> bool {
        peek::is_mark(frame)
    }

    fn observe(&self, frame: &Frame<'_>) -> Observation {
        peek::observe(frame)
    }

    fn add_usage(&self, known: &mut ir::Usage, newer: &ir::Usage) {
        usage::add(known, newer);
    }

    fn model_told(&self) -> &'static [naming::Path] {
        &[&["message", "model"], &["model"]]
    }

    fn ending(&self, text: &[u8]) -> Ending {
        peek::ending(text)
    }

    fn usage(&self, body: &[u8]) -> Option<ir::Usage> {
        peek::usage(body)
    }
}

#[cfg(test)]
mod test_support;
