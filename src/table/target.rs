//! Targets: a model at a provider, and the lane by which each client protocol reaches it.

use super::ProviderIdx;
use crate::wire::{Operation, ProtocolId};

/// A model at a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub provider: ProviderIdx,
    /// The id upstream. `None` is the provider's wildcard: the model is what the caller wrote after the `/`.
    pub model: Option<Box<str>>,
    /// Lanes of [`Operation::Generate`], by [`ProtocolId::index`] of the caller.
    pub generate: [Lane; ProtocolId::COUNT],
    /// Lanes of [`Operation::Embed`].
    pub embed: [Lane; ProtocolId::COUNT],
    /// Lanes of [`Operation::CountTokens`]; a refusal here means: estimate.
    pub count_tokens: [Lane; ProtocolId::COUNT],
}

impl Target {
    /// The way from a caller's protocol to this target.
    pub fn lane(&self, caller: ProtocolId, operation: Operation) -> &Lane {
        let lanes = match operation {
            Operation::Generate => &self.generate,
            Operation::Embed => &self.embed,
            Operation::CountTokens => &self.count_tokens,
        };
        let [chat, responses, messages, gemini, converse] = lanes;
        match caller {
            ProtocolId::OpenAiChat => chat,
            ProtocolId::OpenAiResponses => responses,
            ProtocolId::AnthropicMessages => messages,
            ProtocolId::Gemini => gemini,
            ProtocolId::BedrockConverse => converse,
        }
    }
}

/// How a request of one protocol reaches a target. Decided when the file is compiled; the request path only looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lane {
    /// The endpoint speaks the caller's protocol: bytes pass, with edits. Index in `Provider::endpoints`.
    Passthrough { endpoint: u8 },
    /// Through the hub. Index in `Provider::endpoints`.
    Translate { endpoint: u8 },
    /// No way; why, in words for the caller.
    Refused(Box<str>),
}
