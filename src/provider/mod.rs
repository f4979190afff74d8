//! What a provider is: where it listens, what it speaks, how it authenticates. Plain data, filled from
//! `presets/providers/*.yaml` and the user's file. Knows protocols by id and never reads a body.

pub mod catalogue;
pub mod cost;
pub mod identity;
pub mod metadata;
pub mod presets;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use catalogue::Prices;
use http::{HeaderName, HeaderValue, Uri};
use identity::{Cloud, CloudIdentity};

use crate::glob::Glob;
use crate::wire::hosting::Hosting;
use crate::wire::quirk::Quirks;
use crate::wire::structured::OutputPlan;
use crate::wire::{Embeddings, Operation, Outbound, ProtocolId};

/// One provider of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// The name before the `/` of a target.
    pub name: Box<str>,
    /// For people: `OpenAI`.
    pub title: Box<str>,
    /// The embedded provider file that it is, or is like.
    pub known: Option<Box<str>>,
    /// In order of preference.
    pub endpoints: Box<[Endpoint]>,
    /// The pool of keys, as references. Empty: the provider needs none.
    pub keys: Box<[SecretRef]>,
    /// Credentials that requests bring, by name.
    pub request_keys: Option<RequestKeys>,
    /// A key is needed to use it. A provider that needs one and has none is not active.
    pub key_required: bool,
    /// Who it is asked as, where that is no key but an account of its cloud.
    pub identity: Option<CloudIdentity>,
    pub transport: Transport,
    /// Models that this provider is known to serve, from the file or the catalogue. Others pass through all the same.
    pub models: Box<[Box<str>]>,
    /// The catalogue's name for it, where it has one.
    pub catalogue: Option<Box<str>>,
    /// Patterns of model ids, and prices that the file says instead of the catalogue's.
    pub prices: Box<[(Glob, Prices)]>,
    /// Streams that pass through are asked for their usage where the caller did not.
    pub include_usage: bool,
    /// Why the provider is in the table: for the start-up text.
    pub activation: Activation,
}

impl Provider {
    /// Where its keys come from, in the order in which they are looked for.
    pub fn key_references(&self) -> Vec<String> {
        let (first, own) = self.request_keys.as_ref().map_or((false, &[][..]), |keys| (keys.first, &*keys.names));
        let own = || own.iter().map(|name| format!("request:{name}"));
        let before = own().filter(|_| first);
        let after = own().filter(|_| !first);
        before.chain(self.keys.iter().map(ToString::to_string)).chain(after).collect()
    }

    /// The endpoints that serve `model`, as a set of bits.
    pub fn serving(&self, model: &str) -> usize {
        let bits = self.endpoints.iter().enumerate().map(|(at, endpoint)| usize::from(endpoint.serves(model)) << at);
        bits.sum()
    }

    /// What the file itself says that `model` costs here: under the id itself, or else under the first pattern that fits.
    pub fn written_prices_of(&self, model: &str) -> Option<Prices> {
        let exact = self.prices.iter().find(|(id, _)| *id.0 == *model);
        let written = exact.or_else(|| self.prices.iter().find(|(pattern, _)| pattern.matches(model)));
        written.map(|(_, prices)| *prices)
    }

    /// What `model` costs here: as the file says, else as the catalogue knows. `None` where nobody knows.
    pub fn prices_of(&self, model: &str) -> Option<Prices> {
        let known = || Some(catalogue::find(self.catalogue.as_deref()?, model)?.prices);
        self.written_prices_of(model).or_else(known)
    }
}

/// How requests reach a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Http,
    /// The embedded demo provider: in process, no socket.
    Demo,
}

/// What made a provider active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activation {
    /// The user's file names it.
    File,
    /// A variable in the environment holds its key; the variable's name.
    Environment(Box<str>),
    /// It needs nothing (demo).
    Always,
}

/// One protocol of a provider and where it is spoken.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    pub protocol: ProtocolId,
    /// What the vendor's own SDK takes, e.g. `https://api.openai.com/v1`; no trailing slash.
    pub base_url: BaseUrl,
    pub auth: AuthScheme,
    /// Paths that differ from the protocol's own.
    pub paths: Box<[PathOverride]>,
    /// Relayed operations that it has; of the translated ones its protocol's codec tells.
    pub operations: Box<[Operation]>,
    /// Sent with every request: the protocol's (`anthropic-version`), the provider's and the endpoint's own, by name.
    pub headers: Box<[(HeaderName, HeaderText)]>,
    pub quirks: Quirks,
    /// Patterns of model ids, and the quirks that models have besides those above.
    pub model_quirks: Box<[(Glob, Quirks)]>,
    /// The models that are served here.
    pub models: Models,
    /// Whose service this is.
    pub hosting: Hosting,
    /// The betas of Anthropic that are taken here; `None`: all that a caller asks for.
    pub betas: Option<Box<[Glob]>>,
}

/// Which models an endpoint serves, by their ids: those of `only`, or all where it is empty, without those of `never`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Models {
    pub only: Box<[Glob]>,
    pub never: Box<[Glob]>,
}

impl Models {
    /// Whether nothing is said: every model is served.
    pub fn is_all(&self) -> bool {
        self.only.is_empty() && self.never.is_empty()
    }

    /// As the file writes them.
    pub fn patterns(&self) -> Vec<String> {
        let never = self.never.iter().map(|glob| format!("!{glob}"));
        self.only.iter().map(ToString::to_string).chain(never).collect()
    }
}

impl Endpoint {
    /// What writes its requests and reads its answers; `None` where this build speaks no such protocol.
    pub fn outbound(&self) -> Option<&'static dyn Outbound> {
        self.protocol.codec()?.hosted(self.hosting)
    }

    /// What asks it for vectors; `None` where its protocol has none.
    pub fn embeddings(&self) -> Option<&'static dyn Embeddings> {
        self.protocol.codec()?.embeddings()
    }

    /// Whether `model` is served here.
    pub fn serves(&self, model: &str) -> bool {
        let Models { only, never } = &self.models;
        let fits = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(model));
        (only.is_empty() || fits(only)) && !fits(never)
    }

    /// Whether it has an operation, as far as its paths say.
    pub fn has(&self, operation: Operation) -> bool {
        !self.paths.iter().any(|(known, _, path)| *known == operation && path.is_none())
    }

    /// How the upstream deviates for this model.
    pub fn quirks_of(&self, model: &str) -> Cow<'_, Quirks> {
        let mut matching = self.model_quirks.iter().filter(|(pattern, _)| pattern.matches(model));
        let Some((_, first)) = matching.next() else { return Cow::Borrowed(&self.quirks) };
        Cow::Owned(matching.fold(self.quirks.and(first), |quirks, (_, more)| quirks.and(more)))
    }

    /// What is offered here for answers of a given form; `None` where this build does not speak the protocol.
    pub fn output_plan(&self, model: &str) -> Option<OutputPlan> {
        let outbound = self.outbound()?;
        Some(outbound.output_plan(model, &self.quirks_of(model)))
    }
}

/// The path of one operation, of its streaming form where the flag is set, with `{model}` in it; `None` where the endpoint
/// lacks the operation.
pub type PathOverride = (Operation, bool, Option<Box<str>>);

/// A base URL, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    pub scheme: http::uri::Scheme,
    pub authority: http::uri::Authority,
    /// Path without a trailing slash; empty for none.
    pub path: Box<str>,
    /// Who is asked, as telemetry tells it.
    pub server: Arc<Server>,
}

/// A machine, or a name that stands for some, and a port of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// A name, or an address without the brackets that URLs put around some.
    pub host: Box<str>,
    pub port: u16,
}

impl Server {
    fn of(scheme: &http::uri::Scheme, authority: &http::uri::Authority) -> Server {
        let default = if *scheme == http::uri::Scheme::HTTP { 80 } else { 443 };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        Server { host: host.into(), port: authority.port_u16().unwrap_or(default) }
    }
}

impl BaseUrl {
    /// Reads `http://` and `https://` URLs without query, fragment or user information.
    ///
    /// # Errors
    /// What is wrong, for a diagnostic.
    pub fn parse(text: &str) -> Result<BaseUrl, String> {
        // What may hold a password is not repeated.
        let shown = if text.contains('@') { "the URL".to_owned() } else { format!("`{text}`") };
        let uri: Uri = text.parse().map_err(|error| format!("{shown} is not a URL: {error}"))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(format!("{shown} must begin with `https://` or `http://`"));
        };
        if scheme != http::uri::Scheme::HTTP && scheme != http::uri::Scheme::HTTPS {
            return Err(format!("`{scheme}` is not a scheme that can be used here; write `https://` or `http://`"));
        }
        if authority.as_str().contains('@') {
            return Err("a URL must not carry a user name or password; use `keys:`".to_owned());
        }
        if metadata::is_host(authority.host()) {
            return Err(format!(
                "`{}` is a cloud's metadata service, which hands out its machine's tokens",
                authority.host()
            ));
        }
        let path = parts.path_and_query;
        if path.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err("a base URL must not have a query".to_owned());
        }
        let path = path.as_ref().map_or("", |path| path.path()).trim_end_matches('/');
        let server = Arc::new(Server::of(&scheme, &authority));
        Ok(BaseUrl { scheme, authority, path: path.into(), server })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// How a key travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// A header of its own, e.g. `x-api-key: KEY`.
    Header(HeaderName),
    /// `Authorization: AWS4-HMAC-SHA256 …`: signed with an AWS account's keys (Signature Version 4).
    AwsSigV4(AwsScope),
    /// `Authorization: Bearer TOKEN` of a Google Cloud account.
    GoogleOauth,
    /// `Authorization: Bearer TOKEN` of Microsoft Entra ID.
    AzureEntra,
    /// The provider needs no key.
    None,
    /// The provider's file knows a scheme that this build does not speak; requests are refused with this explanation.
    Unsupported(Box<str>),
}

/// What a signature of AWS is valid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsScope {
    pub region: Box<str>,
    /// The service's name in signatures, which is not that of its host: `bedrock`.
    pub service: Box<str>,
}

impl AuthScheme {
    /// It sends a key of the provider's pool.
    pub fn takes_key(&self) -> bool {
        matches!(self, AuthScheme::Bearer | AuthScheme::Header(_))
    }

    /// The cloud whose identity it needs.
    pub fn cloud(&self) -> Option<Cloud> {
        match self {
            AuthScheme::AwsSigV4(_) => Some(Cloud::Aws),
            AuthScheme::GoogleOauth => Some(Cloud::Google),
            AuthScheme::AzureEntra => Some(Cloud::Azure),
            AuthScheme::Bearer | AuthScheme::Header(_) | AuthScheme::None | AuthScheme::Unsupported(_) => None,
        }
    }
}

/// As it is written in a file.
impl fmt::Display for AuthScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthScheme::Bearer => f.write_str("bearer"),
            AuthScheme::Header(name) => write!(f, "header:{name}"),
            AuthScheme::AwsSigV4(_) => f.write_str("aws-sigv4"),
            AuthScheme::GoogleOauth => f.write_str("google-oauth"),
            AuthScheme::AzureEntra => f.write_str("azure-entra"),
            AuthScheme::None => f.write_str("none"),
            AuthScheme::Unsupported(why) => write!(f, "unsupported: {why}"),
        }
    }
}

/// A header's value: written in the file, or a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderText {
    Literal(HeaderValue),
    Secret(SecretRef),
}

/// Credentials that requests bring for a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKeys {
    /// The first that a request brings is used.
    pub names: Box<[Box<str>]>,
    /// They go before the provider's own keys; otherwise they stand in where there are none.
    pub first: bool,
}

/// Where a secret is. The table holds references, never values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretRef {
    Env(Box<str>),
    File(Box<str>),
    /// Written in the file itself (a warning says how to move it). The position in the file's list of literal secrets;
    /// the value is kept apart from the table.
    Literal(u32),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "env:{name}"),
            SecretRef::File(path) => write!(f, "file:{path}"),
            SecretRef::Literal(_) => f.write_str("(a key written in the file)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_port_whatever_its_address_says() {
        let of = |url: &str| {
            let server = BaseUrl::parse(url).unwrap().server;
            (server.host.to_string(), server.port)
        };
        assert_eq!(of("https://api.openai.com/v1"), ("api.openai.com".to_owned(), 443));
        assert_eq!(of("http://up.internal"), ("up.internal".to_owned(), 80));
        assert_eq!(of("https://[2001:db8::7]:8443/v1"), ("2001:db8::7".to_owned(), 8443));
    }
}
