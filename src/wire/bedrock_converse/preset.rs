//! Where a preset's parameters and system text go in a Converse request.

use crate::wire::envelope::{Edit, Envelope};
use crate::wire::json;

/// What Converse does not model goes where it is passed to the model: it refuses members that it does not know.
pub(super) fn parameter(name: &str) -> &'static [&'static str] {
    match name {
        "max_tokens" => &["/inferenceConfig/maxTokens"],
        "temperature" => &["/inferenceConfig/temperature"],
        "top_p" => &["/inferenceConfig/topP"],
        "stop" => &["/inferenceConfig/stopSequences"],
        "user" => &["/requestMetadata/user_id"],
        "reasoning_effort" => &[
            "/outputConfig/effort",
            "/additionalModelRequestFields/output_config/effort",
            "/additionalModelRequestFields/reasoning_effort",
        ],
        "top_k" => &["/additionalModelRequestFields/top_k", "/additionalModelRequestFields/inferenceConfig/topK"],
        "seed" => &["/additionalModelRequestFields/seed"],
        "frequency_penalty" => &["/additionalModelRequestFields/frequency_penalty"],
        "presence_penalty" => &["/additionalModelRequestFields/presence_penalty"],
        _ => &[],
    }
}

/// `None` where the document is a question for the number of tokens, which has its request inside.
pub(super) fn prepend_system(envelope: &Envelope<'_>, text: &str) -> Option<Edit<'static>> {
    if envelope.members.get("input").is_some() {
        return None;
    }
    let mut block = Vec::new();
    json::object(&mut block, |block| block.field("text", text));
    let system = json::prepend(envelope.members.get("system").unwrap_or("[]"), &block)?;
    Some(Edit::Set("system", system.into()))
}
