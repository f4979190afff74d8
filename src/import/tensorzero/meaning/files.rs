//! The files that a configuration names: they are there, and schemas are JSON.

use serde_json::value::RawValue;

use super::Judge;
use crate::diagnostic::Code;
use crate::import::tensorzero::assets::{included, normal};
use crate::import::toml::Node;
use crate::wire::structured::check::{Checker, Verdict};
use crate::wire::template::engine::Engine;
use crate::wire::template::includes;

impl Judge<'_, '_> {
    /// `bare`: the role whose text is all that the template has.
    pub(super) fn template(&mut self, leaf: &Node, bare: Option<&str>) {
        let Some(text) = self.exists(leaf, true) else { return };
        self.compiles(leaf, &text, bare);
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

    /// TensorZero compiles every template when it starts.
    fn compiles(&mut self, leaf: &Node, text: &str, bare: Option<&str>) {
        let path = leaf.text().unwrap_or_default();
        let mut engine = Engine::new(None);
        if let Err(fault) = engine.add(path, &text.into(), Vec::new()) {
            let message = format!("`{path}` is no template: {}", fault.message);
            let line = text.get(..fault.at.start).unwrap_or_default().matches('\n').count() + 1;
            let label = format!("wrong in line {line} of this file");
            self.say(
                Code::SettingFile,
                message,
                leaf.span,
                &label,
                "templates are written in Jinja's language, as MiniJinja reads it",
            );
            return;
        }
        if includes::of(text).iter().any(|include| include.name.is_none()) {
            let message = format!("`{path}` includes a template whose name is only known when it is rendered");
            self.say(Code::SettingFile, message, leaf.span, "TensorZero refuses it", "write the name out");
        }
        let Some(role) = bare else { return };
        let own = format!("{role}_text");
        let others: Vec<String> =
            engine.variables(path).into_iter().filter(|name| *name != own).map(|name| format!("`{name}`")).collect();
        if !others.is_empty() {
            let message = format!("`{path}` reads {}, which nothing defines", others.join(", "));
            let help = format!(
                "name the schema of its arguments at the function, `{role}_schema = \"...\"`; without one a template has `{own}` alone"
            );
            self.say(Code::SettingFile, message, leaf.span, "TensorZero refuses it", &help);
        }
    }

    pub(super) fn schema(&mut self, leaf: &Node) {
        let Some(text) = self.exists(leaf, true) else { return };
        let path = leaf.text().unwrap_or_default();
        let raw: Option<Box<RawValue>> = serde_json::from_str(&text).ok();
        let Some(raw) = raw.filter(|raw| raw.get().starts_with('{')) else {
            let message = format!("`{path}` is not a JSON Schema");
            self.say(Code::SettingFile, message, leaf.span, "names this file", "it must hold one JSON object");
            return;
        };
        if let Verdict::Unchecked(why) = Checker::of_schema(&raw).text("null") {
            let message = format!("`{path}` cannot be used: {why}");
            let help = "references must stay within the schema, and it must be one of JSON Schema draft 4 to 2020-12";
            self.say(Code::SettingFile, message, leaf.span, "names this file", help);
        }
    }

    /// The text of a file that must be there.
    pub(super) fn exists(&mut self, leaf: &Node, goes_along: bool) -> Option<String> {
        let written = leaf.text().unwrap_or_default();
        if written.contains('\n') || (written.trim_start().starts_with('{') && written.contains('"')) {
            self.say(
                Code::SettingFile,
                "the text itself stands here, where the path of a file belongs".to_owned(),
                leaf.span,
                "no file has such a name",
                "put the text into a file of its own, and name that file",
            );
            return None;
        }
        let place = self.assets.place(leaf);
        let text = if goes_along { self.assets.take(&place) } else { self.assets.look(&place) };
        match text {
            Ok(text) => Some(text),
            Err(why) => {
                self.say(
                    Code::SettingFile,
                    format!("cannot read `{written}`: {why}"),
                    leaf.span,
                    "names a file",
                    "paths begin at the folder of the file that names them",
                );
                None
            }
        }
    }
}
