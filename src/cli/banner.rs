//! What `start` prints once: where the gateway is, what it knows, and a first request that works.

use std::net::SocketAddr;
use std::path::Path;

use super::control::reachable;
use crate::live::Live;
use crate::live::files::folder_of;
use crate::provider::{Activation, Provider, SecretRef, Transport, catalogue};
use crate::rule::ast::PresetName;
use crate::rule::request::RequestShape;
use crate::state::ProviderState;
use crate::table::select::AllUp;
use crate::table::{Draw, Outcome, ProviderIdx};

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
        format!("  providers  {}", providers(live)),
    ];
    if !table.presets.is_empty() {
        let names: Vec<String> = table.presets.keys().map(|name| PresetName(name).to_string()).collect();
        lines.push(format!("  presets    {}", names.join(", ")));
    }
    lines.push(format!("  listening  http://{listen}"));
    lines.push(String::new());
    lines.push("Try it:".to_owned());
    lines.push(format!("  {}", curl(live, config, reachable(listen))));
    lines.join("\n")
}

fn providers(live: &Live) -> String {
    let numbered = (0..).map(ProviderIdx).zip(&live.table.providers);
    let real = numbered.filter(|(_, provider)| provider.transport != Transport::Demo);
    let named: Vec<String> = real.map(|(index, it)| provider(it, state(live, index))).collect();
    if named.is_empty() { "none: the built-in demo provider answers".to_owned() } else { named.join(", ") }
}

fn provider(provider: &Provider, state: Option<&ProviderState>) -> String {
    let name = &provider.name;
    if state.is_some_and(|state| state.unusable.is_some()) {
        return format!("{name} (no key)");
    }
    match &provider.activation {
        Activation::Environment(variable) => format!("{name} ({variable})"),
        Activation::File | Activation::Always => name.to_string(),
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

/// The first that can be called: the preset `default`, a small model of a provider, one that a provider lists, the demo's.
fn model(live: &Live) -> String {
    let preset = live.table.presets.contains_key("default").then(|| "@default".to_owned());
    let real = live.table.providers.iter().filter(|provider| provider.transport != Transport::Demo);
    let mut candidates = preset.into_iter().chain(real.filter_map(small_model));
    candidates.find(|model| can_be_called(live, model)).unwrap_or_else(|| "demo/chat".to_owned())
}

fn small_model(provider: &Provider) -> Option<String> {
    let choice = catalogue::CHOICES.iter().find(|choice| *choice.provider == *provider.name);
    let small =
        choice.map(|choice| choice.small).filter(|small| provider.models.iter().any(|model| **model == **small));
    let model = small.or(provider.models.first().map(|model| &**model))?;
    Some(format!("{}/{model}", provider.name))
}

/// Whether a request for `model` comes to a provider that has its key.
fn can_be_called(live: &Live, model: &str) -> bool {
    let shape = RequestShape::new(model);
    match live.table.select(&shape, &AllUp, Draw(0.0)).outcome {
        Outcome::Attempts { attempts, .. } => {
            attempts.iter().any(|attempt| state(live, attempt.target.provider).is_some_and(|it| it.unusable.is_none()))
        }
        Outcome::Deny { .. } | Outcome::NotFound(_) | Outcome::Unmet(_) => false,
    }
}

fn state(live: &Live, provider: ProviderIdx) -> Option<&ProviderState> {
    live.runtime.providers.get(provider.0 as usize)
}
