//! The endpoints of a provider: one for each protocol it speaks.

use http::{HeaderName, HeaderValue};

use super::base_url::{Base, Filled, base, filled};
use super::identity::{self, Material};
use super::operations::operations;
use super::paths::paths;
use super::{Layers, Problem};
use crate::config::Env;
use crate::config::document::{EndpointEntry, ProviderEntry, SecretText};
use crate::glob::Glob;
use crate::provider::{AuthScheme, BaseUrl, Endpoint, HeaderText, Models, PathOverride, SecretRef, presets};
use crate::source::Spanned;
use crate::wire::ProtocolId;
use crate::wire::hosting::Hosting;
use crate::wire::quirk::{MaxTokensMember, Quirks};

/// Where a provider stands whose address is not known yet; never called.
const NOWHERE: &str = "https://unset.invalid";

/// In order of preference; never empty.
pub(super) fn endpoints(name: &str, layers: Layers<'_>, env: &Env) -> Result<Vec<Endpoint>, Problem> {
    let base = base(layers, env)?;
    if let (Base::Unset { variables }, None) = (&base, layers.user) {
        return Err(Problem::Inactive { variables: variables.clone() });
    }
    let mut endpoints = Vec::new();
    for protocol in protocols(layers) {
        let written = Written { layers, protocol };
        let Some(place) = place(name, &base, written, env)? else { continue };
        let paths = paths(written, matches!(base, Base::Redirected(_)), env)?;
        endpoints.push(match (paths.unset.as_slice(), layers.user) {
            ([], _) => endpoint(place, paths.list, written, env)?,
            (_, None) => return Err(Problem::Inactive { variables: paths.unset }),
            (variables, Some(_)) => endpoint(unset(name, variables)?, paths.list, written, env)?,
        });
    }
    if endpoints.is_empty() { Err(speaks_nothing(name, layers)) } else { Ok(endpoints) }
}

/// Without a key there is nothing to send.
pub(super) fn without_keys(endpoints: &mut [Endpoint]) {
    for endpoint in endpoints {
        if endpoint.auth.takes_key() {
            endpoint.auth = AuthScheme::None;
        }
    }
}

/// The protocols listed, then those that only an endpoint names: an endpoint of the user's own, where the user lists some.
fn protocols(layers: Layers<'_>) -> Vec<ProtocolId> {
    let listed = layers.pick(|entry| entry.protocols.as_ref()).into_iter().flatten().map(|protocol| protocol.value);
    let users_list = layers.user.is_some_and(|user| user.protocols.is_some());
    let entries = layers.preset.filter(|_| !users_list).into_iter().chain(layers.user);
    let described = entries.flat_map(|entry| &entry.endpoints).map(|(protocol, _)| protocol.value);
    let mut protocols = Vec::new();
    for protocol in listed.chain(described) {
        if !protocols.contains(&protocol) {
            protocols.push(protocol);
        }
    }
    protocols
}

/// What is written of one protocol.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) layers: Layers<'a>,
    pub(super) protocol: ProtocolId,
}

impl<'a> Written<'a> {
    pub(super) fn of(self, entry: Option<&'a ProviderEntry>) -> Option<&'a EndpointEntry> {
        let endpoint = entry?.endpoints.iter().find(|(protocol, _)| protocol.value == self.protocol);
        endpoint.map(|(_, endpoint)| endpoint)
    }

    /// The user's endpoint, the user's provider, the provider file's endpoint, the provider file: the first that has it.
    fn pick<T>(
        self,
        of_endpoint: impl Fn(&'a EndpointEntry) -> Option<T>,
        of_provider: impl Fn(&'a ProviderEntry) -> Option<T>,
    ) -> Option<T> {
        let layer = |entry: Option<&'a ProviderEntry>| {
            self.of(entry).and_then(&of_endpoint).or_else(|| entry.and_then(&of_provider))
        };
        layer(self.layers.user).or_else(|| layer(self.layers.preset))
    }
}

/// Where an endpoint is, and how its requests are signed where that is known from the place alone.
struct Place {
    base_url: BaseUrl,
    /// Why it cannot be used.
    refused: Option<Box<str>>,
}

/// `None` for an endpoint of the provider file that does not follow a provider to another place.
fn place(name: &str, base: &Base, written: Written<'_>, env: &Env) -> Result<Option<Place>, Problem> {
    let own = |entry| written.of(entry).and_then(|endpoint: &EndpointEntry| endpoint.base_url.as_ref());
    if let Some(url) = own(written.layers.user) {
        return at(name, url, written, env).map(Some);
    }
    let asked_for = written.layers.user.and_then(|user| user.protocols.as_ref());
    let asked_for = asked_for.is_some_and(|listed| listed.iter().any(|listed| listed.value == written.protocol));
    match (base, own(written.layers.preset)) {
        (Base::Redirected(url), None) => Ok(Some(Place { base_url: url.clone(), refused: None })),
        (Base::Redirected(url), Some(_)) => Ok(asked_for.then(|| Place { base_url: url.clone(), refused: None })),
        (Base::AsDescribed(_) | Base::Unset { .. }, Some(url)) => at(name, url, written, env).map(Some),
        (Base::AsDescribed(Some(url)), None) => Ok(Some(Place { base_url: url.clone(), refused: None })),
        (Base::Unset { variables }, None) => unset(name, variables).map(Some),
        (Base::AsDescribed(None), None) => Err(Problem::Invalid {
            span: written.layers.span(),
            message: format!("the provider `{name}` has no `base_url`"),
            help: "add `base_url: \"http://HOST:PORT/v1\"`, the URL that an SDK would take".to_owned(),
        }),
    }
}

fn at(name: &str, url: &Spanned<String>, written: Written<'_>, env: &Env) -> Result<Place, Problem> {
    match filled(url, written.layers, env)? {
        Filled::Url(base_url) => Ok(Place { base_url, refused: None }),
        Filled::Unset { variables } => unset(name, &variables),
    }
}

/// A provider that the file names stays in the table, as one without its key does: the file can be checked anywhere, and
/// requests are told what is missing.
fn unset(name: &str, variables: &[String]) -> Result<Place, Problem> {
    let reason = format!("where `{name}` is, is not known: set {}, or `base_url` in the file", one_of(variables));
    let base_url = BaseUrl::parse(NOWHERE).map_err(|message| Problem::Invalid {
        span: None,
        message,
        help: "set `base_url`".to_owned(),
    })?;
    Ok(Place { base_url, refused: Some(reason.into()) })
}

/// `` `A`, `B` or `C` ``.
fn one_of(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

fn speaks_nothing(name: &str, layers: Layers<'_>) -> Problem {
    let help = match crate::diagnostic::did_you_mean(name, presets::names()) {
        Some(known) => {
            format!("did you mean the known provider `{known}`? Otherwise add `protocol: openai-chat` and `base_url`")
        }
        None => "add `protocol: openai-chat`, or the protocol it speaks, and `base_url`".to_owned(),
    };
    Problem::Invalid { span: layers.span(), message: format!("what the provider `{name}` speaks is not known"), help }
}

fn endpoint(place: Place, paths: Box<[PathOverride]>, written: Written<'_>, env: &Env) -> Result<Endpoint, Problem> {
    let auth = match place.refused {
        Some(reason) => AuthScheme::Unsupported(reason),
        None => auth(written, &place.base_url, env)?,
    };
    Ok(Endpoint {
        protocol: written.protocol,
        base_url: place.base_url,
        auth,
        paths,
        operations: operations(written)?,
        headers: headers(written)?,
        quirks: quirks(written),
        model_quirks: written
            .layers
            .both()
            .flat_map(|entry| &entry.model_quirks)
            .map(|(pattern, quirks)| (Glob(pattern.value.as_str().into()), quirks.value.clone()))
            .collect(),
        models: models(written),
        hosting: hosting(written)?,
        betas: written
            .pick(|endpoint| endpoint.betas.as_ref(), |_| None)
            .map(|betas| betas.iter().map(|pattern| Glob(pattern.value.as_str().into())).collect()),
    })
}

/// The user's for this protocol, or else the provider file's; all of them where neither says anything.
fn models(written: Written<'_>) -> Models {
    let patterns = written.pick(|endpoint| endpoint.models.as_ref(), |_| None).map_or(&[][..], Vec::as_slice);
    let (never, only): (Vec<&str>, Vec<&str>) =
        patterns.iter().map(|pattern| pattern.value.as_str()).partition(|pattern| pattern.starts_with('!'));
    let globs = |patterns: Vec<&str>| -> Box<[Glob]> {
        patterns.into_iter().map(|pattern| Glob(pattern.trim_start_matches('!').into())).collect()
    };
    Models { only: globs(only), never: globs(never) }
}

/// As written, where this build knows how that service speaks the protocol.
fn hosting(written: Written<'_>) -> Result<Hosting, Problem> {
    let Some(word) = written.pick(|endpoint| endpoint.hosting.as_ref(), |_| None) else { return Ok(Hosting::Own) };
    // The decoder lets no other word through.
    let hosting = Hosting::from_name(&word.value).unwrap_or_default();
    match written.protocol.codec().and_then(|codec| codec.hosted(hosting)) {
        Some(_) => Ok(hosting),
        None => Err(Problem::invalid(
            word.span,
            format!("`{}` does not serve {} in a way of its own", word.value, written.protocol),
            "remove `hosting`; clouds host `anthropic-messages`",
        )),
    }
}

/// As written, or as the protocol's inventor does it.
fn auth(written: Written<'_>, base_url: &BaseUrl, env: &Env) -> Result<AuthScheme, Problem> {
    if let Some(list) = written.pick(|endpoint| endpoint.auth.as_ref(), |provider| provider.auth.as_ref()) {
        return identity::choose(list, Material::of(written.layers, env), base_url, (written.layers, env));
    }
    Ok(match written.protocol {
        ProtocolId::OpenAiChat | ProtocolId::OpenAiResponses => AuthScheme::Bearer,
        ProtocolId::AnthropicMessages => AuthScheme::Header(HeaderName::from_static("x-api-key")),
        ProtocolId::Gemini => AuthScheme::Header(HeaderName::from_static("x-goog-api-key")),
        ProtocolId::BedrockConverse => AuthScheme::Bearer,
        // No upstream speaks these, so no endpoint does.
        ProtocolId::TensorZero | ProtocolId::TensorZeroChat => AuthScheme::None,
    })
}

/// The protocol's own, the provider file's, the user's: by name, the last wins.
fn headers(written: Written<'_>) -> Result<Box<[(HeaderName, HeaderText)]>, Problem> {
    let mut headers = match hosting(written)? {
        Hosting::Own => protocol_headers(written.protocol),
        Hosting::Vertex | Hosting::Bedrock => Vec::new(),
    };
    for entry in written.layers.both() {
        let own = written.of(Some(entry)).into_iter().flat_map(|endpoint| &endpoint.headers);
        for (name, value) in entry.headers.iter().chain(own) {
            let (name, value) = header(name, value)?;
            headers.retain(|(other, _)| *other != name);
            headers.push((name, value));
        }
    }
    Ok(headers.into())
}

/// Anthropic asks every request which version of its API it was written for.
fn protocol_headers(protocol: ProtocolId) -> Vec<(HeaderName, HeaderText)> {
    match protocol {
        ProtocolId::AnthropicMessages => vec![(
            HeaderName::from_static("anthropic-version"),
            HeaderText::Literal(HeaderValue::from_static("2023-06-01")),
        )],
        ProtocolId::OpenAiChat
        | ProtocolId::OpenAiResponses
        | ProtocolId::Gemini
        | ProtocolId::BedrockConverse
        | ProtocolId::TensorZero
        | ProtocolId::TensorZeroChat => Vec::new(),
    }
}

/// Headers that follow from the connection or the body; a file that sets them would break requests or smuggle some.
const RESERVED_HEADERS: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn header(name: &Spanned<String>, value: &Spanned<SecretText>) -> Result<(HeaderName, HeaderText), Problem> {
    let parsed = name.value.parse::<HeaderName>().map_err(|_| {
        Problem::invalid(
            name.span,
            format!("`{}` is not the name of a header", name.value),
            "use letters, digits and `-`, such as `x-team`",
        )
    })?;
    if RESERVED_HEADERS.contains(&parsed.as_str()) {
        let message = format!("the header `{parsed}` is the gateway's own: it follows from the connection or the body");
        return Err(Problem::invalid(name.span, message, "remove it"));
    }
    let text = match &value.value {
        SecretText::Literal(literal) => HeaderText::Literal(HeaderValue::from_str(&literal.0).map_err(|_| {
            Problem::invalid(
                value.span,
                format!("the value of the header `{}` has characters that a header cannot carry", name.value),
                "keep to printable ASCII on one line",
            )
        })?),
        // The decoder makes a literal of a header that begins with `request:`.
        SecretText::Env(name) | SecretText::Request(name) => HeaderText::Secret(SecretRef::Env(name.as_str().into())),
        SecretText::File(path) => HeaderText::Secret(SecretRef::File(path.as_str().into())),
    };
    Ok((parsed, text))
}

/// As written; a server that no provider file describes is taken for one of the many that only know `max_tokens` and
/// `system`, which all of them do.
fn quirks(written: Written<'_>) -> Quirks {
    if let Some(quirks) = written.pick(|endpoint| endpoint.quirks.as_ref(), |provider| provider.quirks.as_ref()) {
        return quirks.value.clone();
    }
    if written.layers.preset.is_none() && written.protocol == ProtocolId::OpenAiChat {
        return Quirks { max_tokens: MaxTokensMember::MaxTokens, developer_as_system: true, ..Quirks::default() };
    }
    Quirks::default()
}
