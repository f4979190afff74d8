//! Regular expressions of the file and of the program. They are matched in time linear in the text, and are bounded in what they
//! take.

use std::borrow::Cow;

use regex::{NoExpand, Regex, RegexBuilder};

/// Most memory of one expression.
const LARGEST: usize = 256 << 10;

/// A compiled expression; equal to another of the same text.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// As written.
impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Pattern {
    /// # Errors
    /// What is wrong with the expression, in a few words.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let built = RegexBuilder::new(text).size_limit(LARGEST).dfa_size_limit(LARGEST).nest_limit(50).build();
        built.map(Pattern).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it takes too much memory".to_owned(),
            // The last line of the crate's picture says what it points at.
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.strip_prefix("error: ").unwrap_or(last).to_owned()
            }
        })
    }

    /// `text` with `word` in place of everything that has this form.
    pub fn replace<'t>(&self, text: &'t str, word: &str) -> Cow<'t, str> {
        self.0.replace_all(text, NoExpand(word))
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn expressions_are_bounded_and_said_to_be_wrong_in_a_line() {
        let pattern = Pattern::new(r"\b\d{4}-\d{4}\b").unwrap();
        assert_eq!(pattern.replace("call 1234-5678 now", "$1"), "call $1 now");
        assert_eq!(Pattern::new("a(").unwrap_err(), "unclosed group");
        assert_eq!(Pattern::new(r"(?:\w{900}){900}").unwrap_err(), "it takes too much memory");
        assert_eq!(Pattern::new("a").unwrap(), Pattern::new("a").unwrap());
    }
}
