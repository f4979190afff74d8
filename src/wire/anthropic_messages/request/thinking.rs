//! How much to think, and how long an answer may be: Anthropic ties the two together, because thoughts count as output.

use super::super::model::Traits;
use super::encode::effort_word;
use crate::wire::Destination;
use crate::wire::ir::{LEAST_THINKING_BUDGET, ReasoningEffort, ReasoningRequest, Request};
use crate::wire::loss::Losses;

/// The limit of an answer's length where the caller gave none and the model's own is unknown, in tokens.
const DEFAULT_LENGTH: u64 = 4096;
/// The most that is asked for where the caller gave no limit: models with larger answers would hold the connection for hours.
const LENGTH_CEILING: u64 = 32_000;
/// The budget where the caller leaves it to the model.
const MODEL_DECIDES: u64 = 8192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    Unsaid,
    Disabled,
    /// The model decides, guided by an effort.
    Adaptive {
        effort: Option<&'static str>,
        /// Whether the thoughts are to be shown, where the caller said so; models differ in what they do unasked.
        shown: Option<bool>,
    },
    Budget(u64),
}

impl Thinking {
    pub(super) fn is_on(self) -> bool {
        matches!(self, Thinking::Adaptive { .. } | Thinking::Budget(_))
    }
}

/// What the conversation and the tools have to do with thinking.
pub(super) struct Circumstances {
    /// A tool call is forced.
    pub(super) forced_call: bool,
    /// See `Conversation::continues_without_thoughts`.
    pub(super) continues_without_thoughts: bool,
}

/// Decides `max_tokens` and `thinking`.
pub(super) fn plan(
    request: &Request,
    destination: &Destination<'_>,
    traits: Traits,
    circumstances: &Circumstances,
    losses: &mut Losses,
) -> (u64, Thinking) {
    let length = length(request, destination, losses);
    let Some(reasoning) = &request.reasoning else { return (length, Thinking::Unsaid) };
    reasoning.report_unmodelled(losses);
    let budget = match wanted(reasoning) {
        Wanted::Unsaid => return (length, Thinking::Unsaid),
        Wanted::Nothing if traits.thinks => return (length, Thinking::Disabled),
        Wanted::Nothing => return (length, Thinking::Unsaid),
        _ if !traits.thinks => {
            losses.dropped("reasoning_effort", "this model does not think");
            if reasoning.include == Some(true) {
                losses.dropped("reasoning.include", "this model does not think");
            }
            return (length, Thinking::Unsaid);
        }
        wanted if traits.adaptive_only => return (length, adaptive(wanted, reasoning, losses)),
        Wanted::Effort(effort) => effort.budget(),
        Wanted::Budget(budget) => {
            if reasoning.effort.is_some() {
                losses.emulated("reasoning_effort", "the budget of tokens beside it says how much to think");
            }
            budget.max(LEAST_THINKING_BUDGET)
        }
        Wanted::ModelDecides => MODEL_DECIDES,
    };
    if circumstances.forced_call {
        losses.dropped("reasoning_effort", "Anthropic cannot think with a budget before a forced tool call");
        return (length, Thinking::Disabled);
    }
    if circumstances.continues_without_thoughts {
        losses.dropped(
            "reasoning_effort",
            "the turn to be continued began without thoughts of Anthropic's, it goes on without",
        );
        return (length, Thinking::Disabled);
    }
    if !matches!(wanted(reasoning), Wanted::Budget(_)) {
        losses.emulated("reasoning_effort", "sent as a budget of thinking tokens");
    }
    if reasoning.include == Some(false) {
        losses.degraded("include_thoughts", "this model shows its thoughts whenever it thinks");
    }
    fit(budget, length, request, destination, losses)
}

fn length(request: &Request, destination: &Destination<'_>, losses: &mut Losses) -> u64 {
    match (request.sampling.max_tokens, destination.max_output_tokens) {
        (Some(given), Some(most)) if given.value > most => {
            losses.degraded("max_tokens", format!("the model gives at most {most} tokens"));
            most
        }
        (Some(given), _) => given.value,
        (None, most) => {
            let length = most.map_or(DEFAULT_LENGTH, |most| most.min(LENGTH_CEILING));
            losses.emulated("max_tokens", format!("Anthropic requires a limit; {length} is sent"));
            length
        }
    }
}

enum Wanted {
    Unsaid,
    Nothing,
    Effort(ReasoningEffort),
    Budget(u64),
    ModelDecides,
}

fn wanted(reasoning: &ReasoningRequest) -> Wanted {
    match (reasoning.effort, reasoning.budget.map(u64::try_from), reasoning.include) {
        (Some(ReasoningEffort::None), _, _) | (None, Some(Ok(0)), _) => Wanted::Nothing,
        (_, Some(Ok(budget)), _) if budget > 0 => Wanted::Budget(budget),
        (Some(effort), _, _) => Wanted::Effort(effort),
        (None, Some(_), _) | (None, None, Some(true)) => Wanted::ModelDecides,
        (None, None, _) => Wanted::Unsaid,
    }
}

fn adaptive(wanted: Wanted, reasoning: &ReasoningRequest, losses: &mut Losses) -> Thinking {
    let effort = match wanted {
        Wanted::Effort(effort) => effort_word(effort),
        Wanted::Budget(budget) => {
            losses.degraded("reasoning.budget", "this model takes an effort in place of a budget of tokens");
            Some(match budget {
                0..=2048 => "low",
                2049..=10_000 => "medium",
                10_001..=20_000 => "high",
                _ => "max",
            })
        }
        Wanted::ModelDecides | Wanted::Nothing | Wanted::Unsaid => None,
    };
    Thinking::Adaptive { effort, shown: reasoning.include }
}

/// Makes the budget smaller than the length: by a longer answer where the caller named no limit, else by less thinking, and
/// where the limit leaves no room for the least budget, by a longer answer after all.
fn fit(
    budget: u64,
    length: u64,
    request: &Request,
    destination: &Destination<'_>,
    losses: &mut Losses,
) -> (u64, Thinking) {
    let most = destination.max_output_tokens.unwrap_or(u64::MAX);
    let length = match request.sampling.max_tokens {
        None => length.max(budget.saturating_add(DEFAULT_LENGTH)).min(most),
        Some(_) => length,
    };
    if budget < length {
        return (length, Thinking::Budget(budget));
    }
    let share = length / 4 * 3;
    if share >= LEAST_THINKING_BUDGET {
        losses
            .degraded("reasoning_effort", format!("the thinking budget is {share} tokens, to stay below `max_tokens`"));
        return (length, Thinking::Budget(share));
    }
    let longer = length.saturating_add(LEAST_THINKING_BUDGET);
    if longer > most {
        losses.dropped("reasoning_effort", "the model's answers are too short to think in");
        return (length, Thinking::Disabled);
    }
    losses.degraded(
        "max_tokens",
        format!("raised to {longer}: the least thinking budget, {LEAST_THINKING_BUDGET} tokens, counts"),
    );
    (longer, Thinking::Budget(LEAST_THINKING_BUDGET))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ProtocolId;
    use crate::wire::ir::{MaxTokens, MaxTokensSpelling, Sampling};
    use crate::wire::json::Ext;
    use crate::wire::quirk::Quirks;

    const OLD: Traits =
        Traits { thinks: true, adaptive_only: false, one_sampler: true, schemas: true, forced_calls: true };
    const NEW: Traits = Traits { adaptive_only: true, ..OLD };
    const CALM: Circumstances = Circumstances { forced_call: false, continues_without_thoughts: false };

    fn planned(
        effort: ReasoningEffort,
        given: Option<u64>,
        most: Option<u64>,
        traits: Traits,
        now: &Circumstances,
    ) -> (u64, Thinking, String) {
        let max_tokens = given.map(|value| MaxTokens { value, spelling: MaxTokensSpelling::Current });
        let reasoning = ReasoningRequest { effort: Some(effort), ..ReasoningRequest::default() };
        let request = Request {
            origin: ProtocolId::OpenAiChat,
            model: "m".into(),
            stream: false,
            stream_given: false,
            include_usage: None,
            messages: Vec::new(),
            tools: None,
            tool_choice: None,
            parallel_tool_calls: None,
            sampling: Sampling { max_tokens, ..Sampling::default() },
            reasoning: Some(reasoning),
            output: None,
            user: None,
            metadata: None,
            ext: Ext::default(),
        };
        let quirks = Quirks::default();
        let destination = Destination { model: "m", quirks: &quirks, max_output_tokens: most };
        let mut losses = Losses::default();
        let (length, thinking) = plan(&request, &destination, traits, now, &mut losses);
        (length, thinking, losses.to_string())
    }

    #[test]
    fn the_budget_is_always_less_than_the_length() {
        use ReasoningEffort::{High, Low, Max, Medium, Minimal, XHigh};
        for effort in [Minimal, Low, Medium, High, XHigh, Max] {
            for given in [None, Some(1), Some(500), Some(1024), Some(1400), Some(4096), Some(16_384), Some(100_000)] {
                for most in [None, Some(1024), Some(4096), Some(64_000)] {
                    let (length, thinking, losses) = planned(effort, given, most, OLD, &CALM);
                    match thinking {
                        Thinking::Budget(budget) => {
                            assert!((1024..length).contains(&budget), "{effort:?} {given:?} {most:?}")
                        }
                        _ => assert!(losses.contains("reasoning_effort=dropped"), "{effort:?} {given:?} {most:?}"),
                    }
                    assert!(length <= most.unwrap_or(u64::MAX));
                }
            }
        }
    }

    #[test]
    fn a_generous_limit_leaves_the_budget_as_the_table_has_it() {
        assert_eq!(
            planned(ReasoningEffort::High, Some(64_000), None, OLD, &CALM),
            (64_000, Thinking::Budget(16_384), "reasoning_effort=emulated".into())
        );
        assert_eq!(planned(ReasoningEffort::Medium, None, None, OLD, &CALM).0, 8192 + 4096);
        assert_eq!(planned(ReasoningEffort::Low, Some(500), None, OLD, &CALM).0, 1524);
    }

    #[test]
    fn a_model_that_cannot_think_is_not_asked_to() {
        let dull = Traits { thinks: false, ..OLD };
        let (_, thinking, losses) = planned(ReasoningEffort::High, Some(100), None, dull, &CALM);
        assert_eq!((thinking, losses.as_str()), (Thinking::Unsaid, "reasoning_effort=dropped"));
        assert_eq!(planned(ReasoningEffort::None, Some(100), None, dull, &CALM).1, Thinking::Unsaid);
    }

    #[test]
    fn newer_models_take_an_effort() {
        let (_, thinking, losses) = planned(ReasoningEffort::XHigh, Some(100), None, NEW, &CALM);
        assert_eq!((thinking, losses.as_str()), (Thinking::Adaptive { effort: Some("xhigh"), shown: None }, ""));
    }

    #[test]
    fn a_forced_call_or_a_foreign_turn_is_not_thought_about() {
        for now in [
            Circumstances { forced_call: true, continues_without_thoughts: false },
            Circumstances { forced_call: false, continues_without_thoughts: true },
        ] {
            let (_, thinking, losses) = planned(ReasoningEffort::Low, Some(9000), None, OLD, &now);
            assert_eq!((thinking, losses.as_str()), (Thinking::Disabled, "reasoning_effort=dropped"));
        }
        assert_eq!(planned(ReasoningEffort::None, Some(9), None, OLD, &CALM).1, Thinking::Disabled);
    }
}
