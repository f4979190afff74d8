//! The `rules:` block: one blank between words, arrows and comments below each other, continued lines indented.

use crate::rule::lines;
use crate::rule::parse::words::{self, Word, WordKind};

/// Conditions that are longer do not push the arrows of their neighbours away.
const WIDEST: usize = 72;
/// Between a rule and the comment behind it.
const BEFORE_COMMENT: usize = 2;

/// A part of the block.
enum Part {
    Rule(Vec<Line>),
    Comment { text: String, indented: bool },
    Blank,
}

/// A line of a rule.
#[derive(Default)]
struct Line {
    indent: usize,
    text: String,
    /// Where the arrow stands in `text`, of a rule on one line.
    arrow: Option<usize>,
    comment: Option<String>,
}

/// The text of the block in its one form, each line with its line break; `None` where it holds what is no rule.
pub(super) fn rules(text: &str) -> Option<String> {
    let mut parts = Vec::new();
    let mut at = 0;
    for range in lines::cut(text) {
        between(text.get(at..range.start)?, &mut parts);
        let end = end_of_line(text, range.end);
        parts.push(Part::Rule(rule(&words::of_rule(text.get(range.start..end)?)?)));
        at = end;
    }
    between(text.get(at..)?, &mut parts);
    let parts = without_empty_ends(parts);
    let mut out = String::new();
    for group in parts.split_inclusive(|part| matches!(part, Part::Blank)) {
        write_group(group, &mut out);
    }
    Some(out)
}

/// A comment behind the last word belongs to the rule.
fn end_of_line(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |length| at + length)
}

fn between(gap: &str, parts: &mut Vec<Part>) {
    let whole_lines = gap.strip_prefix('\n').unwrap_or(gap);
    for line in whole_lines.split_inclusive('\n') {
        let content = line.trim();
        if content.starts_with('#') {
            let indented = line.starts_with([' ', '\t']) && parts.iter().any(|part| matches!(part, Part::Rule(_)));
            parts.push(Part::Comment { text: content.to_owned(), indented });
        } else if content.is_empty() && line.ends_with('\n') && !matches!(parts.last(), Some(Part::Blank)) {
            parts.push(Part::Blank);
        }
    }
}

fn without_empty_ends(mut parts: Vec<Part>) -> Vec<Part> {
    while matches!(parts.last(), Some(Part::Blank)) {
        parts.pop();
    }
    let first = parts.iter().position(|part| !matches!(part, Part::Blank)).unwrap_or(0);
    parts.drain(..first);
    parts
}

/// The lines of a rule, broken where they were broken.
fn rule(words: &[Word]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut depth = 0usize;
    let mut arrow = None;
    for word in words {
        if word.kind == WordKind::Close {
            depth = depth.saturating_sub(1);
        }
        if lines.is_empty() || word.first {
            let indent = if lines.is_empty() { 0 } else { 2 + 2 * depth };
            lines.push(Line { indent, ..Line::default() });
        }
        if word.kind == WordKind::Open {
            depth += 1;
        }
        let Some(line) = lines.last_mut() else { continue };
        if word.kind == WordKind::Comment {
            line.comment = Some(word.text.clone());
            continue;
        }
        if !line.text.is_empty() && !word.tight {
            line.text.push(' ');
        }
        if word.kind == WordKind::Arrow {
            arrow = Some(line.text.len());
        }
        line.text.push_str(&word.text);
    }
    if let [line] = lines.as_mut_slice() {
        line.arrow = arrow;
    }
    lines
}

/// Parts without an empty line between them: the arrows and the comments of rules on one line stand below each other.
fn write_group(group: &[Part], out: &mut String) {
    let rules = || {
        group.iter().filter_map(|part| match part {
            Part::Rule(lines) => Some(lines),
            Part::Comment { .. } | Part::Blank => None,
        })
    };
    let heads = rules().flatten().filter_map(head_width).filter(|width| *width <= WIDEST);
    let arrow = heads.max().unwrap_or(0);
    let commented = rules().flatten().filter(|line| line.comment.is_some() && line.arrow.is_some());
    let end = commented.map(|line| width(&aligned(line, arrow))).max().unwrap_or(0);
    for part in group {
        match part {
            Part::Blank => out.push('\n'),
            Part::Comment { text, indented } => {
                out.push_str(if *indented { "  " } else { "" });
                out.push_str(text);
                out.push('\n');
            }
            Part::Rule(lines) => {
                for line in lines {
                    write_line(line, &aligned(line, arrow), end, out);
                }
            }
        }
    }
}

fn write_line(line: &Line, text: &str, end: usize, out: &mut String) {
    out.push_str(text);
    if let Some(comment) = &line.comment {
        let gap = match line.arrow {
            _ if line.text.is_empty() => 0,
            Some(_) => end.saturating_sub(width(text)) + BEFORE_COMMENT,
            None => BEFORE_COMMENT,
        };
        out.push_str(&" ".repeat(gap));
        out.push_str(comment);
    }
    out.push('\n');
}

/// The line with its indentation, and its arrow in the column that is wanted.
fn aligned(line: &Line, arrow: usize) -> String {
    let indent = " ".repeat(line.indent);
    match line.arrow.and_then(|at| line.text.split_at_checked(at)) {
        Some((head, tail)) => {
            let pad = arrow.saturating_sub(width(head.trim_end())) + 1;
            format!("{indent}{}{}{tail}", head.trim_end(), " ".repeat(pad))
        }
        None => format!("{indent}{}", line.text),
    }
}

/// Characters before the arrow of a rule on one line.
fn head_width(line: &Line) -> Option<usize> {
    line.arrow.and_then(|at| line.text.get(..at)).map(|head| width(head.trim_end()))
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::rules;

    #[test]
    fn a_block_has_one_form() {
        let written = "\n# first\nwhen model=='a'->@b # one\nwhen input_tokens>150k and\n       (stream or\n   has tools)\n      ->@c\n  # of the rule above\n\n\n\notherwise->as requested   # rest\n\n";
        let expected = "# first\nwhen model == \"a\" -> @b  # one\nwhen input_tokens > 150k and\n  (stream or\n    has tools)\n  -> @c\n  # of the rule above\n\notherwise -> as requested  # rest\n";
        assert_eq!(rules(written).unwrap(), expected);
        assert_eq!(rules(expected).unwrap(), expected);
    }

    #[test]
    fn arrows_stand_below_each_other_within_a_group() {
        let written = "when stream -> @a\n# between\nwhen model == \"x\" -> @b # why\notherwise -> as requested # else\n\nwhen images > 0 -> @c";
        let expected = "when stream       -> @a\n# between\nwhen model == \"x\" -> @b            # why\notherwise         -> as requested  # else\n\nwhen images > 0 -> @c\n";
        assert_eq!(rules(written).unwrap(), expected);
        assert_eq!(rules(expected).unwrap(), expected);
        assert_eq!(rules("when -> x"), None);
        assert_eq!(rules("").unwrap(), "");
    }
}
