//! The names by which TensorZero's clients know things, and what they mean here.

use std::collections::BTreeMap;

/// The surface of a TensorZero gateway.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surface {
    /// What stands before its paths: empty, or a path that begins with `/` and ends without one.
    pub base_path: Box<str>,
    /// Gets one line for each feedback; relative to the folder of the configuration.
    pub feedback_file: Option<Box<str>>,
    pub functions: BTreeMap<Box<str>, Function>,
    /// Names of models and what they mean, as a caller would ask for it: `@small`, `openai/gpt-5`.
    pub models: BTreeMap<Box<str>, Box<str>>,
    /// Of models that only requests of one namespace may ask for.
    pub model_namespaces: BTreeMap<Box<str>, Box<str>>,
    pub embedding_models: BTreeMap<Box<str>, Box<str>>,
    /// By key, which need not be the name that models see.
    pub tools: BTreeMap<Box<str>, Tool>,
    pub metrics: BTreeMap<Box<str>, Metric>,
}

/// A function: what of it belongs to no single variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    pub kind: FunctionKind,
    pub description: Option<Box<str>>,
    /// The preset that a request for the function is routed by, with its `@`.
    pub preset: Box<str>,
    /// The preset of each variant, with its `@`.
    pub variants: BTreeMap<Box<str>, Box<str>>,
    /// What takes the place of `preset` in a namespace.
    pub namespaces: BTreeMap<Box<str>, Box<str>>,
    /// Of variants that only requests of one namespace may name.
    pub variant_namespaces: BTreeMap<Box<str>, Box<str>>,
    /// JSON Schemas of the arguments of templates, as JSON text, by the template's name.
    pub schemas: BTreeMap<Box<str>, Box<str>>,
    /// Keys of tools.
    pub tools: Box<[Box<str>]>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    /// JSON Schema of the answers, as JSON text.
    pub output_schema: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    Chat,
    Json,
}

impl FunctionKind {
    pub fn word(self) -> &'static str {
        match self {
            FunctionKind::Chat => "chat",
            FunctionKind::Json => "json",
        }
    }
}

/// Which tools a function wants called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    Required,
    /// This one, by its key.
    Specific(Box<str>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// What models call it.
    pub name: Box<str>,
    pub description: Box<str>,
    /// JSON Schema of the arguments, as JSON text.
    pub parameters: Box<str>,
    pub strict: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    pub kind: MetricKind,
    pub level: MetricLevel,
    /// Greater values are better.
    pub maximize: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    Boolean,
    Float,
}

impl MetricKind {
    pub fn word(self) -> &'static str {
        match self {
            MetricKind::Boolean => "boolean",
            MetricKind::Float => "float",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricLevel {
    Inference,
    Episode,
}

impl MetricLevel {
    pub fn word(self) -> &'static str {
        match self {
            MetricLevel::Inference => "inference",
            MetricLevel::Episode => "episode",
        }
    }
}
