//! Providers in the clouds of Amazon and Google: identities in place of keys.

use super::Converter;
use super::edits::Edits;
use super::location::Location;
use super::names::slug;
use super::providers::Wanted;
use super::target::{Table, Target, key_items};
use crate::diagnostic::Severity;
use crate::import::toml::Node;
use crate::import::yaml::Item;

impl Converter<'_> {
    pub(super) fn bedrock(&mut self, table: Table<'_>) -> Option<Target> {
        let node = table.node.get("model_id")?;
        let model = node.text()?.to_owned();
        self.ledger.carried(node, "the model that is asked for");
        let mut items = Vec::new();
        let mut region_name = None;
        if let Some(region) = table.node.get("region") {
            match region.text().unwrap_or_default() {
                "sdk" => self.ledger.carried(region, "looked for where AWS's own SDKs look"),
                text if text.starts_with("env::") => {
                    let variable = text.trim_start_matches("env::");
                    self.variables.insert(variable.to_owned());
                    items.push(Item::map("env", vec![Item::map("variables", vec![Item::text("region", variable)])]));
                    self.ledger.carried(region, format!("from the variable `{variable}`"));
                }
                text if text.contains("::") => return self.not_from_request(table, region),
                text => {
                    items.push(Item::text("region", text));
                    region_name = Some(text.to_owned());
                    self.ledger.carried(region, "`region` of the provider");
                }
            }
        }
        if let Some(url) = table.node.get("endpoint_url") {
            match url.text() {
                Some(text) if text.starts_with("http") => {
                    items.push(Item::text("base_url", text.trim_end_matches('/')));
                    self.ledger.carried(url, "`base_url` of the provider");
                }
                _ => return self.not_from_request(table, url),
            }
        }
        if let Some(key) = table.node.get("api_key") {
            items.extend(key_items(Location::of(key).as_ref(), false));
            self.ledger.carried(key, "`key` of the provider");
        }
        let mut credentials = Vec::new();
        for name in ["access_key_id", "secret_access_key", "session_token"] {
            let Some(node) = table.node.get(name) else { continue };
            match Location::of(node) {
                Some(Location::Env(variable)) => {
                    credentials.push(Item::text(name, &format!("env:{variable}")));
                    self.ledger.carried(node, format!("`credentials.{name}` of the provider"));
                }
                Some(Location::Path(path)) => {
                    credentials.push(Item::text(name, &format!("file:{path}")));
                    self.ledger.carried(node, format!("`credentials.{name}` of the provider"));
                }
                Some(Location::Sdk) => self.ledger.carried(node, "looked for where AWS's own SDKs look"),
                _ => return self.not_from_request(table, node),
            }
        }
        if !credentials.is_empty() {
            items.push(Item::map("credentials", credentials));
        }
        let by_region = region_name.map(|region| format!("bedrock-{}", slug(&region)));
        let names: Vec<String> =
            by_region.into_iter().chain([table.name.to_owned(), format!("{}-{}", table.name, table.model)]).collect();
        let origin = self.origin(table.node);
        let provider = self.providers.first_or_named(Wanted { known: Some("bedrock"), items }, &names, &origin);
        Some(Target { provider, model, edits: Edits::default() })
    }

    /// Parts of a cloud's identity that would come with each request.
    fn not_from_request(&mut self, table: Table<'_>, what: &Node) -> Option<Target> {
        self.ledger
            .left_out(table.node, "its identity or place would come with each request, so this provider is left out");
        self.ledger.dropped(
            what,
            Severity::Error,
            "a cloud's region, address and identity cannot come with the request",
        );
        None
    }

    pub(super) fn vertex(&mut self, table: Table<'_>) -> Option<Target> {
        let id = table.node.get("model_id").or_else(|| table.node.get("endpoint_id"))?;
        let model = id.text()?.to_owned();
        self.ledger.carried(id, "the model that is asked for");
        let mut items = Vec::new();
        for (key, name) in [("project_id", "project"), ("location", "location")] {
            let node = table.node.get(key)?;
            items.push(Item::text(name, node.text()?));
            self.ledger.carried(node, format!("`{name}` of the provider"));
        }
        if let Some(node) = table.node.get("credential_location") {
            match Location::of(node) {
                Some(Location::Path(path)) => {
                    items.push(Item::map("credentials", vec![Item::text("key_file", &path)]));
                    self.ledger.carried(node, "`credentials.key_file` of the provider");
                }
                Some(Location::Sdk) => self.ledger.carried(node, "looked for where Google's own SDKs look"),
                Some(Location::PathFromEnv(variable)) => self.ledger.adapted(
                    node,
                    Severity::Warning,
                    format!("Google's own search is used: set GOOGLE_APPLICATION_CREDENTIALS to what `{variable}` holds"),
                ),
                Some(Location::Env(variable)) => self.ledger.adapted(
                    node,
                    Severity::Warning,
                    format!("put the JSON that `{variable}` holds into a file, and its path into GOOGLE_APPLICATION_CREDENTIALS"),
                ),
                _ => return self.not_from_request(table, node),
            }
        }
        if table.node.get("endpoint_id").is_some() {
            let path =
                |method: &str| format!("/v1/projects/{{project}}/locations/{{location}}/endpoints/{{model}}:{method}");
            let paths = vec![
                Item::text("generate", &path("generateContent")),
                Item::text("stream", &path("streamGenerateContent?alt=sse")),
            ];
            items.insert(0, Item::text("protocol", "gemini"));
            items.push(Item::map("endpoints", vec![Item::map("gemini", vec![Item::map("paths", paths)])]).tall());
        }
        let mut edits = Edits::default();
        self.provider_tools(table, &mut edits);
        let location = table.node.text_of("location").unwrap_or_default();
        let names = [format!("vertex-{location}"), table.name.to_owned(), format!("{}-{}", table.name, table.model)];
        let origin = self.origin(table.node);
        let provider = self.providers.first_or_named(Wanted { known: Some("vertex"), items }, &names, &origin);
        Some(Target { provider, model, edits })
    }
}
