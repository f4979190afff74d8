//! How the origin's spelling survives in an [`Ext`].
//!
//! The hub flattens what Gemini nests, and has one form where Gemini has two. Two kinds of keys hold what is needed to
//! write the caller's document back:
//!
//! - A *path*: an unmodelled member of a nested object keeps the names on its way (`generationConfig.speechConfig`), so that
//!   a loss names it exactly.
//! - A *note*: a path that ends in a dot, whose value is `null`. It says something about the spelling (`generationConfig.`:
//!   the object was there, though empty) and is never written. `null` asks for nothing, hence it is no loss elsewhere.

use crate::wire::json::{self, Ext, Object, ObjectWriter};

/// `toolConfig` was there.
pub(super) const TOOL_CONFIG: &str = "toolConfig.";
/// `toolConfig.functionCallingConfig` was there.
pub(super) const CALLING_CONFIG: &str = "toolConfig.functionCallingConfig.";
/// `generationConfig` was there.
pub(super) const GENERATION_CONFIG: &str = "generationConfig.";
/// The output's schema stood in `responseSchema`, not in `responseJsonSchema`.
pub(super) const RESPONSE_SCHEMA: &str = "generationConfig.responseSchema.";
/// Its types were written in capitals.
pub(super) const RESPONSE_SCHEMA_CAPITALS: &str = "generationConfig.responseSchema.type.";
/// A function's schema stood in `parameters`, not in `parametersJsonSchema`.
pub(super) const PARAMETERS: &str = "parameters.";
/// Its types were written in capitals.
pub(super) const PARAMETERS_CAPITALS: &str = "parameters.type.";
/// The tool stands in the same element of `tools` as the one before it, though of another kind.
pub(super) const JOINED: &str = "tools.joined.";
/// The tool begins an element of `tools`, though it is a function like the one before it.
pub(super) const APART: &str = "tools.apart.";
/// `thinkingLevel` was written in small letters.
pub(super) const SMALL_LEVEL: &str = "thinkingLevel.";
/// `functionCall.args` was absent.
pub(super) const NO_ARGS: &str = "functionCall.args.";
/// `text` was absent in a thought.
pub(super) const NO_TEXT: &str = "text.";
/// The embedding was asked for with `embedContent`: one content, one vector.
pub(super) const EMBED_ONE: &str = "embedContent.";

/// Adds a note.
pub(super) fn add(ext: &mut Ext, note: &str) {
    if let Some(null) = json::raw("null") {
        ext.0.push((note.to_owned(), null));
    }
}

pub(super) fn has(ext: &Ext, note: &str) -> bool {
    ext.get(note).is_some()
}

/// Adds the members of `nested` that nobody took, under `prefix` (which ends in a dot); a note where the object was empty.
pub(super) fn keep(ext: &mut Ext, prefix: &str, nested: Object<'_>, was_empty: bool) {
    if was_empty {
        add(ext, prefix);
    }
    ext.0.extend(nested.rest().0.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
}

/// Whether anything was kept under `prefix`.
pub(super) fn any_under(ext: &Ext, prefix: &str) -> bool {
    ext.0.iter().any(|(key, _)| key.starts_with(prefix))
}

/// Writes the members kept under `prefix`, leaving out notes and deeper paths named in `deeper`.
pub(super) fn write_under(writer: &mut ObjectWriter<'_>, ext: &Ext, prefix: &str, deeper: &[&str]) {
    for (key, value) in &ext.0 {
        let Some(name) = key.strip_prefix(prefix) else { continue };
        if !name.is_empty() && !key.ends_with('.') && !deeper.iter().any(|path| key.starts_with(path)) {
            writer.raw(name, value);
        }
    }
}

/// Writes the members of the object itself: what is neither a note nor below one of `deeper`.
pub(super) fn write_top(writer: &mut ObjectWriter<'_>, ext: &Ext, deeper: &[&str]) {
    write_under(writer, ext, "", deeper);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_no_losses_and_are_not_written() {
        let mut ext = Ext::default();
        let nested = Object::parse(r#"{"speechConfig":{"a":1},"gone":null}"#).unwrap();
        keep(&mut ext, GENERATION_CONFIG, nested, false);
        add(&mut ext, RESPONSE_SCHEMA);
        assert_eq!(ext.keys().collect::<Vec<_>>(), ["generationConfig.speechConfig"]);
        let mut out = Vec::new();
        json::object(&mut out, |w| write_under(w, &ext, GENERATION_CONFIG, &[]));
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"speechConfig":{"a":1},"gone":null}"#);
        let mut out = Vec::new();
        json::object(&mut out, |w| write_top(w, &ext, &[GENERATION_CONFIG]));
        assert_eq!(out, b"{}");
    }
}
