//! How a text is laid out: where each value, indicator and comment stands, with its style. For rewriting a file without
//! changing what it says; what it says is [`parse`](super::parse)'s business, which must have found no fault first.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::offsets::Offsets;
use crate::source::{SourceId, Span};

/// A value and where it stands, in bytes.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) style: Style,
    /// Where it begins, anchor included.
    pub(crate) outer: usize,
    /// Where its content begins: the quote, the bracket, the first letter, the `|`.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug)]
pub(crate) enum Style {
    /// Nothing is written.
    Empty,
    Alias,
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Block(Block),
    FlowList(Vec<Value>),
    FlowMapping(Vec<(Value, Value)>),
    List(Vec<Item>),
    Mapping(Vec<Pair>),
}

/// `|` or `>`.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) literal: bool,
    /// Where its first line with text begins, after the indentation.
    pub(crate) content: usize,
    /// The indentation that the header gives.
    pub(crate) digit: Option<usize>,
    /// The line breaks at its end count (`+`).
    pub(crate) keep: bool,
}

/// An item of a list in block style.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) dash: usize,
    pub(crate) value: Value,
}

/// An entry of a mapping in block style.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) key: Value,
    pub(crate) colon: usize,
    pub(crate) value: Value,
}

/// The layout of one document; `None` where it uses forms that nobody needs here (`? key`, several documents).
pub(crate) fn layout(text: &str) -> Option<Value> {
    let offsets = Offsets::new(text);
    let mut events = Vec::new();
    for event in Parser::new_from_str(offsets.text()) {
        let (event, span) = event.ok()?;
        let start = offsets.byte(span.start.index());
        let end = offsets.byte(span.end.index()).max(start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
            event => events.push((event, start..end)),
        }
    }
    let at = beginning(text)?;
    let mut reader = Reader { text, offsets, events: events.into_iter(), at };
    let root = match reader.events.len() {
        0 => Value { style: Style::Empty, outer: at, start: at, end: at },
        _ => reader.value()?,
    };
    reader.events.next().is_none().then_some(root)
}

/// Where the document begins: behind the byte order mark, directives and `---`.
fn beginning(text: &str) -> Option<usize> {
    let mut at = text.len() - text.trim_start_matches('\u{feff}').len();
    let mut begin = at;
    for line in text.get(at..)?.split_inclusive('\n') {
        if let Some(rest) =
            line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            return Some(at + line.len() - rest.len());
        }
        let content = line.trim();
        at += line.len();
        match content {
            _ if content.starts_with('%') => begin = at,
            _ if content.is_empty() || content.starts_with('#') => {}
            _ => break,
        }
    }
    Some(begin)
}

struct Reader<'t> {
    text: &'t str,
    offsets: Offsets<'t>,
    events: std::vec::IntoIter<(Event<'t>, Range<usize>)>,
    /// Where the last value or indicator ended.
    at: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self) -> Option<Value> {
        let (event, place) = self.events.next()?;
        self.value_of(event, place)
    }

    fn value_of(&mut self, event: Event<'t>, place: Range<usize>) -> Option<Value> {
        match event {
            Event::Alias(_) => Some(self.simple(Style::Alias, place.start, place.start, place.end)),
            Event::Scalar(text, style, ..) => Some(self.scalar(&text, style, place)),
            Event::SequenceStart(..) => self.sequence(),
            Event::MappingStart(..) => self.mapping(),
            _ => None,
        }
    }

    fn simple(&mut self, style: Style, outer: usize, start: usize, end: usize) -> Value {
        self.at = end.max(self.at);
        Value { style, outer, start, end }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, place: Range<usize>) -> Value {
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return self.block(style == ScalarStyle::Literal, place);
        }
        let outer = self.skip_blank(self.at, true).min(place.start);
        let start = self.skip_properties(outer.max(self.at)).max(place.start);
        if text.is_empty() && style == ScalarStyle::Plain {
            return Value { style: Style::Empty, outer: self.at, start: self.at, end: self.at };
        }
        let span = Span::new(SourceId(0), start, place.end);
        let (_, whole) = self.offsets.content(text.to_owned(), style, span);
        let style = match style {
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => Style::Plain,
        };
        self.simple(style, outer, start, whole.range().end)
    }

    fn block(&mut self, literal: bool, place: Range<usize>) -> Value {
        let outer = self.skip_blank(self.at, true);
        let head = self.skip_properties(outer);
        let line = self.rest(head).lines().next().unwrap_or("");
        let header = line.split('#').next().unwrap_or("");
        let digit = header.bytes().find(u8::is_ascii_digit).map(|digit| usize::from(digit - b'0'));
        let keep = header.contains('+');
        let inside = self.text.get(head + line.len()..place.end).unwrap_or("");
        let written = inside.trim_start();
        let (content, end) = match written.is_empty() {
            true => (head + header.trim_end().len(), head + header.trim_end().len()),
            false => (place.end - written.len(), place.end - written.len() + written.trim_end().len()),
        };
        self.simple(Style::Block(Block { literal, content, digit, keep }), outer, head, end)
    }

    fn sequence(&mut self) -> Option<Value> {
        let outer = self.skip_blank(self.at, true);
        let open = self.skip_properties(outer);
        if self.text.as_bytes().get(open) == Some(&b'[') {
            self.at = open + 1;
            let mut items = Vec::new();
            let end = loop {
                match self.events.next()? {
                    (Event::SequenceEnd, _) => break self.closing(b']')?,
                    (event, place) => items.push(self.value_of(event, place)?),
                }
            };
            return Some(Value { style: Style::FlowList(items), outer, start: open, end });
        }
        let mut items: Vec<Item> = Vec::new();
        let mut from = open;
        loop {
            let (event, place) = self.events.next()?;
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            let dash = self.skip_blank(from, true);
            if self.text.as_bytes().get(dash) != Some(&b'-') {
                return None;
            }
            self.at = dash + 1;
            let value = self.value_of(event, place)?;
            from = self.at;
            items.push(Item { dash, value });
        }
        let start = items.first().map_or(open, |item| item.dash);
        Some(Value { style: Style::List(items), outer: outer.min(start), start, end: self.at })
    }

    fn mapping(&mut self) -> Option<Value> {
        let outer = self.skip_blank(self.at, true);
        let open = self.skip_properties(outer);
        if self.text.as_bytes().get(open) == Some(&b'{') {
            self.at = open + 1;
            return self.flow_mapping(outer, open);
        }
        // Properties before the first key are the key's, where they stand on its line.
        if !self.same_line(outer, open) {
            self.at = open;
        }
        let mut pairs = Vec::new();
        loop {
            let (event, place) = self.events.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.value_of(event, place)?;
            let colon = self.skip_blank(key.end, false);
            let explicit = self.text.get(key.outer..key.start).is_some_and(|before| before.starts_with('?'));
            if explicit || self.text.as_bytes().get(colon) != Some(&b':') {
                return None;
            }
            self.at = colon + 1;
            pairs.push(Pair { key, colon, value: self.value()? });
        }
        let first = pairs.first().map_or(open, |pair| pair.key.outer);
        Some(Value { style: Style::Mapping(pairs), outer: outer.min(first), start: first, end: self.at })
    }

    fn flow_mapping(&mut self, outer: usize, open: usize) -> Option<Value> {
        let mut pairs = Vec::new();
        let end = loop {
            match self.events.next()? {
                (Event::MappingEnd, _) => break self.closing(b'}')?,
                (event, place) => {
                    let key = self.value_of(event, place)?;
                    let value = self.value()?;
                    pairs.push((key, value));
                }
            }
        };
        Some(Value { style: Style::FlowMapping(pairs), outer, start: open, end })
    }

    /// Behind the bracket that closes what is open.
    fn closing(&mut self, bracket: u8) -> Option<usize> {
        let at = self.skip_blank(self.at, true);
        self.at = at + 1;
        (self.text.as_bytes().get(at) == Some(&bracket)).then_some(at + 1)
    }

    fn rest(&self, at: usize) -> &'t str {
        self.text.get(at..).unwrap_or("")
    }

    fn same_line(&self, from: usize, to: usize) -> bool {
        !self.text.get(from..to).unwrap_or("").contains('\n')
    }

    /// The first place from `at` on that is neither blank nor in a comment, nor a comma where `indicators` says so.
    fn skip_blank(&self, at: usize, indicators: bool) -> usize {
        let mut rest = self.rest(at);
        loop {
            let before = rest.len();
            rest = rest.trim_start();
            if rest.starts_with('#') {
                rest = rest.trim_start_matches(|c| c != '\n');
            }
            if indicators {
                rest = rest.trim_start_matches([',', ':']);
            }
            if rest.len() == before {
                return self.text.len() - rest.len();
            }
        }
    }

    /// From `at` on behind anchors.
    fn skip_properties(&self, at: usize) -> usize {
        let mut at = at;
        while self.rest(at).starts_with(['&', '!']) {
            let rest = self.rest(at).trim_start_matches(|c: char| !c.is_whitespace() && !matches!(c, ',' | ']' | '}'));
            at = self.skip_blank(self.text.len() - rest.len(), false);
        }
        at
    }
}

/// Where comments begin and end, from the values of a layout: what looks like one inside of a text is none.
pub(crate) fn comments(text: &str, root: &Value) -> Vec<Range<usize>> {
    let mut leaves = Vec::new();
    collect(root, &mut leaves);
    let mut comments = Vec::new();
    let mut from = 0;
    for leaf in leaves.into_iter().chain(std::iter::once(text.len()..text.len())) {
        let mut at = from;
        for line in text.get(from..leaf.start).unwrap_or("").split_inclusive('\n') {
            if let Some(hash) = comment_in(text, at, line) {
                comments.push(at + hash..at + line.trim_end().len());
            }
            at += line.len();
        }
        from = leaf.end.max(from);
    }
    comments
}

/// Where a comment begins in the part of a line that stands at `at`.
fn comment_in(text: &str, at: usize, line: &str) -> Option<usize> {
    let hashes = memchr::memchr_iter(b'#', line.as_bytes());
    hashes.into_iter().find(|hash| {
        let before = text.get(..at + hash).and_then(|before| before.chars().next_back());
        before.is_none_or(|before| before.is_whitespace() || before == '\u{feff}')
    })
}

fn collect(value: &Value, leaves: &mut Vec<Range<usize>>) {
    match &value.style {
        Style::Empty => {}
        Style::Alias | Style::Plain | Style::SingleQuoted | Style::DoubleQuoted => leaves.push(value.start..value.end),
        Style::Block(block) => leaves.push(block.content..value.end.max(block.content)),
        Style::FlowList(items) => items.iter().for_each(|item| collect(item, leaves)),
        Style::FlowMapping(pairs) => pairs.iter().for_each(|(key, value)| {
            collect(key, leaves);
            collect(value, leaves);
        }),
        Style::List(items) => items.iter().for_each(|item| collect(&item.value, leaves)),
        Style::Mapping(pairs) => pairs.iter().for_each(|pair| {
            collect(&pair.key, leaves);
            collect(&pair.value, leaves);
        }),
    }
}
