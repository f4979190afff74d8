//! What is said, on spans, as written.

use crate::config::decode::leaf::{Flag, Size};
use crate::config::decode::mapping;
use crate::source::Spanned;

mapping! {
    /// Whether the text of prompts and answers is on the spans of a preset. `trace_content: true` is
    /// `trace_content: { enabled: true }`.
    #[called = "the content of spans"]
    #[derive(Debug, Clone, Default)]
    pub struct TraceContentEntry short "enabled", {
        /// `false`: it is on none, whatever presets within this one say.
        "enabled" default "true" => enabled: Option<Spanned<bool>> as Flag,
        /// Most bytes of the instructions, of the conversation and of the answer, each; `32KiB` at most. Of a longer conversation the
        /// newest turns stay.
        "limit" default "8KiB" => limit: Option<Spanned<u64>> as Size,
    }
}
