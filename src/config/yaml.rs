//! Text to [`Node`]: the only file that names the YAML parser.
//!
//! YAML 1.2, one document. Duplicate keys, merge keys, tags and keys that are not text are refused with the way to write
//! it; anchors may expand within a budget. Time and memory are bounded by [`MAX_BYTES`], [`MAX_DEPTH`], [`MAX_NODES`].

pub(crate) mod layout;
mod offsets;
mod scalar;

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use super::node::{Entry, Kind, Node};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{SourceId, SourceText, Span, Spanned};
use offsets::Offsets;

/// The longest text that is read.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting that is read.
pub const MAX_DEPTH: usize = 32;
/// The most values that a text may have, those that aliases repeat included.
pub const MAX_NODES: usize = 100_000;
/// The most text that anchors and aliases may copy.
const MAX_COPIED_BYTES: usize = 4 << 20;

/// Reads one YAML document. `None` where the text cannot be read to its end; findings say why.
pub fn parse(source: SourceId, text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    if let Err(refusal) = admit(source, text) {
        diagnostics.push(refusal);
        return None;
    }
    let mut builder = Builder::new(source, text, diagnostics);
    let mut parser = Parser::new_from_str(builder.offsets.text());
    while let Some(event) = parser.next_event() {
        let outcome = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => Err(builder.syntax_error(&error)),
        };
        if let Err(stop) = outcome {
            builder.diagnostics.push(stop);
            return None;
        }
    }
    Some(builder.root.unwrap_or(Node { kind: Kind::Null, span: Span::new(source, 0, 0), alias: None }))
}

/// Refuses what need not be parsed to be refused.
fn admit(source: SourceId, text: &str) -> Result<(), Diagnostic> {
    if text.len() > MAX_BYTES {
        return Err(Diagnostic::new(
            Code::FileTooLarge,
            format!("the file has {} bytes; at most {MAX_BYTES} are read", text.len()),
        )
        .label(Span::new(source, 0, 0), "this file")
        .help("split off long texts: `system:` may name a file"));
    }
    if let Some(at) = memchr::memchr(0, text.as_bytes()) {
        return Err(Diagnostic::new(Code::YamlSyntax, "the file contains a NUL byte")
            .label(Span::new(source, at, at + 1), "here")
            .help("save the file as UTF-8 text; a NUL byte often means UTF-16 or a damaged file"));
    }
    Ok(())
}

/// An open sequence or mapping.
struct Frame {
    open: Open,
    start: usize,
    anchor: usize,
}

enum Open {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, seen: HashMap<String, Span>, key: Key },
}

/// What a mapping waits for.
enum Key {
    /// A key.
    None,
    /// The value of this key.
    Named(Spanned<String>),
    /// The value of a key that was refused; it is dropped.
    Refused,
}

struct Builder<'t, 'd> {
    source: SourceId,
    offsets: Offsets<'t>,
    diagnostics: &'d mut Diagnostics,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
    copied_bytes: usize,
    /// Where the last value ended. The parser ends a block collection at the next token, comments included.
    last_end: usize,
}

impl<'t, 'd> Builder<'t, 'd> {
    fn new(source: SourceId, text: &'t str, diagnostics: &'d mut Diagnostics) -> Builder<'t, 'd> {
        Builder {
            source,
            offsets: Offsets::new(text),
            diagnostics,
            stack: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            nodes: 0,
            copied_bytes: 0,
            last_end: 0,
        }
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.offsets.byte(span.start.index());
        Span::new(self.source, start, self.offsets.byte(span.end.index()).max(start))
    }

    /// Takes one event; an error ends the reading.
    fn event(&mut self, event: Event<'_>, span: saphyr_parser::Span) -> Result<(), Diagnostic> {
        let place = self.span(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.document_start(place),
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                let place = self.without_properties(place, anchor != 0 || tag.is_some(), style);
                self.scalar(text.into_owned(), style, anchor, place)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                let place = self.without_properties(place, anchor != 0 || tag.is_some(), ScalarStyle::Plain);
                self.open(Open::Sequence(Vec::new()), anchor, place)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                let place = self.without_properties(place, anchor != 0 || tag.is_some(), ScalarStyle::Plain);
                let open = Open::Mapping { entries: Vec::new(), seen: HashMap::new(), key: Key::None };
                self.open(open, anchor, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
        }
    }

    /// The place of a value without the anchor and tag before it, which the parser counts to it.
    fn without_properties(&self, place: Span, has_properties: bool, style: ScalarStyle) -> Span {
        if !has_properties {
            return place;
        }
        let (start, end) = (place.start as usize, place.end as usize);
        // Properties of a broken text may end behind the value that they belong to.
        Span::new(self.source, self.offsets.skip_properties(start, style).min(end), end)
    }

    fn document_start(&self, place: Span) -> Result<(), Diagnostic> {
        if self.root.is_none() {
            return Ok(());
        }
        Err(Diagnostic::new(Code::SeveralDocuments, "a second document begins here")
            .label(place, "`---` begins a new document")
            .help("one file holds one document: remove this `---` and what belongs to another file"))
    }

    fn refuse_tag(&mut self, tagged: bool, place: Span) {
        if tagged {
            self.diagnostics.push(
                Diagnostic::new(Code::YamlTag, "YAML tags are not used here")
                    .label(place, "this value carries a tag")
                    .help("remove the tag (`!...`); to make text of a number, quote it: `\"5\"`"),
            );
        }
    }

    fn open(&mut self, open: Open, anchor: usize, place: Span) -> Result<(), Diagnostic> {
        self.refuse_as_key(place)?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(too_deep(place));
        }
        self.count(1, place)?;
        self.stack.push(Frame { open, start: place.start as usize, anchor });
        Ok(())
    }

    fn close(&mut self, place: Span) -> Result<(), Diagnostic> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let kind = match frame.open {
            Open::Sequence(mut items) => {
                items.shrink_to_fit();
                Kind::Sequence(items)
            }
            Open::Mapping { mut entries, .. } => {
                entries.shrink_to_fit();
                Kind::Mapping(entries)
            }
        };
        let bracket = place.start as usize;
        let end = if self.offsets.is_bracket(bracket) { bracket + 1 } else { self.last_end.max(frame.start) };
        self.last_end = end;
        let node = Node { kind, span: Span::new(self.source, frame.start, end), alias: None };
        self.remember(frame.anchor, &node)?;
        self.attach(node);
        Ok(())
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, anchor: usize, place: Span) -> Result<(), Diagnostic> {
        self.count(1, place)?;
        let (content, span) = self.offsets.content(text, style, place);
        self.last_end = self.last_end.max(span.range().end);
        if self.expects_key() {
            self.key(content, style, span);
            return Ok(());
        }
        let empty = content.text.is_empty() && matches!(style, ScalarStyle::Plain);
        let span = if empty { self.key_in_hand().unwrap_or(span) } else { span };
        let node = Node { kind: scalar::resolve(content, style), span, alias: None };
        self.remember(anchor, &node)?;
        self.attach(node);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, place: Span) -> Result<(), Diagnostic> {
        self.refuse_as_key(place)?;
        self.last_end = self.last_end.max(place.range().end);
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Diagnostic::new(Code::AliasOfItself, "an alias must not stand inside its own anchor")
                .label(place, "this would never end")
                .help("write the value out"));
        };
        if self.stack.len() + node.extent().depth > MAX_DEPTH {
            return Err(too_deep(place));
        }
        self.count_copy(&node, place)?;
        self.attach(Node { alias: Some(place), ..node });
        Ok(())
    }

    /// Keeps what an anchor names.
    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), Diagnostic> {
        if anchor != 0 {
            self.count_copy(node, node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(())
    }

    fn count_copy(&mut self, node: &Node, place: Span) -> Result<(), Diagnostic> {
        let extent = node.extent();
        self.copied_bytes += extent.bytes;
        if self.copied_bytes > MAX_COPIED_BYTES {
            return Err(too_many(place));
        }
        self.count(extent.nodes, place)
    }

    fn count(&mut self, nodes: usize, place: Span) -> Result<(), Diagnostic> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES { Err(too_many(place)) } else { Ok(()) }
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { open: Open::Mapping { key: Key::None, .. }, .. }))
    }

    fn key_in_hand(&self) -> Option<Span> {
        match self.stack.last() {
            Some(Frame { open: Open::Mapping { key: Key::Named(key), .. }, .. }) => Some(key.span),
            _ => None,
        }
    }

    fn refuse_as_key(&self, place: Span) -> Result<(), Diagnostic> {
        if !self.expects_key() {
            return Ok(());
        }
        Err(Diagnostic::new(Code::KeyNotText, "a key must be text")
            .label(place, "this is a list, a mapping or an alias")
            .help("write the key out; a text that begins with `{`, `[`, `*` or `&` needs quotes"))
    }

    /// Takes a scalar as the next key of the open mapping.
    fn key(&mut self, content: SourceText, style: ScalarStyle, whole: Span) {
        let place = if content.span.range().is_empty() { whole } else { content.span };
        let key = content.text;
        let Some(Frame { open: Open::Mapping { seen, key: slot, .. }, .. }) = self.stack.last_mut() else { return };
        if key == "<<" && matches!(style, ScalarStyle::Plain) {
            *slot = Key::Refused;
            self.diagnostics.push(
                Diagnostic::new(Code::MergeKey, "merge keys (`<<`) are not part of YAML 1.2")
                    .label(place, "nothing is merged here")
                    .help(
                        "write the keys out, or share the whole mapping: `timeout: &slow { ... }` and `timeout: *slow`",
                    ),
            );
        } else if let Some(first) = seen.get(&key) {
            let first = *first;
            *slot = Key::Refused;
            self.diagnostics.push(
                Diagnostic::new(Code::DuplicateKey, format!("`{}` is written twice", shorten(&key)))
                    .label(place, "the second one")
                    .label(first, "the first one")
                    .help("keep one of them; nothing says which should count"),
            );
        } else {
            seen.insert(key.clone(), place);
            *slot = Key::Named(Spanned::new(key, place));
        }
    }

    /// Hands a finished value to what is open, or makes it the root.
    fn attach(&mut self, node: Node) {
        match self.stack.last_mut().map(|frame| &mut frame.open) {
            None => self.root = Some(node),
            Some(Open::Sequence(items)) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => {
                if let Key::Named(name) = std::mem::replace(key, Key::None) {
                    entries.push(Entry { key: name, value: node });
                }
            }
        }
    }

    fn syntax_error(&self, error: &ScanError) -> Diagnostic {
        let at = self.offsets.byte(error.marker().index());
        let end = self.offsets.character_end(at);
        if error.info().contains("recursion limit") {
            return too_deep(Span::new(self.source, at, end));
        }
        // A quote that is not closed ends at the next one, which opens another text lines below.
        let unclosed = self.offsets.opening_above(at).filter(|_| error.info().contains("after double-quoted scalar"));
        let (info, place) = match unclosed {
            Some(open) => (scalar::UNCLOSED, Span::new(self.source, open, open + 1)),
            None => (error.info(), Span::new(self.source, at, end)),
        };
        let advice = scalar::advice(info);
        Diagnostic::new(Code::YamlSyntax, advice.message).label(place, advice.label).help(advice.help)
    }
}

fn too_deep(place: Span) -> Diagnostic {
    Diagnostic::new(Code::TooDeep, format!("values are nested more than {MAX_DEPTH} deep"))
        .label(place, "this level is not read")
        .help("no setting needs such depth; look for a bracket that is not closed")
}

fn too_many(place: Span) -> Diagnostic {
    Diagnostic::new(
        Code::TooManyValues,
        format!("the file has more than {MAX_NODES} values, or its aliases repeat too much text"),
    )
    .label(place, "the limit is reached here")
    .help("split the file, or use fewer aliases (`*name`) of large values")
}

/// The user's words, cut where they would fill the screen.
pub(crate) fn shorten(text: &str) -> String {
    const LIMIT: usize = 60;
    let mut short: String = text.chars().take(LIMIT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LIMIT).is_some() {
        short.push('…');
    }
    short
}
