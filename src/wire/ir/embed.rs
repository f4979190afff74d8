//! Embeddings: texts in, vectors out.

use super::usage::Usage;
use crate::wire::ProtocolId;
use crate::wire::json::Ext;

#[derive(Debug, Clone)]
pub struct EmbedRequest {
    pub origin: ProtocolId,
    pub model: String,
    pub input: EmbedInput,
    /// Length of the vectors, where the caller wants another than the model's own.
    pub dimensions: Option<u64>,
    pub encoding: Encoding,
    pub user: Option<String>,
    pub ext: Ext,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbedInput {
    Texts(Vec<String>),
    /// Token ids of the caller's own tokenizer; only the model's family understands them.
    Tokens(Vec<Vec<u64>>),
}

impl EmbedInput {
    /// How many vectors are asked for.
    pub fn count(&self) -> usize {
        match self {
            EmbedInput::Texts(texts) => texts.len(),
            EmbedInput::Tokens(tokens) => tokens.len(),
        }
    }

    /// The inputs in their order, at most `most` together.
    pub fn batches(&self, most: usize) -> Vec<EmbedInput> {
        let most = most.max(1);
        match self {
            EmbedInput::Texts(texts) => texts.chunks(most).map(|some| EmbedInput::Texts(some.into())).collect(),
            EmbedInput::Tokens(tokens) => tokens.chunks(most).map(|some| EmbedInput::Tokens(some.into())).collect(),
        }
    }
}

/// How the caller wants its vectors written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    #[default]
    Float,
    /// Base64 of little-endian 32-bit floats, which the official OpenAI SDKs ask for unasked.
    Base64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EmbedResponse {
    pub model: Option<String>,
    /// One vector per input, in its order.
    pub vectors: Vec<Vec<f32>>,
    pub usage: Option<Usage>,
}
