//! What was said, as attributes of the span of a try.

use opentelemetry::KeyValue;

use crate::telemetry::content::{Content, Told};

/// Takes what was said; the next who asks finds nothing.
pub(super) fn attributes(content: &Content) -> Vec<KeyValue> {
    let Told { system, input, output, cut } = content.tell();
    let texts =
        [("gen_ai.system_instructions", system), ("gen_ai.input.messages", input), ("gen_ai.output.messages", output)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some(KeyValue::new(name, text?)));
    texts.chain(cut.then(|| KeyValue::new("routeplane.content.cut", true))).collect()
}
