//! The hub: what a request, an answer and a stream mean, in no protocol's words.
//!
//! Rules: absent stays absent (`Option`, no defaults); what nobody modelled stays as raw JSON in `ext` and is written back
//! only to the protocol it came from ([`Request::origin`], [`Response::origin`]), elsewhere it is a loss; texts that the
//! caller owns (tool schemas, arguments) stay byte for byte.

pub mod citation;
pub mod count;
pub mod embed;
pub mod error;
pub mod event;
pub mod fold;
pub mod message;
pub mod request;
pub mod response;
pub mod usage;

pub use citation::Citation;
pub use embed::{EmbedInput, EmbedRequest, EmbedResponse, Encoding};
pub use error::{Error, ErrorKind};
pub use event::{Delta, Event, PartKind, Scope};
pub use fold::fold;
pub use message::{
    ContentShape, Media, MediaKind, MediaSource, Message, Opaque, Part, Reasoning, Role, Signature, Text, ToolCall,
    ToolResult,
};
pub use request::{
    LEAST_THINKING_BUDGET, MaxTokens, MaxTokensSpelling, OutputFormat, ReasoningEffort, ReasoningRequest, Request,
    Sampling, StopShape, Tool, ToolChoice, ToolKind,
};
pub use response::{Candidate, Finish, FinishReason, Response};
pub use usage::Usage;
