//! AWS Bedrock Converse (`Converse`, `ConverseStream`, `CountTokens` of the Bedrock runtime).
//!
//! The model stands in the path, percent-encoded whole (an ARN holds slashes and colons). Streams are binary event streams;
//! usage comes behind the stop, in `metadata`. What the service does not model for all vendors (thinking, `top_k`) goes into
//! `additionalModelRequestFields` in the words of the model's vendor.
//!
//! Event streams have no comments. What keeps a silent one alive is an event of a type that no client knows: Smithy's clients
//! pass over such events, and botocore, which gives up a connection after a minute of silence, does not show them.

mod answer;
mod block;
mod cite;
mod embeddings;
mod error;
mod finish;
mod formats;
mod legal;
mod model;
mod peek;
mod preset;
mod request;
mod response;
mod stream;
mod stream_encode;
mod usage;

use std::sync::LazyLock;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::envelope::{Edit, Envelope};
use super::frame::{Frame, Framing, event_stream};
use super::halves;
use super::loss::Losses;
use super::naming;
use super::quirk::Quirks;
use super::schema::Dialect;
use super::structured::{Means, OutputPlan};
use super::{
    Destination, Embeddings, Ending, Head, Inbound, Observation, Operation, Outbound, Protocol, ProtocolId,
    StreamDecoder, StreamEncoder, ir, json, proof,
};

/// This protocol, for the origin of what it reads and the issuer of its signatures.
const SELF: ProtocolId = ProtocolId::BedrockConverse;

/// Everything but RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub struct BedrockConverse;

impl Protocol for BedrockConverse {
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
        Some(self)
    }

    fn carriage(&self) -> proof::Carriage {
        proof::Carriage {
            // Of the models behind it only Anthropic's sign their thoughts.
            group: Some("anthropic"),
            mark: proof::Mark::CallsWithoutThoughts,
            ..proof::Carriage::default()
        }
    }
}

impl Embeddings for BedrockConverse {
    fn most_inputs(&self, destination: &Destination<'_>) -> usize {
        embeddings::most_inputs(destination.model)
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

static KEEP_ALIVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut out = Vec::new();
    event_stream::write_event("keepAlive", |out| out.extend_from_slice(b"{}"), &mut out);
    out
});

impl Inbound for BedrockConverse {
    fn peek<'a>(&self, head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, ir::Error> {
        peek::envelope(head, body)
    }

    fn decode_request(&self, head: &Head<'_>, body: &[u8]) -> Result<ir::Request, ir::Error> {
        request::decode(head, &halves::mended(body))
    }

    fn encode_response(&self, response: &ir::Response, out: &mut Vec<u8>, losses: &mut Losses) {
        answer::encode(response, out, losses);
    }

    fn encode_token_count(&self, input_tokens: u64, out: &mut Vec<u8>) {
        json::object(out, |body| body.field("inputTokens", &input_tokens));
    }

    fn encode_error(&self, error: &ir::Error, out: &mut Vec<u8>) {
        error::encode(error, out);
    }

    fn error_status(&self, error: &ir::Error) -> u16 {
        error::name(error).1
    }

    fn error_header(&self, error: &ir::Error) -> Option<(&'static str, &'static str)> {
        Some(("x-amzn-errortype", error::name(error).0))
    }

    fn encode_stream_error(&self, error: &ir::Error, _head: &Head<'_>, out: &mut Vec<u8>) {
        error::encode_exception(error, out);
    }

    fn keep_alive(&self) -> Option<&'static [u8]> {
        Some(&KEEP_ALIVE)
    }

    fn stream_encoder(&self, _head: &Head<'_>, _request: &ir::Request) -> Box<dyn StreamEncoder> {
        Box::new(stream_encode::Encoder::default())
    }

    fn stream_content_type(&self, _head: &Head<'_>) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn parameter(&self, name: &str, _quirks: &Quirks) -> &'static [&'static str] {
        preset::parameter(name)
    }

    fn form_members(&self) -> &'static [&'static str] {
        &["outputConfig"]
    }

    fn prepend_system(&self, envelope: &Envelope<'_>, text: &str) -> Option<Edit<'static>> {
        preset::prepend_system(envelope, text)
    }
}

impl Outbound for BedrockConverse {
    fn proof_group(&self, model: &str) -> Option<&'static str> {
        model::family(model).is_claude().then_some("anthropic")
    }

    fn path(&self, operation: Operation, model: &str, stream: bool) -> Option<String> {
        let method = match operation {
            Operation::Generate if stream => "converse-stream",
            Operation::Generate => "converse",
            Operation::CountTokens => "count-tokens",
            Operation::Embed | Operation::Rerank => "invoke",
            _ => return None,
        };
        Some(format!("/model/{}/{method}", utf8_percent_encode(model, SEGMENT)))
    }

    fn model_member(&self) -> Option<&'static str> {
        None
    }

    /// `outputConfig` where the model's vendor has schemas; a JSON mode never.
    fn output_plan(&self, model: &str, quirks: &Quirks) -> OutputPlan {
        let schemas = model::family(model).takes_schemas();
        let plan = OutputPlan {
            schema: if schemas { Means::Strict } else { Means::Tool },
            schema_beside_tools: if schemas { Means::Strict } else { Means::Prompt },
            unfit: Means::Tool,
            json: Means::Prompt,
            json_beside_tools: Means::Prompt,
            dialect: Dialect::Anthropic,
        };
        plan.under(quirks.structured_output)
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
        request::encode_count(request, destination, out, losses)
    }

    fn decode_token_count(&self, body: &[u8]) -> Option<u64> {
        ir::count::told(body, "inputTokens")
    }

    fn decode_response(&self, body: &[u8], _quirks: &Quirks) -> Result<ir::Response, ir::Error> {
        response::decode(&halves::mended(body))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ir::Error {
        error::decode(status, body)
    }

    fn decode_stream_error(&self, frame: &Frame<'_>) -> ir::Error {
        error::of_frame(frame)
    }

    fn framing(&self) -> Framing {
        Framing::EventStream
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

    fn model_told(&self) -> &'static [naming::Path] {
        &[]
    }

    fn ending(&self, text: &[u8]) -> Ending {
        peek::ending(text)
    }

    fn usage(&self, body: &[u8]) -> Option<ir::Usage> {
        usage::of(std::str::from_utf8(body).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_one_segment_of_the_path() {
        let path = |operation, model, stream| BedrockConverse.path(operation, model, stream);
        assert_eq!(
            path(Operation::Generate, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", true).as_deref(),
            Some("/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream")
        );
        assert_eq!(path(Operation::Generate, "arn:a/b", false).as_deref(), Some("/model/arn%3Aa%2Fb/converse"));
        assert_eq!(path(Operation::CountTokens, "m", false).as_deref(), Some("/model/m/count-tokens"));
        assert_eq!(path(Operation::Embed, "m", false).as_deref(), Some("/model/m/invoke"));
        assert_eq!(BedrockConverse.decode_token_count(br#"{"inputTokens":7}"#), Some(7));
    }
}
