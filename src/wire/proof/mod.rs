//! Proofs of reasoning: signatures of thoughts, encrypted thoughts, signatures of calls. Only the vendor that made one can
//! read it, and every other refuses it; but a conversation may be answered by one vendor now and by another next time.
//!
//! So each proof is told with its issuer. In an answer to a caller of another protocol it is *sealed* ([`seal`]): put, as a
//! [`Token`], where that protocol has a place for opaque texts, which its clients send back. In a request it is opened, and
//! *fitted* to the target ([`fit`]): what the target's issuer made goes there as it was, everything else is left out.
//! Answers that pass through to a caller of the upstream's own protocol keep their proofs bare.

pub mod fit;
mod kept;
mod refusal;
pub mod seal;
mod token;
pub mod unproven;

pub use kept::{Gather, Kept};
pub use refusal::is_refusal;
pub use seal::{Asked, Seal};
pub use token::{Kind, LARGEST, Read, Token, begins};

use super::ProtocolId;

/// Whose proofs an endpoint makes and takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issuer<'a> {
    pub protocol: ProtocolId,
    /// Endpoints of one group take each other's proofs, whatever they speak.
    pub group: &'a str,
}

/// How a protocol carries proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carriage {
    /// A call has a place for a proof of its own.
    pub calls: bool,
    /// Proofs stand aside from what is said, so that proofs of texts may go to callers who asked for no thoughts.
    pub aside: bool,
    /// The place takes base64 only: clients decode what they find there.
    pub base64: bool,
    /// Thoughts without a proof are nothing that an upstream of this protocol takes: they are removed here. Where this is not
    /// said, the protocol's own encoder decides, which may need to know that there were some.
    pub removes_unproven: bool,
    /// What must be marked in the answers of other vendors.
    pub mark: Mark,
    /// The group that bare proofs in this protocol are taken to be of.
    pub group: Option<&'static str>,
}

/// What a protocol's own upstreams would refuse in a later request, had another vendor said it and nobody marked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    #[default]
    Nothing,
    /// The first call of an answer, if it has no proof.
    Calls,
    /// Calls that no thoughts stand before, where the caller asked for thoughts.
    CallsWithoutThoughts,
    /// Thoughts without a proof.
    Thoughts,
}
