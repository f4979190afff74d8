//! The `tensorzero:` section: what TensorZero's clients know by name.

use super::super::decode::json::Json;
use super::super::decode::leaf::{Choice, Flag, Text};
use super::super::decode::list::{AnyKey, Map, OneOrMore};
use super::super::decode::mapping;
use super::super::decode::texts::{Any, BasePath, FunctionType, MetricDirection, MetricLevel, MetricType};
use crate::source::{Span, Spanned};

mapping! {
    /// The surface of a TensorZero gateway: `/inference`, `/feedback`, `/openai/v1/*`. It is there because this section is,
    /// and knows the functions, models, tools and metrics that are named here.
    #[called = "the tensorzero section"]
    #[derive(Debug, Clone, Default)]
    pub struct TensorzeroEntry spanned span: Option<Span>, {
        /// What stands before the paths of the surface.
        "base_path" default "/" => base_path: Option<Spanned<String>> as Text<BasePath>,
        /// Where feedback goes, besides telemetry.
        "feedback" => feedback: Option<FeedbackEntry> as FeedbackEntry,
        /// Functions by name. A preset of the same name is what a request for the function is routed by.
        "functions" => functions: Vec<(Spanned<String>, FunctionEntry)> as Map<AnyKey, FunctionEntry>,
        /// What `tensorzero::model_name::` knows: names, and the presets (`@small`) or targets that they mean. TensorZero's
        /// short forms (`openai::gpt-4o`) are known without.
        "models" => models: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// Models that only requests of one namespace may ask for: their names in `models`, and the namespace.
        "model_namespaces" => model_namespaces: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// The same as `models` for `tensorzero::embedding_model_name::`.
        "embedding_models" => embedding_models: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// Tools that functions offer and requests may name, by key.
        "tools" => tools: Vec<(Spanned<String>, ToolEntry)> as Map<AnyKey, ToolEntry>,
        /// What feedback may be given about, by name.
        "metrics" => metrics: Vec<(Spanned<String>, MetricEntry)> as Map<AnyKey, MetricEntry>,
    }
}

mapping! {
    /// Where feedback goes, besides telemetry. `feedback: feedback.jsonl` is `feedback: { file: feedback.jsonl }`.
    #[called = "the setting of feedback"]
    #[derive(Debug, Clone, Default)]
    pub struct FeedbackEntry short "file", {
        /// A file that gets one line of JSON for each feedback; its path begins at the folder of this file.
        "file" => file: Option<Spanned<String>> as Text<Any>,
    }
}

mapping! {
    /// What of a function of TensorZero's belongs to no single variant.
    #[called = "a function"]
    #[derive(Debug, Clone)]
    pub struct FunctionEntry spanned span: Span, faulty faulty, {
        /// What it answers: messages (`chat`) or one JSON value (`json`).
        "type" => kind: Option<Spanned<String>> as Choice<FunctionType>,
        /// What it is for.
        "description" => description: Option<Spanned<String>> as Text<Any>,
        /// The preset of each variant, by which a request can ask for that variant alone: `{ v1: "@draft.v1" }`.
        "variants" => variants: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// Names of a namespace and the preset that takes the place of the function's own for requests with that namespace.
        "namespaces" => namespaces: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// Variants that only requests of one namespace may name, as their model is of it: `{ v3: eu }`.
        "variant_namespaces" => variant_namespaces: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Text<Any>>,
        /// JSON Schemas of the arguments that `system`, `user`, `assistant` and other templates take: a path, or the schema.
        "schemas" => schemas: Vec<(Spanned<String>, Spanned<String>)> as Map<AnyKey, Json>,
        /// Keys of `tools` that every request offers.
        "tools" => tools: Vec<Spanned<String>> as OneOrMore<Text<Any>>,
        /// `auto`, `none`, `required` or `{ specific: KEY }`.
        "tool_choice" => tool_choice: Option<Spanned<String>> as Json,
        /// Whether several tools may be called at once.
        "parallel_tool_calls" => parallel_tool_calls: Option<Spanned<bool>> as Flag,
        /// The JSON Schema of a JSON function's answers: a path, or the schema.
        "output_schema" => output_schema: Option<Spanned<String>> as Json,
    }
}

mapping! {
    /// A tool that models may call.
    #[called = "a tool"]
    #[derive(Debug, Clone)]
    pub struct ToolEntry spanned span: Span, faulty faulty, {
        /// What models call it; its key, where this is absent.
        "name" => name: Option<Spanned<String>> as Text<Any>,
        /// What models are told of it.
        "description" => description: Option<Spanned<String>> as Text<Any>,
        /// The JSON Schema of its arguments: a path, or the schema.
        "parameters" => parameters: Option<Spanned<String>> as Json,
        /// The provider is asked to hold the model to the schema.
        "strict" default "false" => strict: Option<Spanned<bool>> as Flag,
    }
}

mapping! {
    /// Something that feedback says of an inference or an episode.
    #[called = "a metric"]
    #[derive(Debug, Clone)]
    pub struct MetricEntry spanned span: Span, faulty faulty, {
        /// What its values are: `boolean` or `float`.
        "type" => kind: Option<Spanned<String>> as Choice<MetricType>,
        /// Which end is good: `min` or `max`.
        "optimize" => optimize: Option<Spanned<String>> as Choice<MetricDirection>,
        /// What it is said of: an `inference`, or an `episode`.
        "level" => level: Option<Spanned<String>> as Choice<MetricLevel>,
        /// What it measures.
        "description" => description: Option<Spanned<String>> as Text<Any>,
    }
}
