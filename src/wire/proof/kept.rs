//! Proofs that a protocol keeps among the members of a part which nobody modelled: Gemini's of a text or a picture,
//! OpenRouter's of thoughts. The codec says how they are found and put back; [`super::seal`] and [`super::fit`] do the rest.

use serde_json::value::RawValue;

use crate::wire::ir::{Opaque, Part};

/// How a protocol keeps such proofs.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// The member of a part's `ext` that they are in.
    pub member: &'static str,
    /// Collects the pieces in which the member comes.
    pub gather: fn() -> Box<dyn Gather>,
    /// The proof of a part that is nothing else.
    pub alone: fn(&Opaque) -> Option<String>,
    /// Gives a text or a picture back the proof that was taken from it.
    pub restore: fn(Part, &str) -> Part,
}

/// Pieces of one part's member, of which a stream has several.
pub trait Gather: Send {
    fn add(&mut self, piece: &RawValue);
    /// What the pieces prove, `None` where it is nothing, or more than anybody sends.
    fn proof(&self) -> Option<String>;
}
