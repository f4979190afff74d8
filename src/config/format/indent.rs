//! Indentation: two spaces a level, the dashes of a list one level below their key. What continues a value is
//! deeper than its key, and a comment stands with what follows it.

use super::edit::{Edit, Lines, apply};
use crate::config::yaml::layout::{Block, Style, Value};

const STEP: usize = 2;

/// The text with its lines moved to where they belong, and without white space at their ends.
pub(super) fn indent(text: &str, root: &Value) -> String {
    let lines = Lines::new(text);
    let count = lines.count();
    let mut plan =
        Plan { lines, levels: Vec::new(), dashes: Vec::new(), moves: vec![None; count], inside: vec![false; count] };
    plan.value(root, None, 0);
    plan.comments();
    let edits = plan.edits();
    apply(text, root, edits)
}

/// Where the key or dash of a value stands, and where it will.
#[derive(Clone, Copy)]
struct Level {
    line: usize,
    old: usize,
    new: usize,
}

struct Plan<'t> {
    lines: Lines<'t>,
    /// Of every line that begins with a key or a dash, in order.
    levels: Vec<Level>,
    /// White space that a line will begin with.
    moves: Vec<Option<usize>>,
    /// Blanks behind dashes: what follows them begins two columns further.
    dashes: Vec<Edit>,
    /// The line belongs to a text whose lines and white space count.
    inside: Vec<bool>,
}

impl Plan<'_> {
    fn set(&mut self, line: usize, to: usize) {
        if let Some(slot) = self.moves.get_mut(line) {
            *slot = Some(to);
        }
    }

    /// A key or dash at `at`, which belongs to column `new`.
    fn level(&mut self, at: usize, new: usize) {
        let line = self.lines.line_of(at);
        if self.lines.is_first(at) {
            self.set(line, new);
            self.levels.push(Level { line, old: self.lines.column(at), new });
        }
    }

    /// `parent` is the key or dash that the value belongs to, `indent` the column of what is below it.
    fn value(&mut self, value: &Value, parent: Option<Level>, indent: usize) {
        if self.lines.is_first(value.outer)
            && parent.is_some_and(|parent| self.lines.line_of(value.outer) > parent.line)
        {
            self.set(self.lines.line_of(value.outer), indent);
        }
        match &value.style {
            Style::Mapping(pairs) => {
                for pair in pairs {
                    self.level(pair.key.outer, indent);
                    let level = Level {
                        line: self.lines.line_of(pair.colon),
                        old: self.lines.column(pair.key.outer),
                        new: indent,
                    };
                    self.value(&pair.value, Some(level), indent + STEP);
                }
            }
            Style::List(items) => {
                for item in items {
                    self.level(item.dash, indent);
                    let level =
                        Level { line: self.lines.line_of(item.dash), old: self.lines.column(item.dash), new: indent };
                    self.value(&item.value, Some(level), indent + STEP);
                    let behind = item.dash + 1..item.value.outer;
                    let gap = self.lines.text.get(behind.clone()).unwrap_or(" ");
                    if !gap.contains('\n') && gap != " " && !matches!(item.value.style, Style::Empty) {
                        self.dashes.push(Edit { range: behind, with: " ".to_owned() });
                    }
                }
            }
            Style::Block(block) => self.block(value, block, parent),
            Style::Empty
            | Style::Alias
            | Style::Plain
            | Style::SingleQuoted
            | Style::DoubleQuoted
            | Style::FlowList(_)
            | Style::FlowMapping(_) => self.continuation(value, parent, indent),
        }
    }

    /// The lines of a value after its first one: two columns for each bracket that is open, and deeper than the key in any
    /// case, which YAML wants.
    fn continuation(&mut self, value: &Value, parent: Option<Level>, indent: usize) {
        let first = self.lines.line_of(value.start);
        let below = parent.is_none_or(|parent| first > parent.line);
        let base = if below { indent } else { indent.saturating_sub(STEP) };
        let least = if parent.is_some() { indent } else { 0 };
        let quoted = matches!(value.style, Style::SingleQuoted | Style::DoubleQuoted);
        let mut brackets = Vec::new();
        brackets_of(value, &mut brackets);
        for line in first + 1..=self.lines.line_of(value.end.saturating_sub(1)) {
            if quoted && let Some(inside) = self.inside.get_mut(line) {
                *inside = true;
            }
            if !self.lines.is_blank(line) {
                let start = self.lines.start(line) + self.lines.indent(line);
                let depth = brackets.iter().filter(|(open, close)| *open < start && start < *close).count();
                self.set(line, (base + STEP * depth).max(least));
            }
        }
    }

    /// The lines of a block scalar: their indentation is that of the first, or what the header says.
    fn block(&mut self, value: &Value, block: &Block, parent: Option<Level>) {
        let (old, new) = parent.map_or((0, 0), |parent| (parent.old, parent.new));
        let (from, to) = match block.digit {
            Some(digit) => (old + digit, new + digit),
            None if parent.is_none() => (self.lines.column(block.content), self.lines.column(block.content)),
            None => (self.lines.column(block.content), new + STEP),
        };
        let mut last = self.lines.line_of(value.end.saturating_sub(1));
        while block.keep && last + 1 < self.lines.count() && self.lines.is_blank(last + 1) {
            last += 1;
        }
        for line in self.lines.line_of(value.start) + 1..=last {
            if let Some(inside) = self.inside.get_mut(line) {
                *inside = true;
            }
            let width = self.lines.indent(line);
            let moved = if width < from { 0 } else { width - from + to };
            self.set(line, moved);
        }
    }

    /// Comments on lines of their own.
    fn comments(&mut self) {
        let mut next = self.levels.iter().copied().peekable();
        let mut open: Vec<Level> = Vec::new();
        let mut after_text = false;
        let mut moves = Vec::new();
        for line in 0..self.lines.count() {
            while let Some(level) = next.next_if(|level| level.line <= line) {
                open.retain(|outer| outer.old < level.old);
                open.push(level);
            }
            let inside = self.inside.get(line).copied().unwrap_or(false);
            let is_comment = self.lines.content(line).trim_start().starts_with('#');
            let placed = self.moves.get(line).copied().flatten().is_some();
            if !is_comment || inside || placed {
                after_text = inside || (after_text && self.lines.is_blank(line));
                continue;
            }
            let column = self.lines.indent(line);
            moves.push((line, column_of_comment(column, &open, next.peek().copied(), after_text)));
        }
        for (line, to) in moves {
            self.set(line, to);
        }
    }

    fn edits(&self) -> Vec<Edit> {
        let mut edits = self.dashes.clone();
        for (line, to) in self.moves.iter().enumerate() {
            let (start, content) = (self.lines.start(line), self.lines.content(line));
            let inside = self.inside.get(line).copied().unwrap_or(false);
            let indent = self.lines.indent(line);
            if let Some(to) = to.filter(|to| {
                *to != indent || !self.lines.text.get(start..start + indent).unwrap_or("").bytes().all(|b| b == b' ')
            }) {
                edits.push(Edit { range: start..start + indent, with: " ".repeat(to) });
            }
            let kept = content.trim_end().len();
            if !inside && kept < content.len() && kept >= indent {
                edits.push(Edit { range: start + kept..start + content.len(), with: String::new() });
            } else if !inside && kept == 0 && !content.is_empty() {
                edits.retain(|edit| edit.range.start != start);
                edits.push(Edit { range: start..start + content.len(), with: String::new() });
            }
        }
        edits
    }
}

/// Where the brackets of flow style open and close.
fn brackets_of(value: &Value, brackets: &mut Vec<(usize, usize)>) {
    match &value.style {
        Style::FlowList(items) => {
            brackets.push((value.start, value.end.saturating_sub(1)));
            items.iter().for_each(|item| brackets_of(item, brackets));
        }
        Style::FlowMapping(pairs) => {
            brackets.push((value.start, value.end.saturating_sub(1)));
            pairs.iter().for_each(|(_, value)| brackets_of(value, brackets));
        }
        Style::Empty
        | Style::Alias
        | Style::Plain
        | Style::SingleQuoted
        | Style::DoubleQuoted
        | Style::Block(_)
        | Style::List(_)
        | Style::Mapping(_) => {}
    }
}

/// A comment stands with what follows, unless its column says that it belongs to what is above.
fn column_of_comment(column: usize, open: &[Level], next: Option<Level>, after_text: bool) -> usize {
    if let Some(next) = next.filter(|next| next.old == column) {
        return next.new;
    }
    if let Some(level) = open.iter().rev().find(|level| level.old == column) {
        return level.new;
    }
    let deeper = open.last().filter(|level| level.old < column && !after_text);
    if let Some(level) = deeper {
        return level.new + STEP;
    }
    let nearest = open.iter().rev().find(|level| level.old <= column);
    nearest.or(next.as_ref()).map_or(0, |level| level.new)
}
