//! Every fact that a condition may name: one entry a fact, from which the type check, the messages and the reference
//! page come.

use super::predicate::ValueFact;
use super::{FlagFact, NumberFact, TextFact};
use crate::wire::ProtocolId;

/// A fact of the rule language.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    pub name: &'static str,
    /// What stands between its parentheses, `None` where it has none.
    pub parameter: Option<&'static str>,
    pub kind: Kind,
    pub about: &'static str,
    /// A condition that uses it.
    pub example: &'static str,
}

/// A fact's type, and how to make it from its parameter.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text(fn(&str) -> TextFact),
    Value(fn(&str) -> ValueFact),
    Flag(fn(&str) -> FlagFact),
}

/// Words that stand for the values of a fact, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    pub list: &'static [&'static str],
    /// `<` and `>` mean something.
    pub ordered: bool,
}

pub const REASONING: Words = Words { list: &["none", "minimal", "low", "medium", "high", "max"], ordered: true };
pub const OUTPUT: Words = Words { list: &["text", "json", "schema"], ordered: false };
pub const PROTOCOL: Words =
    Words { list: &["chat", "responses", "messages", "gemini", "converse", "embeddings"], ordered: false };
pub const WEEKDAY: Words = Words { list: &["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ordered: false };

/// Every fact, in the order of the reference page. `key.ATTRIBUTE` is read by [`find`].
pub const FACTS: &[Fact] = &[
    text("model", None, |_| TextFact::Model, "the name the caller asked for", "model ~ \"gpt-4*\""),
    text("user", None, |_| TextFact::User, "the caller's own name for its user", "user is absent"),
    text("session", None, |_| TextFact::Session, "the conversation that the request belongs to", "session == \"s1\""),
    text(
        "episode",
        None,
        |_| TextFact::Episode,
        "the episode that the request belongs to (`x-routeplane-episode`)",
        "episode is absent",
    ),
    text(
        "last_tool",
        None,
        |_| TextFact::LastTool,
        "the tool whose result the last message brings",
        "last_tool == \"grep\"",
    ),
    text("key", None, |_| TextFact::Key, "the id of the client key", "key == \"ci\""),
    text(
        "header",
        Some("a header's name"),
        |name| TextFact::Header(name.to_ascii_lowercase().into()),
        "a header of the request",
        "header(\"x-team\") == \"research\"",
    ),
    text(
        "tag",
        Some("a tag's name"),
        |name| TextFact::Tag(name.into()),
        "a tag of the request (OpenAI `metadata`, `x-routeplane-tag-*`)",
        "tag(\"env\") == \"prod\"",
    ),
    value("protocol", None, |_| ValueFact::Protocol, "the protocol that the caller speaks", "protocol == messages"),
    Fact {
        name: "stream",
        parameter: None,
        kind: Kind::Flag(|_| FlagFact::Stream),
        about: "the answer is to be streamed",
        example: "not stream",
    },
    number("tools", |_| ValueFact::Number(NumberFact::Tools), "tools offered", "has tools"),
    Fact {
        name: "tool",
        parameter: Some("a tool's name"),
        kind: Kind::Flag(|name| FlagFact::Tool(name.into())),
        about: "this tool is offered",
        example: "tool(\"bash\")",
    },
    number("images", |_| ValueFact::Number(NumberFact::Images), "images in the conversation", "images > 0"),
    number("files", |_| ValueFact::Number(NumberFact::Files), "files in the conversation", "has files"),
    number("audio", |_| ValueFact::Number(NumberFact::Audio), "pieces of audio in the conversation", "audio == 0"),
    number("messages", |_| ValueFact::Number(NumberFact::Messages), "messages in the conversation", "messages > 20"),
    number(
        "input_tokens",
        |_| ValueFact::Number(NumberFact::InputTokens),
        "an estimate of the request's size",
        "input_tokens > 150k",
    ),
    number(
        "max_tokens",
        |_| ValueFact::Number(NumberFact::MaxTokens),
        "the limit of the answer's length, 0 where none is given",
        "max_tokens <= 4096",
    ),
    value("output", None, |_| ValueFact::Output, "the form of the answer asked for", "output == schema"),
    value("reasoning", None, |_| ValueFact::Reasoning, "how much thinking is asked for", "reasoning >= high"),
    number(
        "hour",
        |_| ValueFact::Number(NumberFact::Hour),
        "the hour of the day, 0 to 23, in `timezone`",
        "hour >= 22",
    ),
    number(
        "weekday",
        |_| ValueFact::Number(NumberFact::Weekday),
        "the day of the week, in `timezone`",
        "weekday in [sat, sun]",
    ),
    value(
        "bucket",
        Some("a salt of your choice"),
        |salt| ValueFact::Bucket(salt.into()),
        "0 to 99, the same for one user, session or request",
        "bucket(\"exp1\") < 5",
    ),
];

const fn text(
    name: &'static str,
    parameter: Option<&'static str>,
    make: fn(&str) -> TextFact,
    about: &'static str,
    example: &'static str,
) -> Fact {
    Fact { name, parameter, kind: Kind::Text(make), about, example }
}

const fn value(
    name: &'static str,
    parameter: Option<&'static str>,
    make: fn(&str) -> ValueFact,
    about: &'static str,
    example: &'static str,
) -> Fact {
    Fact { name, parameter, kind: Kind::Value(make), about, example }
}

const fn number(name: &'static str, make: fn(&str) -> ValueFact, about: &'static str, example: &'static str) -> Fact {
    value(name, None, make, about, example)
}

/// Headers that hold secrets, whatever a rule wants of them: no record and no explanation says what stands in them.
pub const SECRET_HEADERS: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-amz-security-token",
];

/// The header that names the user where the body does not.
pub const USER_HEADER: &str = "x-routeplane-user";
/// Headers that name the session; the first that is there counts.
pub const SESSION_HEADERS: [&str; 5] =
    ["x-routeplane-session", "x-session-id", "x-claude-code-session-id", "session-id", "session_id"];

/// How headers that set tags begin.
pub const TAG_HEADERS: &str = "x-routeplane-tag-";

/// The header that names the episode.
pub const EPISODE_HEADER: &str = "x-routeplane-episode";

/// The header that sets the tag of this name, whatever the body says.
pub fn tag_header(name: &str) -> String {
    format!("{TAG_HEADERS}{}", name.to_ascii_lowercase())
}

/// The fact of this name.
pub fn find(name: &str) -> Option<&'static Fact> {
    FACTS.iter().find(|fact| fact.name == name)
}

/// Words from other tools, and the fact that says the same here.
pub const SYNONYMS: &[(&str, &str)] = &[
    ("tokens", "input_tokens"),
    ("prompt_tokens", "input_tokens"),
    ("max_completion_tokens", "max_tokens"),
    ("max_output_tokens", "max_tokens"),
    ("effort", "reasoning"),
    ("reasoning_effort", "reasoning"),
    ("thinking", "reasoning"),
    ("metadata", "tag"),
    ("team", "key.team"),
    ("api", "protocol"),
    ("response_format", "output"),
    ("random", "bucket"),
    ("percent", "bucket"),
];

/// Names that ask for what changes from moment to moment: the business of strategies.
pub const LIVE_STATE: &[&str] = &[
    "health",
    "healthy",
    "up",
    "down",
    "is_up",
    "is_down",
    "available",
    "latency",
    "ttft",
    "price",
    "cost",
    "spend",
    "throughput",
    "error_rate",
    "errors",
    "load",
    "in_flight",
    "rpm",
    "tpm",
];

pub(super) fn number_name(fact: NumberFact) -> &'static str {
    match fact {
        NumberFact::Tools => "tools",
        NumberFact::Images => "images",
        NumberFact::Files => "files",
        NumberFact::Audio => "audio",
        NumberFact::Messages => "messages",
        NumberFact::InputTokens => "input_tokens",
        NumberFact::MaxTokens => "max_tokens",
        NumberFact::Hour => "hour",
        NumberFact::Weekday => "weekday",
    }
}

/// Position in [`PROTOCOL`].
pub(super) fn protocol_position(protocol: ProtocolId, embeddings: bool) -> u64 {
    let protocol = match protocol {
        ProtocolId::TensorZero | ProtocolId::TensorZeroChat => ProtocolId::OpenAiChat,
        other => other,
    };
    if embeddings { ProtocolId::ALL.len() as u64 } else { protocol.index() as u64 }
}

/// The bucket, 0 to 99, of whoever a request belongs to: the same on every replica and after every reload.
pub fn bucket(salt: &str, subject: &str) -> u8 {
    (fraction(salt, subject) * 100.0) as u8
}

/// A number in `0.0..1.0` that depends on nothing but its arguments.
pub fn fraction(salt: &str, subject: &str) -> f64 {
    let mut hasher = blake3::Hasher::new();
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    hasher.update(&(salt.len() as u64).to_le_bytes());
    hasher.update(salt.as_bytes());
    hasher.update(subject.as_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    // 53 bits are what a double holds exactly.
    (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
}

/// A number in `0.0..1.0` of an episode under one salt, as TensorZero draws variants: the first four bytes of the SHA-256
/// of the salt and of the id's 16 bytes. An episode that is no UUID gives its text.
pub fn episode_fraction(salt: &str, episode: &str) -> f64 {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    hasher.update(salt.as_bytes());
    match uuid::Uuid::try_parse(episode) {
        Ok(id) => hasher.update(id.as_bytes()),
        Err(_) => hasher.update(episode.as_bytes()),
    }
    let digest = hasher.finalize();
    let first = digest.iter().take(4).fold(0u32, |number, byte| number << 8 | u32::from(*byte));
    f64::from(first) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_the_types_they_stand_for() {
        for id in ProtocolId::ALL {
            assert_eq!(PROTOCOL.list[protocol_position(id, false) as usize], id.fact());
        }
        assert_eq!(PROTOCOL.list[protocol_position(ProtocolId::Gemini, true) as usize], "embeddings");
        assert_eq!(REASONING.list[super::super::ReasoningLevel::Max as usize], "max");
        assert_eq!(OUTPUT.list[super::super::OutputKind::Schema as usize], "schema");
    }

    #[test]
    fn buckets_are_even_and_stable() {
        assert_eq!(bucket("exp1", "alice"), bucket("exp1", "alice"));
        let below_five = (0..20_000).filter(|user| bucket("exp1", &user.to_string()) < 5).count();
        assert!((900..1100).contains(&below_five), "{below_five}");
    }
}
