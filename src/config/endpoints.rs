//! From a provider as written to a [`Provider`]: addresses, authentication, paths, keys.

use http::{HeaderName, HeaderValue};

use super::Env;
use super::document::{EndpointEntry, LiteralSecret, ProviderEntry, SecretText};
use super::expand::{self, Active};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::provider::{AuthScheme, BaseUrl, Endpoint, HeaderText, Provider, SecretRef, Transport};
use crate::source::{Span, Spanned};
use crate::wire::quirk::Quirks;
use crate::wire::{Operation, ProtocolId};

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
        .label(span, "refers to it")
        .help(format!("`export {name}=...` before `routeplane start`"))
}

/// Builds the provider; `None` after an error.
pub(super) fn provider(active: &Active, secrets: &mut Secrets<'_>, diagnostics: &mut Diagnostics) -> Option<Provider> {
    let entry = &active.entry;
    let transport = if expand::is_demo(entry) { Transport::Demo } else { Transport::Http };
    let keys = keys(active, secrets, diagnostics);
    let variables = Variables::new(entry, active.place, secrets.env, diagnostics);
    let builder = Builder { active, variables, transport };
    let endpoints = builder.endpoints(secrets, diagnostics);
    let headers = headers(&entry.headers, secrets, diagnostics);
    if entry.faulty {
        return None;
    }
    let endpoints = endpoints?;
    let unkeyed = endpoints.iter().all(|endpoint| endpoint.auth == AuthScheme::None);
    let optional = entry.env.as_ref().and_then(|env| env.key_optional.as_ref()).is_some_and(|optional| optional.value);
    Some(Provider {
        name: entry.name.value.as_str().into(),
        title: entry.title.as_ref().map_or(entry.name.value.as_str(), |title| &title.value).into(),
        endpoints: endpoints.into(),
        key_required: !unkeyed && !(active.own && keys.is_empty()) && !optional,
        keys: keys.into(),
        transport,
        models: entry.models.iter().flatten().map(|model| model.value.as_str().into()).collect(),
        catalogue: entry.catalogue.as_ref().map(|name| name.value.as_str().into()),
        headers: headers?.into(),
        activation: active.activation.clone(),
    })
}

/// The pool of keys: the file's, or the variable of the environment that holds one.
fn keys(active: &Active, secrets: &mut Secrets<'_>, diagnostics: &mut Diagnostics) -> Vec<SecretRef> {
    if let Some(keys) = &active.entry.keys {
        return keys.iter().map(|key| secrets.reference(key, diagnostics)).collect();
    }
    let Some(env) = &active.entry.env else { return Vec::new() };
    if let Some((name, _)) = expand::first_set(&env.key, secrets.env) {
        return vec![SecretRef::Env(name.into())];
    }
    let optional = env.key_optional.as_ref().is_some_and(|optional| optional.value);
    match (env.key.first(), active.place) {
        (Some(name), Some(place)) if !optional => {
            let written = Spanned::new(SecretText::Env(name.value.clone()), place);
            vec![secrets.reference(&written, diagnostics)]
        }
        _ => Vec::new(),
    }
}

/// Placeholders of URLs and paths, filled from the environment.
struct Variables {
    values: Vec<(String, String)>,
    /// Variables that are not set.
    missing: Vec<String>,
}

impl Variables {
    fn new(entry: &ProviderEntry, place: Option<Span>, env: &Env, diagnostics: &mut Diagnostics) -> Variables {
        let mut variables = Variables { values: Vec::new(), missing: Vec::new() };
        let given = entry.base_url.as_ref().is_some_and(|url| !url.value.contains('{'));
        for (placeholder, names) in entry.env.iter().flat_map(|env| &env.variables) {
            if let Some((_, value)) = expand::first_set(names, env) {
                variables.values.push((format!("{{{}}}", placeholder.value), value.to_owned()));
                continue;
            }
            let Some(name) = names.first().filter(|_| !given) else { continue };
            variables.missing.push(name.value.clone());
            if let Some(place) = place {
                diagnostics.push(missing_variable(&name.value, place));
            }
            variables.values.push((format!("{{{}}}", placeholder.value), "unset".to_owned()));
        }
        variables
    }

    fn fill(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }
}

struct Builder<'a> {
    active: &'a Active,
    variables: Variables,
    transport: Transport,
}

impl Builder<'_> {
    fn endpoints(&self, secrets: &mut Secrets<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<Endpoint>> {
        let entry = &self.active.entry;
        let mut protocols: Vec<Spanned<ProtocolId>> = entry.protocols.clone().unwrap_or_default();
        for (id, _) in &entry.endpoints {
            if !protocols.iter().any(|protocol| protocol.value == id.value) {
                protocols.push(*id);
            }
        }
        if protocols.is_empty() {
            if !entry.faulty {
                diagnostics.push(self.missing_protocol());
            }
            return None;
        }
        let endpoints: Vec<Option<Endpoint>> =
            protocols.iter().map(|protocol| self.endpoint(protocol.value, secrets, diagnostics)).collect();
        endpoints.into_iter().collect()
    }

    fn missing_protocol(&self) -> Diagnostic {
        let name = &self.active.entry.name;
        Diagnostic::new(Code::MissingProtocol, format!("the provider `{}` has no `protocol`", name.value))
            .label(self.active.place.unwrap_or(name.span), "speaks what?")
            .help("most servers speak `protocol: openai-chat`; known providers (`routeplane providers`) need none")
    }

    fn endpoint(
        &self,
        protocol: ProtocolId,
        secrets: &mut Secrets<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Endpoint> {
        let entry = &self.active.entry;
        let own = entry.endpoints.iter().find(|(id, _)| id.value == protocol).map(|(_, endpoint)| endpoint);
        let base_url = self.base_url(own, diagnostics);
        let auth = self.auth(protocol, own, diagnostics);
        let paths = self.paths(own, diagnostics);
        let headers = own.map_or(Some(Vec::new()), |own| headers(&own.headers, secrets, diagnostics));
        let quirks = own.and_then(|own| own.quirks.as_ref()).or(entry.quirks.as_ref());
        Some(Endpoint {
            protocol,
            base_url: base_url?,
            auth: auth?,
            paths: paths?.into(),
            headers: with_version(protocol, headers?).into(),
            quirks: quirks.map_or_else(Quirks::default, |quirks| quirks.value.clone()),
        })
    }

    fn base_url(&self, own: Option<&EndpointEntry>, diagnostics: &mut Diagnostics) -> Option<BaseUrl> {
        let entry = &self.active.entry;
        let Some(written) = own.and_then(|own| own.base_url.as_ref()).or(entry.base_url.as_ref()) else {
            if self.transport == Transport::Demo {
                return BaseUrl::parse("http://demo.invalid").ok();
            }
            if !entry.faulty {
                diagnostics.push(
                    Diagnostic::new(Code::MissingBaseUrl, format!("the provider `{}` has no `base_url`", entry.name.value))
                        .label(self.active.place.unwrap_or(entry.name.span), "where is it?")
                        .help("write what the vendor's own SDK takes, e.g. `base_url: \"http://10.0.0.7:8000/v1\"`"),
                );
            }
            return None;
        };
        match BaseUrl::parse(&self.variables.fill(&written.value)) {
            Ok(url) => Some(url),
            Err(why) => {
                diagnostics.push(
                    Diagnostic::new(Code::BadBaseUrl, why)
                        .label(written.span, "not a base URL")
                        .help("for example `https://api.example.com/v1`"),
                );
                None
            }
        }
    }

    fn auth(&self, protocol: ProtocolId, own: Option<&EndpointEntry>, diagnostics: &mut Diagnostics) -> Option<AuthScheme> {
        if !self.variables.missing.is_empty() {
            let names = self.variables.missing.join("`, `");
            return Some(AuthScheme::Unsupported(format!("set `{names}` to use this provider").into()));
        }
        let Some(written) = own.and_then(|own| own.auth.as_ref()).or(self.active.entry.auth.as_ref()) else {
            return Some(default_auth(protocol));
        };
        match written.value.as_str() {
            "bearer" => return Some(AuthScheme::Bearer),
            "none" => return Some(AuthScheme::None),
            _ => {}
        }
        let header = written.value.strip_prefix("header:").map(str::trim).map(HeaderName::try_from);
        if let Some(Ok(name)) = header {
            return Some(AuthScheme::Header(name));
        }
        if !self.active.own && self.active.place.is_none_or(|place| place.source != written.span.source) {
            // The provider's own file knows a scheme that this build does not.
            let why = format!("it authenticates by `{}`, which this version does not speak", written.value);
            return Some(AuthScheme::Unsupported(why.into()));
        }
        let diagnostic = Diagnostic::new(Code::BadAuth, format!("`{}` is not a way to authenticate", written.value))
            .label(written.span, "`bearer`, `none` or `header:NAME`");
        diagnostics.push(match did_you_mean(&written.value, ["bearer", "none", "header:x-api-key"]) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(written.span, near),
            None => diagnostic.help("for example `header:x-api-key`"),
        });
        None
    }

    fn paths(
        &self,
        own: Option<&EndpointEntry>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<(Operation, bool, Box<str>)>> {
        let mut out = Some(Vec::new());
        for (name, path) in own.into_iter().flat_map(|own| &own.paths) {
            let operation = match name.value.as_str() {
                "generate" => Some((Operation::Generate, false)),
                "stream" => Some((Operation::Generate, true)),
                "embed" => Some((Operation::Embed, false)),
                "count_tokens" => Some((Operation::CountTokens, false)),
                _ => None,
            };
            let Some((operation, stream)) = operation.filter(|_| path.value.starts_with('/')) else {
                diagnostics.push(bad_path(name, path, operation.is_some()));
                out = None;
                continue;
            };
            if let Some(out) = &mut out {
                out.push((operation, stream, self.variables.fill(&path.value).into()));
            }
        }
        out
    }
}

fn bad_path(name: &Spanned<String>, path: &Spanned<String>, known: bool) -> Diagnostic {
    if known {
        return Diagnostic::new(Code::BadPath, format!("`{}` is not a path", path.value))
            .label(path.span, "a path begins with `/`")
            .help(format!("write `/{}`", path.value))
            .fix(path.span, format!("/{}", path.value));
    }
    let diagnostic = Diagnostic::new(Code::BadPath, format!("unknown path `{}`", name.value)).label(name.span, "not a path");
    match did_you_mean(&name.value, ["generate", "stream", "embed", "count_tokens"]) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(name.span, near),
        None => diagnostic.help("paths are `generate`, `stream`, `embed` and `count_tokens`"),
    }
}

/// How each vendor's own API takes its key.
fn default_auth(protocol: ProtocolId) -> AuthScheme {
    match protocol {
        ProtocolId::OpenAiChat | ProtocolId::OpenAiResponses | ProtocolId::BedrockConverse => AuthScheme::Bearer,
        ProtocolId::AnthropicMessages => AuthScheme::Header(HeaderName::from_static("x-api-key")),
        ProtocolId::Gemini => AuthScheme::Header(HeaderName::from_static("x-goog-api-key")),
    }
}

/// Anthropic refuses requests without its version header.
fn with_version(protocol: ProtocolId, mut headers: Vec<(HeaderName, HeaderText)>) -> Vec<(HeaderName, HeaderText)> {
    let name = HeaderName::from_static("anthropic-version");
    if protocol == ProtocolId::AnthropicMessages && !headers.iter().any(|(other, _)| *other == name) {
        headers.push((name, HeaderText::Literal(HeaderValue::from_static("2023-06-01"))));
    }
    headers
}

fn headers(
    written: &[(Spanned<String>, Spanned<SecretText>)],
    secrets: &mut Secrets<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<(HeaderName, HeaderText)>> {
    let headers: Vec<_> = written.iter().map(|(name, value)| header(name, value, secrets, diagnostics)).collect();
    headers.into_iter().collect()
}

fn header(
    name: &Spanned<String>,
    value: &Spanned<SecretText>,
    secrets: &mut Secrets<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<(HeaderName, HeaderText)> {
    let header = header_name(name, diagnostics);
    let text = match &value.value {
        SecretText::Literal(literal) => {
            header_value(&Spanned::new(literal.0.as_str(), value.span), diagnostics).map(HeaderText::Literal)
        }
        SecretText::Env(_) | SecretText::File(_) => Some(HeaderText::Secret(secrets.reference(value, diagnostics))),
    };
    Some((header?, text?))
}

/// Headers that follow from the connection or the body; nobody else may set them.
const OWN_HEADERS: &[&str] = &[
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect",
    "proxy-authorization", "proxy-connection", "content-encoding",
];

pub(super) fn header_name(name: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<HeaderName> {
    let header = HeaderName::try_from(name.value.as_str()).ok();
    let Some(header) = header else {
        diagnostics.push(
            Diagnostic::new(Code::BadHeader, format!("`{}` cannot be the name of a header", name.value))
                .label(name.span, "not a header name")
                .help("header names are made of letters, digits and `-`, e.g. `x-team`"),
        );
        return None;
    };
    if OWN_HEADERS.contains(&header.as_str()) {
        diagnostics.push(
            Diagnostic::new(Code::BadHeader, format!("the header `{header}` is the gateway's own"))
                .label(name.span, "follows from the connection or the body")
                .help("remove it"),
        );
        return None;
    }
    Some(header)
}

pub(super) fn header_value(value: &Spanned<&str>, diagnostics: &mut Diagnostics) -> Option<HeaderValue> {
    let header = HeaderValue::from_str(value.value).ok();
    if header.is_none() {
        diagnostics.push(
            Diagnostic::new(Code::BadHeader, "this cannot be the value of a header")
                .label(value.span, "holds a character that headers do not allow")
                .help("values are visible ASCII characters and spaces, on one line"),
        );
    }
    header
}
