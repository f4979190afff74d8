//! What is not routing: the address, client keys, limits, reloads.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::decode::texts::parse_expiry;
use super::document::cache::CacheEntry;
use super::document::{Document, FilesEntry, KeyEntry, LimitsEntry, ReloadEntry, ResponsesEntry};
use super::expand::Secrets;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::source::Span;
use crate::table::{CacheLimits, ClientKey, Expiry, FilesPolicy, Kept, Limits, ReloadSettings, WatchMode};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4356);

/// The address to listen at. One that others can reach needs client keys.
pub(super) fn listen(document: &Document, diagnostics: &mut Diagnostics) -> Option<SocketAddr> {
    let Some(written) = &document.listen else { return Some(DEFAULT_LISTEN) };
    let text = written.value.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let Ok(address) = text.as_ref().unwrap_or(&written.value).parse::<SocketAddr>() else {
        diagnostics.push(
            Diagnostic::new(Code::BadListen, format!("`{}` is not an address and port", written.value))
                .label(written.span, "no address of this machine")
                .help("write `127.0.0.1:4356`, or `0.0.0.0:4356` together with `keys:`"),
        );
        return None;
    };
    if !address.ip().is_loopback() && document.keys.is_empty() {
        diagnostics.push(open_listen(address, written.span));
        return None;
    }
    Some(address)
}

fn open_listen(address: SocketAddr, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code::OpenListen,
        format!("`{address}` can be reached by other machines, and no client key is asked for"),
    )
    .label(span, "anyone could spend your keys")
    .help(format!("listen at `127.0.0.1:{}`, or ask for a key: `keys: {{ me: env:ROUTEPLANE_KEY }}`", address.port()))
    .fix(span, format!("127.0.0.1:{}", address.port()))
}

/// The client keys.
pub(super) fn keys(entries: &[KeyEntry], secrets: &mut Secrets<'_>, diagnostics: &mut Diagnostics) -> Box<[ClientKey]> {
    entries.iter().filter_map(|entry| key(entry, secrets, diagnostics)).collect()
}

fn key(entry: &KeyEntry, secrets: &mut Secrets<'_>, diagnostics: &mut Diagnostics) -> Option<ClientKey> {
    let Some(secret) = &entry.key else {
        if !entry.faulty {
            diagnostics.push(
                Diagnostic::new(Code::KeyWithoutSecret, format!("the client key `{}` has no secret", entry.name.value))
                    .label(entry.name.span, "what must a caller present?")
                    .help(format!("write `{}: {{ key: env:NAME }}`", entry.name.value)),
            );
        }
        return None;
    };
    let attributes = entry.attributes.iter();
    Some(ClientKey {
        id: entry.name.value.as_str().into(),
        secret: secrets.reference(secret, diagnostics),
        // The decoder lets no other text through.
        expires: entry.expires.as_ref().and_then(|expires| {
            Some(Expiry { at: parse_expiry(&expires.value)?, text: expires.value.as_str().into() })
        }),
        disabled: entry.disabled.is_some_and(|disabled| disabled.value),
        attributes: attributes.map(|(name, value)| (name.value.as_str().into(), value.value.as_str().into())).collect(),
        allow_request_routing: entry.allow_request_routing.map(|allowed| allowed.value),
        allow_explain: entry.allow_explain.map(|allowed| allowed.value),
        admin: entry.admin.is_some_and(|admin| admin.value),
    })
}

pub(super) fn limits(entry: Option<&LimitsEntry>, diagnostics: &mut Diagnostics) -> Limits {
    let mut limits = Limits::default();
    let Some(entry) = entry else { return limits };
    if let Some(body) = entry.body {
        limits.body = bounded(body.value, body.span, 1, 1 << 30, "bytes", diagnostics);
    }
    if let Some(connections) = entry.connections {
        let count = bounded(connections.value, connections.span, 1, 1_000_000, "connections", diagnostics);
        limits.connections = u32::try_from(count).unwrap_or(limits.connections);
    }
    limits.drain = entry.drain.map_or(limits.drain, |drain| drain.value);
    limits
}

pub(super) fn kept(entry: Option<&ResponsesEntry>, diagnostics: &mut Diagnostics) -> Kept {
    let mut kept = Kept::default();
    let Some(entry) = entry else { return kept };
    kept.ttl = entry.ttl.map_or(kept.ttl, |ttl| ttl.value);
    if let Some(entries) = entry.entries {
        let count = bounded(entries.value, entries.span, 0, 1_000_000, "answers", diagnostics);
        kept.entries = usize::try_from(count).unwrap_or(kept.entries);
    }
    if let Some(memory) = entry.memory {
        let bytes = bounded(memory.value, memory.span, 0, 1 << 36, "bytes", diagnostics);
        kept.memory = usize::try_from(bytes).unwrap_or(kept.memory);
    }
    kept
}

pub(super) fn cache(entry: Option<&CacheEntry>, diagnostics: &mut Diagnostics) -> CacheLimits {
    let mut cache = CacheLimits::default();
    let Some(entry) = entry else { return cache };
    cache.enabled = entry.enabled.is_none_or(|enabled| enabled.value);
    cache.ttl = entry.ttl.map_or(cache.ttl, |ttl| ttl.value);
    if let Some(memory) = entry.memory {
        let bytes = bounded(memory.value, memory.span, 0, 1 << 36, "bytes", diagnostics);
        cache.memory = usize::try_from(bytes).unwrap_or(cache.memory);
    }
    cache
}

/// Who may keep files at which provider; both must be known.
pub(super) fn files(
    entry: Option<&FilesEntry>,
    keys: &[KeyEntry],
    providers: &BTreeSet<&str>,
    diagnostics: &mut Diagnostics,
) -> FilesPolicy {
    let Some(entry) = entry else { return FilesPolicy::default() };
    if let Some(provider) =
        entry.default_provider.as_ref().filter(|provider| !providers.contains(provider.value.as_str()))
    {
        let diagnostic = Diagnostic::new(Code::UnknownProvider, format!("unknown provider `{}`", provider.value))
            .label(provider.span, "no provider of this name");
        diagnostics.push(match did_you_mean(&provider.value, providers.iter().copied()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help("name one of `providers:`; `routeplane providers` lists those that are built in"),
        });
    }
    let ids = || keys.iter().map(|key| key.name.value.as_str());
    for key in entry.keys.iter().flatten().filter(|key| ids().all(|id| id != key.value)) {
        let diagnostic = Diagnostic::new(Code::BadValue, format!("`{}` is not a client key of this file", key.value))
            .label(key.span, "no key has this id");
        diagnostics.push(match did_you_mean(&key.value, ids()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help("write ids of `keys:`"),
        });
    }
    FilesPolicy {
        provider: entry.default_provider.as_ref().map(|provider| provider.value.as_str().into()),
        keys: entry.keys.as_ref().map(|keys| keys.iter().map(|key| key.value.as_str().into()).collect()),
        per_key: entry.per_key.is_some_and(|per_key| per_key.value),
    }
}

fn bounded(value: u64, span: Span, least: u64, most: u64, unit: &str, diagnostics: &mut Diagnostics) -> u64 {
    if !(least..=most).contains(&value) {
        diagnostics.push(
            Diagnostic::new(Code::BadBound, format!("a limit of {value} {unit} is not possible"))
                .label(span, format!("{least} to {most}"))
                .help(format!("write a number from {least} to {most}")),
        );
    }
    value
}

pub(super) fn reload(entry: Option<&ReloadEntry>) -> ReloadSettings {
    let mut reload = ReloadSettings::default();
    let Some(entry) = entry else { return reload };
    // The decoder lets no other word through.
    reload.watch = match entry.watch.as_ref().map(|watch| watch.value.as_str()) {
        Some("poll") => WatchMode::Poll,
        Some("off") => WatchMode::Off,
        _ => WatchMode::Auto,
    };
    reload.poll_interval = entry.poll_interval.map_or(reload.poll_interval, |pause| pause.value);
    reload.allow_shrink = entry.allow_shrink.is_some_and(|allowed| allowed.value);
    reload
}
