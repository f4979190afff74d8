//! Nodes to typed values. Every mapping of the file is declared once, with [`mapping!`]: that declaration makes the struct,
//! the decoder, the did-you-mean, the JSON Schema and the reference.
//!
//! All errors are reported, not the first. What cannot be read is absent from the result, and `faulty` says so to later
//! stages, which then do not complain about the gap.

pub mod json;
pub mod leaf;
pub mod list;
pub(crate) mod mapping;
pub mod moment;
pub mod secret;
pub mod shape;
pub mod texts;
pub mod value;

pub(crate) use mapping::{Slot, mapping};

use super::document::{Document, ProviderEntry};
use super::node::{Entry, Kind, Node};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{Span, Spanned};
use shape::Shape;

/// Reads one kind of value.
pub trait Reader {
    type Value;
    /// What may be written, for the schema, the reference and messages.
    const SHAPE: Shape;

    /// The value, or `None` after a finding that says why not.
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self::Value>;
}

/// Reads one entry of a mapping whose keys are names.
pub trait NamedReader {
    type Value;
    const SHAPE: Shape;

    fn read_named(name: &Spanned<String>, node: &Node, diagnostics: &mut Diagnostics) -> Option<Self::Value>;
}

/// The most keys, providers, presets, tests and rate limits that a file may have, together. Each has one or two kilobytes once
/// it is read, however few bytes are written of it.
pub const MAX_ENTRIES: usize = 5_000;

/// Reads `routeplane.yaml`.
pub fn decode(root: &Node, diagnostics: &mut Diagnostics) -> Option<Document> {
    match &root.kind {
        Kind::Null => Some(Document::default()),
        Kind::Mapping(sections) if let Some(refusal) = too_many_entries(sections) => {
            diagnostics.push(refusal);
            None
        }
        Kind::Mapping(_) => Document::read(root, diagnostics),
        Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Sequence(_) => {
            diagnostics.push(
                Diagnostic::new(Code::WrongType, format!("the file must be a mapping, but it is {}", root.describe()))
                    .label(root.span, "no `key: value` here")
                    .help("begin with `version: 1`"),
            );
            None
        }
    }
}

/// Why a file with these sections is not read.
fn too_many_entries(sections: &[Entry]) -> Option<Diagnostic> {
    let place = sections.iter().flat_map(|section| section.value.parts()).nth(MAX_ENTRIES)?;
    Some(
        Diagnostic::new(
            Code::TooManyValues,
            format!("the file has more than {MAX_ENTRIES} keys, providers, presets, tests and rate limits together"),
        )
        .label(place, "the limit is reached here")
        .help("let rules ask for what many requests share: an attribute of keys, a header, a tag"),
    )
}

/// Reads `presets/providers/NAME.yaml`.
pub fn decode_provider(root: &Node, name: &str, diagnostics: &mut Diagnostics) -> Option<ProviderEntry> {
    let name = Spanned::new(name.to_owned(), Span::new(root.span.source, 0, 0));
    ProviderEntry::read_named(&name, root, diagnostics)
}

/// Reads `node`. Findings about a value that an alias put there also show the alias.
pub(crate) fn in_place<T>(
    node: &Node,
    diagnostics: &mut Diagnostics,
    read: impl FnOnce(&Node, &mut Diagnostics) -> Option<T>,
) -> Option<T> {
    let before = diagnostics.iter().count();
    let value = read(node, diagnostics);
    if let Some(alias) = node.alias {
        diagnostics.add_label(before, alias, "used here");
    }
    value
}

/// Reports that `node` is not what `shape` asks for. The user's own text is not repeated: it may be a secret.
pub(crate) fn mismatch(node: &Node, shape: &Shape, diagnostics: &mut Diagnostics) {
    let label = match node.kind {
        Kind::Null => "nothing is written here".to_owned(),
        _ => format!("this is {}", node.describe()),
    };
    diagnostics.push(
        Diagnostic::new(Code::WrongType, format!("expected {}, found {}", shape.phrase(), node.describe()))
            .label(node.span, label)
            .help(format!("write {}", shape.example())),
    );
}

/// Reports a text of the right type that cannot be used.
pub(crate) fn bad_value(span: Span, message: String, help: String, diagnostics: &mut Diagnostics) {
    diagnostics.push(Diagnostic::new(Code::BadValue, message).label(span, "this value").help(help));
}
