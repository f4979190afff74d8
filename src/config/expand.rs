//! Which providers the file has: those it names, and the known ones that a key in the environment activates. A known
//! provider's own file is overlaid by what the user wrote.

use std::collections::{BTreeMap, BTreeSet};

use super::Env;
use super::document::{Document, EndpointEntry, EnvEntry, ProviderEntry};
use crate::provider::Activation;
use crate::source::{Span, Spanned};
use crate::wire::ProtocolId;

/// A provider that the table will have.
pub(super) struct Active {
    pub(super) entry: ProviderEntry,
    pub(super) activation: Activation,
    /// Nothing but the user's file describes it.
    pub(super) own: bool,
    /// Where the user's file names it, `None` where only the environment does.
    pub(super) place: Option<Span>,
}

/// The outcome of the expansion.
#[derive(Default)]
pub(super) struct Expansion {
    pub(super) active: Vec<Active>,
    /// Known providers without a key, and the variables that would activate them.
    pub(super) inactive: BTreeMap<Box<str>, Box<str>>,
}

/// Activates providers: the file's in its order, then the known ones in theirs. `mentioned` holds the providers that
/// targets of the file name, with the first place of each.
pub(super) fn providers(
    document: &Document,
    known: &[ProviderEntry],
    mentioned: &BTreeMap<&str, Span>,
    env: &Env,
) -> Expansion {
    let mut expansion = Expansion::default();
    let known_by_name: BTreeMap<&str, &ProviderEntry> =
        known.iter().map(|entry| (entry.name.value.as_str(), entry)).collect();
    let mut named = BTreeSet::new();
    for entry in &document.providers {
        named.insert(entry.name.value.as_str());
        let preset = known_by_name.get(entry.name.value.as_str());
        let merged = preset.map_or_else(|| entry.clone(), |preset| overlaid(preset, entry));
        expansion.active.push(Active {
            entry: redirected(merged, entry.base_url.is_some(), env),
            activation: Activation::File,
            own: preset.is_none(),
            place: Some(entry.name.span),
        });
    }
    for entry in known.iter().filter(|entry| !named.contains(entry.name.value.as_str())) {
        let place = mentioned.get(entry.name.value.as_str()).copied();
        let Some(activation) = activation(entry, place.is_some(), env) else {
            expansion.inactive.insert(entry.name.value.as_str().into(), variables(entry).into());
            continue;
        };
        expansion.active.push(Active { entry: redirected(entry.clone(), false, env), activation, own: false, place });
    }
    expansion
}

fn activation(entry: &ProviderEntry, mentioned: bool, env: &Env) -> Option<Activation> {
    if is_demo(entry) {
        return Some(Activation::Always);
    }
    let names = entry.env.iter().flat_map(|variables| {
        let local = variables.key_optional.is_some_and(|optional| optional.value);
        // A server of one's own has no key to announce it; the variable that says where it is does.
        variables.key.iter().chain(variables.base_url.iter().filter(move |_| local))
    });
    match first_set(names, env) {
        Some((name, _)) => Some(Activation::Environment(name.into())),
        None => mentioned.then_some(Activation::File),
    }
}

pub(super) fn is_demo(entry: &ProviderEntry) -> bool {
    entry.transport.as_ref().is_some_and(|transport| transport.value == "demo")
}

fn variables(entry: &ProviderEntry) -> String {
    let names = entry.env.iter().flat_map(|variables| &variables.key).map(|name| name.value.as_str());
    names.collect::<Vec<_>>().join(" or ")
}

/// The first of these variables that is set, with its value.
pub(super) fn first_set<'n, 'e>(
    names: impl IntoIterator<Item = &'n Spanned<String>>,
    env: &'e Env,
) -> Option<(&'n str, &'e str)> {
    names.into_iter().find_map(|name| env.get(&name.value).map(|value| (name.value.as_str(), value)))
}

/// The known provider with the user's keys over its own.
fn overlaid(known: &ProviderEntry, user: &ProviderEntry) -> ProviderEntry {
    let moved = user.base_url.is_some();
    ProviderEntry {
        name: user.name.clone(),
        title: user.title.clone().or_else(|| known.title.clone()),
        docs: user.docs.clone().or_else(|| known.docs.clone()),
        protocols: user.protocols.clone().or_else(|| protocols(known, moved)),
        base_url: user.base_url.clone().or_else(|| known.base_url.clone()),
        keys: user.keys.clone().or_else(|| known.keys.clone()),
        auth: user.auth.clone().or_else(|| known.auth.clone()),
        headers: merged(&user.headers, &known.headers),
        endpoints: endpoints(known, user, moved),
        models: user.models.clone().or_else(|| known.models.clone()),
        catalogue: user.catalogue.clone().or_else(|| known.catalogue.clone()),
        quirks: user.quirks.clone().or_else(|| known.quirks.clone()),
        transport: user.transport.clone().or_else(|| known.transport.clone()),
        env: merged_env(user.env.as_ref(), known.env.as_ref()),
        span: user.span,
        faulty: user.faulty || known.faulty,
    }
}

fn merged_env(user: Option<&EnvEntry>, known: Option<&EnvEntry>) -> Option<EnvEntry> {
    let (Some(user), Some(known)) = (user, known) else { return user.or(known).cloned() };
    let either = |user: &Vec<Spanned<String>>, known: &Vec<Spanned<String>>| {
        if user.is_empty() { known.clone() } else { user.clone() }
    };
    Some(EnvEntry {
        key: either(&user.key, &known.key),
        base_url: either(&user.base_url, &known.base_url),
        key_optional: user.key_optional.or(known.key_optional),
        variables: merged(&user.variables, &known.variables),
    })
}

/// Entries of `first`, and those of `second` whose name `first` does not have.
fn merged<V: Clone>(first: &[(Spanned<String>, V)], second: &[(Spanned<String>, V)]) -> Vec<(Spanned<String>, V)> {
    let has = |name: &Spanned<String>| first.iter().any(|(other, _)| other.value.eq_ignore_ascii_case(&name.value));
    first.iter().chain(second.iter().filter(|(name, _)| !has(name))).cloned().collect()
}

/// Protocols that the known provider still has once its base URL is another: those spoken at an address of their own are
/// the vendor's, and the user's key must not go there.
fn protocols(known: &ProviderEntry, moved: bool) -> Option<Vec<Spanned<ProtocolId>>> {
    let elsewhere = |protocol: ProtocolId| moved && has_own_address(known, protocol);
    known.protocols.as_ref().map(|protocols| {
        protocols.iter().filter(|protocol| !elsewhere(protocol.value)).cloned().collect::<Vec<_>>()
    })
}

fn has_own_address(known: &ProviderEntry, protocol: ProtocolId) -> bool {
    known.endpoints.iter().any(|(id, endpoint)| id.value == protocol && endpoint.base_url.is_some())
}

fn endpoints(known: &ProviderEntry, user: &ProviderEntry, moved: bool) -> Vec<(Spanned<ProtocolId>, EndpointEntry)> {
    let mut out: Vec<(Spanned<ProtocolId>, EndpointEntry)> = Vec::new();
    for (id, known) in &known.endpoints {
        let over = user.endpoints.iter().find(|(other, _)| other.value == id.value).map(|(_, endpoint)| endpoint);
        let over_url = over.and_then(|endpoint| endpoint.base_url.clone());
        if moved && known.base_url.is_some() && over_url.is_none() {
            continue;
        }
        out.push((
            *id,
            EndpointEntry {
                base_url: over_url.or_else(|| known.base_url.clone()),
                auth: over.and_then(|endpoint| endpoint.auth.clone()).or_else(|| known.auth.clone()),
                paths: merged(over.map_or(&[], |endpoint| &endpoint.paths), &known.paths),
                headers: merged(over.map_or(&[], |endpoint| &endpoint.headers), &known.headers),
                quirks: over.and_then(|endpoint| endpoint.quirks.clone()).or_else(|| known.quirks.clone()),
            },
        ));
    }
    let new = user.endpoints.iter().filter(|(id, _)| !known.endpoints.iter().any(|(other, _)| other.value == id.value));
    out.extend(new.cloned());
    out
}

/// The provider with the base URL that the environment gives it, unless the file gives one.
fn redirected(mut entry: ProviderEntry, given: bool, env: &Env) -> ProviderEntry {
    if given {
        return entry;
    }
    let names = entry.env.iter().flat_map(|variables| &variables.base_url);
    let Some((_, url)) = first_set(names, env) else { return entry };
    let url = Spanned::new(url.to_owned(), entry.span);
    entry.protocols = protocols(&entry, true);
    entry.endpoints.retain(|(_, endpoint)| endpoint.base_url.is_none());
    entry.base_url = Some(url);
    entry
}
