//! Decides about a request that is not sent, on the same way as one that is: path, envelope, facts, decision.

mod given;
mod header;

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::facts::{Assumed, RequestFacts};
use super::ingress::{self, Call, Ingress};
use super::outgoing::proofs::Proofs;
use super::outgoing::{self, Incoming, Toward};
use super::respond;
use crate::live::candidate::{self, Evaluation};
use crate::live::files::Snapshot;
use crate::table::explain::{Explanation, explain};
use crate::table::wishes::Asked;
use crate::table::{Attempt, Draw, HealthView, Lane, Outcome, RoutingTable};
use crate::wire::loss::Losses;

pub use given::{Given, Pretended};
pub(super) use header::{NAME as HEADER, told};

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

/// Decides, by the health that was `measured` and what is given otherwise, and shows the explanation to `show`.
///
/// # Errors
/// Why it is no request that could be decided about.
pub fn request<'t, T>(
    table: &'t RoutingTable,
    pretended: &'t Pretended,
    measured: &'t dyn HealthView,
    show: impl FnOnce(&Explanation<'_>) -> T,
) -> Result<T, String> {
    let Ingress::Call(call) = ingress::read(&Method::POST, &pretended.uri, &pretended.headers) else {
        return Err(format!("`{}` is not the path of a model call", pretended.uri.path()));
    };
    let unspoken = "this version does not speak this protocol";
    let codec = call.protocol.codec().ok_or(unspoken)?;
    let inbound = respond::dialect(call.protocol).ok_or(unspoken)?;
    let head = call.head();
    let given = &pretended.given;
    if !(0.0..=1.0).contains(&given.draw) {
        return Err(format!("the draw is a number from 0 to 1, not {}", given.draw));
    }
    let health = given.health(table, measured)?;
    let key = match &given.key {
        None => None,
        Some(id) => {
            let known = table.keys.iter().find(|key| *key.id == **id);
            Some(known.ok_or_else(|| format!("there is no client key `{id}`"))?)
        }
    };
    let whole = Bytes::copy_from_slice(&pretended.body);
    let stripped;
    let envelope = inbound.peek(&head, &whole).map_err(|error| error.message)?;
    let may_choose = table.allows_request_routing(key);
    let asked = Asked::read(may_choose, call.operation, |name| envelope.members.get(name));
    stripped = asked.strip(&whole, &envelope);
    let (body, envelope) = match &stripped {
        Some(stripped) => (stripped, inbound.peek(&head, stripped).map_err(|error| error.message)?),
        None => (&whole, envelope),
    };
    let facts = RequestFacts {
        protocol: call.protocol,
        head,
        inbound,
        headers: &pretended.headers,
        body,
        envelope: &envelope,
        key,
        request_id: "",
        request: OnceLock::new(),
        assumed: Assumed { user: given.user.as_deref(), input_tokens: given.input_tokens, ..Assumed::default() },
        utc_offset: table.utc_offset,
        clock: super::now,
    };
    let renamed = asked.renamed(&facts);
    let mut explanation = explain(table, &facts, (&asked, &renamed), &health, Draw(given.draw));
    let incoming = Incoming {
        surface: None,
        call: &call,
        head,
        codec,
        inbound,
        headers: &pretended.headers,
        query: pretended.uri.query(),
        owner: None,
        body,
        envelope: &envelope,
        session: None,
        decoded: OnceLock::new(),
        checker: OnceLock::new(),
    };
    if let Outcome::Attempts { attempts, .. } = &explanation.decision.outcome {
        for (explained, attempt) in explanation.attempts.iter_mut().zip(attempts) {
            explained.losses = losses(&incoming, attempt);
        }
    }
    Ok(show(&explanation))
}

/// The front end that `check`, `start` and every reload use: tests of the file see what the request path would lose.
pub fn front_end(inputs: &candidate::Inputs, snapshot: &Snapshot) -> Evaluation {
    candidate::front_end_with(inputs, snapshot, Some(carry))
}

/// What a target would not get of a recorded request as it was.
pub fn carry(facts: &RequestFacts<'_, '_>, attempt: &Attempt<'_>) -> Option<Result<Losses, String>> {
    let head = facts.head;
    let call = Call {
        protocol: facts.protocol,
        operation: head.operation,
        path_model: head.path_model.map(Cow::Borrowed),
        path_stream: head.path_stream,
        alt_sse: head.alt_sse,
    };
    let body = Bytes::copy_from_slice(facts.body);
    let incoming = Incoming {
        surface: None,
        call: &call,
        head,
        codec: facts.protocol.codec()?,
        inbound: facts.inbound,
        headers: facts.headers,
        query: None,
        owner: None,
        body: &body,
        envelope: facts.envelope,
        session: None,
        decoded: OnceLock::new(),
        checker: OnceLock::new(),
    };
    losses(&incoming, attempt)
}

/// What the target would not get as it was, `None` where it gets nothing whatever the request.
fn losses(incoming: &Incoming<'_, '_>, attempt: &Attempt<'_>) -> Option<Result<Losses, String>> {
    let at = match attempt.lane(incoming.call.protocol, incoming.call.operation) {
        Lane::Passthrough { endpoint } | Lane::Translate { endpoint } => usize::from(*endpoint),
        Lane::Refused(_) => return None,
    };
    let endpoint = attempt.provider.endpoints.get(at)?;
    let outbound = endpoint.outbound()?;
    let quirks = endpoint.quirks_of(attempt.model);
    let toward = Toward { endpoint, outbound, quirks: &quirks, proofs: Proofs::Fitting, correction: None };
    let prepared = outgoing::body(incoming, attempt, &toward);
    Some(prepared.map(|prepared| prepared.losses).map_err(|error| error.message))
}
