//! What rules may know of a request that is there, or recorded. Computed when a rule asks, and once.

use std::borrow::Cow;
use std::sync::OnceLock;

use http::header::AsHeaderName;
use http::{HeaderMap, HeaderName};

use super::ClientKey;
use crate::rule::facts::{EPISODE_HEADER, SESSION_HEADERS, USER_HEADER, tag_header};
use crate::rule::{Facts, FlagFact, NumberFact, OutputKind, ReasoningLevel, TextFact};
use crate::wire::envelope::Envelope;
use crate::wire::ir::{self, Part, ReasoningEffort, Role, ToolKind};
use crate::wire::{Head, Inbound, Operation, ProtocolId};

/// Bytes of text for each token.
pub const BYTES_PER_TOKEN: u64 = 4;
/// Tokens for each image, sound or file.
pub const TOKENS_PER_MEDIUM: u64 = 1_000;

/// As names: a text would be read as one for each request.
static USER: HeaderName = HeaderName::from_static(USER_HEADER);
static EPISODE: HeaderName = HeaderName::from_static(EPISODE_HEADER);
static SESSIONS: [HeaderName; SESSION_HEADERS.len()] = {
    let [a, b, c, d, e] = SESSION_HEADERS;
    [
        HeaderName::from_static(a),
        HeaderName::from_static(b),
        HeaderName::from_static(c),
        HeaderName::from_static(d),
        HeaderName::from_static(e),
    ]
};

/// The facts of one request.
pub struct RequestFacts<'r, 'b> {
    pub protocol: ProtocolId,
    pub head: Head<'r>,
    pub inbound: &'static dyn Inbound,
    pub headers: &'r HeaderMap,
    pub body: &'r [u8],
    pub envelope: &'r Envelope<'b>,
    pub key: Option<&'r ClientKey>,
    pub request_id: &'r str,
    /// The request in the hub, for facts that lie inside the conversation. A request that cannot be read has none of them;
    /// what is wrong with it comes out when it is translated, or upstream.
    pub request: OnceLock<Option<ir::Request>>,
    pub assumed: Assumed<'r>,
    /// Minutes from UTC of the file's clock.
    pub utc_offset: i32,
    /// Seconds since 1970, asked where a rule wants to know the time.
    pub clock: fn() -> u64,
}

/// Facts that an explanation or a test states instead of sending them: they win over those of the request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Assumed<'r> {
    pub user: Option<&'r str>,
    pub episode: Option<&'r str>,
    /// Tags that stand elsewhere in the request than those of everybody.
    pub tags: &'r [(String, String)],
    pub input_tokens: Option<u64>,
    /// 0 to 23.
    pub hour: Option<u64>,
    /// 0 is Monday.
    pub weekday: Option<u64>,
}

impl RequestFacts<'_, '_> {
    fn request(&self) -> Option<&ir::Request> {
        self.request.get_or_init(|| self.inbound.decode_request(&self.head, self.body).ok()).as_ref()
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        let messages = self.request().into_iter().flat_map(|request| &request.messages);
        messages.flat_map(|message| &message.parts).flat_map(|part| {
            let inner = match part {
                Part::ToolResult(result) => result.content.as_slice(),
                _ => &[],
            };
            std::iter::once(part).chain(inner)
        })
    }

    fn media(&self, kind: ir::MediaKind) -> u64 {
        self.parts().filter(|part| matches!(part, Part::Media(media) if media.kind == kind)).count() as u64
    }

    fn header(&self, name: impl AsHeaderName) -> Option<Cow<'_, str>> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(Cow::Borrowed)
    }

    /// The tools that the request offers, by name.
    fn tools(&self) -> impl Iterator<Item = &str> {
        let tools = self.request().and_then(|request| request.tools.as_deref()).unwrap_or_default();
        tools.iter().map(|tool| match &tool.kind {
            ToolKind::Function { name, .. } | ToolKind::Opaque { name, .. } => name.as_str(),
        })
    }

    /// The tool whose result came last.
    fn last_tool(&self) -> Option<&str> {
        let request = self.request()?;
        let parts = || request.messages.iter().flat_map(|message| &message.parts);
        let result = parts().rev().find_map(|part| match part {
            Part::ToolResult(result) => Some(result),
            _ => None,
        })?;
        result.name.as_deref().or_else(|| {
            parts().rev().find_map(|part| match part {
                Part::ToolCall(call) if call.id == result.call_id => Some(call.name.as_str()),
                _ => None,
            })
        })
    }

    /// Seconds that the file's clock has counted.
    fn now(&self) -> u64 {
        (self.clock)().saturating_add_signed(i64::from(self.utc_offset) * 60)
    }

    fn metadata(&self, key: &str) -> Option<Cow<'_, str>> {
        let metadata = self.request()?.metadata.as_deref()?;
        let object = crate::wire::json::Object::of(metadata).ok()?;
        crate::wire::json::str_of(object.get(key)?)
    }

    /// What keeps this caller's draws together: user, else session, else the request alone.
    fn bucket_key(&self) -> Cow<'_, str> {
        let user = self.text(&TextFact::User).or_else(|| self.text(&TextFact::Session));
        user.unwrap_or(Cow::Borrowed(self.request_id))
    }
}

impl Facts for RequestFacts<'_, '_> {
    fn model(&self) -> &str {
        &self.envelope.model
    }

    fn protocol(&self) -> ProtocolId {
        self.protocol
    }

    fn embeddings(&self) -> bool {
        self.head.operation == Operation::Embed
    }

    fn text(&self, fact: &TextFact) -> Option<Cow<'_, str>> {
        match fact {
            TextFact::Model => Some(Cow::Borrowed(self.model())),
            TextFact::User => {
                let named = self.assumed.user.or(self.envelope.user.as_deref());
                named.map(Cow::Borrowed).or_else(|| self.header(&USER))
            }
            // Most requests have none of them: one look at each header costs less than to look each of them up.
            TextFact::Session if !self.headers.keys().any(|name| SESSIONS.contains(name)) => None,
            TextFact::Session => SESSIONS.iter().find_map(|name| self.header(name)),
            TextFact::Episode => self.assumed.episode.map(Cow::Borrowed).or_else(|| self.header(&EPISODE)),
            TextFact::LastTool => self.last_tool().map(Cow::Borrowed),
            TextFact::Key => self.key.map(|key| Cow::Borrowed(&*key.id)),
            TextFact::KeyAttribute(name) => {
                self.key.and_then(|key| key.attributes.get(name)).map(|text| Cow::Borrowed(&**text))
            }
            TextFact::Header(name) => self.header(&**name),
            TextFact::Tag(name) => {
                let assumed = self.assumed.tags.iter().find(|(known, _)| **known == **name);
                let assumed = assumed.map(|(_, value)| Cow::Borrowed(value.as_str()));
                assumed.or_else(|| self.header(tag_header(name))).or_else(|| self.metadata(name))
            }
        }
    }

    fn number(&self, fact: NumberFact) -> u64 {
        match fact {
            NumberFact::Tools => self.tools().count() as u64,
            NumberFact::Images => self.media(ir::MediaKind::Image),
            NumberFact::Files => self.media(ir::MediaKind::File),
            NumberFact::Audio => self.media(ir::MediaKind::Audio),
            NumberFact::Messages => self.request().map_or(0, |request| {
                request
                    .messages
                    .iter()
                    .filter(|message| !matches!(message.role, Role::System | Role::Developer))
                    .count() as u64
            }),
            NumberFact::InputTokens => {
                self.assumed.input_tokens.unwrap_or_else(|| self.request().map_or(0, estimate_tokens))
            }
            NumberFact::MaxTokens => {
                self.request().and_then(|request| request.sampling.max_tokens).map_or(0, |max| max.value)
            }
            NumberFact::Hour => self.assumed.hour.unwrap_or_else(|| hour(self.now())),
            NumberFact::Weekday => self.assumed.weekday.unwrap_or_else(|| weekday(self.now())),
        }
    }

    fn flag(&self, fact: &FlagFact) -> bool {
        match fact {
            FlagFact::Stream => self.envelope.stream,
            FlagFact::Tool(name) => self.tools().any(|tool| tool == &**name),
        }
    }

    fn offered(&self, each: &mut dyn FnMut(&str)) -> bool {
        self.tools().for_each(each);
        true
    }

    fn output(&self) -> OutputKind {
        match self.request().and_then(|request| request.output.as_ref()) {
            None | Some(ir::OutputFormat::Text) => OutputKind::Text,
            Some(ir::OutputFormat::Json) => OutputKind::Json,
            Some(ir::OutputFormat::Schema { .. }) => OutputKind::Schema,
        }
    }

    fn reasoning(&self) -> ReasoningLevel {
        let Some(reasoning) = self.request().and_then(|request| request.reasoning.as_ref()) else {
            return ReasoningLevel::None;
        };
        match (reasoning.effort, reasoning.budget) {
            (Some(effort), _) => level(effort),
            (None, Some(budget)) => budget_level(budget),
            (None, None) => ReasoningLevel::None,
        }
    }

    fn bucket(&self, salt: &str) -> u8 {
        crate::rule::facts::bucket(salt, &self.bucket_key())
    }
}

fn level(effort: ReasoningEffort) -> ReasoningLevel {
    match effort {
        ReasoningEffort::None => ReasoningLevel::None,
        ReasoningEffort::Minimal => ReasoningLevel::Minimal,
        ReasoningEffort::Low => ReasoningLevel::Low,
        ReasoningEffort::Medium => ReasoningLevel::Medium,
        ReasoningEffort::High => ReasoningLevel::High,
        ReasoningEffort::XHigh | ReasoningEffort::Max => ReasoningLevel::Max,
    }
}

/// The level that a budget of thinking tokens stands for; the same steps as in the translation of efforts to budgets.
fn budget_level(budget: i64) -> ReasoningLevel {
    match budget {
        0 => ReasoningLevel::None,
        i64::MIN..0 => ReasoningLevel::Medium,
        1..=1024 => ReasoningLevel::Minimal,
        1025..=4096 => ReasoningLevel::Low,
        4097..=12_288 => ReasoningLevel::Medium,
        12_289..=24_576 => ReasoningLevel::High,
        _ => ReasoningLevel::Max,
    }
}

/// An estimate: a token for every four bytes of text, 1,000 for every image or file.
pub fn estimate_tokens(request: &ir::Request) -> u64 {
    fn weight(part: &Part) -> (u64, u64) {
        match part {
            Part::Text(text) | Part::Refusal(text) => (text.text.len() as u64, 0),
            Part::Reasoning(reasoning) => (reasoning.text.len() as u64, 0),
            Part::ToolCall(call) => ((call.name.len() + call.arguments.len()) as u64, 0),
            Part::ToolResult(result) => result.content.iter().map(weight).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
            Part::Media(_) => (0, 1),
            Part::Opaque(opaque) => (opaque.raw.get().len() as u64, 0),
        }
    }
    let parts = request.messages.iter().flat_map(|message| &message.parts).map(weight);
    let (bytes, media) = parts.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    let tools = request.tools.iter().flatten().map(|tool| match &tool.kind {
        ToolKind::Function { name, description, parameters, .. } => {
            name.len()
                + description.as_ref().map_or(0, String::len)
                + parameters.as_ref().map_or(0, |schema| schema.get().len())
        }
        ToolKind::Opaque { raw, .. } => raw.get().len(),
    });
    (bytes + tools.sum::<usize>() as u64).div_ceil(BYTES_PER_TOKEN) + media * TOKENS_PER_MEDIUM
}

/// Hour of the day.
pub fn hour(seconds: u64) -> u64 {
    seconds / 3600 % 24
}

/// 0 is Monday. The first of January 1970 was a Thursday.
pub fn weekday(seconds: u64) -> u64 {
    (seconds / 86_400 + 3) % 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_right() {
        // 2026-11-21 09:15:00 UTC, a Saturday.
        assert_eq!((hour(1_795_252_500), weekday(1_795_252_500)), (9, 5));
    }
}
