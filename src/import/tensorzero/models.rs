//! Models and embedding models: each a preset, whose route is the order of its providers.

use std::collections::BTreeMap;

use super::Converter;
use super::edits::Edits;
use super::names::{asked, reference};
use super::target::{Table, Target};
use super::timeouts::Bounds;
use crate::diagnostic::Severity;
use crate::import::toml::{Entry, Node};
use crate::import::yaml::{Item, Yaml};

/// A longer route is a list.
const LINE: usize = 90;

/// A preset of the output.
#[derive(Debug, Clone)]
pub(super) struct Preset {
    pub(super) name: String,
    pub(super) items: Vec<Item>,
    /// Where it comes from.
    pub(super) origin: String,
    /// What people wrote about it.
    pub(super) comments: Vec<String>,
}

/// What a name of a model means, once it is converted; nothing where none of its providers can be asked.
pub(super) type Models = BTreeMap<String, Option<Model>>;

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) preset: String,
    pub(super) chain: Vec<String>,
}

/// A provider of a model, ready to be put into its route.
struct Step {
    target: Target,
    edits: Edits,
    bounds: Bounds,
    origin: String,
    name: String,
    comments: Vec<String>,
}

impl Converter<'_> {
    /// The section `models` or `embedding_models`.
    pub(super) fn models(&mut self, section: &str, suffix: &str) -> Models {
        let root = self.root;
        let mut models = Models::new();
        for entry in root.get(section).map(Node::entries).unwrap_or_default() {
            let model = self.model(entry, suffix);
            models.insert(entry.key.clone(), model);
        }
        models
    }

    fn model(&mut self, entry: &Entry, suffix: &str) -> Option<Model> {
        let (name, node) = (entry.key.as_str(), &entry.node);
        if self.is_incomplete(node) {
            self.ledger.dropped(
                node,
                Severity::Warning,
                "its `routing` names no provider that is described, so there is nothing to ask",
            );
            return None;
        }
        let steps = self.steps(name, node);
        let bounds = self.bounds(node);
        if let Some(namespace) = node.get("namespace") {
            self.ledger.carried(namespace, "`tensorzero.model_namespaces`: requests of another namespace are refused");
        }
        if steps.is_empty() {
            self.ledger.left_out(node, "none of its providers can be asked, so the model is left out");
            return None;
        }
        let preset = self.names.claim(&[name.to_owned(), format!("{name}.{suffix}")]);
        let chain: Vec<String> = steps.iter().map(|step| step.target.text()).collect();
        let several = steps.len() > 1;
        let mut items = Vec::new();
        let route = if several { self.chain(&preset, steps) } else { self.only(steps, bounds, &mut items) };
        items.insert(0, Item::new("route", route));
        if several {
            items.push(Item::text("fall_through", "any"));
            items.extend(bounds.item());
        }
        let origin = self.origin(node);
        self.presets.push(Preset { name: preset.clone(), items, origin, comments: entry.comments.clone() });
        Some(Model { preset, chain })
    }

    /// `routing` names a provider that is not described, or none.
    fn is_incomplete(&self, node: &Node) -> bool {
        let items = node.get("routing").map(Node::items).unwrap_or_default();
        let described = |item: &Node| {
            let provider = item.text().and_then(|name| node.get("providers")?.get(name));
            provider.is_some_and(|provider| provider.get("type").is_some())
        };
        items.is_empty() || !items.iter().all(described)
    }

    /// The providers that can be asked, in the order of `routing`.
    fn steps(&mut self, name: &str, node: &Node) -> Vec<Step> {
        let mut steps = Vec::new();
        let providers = node.get("providers");
        for item in node.get("routing").map(Node::items).unwrap_or_default() {
            let provider = item.text().and_then(|name| providers?.entry(name));
            let Some(provider) = provider else { continue };
            let table = Table { node: &provider.node, model: name, name: &provider.key };
            let Some(target) = self.target(table) else {
                self.ledger.dropped(item, Severity::Error, "left out: this provider cannot be asked");
                continue;
            };
            self.ledger.carried(item, format!("`{}` in the route", target.text()));
            let mut edits = target.edits.clone();
            self.edits(&provider.node, &mut edits);
            let bounds = self.bounds(&provider.node);
            let (origin, name) = (self.origin(&provider.node), provider.key.clone());
            steps.push(Step { target, edits, bounds, origin, name, comments: provider.comments.clone() });
        }
        steps
    }

    /// The route to a single provider, whose settings become the model's.
    fn only(&mut self, steps: Vec<Step>, bounds: Bounds, items: &mut Vec<Item>) -> Yaml {
        let Some(step) = steps.into_iter().next() else { return Yaml::text("") };
        items.extend(bounds.and(step.bounds).item());
        items.extend(step.edits.items(true));
        Yaml::text(&step.target.text())
    }

    /// The route over several providers. One with settings of its own becomes a preset of its own.
    fn chain(&mut self, preset: &str, steps: Vec<Step>) -> Yaml {
        let mut route = Vec::new();
        for step in steps {
            if step.edits.is_empty() && step.bounds.is_empty() {
                route.push(step.target.text());
                continue;
            }
            let name = self.names.claim(&[format!("{preset}.{}", step.name)]);
            let mut items = vec![Item::text("route", &step.target.text())];
            items.extend(step.bounds.item());
            items.extend(step.edits.items(true));
            route.push(reference(&name));
            self.presets.push(Preset { name, items, origin: step.origin, comments: step.comments });
        }
        let line = route.join(" > ");
        if line.len() > LINE { Yaml::texts(route.iter().map(String::as_str)) } else { Yaml::text(&line) }
    }

    /// `tensorzero.models`: the names of clients, and the presets they mean.
    /// The namespaces of models that have one, and can be asked.
    pub(super) fn model_namespaces(&self) -> Vec<Item> {
        let known = self.known_models.iter().filter(|(_, model)| model.is_some());
        known.filter_map(|(name, _)| Some(Item::text(name, self.namespace_of(name)?))).collect()
    }

    /// The namespace that requests for a model must have.
    pub(super) fn namespace_of(&self, model: &str) -> Option<&str> {
        self.root.get("models")?.get(model)?.get("namespace")?.text()
    }

    pub(super) fn surface_models(&self, models: &Models) -> Vec<Item> {
        let known = models.iter().filter_map(|(name, model)| Some((name, model.as_ref()?)));
        known.map(|(name, model)| Item::text(name, &asked(&model.preset))).collect()
    }
}
