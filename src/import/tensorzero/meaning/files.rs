//! The files that a configuration names: they are there, and schemas are JSON.

use super::Judge;
use crate::diagnostic::Code;
use crate::import::tensorzero::assets::{included, normal};
use crate::import::toml::Node;

impl Judge<'_, '_> {
    pub(super) fn template(&mut self, leaf: &Node) {
        let Some(text) = self.exists(leaf, true) else { return };
        let place = self.assets.place(leaf);
        self.assets.templates.insert(place);
        let roots = self.assets.includes.clone();
        let mut waiting = included(&text);
        let mut seen = Vec::new();
        while let Some(name) = waiting.pop() {
            if seen.contains(&name) {
                continue;
            }
            for root in &roots {
                let place = normal(&format!("{root}/{name}"));
                if place.starts_with(&format!("{root}/"))
                    && let Ok(text) = self.assets.take(&place)
                {
                    waiting.extend(included(&text));
                }
            }
            seen.push(name);
        }
    }

    pub(super) fn schema(&mut self, leaf: &Node) {
        let Some(text) = self.exists(leaf, true) else { return };
        let is_object =
            matches!(serde_json::from_str(&text), Ok(serde_json::Value::Object(_) | serde_json::Value::Bool(_)));
        if !is_object {
            self.say(
                Code::SettingFile,
                format!("`{}` is not a JSON Schema", leaf.text().unwrap_or_default()),
                leaf.span,
                "names this file",
                "it must hold one JSON object",
            );
        }
    }

    /// The text of a file that must be there.
    pub(super) fn exists(&mut self, leaf: &Node, goes_along: bool) -> Option<String> {
        let place = self.assets.place(leaf);
        let text = if goes_along { self.assets.take(&place) } else { self.assets.look(&place) };
        match text {
            Ok(text) => Some(text),
            Err(why) => {
                self.say(
                    Code::SettingFile,
                    format!("cannot read `{}`: {why}", leaf.text().unwrap_or_default()),
                    leaf.span,
                    "names a file",
                    "paths begin at the folder of the file that names them",
                );
                None
            }
        }
    }
}
