//! The model catalogue: windows, prices and capabilities of the models that providers are known to serve.
//!
//! `presets/models/catalogue.tsv` becomes a sorted table when the program is built; lookups are binary searches. A model
//! that is not in it is served all the same.

/// What is known of one model at one provider.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Model {
    /// The provider's name in the catalogue, e.g. `openai`.
    pub provider: &'static str,
    /// The id upstream.
    pub id: &'static str,
    pub mode: Mode,
    /// Tokens that a request may have.
    pub max_input_tokens: Option<u32>,
    /// Tokens that an answer may have.
    pub max_output_tokens: Option<u32>,
    pub prices: Prices,
    pub capabilities: Capabilities,
}

/// The API that serves a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Chat,
    /// Only over OpenAI Responses.
    Responses,
    Embedding,
    Rerank,
    /// Only over the old text completions.
    Completion,
}

impl Mode {
    /// The name in the catalogue and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Chat => "chat",
            Mode::Responses => "responses",
            Mode::Embedding => "embedding",
            Mode::Rerank => "rerank",
            Mode::Completion => "completion",
        }
    }
}

/// List prices in USD per million tokens; `None` where they are not known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    pub input: Option<f64>,
    pub output: Option<f64>,
    /// Input that was found in the prompt cache.
    pub cache_read: Option<f64>,
    /// Input that was written to the prompt cache.
    pub cache_write: Option<f64>,
}

/// Something that a model may be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Capability {
    Tools,
    /// Several tool calls in one turn.
    ParallelTools,
    Images,
    Pdf,
    Audio,
    /// Output that follows a JSON schema.
    Schema,
    /// Prompt caching.
    Cache,
    Reasoning,
    /// Web search at the provider.
    WebSearch,
}

impl Capability {
    pub const ALL: [Capability; 9] = [
        Capability::Tools,
        Capability::ParallelTools,
        Capability::Images,
        Capability::Pdf,
        Capability::Audio,
        Capability::Schema,
        Capability::Cache,
        Capability::Reasoning,
        Capability::WebSearch,
    ];

    /// The name in the catalogue and in lists.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Tools => "tools",
            Capability::ParallelTools => "parallel",
            Capability::Images => "images",
            Capability::Pdf => "pdf",
            Capability::Audio => "audio",
            Capability::Schema => "schema",
            Capability::Cache => "cache",
            Capability::Reasoning => "reasoning",
            Capability::WebSearch => "web",
        }
    }
}

/// A set of [`Capability`], one bit each in their order. An empty set says nothing: many rows know no capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(u16);

impl Capabilities {
    pub fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u16) != 0
    }

    /// The members, in their order.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.has(*capability))
    }
}

/// Every row, sorted by provider and id.
pub static MODELS: &[Model] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// What is known of `id` at `provider`.
pub fn find(provider: &str, id: &str) -> Option<&'static Model> {
    let at = MODELS.binary_search_by(|model| (model.provider, model.id).cmp(&(provider, id))).ok()?;
    MODELS.get(at)
}

/// All models of `provider`, sorted by id; empty for a provider that the catalogue does not know.
pub fn of_provider(provider: &str) -> &'static [Model] {
    let start = MODELS.partition_point(|model| model.provider < provider);
    let end = MODELS.partition_point(|model| model.provider <= provider);
    MODELS.get(start..end).unwrap_or_default()
}

/// The rows of every provider that serves a model under exactly this id.
pub fn by_id(id: &str) -> impl Iterator<Item = &'static Model> {
    MODELS.chunk_by(|a, b| a.provider == b.provider).filter_map(move |models| {
        let at = models.binary_search_by_key(&id, |model| model.id).ok()?;
        models.get(at)
    })
}

/// The models that a new configuration begins with, for one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub provider: &'static str,
    pub capable: &'static str,
    /// Quick and cheap.
    pub small: &'static str,
}

/// `presets/models/choices.tsv`.
pub static CHOICES: &[Choice] = include!(concat!(env!("OUT_DIR"), "/choices.rs"));

#[cfg(test)]
mod tests {
    use super::{Capability, MODELS, Mode, by_id, find, of_provider};

    #[test]
    fn rows_are_sorted_and_found() {
        assert!(MODELS.is_sorted_by(|a, b| (a.provider, a.id) < (b.provider, b.id)));
        assert!(MODELS.iter().all(|model| find(model.provider, model.id) == Some(model)));
        assert_eq!(find("openai", "gpt-0"), None);
    }

    #[test]
    fn a_row_has_what_its_line_says() {
        let sonnet = find("anthropic", "claude-sonnet-4-6").unwrap();
        assert_eq!(sonnet.mode, Mode::Chat);
        assert_eq!((sonnet.max_input_tokens, sonnet.max_output_tokens), (Some(1_000_000), Some(128_000)));
        assert_eq!((sonnet.prices.input, sonnet.prices.cache_write), (Some(3.0), Some(3.75)));
        let names: Vec<&str> = sonnet.capabilities.iter().map(Capability::name).collect();
        assert_eq!(names, ["tools", "images", "pdf", "schema", "cache", "reasoning", "web"]);
    }

    #[test]
    fn a_provider_s_rows_are_one_piece() {
        let google = of_provider("google");
        assert!(google.len() > 20);
        assert!(google.iter().all(|model| model.provider == "google"));
        assert!(of_provider("demo").is_empty());
    }

    #[test]
    fn an_id_is_found_at_every_provider_that_has_it() {
        let providers: Vec<&str> = by_id("gpt-5").map(|model| model.provider).collect();
        assert_eq!(providers, ["azure", "openai"]);
    }
}
