//! Which providers the file has: those it names, under `providers:` or in a target, and the known ones that the
//! environment activates.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Env;
use super::activate::{self, Problem};
use super::document::{CredentialsEntry, Document, LiteralSecret, ProviderEntry, SecretText};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::provider::{HeaderText, Provider, SecretRef};
use crate::source::{Span, Spanned};

/// What a secret needs to become a reference: the environment to look for its variable, and the list of secrets that the
/// file itself holds.
pub(super) struct Secrets<'e> {
    pub(super) env: &'e Env,
    pub(super) literals: Vec<LiteralSecret>,
}

impl Secrets<'_> {
    /// The reference; warns where its variable is not set.
    pub(super) fn reference(&mut self, secret: &Spanned<SecretText>, diagnostics: &mut Diagnostics) -> SecretRef {
        match &secret.value {
            SecretText::Env(name) => {
                if self.env.get(name).is_none() {
                    diagnostics.push(missing_variable(name, secret.span));
                }
                SecretRef::Env(name.as_str().into())
            }
            SecretText::File(path) => SecretRef::File(path.as_str().into()),
            // The decoder lets it stand among a provider's keys alone.
            SecretText::Request(name) => SecretRef::Env(name.as_str().into()),
            SecretText::Literal(literal) => {
                let position = self.literals.len();
                self.literals.push(literal.clone());
                SecretRef::Literal(u32::try_from(position).unwrap_or(u32::MAX))
            }
        }
    }
}

fn missing_variable(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MissingVariable, format!("the variable `{name}` is not set"))
        .label(span, "needs it")
        .help(format!("`export {name}=...` before `routeplane start`"))
}

/// The outcome of the expansion.
#[derive(Default)]
pub(super) struct Expansion {
    pub(super) providers: Vec<Provider>,
    /// Known providers without a key, and the variables that would activate them.
    pub(super) inactive: BTreeMap<Box<str>, Box<str>>,
}

/// Activates providers: the file's in its order, then the known ones in theirs. `mentioned` holds the providers that
/// targets of the file name, with the first place of each. What cannot be used is reported and left out.
pub(super) fn providers(
    document: &Document,
    known: &[ProviderEntry],
    mentioned: &BTreeMap<&str, Span>,
    secrets: &mut Secrets<'_>,
    diagnostics: &mut Diagnostics,
) -> Expansion {
    let mut expansion = Expansion::default();
    let by_name: HashMap<&str, &ProviderEntry> = known.iter().map(|entry| (entry.name.value.as_str(), entry)).collect();
    let mut named = BTreeSet::new();
    for entry in &document.providers {
        let name = entry.name.value.as_str();
        named.insert(name);
        hide_passwords(entry, diagnostics);
        let known = match &entry.like {
            Some(like) => known_of(like, &by_name, diagnostics),
            None => by_name.get(name).copied(),
        };
        // What an unknown `like` leaves unsaid needs no second complaint.
        let unlike = entry.like.is_some() && known.is_none();
        let entry = if unlike { &ProviderEntry { faulty: true, ..entry.clone() } } else { entry };
        one(&mut expansion, name, known, Some(entry), secrets, diagnostics);
    }
    for preset in known.iter().filter(|entry| !named.contains(entry.name.value.as_str())) {
        let name = preset.name.value.as_str();
        // A provider that a target names is as good as one with an empty entry.
        let entry = mentioned.get(name).map(|span| empty_entry(name, *span));
        one(&mut expansion, name, Some(preset), entry.as_ref(), secrets, diagnostics);
    }
    expansion
}

/// The known provider that an entry is like.
fn known_of<'k>(
    like: &Spanned<String>,
    by_name: &HashMap<&str, &'k ProviderEntry>,
    diagnostics: &mut Diagnostics,
) -> Option<&'k ProviderEntry> {
    let known = by_name.get(like.value.as_str()).copied();
    if known.is_none() {
        let diagnostic =
            Diagnostic::new(Code::UnknownProvider, format!("no known provider is called `{}`", like.value))
                .label(like.span, "not known");
        diagnostics.push(match did_you_mean(&like.value, by_name.keys().copied()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(like.span, near.to_owned()),
            None => diagnostic.help("`routeplane providers --all` lists them"),
        });
    }
    known
}

/// A URL with a user name or password is refused, and not shown.
fn hide_passwords(entry: &ProviderEntry, diagnostics: &mut Diagnostics) {
    let endpoints = entry.endpoints.iter().filter_map(|(_, endpoint)| endpoint.base_url.as_ref());
    for url in entry.base_url.iter().chain(endpoints).filter(|url| url.value.contains('@')) {
        diagnostics.hide(url.span);
    }
}

fn empty_entry(name: &str, span: Span) -> ProviderEntry {
    ProviderEntry {
        name: Spanned::new(name.to_owned(), span),
        span,
        faulty: false,
        like: None,
        title: None,
        docs: None,
        protocols: None,
        base_url: None,
        keys: None,
        auth: None,
        credentials: None,
        region: None,
        project: None,
        location: None,
        headers: Vec::new(),
        endpoints: Vec::new(),
        models: None,
        catalogue: None,
        quirks: None,
        model_quirks: Vec::new(),
        operations: None,
        prices: Vec::new(),
        include_usage: None,
        transport: None,
        env: None,
    }
}

fn one(
    expansion: &mut Expansion,
    name: &str,
    preset: Option<&ProviderEntry>,
    user: Option<&ProviderEntry>,
    secrets: &mut Secrets<'_>,
    diagnostics: &mut Diagnostics,
) {
    match activate::provider(name, preset, user, secrets.env, &mut secrets.literals) {
        Ok(provider) => {
            if let Some(user) = user {
                warn_of_missing(&provider, user, secrets.env, diagnostics);
            }
            expansion.providers.push(provider);
        }
        Err(Problem::Inactive { variables }) => {
            expansion.inactive.insert(name.into(), variables.join(" or ").into());
        }
        // The decoder has said what is wrong with it.
        Err(Problem::Invalid { .. }) if user.is_some_and(|user| user.faulty) => {}
        Err(Problem::Invalid { span, message, help }) => {
            let diagnostic = Diagnostic::new(Code::BadProvider, message).help(help);
            let span = span.or(user.map(|user| user.name.span));
            diagnostics.push(match span {
                Some(span) => diagnostic.label(span, "cannot be used"),
                None => diagnostic,
            });
        }
    }
}

/// Variables of keys and headers that are not set; at the reference where the file has one, else at the provider's name.
fn warn_of_missing(provider: &Provider, user: &ProviderEntry, env: &Env, diagnostics: &mut Diagnostics) {
    let headers = provider.endpoints.iter().flat_map(|endpoint| &endpoint.headers).map(|(_, text)| text);
    let in_headers = headers.filter_map(|text| match text {
        HeaderText::Secret(secret) => Some(secret),
        HeaderText::Literal(_) => None,
    });
    let mut said = BTreeSet::new();
    let in_identity = provider.identity.iter().flat_map(|identity| identity.credentials.secrets());
    for secret in provider.keys.iter().chain(in_identity).chain(in_headers) {
        let SecretRef::Env(variable) = secret else { continue };
        if env.get(variable).is_none() && said.insert(variable) {
            diagnostics.push(missing_variable(variable, written_at(user, variable)));
        }
    }
}

fn written_at(user: &ProviderEntry, variable: &str) -> Span {
    let headers = user.headers.iter().chain(user.endpoints.iter().flat_map(|(_, endpoint)| &endpoint.headers));
    let identity = user.credentials.iter().flat_map(CredentialsEntry::secrets);
    let mut references = user.keys.iter().flatten().chain(identity).chain(headers.map(|(_, value)| value));
    let reference = references.find(|secret| matches!(&secret.value, SecretText::Env(name) if name == variable));
    reference.map_or(user.name.span, |secret| secret.span)
}
