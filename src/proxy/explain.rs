//! Decides about a request that is not sent, on the same way as one that is: path, envelope, facts, decision.

use std::sync::OnceLock;

use http::{HeaderMap, Method, Uri};
use serde_json::Value;

use super::facts::RequestFacts;
use super::ingress::{self, Ingress};
use super::respond;
use crate::table::explain::{Explanation, explain};
use crate::table::select::AllUp;
use crate::table::{Draw, RoutingTable};

/// A request as a caller would send it.
pub struct Pretended {
    /// Path and query; a scheme and a host do not matter.
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The id of the client key.
    pub key: Option<String>,
    /// The random draw of splits, 0 to 1.
    pub draw: f64,
}

impl Pretended {
    /// Reads `{ "path": "/v1/chat/completions", "headers": {...}, "body": {...}, "key": "ci", "draw": 0.5 }`; only `body` is
    /// needed.
    ///
    /// # Errors
    /// What is missing or wrong, for the caller.
    pub fn from_json(value: &Value) -> Result<Pretended, String> {
        let path = value.get("path").and_then(Value::as_str).unwrap_or("/v1/chat/completions");
        let uri = path.parse().map_err(|error| format!("`path` is not a path: {error}"))?;
        let mut headers = HeaderMap::new();
        for (name, text) in value.get("headers").and_then(Value::as_object).into_iter().flatten() {
            add_header(&mut headers, name, text.as_str().unwrap_or_default())?;
        }
        let body = value.get("body").ok_or("`body` is missing: the JSON that a caller would send")?;
        let key = value.get("key").and_then(Value::as_str).map(str::to_owned);
        let draw = value.get("draw").and_then(Value::as_f64).unwrap_or_default();
        Ok(Pretended { uri, headers, body: body.to_string().into_bytes(), key, draw })
    }
}

/// Adds one header of a pretended request.
///
/// # Errors
/// The name or the value cannot be one.
pub fn add_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let header: http::HeaderName = name.parse().map_err(|_| format!("`{name}` is not the name of a header"))?;
    let value = value.parse().map_err(|_| format!("the value of `{name}` cannot be one"))?;
    headers.append(header, value);
    Ok(())
}

/// Decides, and shows the explanation to `show`.
///
/// # Errors
/// Why it is no request that could be decided about.
pub fn request<T>(
    table: &RoutingTable,
    pretended: &Pretended,
    show: impl FnOnce(&Explanation<'_>) -> T,
) -> Result<T, String> {
    let Ingress::Call(call) = ingress::read(&Method::POST, &pretended.uri, &pretended.headers) else {
        return Err(format!("`{}` is not the path of a model call", pretended.uri.path()));
    };
    let inbound = respond::dialect(call.protocol).ok_or("this version does not speak this protocol")?;
    let head = call.head();
    let envelope = inbound.peek(&head, &pretended.body).map_err(|error| error.message)?;
    let key = match &pretended.key {
        None => None,
        Some(id) => {
            let known = table.keys.iter().find(|key| *key.id == **id);
            Some(known.ok_or_else(|| format!("there is no client key `{id}`"))?)
        }
    };
    let facts = RequestFacts {
        protocol: call.protocol,
        head,
        inbound,
        headers: &pretended.headers,
        body: &pretended.body,
        envelope: &envelope,
        key,
        request_id: "",
        request: OnceLock::new(),
    };
    Ok(show(&explain(table, &facts, &AllUp, Draw(pretended.draw))))
}
