//! What the models behind Converse allow, told by their ids. An id that tells nothing (the ARN of an application's profile)
//! is taken to allow what the protocol allows.

/// Whose words `additionalModelRequestFields` are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's Claude, by its version.
    Claude(u32, u32),
    /// Amazon's Nova.
    Nova,
    /// OpenAI's open-weight models.
    OpenAi,
    Other,
    /// An ARN that names no model.
    Unknown,
}

pub(super) fn family(model: &str) -> Family {
    if let Some((_, name)) = model.split_once("claude") {
        let (major, minor) = version(name).unwrap_or((0, 0));
        Family::Claude(major, minor)
    } else if model.contains("nova") {
        Family::Nova
    } else if model.contains("openai.") {
        Family::OpenAi
    } else if model.starts_with("arn:") {
        Family::Unknown
    } else {
        Family::Other
    }
}

/// `-3-7-sonnet-20250219-v1:0` is 3.7, `-sonnet-4-20250514` is 4.0. A date has eight digits.
fn version(name: &str) -> Option<(u32, u32)> {
    let number = |word: &str| if word.len() > 2 { None } else { word.parse().ok() };
    let mut words = name.split(['-', '.', ':']).skip_while(|word| number(word).is_none());
    let major = number(words.next()?)?;
    Some((major, words.next().and_then(number).unwrap_or(0)))
}

impl Family {
    pub(super) fn is_claude(self) -> bool {
        matches!(self, Family::Claude(..))
    }

    /// Whether it takes cache points; the others refuse the whole request.
    pub(super) fn caches(self) -> bool {
        matches!(self, Family::Claude(..) | Family::Nova | Family::Unknown)
    }

    /// Whether a cache point may ask for an hour.
    pub(super) fn caches_for_an_hour(self) -> bool {
        matches!(self, Family::Claude(major, minor) if (major, minor) >= (4, 5))
    }

    /// Whether `outputConfig` takes a schema.
    pub(super) fn takes_schemas(self) -> bool {
        !matches!(self, Family::Claude(major, minor) if (major, minor) < (4, 5)) && self != Family::Nova
    }

    /// Whether it thinks with a budget of tokens.
    pub(super) fn thinks_with_budget(self) -> bool {
        matches!(self, Family::Claude(major, minor) if (major, minor) >= (3, 7)) && !self.thinks_with_effort()
    }

    /// Whether it takes an effort instead, as Claude does since generation 5.
    pub(super) fn thinks_with_effort(self) -> bool {
        matches!(self, Family::Claude(major, _) if major >= 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_read_from_ids() {
        for (model, expected) in [
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", Family::Claude(3, 7)),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Family::Claude(4, 0)),
            ("global.anthropic.claude-haiku-4-5-20251001-v1:0", Family::Claude(4, 5)),
            ("us.amazon.nova-pro-v1:0", Family::Nova),
            ("openai.gpt-oss-120b-1:0", Family::OpenAi),
            ("meta.llama3-1-8b-instruct-v1:0", Family::Other),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", Family::Unknown),
        ] {
            assert_eq!(family(model), expected, "{model}");
        }
    }
}
