//! Cutting the text of `rules:` into rules: each begins at the margin, and indented lines continue it.

use std::ops::Range;

/// The byte ranges of the rules in `text`, without blank lines and comments around them.
pub fn cut(text: &str) -> Vec<Range<usize>> {
    let mut rules: Vec<Range<usize>> = Vec::new();
    let mut margin = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim();
        let begin = start + (line.len() - line.trim_start().len());
        let indent = begin - start;
        start += line.len();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let end = begin + content.len();
        match rules.last_mut() {
            Some(rule) if indent > *margin.get_or_insert(indent) => rule.end = end,
            _ => {
                margin.get_or_insert(indent);
                rules.push(begin..end);
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::cut;

    fn parts(text: &str) -> Vec<&str> {
        cut(text).into_iter().map(|range| text.get(range).unwrap()).collect()
    }

    #[test]
    fn indented_lines_continue_a_rule() {
        assert_eq!(
            parts("when a -> b/c\n\n# note\nwhen d\n  and e # why\n  -> f/g\n"),
            ["when a -> b/c", "when d\n  and e # why\n  -> f/g"]
        );
        assert_eq!(parts("  when a\n    -> b/c\n  otherwise -> d/e"), ["when a\n    -> b/c", "otherwise -> d/e"]);
        assert_eq!(parts("\n # only a comment\n"), [""; 0]);
    }
}
