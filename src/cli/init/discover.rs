//! What there is to route to: providers that the environment activates, and model servers on this machine. Pure.

use crate::config::document::ProviderEntry;
use crate::config::{Env, activate, known};
use crate::provider::catalogue::CHOICES;
use crate::provider::{Activation, SecretRef, Transport};

/// A model server that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalServer {
    /// The known provider whose default base URL has this port.
    pub provider: String,
    pub port: u16,
    /// In its own order.
    pub models: Vec<String>,
}

/// A provider to write into the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) provider: String,
    /// Where it was found, for people: a variable's name (never its value) or a port.
    pub(super) whence: String,
    /// The variable that holds its key, where it is not the one that would be looked at first.
    pub(super) key: Option<String>,
    /// Models that only the server itself can know of.
    pub(super) models: Vec<String>,
    /// What the presets route to.
    pub(super) choice: Option<Choice>,
}

/// A model that can do much, and a quick one; both as the upstream knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) capable: String,
    pub(super) small: String,
}

/// These first, then the others by name.
const PREFERRED: [&str; 3] = ["anthropic", "openai", "google"];

/// Hosted providers in order of preference, then servers on this machine.
pub(super) fn found(env: &Env, servers: &[LocalServer]) -> Vec<Found> {
    let mut found: Vec<Found> =
        known::providers().entries.iter().filter_map(|entry| activated(&entry.name.value, entry, env)).collect();
    found.sort_by_key(|found| PREFERRED.iter().position(|name| *name == found.provider).unwrap_or(PREFERRED.len()));
    for server in servers {
        match found.iter_mut().find(|found| found.provider == server.provider) {
            // The variable may point elsewhere; what is there is not known.
            Some(_) => {}
            None => found.push(local(server)),
        }
    }
    found
}

fn activated(name: &str, entry: &ProviderEntry, env: &Env) -> Option<Found> {
    let provider = activate::provider(name, Some(entry), None, env, &mut Vec::new()).ok()?;
    let Activation::Environment(variable) = &provider.activation else { return None };
    if provider.transport == Transport::Demo {
        return None;
    }
    let first = entry.env.as_ref().and_then(|env| env.key.first()).map(|name| name.value.as_str());
    let key = provider.keys.iter().find_map(|key| match key {
        SecretRef::Env(name) if Some(&**name) != first => Some(name.to_string()),
        SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Literal(_) => None,
    });
    let choice = CHOICES.iter().find(|choice| choice.provider == name);
    let choice = choice.map(|choice| Choice { capable: choice.capable.to_owned(), small: choice.small.to_owned() });
    Some(Found { provider: name.to_owned(), whence: variable.to_string(), key, models: Vec::new(), choice })
}

fn local(server: &LocalServer) -> Found {
    let speaks = |model: &&String| !model.to_ascii_lowercase().contains("embed") && is_plain(model);
    let choice = server.models.iter().find(speaks);
    Found {
        provider: server.provider.clone(),
        whence: format!("a server at 127.0.0.1:{}", server.port),
        key: None,
        models: server.models.clone(),
        choice: choice.map(|model| Choice { capable: model.clone(), small: model.clone() }),
    }
}

/// Can be written in a route as it is.
fn is_plain(model: &str) -> bool {
    model.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte))
}
