//! What is neither a model nor a function: the gateway, tools, metrics, limits, defaults of provider types.

use super::Converter;
use super::edits::{is_secret, variable_for};
use super::kinds;
use super::location::Location;
use super::shape::is_placeholder;
use super::timeouts::duration;
use crate::diagnostic::Severity;
use crate::import::toml::{Entry, Node};
use crate::import::yaml::{Item, Yaml};

/// What the gateway's section makes of the output.
#[derive(Default)]
pub(super) struct Gateway {
    pub(super) base_path: Option<String>,
    /// Where templates may include others from.
    pub(super) template_root: Option<String>,
    /// Of the cache of answers.
    pub(super) cache: Vec<Item>,
    /// The longest that one call may take.
    pub(super) longest: Option<i64>,
    /// `telemetry.otlp`; empty where no traces are exported.
    pub(super) traces: Vec<Item>,
    /// What is said is to be on spans.
    pub(super) trace_content: bool,
}

impl Converter<'_> {
    pub(super) fn gateway(&mut self) -> Gateway {
        let root = self.root;
        let mut gateway = Gateway::default();
        let Some(node) = root.get("gateway") else { return gateway };
        if let Some(leaf) = node.get("bind_address") {
            self.ledger.adapted(
                leaf,
                Severity::Info,
                "Routeplane listens at 127.0.0.1:4356; `--listen` and `listen:` say otherwise, and an address that others reach needs `keys:`",
            );
        }
        if let Some(leaf) = node.get("base_path") {
            let path = leaf.text().filter(|path| !path.is_empty() && *path != "/");
            gateway.base_path = path.map(|path| format!("/{}", path.trim_start_matches('/')));
            self.ledger.carried(leaf, "`tensorzero.base_path`");
        }
        if let Some(leaf) = node.get("fetch_and_encode_input_files_before_inference") {
            match leaf.flag() {
                Some(true) => self.ledger.dropped(
                    leaf,
                    Severity::Warning,
                    "files are passed on by their URL where the provider takes URLs, and fetched where it does not",
                ),
                _ => self.ledger.carried(leaf, "files are fetched only where the provider takes no URLs"),
            }
        }
        if let Some(leaf) = node.get("template_filesystem_access").and_then(|access| access.get("base_path")) {
            gateway.template_root = Some(self.beside(leaf));
            self.ledger.carried(leaf, "`template_root`: templates include others from there, and from nowhere else");
        }
        if let Some(leaf) = node.get("global_outbound_http_timeout_ms") {
            gateway.longest = leaf.whole();
            self.ledger.adapted(
                leaf,
                Severity::Info,
                "`timeout`: all attempts of a request together, not each call by itself",
            );
        }
        if let Some(leaf) = node.get("global_outbound_http_intra_stream_read_timeout_ms") {
            gateway.longest = gateway.longest.or(leaf.whole());
            self.ledger.adapted(leaf, Severity::Info, "`timeout.idle`");
        }
        self.auth(node);
        self.observability(node);
        if let Some(traces) = node.get("export").and_then(|node| node.get("otlp")).and_then(|node| node.get("traces")) {
            gateway.traces = self.traces(traces);
            let content = traces.get("include_content").and_then(Node::flag) == Some(true);
            gateway.trace_content = content && !gateway.traces.is_empty();
        }
        self.cache(node, &mut gateway);
        gateway
    }

    fn auth(&mut self, node: &Node) {
        let Some(auth) = node.get("auth") else { return };
        let Some(enabled) = auth.get("enabled") else { return };
        match enabled.flag() {
            Some(true) => {
                self.keys.insert("client".to_owned());
                self.ledger.adapted(
                    enabled,
                    Severity::Warning,
                    "`keys`: TensorZero's database has digests of its keys, which cannot be moved, but callers may keep theirs: put each `sk-t0-...` key into a variable, one entry for each, with `expires` and `disabled` where they hold",
                );
            }
            _ => self.ledger.carried(enabled, "no keys are asked for"),
        }
    }

    fn observability(&mut self, node: &Node) {
        let Some(enabled) = node.get("observability").and_then(|node| node.get("enabled")) else { return };
        match enabled.flag() {
            Some(true) => self.ledger.dropped(
                enabled,
                Severity::Warning,
                "inferences are not stored: OpenTelemetry and the access log tell of them, and feedback goes to a file where `tensorzero.feedback` names one",
            ),
            _ => self.ledger.carried(enabled, "nothing is stored"),
        }
    }

    /// Traces: TensorZero sends them over gRPC, and nothing else.
    fn traces(&mut self, traces: &Node) -> Vec<Item> {
        let enabled = traces.get("enabled").and_then(Node::flag) == Some(true);
        let mut headers = Vec::new();
        for entry in traces.entries() {
            match (entry.key.as_str(), entry.node.text(), entry.node.flag()) {
                ("enabled", _, Some(true)) => self.ledger.adapted(
                    &entry.node,
                    Severity::Info,
                    "`telemetry.otlp`: the same variable says where traces go, their names are OpenTelemetry's for generative AI",
                ),
                ("enabled", ..) => self.ledger.carried(&entry.node, "no traces are exported"),
                ("format", Some("openinference"), _) if enabled => self.ledger.dropped(
                    &entry.node,
                    Severity::Warning,
                    "traces have OpenTelemetry's names for generative AI, not OpenInference's",
                ),
                ("extra_headers", ..) if enabled => headers = self.trace_headers(&entry.node),
                ("extra_headers", ..) => self.ledger.carried(&entry.node, "no traces are exported"),
                ("include_content", _, Some(true)) if enabled => self.ledger.adapted(
                    &entry.node,
                    Severity::Warning,
                    "`trace_content` of every preset: at most 32 KiB of instructions, conversation and answer each, without what looks like a credential; not of a model that is asked for as `provider::model`",
                ),
                _ => self.ledger.carried(&entry.node, "it is so here, too"),
            }
        }
        if !enabled {
            return Vec::new();
        }
        let mut items = vec![Item::text("protocol", "grpc")];
        items.extend(["metrics", "logs"].map(|signal| Item::new(signal, Yaml::flag(false))));
        if !headers.is_empty() {
            items.push(Item::map("headers", headers));
        }
        items
    }

    /// Headers of exports. What is a key becomes a reference to a variable.
    fn trace_headers(&mut self, node: &Node) -> Vec<Item> {
        let mut items = Vec::new();
        for entry in node.entries() {
            let (name, value) = (entry.key.to_ascii_lowercase(), entry.node.text().unwrap_or_default());
            if http::HeaderName::try_from(name.as_str()).is_err() {
                self.ledger.dropped(&entry.node, Severity::Warning, "this is no name of a header");
                continue;
            }
            if is_secret(&name, value) {
                let variable = variable_for("otlp", &name);
                self.ledger.adapted(
                    &entry.node,
                    Severity::Warning,
                    format!("a key stood in the file: put the header's whole value into the variable `{variable}`"),
                );
                items.push(Item::text(&name, &format!("env:{variable}")));
                continue;
            }
            self.ledger.carried(&entry.node, "`telemetry.otlp.headers`");
            items.push(Item::text(&name, value));
        }
        items
    }

    /// `cache`.
    fn cache(&mut self, node: &Node, gateway: &mut Gateway) {
        let Some(cache) = node.get("cache") else { return };
        if let Some(enabled) = cache.get("enabled") {
            let message = match enabled.flag() {
                Some(false) => "`cache.enabled`: no answers are kept",
                _ => "answers are kept for requests with `cache_options`",
            };
            self.ledger.carried(enabled, message);
            if enabled.flag() == Some(false) {
                gateway.cache.push(Item::new("enabled", Yaml::flag(false)));
            }
        }
        if let Some(backend) = cache.get("backend") {
            self.ledger.adapted(
                backend,
                Severity::Warning,
                "answers are kept in the gateway's memory, up to `cache.memory`: a restart forgets them, and gateways share none",
            );
        }
        if let Some(ttl) = cache.get("valkey").and_then(|valkey| valkey.get("ttl_s")) {
            self.ledger.carried(ttl, "`cache.ttl`");
            gateway.cache.push(Item::text("ttl", &format!("{}s", ttl.whole().unwrap_or_default().max(0))));
        }
    }

    pub(super) fn object_storage(&mut self) {
        let Some(node) = self.root.get("object_storage") else { return };
        self.ledger.dropped(node, Severity::Info, "files of requests are passed on and kept nowhere");
        if let Some(kind) = node.get("type").filter(|kind| kind.text() == Some("disabled")) {
            self.ledger.carried(kind, "files of requests are passed on and kept nowhere");
        }
    }

    /// `provider_types.TYPE.defaults`: where keys come from, unless a provider says so itself.
    pub(super) fn provider_types(&mut self) {
        let root = self.root;
        for entry in root.get("provider_types").map(Node::entries).unwrap_or_default() {
            self.provider_type(entry);
        }
    }

    fn provider_type(&mut self, entry: &Entry) {
        // TensorZero's documentation writes one of them in short.
        let name = if entry.key == "google_ai_studio" { "google_ai_studio_gemini" } else { entry.key.as_str() };
        let Some(defaults) = entry.node.get("defaults") else { return };
        if let Some(leaf) = defaults.get("api_key_location") {
            let Some(location) = Location::of(leaf) else { return };
            self.defaults.insert(name.to_owned(), location);
            self.ledger.carried(leaf, "`key` of the provider");
            if let Some(kind) = kinds::of(name).filter(|kind| kind.short) {
                let wanted = self.default_wanted(kind);
                let origin = self.origin(leaf);
                self.providers.known(wanted, &origin);
            }
        }
        if let Some(leaf) = defaults.get("credential_location") {
            match Location::of(leaf) {
                Some(Location::Sdk) => self.ledger.carried(leaf, "looked for where Google's own SDKs look"),
                Some(Location::Dynamic(_) | Location::Fallback(..)) => self.ledger.dropped(
                    leaf,
                    Severity::Error,
                    "a Google identity cannot come with the request: set GOOGLE_APPLICATION_CREDENTIALS",
                ),
                _ => self.ledger.adapted(
                    leaf,
                    Severity::Warning,
                    "Google's own search is used: set GOOGLE_APPLICATION_CREDENTIALS to the file",
                ),
            }
        }
    }

    /// `tensorzero.tools`.
    pub(super) fn tools(&mut self) -> Vec<Item> {
        let root = self.root;
        let mut tools = Vec::new();
        for entry in root.get("tools").map(Node::entries).unwrap_or_default() {
            let mut items = Vec::new();
            for key in ["name", "description", "strict"] {
                if let Some(leaf) = entry.node.get(key) {
                    items.push(Item::new(key, Yaml::of(leaf)));
                    self.ledger.carried(leaf, format!("`tensorzero.tools`: `{key}`"));
                }
            }
            if let Some(leaf) = entry.node.get("parameters") {
                let path = self.beside(leaf);
                self.ledger.carried(leaf, format!("`tensorzero.tools`: {path}"));
                items.push(Item::text("parameters", &path));
            }
            tools.push(Item::map(&entry.key, items));
        }
        tools
    }

    /// `tensorzero.metrics`.
    pub(super) fn metrics(&mut self) -> Vec<Item> {
        let root = self.root;
        let mut metrics = Vec::new();
        for entry in root.get("metrics").map(Node::entries).unwrap_or_default() {
            self.ledger.carried(&entry.node, "`tensorzero.metrics`: feedback is compared with it");
            if entry.node.entries().iter().any(|entry| entry.node.text().is_some_and(is_placeholder)) {
                continue;
            }
            let keys = ["type", "optimize", "level", "description"];
            let items = keys.into_iter().filter_map(|key| Some(Item::new(key, Yaml::of(entry.node.get(key)?))));
            metrics.push(Item::map(&entry.key, items.collect()));
        }
        metrics
    }
}

/// Settings for every target, as TensorZero has them where nothing else is said.
pub(super) fn defaults(gateway: &Gateway) -> Vec<Item> {
    /// TensorZero's own bound of one call.
    const LONGEST: i64 = 900_000;
    let longest = gateway.longest.unwrap_or(LONGEST);
    let mut timeout = vec![Item::text("first_token", &duration(longest)), Item::text("idle", &duration(longest))];
    if gateway.longest.is_some() {
        timeout.push(Item::text("total", &duration(longest)));
    }
    vec![
        Item::new("retries", Yaml::whole(1)).above(
            "As in TensorZero: nothing is tried twice unless a variant says so, and providers may take their time.",
        ),
        Item::map("timeout", timeout),
    ]
}
