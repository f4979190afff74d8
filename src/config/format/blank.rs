//! Empty lines: one at most between two others, none at the beginning, and one line break at the end.

use super::edit::{Edit, Lines, make};
use crate::config::yaml::layout::{Style, Value};

pub(super) fn lines(text: &str, root: &Value) -> String {
    let lines = Lines::new(text);
    let mut kept = vec![false; lines.count()];
    keep(root, &lines, &mut kept);
    let mut edits = Vec::new();
    let mut blank_before = true;
    let mut written = false;
    for (line, kept) in kept.iter().enumerate() {
        let start = lines.start(line);
        let end = lines.start(line + 1);
        let blank = lines.is_blank(line) && !kept;
        if blank && blank_before && end > start {
            edits.push(Edit { range: start..end, with: String::new() });
        }
        blank_before = blank;
        written |= !blank;
    }
    let edited = make(text, edits);
    match written {
        // The line breaks at the end of `|+` count.
        _ if text.ends_with('\n') && kept.iter().rev().take(2).any(|kept| *kept) => edited,
        false => String::new(),
        true => format!("{}\n", edited.trim_end_matches(['\n', ' '])),
    }
}

/// Marks the lines of texts that have lines of their own.
fn keep(value: &Value, lines: &Lines<'_>, kept: &mut [bool]) {
    let mut mark = |from: usize, to: usize| {
        for line in from..=to {
            if let Some(slot) = kept.get_mut(line) {
                *slot = true;
            }
        }
    };
    let last = lines.line_of(value.end.saturating_sub(1));
    match &value.style {
        Style::Block(block) if block.keep => {
            let blank = (last + 1..lines.count()).take_while(|line| lines.is_blank(*line)).count();
            mark(lines.line_of(value.start) + 1, last + blank);
        }
        Style::Block(_) | Style::Plain | Style::SingleQuoted | Style::DoubleQuoted => {
            mark(lines.line_of(value.start) + 1, last);
        }
        Style::Empty | Style::Alias => {}
        Style::FlowList(items) => items.iter().for_each(|item| keep(item, lines, kept)),
        Style::FlowMapping(pairs) => pairs.iter().for_each(|(key, value)| {
            keep(key, lines, kept);
            keep(value, lines, kept);
        }),
        Style::List(items) => items.iter().for_each(|item| keep(&item.value, lines, kept)),
        Style::Mapping(pairs) => pairs.iter().for_each(|pair| {
            keep(&pair.key, lines, kept);
            keep(&pair.value, lines, kept);
        }),
    }
}
