//! Models and their providers.

use super::Judge;
use crate::diagnostic::{Code, did_you_mean};
use crate::import::toml::{Entry, Node, quoted};

impl Judge<'_, '_> {
    pub(super) fn model(&mut self, entry: &Entry) {
        let node = &entry.node;
        let providers = node.get("providers").map(Node::entries).unwrap_or_default();
        let routing = node.get("routing");
        let items = routing.map(Node::items).unwrap_or_default();
        let place = routing.map_or(entry.key_span, |node| node.span);
        if items.is_empty() && routing.is_some() {
            self.say(
                Code::SettingValue,
                format!("`routing` of the model `{}` names no provider", entry.key),
                place,
                "names nothing",
                "list the names of the providers in the order in which they are tried",
            );
        }
        for (index, item) in items.iter().enumerate() {
            let name = item.text().unwrap_or_default();
            if items.iter().take(index).any(|other| other.text() == Some(name)) {
                self.say(
                    Code::SettingValue,
                    format!("`routing` names `{name}` twice"),
                    item.span,
                    "here again",
                    "leave it once",
                );
            }
            if !providers.iter().any(|provider| provider.key == name) {
                let names = providers.iter().map(|provider| provider.key.as_str());
                let help = match did_you_mean(name, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("describe it: `[models.{}.providers.{}]`", quoted(&entry.key), quoted(name)),
                };
                self.say(
                    Code::SettingName,
                    format!("the model `{}` has no provider `{name}`", entry.key),
                    item.span,
                    "is not described",
                    &help,
                );
            }
        }
        for provider in providers {
            self.name(provider);
            self.edits(&provider.node);
            if !items.iter().any(|item| item.text() == Some(&provider.key)) {
                self.say(
                    Code::SettingName,
                    format!("the provider `{}` is not in `routing`", provider.key),
                    provider.key_span,
                    "would never be asked",
                    "add it to `routing`, or remove its table",
                );
            }
            if let Some(tools) = provider.node.entry("provider_tools").filter(|_| chats_as_openai(&provider.node)) {
                self.say(
                    Code::SettingValue,
                    "`provider_tools` of `openai` belong to its Responses API".to_owned(),
                    tools.key_span,
                    "TensorZero refuses them here",
                    "write `api_type = \"responses\"`, or remove them",
                );
            }
            let both = provider.node.get("model_id").is_some() && provider.node.get("endpoint_id").is_some();
            let gemini = provider.node.text_of("type") == Some("gcp_vertex_gemini");
            let neither =
                gemini && provider.node.get("model_id").is_none() && provider.node.get("endpoint_id").is_none();
            if both || neither {
                self.say(
                    Code::SettingMissing,
                    format!("the provider `{}` needs `model_id` or `endpoint_id`", provider.key),
                    provider.key_span,
                    "one of both",
                    "write one of them",
                );
            }
        }
    }

    /// The type of an embedding model's provider has embeddings.
    pub(super) fn embeds(&mut self, provider: &Node) {
        if let Some(kind) = provider.get("type").filter(|kind| !embeds(kind.text().unwrap_or_default())) {
            self.say(
                Code::SettingValue,
                format!("`{}` has no embeddings in TensorZero", kind.text().unwrap_or_default()),
                kind.span,
                "TensorZero refuses it for an embedding model",
                "write `openai`, `openrouter` or `azure`; a server of OpenAI's form is `openai` with `api_base`",
            );
        }
    }
}

/// Types of providers that embed.
fn embeds(kind: &str) -> bool {
    matches!(kind, "openai" | "openrouter" | "azure" | "dummy")
}

fn chats_as_openai(provider: &Node) -> bool {
    provider.text_of("type") == Some("openai") && provider.text_of("api_type") != Some("responses")
}
