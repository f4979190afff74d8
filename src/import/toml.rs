//! TOML as a tree in which everything knows its place. The only file that names `toml_edit`.

mod comments;

use std::fmt::Write as _;
use std::ops::Range;

use toml_edit::{Item, RawString, TableLike, Value as Written};

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{SourceId, Span};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// Unique in a tree that was numbered.
    pub id: u32,
    pub span: Span,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub enum Value {
    Text(String),
    Whole(i64),
    Number(f64),
    Flag(bool),
    /// A date or time, as written.
    Moment(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// One key of a table, in the order of the file.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub key_span: Span,
    pub node: Node,
    /// What people wrote directly above it, a line each; see [`comments`].
    pub comments: Vec<String>,
}

/// One step on the way to a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

impl Node {
    /// The value of `key`, where this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Of a table; of anything else none.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// Of a list; of anything else none.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn flag(&self) -> Option<bool> {
        match self.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    pub fn whole(&self) -> Option<i64> {
        match self.value {
            Value::Whole(whole) => Some(whole),
            _ => None,
        }
    }

    /// A whole number or a decimal one.
    pub fn number(&self) -> Option<f64> {
        match self.value {
            #[expect(clippy::cast_precision_loss, reason = "weights, seconds and prices are small")]
            Value::Whole(whole) => Some(whole as f64),
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The text of `key`.
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Node::text)
    }

    pub fn is_table(&self) -> bool {
        matches!(self.value, Value::Table(_))
    }

    /// What it is, for a message.
    pub fn called(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "text",
            Value::Whole(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Flag(_) => "`true` or `false`",
            Value::Moment(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// Reads one file. `None` where it is not TOML.
pub fn parse(source: SourceId, text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    match toml_edit::Document::parse(text) {
        Ok(document) => {
            let whole = Span::new(source, 0, 0);
            Some(Reader { source, text }.table(document.as_table(), whole))
        }
        Err(error) => {
            // Whatever the parser stumbled over may be a key.
            let message = error.message().lines().next().unwrap_or("it cannot be read").to_owned();
            let span = error.span().unwrap_or(0..0);
            hide_values(source, text, span.start, diagnostics);
            diagnostics.push(
                Diagnostic::new(Code::NotToml, format!("this is not TOML: {}", message.trim_end_matches('.')))
                    .label(Span::new(source, span.start, span.end), "here")
                    .help("texts need quotes, and a table or key may be written once in a file"),
            );
            None
        }
    }
}

/// What a text that cannot be read has behind its equals signs, where it may be a key; the line at `at` is shown as far as its
/// key has a harmless name.
fn hide_values(source: SourceId, text: &str, at: usize, diagnostics: &mut Diagnostics) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let (key, value) = line.split_once('=').unwrap_or(("", line));
        let secret = ["key", "token", "secret", "password"].iter().any(|word| key.to_ascii_lowercase().contains(word));
        if !(start..end).contains(&at) || secret {
            diagnostics.hide(Span::new(source, end - value.len(), end));
        }
        start = end;
    }
}

struct Reader<'t> {
    source: SourceId,
    text: &'t str,
}

impl Reader<'_> {
    fn span(&self, range: Option<Range<usize>>, around: Span) -> Span {
        range.map_or(around, |range| Span::new(self.source, range.start, range.end))
    }

    fn item(&self, item: &Item, around: Span) -> Option<Node> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(self.value(value, around)),
            Item::Table(table) => Some(self.table(table, self.span(table.span(), around))),
            Item::ArrayOfTables(tables) => {
                let items = tables.iter().map(|table| self.table(table, self.span(table.span(), around)));
                Some(node(around, Value::List(items.collect())))
            }
        }
    }

    fn table(&self, table: &dyn TableLike, span: Span) -> Node {
        let entries = table.iter().filter_map(|(key, item)| {
            let key_span = self.span(table.key(key).and_then(toml_edit::Key::span), span);
            let comments = comments::above(self.before(table.key(key), item));
            Some(Entry { key: key.to_owned(), key_span, node: self.item(item, key_span)?, comments })
        });
        node(span, Value::Table(entries.collect()))
    }

    /// The blanks and comments before a table or a key.
    fn before(&self, key: Option<&toml_edit::Key>, item: &Item) -> &str {
        let decor = match item {
            Item::Table(table) => Some(table.decor()),
            _ => key.map(toml_edit::Key::leaf_decor),
        };
        let range = decor.and_then(toml_edit::Decor::prefix).and_then(RawString::span);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    fn value(&self, value: &Written, around: Span) -> Node {
        let span = self.span(value.span(), around);
        let read = match value {
            Written::String(text) => Value::Text(text.value().clone()),
            Written::Integer(whole) => Value::Whole(*whole.value()),
            Written::Float(number) => Value::Number(*number.value()),
            Written::Boolean(flag) => Value::Flag(*flag.value()),
            Written::Datetime(moment) => Value::Moment(moment.value().to_string()),
            Written::Array(items) => Value::List(items.iter().map(|item| self.value(item, span)).collect()),
            Written::InlineTable(table) => return self.table(table, span),
        };
        node(span, read)
    }
}

fn node(span: Span, value: Value) -> Node {
    Node { id: 0, span, value }
}

/// Puts the tables of `other` into `root`. What both have and is no table is reported: nothing overrides anything.
pub fn merge(root: &mut Node, other: Node, path: &mut Vec<Step>, diagnostics: &mut Diagnostics) {
    let (Value::Table(known), Value::Table(new)) = (&mut root.value, other.value) else { return };
    for entry in new {
        path.push(Step::Key(entry.key.clone()));
        match known.iter_mut().find(|known| known.key == entry.key) {
            None => known.push(entry),
            Some(first) if first.node.is_table() && entry.node.is_table() => {
                merge(&mut first.node, entry.node, path, diagnostics);
            }
            Some(first) => diagnostics.push(
                Diagnostic::new(Code::SettingTwice, format!("`{}` is set in two files", rendered(path)))
                    .label(entry.key_span, "and here")
                    .label(first.key_span, "set here")
                    .help("files are put together, and none overrides another: leave it in one of them"),
            ),
        }
        path.pop();
    }
}

/// Gives every node its number.
pub fn number(root: &mut Node, next: &mut u32) {
    root.id = *next;
    *next += 1;
    match &mut root.value {
        Value::List(items) => items.iter_mut().for_each(|item| number(item, next)),
        Value::Table(entries) => entries.iter_mut().for_each(|entry| number(&mut entry.node, next)),
        Value::Text(_) | Value::Whole(_) | Value::Number(_) | Value::Flag(_) | Value::Moment(_) => {}
    }
}

/// A path as TOML writes it, with positions in brackets: `models."gpt-4.1".routing[0]`.
pub fn rendered(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        // Writing to a text cannot fail.
        let _ = match step {
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Key(key) if out.is_empty() => write!(out, "{}", quoted(key)),
            Step::Key(key) => write!(out, ".{}", quoted(key)),
        };
    }
    out
}

/// A key as TOML writes it.
pub fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(bare) {
        return key.to_owned();
    }
    serde_json::to_string(key).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::verdict::Ledger;

    fn read(texts: &[&str]) -> (Node, Diagnostics) {
        let mut diagnostics = Diagnostics::default();
        let mut root = node(Span::new(SourceId(0), 0, 0), Value::Table(Vec::new()));
        for (index, text) in (0..).zip(texts) {
            let read = parse(SourceId(index), text, &mut diagnostics).unwrap();
            merge(&mut root, read, &mut Vec::new(), &mut diagnostics);
        }
        number(&mut root, &mut 0);
        (root, diagnostics)
    }

    #[test]
    fn leaves_have_unambiguous_paths_in_the_order_of_the_file() {
        let (root, _) = read(&["a.\"b.c\" = [1, {d = []}]\n[[e]]\nf = 1\n[[e]]\n[g]\n[h]\n\"\" = 2"]);
        let paths: Vec<String> = Ledger::default().leaves(&root).into_iter().map(|(path, ..)| path).collect();
        assert_eq!(paths, ["a.\"b.c\"[0]", "a.\"b.c\"[1].d", "e[0].f", "e[1]", "g", "h.\"\""]);
    }

    #[test]
    fn tables_of_several_files_are_one_and_nothing_is_overridden() {
        let (root, diagnostics) = read(&["[a]\nx = 1\n[a.b]\ny = [1]", "[a.b]\nz = 2", "[a.b]\ny = [2]"]);
        assert_eq!(root.get("a").unwrap().get("b").unwrap().entries().len(), 2);
        let messages: Vec<&str> = diagnostics.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages, ["`a.b.y` is set in two files"]);
    }

    #[test]
    fn what_is_no_toml_is_reported_where_it_ends() {
        let mut diagnostics = Diagnostics::default();
        assert!(parse(SourceId(0), "[a]\nkey = bare\n", &mut diagnostics).is_none());
        let finding = diagnostics.iter().next().unwrap();
        assert!(finding.message.starts_with("this is not TOML: "), "{}", finding.message);
        assert_eq!(finding.labels[0].span.start, 10);
    }
}
