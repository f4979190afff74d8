//! What Claude models allow, told by their ids. An id that is no Claude's (other vendors speak this protocol too) is taken
//! to allow what the protocol allows.

/// What a model allows of the members whose meaning changed between generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traits {
    /// It can think. Since 3.7.
    pub(super) thinks: bool,
    /// Thinking is `adaptive` with an effort; a budget is refused, and so are `temperature`, `top_p` and `top_k`. Since
    /// Claude Opus 4.7 and generation 5.
    pub(super) adaptive_only: bool,
    /// `temperature` and `top_p` exclude each other. Since 4.1.
    pub(super) one_sampler: bool,
    /// `output_config.format` takes a schema. Since 4.1.
    pub(super) schemas: bool,
    /// A tool call can be forced. Not in the Fable and Mythos families.
    pub(super) forced_calls: bool,
}

pub(super) fn traits(model: &str) -> Traits {
    let always_thinks = model.contains("claude-fable") || model.contains("claude-mythos");
    let Some(version) = claude_version(model) else {
        return Traits {
            thinks: true,
            adaptive_only: always_thinks,
            one_sampler: always_thinks,
            schemas: true,
            forced_calls: !always_thinks,
        };
    };
    Traits {
        thinks: version >= (3, 7),
        adaptive_only: always_thinks || version >= (5, 0) || (model.contains("opus") && version >= (4, 7)),
        one_sampler: version >= (4, 1),
        schemas: version >= (4, 1),
        forced_calls: !always_thinks,
    }
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
    }

    #[test]
    fn generations_differ() {
        let old = traits("claude-3-5-haiku-20241022");
        assert!(!old.thinks && !old.schemas && !old.one_sampler && old.forced_calls);
        let middle = traits("claude-sonnet-4-6");
        assert!(middle.thinks && middle.schemas && middle.one_sampler && !middle.adaptive_only);
        assert!(traits("claude-opus-4-7").adaptive_only);
        for always in ["claude-fable-5", "claude-mythos-preview"] {
            assert!(traits(always).adaptive_only && !traits(always).forced_calls, "{always}");
        }
        let other = traits("MiniMax-M2");
        assert!(other.thinks && other.schemas && !other.one_sampler && !other.adaptive_only);
    }
}
