//! (protocol)
use super::{Embeddings, Inbound, Outbound, Protocol, ProtocolId};

pub struct Gemini;

impl Protocol for Gemini {
    fn id(&self) -> ProtocolId {
        ProtocolId::Gemini
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
