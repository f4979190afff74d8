//! Functions: each a preset that draws among the presets of its variants, and an entry of the surface.

use std::collections::{BTreeMap, BTreeSet};

use super::Converter;
use super::draws::Draw;
use super::models::Preset;
use super::names::{asked, reference};
use super::variants::{ROLES, Variant};
use crate::diagnostic::Severity;
use crate::import::toml::{Entry, Node};
use crate::import::yaml::{Item, Yaml};

/// What the variants of a function share.
pub(super) struct Function<'n> {
    pub(super) node: &'n Node,
    /// Paths of the schemas of its templates' arguments, beside the output.
    pub(super) schemas: BTreeMap<String, String>,
    pub(super) output: Option<String>,
}

/// A test of the output.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) name: String,
    pub(super) model: String,
    pub(super) draw: Option<f64>,
    /// Every attempt, where each one before it fails.
    pub(super) attempts: Vec<String>,
    /// A chain names a target twice, which is asked once: the first attempt is all that is sure.
    pub(super) repeats: bool,
}

impl Converter<'_> {
    /// The section `functions`; what stands in `tensorzero.functions`.
    pub(super) fn functions(&mut self) -> Vec<Item> {
        let root = self.root;
        let entries = root.get("functions").map(Node::entries).unwrap_or_default();
        entries.iter().map(|entry| self.function(entry)).collect()
    }

    fn function(&mut self, entry: &Entry) -> Item {
        let (name, node) = (entry.key.as_str(), &entry.node);
        let preset = self.function_presets.get(name).cloned().unwrap_or_default();
        let mut items = Vec::new();
        self.described(node, &mut items);
        let function = self.schemas(node);
        let variants = node.get("variants").map(Node::entries).unwrap_or_default();
        let presets: BTreeMap<String, String> = match variants {
            [only] => [(only.key.clone(), preset.clone())].into(),
            several => several
                .iter()
                .map(|variant| (variant.key.clone(), self.names.claim(&[format!("{preset}.{}", variant.key)])))
                .collect(),
        };
        let mut converted = BTreeMap::new();
        for variant in variants {
            match self.variant(&function, variant, &presets) {
                Some(done) => {
                    converted.insert(variant.key.clone(), done);
                }
                None => self.ledger.left_out(&variant.node, "it cannot run here, so the variant is left out"),
            }
        }
        let draw = self.draw(name, node).of_runnable(|name| converted.contains_key(name));
        let namespaces = self.namespaces(name, node);
        self.lists_of(node, &converted);
        items.push(Item::map("variants", pins(&preset, variants, &converted, &presets)));
        self.tests_of(name, &preset, &draw, &converted);
        self.put(&preset, node, variants, &converted, &presets, &draw);
        let spaces = self.namespace_presets(&preset, namespaces, &converted, &presets);
        if !spaces.is_empty() {
            items.push(Item::map("namespaces", spaces));
        }
        let of_models = variants.iter().filter(|variant| converted.contains_key(&variant.key)).filter_map(|variant| {
            let namespace = self.namespace_of(variant.node.text_of("model")?)?;
            Some(Item::text(&variant.key, namespace))
        });
        let of_models: Vec<Item> = of_models.collect();
        if !of_models.is_empty() {
            items.push(Item::map("variant_namespaces", of_models));
        }
        self.shared(&function, node, &mut items);
        Item::map(name, items).tall().beside(self.origin(node)).all_above(&entry.comments)
    }

    fn described(&mut self, node: &Node, items: &mut Vec<Item>) {
        for key in ["type", "description"] {
            if let Some(leaf) = node.get(key) {
                items.push(Item::new(key, Yaml::of(leaf)));
                self.ledger.carried(leaf, format!("`tensorzero.functions`: `{key}`"));
            }
        }
    }

    /// Schemas in both spellings.
    fn schemas<'n>(&mut self, node: &'n Node) -> Function<'n> {
        let mut schemas = BTreeMap::new();
        for role in ROLES {
            if let Some(leaf) = node.get(&format!("{role}_schema")) {
                let path = self.beside(leaf);
                self.ledger.carried(leaf, format!("the schema of the arguments of `{role}`: {path}"));
                schemas.insert(role.to_owned(), path);
            }
        }
        for entry in node.get("schemas").map(Node::entries).unwrap_or_default() {
            let Some(leaf) = entry.node.get("path") else { continue };
            let path = self.beside(leaf);
            self.ledger.carried(leaf, format!("the schema of the arguments of `{}`: {path}", entry.key));
            schemas.insert(entry.key.clone(), path);
        }
        let output = node.get("output_schema").map(|leaf| {
            let path = self.beside(leaf);
            self.ledger.carried(leaf, format!("`output` of the presets: {path}"));
            path
        });
        Function { node, schemas, output }
    }

    /// What of a function belongs to the surface and to no variant.
    fn shared(&mut self, function: &Function<'_>, node: &Node, items: &mut Vec<Item>) {
        if !function.schemas.is_empty() {
            let schemas = function.schemas.iter().map(|(name, path)| Item::text(name, path));
            items.push(Item::map("schemas", schemas.collect()));
        }
        for key in ["tools", "tool_choice", "parallel_tool_calls"] {
            if let Some(leaf) = node.get(key) {
                if self.chooses_nothing(leaf) {
                    let why = "there is no such tool: TensorZero fails every request of the function, and here the model chooses";
                    self.ledger.dropped(leaf, Severity::Error, why);
                    continue;
                }
                items.push(Item::new(key, Yaml::of(leaf)));
                self.ledger.carried(leaf, format!("`tensorzero.functions`: `{key}`"));
            }
        }
        if let Some(path) = &function.output {
            items.push(Item::text("output_schema", path));
        }
    }

    /// A choice of a tool that is not described, neither by its key nor by the name that models see.
    fn chooses_nothing(&self, leaf: &Node) -> bool {
        let Some(wanted) = leaf.text_of("specific") else { return false };
        let tools = self.root.get("tools").map(Node::entries).unwrap_or_default();
        !tools.iter().any(|tool| tool.key == wanted || tool.node.text_of("name") == Some(wanted))
    }

    /// The presets of the variants, then the function's own.
    fn put(
        &mut self,
        preset: &str,
        node: &Node,
        variants: &[Entry],
        converted: &BTreeMap<String, Variant>,
        presets: &BTreeMap<String, String>,
        draw: &Draw,
    ) {
        let origin = self.origin(node);
        if converted.is_empty() {
            let items = vec![Item::text("route", "deny 501 \"no variant of this function can run here\"")];
            self.presets.push(Preset { name: preset.to_owned(), items, origin, comments: Vec::new() });
            return;
        }
        for variant in variants {
            let (Some(done), Some(name)) = (converted.get(&variant.key), presets.get(&variant.key)) else { continue };
            let mut origin = self.origin(&variant.node);
            if let Some(remark) = &done.remark {
                origin = format!("{origin}: {remark}");
            }
            let comments = variant.comments.clone();
            self.presets.push(Preset { name: name.clone(), items: done.items.clone(), origin, comments });
        }
        if presets.values().any(|name| name == preset) {
            return;
        }
        let mut items = vec![Item::text("route", &draw_or_first(draw, converted, presets))];
        if draw.is_drawn() {
            items.push(Item::text("sticky", "episode"));
        }
        if draw.candidates.len() + draw.fallbacks.len() + draw.last.len() > 1 {
            items.push(Item::text("fall_through", "any"));
        }
        self.presets.push(Preset { name: preset.to_owned(), items, origin, comments: Vec::new() });
    }

    fn namespace_presets(
        &mut self,
        preset: &str,
        namespaces: Vec<(String, Draw)>,
        converted: &BTreeMap<String, Variant>,
        presets: &BTreeMap<String, String>,
    ) -> Vec<Item> {
        let mut items = Vec::new();
        for (namespace, draw) in namespaces {
            let draw = draw.of_runnable(|name| converted.contains_key(name));
            let route = draw.route(presets);
            if route.is_empty() {
                continue;
            }
            let name = self.names.claim(&[format!("{preset}.ns.{namespace}")]);
            let mut parts = vec![Item::text("route", &route)];
            if draw.is_drawn() {
                parts.push(Item::text("sticky", "episode"));
            }
            parts.push(Item::text("fall_through", "any"));
            items.push(Item::text(&namespace, &asked(&name)));
            let origin = format!("namespace `{namespace}`");
            self.presets.push(Preset { name, items: parts, origin, comments: Vec::new() });
        }
        items
    }

    /// Variants that no request reaches unless it names them; mostly a mistake where an experiment lists the others.
    fn lists_of(&mut self, node: &Node, converted: &BTreeMap<String, Variant>) {
        let Some(experiment) = node.get("experimentation").filter(|node| node.get("type").is_some()) else { return };
        let spaces = experiment.get("namespaces").map(Node::entries).unwrap_or_default();
        let draws: Vec<&Node> = std::iter::once(experiment).chain(spaces.iter().map(|entry| &entry.node)).collect();
        let listed = |name: &str| {
            let lists = draws
                .iter()
                .flat_map(|draw| [draw.get("candidate_variants"), draw.get("fallback_variants")].into_iter().flatten());
            lists
                .into_iter()
                .any(|list| list.get(name).is_some() || list.items().iter().any(|item| item.text() == Some(name)))
        };
        let all = experiment.get("candidate_variants").is_none();
        for entry in node.get("variants").map(Node::entries).unwrap_or_default() {
            let is_candidate = node.get("variants").map(Node::entries).unwrap_or_default().iter().any(|other| {
                other
                    .node
                    .get("candidates")
                    .map(Node::items)
                    .unwrap_or_default()
                    .iter()
                    .any(|item| item.text() == Some(&entry.key))
            });
            if all || listed(&entry.key) || is_candidate || !converted.contains_key(&entry.key) {
                continue;
            }
            if let Some(kind) = entry.node.get("type") {
                self.ledger.adapted(
                    kind,
                    Severity::Info,
                    "in none of the experiment's lists: only requests that name the variant reach it, as in TensorZero",
                );
            }
        }
    }

    /// One test for each variant that is drawn: it answers, and then, one after the other, all that follows where it fails.
    fn tests_of(&mut self, name: &str, preset: &str, draw: &Draw, converted: &BTreeMap<String, Variant>) {
        let chains = |order: Vec<&str>| -> Vec<String> {
            let chains = order.into_iter().filter_map(|variant| converted.get(variant));
            chains.flat_map(|variant| variant.chain.iter().cloned()).collect()
        };
        let twice = |chain: &[String]| chain.iter().collect::<BTreeSet<_>>().len() < chain.len();
        let repeats = converted.values().any(|variant| twice(&variant.chain));
        let middles = draw.middles();
        if draw.candidates.len() > 1 {
            for (middle, variant) in middles {
                let attempts = chains(draw.order(middle));
                let name = format!("{name}: {variant}");
                self.tests.push(Test { name, model: asked(preset), draw: Some(middle), attempts, repeats });
            }
            return;
        }
        let attempts = chains(draw.order(0.0));
        if !attempts.is_empty() && draw.last.len() < 2 {
            self.tests.push(Test { name: name.to_owned(), model: asked(preset), draw: None, attempts, repeats });
        }
    }
}

/// The presets by which requests name a variant; where none can run, all mean the function's own, which refuses.
fn pins(
    function: &str,
    variants: &[Entry],
    converted: &BTreeMap<String, Variant>,
    presets: &BTreeMap<String, String>,
) -> Vec<Item> {
    if converted.is_empty() {
        return variants.iter().map(|variant| Item::text(&variant.key, &asked(function))).collect();
    }
    let runnable = converted.keys().filter_map(|name| Some((name, presets.get(name)?)));
    runnable.map(|(name, preset)| Item::text(name, &asked(preset))).collect()
}

/// The draw; where nothing is left of it, the first variant that can run.
fn draw_or_first(draw: &Draw, converted: &BTreeMap<String, Variant>, presets: &BTreeMap<String, String>) -> String {
    let route = draw.route(presets);
    if !route.is_empty() {
        return route;
    }
    let first = converted.keys().next().and_then(|name| presets.get(name));
    first.map(|name| reference(name)).unwrap_or_default()
}
