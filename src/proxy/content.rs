//! Hears what is said in a try, where a preset wants that on spans. Where none does, nothing is kept and nothing is read.

use std::sync::Arc;

use http::{HeaderMap, Response};

use super::attempt::Place;
use super::outgoing::Incoming;
use crate::live::Live;
use crate::rule::facts::SECRET_HEADERS;
use crate::table::Attempt;
use crate::telemetry::content::{Asked, Content, Heard, Path};
use crate::telemetry::otlp::Trace;
use crate::upstream::{self, coding};
use crate::wire::Operation;

/// Listens to a try of a sampled request, where its preset asks for that.
pub(super) fn of(
    trace: Option<&Trace>,
    incoming: &Incoming<'_, '_>,
    attempt: &Attempt<'_>,
    live: &Live,
) -> Option<Arc<Content>> {
    let wanted = attempt.settings.trace_content.filter(|wanted| wanted.enabled)?;
    let redaction = live.runtime.redaction.as_ref()?;
    if !trace?.sampled || incoming.call.operation != Operation::Generate {
        return None;
    }
    let asked = match incoming.surface {
        // What is in such a document depends on the function that it names.
        Some(_) => incoming.decoded.get().map(|request| Asked::Read(Box::new(request.clone()))),
        None => {
            let head = &incoming.head;
            let (stream, alt_sse) = (head.path_stream, head.alt_sse);
            let path = Path { model: head.path_model.map(str::to_owned), stream, alt_sse };
            Asked::document(incoming.inbound, path, incoming.body)
        }
    };
    Some(Arc::new(Content::new(asked, wanted.limit, Arc::clone(redaction), brought(incoming.headers))))
}

/// Lets `content` hear the answer, which goes on as it is.
pub(super) fn heard(
    content: &Content,
    place: &Place<'_>,
    response: Response<upstream::Body>,
    stream: bool,
) -> Response<upstream::Body> {
    if !response.status().is_success() || coding::of(response.headers()).is_err() {
        return response;
    }
    let tape = Content::tape();
    let credential = place.credential.clone();
    let scrub = move |text: &mut Vec<u8>| credential.iter().for_each(|credential| credential.scrub(text));
    let heard = Heard {
        outbound: place.outbound,
        protocol: place.endpoint.protocol,
        quirks: place.quirks.clone().into_owned(),
        stream,
        tape: tape.clone(),
    };
    content.answers(heard, Box::new(scrub));
    response.map(|body| upstream::Body::Taped(Box::new((body, tape))))
}

/// The secrets in a request's headers, with and without the word for their kind.
fn brought(headers: &HeaderMap) -> Box<[Box<str>]> {
    let is_secret = |name: &str| SECRET_HEADERS.contains(&name) || name.starts_with("x-routeplane-credential-");
    let values = headers.iter().filter(|(name, _)| is_secret(name.as_str()));
    let texts = values.filter_map(|(_, value)| value.to_str().ok());
    texts.map(|text| text.split_once(' ').map_or(text, |(_, bare)| bare).into()).collect()
}
