//! Where a preset's parameters and system text go in a generateContent request.

use std::borrow::Cow;

use crate::wire::envelope::{Edit, Envelope};
use crate::wire::{json, pointer};

/// Both spellings of a member count as given; camel case is written.
macro_rules! in_generation_config {
    ($camel:literal, $snake:literal) => {
        &[
            concat!("/generationConfig/", $camel),
            concat!("/generationConfig/", $snake),
            concat!("/generation_config/", $camel),
            concat!("/generation_config/", $snake),
        ]
    };
}

pub(super) fn parameter(name: &str) -> &'static [&'static str] {
    match name {
        "max_tokens" => in_generation_config!("maxOutputTokens", "max_output_tokens"),
        "temperature" => in_generation_config!("temperature", "temperature"),
        "top_p" => in_generation_config!("topP", "top_p"),
        "top_k" => in_generation_config!("topK", "top_k"),
        "stop" => in_generation_config!("stopSequences", "stop_sequences"),
        "seed" => in_generation_config!("seed", "seed"),
        "frequency_penalty" => in_generation_config!("frequencyPenalty", "frequency_penalty"),
        "presence_penalty" => in_generation_config!("presencePenalty", "presence_penalty"),
        "n" => in_generation_config!("candidateCount", "candidate_count"),
        _ => &[],
    }
}

pub(super) fn prepend_system(envelope: &Envelope<'_>, text: &str) -> Option<Edit<'static>> {
    let mut part = Vec::new();
    json::object(&mut part, |part| part.field("text", text));
    let member =
        if envelope.members.get("system_instruction").is_some() { "system_instruction" } else { "systemInstruction" };
    let steps = [Cow::Borrowed("parts")];
    let (own, parts) = match envelope.members.get(member) {
        Some(own) => (own, pointer::get(own, &steps)),
        None => ("{}", None),
    };
    let parts = match parts {
        Some(parts) => json::prepend(parts, &part)?,
        None => [b"[", part.as_slice(), b"]"].concat(),
    };
    let value = pointer::set(own, &steps, std::str::from_utf8(&parts).ok()?).ok()?;
    Some(Edit::Set(member, value.into_bytes().into()))
}
