//! What changes at run time: credentials, connections and cooldowns, keyed by identity so that a reload carries them over.

/// The run-time side of one table.
#[derive(Default)]
pub struct Runtime {}
