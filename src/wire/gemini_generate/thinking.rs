//! How much to think: efforts, budgets and levels, by the generation of the model.
//!
//! Gemini 2.5 takes `thinkingBudget` in tokens (0 is off, -1 lets the model decide; the Pro model cannot be switched off),
//! Gemini 3 and later `thinkingLevel`.

use crate::wire::ir::ReasoningEffort;

use super::path::plain_model;

/// Documented stand-in for the signature of a call that no Gemini model made ("Thought signatures", ai.google.dev).
pub(super) const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// What a model understands of thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// `thinkingBudget`. Also for names that tell nothing (tuned models): later models still take a budget.
    Budget { pro: bool },
    /// `thinkingLevel`, and signatures on function calls are required.
    Level { pro: bool, first: bool },
}

impl Generation {
    /// Reads the generation off a model's name: `gemini-3.1-pro-preview`, `gemini-flash-latest`.
    pub(super) fn of(model: &str) -> Generation {
        let name = plain_model(model);
        let pro = name.contains("pro");
        let Some(rest) = name.strip_prefix("gemini-") else { return Generation::Budget { pro } };
        let version = rest.split('-').next().unwrap_or_default();
        let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
        match major.parse::<u32>() {
            Ok(major) if major >= 3 => Generation::Level { pro, first: major == 3 && minor == "0" },
            Ok(_) => Generation::Budget { pro },
            // `gemini-pro-latest` and the like follow the newest generation.
            Err(_) if rest.ends_with("latest") => Generation::Level { pro, first: false },
            Err(_) => Generation::Budget { pro },
        }
    }

    /// Whether the first function call of a step must carry a signature.
    pub(super) fn wants_signatures(self) -> bool {
        matches!(self, Generation::Level { .. })
    }
}

/// The level for an effort. Pro models have no `MINIMAL`, the first of them (3.0) no `MEDIUM` either.
pub(super) fn level(effort: ReasoningEffort, pro: bool, first: bool) -> &'static str {
    match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal if pro => "LOW",
        ReasoningEffort::None | ReasoningEffort::Minimal => "MINIMAL",
        ReasoningEffort::Low => "LOW",
        ReasoningEffort::Medium if pro && first => "HIGH",
        ReasoningEffort::Medium => "MEDIUM",
        ReasoningEffort::High | ReasoningEffort::XHigh | ReasoningEffort::Max => "HIGH",
    }
}

/// The budget, in tokens, for an effort.
pub(super) fn budget(effort: ReasoningEffort, pro: bool) -> i64 {
    match effort {
        ReasoningEffort::None if pro => least_budget(pro),
        ReasoningEffort::None => 0,
        ReasoningEffort::Minimal => 512,
        ReasoningEffort::Low => 1024,
        ReasoningEffort::Medium => 8192,
        ReasoningEffort::High => 24_576,
        ReasoningEffort::XHigh | ReasoningEffort::Max => most_budget(pro),
    }
}

/// A budget within the model's limits; a negative one means that the model decides.
pub(super) fn clamp_budget(budget: i64, pro: bool) -> i64 {
    if budget < 0 { -1 } else { budget.clamp(least_budget(pro), most_budget(pro)) }
}

fn least_budget(pro: bool) -> i64 {
    if pro { 128 } else { 0 }
}

fn most_budget(pro: bool) -> i64 {
    if pro { 32_768 } else { 24_576 }
}

/// The effort that a budget comes closest to, `None` where the model is to decide.
pub(super) fn effort_of_budget(budget: i64) -> Option<ReasoningEffort> {
    match budget {
        ..0 => None,
        0 => Some(ReasoningEffort::None),
        1..=512 => Some(ReasoningEffort::Minimal),
        513..=2048 => Some(ReasoningEffort::Low),
        2049..=12_288 => Some(ReasoningEffort::Medium),
        _ => Some(ReasoningEffort::High),
    }
}

/// The effort that a `thinkingLevel` means, in either case of letters.
pub(super) fn effort_of_level(word: &str) -> Option<ReasoningEffort> {
    match word.to_ascii_uppercase().as_str() {
        "MINIMAL" => Some(ReasoningEffort::Minimal),
        "LOW" => Some(ReasoningEffort::Low),
        "MEDIUM" => Some(ReasoningEffort::Medium),
        "HIGH" => Some(ReasoningEffort::High),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_generation() {
        let cases = [
            ("gemini-2.5-pro", Generation::Budget { pro: true }),
            ("models/gemini-2.5-flash-lite", Generation::Budget { pro: false }),
            ("gemini-1.5-pro-002", Generation::Budget { pro: true }),
            ("gemini-3-pro-preview", Generation::Level { pro: true, first: true }),
            ("gemini-3.1-pro-preview", Generation::Level { pro: true, first: false }),
            ("gemini-3-flash-preview", Generation::Level { pro: false, first: true }),
            ("gemini-10-flash", Generation::Level { pro: false, first: false }),
            ("gemini-flash-latest", Generation::Level { pro: false, first: false }),
            ("gemma-3-27b-it", Generation::Budget { pro: false }),
        ];
        for (name, expected) in cases {
            assert_eq!(Generation::of(name), expected, "{name}");
        }
    }

    #[test]
    fn efforts_stay_within_what_a_model_can_do() {
        assert_eq!(level(ReasoningEffort::None, true, false), "LOW");
        assert_eq!(level(ReasoningEffort::None, false, false), "MINIMAL");
        assert_eq!(level(ReasoningEffort::Medium, true, true), "HIGH");
        assert_eq!(level(ReasoningEffort::Medium, true, false), "MEDIUM");
        assert_eq!(budget(ReasoningEffort::None, true), 128);
        assert_eq!(budget(ReasoningEffort::None, false), 0);
        assert_eq!(budget(ReasoningEffort::Max, true), 32_768);
        assert_eq!(clamp_budget(100_000, false), 24_576);
        assert_eq!(clamp_budget(-7, true), -1);
    }

    #[test]
    fn an_effort_survives_its_budget_and_its_level() {
        for effort in [ReasoningEffort::Minimal, ReasoningEffort::Low, ReasoningEffort::Medium, ReasoningEffort::High] {
            assert_eq!(effort_of_budget(budget(effort, false)), Some(effort));
            assert_eq!(effort_of_level(level(effort, false, false)), Some(effort));
        }
        assert_eq!(effort_of_level("low"), Some(ReasoningEffort::Low));
    }
}
