//! How each caller's protocol reaches a provider, decided once: the request path only looks.

use std::sync::Arc;

use crate::provider::{AuthScheme, Endpoint, Provider};
use crate::table::{Lane, Lanes};
use crate::wire::{Operation, ProtocolId};

/// The lanes of every set of a provider's endpoints (bits, as of [`Provider::serving`]); the last is all of them. Only that
/// one where every endpoint serves every model.
pub(super) fn of(provider: &Provider) -> Arc<[Arc<Lanes>]> {
    let all = (1usize << provider.endpoints.len()) - 1;
    let choosy = provider.endpoints.iter().any(|endpoint| !endpoint.models.is_all());
    let lanes = |set| Arc::new(Lanes::new(|caller, operation| lane(provider, set, caller, operation)));
    (if choosy { 0 } else { all }..=all).map(lanes).collect()
}

/// The same protocol passes through; otherwise the first endpoint that this build can translate to; otherwise why not.
fn lane(provider: &Provider, set: usize, caller: ProtocolId, operation: Operation) -> Lane {
    let serving = || (0u8..).zip(&provider.endpoints).filter(|(at, _)| set & (1 << at) != 0);
    let usable = || serving().filter(|(_, endpoint)| has_operation(endpoint, operation));
    let authenticated = || usable().filter(|(_, endpoint)| !matches!(endpoint.auth, AuthScheme::Unsupported(_)));
    if let Some((endpoint, _)) = authenticated().find(|(_, endpoint)| endpoint.protocol == caller) {
        return Lane::Passthrough { endpoint };
    }
    if (operation.relayed().is_none() || operation == Operation::Rerank)
        && let Some((endpoint, _)) = authenticated().find(|(_, endpoint)| endpoint.protocol.codec().is_some())
    {
        return Lane::Translate { endpoint };
    }
    if set == 0 {
        return Lane::Refused(serves_not(provider).into());
    }
    Lane::Refused(refusal(provider, operation, usable().next().map(|(_, endpoint)| endpoint)).into())
}

fn has_operation(endpoint: &Endpoint, operation: Operation) -> bool {
    let codec = endpoint.protocol.codec();
    if operation.relayed().is_some() {
        return endpoint.operations.contains(&operation);
    }
    match operation {
        _ if !endpoint.has(operation) => false,
        Operation::Generate => true,
        Operation::Embed => codec.is_some_and(|codec| codec.embeddings().is_some()),
        // The model's name is of no matter for whether there is a path.
        _ => endpoint.outbound().is_some_and(|outbound| outbound.path(operation, "m", false).is_some()),
    }
}

fn serves_not(provider: &Provider) -> String {
    let name = &provider.name;
    format!("none of the endpoints of `{name}` serves this model; their `models:` say which they do")
}

fn refusal(provider: &Provider, operation: Operation, usable: Option<&Endpoint>) -> String {
    let name = &provider.name;
    match (usable, operation) {
        (Some(Endpoint { auth: AuthScheme::Unsupported(why), .. }), _) => format!("`{name}` cannot be used: {why}"),
        (Some(endpoint), _) => {
            format!("`{name}` speaks {}, which this version does not translate to", endpoint.protocol)
        }
        (None, Operation::Generate) => format!("`{name}` speaks no protocol"),
        (None, Operation::Embed) => format!("`{name}` has no embeddings that this version can reach"),
        (None, Operation::CountTokens) => format!("`{name}` does not count tokens"),
        (None, Operation::Compact) => format!(
            "`{name}` does not compact conversations, which only upstreams of OpenAI Responses do; ask for a model of one, or \
             send the conversation as it is"
        ),
        (None, relayed) => format!(
            "`{name}` has no {}, as far as is known here; if it has, list it in `operations` of the provider",
            relayed.name()
        ),
    }
}
