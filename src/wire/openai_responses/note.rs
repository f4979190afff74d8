//! Notes in `ext`, under keys that begin with `#`: how the origin spelled something that means nothing to any other
//! protocol. They are no losses.

use serde_json::value::RawValue;

use crate::wire::json::{self, Ext, Kind, Object, ObjectWriter};

/// Members that only name or number what they belong to, or repeat the request in its answer.
const SILENT: &[&str] = &[
    "id",
    "status",
    "object",
    "completed_at",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "metadata",
    "background",
    "frequency_penalty",
    "presence_penalty",
    "billing",
    "tool_usage",
    "output_text",
];

/// The members of an item or an answer, the silent ones as notes.
pub(super) fn rest(object: Object<'_>) -> Ext {
    let noted = |(key, value): (String, Box<RawValue>)| {
        if SILENT.contains(&key.as_str()) { (format!("#{key}"), value) } else { (key, value) }
    };
    Ext(object.rest().0.into_iter().map(noted).collect())
}

/// Writes members as they were before [`rest`]; other notes are not members.
pub(super) fn write(ext: &Ext, writer: &mut ObjectWriter<'_>) {
    write_all(&ext.0, writer);
}

/// As [`write`], of some members.
pub(super) fn write_all<'e>(
    members: impl IntoIterator<Item = &'e (String, Box<RawValue>)>,
    writer: &mut ObjectWriter<'_>,
) {
    for (key, value) in members {
        match key.strip_prefix('#') {
            Some(key) if SILENT.contains(&key) => writer.raw(key, value),
            Some(_) => {}
            None => writer.raw(key, value),
        }
    }
}

/// Whether a member is there, silent or not.
pub(super) fn has(ext: &Ext, key: &str) -> bool {
    ext.0.iter().any(|(name, _)| name.trim_start_matches('#') == key)
}

/// Adds a note with a JSON text.
pub(super) fn add(ext: &mut Ext, key: &str, value: &str) {
    if let Some(raw) = json::raw(value) {
        ext.0.push((key.to_owned(), raw));
    }
}

/// Members as one JSON object.
pub(super) fn object_text(members: &Ext) -> String {
    let mut text = Vec::new();
    json::object(&mut text, |object| object.ext(members));
    String::from_utf8(text).unwrap_or_default()
}

/// What was kept of the inner object `key`.
pub(super) fn inner<'e>(ext: &'e Ext, key: &str) -> Option<Object<'e>> {
    ext.get(key).filter(|raw| json::kind(raw) == Kind::Object).and_then(|raw| Object::of(raw).ok())
}
