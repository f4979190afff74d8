//! A YAML tree with the place of every key and value; anchors are resolved, duplicates gone.

use crate::source::{SourceText, Span, Spanned};

/// One value of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub kind: Kind,
    /// The whole value, quotes and brackets included.
    pub span: Span,
    /// Where an alias (`*name`) put this value; the span is then that of the anchor's value.
    pub alias: Option<Span>,
}

/// What a value is, by the core schema of YAML 1.2: `no`, `yes` and `on` are strings.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Null,
    Bool(bool),
    /// As spelled.
    Number(SourceText),
    String(SourceText),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// One `key: value` of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: Spanned<String>,
    pub value: Node,
}

impl Node {
    /// What it is, for `expected a list, found a mapping`.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "`true` or `false`",
            Kind::Number(_) => "a number",
            Kind::String(_) => "text",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }

    /// The places of a mapping's keys, or of a list's items.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Span> {
        let (entries, items) = match &self.kind {
            Kind::Mapping(entries) => (&**entries, &[][..]),
            Kind::Sequence(items) => (&[][..], &**items),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => (&[][..], &[][..]),
        };
        entries.iter().map(|entry| entry.key.span).chain(items.iter().map(|item| item.span))
    }

    /// Nodes and bytes of text in this tree, and how deep it is.
    pub(crate) fn extent(&self) -> Extent {
        let mut extent = Extent { nodes: 1, bytes: 0, depth: 1 };
        let mut add = |child: &Node| {
            let inner = child.extent();
            extent.nodes += inner.nodes;
            extent.bytes += inner.bytes;
            extent.depth = extent.depth.max(inner.depth + 1);
        };
        match &self.kind {
            Kind::Null | Kind::Bool(_) => {}
            Kind::Number(text) | Kind::String(text) => extent.bytes = text.text.len(),
            Kind::Sequence(items) => items.iter().for_each(&mut add),
            Kind::Mapping(entries) => {
                entries.iter().for_each(|entry| add(&entry.value));
                extent.bytes += entries.iter().map(|entry| entry.key.value.len()).sum::<usize>();
            }
        }
        extent
    }
}

/// How large a tree is, for the limits on what anchors may expand to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) nodes: usize,
    pub(crate) bytes: usize,
    pub(crate) depth: usize,
}
