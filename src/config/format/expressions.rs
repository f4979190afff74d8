//! The rules and routes of the file, found by their keys and written in their one form.

use super::edit::{Edit, Lines, make};
use super::rules;
use crate::config::yaml::layout::{Block, Style, Value};
use crate::rule::parse::words::{self, Word, WordKind};

/// How much deeper than its key a block is written.
const STEP: usize = 2;

pub(super) fn expressions(text: &str, root: &Value) -> String {
    let mut edits = Vec::new();
    for (key, entry) in entries(text, root) {
        match key {
            "rules" => edits.extend(of_rules(text, root, entry)),
            "presets" => {
                for (_, preset) in entries(text, entry) {
                    routes(text, preset, &mut edits);
                }
            }
            _ => {}
        }
    }
    make(text, edits)
}

/// The entries of a mapping in either style, by what their keys say.
fn entries<'v>(text: &'v str, value: &'v Value) -> Vec<(&'v str, &'v Value)> {
    let key = |key: &Value| text.get(key.start..key.end).unwrap_or("").trim_matches(['"', '\'']);
    match &value.style {
        Style::Mapping(pairs) => pairs.iter().map(|pair| (key(&pair.key), &pair.value)).collect(),
        Style::FlowMapping(pairs) => pairs.iter().map(|(name, value)| (key(name), value)).collect(),
        _ => Vec::new(),
    }
}

/// A preset: its route, a list of routes, or a mapping that has one.
fn routes(text: &str, preset: &Value, edits: &mut Vec<Edit>) {
    match &preset.style {
        Style::Mapping(_) | Style::FlowMapping(_) => {
            for (_, route) in entries(text, preset).into_iter().filter(|(key, _)| *key == "route") {
                routes(text, route, edits);
            }
        }
        Style::List(items) => items.iter().for_each(|item| edits.extend(inline(text, &item.value, words::of_route))),
        Style::FlowList(items) => items.iter().for_each(|item| edits.extend(inline(text, item, words::of_route))),
        Style::Empty | Style::Alias | Style::Block(_) | Style::Plain | Style::SingleQuoted | Style::DoubleQuoted => {
            edits.extend(inline(text, preset, words::of_route));
        }
    }
}

/// An expression on one line, in quotes or without. Of quotes inside nothing changes, since those around depend on them.
fn inline(text: &str, value: &Value, read: fn(&str) -> Option<Vec<Word>>) -> Option<Edit> {
    let whole = text.get(value.start..value.end).filter(|whole| !whole.contains('\n'))?;
    let (quote, inside) = match value.style {
        Style::Plain => ("", whole),
        Style::SingleQuoted => ("'", whole.get(1..whole.len() - 1)?),
        Style::DoubleQuoted => ("\"", whole.get(1..whole.len() - 1)?),
        _ => return None,
    };
    if inside.contains('\\') || (quote == "'" && inside.contains("''")) {
        return None;
    }
    let words = read(inside).filter(|words| words.iter().all(|word| word.kind != WordKind::Comment))?;
    let mut with = String::new();
    for word in &words {
        if !word.tight && !with.is_empty() {
            with.push(' ');
        }
        with.push_str(&word.text);
    }
    if inside.contains('\'') {
        // The canonical form has other quotes, which would end the text around it.
        with = inside.to_owned();
    }
    let quote = if quote == "'" && !with.contains('"') { "\"" } else { quote };
    let with = format!("{quote}{with}{quote}");
    (with != whole).then_some(Edit { range: value.start..value.end, with })
}

/// The value of `rules:`.
fn of_rules(text: &str, root: &Value, entry: &Value) -> Option<Edit> {
    match &entry.style {
        Style::Block(block) if block.literal && matches!(root.style, Style::Mapping(_)) => {
            block_of_rules(text, entry, block)
        }
        Style::Plain | Style::SingleQuoted | Style::DoubleQuoted => inline(text, entry, words::of_rule),
        _ => None,
    }
}

/// A block under `rules: |`, from the `|` to the end of its last line.
fn block_of_rules(text: &str, entry: &Value, block: &Block) -> Option<Edit> {
    let lines = Lines::new(text);
    let head = lines.line_of(entry.start);
    let last = lines.line_of(entry.end.saturating_sub(1));
    if last == head {
        return None;
    }
    let margin = match block.digit {
        Some(digit) => digit,
        None => lines.column(block.content),
    };
    let mut content = String::new();
    for line in head + 1..=last {
        let text = lines.content(line);
        content.push_str(text.get(margin.min(lines.indent(line))..).unwrap_or(""));
        content.push('\n');
    }
    let header = lines.content(head).get(lines.column(entry.start)..)?;
    let comment = header.find('#').and_then(|at| header.get(at..)).map(|comment| format!("  {}", comment.trim_end()));
    let mut with = format!("|{}\n", comment.unwrap_or_default());
    for line in rules::rules(&content)?.lines() {
        let blank = line.is_empty();
        with.push_str(&" ".repeat(if blank { 0 } else { STEP }));
        with.push_str(line);
        with.push('\n');
    }
    let end = lines.start(last + 1);
    if !text.get(..end)?.ends_with('\n') {
        with.pop();
    }
    Some(Edit { range: entry.start..end, with })
}
