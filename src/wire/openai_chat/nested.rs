//! Unmodelled members of inner objects, kept under the inner object's name in the `ext` of the outer one.

use serde_json::value::RawValue;

use crate::wire::json::{self, Ext, Kind, Object, ObjectWriter};

/// Keeps what is left of the inner object `key`.
pub(super) fn keep(ext: &mut Ext, key: &str, inner: Object<'_>) {
    keep_members(ext, key, &inner.rest());
}

/// Keeps `rest` as what is left of the inner object `key`.
pub(super) fn keep_members(ext: &mut Ext, key: &str, rest: &Ext) {
    if rest.is_empty() {
        return;
    }
    let mut text = Vec::new();
    json::object(&mut text, |writer| writer.ext(rest));
    if let Some(raw) = String::from_utf8(text).ok().and_then(json::raw) {
        ext.0.push((key.to_owned(), raw));
    }
}

/// Writes what was kept of the inner object `key` into the inner object that `writer` writes.
pub(super) fn write(ext: &Ext, key: &str, writer: &mut ObjectWriter<'_>) {
    write_except(ext, key, &[], writer);
}

/// As [`write`], leaving out `except`.
pub(super) fn write_except(ext: &Ext, key: &str, except: &[&str], writer: &mut ObjectWriter<'_>) {
    for member in object(ext, key).iter().flat_map(Object::members) {
        if !except.contains(&&*member.key) {
            writer.raw(&member.key, member.value);
        }
    }
}

/// What was kept of the inner object `key`, `None` where nothing was.
pub(super) fn object<'e>(ext: &'e Ext, key: &str) -> Option<Object<'e>> {
    let raw = ext.get(key).filter(|raw| json::kind(raw) == Kind::Object)?;
    Object::of(raw).ok()
}

/// Writes the members of `ext`, leaving out those that are written elsewhere.
pub(super) fn write_rest(ext: &Ext, except: &[&str], writer: &mut ObjectWriter<'_>) {
    for (key, value) in &ext.0 {
        if !except.contains(&key.as_str()) {
            writer.raw(key, value);
        }
    }
}

/// Marks in `ext` that a text stood in the member `key`.
pub(super) fn mark(ext: &mut Ext, key: &str) {
    if let Some(null) = json::raw("null") {
        ext.0.push((key.to_owned(), null));
    }
}

/// Whether `ext` has the mark `key`.
pub(super) fn is_marked(ext: &Ext, key: &str) -> bool {
    ext.get(key).is_some_and(is_null)
}

pub(super) fn is_null(raw: &RawValue) -> bool {
    json::kind(raw) == Kind::Null
}
