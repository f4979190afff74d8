//! What `start` prints once: where the gateway is, what it knows, and a first request that works.

use std::net::SocketAddr;
use std::path::Path;

use super::control::reachable;
use crate::live::Live;
use crate::live::files::folder_of;
use crate::provider::{Activation, Provider, SecretRef, Transport};
use crate::table::RoutingTable;

/// The lines for people. Variables are named, their values never shown.
pub(super) fn text(live: &Live, config: Option<&Path>, listen: SocketAddr) -> String {
    let table = &live.table;
    let shown = match config {
        Some(path) => path.display().to_string(),
        None => "no file: the built-in defaults hold; `routeplane init` writes one".to_owned(),
    };
    let mut lines = vec![
        format!("routeplane {}", env!("CARGO_PKG_VERSION")),
        format!("  config     {shown}"),
        format!("  providers  {}", providers(table)),
    ];
    if !table.presets.is_empty() {
        let names: Vec<String> = table.presets.keys().map(|name| format!("@{name}")).collect();
        lines.push(format!("  presets    {}", names.join(", ")));
    }
    lines.push(format!("  listening  http://{listen}"));
    lines.push(String::new());
    lines.push("Try it:".to_owned());
    lines.push(format!("  {}", curl(live, config, reachable(listen))));
    lines.join("\n")
}

fn providers(table: &RoutingTable) -> String {
    let named: Vec<String> =
        table.providers.iter().filter(|provider| provider.transport != Transport::Demo).map(provider).collect();
    if named.is_empty() { "none: the built-in demo provider answers".to_owned() } else { named.join(", ") }
}

fn provider(provider: &Provider) -> String {
    match &provider.activation {
        Activation::Environment(variable) => format!("{} ({variable})", provider.name),
        Activation::File | Activation::Always => provider.name.to_string(),
    }
}

/// A request that works as it stands.
fn curl(live: &Live, config: Option<&Path>, address: SocketAddr) -> String {
    let key = match live.table.keys.first().map(|key| &key.secret) {
        None => String::new(),
        Some(SecretRef::Env(name)) => format!(" -H \"authorization: Bearer ${name}\""),
        Some(SecretRef::File(path)) => {
            let path = folder_of(config).join(&**path);
            format!(" -H \"authorization: Bearer $(cat '{}')\"", path.display())
        }
        Some(SecretRef::Literal(_)) => " -H \"authorization: Bearer $YOUR_KEY\"".to_owned(),
    };
    format!(
        "curl http://{address}/v1/chat/completions -H 'content-type: application/json'{key} -d '{{\"model\":\"{}\",\"messages\":\
         [{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'",
        model(live)
    )
}

/// The preset `default`; without it, a model of the first provider that lists one and can be called; else the demo's.
fn model(live: &Live) -> String {
    let table = &live.table;
    if table.presets.contains_key("default") {
        return "@default".to_owned();
    }
    let usable = table.providers.iter().zip(&live.runtime.providers).filter(|(_, state)| state.unusable.is_none());
    let real = usable.map(|(provider, _)| provider).filter(|provider| provider.transport != Transport::Demo);
    let listed = real.filter_map(|provider| Some((&provider.name, provider.models.first()?))).next();
    listed.map_or_else(|| "demo/chat".to_owned(), |(provider, model)| format!("{provider}/{model}"))
}
