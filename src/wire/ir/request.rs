//! A request for an answer.

use serde_json::Number;
use serde_json::value::RawValue;

use super::message::Message;
use crate::wire::ProtocolId;
use crate::wire::json::Ext;
use crate::wire::loss::Losses;

#[derive(Debug, Clone)]
pub struct Request {
    /// The protocol in which it came; only an encoder of this protocol writes `ext` back.
    pub origin: ProtocolId,
    /// As the caller named it.
    pub model: String,
    pub stream: bool,
    /// Whether the caller wrote a `stream` member at all.
    pub stream_given: bool,
    /// Usage in the stream was asked for (OpenAI `stream_options.include_usage`); `None` where nothing was said.
    pub include_usage: Option<bool>,
    /// The conversation. System texts that a protocol keeps apart stand first, as [`super::Role::System`] messages.
    pub messages: Vec<Message>,
    /// `None`: not given; empty: given as an empty list.
    pub tools: Option<Vec<Tool>>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    pub sampling: Sampling,
    pub reasoning: Option<ReasoningRequest>,
    pub output: Option<OutputFormat>,
    /// The caller's id of its user (OpenAI `user`, Anthropic `metadata.user_id`).
    pub user: Option<String>,
    /// OpenAI's `metadata`, verbatim.
    pub metadata: Option<Box<RawValue>>,
    pub ext: Ext,
}

/// Sampling and limits. Numbers keep their spelling (`1` and `1.0` differ).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    pub max_tokens: Option<MaxTokens>,
    pub temperature: Option<Number>,
    pub top_p: Option<Number>,
    pub top_k: Option<Number>,
    pub stop: Option<Vec<String>>,
    pub stop_shape: StopShape,
    pub seed: Option<Number>,
    pub frequency_penalty: Option<Number>,
    pub presence_penalty: Option<Number>,
    /// How many answers (OpenAI `n`, Gemini `candidateCount`).
    pub candidates: Option<u64>,
    pub logprobs: Option<bool>,
    pub top_logprobs: Option<u64>,
}

impl Sampling {
    /// Whether the answer is to tell how likely its pieces were. Responses has only the number of alternatives, where the others
    /// want both said.
    pub fn wants_logprobs(&self) -> bool {
        self.logprobs.unwrap_or(self.top_logprobs.is_some_and(|count| count > 0))
    }
}

/// A limit of the answer's length, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxTokens {
    pub value: u64,
    pub spelling: MaxTokensSpelling,
}

/// Chat Completions has two names for the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaxTokensSpelling {
    #[default]
    Current,
    /// `max_tokens` in Chat Completions.
    Deprecated,
}

/// Whether a single stop text was given bare or in a list (OpenAI allows both).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StopShape {
    #[default]
    List,
    Text,
}

#[derive(Debug, Clone)]
pub struct Tool {
    pub kind: ToolKind,
    pub ext: Ext,
}

#[derive(Debug, Clone)]
pub enum ToolKind {
    /// A function of the caller's.
    Function {
        name: String,
        description: Option<String>,
        /// JSON Schema of the arguments, byte for byte as the caller wrote it.
        parameters: Option<Box<RawValue>>,
        strict: Option<bool>,
    },
    /// A tool that the provider runs, or that only the origin knows: verbatim, not portable.
    Opaque { origin: ProtocolId, name: String, raw: Box<RawValue> },
}

#[derive(Debug, Clone, PartialEq)]
pub enum ToolChoice {
    Auto,
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Tool(String),
    /// Only these may be called; `required`: one of them must be.
    Allowed {
        names: Vec<String>,
        required: bool,
    },
}

/// How much to think, and what to show of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReasoningRequest {
    pub effort: Option<ReasoningEffort>,
    /// Tokens to think with (Anthropic `budget_tokens`, Gemini `thinkingBudget`); negative means the model decides.
    pub budget: Option<i64>,
    /// Whether thoughts are to be shown (Gemini `includeThoughts`).
    pub include: Option<bool>,
    /// Members nobody modelled (`thinking.display`, `type: adaptive`, ...).
    pub ext: Ext,
}

impl ReasoningRequest {
    /// Reports the members that nobody modelled. `type` and `display` are Anthropic's spelling of what the other fields say.
    pub fn report_unmodelled(&self, losses: &mut Losses) {
        let spelling = |key: &str| key == "type" || (key == "display" && self.include.is_some());
        let unmodelled = self.ext.0.iter().filter(|(key, _)| !spelling(key));
        losses.dropped_ext("reasoning.", &Ext(unmodelled.cloned().collect()));
    }

    /// The effort that is asked for, or the one nearest to the budget, for protocols that have words for efforts and nothing
    /// else; `words` says so. The budgets that providers give for their efforts are cut halfway.
    pub fn effort_in_words(&self, words: &'static str, losses: &mut Losses) -> Option<ReasoningEffort> {
        if self.effort.is_some() {
            return self.effort;
        }
        let effort = match self.budget? {
            ..0 => {
                losses.emulated("reasoning.budget", "a model that is told nothing thinks as much as it deems right");
                return None;
            }
            0 => ReasoningEffort::None,
            1..=4096 => ReasoningEffort::Low,
            4097..=12_288 => ReasoningEffort::Medium,
            12_289.. => ReasoningEffort::High,
        };
        losses.degraded("reasoning.budget", words);
        Some(effort)
    }
}

/// Ordered: `none < minimal < low < medium < high < x_high < max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasoningEffort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

/// The least thinking budget that Anthropic's models take, in tokens.
/// <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>
pub const LEAST_THINKING_BUDGET: u64 = 1024;

impl ReasoningEffort {
    const WORDS: [(ReasoningEffort, &'static str); 7] = [
        (ReasoningEffort::None, "none"),
        (ReasoningEffort::Minimal, "minimal"),
        (ReasoningEffort::Low, "low"),
        (ReasoningEffort::Medium, "medium"),
        (ReasoningEffort::High, "high"),
        (ReasoningEffort::XHigh, "xhigh"),
        (ReasoningEffort::Max, "max"),
    ];

    /// OpenAI's word, which others took over.
    pub fn word(self) -> &'static str {
        ReasoningEffort::WORDS.iter().find(|(effort, _)| *effort == self).map_or("medium", |(_, word)| word)
    }

    /// The effort of one of OpenAI's words.
    pub fn from_word(word: &str) -> Option<ReasoningEffort> {
        ReasoningEffort::WORDS.iter().find(|(_, known)| *known == word).map(|(effort, _)| *effort)
    }

    /// Tokens to think with, for protocols that know budgets and no efforts.
    pub fn budget(self) -> u64 {
        match self {
            ReasoningEffort::None => 0,
            ReasoningEffort::Minimal => LEAST_THINKING_BUDGET,
            ReasoningEffort::Low => 2048,
            ReasoningEffort::Medium => 8192,
            ReasoningEffort::High => 16_384,
            ReasoningEffort::XHigh | ReasoningEffort::Max => 32_768,
        }
    }
}

/// What form the answer is to have.
#[derive(Debug, Clone)]
pub enum OutputFormat {
    Text,
    /// Any JSON object.
    Json,
    Schema {
        name: Option<String>,
        description: Option<String>,
        /// JSON Schema, byte for byte.
        schema: Box<RawValue>,
        strict: Option<bool>,
    },
}
