//! The head of the upstream's request: address, headers, key.

use std::time::SystemTime;

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use super::{Incoming, Prepared, betas};
use crate::provider::{AuthScheme, Endpoint};
use crate::state::tokens::aws;
use crate::state::{Credential, EndpointState};
use crate::table::Attempt;
use crate::upstream::Pieces;
use crate::wire::hosting::Hosting;
use crate::wire::ir::Error;
use crate::wire::multipart;

/// Headers of the caller that reach an upstream of the caller's own protocol. Everything else stays here.
static FORWARDED: [HeaderName; 4] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("x-client-request-id"),
];

/// Whose quota a request of a person's login at Google uses.
const QUOTA_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

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
    // A document that went through the hub and out again in its own protocol is still the caller's.
    let relayed = endpoint.protocol == incoming.call.protocol;
    let mut request = Request::new(prepared.body.clone());
    *request.method_mut() = Method::POST;
    let own = endpoint.hosting == Hosting::Own;
    *request.uri_mut() = if relayed && own { with_query(uri, incoming.query) } else { uri };
    let headers = request.headers_mut();
    headers.reserve(8);
    headers.insert(CONTENT_TYPE, content_type(incoming));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("routeplane/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in &state.headers {
        headers.insert(name.clone(), value.clone());
    }
    if relayed {
        for name in FORWARDED.iter().filter(|_| own) {
            if let Some(value) = incoming.headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
        if endpoint.outbound().is_some_and(|outbound| outbound.betas_member().is_none()) {
            headers.extend(betas::header(incoming, endpoint).map(|value| (betas::HEADER.clone(), value)));
        }
    }
    authorize(&endpoint.auth, credential, headers);
    for (name, value) in &attempt.settings.headers.set {
        headers.insert(name.clone(), value.clone());
    }
    for name in &attempt.settings.headers.remove {
        headers.remove(name);
    }
    if let Some(inference) = incoming.surface {
        inference.edit_headers(headers, attempt);
    }
    request
}

/// The headers of a request that asks a provider about an answer that it keeps.
pub fn ask(endpoint: (&Endpoint, &EndpointState), credential: Option<&Credential>, caller: &HeaderMap) -> HeaderMap {
    let (endpoint, state) = endpoint;
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("routeplane/", env!("CARGO_PKG_VERSION"))));
    headers.extend(state.headers.iter().cloned());
    for (name, value) in FORWARDED.iter().filter_map(|name| Some((name, caller.get(name)?))) {
        headers.insert(name, value.clone());
    }
    authorize(&endpoint.auth, credential, &mut headers);
    headers
}

/// Adds the key or token.
fn authorize(auth: &AuthScheme, credential: Option<&Credential>, headers: &mut HeaderMap) {
    match (auth, credential) {
        (AuthScheme::Bearer | AuthScheme::GoogleOauth | AuthScheme::AzureEntra, Some(key)) => {
            headers.extend(key.bearer().map(|value| (AUTHORIZATION, value)));
            headers.extend(key.quota_project().map(|value| (QUOTA_PROJECT, value)));
        }
        (AuthScheme::Header(name), Some(key)) => {
            headers.extend(key.bare().map(|value| (name.clone(), value)));
        }
        // Signed when nothing changes any more.
        (AuthScheme::AwsSigV4(_), _)
        | (AuthScheme::None | AuthScheme::Unsupported(_), _)
        | (AuthScheme::Bearer | AuthScheme::Header(_) | AuthScheme::GoogleOauth | AuthScheme::AzureEntra, None) => {}
    }
}

/// Signs the request of a provider that asks for that; the last thing that happens to it.
///
/// # Errors
/// What cannot be signed.
pub fn sign(
    request: &mut Request<Pieces>,
    auth: &AuthScheme,
    credential: Option<&Credential>,
    now: SystemTime,
) -> Result<(), Error> {
    let (AuthScheme::AwsSigV4(scope), Some(keys)) = (auth, credential.and_then(Credential::aws_keys)) else {
        return Ok(());
    };
    aws::sign(request, keys, scope, now).map_err(|problem| Error::invalid(problem).with_code("target_refused"))
}

/// Documents are JSON, whatever the caller says; a form's header names its boundary.
fn content_type(incoming: &Incoming<'_, '_>) -> HeaderValue {
    let form = incoming.call.operation.relayed().is_some() && multipart::is_form(incoming.body);
    let own = incoming.headers.get(CONTENT_TYPE).filter(|_| form);
    own.cloned().unwrap_or(HeaderValue::from_static("application/json"))
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
