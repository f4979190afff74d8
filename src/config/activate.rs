//! From a provider file, the user's entry and the environment to a [`Provider`]. Pure.
//!
//! The user's keys win over those of the provider file; `headers`, `endpoints` and their `paths` are merged by name. A
//! variable of the environment (`OPENAI_BASE_URL`) wins over the provider file and yields to the user's. A key that is not
//! in the file is looked for in the variables that the provider file names.

mod base_url;
mod endpoint;
mod identity;
mod models;
mod operations;
mod paths;

use super::Env;
use super::document::{LiteralSecret, PricesEntry, ProviderEntry, SecretText};
use crate::glob::Glob;
use crate::provider::catalogue::Prices;
use crate::provider::{Activation, Provider, RequestKeys, SecretRef, Transport};
use crate::source::{Span, Spanned};

/// Why there is no provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is known, but the file does not name it and nothing in the environment activates it. One of `variables` would;
    /// none where only the file can.
    Inactive { variables: Vec<String> },
    /// Something written in the file, or in a variable, cannot be used.
    Invalid { span: Option<Span>, message: String, help: String },
}

impl Problem {
    fn invalid(span: Span, message: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem::Invalid { span: Some(span), message: message.into(), help: help.into() }
    }
}

/// The provider called `name`, from its provider file, where there is one, and the user's entry, where there is one.
/// Keys that are written in the file move to `literals`; the table only knows their places.
///
/// # Errors
/// A provider that nothing activates, or the first thing in it that cannot be used. Of an entry that is `faulty` nothing
/// needs to be said again.
pub fn provider(
    name: &str,
    preset: Option<&ProviderEntry>,
    user: Option<&ProviderEntry>,
    env: &Env,
    literals: &mut Vec<LiteralSecret>,
) -> Result<Provider, Problem> {
    let layers = Layers { preset, user };
    let transport = transport(layers)?;
    let activation = activation(layers, transport, env)?;
    let mut endpoints = endpoint::endpoints(name, layers, env)?;
    let identity = identity::identity(layers, &endpoints, env, literals)?;
    let takes_keys = endpoints.iter().any(|endpoint| endpoint.auth.takes_key());
    let mut keys = keys(layers, env, literals);
    let request_keys = request_keys(layers);
    if identity.is_some() && !takes_keys {
        keys.clear();
    }
    let needs_key = preset.is_some() && user.is_none_or(|user| user.keys.is_none()) && !key_optional(layers);
    if keys.is_empty() && request_keys.is_none() && !needs_key {
        endpoint::without_keys(&mut endpoints);
    }
    let models = models::models(name, layers, &endpoints)?;
    Ok(Provider {
        name: name.into(),
        title: layers.pick(|entry| entry.title.as_ref()).map_or(name, |title| title.value.as_str()).into(),
        known: preset.map(|entry| entry.name.value.as_str().into()),
        key_required: takes_keys && (needs_key || !keys.is_empty() || request_keys.is_some()),
        endpoints: endpoints.into(),
        keys: keys.into(),
        request_keys,
        identity,
        transport,
        models: models.ids.into(),
        catalogue: models.catalogue,
        prices: prices(layers),
        include_usage: layers.pick(|entry| entry.include_usage.as_ref()).is_none_or(|asks| asks.value),
        activation,
    })
}

/// Variables of which one is enough to activate the provider that `preset` describes; none where only the file can.
pub fn variables(preset: &ProviderEntry) -> Vec<&str> {
    if key_optional(Layers { preset: Some(preset), user: None }) {
        return address_variables(preset);
    }
    preset.env.iter().flat_map(|env| env.key.iter().chain(&env.identity)).map(|name| name.value.as_str()).collect()
}

/// Variables that say where the provider is.
pub(super) fn address_variables(entry: &ProviderEntry) -> Vec<&str> {
    let Some(env) = &entry.env else { return Vec::new() };
    let named = env.variables.iter().flat_map(|(_, alternatives)| alternatives);
    let named = named.map(|text| text.value.as_str()).filter(|text| base_url::is_variable(text));
    env.base_url.iter().map(|name| name.value.as_str()).chain(named).collect()
}

/// The two places where a provider's keys are written.
#[derive(Clone, Copy)]
struct Layers<'a> {
    preset: Option<&'a ProviderEntry>,
    user: Option<&'a ProviderEntry>,
}

impl<'a> Layers<'a> {
    /// The user's, or else the provider file's.
    fn pick<T>(self, key: impl Fn(&'a ProviderEntry) -> Option<T>) -> Option<T> {
        self.user.and_then(&key).or_else(|| self.preset.and_then(&key))
    }

    /// The provider file's first, so that a later one of the same name wins.
    fn both(self) -> impl Iterator<Item = &'a ProviderEntry> {
        self.preset.into_iter().chain(self.user)
    }

    /// Where to point for something that is written nowhere.
    fn span(self) -> Option<Span> {
        self.user.map(|entry| entry.name.span)
    }
}

/// The user's before the provider file's: the first that fits a model is taken.
fn prices(layers: Layers<'_>) -> Box<[(Glob, Prices)]> {
    let entries = layers.user.into_iter().chain(layers.preset).flat_map(|entry| &entry.prices);
    entries.map(|(pattern, prices)| (Glob(pattern.value.as_str().into()), written_prices(prices))).collect()
}

fn written_prices(entry: &PricesEntry) -> Prices {
    let price = |written: &Option<Spanned<f64>>| written.as_ref().map(|price| price.value);
    Prices {
        input: price(&entry.input),
        output: price(&entry.output),
        cache_read: price(&entry.cache_read),
        cache_write: price(&entry.cache_write),
    }
}

fn transport(layers: Layers<'_>) -> Result<Transport, Problem> {
    let Some(Spanned { value, span }) = layers.pick(|entry| entry.transport.as_ref()) else {
        return Ok(Transport::Http);
    };
    match value.as_str() {
        "http" => Ok(Transport::Http),
        "demo" => Ok(Transport::Demo),
        other => Err(Problem::invalid(
            *span,
            format!("`{other}` is not a way to reach a provider"),
            "write `http` or `demo`",
        )),
    }
}

fn key_optional(layers: Layers<'_>) -> bool {
    let optional = layers.pick(|entry| entry.env.as_ref()).and_then(|env| env.key_optional.as_ref());
    optional.is_some_and(|optional| optional.value)
}

fn activation(layers: Layers<'_>, transport: Transport, env: &Env) -> Result<Activation, Problem> {
    if layers.user.is_some() {
        return Ok(Activation::File);
    }
    if transport == Transport::Demo {
        return Ok(Activation::Always);
    }
    let variables = layers.preset.map(variables).unwrap_or_default();
    match variables.iter().find(|name| env.get(name).is_some()) {
        Some(name) => Ok(Activation::Environment((*name).into())),
        None => Err(Problem::Inactive { variables: variables.into_iter().map(str::to_owned).collect() }),
    }
}

/// The pool. Without `keys:` in the file it is the first variable that is set; a provider that needs a key and has none
/// keeps a reference to the first variable, so that a file can be checked where there are no keys.
fn keys(layers: Layers<'_>, env: &Env, literals: &mut Vec<LiteralSecret>) -> Vec<SecretRef> {
    if let Some(keys) = layers.user.and_then(|user| user.keys.as_ref()) {
        return keys.iter().filter_map(|key| secret_ref(&key.value, literals)).collect();
    }
    let Some(variables) = layers.pick(|entry| entry.env.as_ref()).map(|env| &env.key) else {
        return Vec::new();
    };
    let set = variables.iter().find(|name| env.get(&name.value).is_some());
    let named = if key_optional(layers) { set } else { set.or(variables.first()) };
    named.map(|name| SecretRef::Env(name.value.as_str().into())).into_iter().collect()
}

/// `None` for what only requests have.
fn secret_ref(text: &SecretText, literals: &mut Vec<LiteralSecret>) -> Option<SecretRef> {
    Some(match text {
        SecretText::Request(_) => return None,
        SecretText::Env(name) => SecretRef::Env(name.as_str().into()),
        SecretText::File(path) => SecretRef::File(path.as_str().into()),
        SecretText::Literal(literal) => {
            let at = u32::try_from(literals.len()).unwrap_or(u32::MAX);
            literals.push(literal.clone());
            SecretRef::Literal(at)
        }
    })
}

/// The credentials that requests bring for this provider.
fn request_keys(layers: Layers<'_>) -> Option<RequestKeys> {
    let keys = layers.user.and_then(|user| user.keys.as_ref())?;
    let name = |key: &Spanned<SecretText>| match &key.value {
        SecretText::Request(name) => Some(name.as_str().into()),
        SecretText::Env(_) | SecretText::File(_) | SecretText::Literal(_) => None,
    };
    let names: Box<[Box<str>]> = keys.iter().filter_map(name).collect();
    let first = keys.first().is_some_and(|key| name(key).is_some());
    (!names.is_empty()).then_some(RequestKeys { names, first })
}
