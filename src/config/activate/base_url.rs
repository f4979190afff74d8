//! Where a provider is: base URLs, their placeholders, and the variables that redirect them.

use super::{Layers, Problem};
use crate::config::Env;
use crate::config::document::{EnvEntry, ProviderEntry};
use crate::provider::BaseUrl;
use crate::source::Spanned;

/// What a provider's base URL turned out to be.
pub(super) enum Base {
    /// Where the provider file says, or nowhere but at its endpoints.
    AsDescribed(Option<BaseUrl>),
    /// Somewhere else, said the file or a variable: endpoints of the provider file that live at the vendor do not follow,
    /// and a key must not go there.
    Redirected(BaseUrl),
    /// A placeholder stands for variables of which none is set.
    Unset { variables: Vec<String> },
}

/// The base URL of the whole provider: the user's, a variable's, the provider file's.
pub(super) fn base(layers: Layers<'_>, env: &Env) -> Result<Base, Problem> {
    let described = layers.preset.and_then(|preset| preset.base_url.as_ref());
    if let Some(written) = layers.user.and_then(|user| user.base_url.as_ref()) {
        return match filled(written, layers, env)? {
            Filled::Url(url) if described.is_some_and(|described| described.value == written.value) => {
                Ok(Base::AsDescribed(Some(url)))
            }
            Filled::Url(url) => Ok(Base::Redirected(url)),
            Filled::Unset { variables } => Ok(Base::Unset { variables }),
        };
    }
    if let Some(url) = from_variable(layers, env)? {
        return Ok(Base::Redirected(url));
    }
    match described.map(|described| filled(described, layers, env)).transpose()? {
        None => Ok(Base::AsDescribed(None)),
        Some(Filled::Url(url)) => Ok(Base::AsDescribed(Some(url))),
        Some(Filled::Unset { variables }) => Ok(Base::Unset { variables }),
    }
}

fn from_variable(layers: Layers<'_>, env: &Env) -> Result<Option<BaseUrl>, Problem> {
    let names = env_entry(layers).map(|entry| entry.base_url.as_slice()).unwrap_or_default();
    let Some((name, value)) = names.iter().find_map(|name| Some((&name.value, env.get(&name.value)?))) else {
        return Ok(None);
    };
    // The value is not repeated: it may carry a password.
    BaseUrl::parse(&reachable(value)).map(Some).map_err(|_| Problem::Invalid {
        span: layers.span(),
        message: format!("the variable `{name}` does not hold a base URL"),
        help: format!("set it to a URL such as `https://example.com/v1`, or unset it: `unset {name}`"),
    })
}

/// A text after its placeholders are filled.
pub(super) enum Filled {
    Url(BaseUrl),
    Unset { variables: Vec<String> },
}

/// Reads a base URL as written, with `{placeholders}` of the provider file.
pub(super) fn filled(written: &Spanned<String>, layers: Layers<'_>, env: &Env) -> Result<Filled, Problem> {
    match fill(&written.value, layers, env) {
        Err(variables) => Ok(Filled::Unset { variables }),
        Ok(text) => BaseUrl::parse(&text).map(Filled::Url).map_err(|error| {
            Problem::invalid(
                written.span,
                error,
                "write the URL that the vendor's own SDK takes, such as `https://example.com/v1`",
            )
        }),
    }
}

/// Replaces `{name}` by the first of the provider file's alternatives that the environment can fill; other braces stay.
///
/// # Errors
/// The variables of a placeholder that none of them fills.
pub(super) fn fill(text: &str, layers: Layers<'_>, env: &Env) -> Result<String, Vec<String>> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_placeholder(rest) {
        out.push_str(before);
        let placeholder = env_entry(layers).and_then(|entry| entry.variables.iter().find(|(key, _)| key.value == name));
        match (written(name, layers), placeholder) {
            (Some(value), _) => out.push_str(value),
            (None, Some((_, alternatives))) => append(&mut out, &value_of(alternatives, env)?),
            (None, None) => out.extend(["{", name, "}"]),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(at_its_host(out, layers))
}

/// What the file itself says for a placeholder.
fn written<'a>(name: &str, layers: Layers<'a>) -> Option<&'a str> {
    let value = |key: fn(&ProviderEntry) -> Option<&Spanned<String>>| layers.pick(key).map(|text| text.value.as_str());
    match name {
        "region" => value(|entry| entry.region.as_ref()),
        "project" => value(|entry| entry.project.as_ref()),
        "location" => value(|entry| entry.location.as_ref()),
        _ => None,
    }
}

/// A URL whose host the provider file knows to be another.
fn at_its_host(url: String, layers: Layers<'_>) -> String {
    let hosts = env_entry(layers).map(|entry| entry.hosts.as_slice()).unwrap_or_default();
    let host = url.split_once("://").map(|(_, rest)| rest.split_once('/').map_or(rest, |(host, _)| host));
    match hosts.iter().find(|(made, _)| Some(made.value.as_str()) == host) {
        Some((made, real)) => url.replacen(&made.value, &real.value, 1),
        None => url,
    }
}

/// The region that AWS requests are signed for: the file's, the one in the host's name, a variable's.
pub(super) fn region(base_url: &BaseUrl, layers: Layers<'_>, env: &Env) -> String {
    let from_variables = || {
        let mut names = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter();
        names.find_map(|name| env.get(name)).unwrap_or("us-east-1").to_owned()
    };
    let known = written("region", layers).or_else(|| region_in_host(base_url.authority.host()));
    known.map_or_else(from_variables, str::to_owned)
}

/// `eu-west-1` of `bedrock-runtime.eu-west-1.amazonaws.com`, or of an interface endpoint
/// (`vpce-0a1b.bedrock-runtime.eu-west-1.vpce.amazonaws.com`).
fn region_in_host(host: &str) -> Option<&str> {
    let (before, _) = host.split_once(".amazonaws.com")?;
    let mut labels = before.trim_end_matches(".vpce").rsplit('.');
    let region = labels.next()?;
    labels.next().filter(|service| service.starts_with("bedrock")).map(|_| region)
}

/// The text before the first `{name}`, the name, and the text after it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// A value with a scheme of its own (`OLLAMA_HOST=https://box`) replaces the one that the provider file wrote.
fn append(out: &mut String, value: &str) {
    if value.contains("://") {
        out.clear();
    }
    out.push_str(value);
}

/// The first alternative that can be filled. An alternative is the name of a variable, a text with `{VARIABLE}` in it, or
/// a text that stands for itself.
fn value_of(alternatives: &[Spanned<String>], env: &Env) -> Result<String, Vec<String>> {
    let texts = || alternatives.iter().map(|text| text.value.as_str());
    for text in texts() {
        if is_variable(text) {
            if let Some(value) = env.get(text) {
                return Ok(with_port(reachable(value), alternatives.last().map(|text| text.value.as_str())));
            }
        } else if let Some(value) = template(text, env) {
            return Ok(value);
        }
    }
    let variables = texts().map(|text| next_placeholder(text).map_or(text, |(_, name, _)| name).to_owned());
    Err(variables.collect())
}

/// `https://{AZURE_RESOURCE_NAME}.openai.azure.com`, filled; `None` where a variable is not set.
fn template(text: &str, env: &Env) -> Option<String> {
    match next_placeholder(text) {
        None => Some(text.to_owned()),
        Some((before, name, after)) => Some(format!("{before}{}{}", env.get(name)?, template(after, env)?)),
    }
}

/// An address that a server listens on, as one that a client can call: `0.0.0.0` and an empty host mean every interface,
/// of which loopback is the one that surely exists.
fn reachable(value: &str) -> String {
    let value = value.trim().trim_end_matches('/');
    let (scheme, address) = value.split_once("://").map_or(("", value), |(scheme, address)| (scheme, address));
    let separator = if scheme.is_empty() { "" } else { "://" };
    let address = match address.strip_prefix("0.0.0.0").or_else(|| address.strip_prefix("[::]")) {
        Some(rest) => format!("127.0.0.1{rest}"),
        None if address.starts_with(':') => format!("127.0.0.1{address}"),
        None => address.to_owned(),
    };
    format!("{scheme}{separator}{address}")
}

/// A bare host takes the port of the default beside it: `OLLAMA_HOST=box` means port 11434.
fn with_port(value: String, default: Option<&str>) -> String {
    let port = default.filter(|default| !default.contains("://")).and_then(|default| default.rsplit_once(':'));
    match port {
        Some((_, port)) if !value.contains(':') => format!("{value}:{port}"),
        _ => value,
    }
}

/// Written like a variable of the environment: `OLLAMA_HOST`.
pub(super) fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn env_entry(layers: Layers<'_>) -> Option<&EnvEntry> {
    layers.pick(|entry| entry.env.as_ref())
}
