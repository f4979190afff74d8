//! Named deviations of an upstream from the protocol it speaks. Data of provider files, never an `if` on a name.

use serde::{Deserialize, Serialize};

/// How an upstream deviates from its protocol. Every option is off by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Which member limits the answer's length; `max_completion_tokens` by default.
    pub max_tokens: MaxTokensMember,
    /// `developer` messages are sent as `system`.
    pub developer_as_system: bool,
    /// `stream_options` is refused or ignored; usage comes in a stream unasked.
    pub no_stream_options: bool,
    /// The word that forces a tool call; `required` by default, `any` at Mistral.
    pub tool_choice_any: bool,
    /// Tool call ids must be exactly nine letters or digits (Mistral).
    pub short_tool_ids: bool,
    /// The seed is the member `random_seed` (Mistral).
    pub random_seed: bool,
    /// What the upstream offers for answers by a JSON Schema.
    pub structured_output: StructuredOutput,
    /// `reasoning_effort` is refused.
    pub no_reasoning_effort: bool,
    /// Which member of Chat Completions says how much to think, in requests that come in another protocol.
    pub reasoning_member: ReasoningMember,
    /// Thoughts stand in the content of an answer, between `<think>` and `</think>` at its beginning.
    pub think_tags: bool,
    /// The member in which the upstream expects reasoning of earlier turns back.
    pub reasoning_replay: ReasoningReplay,
    /// Tokens are counted of the request as it is, not of one within a `generateContentRequest` (Vertex).
    pub plain_token_counts: bool,
    /// An embeddings request has the vectors' length in `output_dimension`, and knows neither `user` nor
    /// `encoding_format: float` (Voyage).
    pub embed_output_dimension: bool,
    /// Vectors are asked for as predictions of a model, `:predict` (Vertex).
    pub embed_predictions: bool,
    /// A rerank request has its limit in `top_k`, and the answer its results in `data` (Voyage).
    pub rerank_top_k: bool,
    /// Whose signatures of reasoning the upstream makes and takes. Endpoints that name the same issuer take each other's;
    /// without one, a provider takes only its own.
    pub reasoning_issuer: Option<String>,
    /// Members that the upstream refuses; they are removed and reported as losses.
    pub refused_members: Vec<String>,
}

impl Quirks {
    /// These and those of `more`; where both choose, `more` does.
    pub fn and(&self, more: &Quirks) -> Quirks {
        let refused = self.refused_members.iter().chain(&more.refused_members);
        Quirks {
            max_tokens: match more.max_tokens {
                MaxTokensMember::MaxCompletionTokens => self.max_tokens,
                MaxTokensMember::MaxTokens => MaxTokensMember::MaxTokens,
            },
            developer_as_system: self.developer_as_system || more.developer_as_system,
            no_stream_options: self.no_stream_options || more.no_stream_options,
            tool_choice_any: self.tool_choice_any || more.tool_choice_any,
            short_tool_ids: self.short_tool_ids || more.short_tool_ids,
            random_seed: self.random_seed || more.random_seed,
            structured_output: match more.structured_output {
                StructuredOutput::Auto => self.structured_output,
                other => other,
            },
            no_reasoning_effort: self.no_reasoning_effort || more.no_reasoning_effort,
            reasoning_member: match more.reasoning_member {
                ReasoningMember::ReasoningEffort => self.reasoning_member,
                other => other,
            },
            think_tags: self.think_tags || more.think_tags,
            reasoning_replay: match more.reasoning_replay {
                ReasoningReplay::None => self.reasoning_replay,
                other => other,
            },
            plain_token_counts: self.plain_token_counts || more.plain_token_counts,
            embed_predictions: self.embed_predictions || more.embed_predictions,
            embed_output_dimension: self.embed_output_dimension || more.embed_output_dimension,
            rerank_top_k: self.rerank_top_k || more.rerank_top_k,
            reasoning_issuer: more.reasoning_issuer.clone().or_else(|| self.reasoning_issuer.clone()),
            refused_members: refused.cloned().collect(),
        }
    }
}

/// Spelling of the answer's length limit in Chat Completions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensMember {
    #[default]
    MaxCompletionTokens,
    MaxTokens,
}

/// What an upstream offers for answers by a JSON Schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StructuredOutput {
    /// What its protocol and its model are known to offer.
    #[default]
    Auto,
    /// The protocol's member, and no other answer can come; schemas must be in the vendor's dialect.
    Strict,
    /// The protocol's member with any schema.
    BestEffort,
    /// No member for schemas; a tool that must be called can have it.
    Tool,
    /// No member for schemas, but JSON mode.
    Json,
    /// Neither.
    Prompt,
}

/// Whether, and where, reasoning text of earlier turns is sent back in Chat Completions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningReplay {
    /// Not at all (OpenAI).
    #[default]
    None,
    /// As `reasoning_content` (DeepSeek, Moonshot).
    ReasoningContent,
    /// As `reasoning` (Groq, Cerebras, vLLM).
    Reasoning,
    /// As `reasoning_details`, verbatim (OpenRouter).
    ReasoningDetails,
    /// As a part of the content, `{ type: thinking }` (Mistral).
    Thinking,
}

/// The member of Chat Completions that says how much to think.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningMember {
    /// `reasoning_effort`, a word.
    #[default]
    ReasoningEffort,
    /// `reasoning: { effort | max_tokens | enabled, exclude }` (OpenRouter).
    Reasoning,
    /// `thinking: { type: enabled | disabled }` (DeepSeek, Z.ai, Moonshot).
    Thinking,
    /// `enable_thinking`, and `thinking_budget` in tokens (Alibaba).
    EnableThinking,
    /// `chat_template_kwargs: { enable_thinking }` (vLLM, SGLang).
    ChatTemplate,
}
