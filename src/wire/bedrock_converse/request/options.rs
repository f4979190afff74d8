//! Limits, sampling, thinking, the form of the answer, and what has no place.

use serde_json::Number;

use super::super::model::Family;
use super::conversation::Conversation;
use super::own;
use super::tools::Tools;
use crate::wire::ir::{LEAST_THINKING_BUDGET, OutputFormat, ReasoningEffort, ReasoningRequest, Request};
use crate::wire::json::{self, ObjectWriter};
use crate::wire::loss::Losses;

/// Room for the answer behind the thoughts, in tokens, where the caller named no limit.
const ANSWER: u64 = 4096;

pub(super) struct Options<'a> {
    request: &'a Request,
    family: Family,
    max_tokens: Option<u64>,
    temperature: Option<Number>,
    top_p: Option<Number>,
    top_k: Option<&'a Number>,
    stop: Vec<&'a String>,
    thinking: Thinking,
    user: Option<&'a str>,
    metadata: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thinking {
    Unsaid,
    Disabled,
    Budget(u64),
    /// Claude's word for an effort.
    Effort(&'static str),
    /// OpenAI's.
    ReasoningEffort(&'static str),
}

pub(super) fn plan<'a>(
    request: &'a Request,
    family: Family,
    around: (&Conversation<'_>, &Tools<'_>),
    losses: &mut Losses,
) -> Options<'a> {
    let sampling = &request.sampling;
    report_form(request, losses);
    let mut options = Options {
        request,
        family,
        max_tokens: sampling.max_tokens.map(|limit| limit.value),
        temperature: sampling.temperature.clone(),
        top_p: sampling.top_p.clone(),
        top_k: sampling.top_k.as_ref(),
        stop: sampling.stop.iter().flatten().filter(|text| !text.trim().is_empty()).collect(),
        thinking: Thinking::Unsaid,
        user: request.user.as_deref().filter(|user| is_metadata(user)),
        metadata: metadata(request, losses),
    };
    if let Some(reasoning) = &request.reasoning {
        options.think(reasoning, around, losses);
    }
    options.limit_sampling(losses);
    report(request, &options, losses);
    options
}

impl Options<'_> {
    fn think(&mut self, reasoning: &ReasoningRequest, around: (&Conversation<'_>, &Tools<'_>), losses: &mut Losses) {
        reasoning.report_unmodelled(losses);
        let budget = reasoning.budget.and_then(|budget| u64::try_from(budget).ok());
        let wanted = match (reasoning.effort, budget) {
            (Some(ReasoningEffort::None), _) | (None, Some(0)) => {
                self.thinking = if self.family.thinks_with_budget() { Thinking::Disabled } else { Thinking::Unsaid };
                // Claude can be told how hard to try without thinking; here an effort would turn the thoughts on.
                if reasoning.effort.is_some_and(|effort| effort != ReasoningEffort::None) {
                    losses.dropped("reasoning_effort", "thinking is turned off");
                }
                return;
            }
            (_, Some(budget)) if budget > 0 => budget.max(LEAST_THINKING_BUDGET),
            (Some(effort), _) => effort.budget(),
            (None, _) if reasoning.budget.is_some() || reasoning.include == Some(true) => 8192,
            (None, _) => return,
        };
        if reasoning.include == Some(false) {
            losses.degraded("reasoning.include", "Converse shows thoughts whenever the model thinks");
        }
        let word = match wanted {
            0..=2048 => "low",
            2049..=10_000 => "medium",
            _ => "high",
        };
        if self.family == Family::OpenAi {
            self.thinking = Thinking::ReasoningEffort(word);
        } else if self.family.thinks_with_effort() {
            self.thinking = Thinking::Effort(word);
        } else if self.family.thinks_with_budget() {
            return self.budget(wanted, around, losses);
        } else {
            if reasoning.include == Some(true) {
                losses.dropped("reasoning.include", "this model is not known to think");
            }
            return losses.dropped("reasoning_effort", "this model is not known to think");
        }
        losses.degraded("reasoning_effort", "sent as one of three efforts");
    }

    /// Thinks with a budget, which must be less than the limit of the answer.
    fn budget(&mut self, wanted: u64, (conversation, tools): (&Conversation<'_>, &Tools<'_>), losses: &mut Losses) {
        self.thinking = Thinking::Disabled;
        if tools.forces() {
            return losses.dropped("reasoning_effort", "Claude cannot think with a budget before a forced tool call");
        }
        if conversation.continues_without_thoughts() {
            return losses.dropped(
                "reasoning_effort",
                "the turn to be continued began without signed thoughts, it goes on without",
            );
        }
        let limit = *self.max_tokens.get_or_insert(wanted.saturating_add(ANSWER));
        let budget = if wanted < limit { wanted } else { limit / 4 * 3 };
        if budget < LEAST_THINKING_BUDGET {
            return losses.dropped("reasoning_effort", "`max_tokens` leaves no room for the least thinking budget");
        }
        if budget < wanted {
            losses.degraded(
                "reasoning_effort",
                format!("the thinking budget is {budget} tokens, to stay below `max_tokens`"),
            );
        } else if self
            .request
            .reasoning
            .as_ref()
            .is_some_and(|reasoning| reasoning.budget.is_none_or(|tokens| tokens < 0))
        {
            losses.emulated("reasoning_effort", "sent as a budget of thinking tokens");
        }
        self.thinking = Thinking::Budget(budget);
    }

    fn limit_sampling(&mut self, losses: &mut Losses) {
        // The service refuses more, whatever the model would take (InferenceConfiguration of its model).
        if let Some(temperature) =
            self.temperature.as_mut().filter(|value| value.as_f64().is_some_and(|value| value > 1.0))
        {
            losses.degraded("temperature", "Converse's temperature ends at 1");
            *temperature = Number::from(1);
        }
        if !self.family.is_claude() {
            return;
        }
        let thinks =
            matches!(self.thinking, Thinking::Budget(_) | Thinking::Effort(_)) || self.family.thinks_with_effort();
        let mut leave_out = |member: &'static str, value: &mut Option<Number>, reason: &'static str| {
            if value.take().is_some_and(|value| value.as_f64() != Some(1.0)) {
                losses.dropped(member, reason);
            }
        };
        if thinks {
            leave_out("temperature", &mut self.temperature, "this model takes none, or none while it thinks");
            leave_out("top_p", &mut self.top_p, "this model takes none, or none while it thinks");
            if self.top_k.take().is_some() {
                losses.dropped("top_k", "this model takes none, or none while it thinks");
            }
        } else if matches!(self.family, Family::Claude(major, minor) if (major, minor) >= (4, 1))
            && self.temperature.is_some()
        {
            leave_out("top_p", &mut self.top_p, "this model takes either `temperature` or `top_p`");
        }
    }

    pub(super) fn write(&self, body: &mut ObjectWriter<'_>) {
        if self.max_tokens.is_some() || self.temperature.is_some() || self.top_p.is_some() || !self.stop.is_empty() {
            body.object("inferenceConfig", |config| {
                config.optional("maxTokens", &self.max_tokens);
                config.optional("temperature", &self.temperature);
                config.optional("topP", &self.top_p);
                if !self.stop.is_empty() {
                    config.field("stopSequences", &self.stop);
                }
            });
        }
        if self.top_k.is_some() || self.thinking != Thinking::Unsaid {
            body.object("additionalModelRequestFields", |fields| self.write_fields(fields));
        }
        if self.family.is_claude() && !self.stop.is_empty() {
            body.field("additionalModelResponseFieldPaths", &["/stop_sequence"]);
        }
        self.write_schema(body);
        if self.user.is_some() || !self.metadata.is_empty() {
            body.object("requestMetadata", |metadata| {
                metadata.optional("user_id", &self.user);
                self.metadata.iter().for_each(|(key, value)| metadata.field(key, value));
            });
        }
    }

    fn write_fields(&self, fields: &mut ObjectWriter<'_>) {
        match (self.top_k, self.family) {
            (Some(top_k), Family::Nova) => fields.object("inferenceConfig", |config| config.field("topK", top_k)),
            (Some(top_k), _) => fields.field("top_k", top_k),
            (None, _) => {}
        }
        match self.thinking {
            Thinking::Unsaid => {}
            Thinking::Disabled => fields.object("thinking", |thinking| thinking.field("type", "disabled")),
            Thinking::Budget(budget) => fields.object("thinking", |thinking| {
                thinking.field("type", "enabled");
                thinking.field("budget_tokens", &budget);
            }),
            Thinking::Effort(effort) => {
                fields.object("thinking", |thinking| thinking.field("type", "adaptive"));
                fields.object("output_config", |config| config.field("effort", effort));
            }
            Thinking::ReasoningEffort(effort) => fields.field("reasoning_effort", effort),
        }
    }

    fn write_schema(&self, body: &mut ObjectWriter<'_>) {
        let Some(OutputFormat::Schema { name, description, schema, .. }) = &self.request.output else { return };
        let description = description.as_deref().filter(|text| !text.is_empty());
        body.object("outputConfig", |config| own::write_schema(name.as_deref(), description, schema, config));
    }
}

/// Reports what of the form `outputConfig` does not say. That this model has it is settled before (`wire::structured`).
fn report_form(request: &Request, losses: &mut Losses) {
    match &request.output {
        None | Some(OutputFormat::Text) => {}
        Some(OutputFormat::Json) => losses.dropped("response_format", "Converse has no JSON mode"),
        Some(OutputFormat::Schema { strict, .. }) => {
            if *strict == Some(false) {
                losses.dropped("response_format.json_schema.strict", "Converse always keeps to the schema");
            }
        }
    }
}

/// What of the caller's metadata `requestMetadata` takes: texts, sixteen of them together with the user's name.
fn metadata(request: &Request, losses: &mut Losses) -> Vec<(String, String)> {
    const MOST: usize = 16;
    let Some(given) = request.metadata.as_deref().filter(|metadata| !json::says_nothing(metadata)) else {
        return Vec::new();
    };
    let object = json::Object::of(given).ok();
    let members = object.as_ref().map(|object| object.members()).unwrap_or_default();
    let user = request.user.is_some();
    let fitting = members.iter().filter_map(|member| {
        let value = json::str_of(member.value)?;
        let fits = !member.key.is_empty() && is_metadata(&member.key) && is_metadata(&value);
        (fits && !(user && member.key == "user_id")).then(|| (member.key.to_string(), value.into_owned()))
    });
    let taken: Vec<(String, String)> = fitting.take(MOST - usize::from(user)).collect();
    if taken.len() < members.len() || object.is_none() {
        losses.degraded("metadata", "Converse takes 16 short texts of letters, digits and a few signs");
    }
    taken
}

/// Whether `requestMetadata` takes the text as a value.
fn is_metadata(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":_@$#=/+,-.".contains(c);
    text.len() <= 256 && text.chars().all(legal)
}

fn report(request: &Request, options: &Options<'_>, losses: &mut Losses) {
    let sampling = &request.sampling;
    let not_zero = |number: &Option<Number>| number.as_ref().is_some_and(|number| number.as_f64() != Some(0.0));
    for (member, given) in [
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", not_zero(&sampling.frequency_penalty)),
        ("presence_penalty", not_zero(&sampling.presence_penalty)),
        ("n", sampling.candidates.is_some_and(|count| count != 1)),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|count| count > 0)),
        ("user", request.user.is_some() && options.user.is_none()),
        ("stop", sampling.stop.as_ref().is_some_and(|stop| stop.len() > options.stop.len())),
    ] {
        if given {
            losses.dropped(member, "Converse has no place for it");
        }
    }
    losses.dropped_ext("", &request.ext);
}
