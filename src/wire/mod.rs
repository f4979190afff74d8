//! Protocols: how a request, an answer, a stream and an error look on the wire, and the hub ([`ir`]) between them.
//!
//! Nothing here does IO, knows a clock, or names a provider. A protocol is one folder and one line in [`PROTOCOLS`]; it
//! knows the hub and never another protocol.

pub mod anthropic_messages;
pub mod bedrock_converse;
mod blocks;
mod ending;
pub mod envelope;
pub mod frame;
pub mod gemini_generate;
pub mod halves;
pub mod hosting;
pub mod ir;
pub mod json;
pub mod ledger;
mod logprobs;
pub mod loss;
pub mod multipart;
pub mod naming;
mod needle;
pub mod openai_chat;
mod openai_error;
pub mod openai_responses;
mod openai_vectors;
pub mod operation;
pub mod outline;
pub mod pointer;
pub mod proof;
pub mod quirk;
pub mod rerank;
pub mod schema;
pub mod stops;
pub mod structured;
pub mod template;
pub mod tensorzero;
mod tool_ids;
mod untaken;
mod usage_left;

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

pub use ending::Ending;
use envelope::{Edit, Envelope};
use frame::{Frame, Framing};
use hosting::Hosting;
use loss::Losses;
pub use operation::Operation;
use quirk::Quirks;
use structured::OutputPlan;

/// A wire protocol, by the name it has in `routeplane.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProtocolId {
    #[serde(rename = "openai-chat")]
    OpenAiChat,
    #[serde(rename = "openai-responses")]
    OpenAiResponses,
    AnthropicMessages,
    Gemini,
    BedrockConverse,
    /// TensorZero's native form, which only callers speak.
    #[serde(rename = "tensorzero")]
    TensorZero,
    /// TensorZero's variety of Chat Completions, which only callers speak.
    #[serde(rename = "tensorzero-chat")]
    TensorZeroChat,
}

impl ProtocolId {
    /// How many callers may speak.
    pub const COUNT: usize = 7;
    /// Those that callers may speak: [`ProtocolId::ALL`], and what no upstream speaks.
    pub const CALLERS: [ProtocolId; ProtocolId::COUNT] = [
        ProtocolId::OpenAiChat,
        ProtocolId::OpenAiResponses,
        ProtocolId::AnthropicMessages,
        ProtocolId::Gemini,
        ProtocolId::BedrockConverse,
        ProtocolId::TensorZero,
        ProtocolId::TensorZeroChat,
    ];
    /// Those that both callers and upstreams may speak.
    pub const ALL: [ProtocolId; 5] = [
        ProtocolId::OpenAiChat,
        ProtocolId::OpenAiResponses,
        ProtocolId::AnthropicMessages,
        ProtocolId::Gemini,
        ProtocolId::BedrockConverse,
    ];

    /// The name in YAML, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            ProtocolId::OpenAiChat => "openai-chat",
            ProtocolId::OpenAiResponses => "openai-responses",
            ProtocolId::AnthropicMessages => "anthropic-messages",
            ProtocolId::Gemini => "gemini",
            ProtocolId::BedrockConverse => "bedrock-converse",
            ProtocolId::TensorZero => "tensorzero",
            ProtocolId::TensorZeroChat => "tensorzero-chat",
        }
    }

    /// The value of the rule fact `protocol`.
    pub fn fact(self) -> &'static str {
        match self {
            ProtocolId::OpenAiChat => "chat",
            ProtocolId::OpenAiResponses => "responses",
            ProtocolId::AnthropicMessages => "messages",
            ProtocolId::Gemini => "gemini",
            ProtocolId::BedrockConverse => "converse",
            // What a request of TensorZero's says, to rules, is what one of Chat Completions does.
            ProtocolId::TensorZero | ProtocolId::TensorZeroChat => "chat",
        }
    }

    pub fn from_name(name: &str) -> Option<ProtocolId> {
        ProtocolId::ALL.into_iter().find(|id| id.name() == name)
    }

    /// Position in [`ProtocolId::CALLERS`], for arrays indexed by protocol.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The protocol's codec, `None` while this build has none (the room exists, the wire does not).
    pub fn codec(self) -> Option<&'static dyn Protocol> {
        PROTOCOLS.iter().chain(CALLERS_ONLY).copied().find(|p| p.id() == self)
    }
}

impl fmt::Display for ProtocolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Every protocol that this build speaks in both roles. Registration is one line here.
pub static PROTOCOLS: &[&dyn Protocol] = &[
    &openai_chat::OpenAiChat,
    &anthropic_messages::AnthropicMessages,
    &gemini_generate::Gemini,
    &bedrock_converse::BedrockConverse,
    &openai_responses::OpenAiResponses,
];

/// Protocols that only callers speak.
pub static CALLERS_ONLY: &[&dyn Protocol] = &[&tensorzero::NATIVE, &tensorzero::CHAT];

/// One wire protocol. The two roles are separate because a protocol may offer only one of them.
pub trait Protocol: Sync {
    fn id(&self) -> ProtocolId;
    /// The server's role: callers speak this protocol to us.
    fn inbound(&self) -> Option<&dyn Inbound>;
    /// The client's role: we speak this protocol to an upstream.
    fn outbound(&self) -> Option<&dyn Outbound>;
    /// The client's role where a cloud serves the protocol, `None` where this build does not know how it does.
    fn hosted(&self, hosting: Hosting) -> Option<&dyn Outbound> {
        match hosting {
            Hosting::Own => self.outbound(),
            Hosting::Vertex | Hosting::Bedrock => None,
        }
    }
    /// The embeddings endpoint of this protocol's family, `None` where it has none.
    fn embeddings(&self) -> Option<&dyn Embeddings>;
    /// The embeddings requests of this protocol's callers, `None` where it has none.
    fn embeddings_in(&self) -> Option<&dyn EmbeddingsIn> {
        None
    }
    /// How this protocol carries proofs of reasoning.
    fn carriage(&self) -> proof::Carriage {
        proof::Carriage::default()
    }
}

/// What of a caller's request line a codec may see. Gemini carries the model and the stream switch in its path.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub operation: Operation,
    /// Model named by the path, percent-decoded (Gemini, Converse).
    pub path_model: Option<&'a str>,
    /// Stream asked for by the path (Gemini `:streamGenerateContent`, Converse `/converse-stream`).
    pub path_stream: bool,
    /// `alt=sse` given (Gemini); without it a Gemini stream is one JSON array.
    pub alt_sse: bool,
}

/// What an answer of the gateway's own making says of its request, for protocols whose answers repeat it.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'a> {
    /// As the caller wrote it.
    pub request: &'a ir::Request,
    /// The id that the gateway gives the answer; `None`: the upstream's.
    pub id: Option<&'a str>,
    /// The id of the answer before it, where the caller goes on from one.
    pub previous: Option<&'a str>,
    /// Seconds since 1970, for upstreams that do not date their answers.
    pub now: u64,
    /// What answers of TensorZero's surface tell of themselves.
    pub told: Option<&'a std::sync::Arc<tensorzero::Told>>,
    /// The whole answer as the upstream gave it.
    pub raw: Option<&'a [u8]>,
}

/// The server's role of a protocol: reads callers' requests, writes answers.
pub trait Inbound: Sync {
    /// Reads what routing needs, as spans of `body`; no tree is built.
    ///
    /// # Errors
    /// Text that is not a JSON object, a duplicated top-level member, a missing or mistyped `model`.
    fn peek<'a>(&self, head: &Head<'_>, body: &'a [u8]) -> Result<Envelope<'a>, ir::Error>;

    /// How the document gets to an upstream of this very protocol.
    fn relay(&self, _head: &Head<'_>, _envelope: &Envelope<'_>) -> Relay {
        Relay::AsItIs
    }

    /// Reads the whole request into the hub.
    ///
    /// # Errors
    /// A request that this protocol does not allow, with the offending member in `param`.
    fn decode_request(&self, head: &Head<'_>, body: &[u8]) -> Result<ir::Request, ir::Error>;

    /// Refuses what an upstream of another protocol cannot know: conversations that the provider keeps.
    ///
    /// # Errors
    /// A request that leans on such state, in words for the caller.
    fn refuse_state(&self, _request: &ir::Request) -> Result<(), ir::Error> {
        Ok(())
    }

    /// What the ids of this protocol's answers begin with, for answers whose upstream gives none.
    fn answer_prefix(&self) -> &'static str {
        ""
    }

    /// Writes an answer. What the protocol cannot express goes to `losses`.
    fn encode_response(&self, response: &ir::Response, out: &mut Vec<u8>, losses: &mut Losses);

    /// As [`Inbound::encode_response`], for protocols whose answers repeat their request.
    fn encode_answer(
        &self,
        _answering: &Answering<'_>,
        response: &ir::Response,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        self.encode_response(response, out, losses);
    }

    /// Writes the answer to [`Operation::CountTokens`].
    fn encode_token_count(&self, input_tokens: u64, out: &mut Vec<u8>);

    /// Writes an error body in this protocol's shape.
    fn encode_error(&self, error: &ir::Error, out: &mut Vec<u8>);

    /// The status of an error's answer, where the protocol's clients expect another one than the gateway's.
    fn error_status(&self, error: &ir::Error) -> u16 {
        error.status
    }

    /// The header by which the protocol's clients know an error, and its value.
    fn error_header(&self, _error: &ir::Error) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Writes an error as the last event of a stream that has begun.
    fn encode_stream_error(&self, error: &ir::Error, head: &Head<'_>, out: &mut Vec<u8>);

    /// What may stand between two events of a stream and says nothing, so that nobody on the way to the caller takes a
    /// silence for a dead connection; `None` where the protocol's clients do not bear such a thing.
    fn keep_alive(&self) -> Option<&'static [u8]> {
        // A comment (WHATWG HTML, section 9.2.6): readers of server-sent events skip it.
        Some(b": keep-alive\n\n")
    }

    /// A fresh encoder for one stream. `head` and `request` tell what the caller asked of it (`alt=sse`, `include_usage`).
    fn stream_encoder(&self, head: &Head<'_>, request: &ir::Request) -> Box<dyn StreamEncoder>;

    /// As [`Inbound::stream_encoder`], for protocols whose answers repeat their request.
    fn answer_encoder(&self, head: &Head<'_>, answering: &Answering<'_>) -> Box<dyn StreamEncoder> {
        self.stream_encoder(head, answering.request)
    }

    /// `Content-Type` of a stream.
    fn stream_content_type(&self, head: &Head<'_>) -> &'static str;

    /// Where this protocol keeps a parameter of the hub's name (`max_tokens`, `stop`, ...), as JSON Pointers: the first is
    /// where it is written for an upstream with these quirks, any of them counts as given. Empty: a member of that very
    /// name.
    fn parameter(&self, name: &str, quirks: &Quirks) -> &'static [&'static str];

    /// The members of the document that may ask for an answer of a given form.
    fn form_members(&self) -> &'static [&'static str];

    /// The edit that puts a system text before everything the caller said; `None` where the document has no room for it.
    fn prepend_system(&self, envelope: &Envelope<'_>, text: &str) -> Option<envelope::Edit<'static>>;
}

/// How a document gets to an upstream of its own protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relay {
    /// The bytes pass, with edits of single members.
    AsItIs,
    /// The request goes through the hub, which knows what to leave out (a history may hold turns that a fallback answered
    /// with another vendor's model); the answer passes as it comes.
    Rewritten,
    /// The caller wants a form that no upstream is asked for: request and answer go through the hub.
    Translated,
}

/// What a codec needs to know of the target that it writes for.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// Model id as the upstream knows it.
    pub model: &'a str,
    pub quirks: &'a Quirks,
    /// Largest answer the model can give, in tokens, where the catalogue knows it. Protocols that require a limit use it.
    pub max_output_tokens: Option<u64>,
}

/// The client's role of a protocol: writes requests to an upstream, reads its answers.
pub trait Outbound: Sync {
    /// Whose service this is. What passes unseen between a caller and the protocol's inventor (a version in a header, words
    /// of errors) means nothing to another.
    fn hosting(&self) -> Hosting {
        Hosting::Own
    }

    /// Path below the base URL, with its query, e.g. `/chat/completions`; `None` where the protocol lacks the operation.
    fn path(&self, operation: Operation, model: &str, stream: bool) -> Option<String>;

    /// The member of the body that names the model, `None` where the path does.
    fn model_member(&self) -> Option<&'static str>;

    /// The member of the body that takes Anthropic's betas, where no header does.
    fn betas_member(&self) -> Option<&'static str> {
        None
    }

    /// The document of a caller of this protocol with the upstream's name of the model in it, wherever it stands, and with one
    /// edit more. What is not edited is not copied.
    ///
    /// # Errors
    /// A document that has something else where the model must be named.
    fn rename(
        &self,
        _head: &Head<'_>,
        envelope: &Envelope<'_>,
        body: &Bytes,
        model: &str,
        more: Option<Edit<'_>>,
    ) -> Result<SmallVec<[Bytes; 4]>, ir::Error> {
        Ok(rename_member(self.model_member(), envelope, body, model, more))
    }

    /// The edit of a caller's document that makes an upstream with these quirks report what a stream takes; `None` where the
    /// caller asks for it, where nobody need ask, and where the upstream does not know the question.
    fn ask_for_usage(&self, _envelope: &Envelope<'_>, _quirks: &Quirks) -> Option<Edit<'static>> {
        None
    }

    /// Whether a frame says nothing but what the stream took: it came because of [`Outbound::ask_for_usage`].
    fn is_only_usage(&self, _frame: &Frame<'_>) -> bool {
        false
    }

    /// What an upstream of this protocol offers at `model` for answers of a given form.
    fn output_plan(&self, model: &str, quirks: &Quirks) -> OutputPlan;

    /// Removes from a request's `ext` what this protocol's decoder kept of the wanted form's spelling.
    fn forget_form(&self, _ext: &mut json::Ext) {}

    /// Whether requests have no member for stop texts, so that answers are cut at them here ([`stops`]).
    fn lacks_stops(&self) -> bool {
        false
    }

    /// Writes the request for `destination`. What cannot be carried goes to `losses`; a form of the answer that the
    /// protocol has no member for counts as that, see [`structured::request::prepare`].
    ///
    /// # Errors
    /// A request that the protocol cannot carry at all, in words for the caller.
    fn encode_request(
        &self,
        request: &ir::Request,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), ir::Error>;

    /// Writes the request that asks how many tokens `request` takes; only called where [`Outbound::path`] knows
    /// [`Operation::CountTokens`].
    ///
    /// # Errors
    /// As [`Outbound::encode_request`].
    fn encode_count_tokens(
        &self,
        request: &ir::Request,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), ir::Error>;

    /// Reads the answer to [`Operation::CountTokens`], `None` where the body has no count.
    fn decode_token_count(&self, body: &[u8]) -> Option<u64>;

    /// Reads a successful, whole answer.
    ///
    /// # Errors
    /// A body that is not an answer of this protocol.
    fn decode_response(&self, body: &[u8], quirks: &Quirks) -> Result<ir::Response, ir::Error>;

    /// Reads an error body, whatever its shape. Never fails: a text that nobody understands becomes the message.
    fn decode_error(&self, status: u16, body: &[u8]) -> ir::Error;

    /// Reads the error that a frame of a stream holds, with the status that it would have had as an answer of its own.
    fn decode_stream_error(&self, frame: &Frame<'_>) -> ir::Error {
        let mut error = self.decode_error(500, frame.data.as_bytes());
        if error.status == 500 || error.status < 400 {
            error.status = error.kind.status();
        }
        error
    }

    /// How streams are framed.
    fn framing(&self) -> Framing;

    /// Writes a frame as a caller of this very protocol gets it; only called where [`Framing::relays`] says that the bytes
    /// cannot pass as they come.
    fn relayed_frame(&self, _frame: &Frame<'_>, _out: &mut Vec<u8>) {}

    /// A fresh decoder for one stream.
    fn stream_decoder(&self, quirks: &Quirks) -> Box<dyn StreamDecoder>;

    /// Whether a frame only marks where something begins or ends, so that nobody who wants to see what the upstream said misses
    /// it.
    fn is_mark(&self, frame: &Frame<'_>) -> bool {
        !frame.data.starts_with('{')
    }

    /// What one frame of a stream means, without decoding it: pass-through streams are watched, not translated.
    fn observe(&self, frame: &Frame<'_>) -> Observation;

    /// The numbers of the answers that end with a frame, which is a [`FrameKind::Finish`]. Asked only where the caller wanted
    /// several answers at once.
    fn finishes(&self, _frame: &Frame<'_>) -> SmallVec<[u64; 2]> {
        SmallVec::from_iter([0])
    }

    /// Adds what a frame reports to what earlier frames of its stream reported.
    fn add_usage(&self, known: &mut ir::Usage, newer: &ir::Usage) {
        known.update(newer);
    }

    /// The id of the answer that a frame belongs to, where it tells one and the provider keeps answers by it.
    fn answer_id(&self, _frame: &Frame<'_>) -> Option<String> {
        None
    }

    /// Where answers and events of streams name the model that answers: the first of these members that is there.
    fn model_told(&self) -> &'static [naming::Path] {
        &[&["model"]]
    }

    /// Usage in a whole answer, read without building a tree, `None` where there is none.
    fn usage(&self, body: &[u8]) -> Option<ir::Usage>;

    /// Who answers and why the answer ended, as far as a whole answer, or a frame of a stream, says so; found without parsing it.
    fn ending(&self, text: &[u8]) -> Ending;

    /// Who makes the proofs of `model`, where the protocol tells: one service may serve several vendors' models.
    fn proof_group(&self, _model: &str) -> Option<&'static str> {
        None
    }

    /// What `model` takes for the proof of a call that another vendor's model made, where it demands one.
    fn stand_in_proof(&self, _model: &str) -> Option<&'static str> {
        None
    }

    /// How proofs are kept that have no place of their own in the hub.
    fn kept_proofs(&self) -> Option<proof::Kept> {
        None
    }

    /// Takes proofs out of a part of this protocol's own that has them elsewhere than the hub, and that an upstream has refused.
    /// `false`: nothing is left of it.
    fn forget_proofs(&self, _part: &mut ir::Part) -> bool {
        true
    }
}

/// The document with another value of the member that names the model, and with one edit more.
fn rename_member(
    member: Option<&'static str>,
    envelope: &Envelope<'_>,
    body: &Bytes,
    model: &str,
    more: Option<Edit<'_>>,
) -> SmallVec<[Bytes; 4]> {
    let mut name = Vec::new();
    json::write(model, &mut name);
    let edit = match member {
        Some(_) if *envelope.model == *model => None,
        Some(member) => Some(Edit::Set(member, name.into())),
        // Where the path has the name, a member of the body would contradict it.
        None => Some(Edit::Remove("model")),
    };
    let edits: SmallVec<[Edit<'_>; 2]> = edit.into_iter().chain(more).collect();
    envelope.splice(body, &edits)
}

/// What a frame of a pass-through stream means.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    pub kind: FrameKind,
    /// Cumulative usage, where the frame carries one.
    pub usage: Option<ir::Usage>,
    /// Bytes of text, thoughts and arguments, as they are written in the frame; 0 where every frame tells the usage so far.
    pub said: usize,
}

/// The part a frame plays in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FrameKind {
    /// Says nothing yet: a role chunk, `message_start`, a ping. Failover is still possible.
    #[default]
    Preamble,
    /// Carries content; from here on the stream is committed to its target.
    Content,
    /// The model has finished: an end of the bytes is legal from here on (several upstreams send no end marker), though
    /// usage, and at some upstreams even content, may follow. Counts as content.
    Finish,
    /// The protocol's own end. A stream that ends with neither this nor [`FrameKind::Finish`] was truncated.
    Terminal,
    /// An error in the stream, under HTTP 200.
    Error,
}

/// Turns frames into events. A sans-IO state machine.
pub trait StreamDecoder: Send {
    /// Reads one frame; a malformed one becomes [`ir::Event::Error`].
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<ir::Event>);
    /// The upstream closed the stream. Emits what is still owed, or an error event where the stream was cut.
    fn finish(&mut self, out: &mut Vec<ir::Event>);
}

/// Turns events into the caller's bytes. A sans-IO state machine.
pub trait StreamEncoder: Send {
    /// Writes one event. [`ir::Event::Error`] ends the stream in the protocol's own way.
    fn event(&mut self, event: &ir::Event, out: &mut Vec<u8>);
    /// Writes the protocol's end marker after the last event of a clean stream.
    fn finish(&mut self, out: &mut Vec<u8>);
    /// What could not be expressed so far.
    fn losses(&self) -> &Losses;
    /// The answer as it would have come whole, once after the stream's end, of protocols whose answers are kept.
    fn whole(&mut self) -> Option<Vec<u8>> {
        None
    }
    /// Whether this encoder wants to know what the upstream said, frame by frame: [`StreamEncoder::hears`] and
    /// [`StreamEncoder::heard`] stand around the events of each.
    fn listens(&self) -> bool {
        false
    }
    /// The events of this frame of the upstream's come next.
    fn hears(&mut self, _frame: &str, _out: &mut Vec<u8>) {}
    /// They have come.
    fn heard(&mut self, _out: &mut Vec<u8>) {}
}

/// Vectors, in the client's role: we ask an upstream for them.
pub trait Embeddings: Sync {
    /// Most inputs of one call; more of them become several calls.
    fn most_inputs(&self, _destination: &Destination<'_>) -> usize {
        usize::MAX
    }

    /// # Errors
    /// An input that the protocol cannot carry (token ids to an upstream that takes text).
    fn encode_request(
        &self,
        request: &ir::EmbedRequest,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), ir::Error>;
    /// # Errors
    /// A body that is not an answer of this protocol.
    fn decode_response(&self, body: &[u8]) -> Result<ir::EmbedResponse, ir::Error>;
}

/// Vectors, in the server's role: callers ask us for them.
pub trait EmbeddingsIn: Sync {
    /// # Errors
    /// A request that this protocol does not allow.
    fn decode_request(&self, head: &Head<'_>, body: &[u8]) -> Result<ir::EmbedRequest, ir::Error>;
    fn encode_response(
        &self,
        request: &ir::EmbedRequest,
        response: &ir::EmbedResponse,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    );
    /// As [`EmbeddingsIn::encode_response`], for protocols whose answers tell of themselves and of the upstream's.
    fn encode_answer(
        &self,
        answering: &EmbedAnswering<'_>,
        response: &ir::EmbedResponse,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        self.encode_response(answering.request, response, out, losses);
    }
}

/// What an answer of vectors may tell beside them.
#[derive(Debug, Clone, Copy)]
pub struct EmbedAnswering<'a> {
    pub request: &'a ir::EmbedRequest,
    /// What answers of TensorZero's surface tell of themselves.
    pub told: Option<&'a tensorzero::Told>,
    /// The whole answers of the upstream, one of each call.
    pub raw: &'a [Bytes],
}
