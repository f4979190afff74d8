//! The upstream's request. Every try makes it anew from the caller's document, which nothing changes: what was done for
//! one target cannot leak to the next.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use smallvec::SmallVec;

use super::ingress::Call;
use crate::provider::{AuthScheme, Endpoint, catalogue};
use crate::state::{Credential, EndpointState};
use crate::table::settings::{BodyEdits, Settings};
use crate::table::{Attempt, Lane};
use crate::upstream::Pieces;
use crate::wire::envelope::{Edit, Envelope};
use crate::wire::ir::{self, Error, ErrorKind};
use crate::wire::json::{self, Object};
use crate::wire::loss::Losses;
use crate::wire::quirk::Quirks;
use crate::wire::{Destination, Head, Inbound, Operation, Outbound, Protocol, ProtocolId, pointer};

/// The caller's request, as every try derives its own from it.
pub struct Incoming<'r, 'b> {
    pub call: &'r Call<'r>,
    pub head: Head<'r>,
    pub codec: &'static dyn Protocol,
    pub inbound: &'static dyn Inbound,
    pub headers: &'r HeaderMap,
    pub query: Option<&'r str>,
    pub body: &'r Bytes,
    pub envelope: &'r Envelope<'b>,
    /// The document in the hub, read by the first try that needs it unedited.
    pub decoded: OnceLock<ir::Request>,
}

/// A body for an upstream.
pub struct Prepared {
    pub body: Pieces,
    pub losses: Losses,
    /// What the caller asked for, in the hub, where the answer needs translation.
    pub translation: Translation,
}

/// How the answer comes back.
pub enum Translation {
    None,
    Generate(Box<ir::Request>),
    Embed(Box<ir::EmbedRequest>),
    CountTokens,
}

/// Makes the body for one try.
///
/// # Errors
/// What the target cannot carry, in words for the caller.
pub fn body(
    incoming: &Incoming<'_, '_>,
    attempt: &Attempt<'_>,
    endpoint: &Endpoint,
    outbound: &dyn Outbound,
) -> Result<Prepared, Error> {
    let edited = preset_document(incoming, attempt.settings, &endpoint.quirks)?;
    let passthrough =
        matches!(attempt.target.lane(incoming.call.protocol, incoming.call.operation), Lane::Passthrough { .. });
    let mut prepared = if passthrough && !incoming.inbound.is_relayable(incoming.envelope) {
        // Only the request needs another form; the answer is the caller's own protocol and passes as it comes.
        Prepared {
            translation: Translation::None,
            ..translated(incoming, edited.as_ref(), attempt, endpoint, outbound)?
        }
    } else if passthrough && can_relay(incoming) {
        let body = relayed(incoming, edited.as_ref(), attempt, outbound)?;
        Prepared {
            body: if is_google_embedding(incoming) {
                name_in_batch(&body, attempt.model)?
            } else if is_wrapped_count(incoming) {
                name_in_count(&body, attempt.model)?
            } else {
                body
            },
            losses: Losses::default(),
            translation: Translation::None,
        }
    } else {
        translated(incoming, edited.as_ref(), attempt, endpoint, outbound)?
    };
    if !attempt.settings.body.set.is_empty() || !attempt.settings.body.remove.is_empty() {
        prepared.body = edit_body(&prepared.body, &attempt.settings.body)?;
    }
    Ok(prepared)
}

/// A Gemini caller without `alt=sse` wants an array, which no upstream is asked for; and upstreams are asked for batches of
/// embeddings only, so a single one goes through the hub.
fn can_relay(incoming: &Incoming<'_, '_>) -> bool {
    let array = incoming.envelope.stream && incoming.inbound.stream_content_type(&incoming.head) != "text/event-stream";
    let single = is_google_embedding(incoming) && incoming.envelope.members.get("requests").is_none();
    !array && !single
}

fn is_google_embedding(incoming: &Incoming<'_, '_>) -> bool {
    incoming.call.operation == Operation::Embed && incoming.call.protocol == ProtocolId::Gemini
}

/// Each request of Google's batch names its model, which must be that of the path.
fn name_in_batch(body: &Pieces, model: &str) -> Result<Pieces, Error> {
    let text = String::from_utf8_lossy(&body.join()).into_owned();
    let wrong = |error: pointer::PointerError| Error::invalid(error.to_string()).with_param("requests");
    let requests = Object::parse(&text)?.array("requests")?.unwrap_or_default();
    let name = google_name(model);
    let renamed =
        requests.iter().map(|request| pointer::set(request.get(), &[Cow::Borrowed("model")], &name).map_err(wrong));
    let renamed: Vec<String> = renamed.collect::<Result<_, Error>>()?;
    let batch = format!("[{}]", renamed.join(","));
    Ok(pointer::set(&text, &[Cow::Borrowed("requests")], &batch).map_err(wrong)?.into_bytes().into())
}

/// The member of Google's `countTokens` that holds a whole request, which names its model once more.
const COUNTED: &str = "generateContentRequest";

fn is_wrapped_count(incoming: &Incoming<'_, '_>) -> bool {
    incoming.call.protocol == ProtocolId::Gemini
        && incoming.call.operation == Operation::CountTokens
        && incoming.envelope.members.get(COUNTED).is_some()
}

/// The model that is named there must be that of the path.
fn name_in_count(body: &Pieces, model: &str) -> Result<Pieces, Error> {
    let text = String::from_utf8_lossy(&body.join()).into_owned();
    let wrong = |error: pointer::PointerError| Error::invalid(error.to_string()).with_param(COUNTED);
    let place = format!("/{COUNTED}/model");
    let steps = pointer::steps(&place).map_err(wrong)?;
    Ok(pointer::set(&text, &steps, &google_name(model)).map_err(wrong)?.into_bytes().into())
}

/// `"models/..."`, as Google's bodies name a model.
fn google_name(model: &str) -> String {
    let mut name = Vec::new();
    json::write(&format!("models/{}", model.strip_prefix("models/").unwrap_or(model)), &mut name);
    String::from_utf8_lossy(&name).into_owned()
}

/// The caller's document with the preset's parameters in it, as if the caller had written them; `None` where the preset
/// adds nothing.
fn preset_document(incoming: &Incoming<'_, '_>, settings: &Settings, quirks: &Quirks) -> Result<Option<Bytes>, Error> {
    if settings.params.is_empty() && settings.overrides.is_empty() && settings.system.is_none() {
        return Ok(None);
    }
    let mut edits: Vec<(String, String)> = Vec::new();
    let current = |edits: &[(String, String)], member: &str| -> Option<String> {
        let edited = edits.iter().rev().find(|(key, _)| key == member).map(|(_, value)| value.clone());
        edited.or_else(|| incoming.envelope.members.get(member).map(str::to_owned))
    };
    let defaults = settings.params.iter().map(|(name, value)| (name, value, false));
    let overrides = settings.overrides.iter().map(|(name, value)| (name, value, true));
    for (name, value, force) in defaults.chain(overrides) {
        let own = [format!("/{name}")];
        let known = incoming.inbound.parameter(name, quirks);
        let places: SmallVec<[&str; 2]> =
            if known.is_empty() { own.iter().map(String::as_str).collect() } else { known.iter().copied().collect() };
        let mut steps = Vec::new();
        for place in places {
            steps.push(pointer::steps(place).map_err(|error| Error::invalid(error.to_string()))?);
        }
        let given = steps.iter().find(|steps| {
            let Some((member, rest)) = steps.split_first() else { return false };
            current(&edits, member).is_some_and(|text| rest.is_empty() || pointer::get(&text, rest).is_some())
        });
        if given.is_some() && !force {
            continue;
        }
        let Some((member, rest)) = given.or(steps.first()).and_then(|steps| steps.split_first()) else { continue };
        let inner = current(&edits, member).unwrap_or_else(|| "{}".to_owned());
        let value = if rest.is_empty() {
            value.to_string()
        } else {
            pointer::set(&inner, rest, value)
                .map_err(|error| Error::invalid(error.to_string()).with_param(name.to_string()))?
        };
        edits.push((member.to_string(), value));
    }
    let mut edits: Vec<Edit<'_>> = edits.iter().map(|(key, value)| Edit::Set(key, value.as_bytes().into())).collect();
    if let Some(system) = &settings.system {
        edits.extend(incoming.inbound.prepend_system(incoming.envelope, system));
    }
    let pieces = incoming.envelope.splice(incoming.body, &edits);
    Ok(Some(Pieces::new(pieces).join()))
}

fn relayed(
    incoming: &Incoming<'_, '_>,
    edited: Option<&Bytes>,
    attempt: &Attempt<'_>,
    outbound: &dyn Outbound,
) -> Result<Pieces, Error> {
    if *incoming.envelope.model == *attempt.model {
        return Ok(edited.unwrap_or(incoming.body).clone().into());
    }
    match edited {
        None => Ok(renamed(incoming.envelope, incoming.body, attempt.model, outbound)),
        Some(edited) => {
            let envelope = incoming.inbound.peek(&incoming.head, edited)?;
            Ok(renamed(&envelope, edited, attempt.model, outbound))
        }
    }
}

/// The body with the upstream's name of the model. Where the path has that name, a member of the body would contradict it.
fn renamed(envelope: &Envelope<'_>, body: &Bytes, model: &str, outbound: &dyn Outbound) -> Pieces {
    let mut name = Vec::new();
    json::write(model, &mut name);
    let edit = match outbound.model_member() {
        Some(member) => Edit::Set(member, name.into()),
        None => Edit::Remove("model"),
    };
    Pieces::new(envelope.splice(body, &[edit]))
}

fn translated(
    incoming: &Incoming<'_, '_>,
    edited: Option<&Bytes>,
    attempt: &Attempt<'_>,
    endpoint: &Endpoint,
    outbound: &dyn Outbound,
) -> Result<Prepared, Error> {
    let known = attempt.provider.catalogue.as_deref().and_then(|provider| catalogue::find(provider, attempt.model));
    let destination = Destination {
        model: attempt.model,
        quirks: &endpoint.quirks,
        max_output_tokens: known.and_then(|model| model.max_output_tokens).map(u64::from),
    };
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    let document = edited.unwrap_or(incoming.body);
    let translation = match incoming.call.operation {
        Operation::Embed => {
            let (from, to) =
                (incoming.codec.embeddings(), endpoint.protocol.codec().and_then(|codec| codec.embeddings()));
            let (Some(from), Some(to)) = (from, to) else { return Err(no_operation(endpoint, "embeddings")) };
            let request = from.decode_request(&incoming.head, document)?;
            to.encode_request(&request, &destination, &mut out, &mut losses)?;
            Translation::Embed(Box::new(request))
        }
        Operation::CountTokens => {
            let request = incoming.inbound.decode_request(&incoming.head, document)?;
            outbound.encode_count_tokens(&request, &destination, &mut out, &mut losses)?;
            Translation::CountTokens
        }
        Operation::Generate => {
            let request = match edited {
                Some(edited) => incoming.inbound.decode_request(&incoming.head, edited)?,
                None => decoded(incoming)?.clone(),
            };
            outbound.encode_request(&request, &destination, &mut out, &mut losses)?;
            Translation::Generate(Box::new(request))
        }
    };
    Ok(Prepared { body: out.into(), losses, translation })
}

/// The caller's document in the hub.
///
/// # Errors
/// A document that is not of its protocol.
pub fn decoded<'i>(incoming: &'i Incoming<'_, '_>) -> Result<&'i ir::Request, Error> {
    if let Some(request) = incoming.decoded.get() {
        return Ok(request);
    }
    let request = incoming.inbound.decode_request(&incoming.head, incoming.body)?;
    Ok(incoming.decoded.get_or_init(|| request))
}

fn no_operation(endpoint: &Endpoint, what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidRequest,
        format!("{} has no {what} that this gateway can translate", endpoint.protocol),
    )
}

/// The file's own edits of the upstream's body, last of all.
fn edit_body(body: &Pieces, edits: &BodyEdits) -> Result<Pieces, Error> {
    let wrong = |error: pointer::PointerError| {
        Error::new(ErrorKind::Internal, format!("an edit of `body:` does not fit this request: {error}"))
    };
    let mut text = String::from_utf8_lossy(&body.join()).into_owned();
    Object::parse(&text)?;
    for (place, value) in &edits.set {
        text = pointer::set(&text, &pointer::steps(place).map_err(wrong)?, value).map_err(wrong)?;
    }
    for place in &edits.remove {
        text = pointer::remove(&text, &pointer::steps(place).map_err(wrong)?).map_err(wrong)?;
    }
    Ok(text.into_bytes().into())
}

/// Headers of the caller that reach an upstream of the caller's own protocol. Everything else stays here.
const FORWARDED: [&str; 5] =
    ["anthropic-beta", "anthropic-version", "idempotency-key", "openai-beta", "x-client-request-id"];

/// The request of one try.
pub fn request(
    incoming: &Incoming<'_, '_>,
    attempt: &Attempt<'_>,
    endpoint: (&Endpoint, &EndpointState),
    credential: Option<&Credential>,
    uri: Uri,
    prepared: &Prepared,
) -> Request<Pieces> {
    let (endpoint, state) = endpoint;
    let relayed = matches!(prepared.translation, Translation::None);
    let mut request = Request::new(prepared.body.clone());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = if relayed { with_query(uri, incoming.query) } else { uri };
    let headers = request.headers_mut();
    headers.reserve(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("routeplane/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in &state.headers {
        headers.insert(name.clone(), value.clone());
    }
    if relayed {
        for name in FORWARDED {
            if let Some(value) = incoming.headers.get(name) {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
        }
    }
    match (&endpoint.auth, credential) {
        (AuthScheme::Bearer, Some(key)) => {
            headers.insert(AUTHORIZATION, key.bearer());
        }
        (AuthScheme::Header(name), Some(key)) => {
            headers.insert(name.clone(), key.bare());
        }
        (AuthScheme::Bearer | AuthScheme::Header(_), None) | (AuthScheme::None | AuthScheme::Unsupported(_), _) => {}
    }
    for (name, value) in &attempt.settings.headers.set {
        headers.insert(name.clone(), value.clone());
    }
    for name in &attempt.settings.headers.remove {
        headers.remove(name);
    }
    request
}

/// `?beta=true` of the Anthropic SDKs is part of what the caller asks for; nothing else of its query is.
fn with_query(uri: Uri, query: Option<&str>) -> Uri {
    let Some(query) = query else { return uri };
    let beta = query.split('&').any(|pair| pair == "beta=true") && uri.query().is_none();
    if !beta {
        return uri;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{}?beta=true", uri.path()).parse().ok();
    Uri::from_parts(parts).unwrap_or(uri)
}
