//! Who may come in: the Host and Origin of browsers, and client keys.

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, Uri};

use crate::live::Live;
use crate::table::ClientKey;
use crate::wire::ir::{Error, ErrorKind};

/// Refuses requests that a web page made through DNS rebinding, or from another origin.
///
/// On a loopback listener the `Host` must be a loopback name. On any other listener client keys are required, which a
/// page of a stranger does not have, and the host name is whatever the network calls this machine.
///
/// # Errors
/// 403, in words for the caller.
pub fn browser(live: &Live, headers: &HeaderMap) -> Result<(), Error> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if hosts.next().is_some() {
        return Err(forbidden("the request has more than one `Host` header", "forbidden_host"));
    }
    if live.table.listen.ip().is_loopback() && !host.is_some_and(is_loopback_authority) {
        return Err(forbidden(
            "this gateway listens on loopback only and answers to `localhost` and `127.0.0.1`; \
             the request's `Host` is another name",
            "forbidden_host",
        ));
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => Ok(()),
        (Some(origin), None) if origin.to_str().is_ok_and(|origin| is_allowed_origin(origin, host)) => Ok(()),
        _ => Err(forbidden("requests from this `Origin` are not allowed", "forbidden_origin")),
    }
}

fn forbidden(message: &str, code: &str) -> Error {
    Error::new(ErrorKind::Permission, message).with_code(code)
}

/// `localhost`, `127.x.x.x`, `[::1]`, each with an optional port.
pub(super) fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if is_port(port) => host,
            _ => return false,
        },
        None => match authority.split_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            Some(_) => return false,
            None => authority,
        },
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Pages of this machine, and pages that this very gateway served.
fn is_allowed_origin(origin: &str, host: Option<&str>) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| is_loopback_authority(authority) || host == Some(authority))
}

/// The client key's position in the table, `None` where none is asked for.
///
/// # Errors
/// 401 with one text for every way of being wrong.
pub fn client_key(live: &Live, headers: &HeaderMap, uri: &Uri) -> Result<Option<usize>, Error> {
    let keys = &live.runtime.client_keys;
    if !keys.required() {
        return Ok(None);
    }
    let found = presented(headers, uri).find_map(|key| keys.find(key));
    if let Some(key) = found.and_then(|at| live.table.keys.get(at)) {
        refuse_ended(key, super::now())?;
    }
    found.map(Some).ok_or_else(|| {
        let signed = headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS4-"));
        let message = if signed { SIGNED } else { NO_KEY };
        Error::new(ErrorKind::Authentication, message).with_code("invalid_api_key")
    })
}

/// Whether the request shows a client key that opens the console and `/admin/`: in a header, as a URL is written down in many
/// places.
pub fn has_admin_key(live: &Live, headers: &HeaderMap) -> bool {
    let found = client_key(live, headers, &Uri::default()).ok().flatten();
    found.and_then(|position| live.table.keys.get(position)).is_some_and(|key| key.admin)
}

/// # Errors
/// 401 for a key that is right, and no longer opens anything. Only its holder is told.
fn refuse_ended(key: &ClientKey, now: u64) -> Result<(), Error> {
    let Some(why) = ended(key, now) else { return Ok(()) };
    let (advice, code) =
        if key.disabled { ("", "disabled_api_key") } else { ("; ask for a new one", "expired_api_key") };
    let message = format!("the client key `{}` {why}{advice}", key.id);
    Err(Error::new(ErrorKind::Authentication, message).with_code(code))
}

/// Why a key opens nothing any more.
pub(super) fn ended(key: &ClientKey, now: u64) -> Option<String> {
    match &key.expires {
        _ if key.disabled => Some("is disabled".to_owned()),
        Some(expiry) if expiry.at <= now => Some(format!("has expired ({})", expiry.text)),
        _ => None,
    }
}

const NO_KEY: &str =
    "this gateway asks for one of its client keys, as `Authorization: Bearer KEY`, `x-api-key` or `x-goog-api-key`";
/// A signature cannot be checked without the secret key of AWS that it was made with.
const SIGNED: &str = "this gateway asks for one of its client keys and cannot check the signatures of AWS (SigV4); \
     set `AWS_BEARER_TOKEN_BEDROCK` to a client key, and AWS's SDKs send it as `Authorization: Bearer KEY`";

/// Every place where the SDKs put a key, whatever the protocol.
fn presented<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> impl Iterator<Item = &'r [u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
    });
    let bare = ["x-api-key", "x-goog-api-key", "api-key"]
        .into_iter()
        .filter_map(|name| headers.get(name))
        .map(|value| value.as_bytes().trim_ascii());
    let query = uri.query().into_iter().flat_map(|query| query.split('&')).filter_map(|pair| pair.strip_prefix("key="));
    bearer.into_iter().chain(bare).chain(query.map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::SecretRef;
    use crate::table::Expiry;

    #[test]
    fn only_loopback_names_are_loopback() {
        for yes in ["localhost", "LOCALHOST:4356", "127.0.0.1", "127.0.0.1:80", "127.9.9.9", "[::1]", "[::1]:4356"] {
            assert!(is_loopback_authority(yes), "{yes}");
        }
        for no in [
            "",
            "localhost.",
            "localhost.evil.com",
            "127.0.0.1.evil.com",
            "evil.com",
            "evil.com:127",
            "0.0.0.0",
            "10.0.0.1",
            "[::1",
            "[::1]x",
            "::1",
            "127.0.0.1:80:80",
            "127.0.0.1@evil.com",
            "[::ffff:10.0.0.1]",
            "localhost:8o",
        ] {
            assert!(!is_loopback_authority(no), "{no}");
        }
    }

    #[test]
    fn keys_end_at_their_second_and_disabled_ones_at_once() {
        let key = |expires: Option<u64>, disabled| ClientKey {
            id: "ci".into(),
            secret: SecretRef::Env("KEY".into()),
            expires: expires.map(|at| Expiry { at, text: "2030-01-01".into() }),
            disabled,
            attributes: std::collections::BTreeMap::new(),
            allow_request_routing: None,
            allow_explain: None,
            admin: false,
        };
        assert_eq!(ended(&key(None, false), u64::MAX), None);
        assert_eq!(ended(&key(Some(100), false), 99), None);
        assert_eq!(ended(&key(Some(100), false), 100).as_deref(), Some("has expired (2030-01-01)"));
        assert_eq!(ended(&key(Some(100), true), 0).as_deref(), Some("is disabled"));
        let told = |key: &ClientKey| refuse_ended(key, 100).unwrap_err();
        assert_eq!(
            told(&key(Some(7), false)).message,
            "the client key `ci` has expired (2030-01-01); ask for a new one"
        );
        assert_eq!(told(&key(None, true)).message, "the client key `ci` is disabled");
        assert_eq!(told(&key(Some(7), true)).code.as_deref(), Some("disabled_api_key"));
    }

    #[test]
    fn origins_of_this_machine_are_allowed() {
        assert!(is_allowed_origin("http://localhost:3000", Some("127.0.0.1:4356")));
        assert!(is_allowed_origin("https://gw.example", Some("gw.example")));
        for no in ["null", "", "http://evil.com", "file://", "http://localhost.evil.com", "chrome-extension://x"] {
            assert!(!is_allowed_origin(no, Some("127.0.0.1:4356")), "{no}");
        }
    }
}
