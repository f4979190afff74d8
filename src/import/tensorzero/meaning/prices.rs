//! `cost` of providers: each entry has one pointer, or one for whole answers and one for streams, and one price.

use super::{Judge, section_of};
use crate::diagnostic::Code;
use crate::import::toml::Node;

impl Judge<'_, '_> {
    pub(super) fn prices(&mut self) {
        let root = self.root;
        for section in ["models", "embedding_models"] {
            for provider in section_of(root, section).iter().flat_map(|model| section_of(&model.node, "providers")) {
                for key in ["cost", "batch_cost"] {
                    for entry in provider.node.get(key).map(Node::items).unwrap_or_default() {
                        self.price(entry);
                    }
                }
            }
        }
    }

    fn price(&mut self, entry: &Node) {
        let place = entry.entries().first().map_or(entry.span, |first| first.key_span);
        let has = |key: &str| entry.get(key).is_some();
        if has("cost_per_million") == has("cost_per_unit") {
            self.say(
                Code::SettingValue,
                "a cost has either `cost_per_million` or `cost_per_unit`".to_owned(),
                place,
                "one of both",
                "write one of them",
            );
        }
        let (whole, streamed) = (has("pointer_nonstreaming"), has("pointer_streaming"));
        let fits = if has("pointer") { !whole && !streamed } else { whole && streamed };
        if !fits {
            self.say(
                Code::SettingValue,
                "a cost has either `pointer`, or both `pointer_nonstreaming` and `pointer_streaming`".to_owned(),
                place,
                "says neither",
                "write `pointer = \"/usage/prompt_tokens\"`, where the count is in the provider's answer",
            );
        }
        for key in ["pointer", "pointer_nonstreaming", "pointer_streaming"] {
            if let Some(leaf) = entry.get(key).filter(|leaf| !leaf.text().unwrap_or_default().starts_with('/')) {
                self.say(
                    Code::SettingValue,
                    format!("`{}` is not a JSON Pointer", leaf.text().unwrap_or_default()),
                    leaf.span,
                    "must begin with `/`",
                    "write e.g. `/usage/prompt_tokens`",
                );
            }
        }
    }
}
