//! Small exchanges with token services: bounded in time and size, no redirects, no proxies, and no bodies in errors.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use super::Grant;
use crate::state::Credential;
use crate::upstream::{Pieces, Pools, SendError};

/// Most time for a connection to a token service; metadata services are on the same machine or do not exist.
pub const CONNECT: Duration = Duration::from_secs(2);
/// Most time for one exchange.
const EXCHANGE: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const LARGEST: usize = 256 << 10;

/// A client of token services.
#[derive(Clone)]
pub(super) struct Web {
    pools: Pools,
}

/// An answer, read to its end.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Reply {
    /// The body as JSON; `Null` where it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }
}

impl Web {
    pub(super) fn new(pools: Pools) -> Web {
        Web { pools }
    }

    /// Sends a request and reads the answer, whatever its status.
    ///
    /// # Errors
    /// No answer, in words that name the host and nothing else.
    pub(super) async fn send(&self, request: Request<Pieces>) -> Result<Reply, String> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let exchange = async {
            let answer = self.pools.send_repeatable(request, CONNECT).await.map_err(|error| match error {
                SendError::Connect(cause) => format!("no connection to `{host}` ({cause})"),
                SendError::ConnectTimeout(_) => format!("no connection to `{host}` within {} s", CONNECT.as_secs()),
                SendError::Stale(cause) | SendError::Broken(cause) => {
                    format!("`{host}` broke the connection ({cause})")
                }
            })?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LARGEST).collect().await;
            let body = body.map_err(|_| format!("the answer of `{host}` broke off or is too large"))?.to_bytes();
            Ok(Reply { status: head.status, body })
        };
        tokio::time::timeout(EXCHANGE, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer from `{host}` within {} s", EXCHANGE.as_secs())))
    }

    /// `GET` with headers.
    ///
    /// # Errors
    /// As [`Web::send`]; an address that is none.
    pub(super) async fn get(&self, url: &str, headers: &[(&'static str, &str)]) -> Result<Reply, String> {
        self.send(request(Method::GET, url, headers, Bytes::new())?).await
    }

    /// `POST` of a form.
    ///
    /// # Errors
    /// As [`Web::get`].
    pub(super) async fn post_form(&self, url: &str, form: &[(&str, &str)]) -> Result<Reply, String> {
        self.send(form_request(url, form)?).await
    }
}

/// A `POST` of a form, not sent yet.
pub(super) fn form_request(url: &str, form: &[(&str, &str)]) -> Result<Request<Pieces>, String> {
    let body = form.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    let body = body.collect::<Vec<String>>().join("&");
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
    request(Method::POST, url, &headers, body.into())
}

/// A request to a token service.
pub(super) fn request(
    method: Method,
    url: &str,
    headers: &[(&'static str, &str)],
    body: Bytes,
) -> Result<Request<Pieces>, String> {
    let uri: Uri = url.parse().map_err(|_| format!("`{}` is not a URL", without_query(url)))?;
    if uri.scheme().is_none() || uri.authority().is_none() {
        return Err(format!("`{}` is not a URL", without_query(url)));
    }
    let mut request = Request::new(if body.is_empty() { Pieces::default() } else { Pieces::from(body) });
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    for (name, value) in headers {
        let value =
            HeaderValue::from_str(value).map_err(|_| format!("the value of `{name}` cannot travel in a header"))?;
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    Ok(request)
}

/// Every byte that a form does not carry as it is, escaped.
pub(super) fn escaped(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, FORM).to_string()
}

/// What may be shown of a URL.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// What a service says of an error, cut to one short line.
pub(super) fn short(text: &str) -> String {
    const LONGEST: usize = 200;
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

/// An address that secrets may be sent to: `https`, or on this machine.
///
/// # Errors
/// Any other.
pub(super) fn secure(url: &str) -> Result<String, String> {
    let uri: Uri = url.parse().map_err(|_| format!("`{}` is not a URL", without_query(url)))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(url.to_owned()),
        Some("http") if loopback => Ok(url.to_owned()),
        _ => Err(format!("`{}` must be an `https` address", without_query(url))),
    }
}

/// The access token of an OAuth answer (RFC 6749, section 5), or what the service says against it.
///
/// # Errors
/// No token.
pub(super) fn granted(reply: &Reply) -> Result<Grant, String> {
    let answer = reply.json();
    let token = answer.get("access_token").and_then(Value::as_str).filter(|_| reply.status.is_success());
    let Some(token) = token else {
        // Of a refusal the error's name and description are shown; of anything else, which may be any text, nothing.
        let said = |name: &str| answer.get(name).and_then(Value::as_str).map(short).unwrap_or_default();
        return Err(format!("{} {} {}", reply.status, said("error"), said("error_description")).trim_end().to_owned());
    };
    let credential = Credential::text(token).ok_or("the token cannot travel in a header")?;
    Ok(Grant { credential, lifetime: lifetime(&answer) })
}

/// `expires_in`, in seconds, or `expires_on`, a point in Unix time; both as numbers or, at Azure, as texts.
fn lifetime(answer: &Value) -> Option<Duration> {
    let number = |name: &str| {
        let value = answer.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let until = |end: u64| {
        let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(end))?;
        end.duration_since(SystemTime::now()).ok()
    };
    number("expires_in").map(Duration::from_secs).or_else(|| number("expires_on").and_then(until))
}
