//! White space within lines: one blank behind `:`, `{ a: 1, b: [x, y] }` in flow style. Where somebody has lined up
//! the values of neighbouring keys, they stay lined up.

use super::edit::{Edit, Lines, apply};
use crate::config::yaml::layout::{Pair, Style, Value};

/// Keys that are wider do not push the values of their neighbours away.
const WIDEST: usize = 40;

/// The text with the white space within its lines set right.
pub(super) fn space(text: &str, root: &Value) -> String {
    let mut spacing = Spacing { lines: Lines::new(text), edits: Vec::new() };
    spacing.value(root);
    apply(text, root, spacing.edits)
}

struct Spacing<'t> {
    lines: Lines<'t>,
    edits: Vec<Edit>,
}

impl Spacing<'_> {
    fn value(&mut self, value: &Value) {
        if value.outer < value.start && self.on_one_line(value.outer, value.start) {
            self.after_properties(value);
        }
        match &value.style {
            Style::Mapping(pairs) => self.mapping(pairs),
            Style::List(items) => {
                for item in items {
                    self.value(&item.value);
                }
            }
            Style::FlowList(_) | Style::FlowMapping(_) => self.flow(value),
            Style::Empty
            | Style::Alias
            | Style::Plain
            | Style::SingleQuoted
            | Style::DoubleQuoted
            | Style::Block(_) => {}
        }
    }

    /// `&anchor` and one blank.
    fn after_properties(&mut self, value: &Value) {
        let properties = self.text(value.outer, value.start);
        let words: Vec<&str> = properties.split_whitespace().collect();
        let block = matches!(value.style, Style::Mapping(_) | Style::List(_));
        if !block {
            self.set(value.outer, value.start, format!("{} ", words.join(" ")));
        }
    }

    fn mapping(&mut self, pairs: &[Pair]) {
        for group in self.groups(pairs) {
            let aligned = self.is_aligned(group);
            let widths = group.iter().map(|pair| self.width(pair)).filter(|width| *width <= WIDEST);
            let widest = widths.max().unwrap_or(0);
            for pair in group {
                let pad = if aligned { widest.saturating_sub(self.width(pair)) + 1 } else { 1 };
                self.colon(pair, pad);
            }
        }
        for pair in pairs {
            self.value(&pair.key);
            self.value(&pair.value);
        }
    }

    /// Entries of one line each, on lines that follow each other; the others stand alone.
    fn groups<'p>(&self, pairs: &'p [Pair]) -> Vec<&'p [Pair]> {
        let mut groups = Vec::new();
        let mut from = 0;
        for (at, pair) in pairs.iter().enumerate() {
            let next = pairs.get(at + 1);
            let joined =
                next.is_some_and(|next| self.is_simple(pair) && self.is_simple(next) && self.adjoin(pair, next));
            if !joined {
                groups.extend(pairs.get(from..=at));
                from = at + 1;
            }
        }
        groups
    }

    fn is_simple(&self, pair: &Pair) -> bool {
        let nested = matches!(pair.value.style, Style::Block(_) | Style::Mapping(_) | Style::List(_) | Style::Empty);
        !nested && self.on_one_line(pair.key.outer, pair.value.end)
    }

    /// Nothing but comments stands between their lines.
    fn adjoin(&self, pair: &Pair, next: &Pair) -> bool {
        let lines = self.lines.line_of(pair.key.outer)..self.lines.line_of(next.key.outer);
        !lines.is_empty() && lines.skip(1).all(|line| !self.lines.is_blank(line))
    }

    /// Two values stand in one column, and one of them not by chance.
    fn is_aligned(&self, group: &[Pair]) -> bool {
        let column = |pair: &Pair| self.width(pair) + (pair.value.outer - pair.key.end);
        let padded = |pair: &&Pair| pair.value.outer > pair.colon + 2;
        let same = |one: &Pair| group.iter().filter(|other| column(other) == column(one)).count() > 1;
        group.iter().filter(padded).any(same)
    }

    /// Characters of the key.
    fn width(&self, pair: &Pair) -> usize {
        self.text(pair.key.outer, pair.key.end).chars().count()
    }

    fn colon(&mut self, pair: &Pair, pad: usize) {
        let empty = matches!(pair.value.style, Style::Empty);
        if !empty && self.on_one_line(pair.key.end, pair.value.outer) {
            self.set(pair.key.end, pair.value.outer, format!(":{}", " ".repeat(pad)));
        } else if self.on_one_line(pair.key.end, pair.colon) {
            self.set(pair.key.end, pair.colon + 1, ":".to_owned());
        }
    }

    // === flow style

    fn flow(&mut self, value: &Value) {
        let mut pieces = Vec::new();
        if !pieces_of(value, &mut pieces) {
            return;
        }
        for pair in pieces.windows(2) {
            let [before, after] = pair else { continue };
            let gap = self.text(before.end, after.start);
            // Lines that somebody has broken stay broken.
            if gap.contains(['\n', '#']) {
                let kept = gap.len() - gap.trim_start_matches([' ', '\t']).len();
                let commas = gap.get(kept..).is_some_and(|rest| rest.starts_with(','));
                if commas && kept > 0 {
                    self.set(before.end, before.end + kept, String::new());
                }
                continue;
            }
            let with = between(before.kind, gap, after.kind);
            self.set(before.end, after.start, with);
        }
    }

    fn text(&self, from: usize, to: usize) -> &str {
        self.lines.text.get(from..to).unwrap_or("")
    }

    fn on_one_line(&self, from: usize, to: usize) -> bool {
        !self.text(from, to).contains('\n')
    }

    fn set(&mut self, from: usize, to: usize, with: String) {
        if self.text(from, to) != with {
            self.edits.push(Edit { range: from..to, with });
        }
    }
}

/// A bracket or a value without parts, of a flow collection.
struct Piece {
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    OpenList,
    OpenMapping,
    CloseList,
    CloseMapping,
    Value,
}

/// All pieces in order; no where there is a form that is not known here.
fn pieces_of(value: &Value, pieces: &mut Vec<Piece>) -> bool {
    let bracket = |at: usize, kind: Kind| Piece { start: at, end: at + 1, kind };
    match &value.style {
        Style::Empty => true,
        Style::Alias | Style::Plain | Style::SingleQuoted | Style::DoubleQuoted => {
            pieces.push(Piece { start: value.start, end: value.end, kind: Kind::Value });
            true
        }
        Style::FlowList(items) => {
            pieces.push(bracket(value.start, Kind::OpenList));
            let known = items.iter().all(|item| pieces_of(item, pieces));
            pieces.push(bracket(value.end - 1, Kind::CloseList));
            known
        }
        Style::FlowMapping(pairs) => {
            pieces.push(bracket(value.start, Kind::OpenMapping));
            let known = pairs.iter().all(|(key, value)| pieces_of(key, pieces) && pieces_of(value, pieces));
            pieces.push(bracket(value.end - 1, Kind::CloseMapping));
            known
        }
        Style::Block(_) | Style::List(_) | Style::Mapping(_) => false,
    }
}

/// What stands between two pieces: a `,`, a `:`, an anchor, white space.
fn between(before: Kind, gap: &str, after: Kind) -> String {
    let mut out = String::new();
    let mut rest = gap.trim();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            ',' | ':' => 1,
            _ => rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len()),
        };
        let (word, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
        out.push_str(word);
        out.push(' ');
        rest = tail.trim_start();
    }
    // `a: , b` has a key without a value.
    let mut out = out.replace(" ,", ",");
    let closes = matches!(after, Kind::CloseList | Kind::CloseMapping);
    if closes {
        out.truncate(out.trim_end().trim_end_matches(',').len());
    }
    match (before, after) {
        (Kind::OpenMapping, Kind::CloseMapping) => out,
        (Kind::OpenMapping, _) => format!(" {out}"),
        (_, Kind::CloseMapping) => format!("{out} "),
        _ => out,
    }
}
