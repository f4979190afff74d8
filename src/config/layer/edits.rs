//! Edits of the upstream's request that presets make: of headers and of the body.

use http::{HeaderName, HeaderValue};

use super::Layer;
use crate::config::document::{BodyEditsEntry, HeaderEditsEntry};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::Spanned;
use crate::table::settings::{BodyEdit, HeaderEdits};

/// Headers that a preset sets and removes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Headers {
    set: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
}

impl Headers {
    /// These after those of `inner`.
    pub(super) fn over(&self, inner: &Headers) -> Headers {
        Headers {
            set: without(joined(&self.set, &inner.set), &self.remove),
            remove: removals(&self.set, &self.remove, &inner.remove),
        }
    }

    pub(super) fn edits(self) -> HeaderEdits {
        HeaderEdits { set: self.set.into(), remove: self.remove.into() }
    }
}

/// The outer entries, then those of the inner whose name is not among them.
pub(super) fn joined<K: PartialEq + Clone, V: Clone>(outer: &[(K, V)], inner: &[(K, V)]) -> Vec<(K, V)> {
    let new = inner.iter().filter(|(name, _)| !outer.iter().any(|(other, _)| other == name));
    outer.iter().chain(new).cloned().collect()
}

fn without<K: PartialEq, V>(mut entries: Vec<(K, V)>, removed: &[K]) -> Vec<(K, V)> {
    entries.retain(|(name, _)| !removed.contains(name));
    entries
}

/// What is removed in the end: what the outer layer sets again is not.
fn removals<K: PartialEq + Clone, V>(outer_set: &[(K, V)], outer: &[K], inner: &[K]) -> Vec<K> {
    let kept = inner.iter().filter(|name| !outer.contains(name) && !outer_set.iter().any(|(other, _)| other == *name));
    outer.iter().chain(kept).cloned().collect()
}

/// Adds the edits of headers.
pub(super) fn headers(entry: Option<&HeaderEditsEntry>, layer: &mut Layer, diagnostics: &mut Diagnostics) {
    let Some(entry) = entry else { return };
    let mut headers = Headers::default();
    for (name, value) in &entry.set {
        let name = header_name(name, diagnostics);
        let value = header_value(&value.as_ref().map(String::as_str), diagnostics);
        headers.set.extend(name.zip(value));
    }
    headers.remove.extend(entry.remove.iter().filter_map(|name| header_name(name, diagnostics)));
    match is_last(entry.last) {
        true => layer.headers_last = headers,
        false => layer.headers = headers,
    }
}

/// Adds the edits of bodies, in their order.
pub(super) fn bodies(entries: &[BodyEditsEntry], layer: &mut Layer, diagnostics: &mut Diagnostics) {
    for entry in entries {
        for pointer in entry.set.iter().map(|(pointer, _)| pointer).chain(&entry.remove) {
            if !pointer.value.starts_with('/') {
                diagnostics.push(no_pointer(pointer));
            }
        }
        let set = entry.set.iter().map(|(pointer, value)| BodyEdit {
            pointer: pointer.value.as_str().into(),
            value: Some(value.value.as_str().into()),
        });
        let remove =
            entry.remove.iter().map(|pointer| BodyEdit { pointer: pointer.value.as_str().into(), value: None });
        let into = if is_last(entry.last) { &mut layer.body_last } else { &mut layer.body };
        into.extend(set.chain(remove));
    }
}

fn is_last(flag: Option<Spanned<bool>>) -> bool {
    flag.is_some_and(|flag| flag.value)
}

fn no_pointer(pointer: &Spanned<String>) -> Diagnostic {
    let better = format!("/{}", pointer.value.replace('.', "/"));
    Diagnostic::new(Code::BadPointer, format!("`{}` is not a JSON Pointer", pointer.value))
        .label(pointer.span, "a pointer begins with `/`")
        .help(format!("write `{better}`"))
        .fix(pointer.span, better)
}

/// The edits of `first`, then those of `second`. One that a later one does over is left out.
pub(super) fn after(first: &[BodyEdit], second: &[BodyEdit]) -> Vec<BodyEdit> {
    let done_over =
        |edit: &BodyEdit| !edit.pointer.ends_with("/-") && second.iter().any(|other| other.pointer == edit.pointer);
    first.iter().filter(|edit| !done_over(edit)).chain(second).cloned().collect()
}

/// Headers that follow from the connection or the body; nobody else may set them.
const OWN_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "proxy-authorization",
    "proxy-connection",
    "content-encoding",
];

fn header_name(name: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<HeaderName> {
    let header = HeaderName::try_from(name.value.as_str()).ok();
    let Some(header) = header else {
        diagnostics.push(
            Diagnostic::new(Code::BadHeader, format!("`{}` cannot be the name of a header", name.value))
                .label(name.span, "not a header name")
                .help("header names are made of letters, digits and `-`, e.g. `x-team`"),
        );
        return None;
    };
    if OWN_HEADERS.contains(&header.as_str()) {
        diagnostics.push(
            Diagnostic::new(Code::BadHeader, format!("the header `{header}` is the gateway's own"))
                .label(name.span, "follows from the connection or the body")
                .help("remove it"),
        );
        return None;
    }
    Some(header)
}

fn header_value(value: &Spanned<&str>, diagnostics: &mut Diagnostics) -> Option<HeaderValue> {
    let header = HeaderValue::from_str(value.value).ok();
    if header.is_none() {
        diagnostics.push(
            Diagnostic::new(Code::BadHeader, "this cannot be the value of a header")
                .label(value.span, "holds a character that headers do not allow")
                .help("values are visible ASCII characters and spaces, on one line"),
        );
    }
    header
}
