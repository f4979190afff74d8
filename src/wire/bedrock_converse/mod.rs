//! AWS Bedrock Converse (`Converse`, `ConverseStream`, `CountTokens` of the Bedrock runtime), in the client's role.
//!
//! The model stands in the path, percent-encoded whole (an ARN holds slashes and colons). Streams are binary event streams;
//! usage comes behind the stop, in `metadata`. What the service does not model for all vendors (thinking, `top_k`) goes into
//! `additionalModelRequestFields` in the words of the model's vendor.

mod error;
mod finish;
mod legal;
mod model;
mod peek;
mod request;
mod response;
mod stream;
mod usage;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::frame::{Frame, Framing};
use super::loss::Losses;
use super::quirk::Quirks;
use super::{
    Destination, Embeddings, Inbound, Observation, Operation, Outbound, Protocol, ProtocolId, StreamDecoder, ir, json,
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
        None
    }

    fn outbound(&self) -> Option<&dyn Outbound> {
        Some(self)
    }

    fn embeddings(&self) -> Option<&dyn Embeddings> {
        None
    }
}

impl Outbound for BedrockConverse {
    fn path(&self, operation: Operation, model: &str, stream: bool) -> Option<String> {
        let method = match operation {
            Operation::Generate if stream => "converse-stream",
            Operation::Generate => "converse",
            Operation::CountTokens => "count-tokens",
            _ => return None,
        };
        Some(format!("/model/{}/{method}", utf8_percent_encode(model, SEGMENT)))
    }

    fn model_member(&self) -> Option<&'static str> {
        None
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
        json::Object::parse(std::str::from_utf8(body).ok()?).ok()?.u64("inputTokens").ok()?
    }

    fn decode_response(&self, body: &[u8], _quirks: &Quirks) -> Result<ir::Response, ir::Error> {
        response::decode(body)
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

    fn observe(&self, frame: &Frame<'_>) -> Observation {
        peek::observe(frame)
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
        assert_eq!(path(Operation::Embed, "m", false), None);
        assert_eq!(BedrockConverse.decode_token_count(br#"{"inputTokens":7}"#), Some(7));
    }
}
