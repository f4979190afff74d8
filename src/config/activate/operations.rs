//! What an endpoint can do besides what its protocol's codec knows.

use super::Problem;
use super::endpoint::Written;
use crate::source::Spanned;
use crate::wire::{Operation, ProtocolId};

/// The relayed operations: those listed; else, of a provider that only the user's file describes, all calls of models,
/// because nobody knows better than its own answer. (Who keeps files is not guessed: a caller's files would go astray.)
pub(super) fn operations(written: Written<'_>) -> Result<Box<[Operation]>, Problem> {
    let protocols = || written.layers.pick(|entry| entry.protocols.as_ref()).into_iter().flatten();
    let here = |operation: &Operation| match written.protocol {
        ProtocolId::OpenAiChat => true,
        // Who speaks OpenAI's protocol too keeps files in its shape.
        ProtocolId::AnthropicMessages => {
            operation.is_of_kept() && protocols().all(|protocol| protocol.value != ProtocolId::OpenAiChat)
        }
        // Cohere's models have the shape of Cohere there, too.
        ProtocolId::BedrockConverse => *operation == Operation::Rerank,
        ProtocolId::OpenAiResponses | ProtocolId::Gemini | ProtocolId::TensorZero | ProtocolId::TensorZeroChat => false,
    };
    let operations = match written.layers.pick(|entry| entry.operations.as_ref()) {
        Some(listed) => listed.iter().map(relayed).collect::<Result<Vec<_>, _>>()?,
        None if written.layers.preset.is_none() => all_relayed().filter(|operation| !operation.is_of_kept()).collect(),
        None => Vec::new(),
    };
    Ok(operations.into_iter().filter(here).collect())
}

fn all_relayed() -> impl Iterator<Item = Operation> {
    Operation::ALL.into_iter().filter(|operation| operation.relayed().is_some())
}

fn relayed(name: &Spanned<String>) -> Result<Operation, Problem> {
    Operation::relayed_by_name(&name.value).ok_or_else(|| {
        let names = all_relayed().map(Operation::name);
        let help = match crate::diagnostic::did_you_mean(&name.value, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write some of {}", all_relayed().map(Operation::name).collect::<Vec<_>>().join(", ")),
        };
        Problem::invalid(name.span, format!("`{}` is not an operation that is relayed", name.value), help)
    })
}
