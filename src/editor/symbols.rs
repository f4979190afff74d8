//! What a file holds, for the outline of an editor.

use std::ops::Range;

use super::{File, entries};
use crate::config::node::{Entry, Kind, Node};
use crate::rule::lines;

/// Something in the file, with what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    pub name: String,
    pub kind: SymbolKind,
    /// All of it.
    pub range: Range<usize>,
    /// Its name.
    pub selection: Range<usize>,
    pub children: Vec<Symbol>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolKind {
    Section,
    Preset,
    Provider,
    Key,
    Rule,
    Test,
}

/// The sections of the file with their entries.
pub fn symbols(file: &File<'_>) -> Vec<Symbol> {
    let sections = file.root.as_ref().map_or(&[][..], entries);
    sections.iter().map(|section| symbol(file, section, SymbolKind::Section)).collect()
}

fn symbol(file: &File<'_>, entry: &Entry, kind: SymbolKind) -> Symbol {
    let selection = entry.key.span.range();
    let end = entry.value.span.range().end.max(selection.end);
    let inside = match (kind, entry.key.value.as_str()) {
        (SymbolKind::Section, "presets") => named(file, &entry.value, SymbolKind::Preset),
        (SymbolKind::Section, "providers") => named(file, &entry.value, SymbolKind::Provider),
        (SymbolKind::Section, "keys") => named(file, &entry.value, SymbolKind::Key),
        (SymbolKind::Section, "rules") => rules(&entry.value),
        (SymbolKind::Section, "tests") => tests(file, &entry.value),
        _ => Vec::new(),
    };
    // An alias stands for a value that is elsewhere.
    let end = if entry.value.alias.is_some() { selection.end } else { end };
    Symbol { name: entry.key.value.clone(), kind, range: selection.start..end, selection, children: inside }
}

fn named(file: &File<'_>, node: &Node, kind: SymbolKind) -> Vec<Symbol> {
    file.entries(node).iter().map(|entry| symbol(file, entry, kind)).collect()
}

fn rules(node: &Node) -> Vec<Symbol> {
    let Kind::String(text) = &node.kind else { return Vec::new() };
    let rule = |range: Range<usize>| {
        let name = text.text.get(range.clone())?.split_whitespace().collect::<Vec<_>>().join(" ");
        let range = text.span_of(range).range();
        Some(Symbol { name, kind: SymbolKind::Rule, selection: range.clone(), range, children: Vec::new() })
    };
    lines::cut(&text.text).into_iter().filter_map(rule).collect()
}

fn tests(file: &File<'_>, node: &Node) -> Vec<Symbol> {
    let Kind::Sequence(items) = &node.kind else { return Vec::new() };
    let test = |(at, item): (usize, &Node)| {
        let name = file.entries(item).iter().find(|entry| entry.key.value == "name");
        let name = name.and_then(|entry| match &entry.value.kind {
            Kind::String(text) => Some(text.text.clone()),
            _ => None,
        });
        let range = item.span.range();
        let name = name.unwrap_or_else(|| format!("test {}", at + 1));
        Symbol { name, kind: SymbolKind::Test, selection: range.start..range.start, range, children: Vec::new() }
    };
    items.iter().enumerate().map(test).collect()
}
