//! A provider must not be where the gateway itself listens: each of its requests would come back as another one.

use std::net::{IpAddr, SocketAddr};

use super::document::{Document, ProviderEntry};
use super::{Env, activate};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::provider::{BaseUrl, Endpoint, Provider};
use crate::source::Span;

/// Reports every provider that is at `listen`.
pub(super) fn check(
    document: &Document,
    known: &[ProviderEntry],
    providers: &[Provider],
    listen: SocketAddr,
    env: &Env,
    diagnostics: &mut Diagnostics,
) {
    for provider in providers {
        let Some(endpoint) = provider.endpoints.iter().find(|endpoint| leads_to(&endpoint.base_url, listen)) else {
            continue;
        };
        let message = format!(
            "the provider `{}` is at `{}`, where this gateway itself listens",
            provider.name, endpoint.base_url
        );
        let named = |entry: &&ProviderEntry| *entry.name.value == *provider.name;
        let entry = document.providers.iter().find(named);
        let diagnostic = Diagnostic::new(Code::OwnAddress, message);
        diagnostics.push(match entry.and_then(|entry| written_at(entry, endpoint)) {
            Some(span) => diagnostic
                .label(span, "every request would come back")
                .help("write the address of the provider's own server, or choose another `listen:`"),
            None => {
                let set = entry.into_iter().chain(known.iter().find(named)).flat_map(activate::address_variables);
                let help = from_variable(set.into_iter().find(|name| env.get(name).is_some()));
                let diagnostic = diagnostic.help(help);
                match entry {
                    Some(entry) => diagnostic.label(entry.name.span, "every request would come back"),
                    None => diagnostic,
                }
            }
        });
    }
}

fn written_at(entry: &ProviderEntry, endpoint: &Endpoint) -> Option<Span> {
    let own = entry.endpoints.iter().find(|(protocol, _)| protocol.value == endpoint.protocol);
    let own = own.and_then(|(_, endpoint)| endpoint.base_url.as_ref());
    own.or(entry.base_url.as_ref()).map(|url| url.span)
}

fn from_variable(variable: Option<&str>) -> String {
    match variable {
        Some(name) => format!(
            "the variable `{name}` says so, for the programs that call the gateway: start the gateway without it, \
             `env -u {name} routeplane start`"
        ),
        None => "choose another `listen:`".to_owned(),
    }
}

/// Whether a request to `url` arrives at `listen`, as far as it can be known without looking up names.
fn leads_to(url: &BaseUrl, listen: SocketAddr) -> bool {
    let usual = if url.scheme == http::uri::Scheme::HTTPS { 443 } else { 80 };
    if url.authority.port_u16().unwrap_or(usual) != listen.port() {
        return false;
    }
    let host = url.authority.host().trim_start_matches('[').trim_end_matches(']');
    let own = listen.ip().to_canonical();
    if host.eq_ignore_ascii_case("localhost") {
        return own.is_loopback() || own.is_unspecified();
    }
    match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) if own.is_unspecified() => ip.is_loopback() || ip.is_unspecified(),
        // Calling the unspecified address means calling this machine over loopback.
        Ok(ip) => ip == own || ip.is_unspecified() && own.is_loopback(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_back_is_seen_and_no_other() {
        let loops = [
            ("127.0.0.1:4356", "http://127.0.0.1:4356/v1"),
            ("127.0.0.1:4356", "http://LOCALHOST:4356"),
            ("127.0.0.1:4356", "http://0.0.0.0:4356/v1"),
            ("127.0.0.1:4356", "http://[::ffff:127.0.0.1]:4356/v1"),
            ("127.0.0.1:80", "http://localhost/v1"),
            ("[::1]:4356", "http://[::1]:4356/v1"),
            ("0.0.0.0:4356", "http://127.0.0.9:4356/v1"),
            ("[::]:4356", "http://localhost:4356/v1"),
            ("10.0.0.7:443", "https://10.0.0.7/v1"),
        ];
        for (listen, url) in loops {
            assert!(leads_to(&BaseUrl::parse(url).unwrap(), listen.parse().unwrap()), "{listen} {url}");
        }
        let others = [
            ("127.0.0.1:4356", "http://127.0.0.1:4357/v1"),
            ("127.0.0.1:4356", "http://127.0.0.2:4356/v1"),
            ("127.0.0.1:4356", "http://localhost/v1"),
            ("127.0.0.1:4356", "http://localhost.example:4356/v1"),
            ("10.0.0.7:4356", "http://localhost:4356/v1"),
            ("0.0.0.0:4356", "http://10.0.0.7:4356/v1"),
            ("127.0.0.1:0", "http://127.0.0.1:4356/v1"),
        ];
        for (listen, url) in others {
            assert!(!leads_to(&BaseUrl::parse(url).unwrap(), listen.parse().unwrap()), "{listen} {url}");
        }
    }
}
