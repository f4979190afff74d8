//! What TensorZero looks at after the shape of a file: names that must exist, settings that exclude each other, files.

mod evaluations;
mod experiment;
mod files;
mod gateway;
mod limits;
mod models;
mod prices;
mod timeouts;

use super::assets::Assets;
use super::kinds::{self, KINDS};
use super::shape::as_warnings;
use super::variants::ROLES;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::import::toml::{Entry, Node, quoted};
use crate::source::Span;

/// Looks at a file whose shape is right.
pub(super) struct Judge<'j, 'f> {
    pub(super) root: &'j Node,
    pub(super) assets: &'j mut Assets<'f>,
    pub(super) diagnostics: &'j mut Diagnostics,
}

impl<'j> Judge<'j, '_> {
    pub(super) fn file(&mut self) {
        let root = self.root;
        self.template_root();
        self.gateway();
        for section in ["models", "embedding_models", "functions", "tools", "metrics"] {
            for entry in section_of(root, section) {
                self.name(entry);
            }
        }
        for entry in section_of(root, "models") {
            self.model(entry);
        }
        // Of an embedding model that cannot be asked the converter tells: TensorZero's own documentation has some.
        for provider in
            section_of(root, "embedding_models").iter().flat_map(|entry| section_of(&entry.node, "providers"))
        {
            self.name(provider);
            self.embeds(&provider.node);
        }
        for entry in section_of(root, "metrics") {
            if matches!(entry.key.as_str(), "comment" | "demonstration") {
                self.say(
                    Code::SettingValue,
                    format!("a metric cannot be called `{}`", entry.key),
                    entry.key_span,
                    "a kind of feedback of its own",
                    "give it another name",
                );
            }
        }
        for entry in section_of(root, "tools") {
            if let Some(leaf) = entry.node.get("parameters") {
                self.schema(leaf);
            }
        }
        for entry in section_of(root, "functions") {
            self.function(entry);
        }
        self.rules();
        self.timeouts();
        self.prices();
        let mut found = Diagnostics::default();
        Judge { root, assets: self.assets, diagnostics: &mut found }.evaluations();
        as_warnings(&found, self.diagnostics);
    }

    fn say(&mut self, code: Code, message: String, place: Span, label: &str, help: &str) {
        self.diagnostics.push(Diagnostic::new(code, message).label(place, label).help(help));
    }

    /// Templates that are named below the base path go along, and what they include.
    fn template_root(&mut self) {
        let access = self.root.get("gateway").and_then(|node| node.get("template_filesystem_access"));
        if let Some(leaf) = access.and_then(|node| node.get("base_path")) {
            let place = self.assets.place(leaf);
            self.assets.includes.push(place);
        }
    }

    /// Names that TensorZero keeps for itself.
    fn name(&mut self, entry: &Entry) {
        let taken = KINDS.iter().map(|kind| kind.name).chain(["tensorzero"]);
        if let Some(prefix) =
            entry.key.split_once("::").and_then(|(prefix, _)| taken.into_iter().find(|name| *name == prefix))
        {
            self.say(
                Code::SettingValue,
                format!("the name `{}` begins with `{prefix}::`", entry.key),
                entry.key_span,
                "TensorZero keeps such names for itself",
                "give it a name without this beginning",
            );
        }
    }

    fn function(&mut self, entry: &Entry) {
        let node = &entry.node;
        self.function_files(node);
        let tools = self.root.get("tools");
        for item in node.get("tools").map(Node::items).unwrap_or_default() {
            let name = item.text().unwrap_or_default();
            if tools.and_then(|tools| tools.get(name)).is_none() {
                let near = did_you_mean(name, section_of(self.root, "tools").iter().map(|tool| tool.key.as_str()));
                let help = near.map_or_else(
                    || format!("describe it: `[tools.{}]`", quoted(name)),
                    |near| format!("did you mean `{near}`?"),
                );
                self.say(Code::SettingName, format!("there is no tool `{name}`"), item.span, "is not described", &help);
            }
        }
        let variants = section_of(node, "variants");
        if variants.is_empty() && node.get("variants").is_some() {
            self.say(
                Code::SettingMissing,
                format!("the function `{}` has no variant", entry.key),
                entry.key_span,
                "needs one",
                "write `[functions.NAME.variants.NAME]`",
            );
        }
        for variant in variants {
            self.variant(node, variant);
        }
        self.experiment(node.get("experimentation"), variants);
    }

    /// Schemas in two spellings, and their files.
    fn function_files(&mut self, node: &Node) {
        for role in ROLES {
            let old = node.entry(&format!("{role}_schema"));
            if let (Some(old), Some(new)) = (old, node.get("schemas").and_then(|schemas| schemas.entry(role))) {
                self.diagnostics.push(
                    Diagnostic::new(Code::SettingTwice, format!("the schema of `{role}` is named twice"))
                        .label(new.key_span, "and here")
                        .label(old.key_span, "named here")
                        .help("leave one of them"),
                );
            }
            if let Some(old) = old {
                self.schema(&old.node);
            }
        }
        for entry in section_of(node, "schemas") {
            if let Some(leaf) = entry.node.get("path") {
                self.schema(leaf);
            }
        }
        if let Some(leaf) = node.get("output_schema") {
            self.schema(leaf);
        }
    }

    fn variant(&mut self, function: &Node, entry: &Entry) {
        let node = &entry.node;
        self.name(entry);
        if let Some(weight) = node.get("weight").filter(|weight| weight.number().is_some_and(|weight| weight < 0.0)) {
            self.say(
                Code::SettingValue,
                "a weight cannot be negative".to_owned(),
                weight.span,
                "less than 0",
                "write 0 for a variant that is never drawn",
            );
        }
        let json = function.text_of("type") == Some("json");
        let kind = node.text_of("type").unwrap_or_default();
        match kind {
            "chat_completion" | "experimental_chain_of_thought" => {
                self.completion(function, entry, json);
                self.schemas_have_templates(function, entry, kind);
                if !json
                    && kind != "chat_completion"
                    && let Some(kind) = node.get("type")
                {
                    self.say(
                        Code::SettingValue,
                        "a chain of thought belongs to JSON functions".to_owned(),
                        kind.span,
                        "this function has `type = \"chat\"`",
                        "write `type = \"chat_completion\"`, and ask for the thoughts in the template",
                    );
                }
                if !json && let Some(mode) = node.entry("json_mode").filter(|_| kind == "chat_completion") {
                    self.say(
                        Code::SettingValue,
                        "`json_mode` belongs to JSON functions".to_owned(),
                        mode.key_span,
                        "this function has `type = \"chat\"`",
                        "remove it, or make it a function of `type = \"json\"`",
                    );
                }
            }
            "experimental_dynamic_in_context_learning" => {
                self.completion(function, entry, json);
                self.in_context(node);
            }
            _ => self.candidates(function, entry, json),
        }
    }

    /// Dynamic in-context learning: what finds the examples.
    fn in_context(&mut self, node: &Node) {
        if let Some(leaf) = node.get("system_instructions") {
            self.exists(leaf, false);
        }
        if let Some(leaf) = node.get("embedding_model") {
            let name = leaf.text().unwrap_or_default();
            let described = self.root.get("embedding_models").is_some_and(|models| models.get(name).is_some());
            let short = ["openai::", "openrouter::"].iter().any(|prefix| name.starts_with(prefix));
            if !described && !short {
                let help = format!("describe it: `[embedding_models.{}]`", quoted(name));
                let message = format!("there is no embedding model `{name}`");
                self.say(Code::SettingName, message, leaf.span, "is not described", &help);
            }
        }
        if let Some(leaf) = node.get("max_distance").filter(|leaf| leaf.number().is_some_and(|far| far < 0.0)) {
            let message = "a distance cannot be negative".to_owned();
            self.say(Code::SettingValue, message, leaf.span, "less than 0", "write 0 or more");
        }
    }

    /// Model, templates and form of the answer.
    fn completion(&mut self, function: &Node, entry: &Entry, json: bool) {
        self.known_model(&entry.node);
        self.edits(&entry.node);
        self.templates(&entry.node, Some(function));
        if json && entry.node.get("json_mode").is_none() {
            self.say(
                Code::SettingMissing,
                format!("the variant `{}` of a JSON function has no `json_mode`", entry.key),
                entry.key_span,
                "needs `json_mode`",
                "write `json_mode = \"strict\"` (or `on`, `tool`, `off`); TensorZero wants it since 2025.9.0",
            );
        }
    }

    /// Edits of bodies and headers say what is to be there, or that it is to go.
    fn edits(&mut self, node: &Node) {
        for (key, name) in [("extra_body", "pointer"), ("extra_headers", "name")] {
            for entry in node.get(key).map(Node::items).unwrap_or_default() {
                let Some(named) = entry.entry(name) else { continue };
                if entry.get("value").is_none() && entry.get("delete").is_none() {
                    self.say(
                        Code::SettingMissing,
                        format!("an edit of `{key}` has neither `value` nor `delete`"),
                        named.key_span,
                        "needs one of them",
                        "write `value = ...`, or `delete = true`",
                    );
                }
            }
        }
    }

    fn known_model(&mut self, node: &Node) {
        let Some(leaf) = node.get("model") else { return };
        let name = leaf.text().unwrap_or_default();
        if self.root.get("models").and_then(|models| models.get(name)).is_some() || kinds::shorthand(name).is_some() {
            return;
        }
        let models = section_of(self.root, "models").iter().map(|model| model.key.as_str());
        let prefix = name.split_once("::").map(|(prefix, _)| prefix);
        let help = match (did_you_mean(name, models), prefix.and_then(kinds::of)) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(kind)) => {
                format!("`{}` has no short-hand names: describe the model by `[models.NAME]`", kind.name)
            }
            (None, None) => format!(
                "describe it by `[models.{}]`, or name one of a provider, e.g. `openai::gpt-4o-mini`",
                quoted(name)
            ),
        };
        self.say(Code::SettingName, format!("there is no model `{name}`"), leaf.span, "is not described", &help);
    }

    /// Of a role without a schema a template in the old spelling, and a wrapper, have the role's text alone.
    fn templates(&mut self, node: &Node, function: Option<&Node>) {
        for role in ROLES {
            let schema = |function: &Node| {
                let new = function.get("schemas").is_some_and(|schemas| schemas.get(role).is_some());
                new || function.get(&format!("{role}_schema")).is_some()
            };
            let bare = function.is_some_and(|function| !schema(function));
            if let Some(leaf) = node.get(&format!("{role}_template")) {
                self.template(leaf, bare.then_some(role));
            }
            if let Some(wrapper) = node.get("input_wrappers").and_then(|wrappers| wrappers.entry(role)) {
                if function.is_some_and(schema) {
                    self.say(
                        Code::SettingTwice,
                        format!("`{role}` has a wrapper and a schema"),
                        wrapper.key_span,
                        "a wrapper is for plain text",
                        "leave one of them",
                    );
                }
                self.template(&wrapper.node, function.map(|_| role));
            }
            let new = node.get("templates").and_then(|templates| templates.entry(role));
            let path = |entry: &Entry| entry.node.text_of("path").or(entry.node.text()).map(str::to_owned);
            let pair = node.entry(&format!("{role}_template")).zip(new);
            if let Some((old, new)) = pair.filter(|(old, new)| path(old) != path(new)) {
                self.diagnostics.push(
                    Diagnostic::new(Code::SettingTwice, format!("the template of `{role}` is named twice"))
                        .label(new.key_span, "and here")
                        .label(old.key_span, "named here")
                        .help("leave one of them"),
                );
            }
        }
        for entry in section_of(node, "templates") {
            if let Some(leaf) = entry.node.get("path") {
                self.template(leaf, None);
            }
        }
    }

    /// Every schema of a function needs a template of its name in every variant.
    fn schemas_have_templates(&mut self, function: &Node, entry: &Entry, kind: &str) {
        let old = ROLES
            .iter()
            .filter(|role| function.get(&format!("{role}_schema")).is_some())
            .map(|role| (*role).to_owned());
        let new = section_of(function, "schemas").iter().map(|schema| schema.key.clone());
        for name in old.chain(new).filter(|_| kind == "chat_completion") {
            let named = entry.node.get("templates").is_some_and(|templates| templates.get(&name).is_some());
            if named || entry.node.get(&format!("{name}_template")).is_some() {
                continue;
            }
            self.say(
                Code::SettingMissing,
                format!("the variant `{}` has no template for the schema of `{name}`", entry.key),
                entry.key_span,
                "needs a template of that name",
                &format!("name one: `templates.{name}.path = \"...\"`"),
            );
        }
    }

    fn candidates(&mut self, function: &Node, entry: &Entry, json: bool) {
        for item in entry.node.get("candidates").map(Node::items).unwrap_or_default() {
            self.known_variant(section_of(function, "variants"), item);
        }
        for (key, needs_mode) in [("evaluator", false), ("fuser", json)] {
            let Some(judge) = entry.node.entry(key) else { continue };
            self.known_model(&judge.node);
            self.templates(&judge.node, None);
            if needs_mode && judge.node.get("json_mode").is_none() {
                self.say(
                    Code::SettingMissing,
                    format!("the `{key}` of a JSON function has no `json_mode`"),
                    judge.key_span,
                    "needs `json_mode`",
                    "write `json_mode = \"strict\"`; TensorZero wants it since 2025.9.0",
                );
            }
        }
    }

    fn known_variant(&mut self, variants: &[Entry], item: &Node) {
        let name = item.text().unwrap_or_default();
        if variants.iter().any(|variant| variant.key == name) {
            return;
        }
        let near = did_you_mean(name, variants.iter().map(|variant| variant.key.as_str()));
        let help =
            near.map_or_else(|| "name a variant of this function".to_owned(), |near| format!("did you mean `{near}`?"));
        self.say(Code::SettingName, format!("there is no variant `{name}`"), item.span, "is not described", &help);
    }
}

fn section_of<'n>(node: &'n Node, name: &str) -> &'n [Entry] {
    node.get(name).map(Node::entries).unwrap_or_default()
}
