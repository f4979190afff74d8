//! What was said, as attributes of the span of a try.

use super::protobuf::key;
use super::spans::Attributes;
use crate::telemetry::content::{Content, Told};

/// Takes what was said; the next who asks finds nothing.
pub(super) fn attributes(content: &Content, out: &mut Attributes<'_>) {
    let Told { system, input, output, cut } = content.tell();
    out.text(key!("gen_ai.system_instructions"), system.as_deref());
    out.text(key!("gen_ai.input.messages"), input.as_deref());
    out.text(key!("gen_ai.output.messages"), output.as_deref());
    if cut {
        out.put(key!("routeplane.content.cut"), true);
    }
}
