//! The conversation: messages and their parts.

use serde_json::value::RawValue;

use crate::wire::ProtocolId;
use crate::wire::json::Ext;

/// Who speaks. Total: a role nobody knows is refused by the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    System,
    /// OpenAI's `developer`; a system message to everyone else.
    Developer,
    User,
    Assistant,
    /// OpenAI's `tool` message: holds exactly one [`Part::ToolResult`]. Other protocols carry results in a user message.
    Tool,
}

/// One turn, or a piece of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub role: Role,
    /// The origin's own word where it is not the usual one for `role` (Gemini's `function`, a role on its system text),
    /// empty where the member was not there, `None` for the usual word.
    pub role_raw: Option<String>,
    pub parts: Vec<Part>,
    /// How the origin wrote the content, so that writing it back gives the same document.
    pub shape: ContentShape,
    /// The speaker's name (OpenAI `name`).
    pub name: Option<String>,
    pub ext: Ext,
}

/// How content was written where a protocol allows more than one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContentShape {
    /// A list of parts.
    #[default]
    Parts,
    /// A bare string.
    Text,
    /// `null`.
    Null,
    /// The member was not there.
    Absent,
}

/// A piece of a message, in the order in which the model saw or said it.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Text(Text),
    /// The model's words of refusal (OpenAI `refusal`).
    Refusal(Text),
    Media(Media),
    Reasoning(Reasoning),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    /// A part nobody modelled (server tools, citations, ...), verbatim.
    Opaque(Opaque),
}

/// A verbatim part and the protocol whose words it is in.
#[derive(Debug, Clone)]
pub struct Opaque {
    pub origin: ProtocolId,
    pub raw: Box<RawValue>,
}

impl PartialEq for Opaque {
    fn eq(&self, other: &Opaque) -> bool {
        self.origin == other.origin && self.raw.get() == other.raw.get()
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Text {
    pub text: String,
    /// Anthropic's `cache_control`, OpenAI's `annotations`, Gemini's `thoughtSignature`, ...
    pub ext: Ext,
}

impl Text {
    pub fn new(text: impl Into<String>) -> Text {
        Text { text: text.into(), ext: Ext::default() }
    }
}

/// An image, a sound, a document, a video.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    pub kind: MediaKind,
    pub source: MediaSource,
    /// OpenAI's `detail`: `low`, `high`, `auto`.
    pub detail: Option<String>,
    /// File name or title.
    pub name: Option<String>,
    pub ext: Ext,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Image,
    Audio,
    Video,
    /// A document: PDF, text, anything that is a file.
    File,
}

#[derive(Debug, Clone, PartialEq)]
pub enum MediaSource {
    /// An address that the provider fetches; the gateway never does.
    Url { url: String, media_type: Option<String> },
    /// Base64 text, with its media type (`image/png`).
    Base64 { media_type: String, data: String },
    /// A file that was uploaded to the provider before.
    FileId(String),
    /// Plain text given as a document (Anthropic).
    Text { media_type: String, text: String },
}

/// What the model thought, as far as it was shown, and the proof that it did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reasoning {
    pub text: String,
    /// Opaque proof, valid only at its issuer. Present with an empty text: the text was withheld.
    pub signature: Option<Signature>,
    /// Encrypted whole (`redacted_thinking`); `text` is empty.
    pub redacted: Option<Signature>,
    pub ext: Ext,
}

/// An opaque text that only its issuer can read. Never sent anywhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub issuer: ProtocolId,
    pub value: String,
}

/// The model asks for a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// `None` where the protocol gave none (Gemini); encoders that need one derive it from the position.
    pub id: Option<String>,
    pub name: String,
    /// JSON text of the arguments as the model wrote it; not necessarily valid JSON (truncation, model fault).
    pub arguments: String,
    /// Gemini's `thoughtSignature` of the call.
    pub signature: Option<Signature>,
    pub ext: Ext,
}

/// The caller's answer to a [`ToolCall`].
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// The call's id; `None` where the protocol matches by name and order (Gemini).
    pub call_id: Option<String>,
    /// The tool's name, where the protocol gives it (Gemini).
    pub name: Option<String>,
    pub content: Vec<Part>,
    pub shape: ContentShape,
    pub is_error: Option<bool>,
    pub ext: Ext,
}
