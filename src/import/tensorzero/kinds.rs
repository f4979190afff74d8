//! TensorZero's types of providers, and ours.

use super::location::Location;

/// A type of provider.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The known provider that it is here. Without one it cannot be asked.
    pub(super) known: Option<&'static str>,
    /// The variable that holds its key.
    pub(super) variable: Option<&'static str>,
    /// The known provider finds that variable by itself, or does without.
    pub(super) finds: bool,
    /// `TYPE::MODEL` names a model of it without a table.
    pub(super) short: bool,
}

const fn kind(name: &'static str, known: &'static str, variable: &'static str) -> Kind {
    Kind { name, known: Some(known), variable: Some(variable), finds: true, short: true }
}

const fn cloud(name: &'static str, known: &'static str, short: bool) -> Kind {
    Kind { name, known: Some(known), variable: None, finds: true, short }
}

pub(super) static KINDS: &[Kind] = &[
    kind("anthropic", "anthropic", "ANTHROPIC_API_KEY"),
    cloud("aws_bedrock", "bedrock", false),
    Kind { name: "aws_sagemaker", known: None, variable: None, finds: false, short: false },
    Kind { short: false, finds: false, ..kind("azure", "azure", "AZURE_API_KEY") },
    kind("deepseek", "deepseek", "DEEPSEEK_API_KEY"),
    cloud("dummy", "demo", true),
    kind("fireworks", "fireworks", "FIREWORKS_API_KEY"),
    cloud("gcp_vertex_anthropic", "vertex", true),
    cloud("gcp_vertex_gemini", "vertex", true),
    Kind { finds: false, ..kind("google_ai_studio_gemini", "google", "GOOGLE_AI_STUDIO_API_KEY") },
    kind("groq", "groq", "GROQ_API_KEY"),
    kind("hyperbolic", "hyperbolic", "HYPERBOLIC_API_KEY"),
    kind("mistral", "mistral", "MISTRAL_API_KEY"),
    kind("openai", "openai", "OPENAI_API_KEY"),
    kind("openrouter", "openrouter", "OPENROUTER_API_KEY"),
    Kind { short: false, ..kind("sglang", "sglang", "SGLANG_API_KEY") },
    Kind { short: false, ..kind("tgi", "tgi", "TGI_API_KEY") },
    kind("together", "together", "TOGETHER_API_KEY"),
    Kind { short: false, ..kind("vllm", "vllm", "VLLM_API_KEY") },
    kind("xai", "xai", "XAI_API_KEY"),
];

pub(super) fn of(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// The type and the rest of `openai::gpt-4o`.
pub(super) fn shorthand(model: &str) -> Option<(&'static Kind, &str)> {
    let (prefix, rest) = model.split_once("::")?;
    let kind = of(prefix).filter(|kind| kind.short)?;
    (!rest.is_empty()).then_some((kind, rest))
}

impl Kind {
    /// Requests name the model in their body, and not in the address.
    pub(super) fn names_model_in_body(&self) -> bool {
        !matches!(self.known, None | Some("azure" | "bedrock" | "google" | "vertex"))
    }

    /// Where the key comes from when nothing says so.
    pub(super) fn default_location(&self) -> Option<Location> {
        self.variable.map(|variable| Location::Env(variable.to_owned()))
    }
}
