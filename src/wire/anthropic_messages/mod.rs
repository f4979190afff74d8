//! (protocol)
use super::{Embeddings, Inbound, Outbound, Protocol, ProtocolId};

pub struct AnthropicMessages;

impl Protocol for AnthropicMessages {
    fn id(&self) -> ProtocolId {
        ProtocolId::AnthropicMessages
    }
    fn inbound(&self) -> Option<&dyn Inbound> {
        None
    }
    fn outbound(&self) -> Option<&dyn Outbound> {
        None
    }
    fn embeddings(&self) -> Option<&dyn Embeddings> {
        None
    }
}
