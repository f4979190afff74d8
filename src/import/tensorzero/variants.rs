//! Variants: each a preset with a route and settings.

use std::collections::BTreeMap;

use super::Converter;
use super::edits::Edits;
use super::functions::Function;
use super::names::reference;
use super::timeouts::duration;
use crate::diagnostic::Severity;
use crate::import::toml::{Entry, Node, Value};
use crate::import::yaml::{Item, Yaml};

/// A variant, converted.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    pub(super) items: Vec<Item>,
    /// The targets it leads to, in order.
    pub(super) chain: Vec<String>,
    /// It is not what it was, and answers all the same.
    pub(super) remark: Option<String>,
}

/// Keys of a variant that are parameters of a request, and what they are called here.
const PARAMETERS: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("max_tokens", "max_tokens"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("seed", "seed"),
    ("stop_sequences", "stop"),
    ("reasoning_effort", "reasoning_effort"),
    ("thinking_budget_tokens", "thinking_budget_tokens"),
    ("service_tier", "service_tier"),
    ("verbosity", "verbosity"),
];

/// The roles whose templates and schemas have keys of their own.
pub(super) const ROLES: [&str; 3] = ["system", "user", "assistant"];

/// TensorZero's pauses between tries begin with about a second, and are at most ten.
const LONGEST_PAUSE: f64 = 10.0;

/// With the first try that is as many as a preset takes.
const MOST_RETRIES: i64 = 99;

impl Converter<'_> {
    /// `None` where nothing can run.
    pub(super) fn variant(
        &mut self,
        function: &Function<'_>,
        entry: &Entry,
        presets: &BTreeMap<String, String>,
    ) -> Option<Variant> {
        let node = &entry.node;
        if let Some(namespace) = node.get("namespace") {
            self.ledger.carried(
                namespace,
                "as in TensorZero the experiments alone say which namespace draws the variant, and any request may name it",
            );
        }
        let kind = node.text_of("type").unwrap_or_default();
        match kind {
            "chat_completion" => self.completion(function, node),
            "experimental_chain_of_thought" => {
                let variant = self.completion(function, node)?;
                self.lost(node, "the model is not asked to think in a field of its own first: give it a model that reasons, or ask for it in the template");
                Some(Variant { remark: Some("was a chain of thought; answers at once here".to_owned()), ..variant })
            }
            "experimental_dynamic_in_context_learning" => self.in_context(function, node),
            "experimental_mixture_of_n" => self.of_candidates(function, node, presets, "mixture of n"),
            _ => self.of_candidates(function, node, presets, "best of n"),
        }
    }

    /// The variant's type is what is lost.
    fn lost(&mut self, node: &Node, message: &str) {
        if let Some(kind) = node.get("type") {
            self.ledger.dropped(kind, Severity::Error, message);
        }
    }

    fn completion(&mut self, function: &Function<'_>, node: &Node) -> Option<Variant> {
        if self.includes_nothing_known(node) {
            return None;
        }
        let (route, chain) = self.model_of(node)?;
        if let Some(kind) = node.get("type") {
            self.ledger.carried(kind, "a preset of its own");
        }
        let mut items = vec![Item::text("route", &route)];
        let templates = self.templates(node);
        if !templates.is_empty() {
            items.push(Item::map("templates", templates));
        }
        let wrappers = self.wrappers(node);
        if !wrappers.is_empty() {
            items.push(Item::map("wrappers", wrappers));
        }
        if !function.schemas.is_empty() {
            let arguments = function.schemas.iter().map(|(name, path)| Item::text(name, path));
            items.push(Item::map("arguments", arguments.collect()));
        }
        items.extend(self.settings(function, node));
        Some(Variant { items, chain, remark: None })
    }

    /// A template includes one that is not there: TensorZero loads that, and fails every request.
    fn includes_nothing_known(&mut self, node: &Node) -> bool {
        let old = ROLES.iter().filter_map(|role| node.get(&format!("{role}_template")));
        let wrappers =
            node.get("input_wrappers").map(Node::entries).unwrap_or_default().iter().map(|entry| &entry.node);
        let new = node.get("templates").map(Node::entries).unwrap_or_default().iter();
        let leaves: Vec<&Node> = old.chain(wrappers).chain(new.filter_map(|entry| entry.node.get("path"))).collect();
        let mut missing = false;
        for leaf in leaves {
            let place = self.assets.place(leaf);
            if let Some(name) = self.assets.missing_include(&place) {
                let why = format!(
                    "it includes `{name}`, which nothing answers to: TensorZero fails every request for the variant, which is left out here"
                );
                self.ledger.dropped(leaf, Severity::Error, why);
                missing = true;
            }
        }
        missing
    }

    /// Parameters, the form of the answer, retries, timeouts and edits.
    fn settings(&mut self, function: &Function<'_>, node: &Node) -> Vec<Item> {
        let mut items = Vec::new();
        let mut parameters = Vec::new();
        for (key, name) in PARAMETERS {
            if let Some(leaf) = node.get(key) {
                self.ledger.carried(leaf, format!("`params.{name}` of the preset"));
                parameters.push(Item::new(name, Yaml::of(leaf)));
            }
        }
        if !parameters.is_empty() {
            items.push(Item::map("params", parameters));
        }
        if let Some(mode) = node.get("json_mode") {
            match mode.text() {
                Some("implicit_tool") => {
                    items.push(Item::text("json_mode", "tool"));
                    self.ledger.adapted(mode, Severity::Info, "the old name of `tool`");
                }
                text => {
                    items.push(Item::text("json_mode", text.unwrap_or_default()));
                    self.ledger.carried(mode, "`json_mode` of the preset");
                }
            }
        }
        if let Some(schema) = &function.output {
            items.push(Item::text("output", schema));
        }
        items.extend(self.retries(node));
        items.extend(self.bounds(node).item());
        let mut edits = Edits::default();
        self.edits(node, &mut edits);
        items.extend(edits.items(false));
        items
    }

    /// The model as an expression, and the targets that it leads to.
    fn model_of(&mut self, node: &Node) -> Option<(String, Vec<String>)> {
        let leaf = node.get("model")?;
        let name = leaf.text()?;
        match self.known_models.get(name).cloned() {
            Some(Some(model)) => {
                self.ledger.carried(leaf, format!("the route `{}`", reference(&model.preset)));
                return Some((reference(&model.preset), model.chain));
            }
            Some(None) => {
                self.ledger.dropped(
                    leaf,
                    Severity::Error,
                    "no provider of this model can be asked, so the variant is left out",
                );
                return None;
            }
            None => {}
        }
        let Some(target) = self.short(name) else {
            self.ledger.dropped(
                leaf,
                Severity::Error,
                "nobody can be asked for this model here, so the variant is left out",
            );
            return None;
        };
        match target.provider.as_str() {
            "demo" => self.ledger.adapted(
                leaf,
                Severity::Warning,
                "only TensorZero's test builds have `dummy`; the built-in provider `demo` answers in its place",
            ),
            _ => self.ledger.carried(leaf, format!("the route `{}`", target.text())),
        }
        Some((target.text(), vec![target.text()]))
    }

    fn templates(&mut self, node: &Node) -> Vec<Item> {
        let mut items = Vec::new();
        for role in ROLES {
            if let Some(leaf) = node.get(&format!("{role}_template")) {
                if node.get("templates").is_some_and(|templates| templates.get(role).is_some()) {
                    let why = "the same file as the new spelling, which holds; TensorZero refuses both at once";
                    self.ledger.adapted(leaf, Severity::Warning, why);
                    continue;
                }
                let path = self.beside(leaf);
                self.ledger.carried(leaf, format!("`templates.{role}` of the preset: {path}"));
                items.push(Item::map(role, vec![Item::text("path", &path), Item::text("form", "legacy")]));
            }
        }
        for entry in node.get("templates").map(Node::entries).unwrap_or_default() {
            let Some(leaf) = entry.node.get("path") else { continue };
            let path = self.beside(leaf);
            self.ledger.carried(leaf, format!("`templates.{}` of the preset: {path}", entry.key));
            items.push(Item::text(&entry.key, &path));
        }
        items
    }

    fn wrappers(&mut self, node: &Node) -> Vec<Item> {
        let mut items = Vec::new();
        for role in ROLES {
            let Some(leaf) = node.get("input_wrappers").and_then(|wrappers| wrappers.get(role)) else { continue };
            let path = self.beside(leaf);
            self.ledger.carried(leaf, format!("`wrappers.{role}` of the preset: {path}"));
            items.push(Item::text(role, &path));
        }
        items
    }

    fn retries(&mut self, node: &Node) -> Option<Item> {
        let retries = node.get("retries")?;
        let wanted = retries.get("num_retries").and_then(Node::whole).unwrap_or(0);
        let tries = wanted.min(MOST_RETRIES);
        match tries == wanted {
            true => self.ledger.carried(retries, "`retries` of the preset, around its whole route"),
            false => {
                let how = format!("`retries` of the preset, {MOST_RETRIES} at most");
                self.ledger.adapted(retries, Severity::Info, how);
            }
        }
        if tries == 0 {
            return None;
        }
        let longest = retries.get("max_delay_s").and_then(Node::number).unwrap_or(LONGEST_PAUSE);
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a pause are few")]
        let longest = (longest.max(0.0) * 1000.0) as i64;
        Some(Item::map(
            "retries",
            vec![
                Item::new("attempts", Yaml::whole(tries + 1)),
                Item::text("around", "chain"),
                Item::text("backoff", &duration(longest.min(1000))),
                Item::text("max_backoff", &duration(longest)),
            ],
        ))
    }

    /// Dynamic in-context learning: without its examples it is the prompt alone.
    fn in_context(&mut self, function: &Function<'_>, node: &Node) -> Option<Variant> {
        let (route, chain) = self.model_of(node)?;
        self.lost(node, "no examples are looked up: the variant answers with its instructions alone");
        for key in ["embedding_model", "k", "max_distance"] {
            if let Some(leaf) = node.get(key) {
                self.ledger.dropped(leaf, Severity::Error, "no examples are looked up");
            }
        }
        let mut items = vec![Item::text("route", &route)];
        if let Some(leaf) = node.get("system_instructions") {
            let place = self.assets.place(leaf);
            let text = self.assets.look(&place).unwrap_or_default();
            // The text is no template; one that looks like one stays behind.
            if text.contains("{{") || text.contains("{%") || text.contains("{#") {
                self.ledger.dropped(leaf, Severity::Error, "the instructions hold what would be read as a template");
            } else {
                items.push(Item::text("system", text.trim_end()));
                self.ledger.carried(leaf, "`system` of the preset");
            }
        }
        items.extend(self.settings(function, node));
        Some(Variant {
            items,
            chain,
            remark: Some("was dynamic in-context learning; no examples are added here".to_owned()),
        })
    }

    /// Best of n and mixture of n: the first candidate that can run answers alone.
    fn of_candidates(
        &mut self,
        function: &Function<'_>,
        node: &Node,
        presets: &BTreeMap<String, String>,
        what: &str,
    ) -> Option<Variant> {
        let names = node.get("candidates").map(Node::items).unwrap_or_default().iter().filter_map(Node::text);
        let siblings = function.node.get("variants");
        let can_run = |name: &&str| {
            let sibling = siblings.and_then(|variants| variants.get(name));
            sibling.is_some_and(|sibling| {
                matches!(sibling.text_of("type"), Some("chat_completion" | "experimental_chain_of_thought"))
                    && self.can_be_asked(sibling.text_of("model").unwrap_or_default())
            })
        };
        let first = names.clone().find(can_run).map(str::to_owned);
        for key in ["evaluator", "fuser", "candidates", "timeout_s"] {
            if let Some(part) = node.get(key) {
                self.ledger.dropped(
                    part,
                    Severity::Error,
                    format!("{what} does not run here: one candidate answers alone"),
                );
            }
        }
        if let Some(timeouts) = node.get("timeouts") {
            self.ledger.dropped(timeouts, Severity::Error, format!("{what} does not run here"));
        }
        let Some(first) = first else {
            self.lost(
                node,
                &format!(
                    "{what} does not run here, and none of its candidates can be asked, so the variant is left out"
                ),
            );
            return None;
        };
        self.lost(
            node,
            &format!("{what} does not run here: requests for it are answered by its candidate `{first}` alone"),
        );
        let model = siblings.and_then(|variants| variants.get(&first)).and_then(|sibling| sibling.text_of("model"));
        let chain = self.chain_of(model.unwrap_or_default());
        let preset = presets.get(&first)?;
        Some(Variant {
            items: vec![Item::text("route", &reference(preset))],
            chain,
            remark: Some(format!("was {what}; its first candidate answers here")),
        })
    }

    fn can_be_asked(&self, model: &str) -> bool {
        match self.known_models.get(model) {
            Some(known) => known.is_some(),
            None => super::kinds::shorthand(model).is_some(),
        }
    }

    fn chain_of(&mut self, model: &str) -> Vec<String> {
        match self.known_models.get(model).cloned() {
            Some(known) => known.map(|known| known.chain).unwrap_or_default(),
            None => self.short(model).map(|target| vec![target.text()]).unwrap_or_default(),
        }
    }
}

/// A value that is neither an empty list nor an empty table.
pub(super) fn says_something(node: &Node) -> bool {
    !matches!(&node.value, Value::List(items) if items.is_empty())
}
