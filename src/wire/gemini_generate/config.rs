//! `generationConfig`: sampling, limits, the form of the answer, thinking.

use serde_json::Number;
use serde_json::value::RawValue;

use super::{member, note, schema, thinking};
use crate::wire::ProtocolId;
use crate::wire::ir::{
    MaxTokens, MaxTokensSpelling, OutputFormat, ReasoningEffort, ReasoningRequest, Request, Sampling, StopShape,
};
use crate::wire::json::{self, Ext, JsonError, Object, ObjectWriter};
use crate::wire::loss::Losses;

/// Most stop texts that Gemini takes.
const MOST_STOPS: usize = 5;
const MIME_TYPE: &str = "generationConfig.responseMimeType";
const JSON_TYPE: &str = "application/json";
const TEXT_TYPE: &str = "text/plain";

/// What a `generationConfig` says.
#[derive(Default)]
pub(super) struct Config {
    pub(super) sampling: Sampling,
    pub(super) output: Option<OutputFormat>,
    pub(super) reasoning: Option<ReasoningRequest>,
}

/// Reads `generationConfig`; what is not modelled goes to `ext`.
///
/// # Errors
/// A value of the wrong type.
pub(super) fn decode(mut config: Object<'_>, ext: &mut Ext) -> Result<Config, JsonError> {
    let was_empty = config.members().is_empty();
    let decoded = Config {
        output: decode_output(&mut config, ext)?,
        reasoning: member::object(&mut config, "thinkingConfig")?.map(decode_thinking).transpose()?,
        sampling: decode_sampling(&mut config)?,
    };
    note::keep(ext, note::GENERATION_CONFIG, config, was_empty);
    Ok(decoded)
}

fn decode_sampling(config: &mut Object<'_>) -> Result<Sampling, JsonError> {
    let value: Option<u64> = member::read(config, "maxOutputTokens", "a whole number")?;
    Ok(Sampling {
        max_tokens: value.map(|value| MaxTokens { value, spelling: MaxTokensSpelling::Current }),
        temperature: number(config, "temperature")?,
        top_p: number(config, "topP")?,
        top_k: number(config, "topK")?,
        stop: member::read(config, "stopSequences", "a list of texts")?,
        stop_shape: StopShape::List,
        seed: number(config, "seed")?,
        frequency_penalty: number(config, "frequencyPenalty")?,
        presence_penalty: number(config, "presencePenalty")?,
        candidates: member::read(config, "candidateCount", "a whole number")?,
        logprobs: member::read(config, "responseLogprobs", "true or false")?,
        top_logprobs: member::read(config, "logprobs", "a whole number")?,
    })
}

fn number(config: &mut Object<'_>, name: &str) -> Result<Option<Number>, JsonError> {
    member::read(config, name, "a number")
}

/// The form of the answer: a schema in `responseJsonSchema` or `responseSchema`, or a media type alone.
fn decode_output(config: &mut Object<'_>, ext: &mut Ext) -> Result<Option<OutputFormat>, JsonError> {
    let mime = member::take(config, "responseMimeType");
    let word = mime.map(|mime| json::read::<String>(mime, "responseMimeType", "a string")).transpose()?;
    let schema = decode_schema(config, ext);
    let is_json = word.as_deref() == Some(JSON_TYPE);
    if let Some(mime) = mime.filter(|_| !is_json && (schema.is_some() || word.as_deref() != Some(TEXT_TYPE))) {
        ext.0.push((MIME_TYPE.to_owned(), mime.to_owned()));
    }
    Ok(match (schema, word.as_deref()) {
        (Some(schema), _) => Some(OutputFormat::Schema { name: None, description: None, schema, strict: None }),
        (None, Some(JSON_TYPE)) => Some(OutputFormat::Json),
        (None, Some(TEXT_TYPE)) => Some(OutputFormat::Text),
        (None, _) => None,
    })
}

/// Removes what [`decode`] kept of the form's spelling.
pub(super) fn forget_output(ext: &mut Ext) {
    ext.0
        .retain(|(key, _)| ![MIME_TYPE, note::RESPONSE_SCHEMA, note::RESPONSE_SCHEMA_CAPITALS].contains(&key.as_str()));
}

fn decode_schema(config: &mut Object<'_>, ext: &mut Ext) -> Option<Box<RawValue>> {
    if let Some(schema) = member::take(config, "responseJsonSchema") {
        return Some(schema.to_owned());
    }
    let openapi = member::take(config, "responseSchema")?;
    note::add(ext, note::RESPONSE_SCHEMA);
    let lowered = schema::lowered(openapi);
    if lowered.is_some() {
        note::add(ext, note::RESPONSE_SCHEMA_CAPITALS);
    }
    Some(lowered.unwrap_or_else(|| openapi.to_owned()))
}

fn decode_thinking(mut config: Object<'_>) -> Result<ReasoningRequest, JsonError> {
    let budget = member::read(&mut config, "thinkingBudget", "a whole number")?;
    let include = member::read(&mut config, "includeThoughts", "true or false")?;
    let level = member::take(&mut config, "thinkingLevel");
    let word = level.and_then(json::str_of);
    let effort = word.as_deref().and_then(thinking::effort_of_level);
    let mut ext = config.rest();
    match (level, word.as_deref()) {
        (Some(level), None) => ext.0.push(("thinkingLevel".to_owned(), level.to_owned())),
        (Some(level), Some(word)) if effort.is_none() || word.chars().any(char::is_lowercase) => {
            if effort.is_some() && word.chars().all(char::is_lowercase) {
                note::add(&mut ext, note::SMALL_LEVEL);
            } else {
                ext.0.push(("thinkingLevel".to_owned(), level.to_owned()));
            }
        }
        _ => {}
    }
    Ok(ReasoningRequest { effort, budget, include, ext })
}

/// Writes `generationConfig`, where there is anything to write.
pub(super) fn encode(request: &Request, model: &str, w: &mut ObjectWriter<'_>, losses: &mut Losses) {
    let native = request.origin == ProtocolId::Gemini;
    let none = Ext::default();
    let ext = if native { &request.ext } else { &none };
    let mut out = Vec::new();
    json::object(&mut out, |w| {
        encode_sampling(&request.sampling, native, w, losses);
        encode_output(request.output.as_ref(), ext, w, losses);
        match &request.reasoning {
            Some(reasoning) if native => encode_thinking(reasoning, w),
            Some(reasoning) => encode_foreign_thinking(reasoning, model, w, losses),
            None => {}
        }
        note::write_under(w, ext, note::GENERATION_CONFIG, &[]);
    });
    if out != b"{}" || note::has(ext, note::GENERATION_CONFIG) {
        w.key("generationConfig").extend_from_slice(&out);
    }
}

fn encode_sampling(sampling: &Sampling, native: bool, w: &mut ObjectWriter<'_>, losses: &mut Losses) {
    w.optional("maxOutputTokens", &sampling.max_tokens.map(|limit| limit.value));
    w.optional("temperature", &sampling.temperature);
    w.optional("topP", &sampling.top_p);
    w.optional("topK", &sampling.top_k);
    if let Some(stop) = &sampling.stop {
        let most = if native { stop.len() } else { stop.len().min(MOST_STOPS) };
        if most < stop.len() {
            losses.degraded("stop", "Gemini takes 5 stop texts; the first 5 are sent");
        }
        w.field("stopSequences", stop.get(..most).unwrap_or_default());
    }
    match &sampling.seed {
        Some(seed) if !native && !is_int32(seed) => {
            losses.dropped("seed", "Gemini takes seeds of 32 bits");
        }
        seed => w.optional("seed", seed),
    }
    w.optional("frequencyPenalty", &sampling.frequency_penalty);
    w.optional("presencePenalty", &sampling.presence_penalty);
    w.optional("candidateCount", &sampling.candidates);
    let asked =
        if native { sampling.logprobs } else { sampling.logprobs.or(sampling.wants_logprobs().then_some(true)) };
    w.optional("responseLogprobs", &asked);
    w.optional("logprobs", &sampling.top_logprobs);
}

fn is_int32(seed: &Number) -> bool {
    seed.as_i64().is_some_and(|seed| i32::try_from(seed).is_ok())
}

/// As with tools, a foreign schema goes to the member that takes JSON Schema as it is.
fn encode_output(output: Option<&OutputFormat>, ext: &Ext, w: &mut ObjectWriter<'_>, losses: &mut Losses) {
    let kept_type = ext.get(MIME_TYPE).is_some();
    match output {
        None => {}
        Some(OutputFormat::Text) => w.field("responseMimeType", TEXT_TYPE),
        Some(OutputFormat::Json) => w.field("responseMimeType", JSON_TYPE),
        Some(OutputFormat::Schema { description, schema, .. }) => {
            if description.is_some() {
                losses.dropped("json_schema.description", "Gemini reads only the schema's own description");
            }
            if !kept_type {
                w.field("responseMimeType", JSON_TYPE);
            }
            if !note::has(ext, note::RESPONSE_SCHEMA) {
                return w.raw("responseJsonSchema", schema);
            }
            let raised = note::has(ext, note::RESPONSE_SCHEMA_CAPITALS).then(|| schema::raised(schema)).flatten();
            w.raw("responseSchema", raised.as_deref().unwrap_or(schema));
        }
    }
}

fn encode_thinking(reasoning: &ReasoningRequest, w: &mut ObjectWriter<'_>) {
    w.object("thinkingConfig", |w| {
        w.optional("thinkingBudget", &reasoning.budget);
        w.optional("includeThoughts", &reasoning.include);
        if let Some(effort) = reasoning.effort.filter(|_| reasoning.ext.get("thinkingLevel").is_none()) {
            let level = thinking::level(effort, false, false);
            if note::has(&reasoning.ext, note::SMALL_LEVEL) {
                w.field("thinkingLevel", &level.to_ascii_lowercase());
            } else {
                w.field("thinkingLevel", level);
            }
        }
        note::write_top(w, &reasoning.ext, &[]);
    });
}

/// Thinking as another protocol asked for it, in the words of the model's generation.
fn encode_foreign_thinking(reasoning: &ReasoningRequest, model: &str, w: &mut ObjectWriter<'_>, losses: &mut Losses) {
    reasoning.report_unmodelled(losses);
    let asked = reasoning.budget.is_some_and(|budget| budget != 0);
    // A caller that buys thoughts by the token (Anthropic) expects to see them.
    let include = reasoning.include.or(asked.then_some(true));
    if reasoning.effort.is_none() && reasoning.budget.is_none() && include.is_none() {
        return;
    }
    w.object("thinkingConfig", |w| {
        match thinking::Generation::of(model) {
            thinking::Generation::Budget { pro } => write_budget(reasoning, pro, w, losses),
            thinking::Generation::Level { pro, first } => write_level(reasoning, pro, first, w, losses),
        }
        w.optional("includeThoughts", &include);
    });
}

fn write_budget(reasoning: &ReasoningRequest, pro: bool, w: &mut ObjectWriter<'_>, losses: &mut Losses) {
    let wanted = reasoning.budget.or_else(|| reasoning.effort.map(|effort| thinking::budget(effort, pro)));
    let Some(wanted) = wanted else { return };
    let budget = thinking::clamp_budget(wanted, pro);
    if budget != wanted && wanted >= 0 {
        losses.degraded("reasoning.budget", format!("the model's limit is {budget} tokens, which is sent"));
    }
    if pro && (reasoning.effort == Some(ReasoningEffort::None) || wanted == 0) {
        losses.degraded("reasoning", format!("this model cannot stop thinking; its least budget, {budget}, is sent"));
    }
    w.field("thinkingBudget", &budget);
}

fn write_level(reasoning: &ReasoningRequest, pro: bool, first: bool, w: &mut ObjectWriter<'_>, losses: &mut Losses) {
    let effort = reasoning.effort.or_else(|| thinking::effort_of_budget(reasoning.budget?));
    let Some(effort) = effort else {
        if reasoning.budget.is_some() {
            losses.emulated("reasoning.budget", "a model that is told nothing thinks as much as it deems right");
        }
        return;
    };
    let level = thinking::level(effort, pro, first);
    if reasoning.budget.is_some() && reasoning.effort.is_none() {
        losses.degraded("reasoning.budget", format!("this model takes levels, not tokens; `{level}` is sent"));
    } else if thinking::effort_of_level(level) != Some(effort) {
        losses.degraded("reasoning.effort", format!("this model has no such level; `{level}` is sent"));
    }
    w.field("thinkingLevel", level);
}
