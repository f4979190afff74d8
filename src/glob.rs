//! Patterns of names: of models in provider files, of texts in rules.

/// A pattern in which `*` stands for any text, the empty one included, and everything else for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob(pub Box<str>);

/// As written.
impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Glob {
    /// Whether `text` has this form; the whole of it.
    pub fn matches(&self, text: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return *self.0 == *text };
        let Some(body) = text.strip_prefix(head) else { return false };
        let Some((middle, tail)) = rest.rsplit_once('*') else { return body.ends_with(rest) };
        let Some(mut body) = body.strip_suffix(tail) else { return false };
        for piece in middle.split('*') {
            let Some((_, after)) = body.split_once(piece) else { return false };
            body = after;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn globs_match_as_written() {
        for (pattern, text, expected) in [
            ("gpt-4*", "gpt-4o", true),
            ("gpt-4*", "gpt-4", true),
            ("gpt-4*", "gpt-5", false),
            ("*", "", true),
            ("**", "x", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("*b*b*", "b", false),
            ("qwen?", "qwen3", false),
            ("exact", "exact", true),
            ("exact", "exact!", false),
        ] {
            assert_eq!(Glob(pattern.into()).matches(text), expected, "{pattern} ~ {text}");
        }
    }
}
