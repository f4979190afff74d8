//! A request that is not sent, the state of the world in which it is decided, and both as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::add_header;
use crate::table::health::COOLING;
use crate::table::{Health, HealthView, RoutingTable};

/// A request as a caller would send it, and the state of the world in which it is decided.
pub struct Pretended {
    /// Path and query; a scheme and a host do not matter.
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub given: Given,
}

/// What does not stand in the request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Given {
    /// The id of the client key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The user, whatever the request says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The size of the input in tokens, whatever the request's own would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Targets (`provider/model`) and providers that are down.
    pub down: Vec<String>,
    /// Targets and providers that are passed over, unless nothing else is left.
    pub cooling: Vec<String>,
    /// How long their answers take, in milliseconds.
    pub latency_ms: BTreeMap<String, u64>,
    /// Requests that are on their way there.
    pub in_flight: BTreeMap<String, u64>,
    /// How often every `round_robin` has chosen before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<u64>,
    /// The random draw of splits, 0 to 1.
    pub draw: f64,
}

/// The body of `POST /admin/explain`. What is given stands beside it, so unknown members are looked for by [`KNOWN`].
#[derive(Serialize, Deserialize)]
struct Question {
    body: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(flatten)]
    given: Given,
}

/// Members of a [`Question`].
const KNOWN: [&str; 12] = [
    "body",
    "path",
    "headers",
    "key",
    "user",
    "input_tokens",
    "down",
    "cooling",
    "latency_ms",
    "in_flight",
    "turn",
    "draw",
];

impl Pretended {
    /// Reads `{ "path": "/v1/chat/completions", "headers": {...}, "body": {...}, "key": "ci", "user": "u1", "input_tokens":
    /// 1200, "down": ["openai/gpt-5"], "cooling": ["groq"], "latency_ms": { "openai": 800 }, "in_flight": { "openai": 3 },
    /// "turn": 2, "draw": 0.5 }`; only `body`, the JSON that a caller would send, is needed.
    ///
    /// # Errors
    /// What is missing or wrong, for the caller.
    pub fn from_json(value: Value) -> Result<Pretended, String> {
        let stranger =
            value.as_object().and_then(|members| members.keys().find(|name| !KNOWN.contains(&name.as_str())));
        if let Some(stranger) = stranger {
            return Err(format!("unknown field `{stranger}`, expected one of `{}`", KNOWN.join("`, `")));
        }
        let asked: Question = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let path = asked.path.as_deref().unwrap_or("/v1/chat/completions");
        let uri = path.parse().map_err(|error| format!("`path` is not a path: {error}"))?;
        let mut headers = HeaderMap::new();
        for (name, text) in &asked.headers {
            add_header(&mut headers, name, text)?;
        }
        Ok(Pretended { uri, headers, body: asked.body.to_string().into_bytes(), given: asked.given })
    }

    /// The same as [`Pretended::from_json`] reads, for another gateway.
    ///
    /// # Errors
    /// What cannot be said in JSON.
    pub fn to_json(&self) -> Result<Value, String> {
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| match value.to_str() {
            Ok(value) => Ok((name.to_string(), value.to_owned())),
            Err(_) => Err(format!("the value of `{name}` is no text")),
        };
        let question = Question {
            body: serde_json::from_slice(&self.body).map_err(|error| format!("the body is not JSON: {error}"))?,
            path: self.uri.path_and_query().map(ToString::to_string),
            headers: self.headers.iter().map(text).collect::<Result<_, _>>()?,
            given: self.given.clone(),
        };
        serde_json::to_value(question).map_err(|error| error.to_string())
    }
}

impl Given {
    /// The health that was `measured`, and what is given otherwise.
    ///
    /// # Errors
    /// Something is said of what the table does not have.
    pub(super) fn health<'t>(
        &self,
        table: &'t RoutingTable,
        measured: &'t dyn HealthView,
    ) -> Result<Health<'t>, String> {
        let mut health = Health::over(table, measured);
        for name in &self.cooling {
            health.cooling(name, COOLING).ok_or_else(|| unknown(name, &health))?;
        }
        for name in &self.down {
            health.down(name).ok_or_else(|| unknown(name, &health))?;
        }
        for (name, latency) in &self.latency_ms {
            health.latency(name, Duration::from_millis(*latency)).ok_or_else(|| unknown(name, &health))?;
        }
        for (name, count) in &self.in_flight {
            health.in_flight(name, *count).ok_or_else(|| unknown(name, &health))?;
        }
        if let Some(turn) = self.turn {
            health.turns(turn);
        }
        Ok(health)
    }
}

fn unknown(name: &str, health: &Health<'_>) -> String {
    match health.nearest(name) {
        Some(nearest) => format!("there is no target or provider `{name}`; did you mean `{nearest}`?"),
        None => format!("there is no target or provider `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_reads_as_it_was_written() {
        let asked = json!({
            "body": { "model": "m" }, "path": "/v1/messages?beta=true", "headers": { "x-team": "lab" }, "user": "u",
            "down": ["a"], "cooling": ["b/c"], "latency_ms": { "d": 8 }, "in_flight": { "d": 2 }, "turn": 3, "draw": 0.5,
        });
        let pretended = Pretended::from_json(asked.clone()).unwrap();
        assert_eq!(pretended.given.latency_ms["d"], 8);
        assert_eq!(pretended.to_json().unwrap(), asked);
    }

    #[test]
    fn every_member_is_known_and_no_other() {
        let given = Given {
            key: Some("k".into()),
            user: Some("u".into()),
            input_tokens: Some(1),
            turn: Some(1),
            ..Given::default()
        };
        let question = Question { body: json!({}), path: Some("/".into()), headers: BTreeMap::new(), given };
        let written = serde_json::to_value(question).unwrap();
        let mut names: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = KNOWN.to_vec();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
        let error = Pretended::from_json(json!({ "body": {}, "dwon": [] })).err().unwrap();
        assert!(error.starts_with("unknown field `dwon`"), "{error}");
    }
}
