//! What Claude models allow, told by their ids. An id that is no Claude's (another vendor speaks this protocol) has no
//! version and gets the oldest form of everything, which all of them accept.

/// What a model allows of the members whose meaning changed between generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traits {
    /// Thinking is `adaptive` with an effort; a budget is refused, and so are `temperature`, `top_p` and `top_k`. Since
    /// Claude Opus 4.7 and generation 5.
    pub(super) adaptive_only: bool,
    /// `temperature` and `top_p` exclude each other. Since generation 4.1.
    pub(super) one_sampler: bool,
}

pub(super) fn traits(model: &str) -> Traits {
    let Some((major, minor)) = claude_version(model) else {
        return Traits { adaptive_only: false, one_sampler: false };
    };
    let opus = model.contains("opus");
    Traits { adaptive_only: major >= 5 || (opus && (major, minor) >= (4, 7)), one_sampler: (major, minor) >= (4, 1) }
}

/// `claude-3-7-sonnet-20250219` is 3.7, `claude-opus-4-7` is 4.7, `claude-sonnet-4-20250514` is 4.0.
fn claude_version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.split_once("claude-")?;
    let mut words = name.split(['-', '.', '@', ':']).skip_while(|word| version_number(word).is_none());
    let major = version_number(words.next()?)?;
    Some((major, words.next().and_then(version_number).unwrap_or(0)))
}

/// One or two digits; a date has eight.
fn version_number(word: &str) -> Option<u32> {
    if word.len() > 2 { None } else { word.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_ids() {
        for (model, version) in [
            ("claude-3-7-sonnet-20250219", Some((3, 7))),
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-opus-4-7", Some((4, 7))),
            ("anthropic/claude-haiku-4.5", Some((4, 5))),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some((4, 5))),
            ("claude-fable-5", Some((5, 0))),
            ("claude-latest", None),
            ("MiniMax-M2", None),
        ] {
            assert_eq!(claude_version(model), version, "{model}");
        }
        assert!(traits("claude-opus-4-7").adaptive_only);
        assert!(!traits("claude-sonnet-4-6").adaptive_only);
        assert!(traits("claude-sonnet-4-6").one_sampler);
        assert!(!traits("claude-sonnet-4-20250514").one_sampler);
    }
}
