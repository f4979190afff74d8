//! The text of `routeplane.yaml`.

use super::Converter;
use super::functions::Test;
use super::models::Preset;
use super::sections::defaults;
use crate::import::toml::Node;
use crate::import::yaml::{Item, Yaml, block};

const HEAD: &str = "\
# yaml-language-server: $schema=./routeplane.schema.json
#
# Written by `routeplane import-tensorzero`; the comments at the ends of lines say where each part came from.
# `routeplane check` proves this file, `routeplane start` serves it.

version: 1
";

impl Converter<'_> {
    /// Converts everything, and writes it down.
    pub(super) fn write(&mut self) -> String {
        let root = self.root;
        for entry in root.get("functions").map(Node::entries).unwrap_or_default() {
            let name = self.names.claim(std::slice::from_ref(&entry.key));
            self.function_presets.insert(entry.key.clone(), name);
        }
        let gateway = self.gateway();
        self.provider_types();
        let rate_limits = self.rate_limits();
        self.object_storage();
        let models = self.models("models", "model");
        self.known_models = models.clone();
        let of_models = self.presets.len();
        let functions = self.functions();
        let of_functions = self.presets.len();
        if gateway.trace_content {
            // Not of embeddings: nothing is said in them.
            let longest = Item::map("trace_content", vec![Item::text("limit", "32KiB")]);
            self.presets.iter_mut().for_each(|preset| preset.items.push(longest.clone()));
        }
        let embeddings = self.models("embedding_models", "embedding");
        let mut surface = Vec::new();
        surface.extend(gateway.base_path.iter().map(|path| Item::text("base_path", path)));
        let sections = [
            ("functions", functions),
            ("models", self.surface_models(&models)),
            ("model_namespaces", self.model_namespaces()),
            ("embedding_models", self.surface_models(&embeddings)),
            ("tools", self.tools()),
            ("metrics", self.metrics()),
        ];
        for (name, items) in sections {
            self.settle_empty(name);
            if !items.is_empty() {
                surface.push(Item::map(name, items).tall());
            }
        }
        let mut text = HEAD.to_owned();
        block(&defaults(&gateway), 0, &mut text);
        if let Some(root) = &gateway.template_root {
            block(&[Item::text("template_root", root)], 0, &mut text);
        }
        if !gateway.cache.is_empty() {
            block(&[Item::map("cache", gateway.cache)], 0, &mut text);
        }
        if !gateway.traces.is_empty() {
            let traces = Item::map("telemetry", vec![Item::map("otlp", gateway.traces)]);
            let why = "As in TensorZero: traces over gRPC, to where OTEL_EXPORTER_OTLP_TRACES_ENDPOINT says.";
            block(&[traces.above(why)], 0, &mut text);
        }
        section(
            &mut text,
            "What TensorZero's clients know by name; it switches TensorZero's HTTP interface on.",
            "tensorzero",
            surface,
        );
        let keys = std::mem::take(&mut self.keys);
        // Rules may name keys that nobody is asked for.
        let asked = keys.contains("client");
        let written = keys.iter().filter(|id| asked && (*id != "client" || keys.len() == 1));
        let written = written.map(|id| Item::text(id, &format!("env:TENSORZERO_KEY_{}", id.to_ascii_uppercase())));
        section(
            &mut text,
            "Who may call: the keys that callers hold, by any ids. Each is in a variable of its own.",
            "keys",
            written.collect(),
        );
        section(&mut text, "How much callers may have; what is beyond it is a 429.", "rate_limits", rate_limits);
        let providers = self.providers.items();
        section(
            &mut text,
            "Whom models are asked. A known provider needs no entry: its key in the environment is enough.",
            "providers",
            providers,
        );
        let mut presets = Vec::new();
        for (index, preset) in self.presets.iter().enumerate() {
            let mut item = preset.item();
            let heading = match index {
                0 if of_models > 0 => Some("Models."),
                _ if index == of_models && of_functions > of_models => Some("Functions and their variants."),
                _ if index == of_functions => Some("Models that embed."),
                _ => None,
            };
            if let Some(heading) = heading {
                item.above.insert(0, heading.to_owned());
            }
            presets.push(item);
        }
        section(&mut text, "", "presets", presets);
        if !self.tests.is_empty() {
            text.push_str("\n# `routeplane check` decides these offline.\n");
            let tests = Yaml::List(self.tests.iter().map(Test::yaml).collect());
            block(&[Item::new("tests", tests).tall()], 0, &mut text);
        }
        text
    }

    /// A section without a single entry says nothing.
    fn settle_empty(&mut self, name: &str) {
        if let Some(node) = self.root.get(name).filter(|node| node.entries().is_empty()) {
            self.ledger.carried(node, "it is empty");
        }
    }
}

fn section(text: &mut String, comment: &str, name: &str, items: Vec<Item>) {
    if items.is_empty() && name != "tensorzero" {
        return;
    }
    let item = Item::map(name, items).tall();
    let item = if comment.is_empty() { item } else { item.above(comment) };
    text.push('\n');
    block(&[item], 0, text);
}

impl Preset {
    /// A preset that is nothing but its route is written in short.
    fn item(&self) -> Item {
        let item = match self.items.as_slice() {
            [only] if only.key == "route" => Item::new(&self.name, only.value.clone()),
            _ => Item::map(&self.name, self.items.clone()),
        };
        item.beside(self.origin.clone()).all_above(&self.comments)
    }
}

impl Test {
    fn yaml(&self) -> Yaml {
        let mut items =
            vec![Item::text("name", &self.name), Item::map("request", vec![Item::text("model", &self.model)])];
        if let Some(draw) = self.draw {
            items.push(Item::map("given", vec![Item::new("draw", Yaml::Plain(format!("{draw}")))]));
        }
        let expected = match self.attempts.as_slice() {
            [first, ..] if self.repeats => Item::text("served_by", first),
            attempts => Item::new("attempts", Yaml::texts(attempts.iter().map(String::as_str))),
        };
        items.push(Item::map("expect", vec![expected]));
        Yaml::Map(items)
    }
}
