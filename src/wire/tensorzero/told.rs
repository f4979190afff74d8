//! What an answer tells of itself beside the model's words.

use std::fmt;

use super::raw::{FailedTry, Raws};
use crate::wire::ir::{FinishReason, Usage};
use crate::wire::json::ObjectWriter;
use crate::wire::tool_ids;

/// The cost of usage in USD, where the file prices it.
pub type Price = Box<dyn Fn(&Usage) -> Option<f64> + Send + Sync>;

/// The ids and names of one answer, and what its caller wants to be told.
pub struct Told {
    pub inference_id: String,
    pub episode_id: String,
    /// As the member `model` of OpenAI's form names it.
    pub name: String,
    pub variant: String,
    /// A JSON function answers: one value, not messages.
    pub json: bool,
    /// Schema of that value, as JSON text.
    pub schema: Option<Box<str>>,
    pub include_usage: bool,
    pub raws: Raws,
    /// The stream's last chunk tells the whole answer once more.
    pub include_aggregated: bool,
    /// What tries before this one were answered, where the caller wants to see it.
    pub failed: Vec<FailedTry>,
    /// The answer comes from the cache.
    pub cached: bool,
    /// The value comes as the call of a tool (`json_mode: tool`), which TensorZero tells as the reason of the end.
    pub called: bool,
    /// Of the one call of a model that the answer is made of.
    pub model_inference_id: String,
    /// TensorZero's name of the provider's kind.
    pub provider_type: &'static str,
    pub api_type: &'static str,
    /// Seconds since 1970.
    pub now: u64,
    pub price: Price,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told")
            .field("inference_id", &self.inference_id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Told {
    /// Of an answer that has no ids.
    pub(super) fn unnamed(model: &str) -> Told {
        Told {
            inference_id: String::new(),
            episode_id: String::new(),
            name: model.to_owned(),
            variant: model.to_owned(),
            json: false,
            schema: None,
            include_usage: true,
            raws: Raws::default(),
            include_aggregated: false,
            failed: Vec::new(),
            cached: false,
            called: false,
            model_inference_id: String::new(),
            provider_type: "",
            api_type: "",
            now: 0,
            price: Box::new(|_| None),
        }
    }

    /// The id of a call: the upstream's, or, where it gives none, one that no other call of any answer has.
    pub(super) fn call_id(&self, given: Option<&str>, position: usize) -> String {
        match given.filter(|id| !id.is_empty()) {
            Some(id) => id.to_owned(),
            None => tool_ids::of_answer(Some(&self.inference_id), 0, position),
        }
    }

    /// The reason for the end, as TensorZero would have it: it takes the call that is the value for any other.
    pub(super) fn finish(&self, reason: FinishReason) -> FinishReason {
        match reason {
            FinishReason::Stop if self.called => FinishReason::ToolCalls,
            other => other,
        }
    }

    /// Writes the ids that every native answer and chunk begins with.
    pub(super) fn native_head(&self, object: &mut ObjectWriter<'_>) {
        object.field("inference_id", &self.inference_id);
        object.field("episode_id", &self.episode_id);
        object.field("variant_name", &self.variant);
    }

    /// Usage in OpenAI's words. Nothing is told of what is not known.
    pub(super) fn chat_usage(&self, usage: Option<&Usage>, counts: &mut ObjectWriter<'_>) {
        let usage = usage.copied().unwrap_or_default();
        counts.optional("prompt_tokens", &usage.input);
        counts.optional("completion_tokens", &usage.output);
        if let (Some(input), Some(output)) = (usage.input, usage.output) {
            counts.field("total_tokens", &input.saturating_add(output));
        }
        if let Some(cached) = usage.cache_read {
            counts.object("prompt_tokens_details", |details| details.field("cached_tokens", &cached));
        }
        counts.optional("tensorzero_provider_cache_write_input_tokens", &usage.cache_write);
        counts.field("tensorzero_cost", &(self.price)(&usage));
    }

    /// Usage in TensorZero's words.
    pub(super) fn native_usage(&self, usage: Option<&Usage>, counts: &mut ObjectWriter<'_>) {
        let usage = usage.copied().unwrap_or_default();
        counts.field("input_tokens", &usage.input);
        counts.field("output_tokens", &usage.output);
        counts.optional("provider_cache_read_input_tokens", &usage.cache_read);
        counts.optional("provider_cache_write_input_tokens", &usage.cache_write);
        counts.field("cost", &(self.price)(&usage));
    }
}

/// A finish reason in OpenAI's words.
pub(super) fn chat_finish(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::Pause
        | FinishReason::Malformed
        | FinishReason::Other => "stop",
    }
}

/// A finish reason in TensorZero's words.
pub(super) fn native_finish(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::ToolCalls => "tool_call",
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
        FinishReason::Pause | FinishReason::Malformed | FinishReason::Other => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_ids_by_which_they_are_told_apart() {
        let told = Told { inference_id: "one".to_owned(), ..Told::unnamed("m") };
        let other = Told { inference_id: "two".to_owned(), ..Told::unnamed("m") };
        assert_eq!(told.call_id(Some("given"), 0), "given");
        let made = [told.call_id(None, 0), told.call_id(Some(""), 1), other.call_id(None, 0)];
        assert!(made.iter().all(|id| id.starts_with("call_") && id.len() > 20), "{made:?}");
        assert!(made[0] != made[1] && made[0] != made[2] && made[1] != made[2], "{made:?}");
        assert_eq!(told.call_id(None, 0), made[0]);
    }

    #[test]
    fn a_value_that_came_as_a_call_ends_like_one() {
        let told = Told { called: true, ..Told::unnamed("m") };
        assert_eq!(chat_finish(told.finish(FinishReason::Stop)), "tool_calls");
        assert_eq!(native_finish(told.finish(FinishReason::Length)), "length");
        assert_eq!(chat_finish(Told::unnamed("m").finish(FinishReason::Stop)), "stop");
    }
}
