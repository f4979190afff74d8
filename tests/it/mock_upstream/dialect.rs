//! What a good upstream says, before it is put into a dialect; and which dialect a path asks for.

use std::time::Duration;

use serde_json::{Value, json};

use super::http::Request;
use super::{chat, converse, gemini, messages, responses};

/// Tokens of every prompt, the cached ones included.
pub(crate) const INPUT_TOKENS: u64 = 11;
pub(crate) const CACHED_TOKENS: u64 = 4;
/// Tokens of every visible answer.
pub(crate) const TEXT_TOKENS: u64 = 7;
/// Tokens of the reasoning, where there is some.
pub(crate) const REASONING_TOKENS: u64 = 5;
/// What `count_tokens` answers.
pub(crate) const COUNTED_TOKENS: u64 = 23;

pub(crate) const TEXT: &str = "Hello from the mock.";
pub(crate) const REASONING: &str = "Let me think about it.";
pub(crate) const SIGNATURE: &str = "c2lnbmVkIGJ5IHRoZSBtb2Nr";
pub(crate) const BADLY_STRUCTURED: &str = "{\"answer\":\"many\",\"unit\":\"km\"}";
pub(crate) const STRUCTURED: &str = "{\"answer\":42,\"unit\":\"km\"}";

/// A finished answer in a dialect.
pub(crate) enum Reply {
    Whole { status: u16, headers: Vec<(&'static str, &'static str)>, body: String },
    Stream(Stream),
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Reply {
        Reply::Whole { status: 200, headers: Vec::new(), body: body.to_string() }
    }
}

/// Makes an error event of a message.
pub(crate) type ErrorEvent = Box<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// A stream, event by event, as bytes.
pub(crate) struct Stream {
    pub(crate) content_type: &'static str,
    pub(crate) events: Vec<Vec<u8>>,
    /// Before each event.
    pub(crate) pause: Duration,
    /// The dialect's error event, with this message.
    pub(crate) error: ErrorEvent,
}

/// Which answer a request asks for, by the last `case:NAME` in its body; plain text without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Text,
    Reasoning,
    /// Three parallel calls; once their results are there, a text that repeats these.
    Tools,
    /// A text that says which image was seen.
    Image,
    /// JSON by a schema: natively, as the arguments of the one tool that is there, or in a code fence where only words ask
    /// for it; where nothing does, an error. What is said depends on the word behind `structured`.
    Structured(Form),
    /// Two hundred events, one every 20 ms.
    Long,
    /// An agent at work: it reads a file with its shell, writes another, and says what the shell said.
    Agent,
    Error(u16),
}

impl Case {
    fn of(request: &Request) -> Case {
        let text = request.text();
        let word = |(at, _)| text[at + 5..].split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next();
        // What agents say of themselves has the letters in it, and then a blank.
        let mut words = text.rmatch_indices("case:").filter_map(word).filter(|word| !word.is_empty());
        match words.next().unwrap_or("text") {
            "text" => Case::Text,
            "reasoning" => Case::Reasoning,
            "tools" => Case::Tools,
            "image" => Case::Image,
            word if word.starts_with("structured") => Case::Structured(Form::of(word)),
            "long" => Case::Long,
            "agent" => Case::Agent,
            word => match word.strip_prefix("error-").and_then(|status| status.parse().ok()) {
                Some(status) => Case::Error(status),
                None => panic!("`case:{word}` is not a case of the mock upstream"),
            },
        }
    }
}

/// What the mock reads in a request, whatever its dialect.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) tools: Vec<String>,
    pub(crate) tool_results: Vec<String>,
    /// Media type and length in bytes.
    pub(crate) image: Option<(String, usize)>,
    pub(crate) schema: Option<Value>,
    /// Words give a schema.
    pub(crate) told_schema: bool,
    /// Words say that an earlier answer did not have the form.
    pub(crate) corrected: bool,
    /// What is wrong with the request in its dialect.
    pub(crate) faults: Vec<String>,
}

impl Facts {
    /// The id of the answer; another one for each turn, because agents take two answers of one id for one answer.
    pub(crate) fn id(&self, name: &str) -> String {
        match self.tool_results.len() {
            0 => name.to_owned(),
            turn => format!("{name}_{turn}"),
        }
    }
}

/// One tool call: id, name, arguments as JSON text.
pub(crate) type Call = (&'static str, &'static str, &'static str);

pub(crate) const CALLS: [Call; 3] = [
    ("call_a", "get_weather", "{\"city\":\"Paris\"}"),
    ("call_b", "get_weather", "{\"city\":\"Rome\"}"),
    ("call_c", "get_time", "{\"zone\":\"CET\"}"),
];

/// What is said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) reasoning: Option<&'static str>,
    /// In the pieces in which a stream brings it.
    pub(crate) text: Vec<String>,
    pub(crate) calls: Vec<Call>,
    /// The limit of the answer's length was met.
    pub(crate) cut: bool,
}

impl Said {
    pub(crate) fn whole_text(&self) -> String {
        self.text.concat()
    }

    pub(crate) fn reasoning_tokens(&self) -> u64 {
        if self.reasoning.is_some() { REASONING_TOKENS } else { 0 }
    }

    fn text(text: impl Into<String>) -> Said {
        let text: String = text.into();
        Said { text: text.split_inclusive(' ').map(str::to_owned).collect(), ..Said::default() }
    }
}

/// What the upstream does about a request: an answer, or an error with its status.
fn say(case: Case, facts: &Facts) -> Result<Said, (u16, String)> {
    if !facts.faults.is_empty() {
        return Err((400, format!("the mock refuses this request: {}", facts.faults.join("; "))));
    }
    match case {
        Case::Text => Ok(Said::text(TEXT)),
        Case::Reasoning => Ok(Said { reasoning: Some(REASONING), ..Said::text(TEXT) }),
        Case::Tools if !facts.tool_results.is_empty() => {
            Ok(Said::text(format!("results: {}", facts.tool_results.join(" | "))))
        }
        Case::Tools if facts.tools != ["get_weather", "get_time"] => {
            Err((400, format!("expected the tools get_weather and get_time, got {:?}", facts.tools)))
        }
        Case::Tools => Ok(Said { calls: CALLS.to_vec(), ..Said::default() }),
        Case::Image => match &facts.image {
            Some((media_type, length)) => Ok(Said::text(format!("{media_type} of {length} bytes"))),
            None => Err((400, "expected an image".to_owned())),
        },
        Case::Structured(form) => structured(form, facts),
        Case::Long => Ok(Said { text: (0..200).map(|n| format!("word{n} ")).collect(), ..Said::default() }),
        Case::Agent => agent(facts),
        Case::Error(status) => Err((status, format!("the mock was asked for {status}"))),
    }
}

/// How agents name their shell, and what it is told: to read a file, then to write one.
const SHELLS: [[Call; 2]; 2] = [
    [
        ("call_read", "Bash", "{\"command\":\"cat notes.txt\"}"),
        ("call_write", "Bash", "{\"command\":\"printf written > answer.txt\"}"),
    ],
    [
        ("call_read", "exec_command", "{\"cmd\":\"cat notes.txt\"}"),
        ("call_write", "exec_command", "{\"cmd\":\"printf written > answer.txt\"}"),
    ],
];

fn agent(facts: &Facts) -> Result<Said, (u16, String)> {
    let known = |calls: &&[Call; 2]| facts.tools.iter().any(|tool| tool == calls[0].1);
    let Some(calls) = SHELLS.iter().find(known) else {
        return Err((400, format!("expected the tools of an agent, got {:?}", facts.tools)));
    };
    Ok(match calls.get(facts.tool_results.len()) {
        Some(call) => Said { reasoning: Some(REASONING), calls: vec![*call], ..Said::default() },
        None => Said::text(format!("results: {}", facts.tool_results.join(" | "))),
    })
}

/// What is wrong with a structured answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Good,
    /// It does not satisfy the schema.
    Bad,
    /// As `Bad`, until the request says what was wrong.
    BadOnce,
    /// Prose around it, and a comma too many.
    Untidy,
    /// The limit of its length came first.
    Cut,
    /// Words instead.
    Words,
}

impl Form {
    fn of(word: &str) -> Form {
        match word {
            "structured" => Form::Good,
            "structured-bad" => Form::Bad,
            "structured-once" => Form::BadOnce,
            "structured-untidy" => Form::Untidy,
            "structured-cut" => Form::Cut,
            "structured-words" => Form::Words,
            other => panic!("`case:{other}` is not a case of the mock upstream"),
        }
    }
}

/// The tool by which a schema can be asked for.
const TOOL: &str = "respond_with_schema";

fn structured(form: Form, facts: &Facts) -> Result<Said, (u16, String)> {
    let content = match form {
        Form::Good => STRUCTURED,
        Form::BadOnce if facts.corrected => STRUCTURED,
        Form::Bad | Form::BadOnce => BADLY_STRUCTURED,
        Form::Untidy => "Here it is:\n{\"answer\":42,\"unit\":\"km\",}\nThat is all.",
        Form::Cut => "{\"answer\":42,\"un",
        Form::Words => "I had rather not.",
    };
    let native = facts.schema.as_ref().and_then(|schema| schema.pointer("/properties/answer"));
    let cut = form == Form::Cut;
    if native.is_some() {
        Ok(Said { cut, ..Said::text(content) })
    } else if facts.tools.iter().any(|tool| tool == TOOL) && form != Form::Words {
        Ok(Said { cut, calls: vec![("call_s", TOOL, content)], ..Said::default() })
    } else if facts.told_schema || form == Form::Words {
        let fence = if cut || form == Form::Words { "" } else { "\n```" };
        let opening = if fence.is_empty() { "" } else { "```json\n" };
        Ok(Said { cut, ..Said::text(format!("{opening}{content}{fence}")) })
    } else {
        Err((400, format!("expected a schema with `answer`, got {:?}", facts.schema)))
    }
}

/// The dialects, and what their paths ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    ChatEmbeddings,
    Responses,
    ResponsesTokens,
    /// A question about an answer that was given.
    Stored,
    Messages,
    CountTokens,
    Gemini,
    GeminiCountTokens,
    GeminiEmbeddings,
    Converse,
    ConverseCountTokens,
    Models,
    Unknown,
}

impl Endpoint {
    pub(crate) fn of(request: &Request) -> Endpoint {
        let path = request.path();
        let ends = |end: &str| path.ends_with(end);
        match path {
            _ if ends("/chat/completions") => Endpoint::Chat,
            _ if ends("/embeddings") => Endpoint::ChatEmbeddings,
            _ if ends("/responses") => Endpoint::Responses,
            _ if ends("/responses/input_tokens") => Endpoint::ResponsesTokens,
            _ if path.contains("/responses/") => Endpoint::Stored,
            _ if ends("/messages") => Endpoint::Messages,
            _ if ends("/messages/count_tokens") => Endpoint::CountTokens,
            _ if ends(":generateContent") || ends(":streamGenerateContent") => Endpoint::Gemini,
            _ if ends(":countTokens") => Endpoint::GeminiCountTokens,
            _ if ends(":embedContent") || ends(":batchEmbedContents") => Endpoint::GeminiEmbeddings,
            _ if ends("/converse") || ends("/converse-stream") => Endpoint::Converse,
            _ if ends("/count-tokens") => Endpoint::ConverseCountTokens,
            _ if ends("/models") => Endpoint::Models,
            _ => Endpoint::Unknown,
        }
    }
}

/// The good answer to a request.
pub(crate) fn reply(request: &Request) -> Reply {
    let answer = |mut facts: Facts, whole: fn(&Facts, &Said) -> Value, stream: fn(&Facts, &Said) -> Stream| {
        let case = Case::of(request);
        let text = request.text();
        facts.told_schema = text.contains("JSON Schema");
        facts.corrected = text.contains("does not have the form");
        match say(case, &facts) {
            Err((status, message)) => failure(request, status, &message),
            Ok(said) if facts.stream => {
                let pause = if case == Case::Long { Duration::from_millis(20) } else { Duration::ZERO };
                Reply::Stream(Stream { pause, ..stream(&facts, &said) })
            }
            Ok(said) => Reply::ok(whole(&facts, &said)),
        }
    };
    match Endpoint::of(request) {
        Endpoint::Chat => answer(chat::read(request), chat::whole, chat::stream),
        Endpoint::Responses => answer(responses::read(request), responses::whole, responses::stream),
        Endpoint::Messages => answer(messages::read(request), messages::whole, messages::stream),
        Endpoint::Gemini => answer(gemini::read(request), gemini::whole, gemini::stream),
        Endpoint::Converse => answer(converse::read(request), converse::whole, converse::stream),
        Endpoint::ResponsesTokens => {
            Reply::ok(json!({ "object": "response.input_tokens", "input_tokens": COUNTED_TOKENS }))
        }
        Endpoint::Stored => Reply::ok(json!({ "object": "asked", "for": request.target })),
        Endpoint::ChatEmbeddings => Reply::ok(chat::embeddings(request)),
        Endpoint::GeminiEmbeddings => match gemini::embeddings(request) {
            Ok(body) => Reply::ok(body),
            Err(message) => failure(request, 400, &message),
        },
        Endpoint::CountTokens => Reply::ok(json!({ "input_tokens": COUNTED_TOKENS })),
        Endpoint::ConverseCountTokens => Reply::ok(json!({ "inputTokens": COUNTED_TOKENS })),
        Endpoint::GeminiCountTokens => Reply::ok(json!({ "totalTokens": COUNTED_TOKENS })),
        Endpoint::Models => Reply::ok(json!({ "object": "list", "data": [] })),
        Endpoint::Unknown => failure(request, 404, &format!("the mock has no {}", request.target)),
    }
}

fn failure(request: &Request, status: u16, message: &str) -> Reply {
    Reply::Whole { status, headers: Vec::new(), body: error(request, status, message) }
}

/// An error body in the dialect of the request's path.
pub(crate) fn error(request: &Request, status: u16, message: &str) -> String {
    match Endpoint::of(request) {
        Endpoint::Messages | Endpoint::CountTokens => messages::error(status, message),
        Endpoint::Gemini | Endpoint::GeminiCountTokens | Endpoint::GeminiEmbeddings => gemini::error(status, message),
        Endpoint::Converse | Endpoint::ConverseCountTokens => converse::error(message),
        Endpoint::Chat
        | Endpoint::ChatEmbeddings
        | Endpoint::Responses
        | Endpoint::ResponsesTokens
        | Endpoint::Stored
        | Endpoint::Models
        | Endpoint::Unknown => chat::error(status, message),
    }
}

/// The vector that stands for a text: its length, and three that never change.
pub(crate) fn vector(text: &str) -> [f64; 4] {
    // Not a whole number, because JavaScript prints these without a point.
    let length = u32::try_from(text.len()).unwrap();
    [f64::from(length) + 0.5, 0.5, -0.25, 0.125]
}

/// How long a base64 text is when decoded.
pub(crate) fn decoded_length(base64: &str) -> usize {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(base64).expect("the image is base64").len()
}
