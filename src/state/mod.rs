//! What changes at run time: credentials, connections and cooldowns. Keyed by identity, so that a reload carries over
//! what it does not change.

pub mod cache;
pub mod client_keys;
pub mod credentials;
pub mod health;
pub mod inferences;
pub mod limits;
pub mod objects;
pub mod responses;
pub mod tokens;
pub mod uris;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use http::{HeaderName, HeaderValue};

pub use client_keys::ClientKeys;
pub use credentials::{Credential, KeyPool};
pub use health::TargetHealth;
pub use tokens::TokenSource;
pub use uris::Uris;

use crate::config::Env;
use crate::config::document::LiteralSecret;
use crate::provider::{Endpoint, HeaderText, Provider, SecretRef};
use crate::table::RoutingTable;
use crate::table::settings::Settings;
use crate::telemetry::content::redact::Redaction;
use crate::telemetry::facts::Named;
use crate::telemetry::traffic::ProviderCounters;
use crate::telemetry::{Wanted, access_log, otlp};
use crate::upstream::Pools;

/// The run-time side of one table: everything that is made of secrets or connections.
#[derive(Default)]
pub struct Runtime {
    pub pools: Pools,
    /// By [`ProviderIdx`](crate::table::ProviderIdx).
    pub providers: Box<[ProviderState]>,
    pub client_keys: ClientKeys,
    /// Where feedback of TensorZero's surface is written.
    pub feedback: Option<PathBuf>,
    /// Which facts records of requests hold.
    pub recorded: Named,
    /// Where records of requests go.
    pub telemetry: Wanted,
    /// What is taken out of the texts of spans; `None` where no preset has some on them.
    pub redaction: Option<Arc<Redaction>>,
    pub health: TargetHealth,
    /// What rate limits have counted.
    pub limits: limits::Limits,
}

/// The run-time side of one provider.
pub struct ProviderState {
    pub keys: KeyPool,
    /// Credentials of its cloud, where it is asked as somebody there.
    pub tokens: Option<Arc<TokenSource>>,
    /// Parallel to `Provider::endpoints`.
    pub endpoints: Box<[EndpointState]>,
    /// Filled by the first request.
    pub counters: OnceLock<Arc<ProviderCounters>>,
    /// Why the provider cannot be called, in words for the caller; `None` where it can.
    pub unusable: Option<Box<str>>,
}

/// The run-time side of one endpoint: what can be made before a request is there.
pub struct EndpointState {
    /// Headers of every request, secrets resolved.
    pub headers: Box<[(HeaderName, HeaderValue)]>,
    pub uris: Uris,
}

impl Runtime {
    /// Resolves secrets and sets up connections for `table`, taking over from `previous` what is the same. Key files are
    /// looked for in `folder`, that of the configuration, unless their path is absolute.
    ///
    /// # Errors
    /// One line for each secret that cannot be had. A missing variable is no error: the provider is unusable, and says so
    /// to whoever asks for it.
    pub fn prepare(
        table: &RoutingTable,
        literals: &[LiteralSecret],
        env: &Env,
        folder: &Path,
        previous: Option<&Runtime>,
    ) -> Result<Runtime, Vec<String>> {
        let mut problems = Vec::new();
        let secrets = Secrets { literals, env, folder };
        let carried = previous.map(|runtime| &*runtime.providers);
        let pools = match pools(table, previous) {
            Ok(pools) => pools,
            Err(problem) => return Err(vec![problem]),
        };
        let state = |provider| provider_state(provider, &secrets, (&pools, carried), &mut problems);
        let providers: Box<[ProviderState]> = table.providers.iter().map(state).collect();
        let client_keys = ClientKeys::resolve(table, &secrets, &mut problems);
        let feedback = table.tensorzero.as_ref().and_then(|surface| surface.feedback_file.as_deref());
        let feedback = feedback.map(|file| folder.join(file));
        let recorded = Named::of(table);
        let limits = limits::Limits::prepare(table, previous.map(|runtime| &runtime.limits));
        let health = TargetHealth::prepare(table, previous.map(|runtime| &runtime.health));
        let telemetry = Wanted {
            forgets: table.forgets,
            access_log: table.access_log.as_ref().map(|log| access_log::Settings::of(log, folder)),
            otlp: collector(table, &secrets).unwrap_or_else(|problem| {
                problems.push(problem);
                None
            }),
        };
        let redaction = redaction(table, &secrets);
        problems.extend(telemetry.access_log.iter().filter_map(|log| log.probe().err()));
        if problems.is_empty() {
            Ok(Runtime { pools, providers, client_keys, recorded, telemetry, redaction, health, limits, feedback })
        } else {
            Err(problems)
        }
    }
}

/// What is taken out of the texts of spans, where a preset has some on them. Secrets that cannot be had have been told of.
fn redaction(table: &RoutingTable, secrets: &Secrets<'_>) -> Option<Arc<Redaction>> {
    let wanted = |settings: &Settings| settings.trace_content.is_some_and(|content| content.enabled);
    let known = || table.secrets().filter_map(|reference| secrets.get(reference).ok().flatten()).collect();
    table.settings.iter().any(wanted).then(|| Arc::new(Redaction::new(&table.redact, known())))
}

/// What is exported to a collector.
fn collector(table: &RoutingTable, secrets: &Secrets<'_>) -> Result<Option<otlp::Settings>, String> {
    let mut headers = Vec::new();
    for (name, reference) in table.otlp.iter().flat_map(|otlp| &otlp.headers) {
        if let Some(value) = secrets.get(reference)? {
            headers.push((name.to_string(), value));
        }
    }
    otlp::Settings::resolve(table.otlp.as_ref(), &headers, secrets.env, secrets.folder)
}

/// The connections of before, and TLS where a provider or a token service is reached over it.
fn pools(table: &RoutingTable, previous: Option<&Runtime>) -> Result<Pools, String> {
    let pools = previous.map(|runtime| runtime.pools.clone()).unwrap_or_default();
    let asks_for_tokens = table.providers.iter().any(|provider| provider.identity.is_some());
    if asks_for_tokens || table.providers.iter().flat_map(|provider| &provider.endpoints).any(uses_tls) {
        pools.prepare_tls()?;
    }
    Ok(pools)
}

fn uses_tls(endpoint: &Endpoint) -> bool {
    endpoint.base_url.scheme == http::uri::Scheme::HTTPS
}

fn provider_state(
    provider: &Provider,
    secrets: &Secrets<'_>,
    (pools, carried): (&Pools, Option<&[ProviderState]>),
    problems: &mut Vec<String>,
) -> ProviderState {
    let mut in_provider = |problem: String| problems.push(format!("provider `{}`: {problem}", provider.name));
    let mut keys = Vec::new();
    let mut missing = Vec::new();
    for reference in &provider.keys {
        match secrets.get(reference) {
            Ok(Some(secret)) => keys.push(secret),
            Ok(None) => missing.push(reference.to_string()),
            Err(problem) => in_provider(problem),
        }
    }
    let tokens = tokens::source(provider, secrets, pools, carried.unwrap_or_default()).unwrap_or_else(|problem| {
        in_provider(problem);
        None
    });
    let unusable = (provider.key_required && keys.is_empty() && provider.request_keys.is_none())
        .then(|| no_key(provider, &missing));
    let endpoint = |endpoint: &Endpoint| EndpointState {
        headers: endpoint
            .headers
            .iter()
            .filter_map(|(name, text)| Some((name.clone(), header_value(text, secrets, problems)?)))
            .collect(),
        uris: Uris::of(endpoint),
    };
    let endpoints = provider.endpoints.iter().map(endpoint).collect();
    let scope = provider.endpoints.first().map(|endpoint| endpoint.base_url.to_string()).unwrap_or_default();
    ProviderState {
        keys: KeyPool::new(&provider.name, &scope, keys, carried),
        tokens,
        endpoints,
        counters: OnceLock::new(),
        unusable: unusable.map(Into::into),
    }
}

fn no_key(provider: &Provider, missing: &[String]) -> String {
    let wanted: Vec<&str> = missing.iter().map(|reference| reference.trim_start_matches("env:")).collect();
    if wanted.is_empty() {
        format!("provider `{}` has no key; give it one with `keys:`", provider.name)
    } else {
        format!("provider `{}` has no key: set {} and restart", provider.name, wanted.join(" or "))
    }
}

fn header_value(text: &HeaderText, secrets: &Secrets<'_>, problems: &mut Vec<String>) -> Option<HeaderValue> {
    match text {
        HeaderText::Literal(value) => Some(value.clone()),
        HeaderText::Secret(reference) => match secrets.get(reference) {
            Ok(secret) => {
                let mut value = HeaderValue::from_str(&secret?).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        },
    }
}

/// Where secrets come from.
pub(crate) struct Secrets<'a> {
    literals: &'a [LiteralSecret],
    env: &'a Env,
    folder: &'a Path,
}

impl Secrets<'_> {
    /// The secret behind a reference; `Ok(None)` where the variable is not set.
    ///
    /// # Errors
    /// A file that cannot be read, or a secret that cannot travel in a header.
    pub(crate) fn get(&self, reference: &SecretRef) -> Result<Option<String>, String> {
        let secret = match reference {
            SecretRef::Env(name) => match self.env.get(name) {
                Some(value) => value.trim().to_owned(),
                None => return Ok(None),
            },
            SecretRef::File(path) => read_key_file(&self.folder.join(&**path))
                .map_err(|error| format!("the key file `{path}` cannot be read: {error}"))?
                .trim()
                .to_owned(),
            SecretRef::Literal(at) => match self.literals.get(*at as usize) {
                Some(LiteralSecret(text)) => text.trim().to_owned(),
                None => return Ok(None),
            },
        };
        if secret.is_empty() || secret.chars().any(|c| c.is_control() || !c.is_ascii()) {
            return Err(format!("the secret of `{reference}` is empty or holds characters that a header cannot carry"));
        }
        Ok(Some(secret))
    }
}

/// A key file's text. What is no plain, small file is refused: a pipe or a device would hold the start up for ever.
pub(crate) fn read_key_file(path: &std::path::Path) -> std::io::Result<String> {
    const LARGEST: u64 = 64 << 10;
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is not a plain file"));
    }
    if metadata.len() > LARGEST {
        return Err(std::io::Error::other("it is too large for a key"));
    }
    std::fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_a_plain_small_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "sk-1\n").unwrap();
        assert_eq!(read_key_file(&path).unwrap(), "sk-1\n");
        assert!(read_key_file(folder.path()).unwrap_err().to_string().contains("not a plain file"));
        assert!(read_key_file(std::path::Path::new("/dev/zero")).unwrap_err().to_string().contains("not a plain file"));
        std::fs::write(&path, vec![b'x'; 100 << 10]).unwrap();
        assert!(read_key_file(&path).unwrap_err().to_string().contains("too large"));
    }
}
