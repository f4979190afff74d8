//! From a provider table of a model to a provider and the model it is asked for.

use super::Converter;
use super::edits::Edits;
use super::kinds::{self, Kind};
use super::location::Location;
use super::names::of_host;
use super::providers::Wanted;
use crate::config::known;
use crate::diagnostic::Severity;
use crate::import::toml::Node;
use crate::import::yaml::{Item, Yaml};
use crate::provider::catalogue;

/// Whom to ask, and for what.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) provider: String,
    pub(super) model: String,
    /// What options of the provider put into the request.
    pub(super) edits: Edits,
}

impl Target {
    /// As it stands in an expression.
    pub(super) fn text(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }

    /// Gives a model whose name no route can hold one that it can; the body says the true one.
    fn rename(&mut self) {
        self.edits.set("/model", Yaml::text(&self.model));
        self.model = self.model.chars().map(|c| if is_legal_in_target(c) { c } else { '-' }).collect();
    }
}

fn is_legal(model: &str) -> bool {
    !model.is_empty() && model.chars().all(is_legal_in_target)
}

fn is_legal_in_target(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_./:@+~=%$#!*-".contains(c) || !c.is_ascii()
}

/// One table `[models.M.providers.P]`.
#[derive(Clone, Copy)]
pub(super) struct Table<'n> {
    pub(super) node: &'n Node,
    pub(super) model: &'n str,
    pub(super) name: &'n str,
}

/// The version of Azure's API that TensorZero asks for.
const AZURE_VERSION: &str = "2025-04-01-preview";

impl Converter<'_> {
    /// What is asked; `None` where nothing here can ask it. Every leaf but those of `edits` gets its verdict.
    pub(super) fn target(&mut self, table: Table<'_>) -> Option<Target> {
        let kind = kinds::of(table.node.text_of("type").unwrap_or_default())?;
        self.providers.headers = self.secret_headers(table);
        let target = match kind.name {
            "openai" => self.openai(table, kind),
            "anthropic" => self.anthropic(table, kind),
            "azure" => self.azure(table, kind),
            "aws_bedrock" => self.bedrock(table),
            "gcp_vertex_anthropic" | "gcp_vertex_gemini" => self.vertex(table),
            "sglang" | "tgi" | "vllm" => self.own_server(table, kind),
            "dummy" => Some(self.dummy(table)),
            "aws_sagemaker" => {
                self.ledger.left_out(
                    table.node,
                    "Routeplane does not speak to SageMaker endpoints, so this provider is left out",
                );
                None
            }
            _ => self.plain(table, kind),
        };
        self.providers.headers.clear();
        let mut target = target?;
        if !is_legal(&target.model) {
            if !kind.names_model_in_body() || target.model.is_empty() {
                self.ledger.left_out(
                    table.node,
                    "the model's name holds characters that a route cannot, so this provider is left out",
                );
                return None;
            }
            target.rename();
        }
        if let Some(tag) = table.node.get("type") {
            self.ledger.carried(tag, format!("the provider `{}`", target.provider));
        }
        self.prices(table, &target);
        Some(target)
    }

    /// The target of `openai::gpt-4o`; `None` where the type has no such names.
    pub(super) fn short(&mut self, model: &str) -> Option<Target> {
        let (kind, name) = kinds::shorthand(model)?;
        let target = |provider: &str, model: &str| Target {
            provider: provider.to_owned(),
            model: model.to_owned(),
            edits: Edits::default(),
        };
        if kind.known != Some("vertex") && !is_legal(name) {
            return None;
        }
        if let Some(name) = name.strip_prefix("responses::").filter(|_| kind.name == "openai") {
            let location = self.default_of(kind);
            let provider =
                self.responses(None, location.as_ref(), &["openai-responses".to_owned()], "openai::responses::");
            return Some(target(&provider, name));
        }
        if kind.name == "dummy" {
            return Some(target("demo", "chat"));
        }
        if kind.known == Some("vertex") {
            let parts: Vec<&str> = name.split('/').collect();
            let [_, project, _, location, rest @ ..] = parts.as_slice() else { return None };
            let id = rest.last()?;
            let items = vec![Item::text("project", project), Item::text("location", location)];
            let names = [format!("vertex-{location}"), format!("vertex-{project}-{location}")];
            let provider = self.providers.first_or_named(Wanted { known: Some("vertex"), items }, &names, model);
            return Some(target(&provider, id));
        }
        let wanted = self.default_wanted(kind);
        let provider = self.providers.known(wanted, &format!("`{}::` names", kind.name));
        Some(target(&provider, name))
    }

    /// Where keys of a type come from, where nothing else is said.
    fn default_of(&self, kind: &Kind) -> Option<Location> {
        self.defaults.get(kind.name).cloned().or_else(|| kind.default_location())
    }

    /// The known provider as short-hand names mean it.
    pub(super) fn default_wanted(&self, kind: &Kind) -> Wanted {
        let location = self.default_of(kind);
        let found = kind.finds && location == kind.default_location();
        let items = if found { Vec::new() } else { key_items(location.as_ref(), true) };
        Wanted { known: kind.known, items }
    }

    /// The location that the table or the type's defaults name; settled as carried.
    fn location(&mut self, table: Table<'_>, kind: &Kind) -> Option<Location> {
        let Some(node) = table.node.get("api_key_location") else { return self.default_of(kind) };
        let location = Location::of(node);
        match &location {
            Some(Location::Dynamic(name)) => {
                self.ledger.carried(node, format!("`request:{name}`: from `credentials` of the request"))
            }
            Some(Location::None) => self.ledger.carried(node, "no key is sent"),
            Some(Location::Env(name)) => self.ledger.carried(node, format!("`env:{name}`")),
            Some(Location::Fallback(first, second)) if [first, second].iter().any(|one| key_text(one).is_none()) => {
                let why = "one key and nothing in its place: where it is missing, TensorZero asks without a key, and here nobody is asked";
                self.ledger.adapted(node, Severity::Warning, why);
            }
            _ => self.ledger.carried(node, "the key's places, in the same order"),
        }
        location
    }

    /// Types with a key and nothing else.
    fn plain(&mut self, table: Table<'_>, kind: &'static Kind) -> Option<Target> {
        let model = self.model_name(table)?;
        let location = self.location(table, kind);
        let mut edits = Edits::default();
        for option in ["reasoning_format", "prompt_mode"] {
            if let Some(node) = table.node.get(option) {
                edits.set(&format!("/{option}"), Yaml::of(node));
                self.ledger.carried(node, format!("`/{option}` of the request's body"));
            }
        }
        let wanted = match location == self.default_of(kind) {
            true => self.default_wanted(kind),
            false => Wanted { known: kind.known, items: key_items(location.as_ref(), true) },
        };
        let provider = self.provider(wanted, kind, location.as_ref(), table);
        Some(Target { provider, model, edits })
    }

    /// The entry: the known provider's where the key is the usual one, else one of its own.
    fn provider(&mut self, wanted: Wanted, kind: &Kind, location: Option<&Location>, table: Table<'_>) -> String {
        let origin = self.origin(table.node);
        if wanted == self.default_wanted(kind) {
            return self.providers.known(wanted, &origin);
        }
        let by_key = match location {
            Some(Location::Dynamic(_)) => format!("{}-request-key", kind.known.unwrap_or(kind.name)),
            _ => format!("{}-{}", table.name, table.model),
        };
        let names = [table.name.to_owned(), by_key, format!("{}-{}", table.name, table.model)];
        self.providers.named(wanted, &names, &origin)
    }

    fn model_name(&mut self, table: Table<'_>) -> Option<String> {
        let node = table.node.get("model_name")?;
        self.ledger.carried(node, "the model that is asked for");
        node.text().map(str::to_owned)
    }

    fn openai(&mut self, table: Table<'_>, kind: &'static Kind) -> Option<Target> {
        let model = self.model_name(table)?;
        let location = self.location(table, kind);
        let base = table.node.get("api_base");
        let url = base.and_then(Node::text).map(|url| url.trim_end_matches('/').to_owned());
        let url = url.filter(|url| url != "https://api.openai.com/v1");
        if let Some(base) = base {
            self.ledger.carried(base, "`base_url` of the provider");
        }
        let mut edits = Edits::default();
        let responses = table.node.get("api_type").is_some_and(|api| api.text() == Some("responses"));
        if let Some(api) = table.node.get("api_type") {
            self.ledger.carried(api, "the protocol of the provider");
        }
        if let Some(node) = table.node.get("include_encrypted_reasoning") {
            if node.flag() == Some(true) && responses {
                edits.set("/include", Yaml::texts(["reasoning.encrypted_content"]));
            }
            self.ledger.carried(node, "`/include` of the request's body");
        }
        self.provider_tools(table, &mut edits);
        let names = self.names_of(table, url.as_deref(), location.as_ref());
        let origin = self.origin(table.node);
        let provider = match (url, responses) {
            (url, true) => self.responses(url.as_deref(), location.as_ref(), &names, &origin),
            (None, false) => {
                let wanted = match location == self.default_of(kind) {
                    true => self.default_wanted(kind),
                    false => Wanted { known: kind.known, items: key_items(location.as_ref(), true) },
                };
                return Some(Target { provider: self.provider(wanted, kind, location.as_ref(), table), model, edits });
            }
            (Some(url), false) => self.compatible(&url, location.as_ref(), &names, &origin),
        };
        Some(Target { provider, model, edits })
    }

    /// A server that speaks OpenAI's Chat Completions: a known one where the address says so.
    fn compatible(&mut self, url: &str, location: Option<&Location>, names: &[String], origin: &str) -> String {
        let same = |entry: &&crate::config::document::ProviderEntry| {
            let base = entry.base_url.as_ref().map(|base| base.value.trim_end_matches('/'));
            base == Some(url) && url.starts_with("https://")
        };
        if let Some(known) = known::providers().entries.iter().find(same) {
            let name =
                crate::provider::presets::PRESETS.iter().map(|(name, _)| *name).find(|name| *name == known.name.value);
            let finds = known.env.as_ref().and_then(|env| env.key.first()).map(|key| Location::Env(key.value.clone()));
            let items = if finds.as_ref() == location { Vec::new() } else { key_items(location, true) };
            let wanted = Wanted { known: name, items };
            return match wanted.items.is_empty() {
                true => self.providers.known(wanted, origin),
                false => self.providers.first_or_named(wanted, names, origin),
            };
        }
        let mut items = vec![Item::text("protocol", "openai-chat"), Item::text("base_url", url)];
        items.extend(key_items(location, false));
        items.push(strict());
        self.providers.named(Wanted { known: None, items }, names, origin)
    }

    /// A provider that is asked over OpenAI Responses.
    fn responses(&mut self, url: Option<&str>, location: Option<&Location>, names: &[String], origin: &str) -> String {
        let url = url.unwrap_or("https://api.openai.com/v1");
        let mut items = vec![Item::text("protocol", "openai-responses"), Item::text("base_url", url)];
        items.extend(key_items(location, false));
        items.push(strict());
        let mut all = vec!["openai-responses".to_owned()];
        if url != "https://api.openai.com/v1" {
            all = names.iter().map(|name| format!("{name}-responses")).collect();
        }
        all.extend(names.iter().cloned());
        self.providers.named(Wanted { known: None, items }, &all, origin)
    }

    /// What a person might call the provider of a table.
    fn names_of(&self, table: Table<'_>, url: Option<&str>, location: Option<&Location>) -> Vec<String> {
        let mut names = vec![table.name.to_owned()];
        names.extend(url.map(of_host));
        if matches!(location, Some(Location::Dynamic(_))) {
            names.push(format!("{}-request-key", table.name));
        }
        names.push(format!("{}-{}", table.name, table.model));
        names
    }

    fn anthropic(&mut self, table: Table<'_>, kind: &'static Kind) -> Option<Target> {
        let model = self.model_name(table)?;
        let location = self.location(table, kind);
        let mut edits = Edits::default();
        self.provider_tools(table, &mut edits);
        let mut wanted = match location == self.default_of(kind) {
            true => self.default_wanted(kind),
            false => Wanted { known: kind.known, items: key_items(location.as_ref(), true) },
        };
        let Some(base) = table.node.get("api_base") else {
            return Some(Target { provider: self.provider(wanted, kind, location.as_ref(), table), model, edits });
        };
        let written = base.text().unwrap_or_default().trim_end_matches('/');
        let stem = written.strip_suffix("/messages").unwrap_or(written).trim_end_matches('/');
        let (origin_url, versioned) = stem.strip_suffix("/v1").map_or((stem, false), |url| (url, true));
        match stem == written {
            true => self.ledger.carried(base, "`base_url` of the provider, without the `/v1` that the protocol adds"),
            false => self.ledger.adapted(
                base,
                Severity::Info,
                "`base_url` of the provider; `/messages` belongs to the protocol",
            ),
        }
        if origin_url == "https://api.anthropic.com" {
            return Some(Target { provider: self.provider(wanted, kind, location.as_ref(), table), model, edits });
        }
        if wanted.items.is_empty() {
            wanted.items = key_items(location.as_ref(), true);
        }
        if catalogue::find("anthropic", &model).is_some() {
            // What is known of Anthropic's models, above all how long their answers may be, holds there, too.
            wanted.items.insert(0, Item::text("catalogue", "anthropic"));
        }
        wanted.items.insert(0, Item::text("base_url", origin_url));
        if !versioned {
            let paths = ["generate", "stream"].map(|operation| Item::text(operation, "/messages"));
            let paths = Item::map("paths", paths.to_vec());
            wanted.items.push(Item::map("endpoints", vec![Item::map("anthropic-messages", vec![paths])]));
        }
        let names = self.names_of(table, Some(origin_url), location.as_ref());
        let origin = self.origin(table.node);
        let provider = self.providers.named(wanted, &names, &origin);
        Some(Target { provider, model, edits })
    }

    fn azure(&mut self, table: Table<'_>, kind: &'static Kind) -> Option<Target> {
        let node = table.node.get("deployment_id")?;
        let model = node.text()?.to_owned();
        self.ledger.carried(node, "the deployment that is asked");
        let location = self.location(table, kind);
        let endpoint = table.node.get("endpoint")?;
        let text = endpoint.text().unwrap_or_default();
        let mut items = vec![Item::text("protocol", "openai-chat")];
        if let Some(variable) = text.strip_prefix("env::") {
            self.variables.insert(variable.to_owned());
            items.push(Item::text("base_url", "{endpoint}"));
            items.push(Item::map("env", vec![Item::map("variables", vec![Item::text("endpoint", variable)])]));
            self.ledger.carried(endpoint, format!("`base_url` of the provider, from the variable `{variable}`"));
        } else if text.starts_with("dynamic::") {
            self.ledger.left_out(
                table.node,
                "an address cannot come with the request, so this provider is left out; write one provider for each address",
            );
            return None;
        } else {
            items.push(Item::text("base_url", text.trim_end_matches('/')));
            self.ledger.carried(endpoint, "`base_url` of the provider");
        }
        items.extend(key_items(location.as_ref(), true));
        let path = |operation: &str| format!("/openai/deployments/{{model}}/{operation}?api-version={AZURE_VERSION}");
        let paths = [("generate", "chat/completions"), ("stream", "chat/completions"), ("embed", "embeddings")];
        let paths = paths.map(|(name, operation)| Item::text(name, &path(operation)));
        let paths = Item::map("paths", paths.to_vec()).tall();
        items.push(Item::map("endpoints", vec![Item::map("openai-chat", vec![paths]).tall()]).tall());
        let names =
            [table.name.to_owned(), format!("azure-{}", of_host(text)), format!("{}-{}", table.name, table.model)];
        let origin = self.origin(table.node);
        let provider = self.providers.first_or_named(Wanted { known: Some("azure"), items }, &names, &origin);
        Some(Target { provider, model, edits: Edits::default() })
    }

    /// Servers that people run themselves.
    fn own_server(&mut self, table: Table<'_>, kind: &'static Kind) -> Option<Target> {
        let model = match kind.name {
            "tgi" => "tgi".to_owned(),
            _ => self.model_name(table)?,
        };
        let location = self.location(table, kind);
        let base = table.node.get("api_base")?;
        self.ledger.carried(base, "`base_url` of the provider");
        let url = base.text().unwrap_or_default().trim_end_matches('/').to_owned();
        let mut items = vec![Item::text("base_url", &url)];
        if location != kind.default_location() {
            items.extend(key_items(location.as_ref(), true));
        }
        let names = self.names_of(table, Some(&url), location.as_ref());
        let origin = self.origin(table.node);
        let provider = self.providers.first_or_named(Wanted { known: kind.known, items }, &names, &origin);
        Some(Target { provider, model, edits: Edits::default() })
    }

    fn dummy(&mut self, table: Table<'_>) -> Target {
        self.ledger.adapted(
            table.node,
            Severity::Warning,
            "only TensorZero's test builds have this type; the built-in provider `demo` answers in its place",
        );
        Target { provider: "demo".to_owned(), model: "chat".to_owned(), edits: Edits::default() }
    }

    /// Tools that the provider runs are offered with every request.
    pub(super) fn provider_tools(&mut self, table: Table<'_>, edits: &mut Edits) {
        let Some(node) = table.node.get("provider_tools") else { return };
        if node.items().is_empty() {
            self.ledger.carried(node, "there are none");
            return;
        }
        for tool in node.items() {
            edits.set("/tools/-", Yaml::of(tool));
        }
        self.ledger.adapted(
            node,
            Severity::Warning,
            "added to `/tools` of every request to this provider, behind those of the request",
        );
    }
}

/// `key:` of a provider. `known`: without it the provider would look for a key of its own.
pub(super) fn key_items(location: Option<&Location>, known: bool) -> Vec<Item> {
    match location {
        None | Some(Location::None) if known => vec![Item::text("auth", "none")],
        None | Some(Location::None) => Vec::new(),
        Some(Location::Fallback(first, second)) => match (key_text(first), key_text(second)) {
            (Some(first), Some(second)) => {
                vec![Item::map("key", vec![Item::text("default", &first), Item::text("fallback", &second)])]
            }
            (first, second) => first.or(second).map(|text| Item::text("key", &text)).into_iter().collect(),
        },
        Some(location) => key_text(location).map(|text| Item::text("key", &text)).into_iter().collect(),
    }
}

fn key_text(location: &Location) -> Option<String> {
    match location {
        Location::Env(name) => Some(format!("env:{name}")),
        Location::Dynamic(name) => Some(format!("request:{name}")),
        Location::Path(path) => Some(format!("file:{path}")),
        Location::PathFromEnv(_) | Location::Sdk | Location::None | Location::Fallback(..) => None,
    }
}

/// TensorZero sends schemas in OpenAI's strict form to everything that is asked as OpenAI.
fn strict() -> Item {
    Item::map("quirks", vec![Item::text("structured_output", "strict")])
}
