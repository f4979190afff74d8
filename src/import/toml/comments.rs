//! What people wrote above a table or a key, as far as it explains something.

use crate::diagnostic::mask::looks_like_a_key;

/// More lines are no explanation of one thing.
const MOST_LINES: usize = 12;
/// A word this long, with digits in it, is no word: it may be a key.
const LONGEST_WORD: usize = 24;

/// The lines of comment at the end of `before`, up to the next empty line. Settings that somebody has put out of use, lines that are
/// drawn, and whatever may be a key are left out.
pub(super) fn above(before: &str) -> Vec<String> {
    let lines = before.lines().rev().skip_while(|line| line.trim().is_empty());
    let block = lines.map_while(|line| line.trim().strip_prefix('#')).map(|line| line.trim_start_matches('#').trim());
    let mut explains: Vec<String> = block.filter(|line| is_prose(line)).take(MOST_LINES).map(str::to_owned).collect();
    explains.reverse();
    explains
}

fn is_prose(line: &str) -> bool {
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    letters > 1 && !is_setting(line) && !line.split_whitespace().any(may_be_a_key)
}

/// `temperature = 0.5`, `[models.x]`, and the inside of a list.
fn is_setting(line: &str) -> bool {
    let is_list = line.starts_with(['[', '"', ']', '}']) && line.ends_with([']', ',', '}', '"']);
    is_list || line.split_once('=').is_some_and(|(key, _)| !key.trim().contains(' '))
}

fn may_be_a_key(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let digits = bare.chars().any(|c| c.is_ascii_digit());
    looks_like_a_key(bare) || (digits && bare.len() >= LONGEST_WORD) || (word.contains("://") && word.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_are_kept_and_nothing_else() {
        let before = "# of the one before\n\n# ==========\n## The cheap one, for drafts.\n# temperature = 0.5\n#\n# Ask Ada before you change it.\n";
        assert_eq!(above(before), ["The cheap one, for drafts.", "Ask Ada before you change it."]);
        assert_eq!(above("# [models.old]\n# routing = [\"a\"]\n"), [""; 0]);
        assert_eq!(above("  # indented\n\n"), ["indented"]);
        assert_eq!(above("# said before\n\n# and here\n"), ["and here"]);
        assert_eq!(above(&"# line of text\n".repeat(40)).len(), MOST_LINES);
    }

    #[test]
    fn what_may_be_a_key_is_left_out() {
        for secret in [
            "the key is sk-proj-abcdefghijklmnop1234",
            "token 0123456789abcdef0123456789abcdef",
            "at https://me:secret@example.com/v1",
            "OPENAI_API_KEY=whatever",
        ] {
            assert_eq!(above(&format!("# {secret}\n")), [""; 0], "{secret}");
        }
    }
}
