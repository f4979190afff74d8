//! How each caller's protocol reaches a provider, decided once: the request path only looks.

use crate::provider::{AuthScheme, Endpoint, Provider};
use crate::table::{Lane, Lanes};
use crate::wire::{Operation, ProtocolId};

/// The lanes of every target of one provider.
pub(super) fn of(provider: &Provider) -> Lanes {
    Lanes::new(|caller, operation| lane(provider, caller, operation))
}

/// The same protocol passes through; otherwise the first endpoint that this build can translate to; otherwise why not.
fn lane(provider: &Provider, caller: ProtocolId, operation: Operation) -> Lane {
    let usable = || (0u8..).zip(&provider.endpoints).filter(|(_, endpoint)| has_operation(endpoint, operation));
    let authenticated = || usable().filter(|(_, endpoint)| !matches!(endpoint.auth, AuthScheme::Unsupported(_)));
    if let Some((endpoint, _)) = authenticated().find(|(_, endpoint)| endpoint.protocol == caller) {
        return Lane::Passthrough { endpoint };
    }
    if let Some((endpoint, _)) = authenticated().find(|(_, endpoint)| endpoint.protocol.codec().is_some()) {
        return Lane::Translate { endpoint };
    }
    Lane::Refused(refusal(provider, operation, usable().next().map(|(_, endpoint)| endpoint)).into())
}

fn has_operation(endpoint: &Endpoint, operation: Operation) -> bool {
    let codec = endpoint.protocol.codec();
    match operation {
        Operation::Generate => true,
        Operation::Embed => codec.is_some_and(|codec| codec.embeddings().is_some()),
        // The model's name is of no matter for whether there is a path.
        Operation::CountTokens => codec
            .and_then(|codec| codec.outbound())
            .is_some_and(|outbound| outbound.path(Operation::CountTokens, "m", false).is_some()),
    }
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
    }
}
