//! OpenAI Chat Completions, and the many upstreams that speak it with an accent.
//!
//! Facts: OpenAI's OpenAPI description (August 2026) and recorded answers of some forty providers.
//!
//! How the hub keeps this protocol's spelling: members that nobody modelled stay in the `ext` of their object; those of an
//! inner object (`function` of a tool, `image_url` of a part) stay as an object under the inner object's name. A member of
//! `ext` whose value is `null` may also be a mark: the name of the member in which the text stood (`reasoning` instead of
//! `reasoning_content`). A `null` asks for nothing, so no other protocol reports it as a loss.

mod ask;
mod calls;
mod cite;
mod content;
mod conversation;
mod details;
mod embeddings;
mod encode;
mod finish;
mod knob;
mod message;
mod nested;
mod observe;
mod peek;
mod preset;
mod relayed;
mod request;
mod response;
mod stream_decode;
mod stream_encode;
mod stream_extra;
#[cfg(test)]
mod stream_tests;
mod think;
mod tools;
mod usage;

use bytes::Bytes;
use smallvec::SmallVec;

use super::envelope::{Edit, Envelope};
use super::frame::{Frame, Framing};
use super::ir::{self, Error};
use super::loss::Losses;
use super::operation::Form;
use super::quirk::Quirks;
use super::schema::Dialect;
use super::structured::{Means, OutputPlan};
use super::{
    Destination, Embeddings, EmbeddingsIn, Ending, Head, Inbound, Observation, Operation, Outbound, Protocol,
    ProtocolId, StreamDecoder, StreamEncoder, proof,
};
use super::{halves, multipart, openai_error as error, rename_member, tool_ids};

/// Chat Completions, both roles.
pub struct OpenAiChat;

impl Protocol for OpenAiChat {
    fn id(&self) -> ProtocolId {
        ProtocolId::OpenAiChat
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
        proof::Carriage { calls: true, aside: true, mark: proof::Mark::Thoughts, ..proof::Carriage::default() }
    }
}

impl Inbound for OpenAiChat {
    fn peek<'a>(&self, head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, Error> {
        if may_be_form(head) && multipart::is_form(body) {
            return relayed::peek_form(body);
        }
        let envelope = peek::peek(body)?;
        if head.operation == Operation::Generate {
            peek::refuse_responses_body(|key| envelope.members.get(key).is_some())?;
        }
        Ok(envelope)
    }

    fn decode_request(&self, _head: &Head<'_>, body: &[u8]) -> Result<ir::Request, Error> {
        request::decode(&halves::mended(body))
    }

    fn answer_prefix(&self) -> &'static str {
        "chatcmpl-"
    }

    fn encode_response(&self, response: &ir::Response, out: &mut Vec<u8>, losses: &mut Losses) {
        response::encode(response, out, losses);
    }

    /// Chat Completions has no such endpoint; the member is that of OpenAI's `/responses/input_tokens`.
    fn encode_token_count(&self, input_tokens: u64, out: &mut Vec<u8>) {
        super::json::object(out, |answer| {
            answer.field("object", "response.input_tokens");
            answer.field("input_tokens", &input_tokens);
        });
    }

    fn encode_error(&self, error: &Error, out: &mut Vec<u8>) {
        error::encode(error, out);
    }

    fn encode_stream_error(&self, error: &Error, _head: &Head<'_>, out: &mut Vec<u8>) {
        super::frame::sse::write_data(None, |data| error::encode(error, data), out);
    }

    fn stream_encoder(&self, _head: &Head<'_>, request: &ir::Request) -> Box<dyn StreamEncoder> {
        Box::new(stream_encode::Encoder::new(request.include_usage == Some(true)))
    }

    fn stream_content_type(&self, _head: &Head<'_>) -> &'static str {
        "text/event-stream"
    }

    fn parameter(&self, name: &str, quirks: &Quirks) -> &'static [&'static str] {
        preset::parameter(name, quirks)
    }

    fn form_members(&self) -> &'static [&'static str] {
        &["response_format"]
    }

    fn prepend_system(&self, envelope: &Envelope<'_>, text: &str) -> Option<Edit<'static>> {
        preset::prepend_system(envelope, text)
    }
}

impl Outbound for OpenAiChat {
    fn path(&self, operation: Operation, _model: &str, _stream: bool) -> Option<String> {
        match operation {
            Operation::Generate => Some("/chat/completions".to_owned()),
            Operation::Embed => Some("/embeddings".to_owned()),
            Operation::CountTokens => None,
            other => other.relayed().map(|relayed| relayed.path.to_owned()),
        }
    }

    fn rename(
        &self,
        head: &Head<'_>,
        envelope: &Envelope<'_>,
        body: &Bytes,
        model: &str,
        more: Option<Edit<'_>>,
    ) -> Result<SmallVec<[Bytes; 4]>, Error> {
        match may_be_form(head) && multipart::is_form(body) {
            true => relayed::rename_form(body, model),
            false => Ok(rename_member(self.model_member(), envelope, body, model, more)),
        }
    }

    fn model_member(&self) -> Option<&'static str> {
        Some("model")
    }

    /// Most upstreams follow a schema in their own way and refuse none; those that enforce OpenAI's dialect say so in
    /// their files.
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

    fn forget_form(&self, ext: &mut super::json::Ext) {
        ext.0.retain(|(key, _)| key != "response_format");
    }

    fn ask_for_usage(&self, envelope: &Envelope<'_>, quirks: &Quirks) -> Option<Edit<'static>> {
        ask::for_usage(envelope, quirks)
    }

    fn is_only_usage(&self, frame: &Frame<'_>) -> bool {
        observe::is_only_usage(frame)
    }

    fn encode_request(
        &self,
        request: &ir::Request,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), Error> {
        conversation::check(request)?;
        encode::encode(request, destination, out, losses);
        Ok(())
    }

    fn encode_count_tokens(
        &self,
        _request: &ir::Request,
        _destination: &Destination<'_>,
        _out: &mut Vec<u8>,
        _losses: &mut Losses,
    ) -> Result<(), Error> {
        Err(Error::invalid("Chat Completions cannot count tokens; send the request to a target of another protocol"))
    }

    fn decode_token_count(&self, _body: &[u8]) -> Option<u64> {
        None
    }

    fn decode_response(&self, body: &[u8], quirks: &Quirks) -> Result<ir::Response, Error> {
        let mut response = response::decode(&halves::mended(body))?;
        if quirks.think_tags {
            think::split(&mut response);
        }
        Ok(response)
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Error {
        error::decode(status, body)
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn stream_decoder(&self, quirks: &Quirks) -> Box<dyn StreamDecoder> {
        Box::new(stream_decode::Decoder::new(quirks.think_tags))
    }

    fn observe(&self, frame: &Frame<'_>) -> Observation {
        observe::observe(frame)
    }

    fn finishes(&self, frame: &Frame<'_>) -> SmallVec<[u64; 2]> {
        observe::finishes(frame)
    }

    fn ending(&self, text: &[u8]) -> Ending {
        observe::ending(text)
    }

    fn usage(&self, body: &[u8]) -> Option<ir::Usage> {
        usage::of_answer(body).or_else(|| relayed::usage(body))
    }

    fn kept_proofs(&self) -> Option<proof::Kept> {
        Some(details::KEPT)
    }

    /// No upstream needs to know what the model thought, and strict ones refuse members that OpenAI does not have.
    fn forget_proofs(&self, part: &mut ir::Part) -> bool {
        !matches!(part, ir::Part::Reasoning(_))
    }
}

fn may_be_form(head: &Head<'_>) -> bool {
    head.operation.relayed().is_some_and(|relayed| relayed.form == Form::Multipart)
}
