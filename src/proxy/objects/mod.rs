//! Files and batches that a provider keeps. Requests about them pass as they come, in both directions and piece by piece: a
//! file of half a gigabyte takes no more memory here than a question.
//!
//! What a provider keeps belongs to its account. Where several client keys are in use, either only those may ask that the
//! file lists, and they share everything; or the gateway remembers which key made what ([`owned`]). Of a pool of keys the
//! first is used, because another may be another account's.

pub mod choose;
pub mod owned;
pub mod path;
mod references;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use self::choose::Place;
use self::owned::Owned;
use self::path::{Deed, Object};
use super::attempt::{collect, forwarded, is_json};
use super::failure::{Failure, StatusFailure};
use super::outgoing::head;
use super::respond::{self, Trail};
use super::{Gateway, ResponseBody, access, receive};
use crate::live::Live;
use crate::state::{Credential, uris};
use crate::table::SettingsIdx;
use crate::table::settings::Timeouts;
use crate::upstream::{self, Patient, Pieces, SendError};
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::{Operation, ProtocolId};

/// Asked for by Anthropic's clients: its files are behind a beta.
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// A request about what a provider keeps.
pub struct Asked<'r> {
    pub object: Object<'r>,
    pub headers: &'r HeaderMap,
    pub query: Option<&'r str>,
    /// Position of the client key.
    pub key: Option<usize>,
    pub body: Incoming,
}

/// Asks the provider, and relays what it says.
///
/// # Errors
/// A client key that may not, no provider or several, and one that cannot be reached or refuses its key.
pub async fn answer(
    gateway: &Gateway,
    live: &Arc<Live>,
    asked: Asked<'_>,
    trail: &mut Trail,
) -> Result<Response<ResponseBody>, Error> {
    if !live.table.keeps_files_for(asked.key) {
        return Err(not_shared());
    }
    let place = choose::provider(live, &asked.object, asked.headers)?;
    let name = &*place.provider.name;
    trail.target = Some(name.into());
    let owned = Owned::new(gateway, live, asked.key);
    owned.map_or(Ok(()), |owned| owned.may_ask(name, &asked.object))?;
    let timeouts = live.table.settings(SettingsIdx::BASE).map(|base| base.timeouts.clone()).unwrap_or_default();
    let deadline = Instant::now() + timeouts.total;
    let late = || Failure::Deadline(timeouts.total).into_error(name);
    let credential = match place.endpoint.auth.cloud().and(place.state.tokens.as_ref()) {
        Some(tokens) => Some(access::token(tokens, name, deadline, timeouts.total).await?),
        None => place.state.keys.first().cloned(),
    };
    let object = asked.object.clone();
    let head = head(&place, &asked, credential.as_deref())?;
    let sending = send(live, asked, owned, head, &timeouts, deadline);
    let sent = tokio::time::timeout_at(deadline, sending).await.map_err(|_| late())??;
    let response = sent.map_err(|error| Failure::from(error).into_error(name))?;
    let access = Access { place, credential, object, owned };
    let relaying = access.relay(response, &timeouts, deadline, trail);
    tokio::time::timeout_at(deadline, relaying).await.map_err(|_| late())?
}

fn not_shared() -> Error {
    let message = "files and batches belong to the provider's account, which the client keys of this gateway share; the \
                   holders of those that `files: { keys: [...] }` of the gateway's file lists may use them, and with \
                   `files: { per_key: true }` each key has its own";
    Error::new(ErrorKind::Permission, message).with_code("files_not_shared")
}

/// The request without its body.
fn head(place: &Place<'_>, asked: &Asked<'_>, credential: Option<&Credential>) -> Result<Request<()>, Error> {
    let Object { id, deed, kind, .. } = &asked.object;
    let tail = id.as_ref().map_or_else(String::new, |id| format!("/{}{}", uris::segment(id), deed.tail()));
    let uri = place.endpoint.outbound().and_then(|outbound| {
        let calls = place.at.uris.get(place.endpoint, outbound, *kind, "", false)?;
        uris::below(calls, &tail, asked.query)
    });
    let mut request = Request::new(());
    *request.uri_mut() = uri.ok_or_else(|| Error::invalid("this id cannot be part of an address").with_param("id"))?;
    *request.method_mut() = deed.method();
    let headers = request.headers_mut();
    *headers = head::ask((place.endpoint, place.at), credential, asked.headers);
    headers.extend(asked.headers.get(BETA).map(|beta| (BETA, beta.clone())));
    Ok(request)
}

/// Sends the request with what body it has. Documents are read first; everything else passes as it comes.
///
/// # Errors
/// A body that does not come, or that names files of another client key.
async fn send(
    live: &Live,
    asked: Asked<'_>,
    owned: Option<Owned<'_>>,
    head: Request<()>,
    timeouts: &Timeouts,
    deadline: Instant,
) -> Result<Result<Response<upstream::Body>, SendError>, Error> {
    let (mut parts, ()) = head.into_parts();
    let pools = &live.runtime.pools;
    let readable = |sent: Result<Response<upstream::Leased>, SendError>| sent.map(upstream::body::readable);
    if !asked.object.deed.sends() {
        let request = Request::from_parts(parts, Pieces::default());
        return Ok(readable(pools.send_bare(request, timeouts.connect).await));
    }
    // What names files of others must not pass unread, whatever it says that it is.
    let names_files = owned.filter(|_| asked.object.kind == Operation::Batches);
    if is_json(asked.headers) || names_files.is_some() {
        let body = receive::body(asked.headers, asked.body, live.table.limits.body).await?;
        owned.map_or(Ok(()), |owned| owned.may_say(&body))?;
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(readable(pools.send(Request::from_parts(parts, body.into()), timeouts.connect).await));
    }
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        let value = asked.headers.get(&name).cloned();
        parts.headers.extend(value.map(|value| (name, value)));
    }
    let body = Patient::new(asked.body, receive::IDLE, deadline);
    let late: Arc<AtomicBool> = body.lateness();
    let sent = pools.upload(Request::from_parts(parts, body), timeouts.connect).await;
    if sent.is_err() && late.load(Ordering::Relaxed) {
        return Err(receive::too_slow());
    }
    Ok(readable(sent))
}

/// A provider that has been asked, and what it was asked with.
struct Access<'l> {
    place: Place<'l>,
    credential: Option<Arc<Credential>>,
    /// What it was asked about.
    object: Object<'l>,
    owned: Option<Owned<'l>>,
}

impl Access<'_> {
    async fn relay(
        &self,
        response: Response<upstream::Body>,
        timeouts: &Timeouts,
        deadline: Instant,
        trail: &Trail,
    ) -> Result<Response<ResponseBody>, Error> {
        let failed = |failure: Failure| failure.into_error(&self.place.provider.name);
        let (head, body) = response.into_parts();
        let mut headers = forwarded(&head.headers);
        // What is not JSON, though it should be, is for the caller to see; unless others' things could be in it.
        let deed = self.object.deed;
        let bytes = matches!(deed, Deed::Content | Deed::Results) || (!is_json(&head.headers) && self.owned.is_none());
        if head.status.is_success() && bytes {
            for name in [CONTENT_DISPOSITION, CONTENT_LENGTH] {
                let value = head.headers.get(&name).cloned();
                headers.extend(value.map(|value| (name, value)));
            }
            let body = axum::body::Body::new(Patient::new(body, timeouts.idle, deadline));
            return Ok(respond::relayed(head.status, headers, ResponseBody::Side(body), trail));
        }
        let body = collect(body, timeouts.idle).await.map_err(failed)?;
        if head.status.is_success() {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            let body = match self.owned {
                Some(owned) => owned.answered(&self.place.provider.name, (deed, self.object.id.as_deref()), body)?,
                None => body,
            };
            return Ok(respond::relayed(head.status, headers, self.with_own_paths(body).into(), trail));
        }
        let text = self.scrubbed(&body);
        if matches!(head.status.as_u16(), 401 | 403) || head.status.is_redirection() {
            let status = head.status.as_u16();
            let decoded = self.place.endpoint.outbound().map(|outbound| outbound.decode_error(status, &text));
            let error = decoded.unwrap_or_else(|| Error::invalid("the provider refuses"));
            return Err(failed(Failure::Status(Box::new(StatusFailure { status, error, verbatim: None }))));
        }
        Ok(respond::verbatim(head.status.as_u16(), headers, text, None, trail))
    }

    /// Anthropic's batches say where their results are, by an address at Anthropic's, and its packages go there, with whatever
    /// key they have. A path alone leads them back here.
    fn with_own_paths(&self, body: Bytes) -> Bytes {
        let kind = self.object.kind;
        if kind != Operation::Batches || self.place.endpoint.protocol != ProtocolId::AnthropicMessages {
            return body;
        }
        let Some(path) = self.place.endpoint.outbound().and_then(|outbound| outbound.path(kind, "", false)) else {
            return body;
        };
        let (theirs, ours) = (format!("\"{}{path}/", self.place.endpoint.base_url), format!("\"{path}/"));
        let mut own = Vec::with_capacity(body.len());
        let mut rest = &*body;
        while let Some((before, after)) = memchr::memmem::find(rest, theirs.as_bytes())
            .and_then(|at| Some((rest.get(..at)?, rest.get(at + theirs.len()..)?)))
        {
            own.extend_from_slice(before);
            own.extend_from_slice(ours.as_bytes());
            rest = after;
        }
        own.extend_from_slice(rest);
        own.into()
    }

    /// An error's text without the provider's keys.
    fn scrubbed(&self, body: &Bytes) -> Bytes {
        let mut text = body.to_vec();
        self.place.state.keys.scrub(&mut text);
        self.credential.iter().for_each(|credential| credential.scrub(&mut text));
        text.into()
    }
}
