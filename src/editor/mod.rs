//! What an editor asks of a file while it is being written: what may stand here, what this means, where that comes from.
//!
//! Positions are byte offsets. A file that is half written has to be answered for, too: what may stand at a place is found
//! from its line and the lines above it, not from a tree.

pub mod complete;
pub mod context;
pub mod define;
pub mod hover;
pub mod position;
pub mod symbols;

use std::ops::Range;

use crate::config::document::{Document, ProviderEntry};
use crate::config::node::{Entry, Kind, Node};
use crate::config::{decode, known, yaml};
use crate::diagnostic::Diagnostics;
use crate::provider::catalogue::{self, Model};
use crate::source::{SourceId, Spanned};
use crate::table::RoutingTable;

/// A file as it stands in the editor.
pub struct File<'t> {
    pub text: &'t str,
    /// Absent where the text is no YAML, even without the line that is being written.
    root: Option<Node>,
    document: Option<Document>,
    /// What it compiled to when it last did.
    pub table: Option<&'t RoutingTable>,
}

impl<'t> File<'t> {
    /// `at` is where somebody writes: where the text is no YAML, the rest of it may be.
    pub fn new(text: &'t str, at: usize, table: Option<&'t RoutingTable>) -> File<'t> {
        let root = read(text).or_else(|| read(&without_line(text, at)));
        let document = root.as_ref().and_then(|root| decode::decode(root, &mut Diagnostics::default()));
        File { text, root, document, table }
    }

    /// The entries of a mapping at the top.
    fn section(&self, name: &str) -> &[Entry] {
        let entries = self.root.as_ref().map_or(&[][..], entries);
        let section = entries.iter().find(|entry| entry.key.value == name);
        section.map_or(&[], |section| self.entries(&section.value))
    }

    /// The entries of a mapping that stands in this text; those that an alias repeats stand elsewhere.
    fn entries<'n>(&self, node: &'n Node) -> &'n [Entry] {
        if node.alias.is_some() { &[] } else { entries(node) }
    }

    /// The names of the presets, where they stand.
    fn presets(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.section("presets").iter().map(|entry| &entry.key)
    }

    /// The names of the file's own entries under `providers:`.
    fn providers(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.section("providers").iter().map(|entry| &entry.key)
    }

    /// The entry of a provider: the file's, and the built-in one.
    fn provider(&self, name: &str) -> [Option<&ProviderEntry>; 2] {
        let named = |entry: &&ProviderEntry| entry.name.value == name;
        let own = self.document.iter().flat_map(|document| &document.providers).find(named);
        [own, known::providers().entries.iter().find(named)]
    }

    /// The name under which the catalogue has a provider.
    fn catalogue_name<'p>(&'p self, provider: &'p str) -> &'p str {
        let entries = self.provider(provider);
        let written = entries.into_iter().flatten().find_map(|entry| entry.catalogue.as_ref());
        written.map_or(provider, |name| &name.value)
    }

    /// What the catalogue knows of a model.
    fn model(&self, provider: &str, model: &str) -> Option<&'static Model> {
        catalogue::find(self.catalogue_name(provider), model)
    }
}

fn entries(node: &Node) -> &[Entry] {
    match &node.kind {
        Kind::Mapping(entries) => entries,
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) | Kind::Sequence(_) => &[],
    }
}

fn read(text: &str) -> Option<Node> {
    yaml::parse(SourceId(0), text, &mut Diagnostics::default())
}

/// The text with blanks in place of the line that `at` is in.
fn without_line(text: &str, at: usize) -> String {
    let line = line_at(text, at);
    let blank = " ".repeat(line.len());
    format!("{}{blank}{}", text.get(..line.start).unwrap_or(""), text.get(line.end..).unwrap_or(""))
}

/// The line that `at` is in, without its break.
pub(crate) fn line_at(text: &str, at: usize) -> Range<usize> {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let end = text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| at + newline);
    start..end
}

/// The word around `at`: a target, a preset, a fact, a key.
pub(crate) fn word_at(text: &str, at: usize) -> Range<usize> {
    let is_part = |c: char| c.is_alphanumeric() || "@/._-:+".contains(c);
    let before = text.get(..at).unwrap_or("");
    let start = before.trim_end_matches(is_part).len();
    let rest = text.get(at..).unwrap_or("");
    let end = at + (rest.len() - rest.trim_start_matches(is_part).len());
    let word = text.get(start..end).unwrap_or("");
    // A `:` ends a key, and the `-` of `->` is none of the word's.
    let arrow = usize::from(word.ends_with('-') && text.get(end..).is_some_and(|rest| rest.starts_with('>')));
    let kept = word.get(..word.len() - arrow).unwrap_or(word).trim_end_matches(':');
    start..start + kept.len()
}
