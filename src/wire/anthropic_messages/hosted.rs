//! Anthropic Messages as clouds serve it. The documents are Anthropic's; the model stands in the path, and the version of the
//! API, which Anthropic reads from a header, in the body. Bedrock also takes betas in the body, streams in AWS's binary
//! framing, and tells errors in its own words.
//!
//! Facts: Anthropic's pages "Claude on Vertex AI" and "Claude on Amazon Bedrock"; the model of AWS's service.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use smallvec::SmallVec;

use super::{AnthropicMessages, error, peek, request, response, stream};
use crate::wire::envelope::{self, Edit, Envelope};
use crate::wire::frame::{Frame, Framing, event_stream, sse};
use crate::wire::halves;
use crate::wire::hosting::Hosting;
use crate::wire::json;
use crate::wire::loss::Losses;
use crate::wire::naming;
use crate::wire::outline::Outline;
use crate::wire::quirk::Quirks;
use crate::wire::structured::OutputPlan;
use crate::wire::{Destination, Ending, FrameKind, Head, Observation, Operation, Outbound, StreamDecoder, ir};

/// What may stand in a path unescaped.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// A cloud's service of this protocol.
pub(super) enum Hosted {
    Vertex,
    Bedrock,
}

impl Hosted {
    fn version(&self) -> &'static [u8] {
        match self {
            Hosted::Vertex => b"\"vertex-2023-10-16\"",
            Hosted::Bedrock => b"\"bedrock-2023-05-31\"",
        }
    }

    /// What makes a document of Anthropic's one for this cloud. A count of tokens names its model in the body.
    fn edits<'e>(&self, operation: Operation, model: &'e [u8]) -> [Edit<'e>; 3] {
        let model = match operation {
            Operation::CountTokens => Edit::Set("model", model.into()),
            _ => Edit::Remove("model"),
        };
        [model, Edit::Remove("stream"), Edit::Set("anthropic_version", self.version().into())]
    }

    /// Rewrites a document that was written for Anthropic from `start` on.
    fn rewrite(&self, operation: Operation, model: &str, start: usize, out: &mut Vec<u8>) -> Result<(), ir::Error> {
        let document = Bytes::from(out.split_off(start));
        let text = request::text_of(&document)?;
        let mut name = Vec::new();
        json::write(model, &mut name);
        let pieces = envelope::splice(&document, &document, &Outline::parse(text)?, &self.edits(operation, &name));
        pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        Ok(())
    }
}

impl Outbound for Hosted {
    fn hosting(&self) -> Hosting {
        match self {
            Hosted::Vertex => Hosting::Vertex,
            Hosted::Bedrock => Hosting::Bedrock,
        }
    }

    /// At Vertex below `/v1/projects/PROJECT/locations/LOCATION`, which only a file knows.
    fn path(&self, operation: Operation, model: &str, stream: bool) -> Option<String> {
        let model = utf8_percent_encode(model, SEGMENT);
        match (self, operation, stream) {
            (Hosted::Vertex, Operation::Generate, false) => {
                Some(format!("/publishers/anthropic/models/{model}:rawPredict"))
            }
            (Hosted::Vertex, Operation::Generate, true) => {
                Some(format!("/publishers/anthropic/models/{model}:streamRawPredict"))
            }
            (Hosted::Vertex, Operation::CountTokens, _) => {
                Some("/publishers/anthropic/models/count-tokens:rawPredict".to_owned())
            }
            (Hosted::Bedrock, Operation::Generate, false) => Some(format!("/model/{model}/invoke")),
            (Hosted::Bedrock, Operation::Generate, true) => Some(format!("/model/{model}/invoke-with-response-stream")),
            // Bedrock counts by an operation of its own, in an envelope that is not this protocol's.
            _ => None,
        }
    }

    fn model_member(&self) -> Option<&'static str> {
        None
    }

    fn betas_member(&self) -> Option<&'static str> {
        match self {
            Hosted::Vertex => None,
            Hosted::Bedrock => Some("anthropic_beta"),
        }
    }

    fn rename(
        &self,
        head: &Head<'_>,
        envelope: &Envelope<'_>,
        body: &Bytes,
        model: &str,
        more: Option<Edit<'_>>,
    ) -> Result<SmallVec<[Bytes; 4]>, ir::Error> {
        let mut name = Vec::new();
        json::write(model, &mut name);
        let edits: SmallVec<[Edit<'_>; 4]> = self.edits(head.operation, &name).into_iter().chain(more).collect();
        Ok(envelope.splice(body, &edits))
    }

    fn encode_request(
        &self,
        request: &ir::Request,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), ir::Error> {
        let start = out.len();
        request::encode(request, destination, out, losses)?;
        self.rewrite(Operation::Generate, destination.model, start, out)
    }

    fn encode_count_tokens(
        &self,
        request: &ir::Request,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), ir::Error> {
        let start = out.len();
        request::encode_count_tokens(request, destination, out, losses)?;
        self.rewrite(Operation::CountTokens, destination.model, start, out)
    }

    fn output_plan(&self, model: &str, quirks: &Quirks) -> OutputPlan {
        AnthropicMessages.output_plan(model, quirks)
    }

    fn proof_group(&self, model: &str) -> Option<&'static str> {
        AnthropicMessages.proof_group(model)
    }

    fn forget_form(&self, ext: &mut json::Ext) {
        AnthropicMessages.forget_form(ext);
    }

    fn decode_token_count(&self, body: &[u8]) -> Option<u64> {
        AnthropicMessages.decode_token_count(body)
    }

    fn decode_response(&self, body: &[u8], _quirks: &Quirks) -> Result<ir::Response, ir::Error> {
        response::decode(&halves::mended(body))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> ir::Error {
        error::decode(status, body)
    }

    fn decode_stream_error(&self, frame: &Frame<'_>) -> ir::Error {
        match event_stream::problem(frame) {
            Some(problem) => error::decode(event_stream::status_of(problem), frame.data.as_bytes()),
            None => AnthropicMessages.decode_stream_error(frame),
        }
    }

    fn framing(&self) -> Framing {
        match self {
            Hosted::Vertex => Framing::Sse,
            Hosted::Bedrock => Framing::EventStreamChunks,
        }
    }

    fn relayed_frame(&self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        if event_stream::problem(frame).is_some() {
            error::encode_event(&self.decode_stream_error(frame), out);
            return;
        }
        let name = peek::name(frame);
        sse::write_data(Some(&name), |data| data.extend_from_slice(frame.data.as_bytes()), out);
    }

    fn stream_decoder(&self, quirks: &Quirks) -> Box<dyn StreamDecoder> {
        match self {
            Hosted::Vertex => AnthropicMessages.stream_decoder(quirks),
            Hosted::Bedrock => Box::new(Chunks(stream::Decoder::default())),
        }
    }

    fn is_mark(&self, frame: &Frame<'_>) -> bool {
        peek::is_mark(frame)
    }

    fn observe(&self, frame: &Frame<'_>) -> Observation {
        match event_stream::problem(frame) {
            Some(_) => Observation { kind: FrameKind::Error, ..Observation::default() },
            None => peek::observe(frame),
        }
    }

    fn add_usage(&self, known: &mut ir::Usage, newer: &ir::Usage) {
        super::usage::add(known, newer);
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

/// Anthropic's events, and AWS's exceptions among them.
struct Chunks(stream::Decoder);

impl StreamDecoder for Chunks {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<ir::Event>) {
        match event_stream::problem(frame) {
            Some(_) => out.push(ir::Event::Error(Hosted::Bedrock.decode_stream_error(frame))),
            None => self.0.frame(frame, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ir::Event>) {
        self.0.finish(out);
    }
}
