//! (protocol)
use super::{Embeddings, Inbound, Outbound, Protocol, ProtocolId};

pub struct OpenAiChat;

impl Protocol for OpenAiChat {
    fn id(&self) -> ProtocolId {
        ProtocolId::OpenAiChat
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
