//! The shape of a request without the request: what the file's `tests:` and `explain` give to the decision.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Facts, FlagFact, NumberFact, OutputKind, ReasoningLevel, TextFact, facts};
use crate::wire::ProtocolId;

/// Facts written down one by one; what is not set is absent or zero.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestShape {
    pub model: String,
    pub protocol: ProtocolId,
    pub embeddings: bool,
    pub stream: bool,
    pub user: Option<String>,
    pub session: Option<String>,
    pub last_tool: Option<String>,
    /// Names of the tools offered.
    pub tools: Vec<String>,
    /// How many tools are offered besides these.
    pub other_tools: u64,
    /// The id of the client key.
    pub key: Option<String>,
    pub key_attributes: BTreeMap<String, String>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub images: u64,
    pub files: u64,
    pub audio: u64,
    pub messages: u64,
    pub input_tokens: u64,
    pub max_tokens: u64,
    pub output: OutputKind,
    pub reasoning: ReasoningLevel,
    /// 0 to 23.
    pub hour: u64,
    /// 0 is Monday.
    pub weekday: u64,
    /// What draws and buckets go by where there is neither user nor session.
    pub request_id: String,
}

impl RequestShape {
    /// A chat request for `model`, and nothing else known.
    pub fn new(model: impl Into<String>) -> RequestShape {
        RequestShape {
            model: model.into(),
            protocol: ProtocolId::OpenAiChat,
            embeddings: false,
            stream: false,
            user: None,
            session: None,
            last_tool: None,
            tools: Vec::new(),
            other_tools: 0,
            key: None,
            key_attributes: BTreeMap::new(),
            headers: BTreeMap::new(),
            tags: BTreeMap::new(),
            images: 0,
            files: 0,
            audio: 0,
            messages: 0,
            input_tokens: 0,
            max_tokens: 0,
            output: OutputKind::Text,
            reasoning: ReasoningLevel::None,
            hour: 0,
            weekday: 0,
            request_id: String::new(),
        }
    }

    /// The request of a caller who says "Hello" to `model`.
    pub fn hello(model: impl Into<String>) -> RequestShape {
        RequestShape { messages: 1, input_tokens: 2, ..RequestShape::new(model) }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Facts for RequestShape {
    fn model(&self) -> &str {
        &self.model
    }

    fn protocol(&self) -> ProtocolId {
        self.protocol
    }

    fn embeddings(&self) -> bool {
        self.embeddings
    }

    fn text(&self, fact: &TextFact) -> Option<Cow<'_, str>> {
        let text = match fact {
            TextFact::Model => Some(self.model.as_str()),
            TextFact::User => self.user.as_deref().or_else(|| self.header(facts::USER_HEADER)),
            TextFact::Session => {
                let headers = || facts::SESSION_HEADERS.iter().find_map(|name| self.header(name));
                self.session.as_deref().or_else(headers)
            }
            TextFact::Episode => self.header(facts::EPISODE_HEADER),
            TextFact::LastTool => self.last_tool.as_deref(),
            TextFact::Key => self.key.as_deref(),
            TextFact::KeyAttribute(name) => self.key_attributes.get(&**name).map(String::as_str),
            TextFact::Header(name) => self.header(name),
            TextFact::Tag(name) => {
                self.header(&facts::tag_header(name)).or_else(|| self.tags.get(&**name).map(String::as_str))
            }
        };
        text.map(Cow::Borrowed)
    }

    fn number(&self, fact: NumberFact) -> u64 {
        match fact {
            NumberFact::Tools => (self.tools.len() as u64).saturating_add(self.other_tools),
            NumberFact::Images => self.images,
            NumberFact::Files => self.files,
            NumberFact::Audio => self.audio,
            NumberFact::Messages => self.messages,
            NumberFact::InputTokens => self.input_tokens,
            NumberFact::MaxTokens => self.max_tokens,
            NumberFact::Hour => self.hour,
            NumberFact::Weekday => self.weekday,
        }
    }

    fn flag(&self, fact: &FlagFact) -> bool {
        match fact {
            FlagFact::Stream => self.stream,
            FlagFact::Tool(name) => self.tools.iter().any(|tool| **tool == **name),
        }
    }

    fn offered(&self, each: &mut dyn FnMut(&str)) -> bool {
        self.tools.iter().for_each(|tool| each(tool));
        true
    }

    fn output(&self) -> OutputKind {
        self.output
    }

    fn reasoning(&self) -> ReasoningLevel {
        self.reasoning
    }

    fn bucket(&self, salt: &str) -> u8 {
        let subject = self.text(&TextFact::User).or_else(|| self.text(&TextFact::Session));
        facts::bucket(salt, &subject.unwrap_or(Cow::Borrowed(&self.request_id)))
    }
}
