//! An answer that nobody here reads: sound, subtitles, events of a vendor's own. It passes as it comes.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};

use super::heads::forwarded;
use super::{Answer, AnswerBody, Place, Try};
use crate::proxy::failure::Failure;
use crate::proxy::pipe::{Pipe, Progress};
use crate::proxy::stream::{self, StreamBody};
use crate::telemetry::record::Account;
use crate::telemetry::traffic::StreamRecord;
use crate::upstream;
use crate::wire::frame::Framing;
use crate::wire::ir::ErrorKind;
use crate::wire::loss::Losses;
use crate::wire::structured::watch::Slot;

/// Whether an answer is a JSON document, or does not say what it is.
pub(in crate::proxy) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_none_or(|kind| kind.split(';').next().unwrap_or_default().trim().ends_with("json"))
}

/// Opens the answer up to its first bytes.
pub(super) async fn open(
    this: &Try<'_, '_, '_, '_>,
    place: &Place<'_>,
    response: Response<upstream::Body>,
) -> Result<Answer, Failure> {
    let Try { incoming, attempt, deadline, .. } = this;
    let (head, body) = response.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let events = kind.is_some_and(|kind| Framing::Sse.comes_as(kind)).then_some(place.outbound);
    let opened = stream::open(body, Pipe::opaque(incoming.inbound, events), attempt.settings.timeouts.idle).await;
    match opened.pipe.progress() {
        // It broke off before anything of it left.
        Progress::Failed(_) if opened.pipe.breaks_off() => return Err(Failure::Truncated),
        Progress::Failed(_) if opened.committed => {}
        Progress::Failed(error) if error.kind == ErrorKind::Truncated => return Err(Failure::Truncated),
        Progress::Failed(error) => return Err(place.in_stream(error)),
        Progress::Preamble | Progress::Content | Progress::Complete => {}
    }
    let record = StreamRecord::start(Arc::clone(place.counters), this.tariff(), Slot::default());
    let body = StreamBody::new(opened, &attempt.settings.timeouts, *deadline, record, None, place.credential.clone());
    let headers = forwarded(&head.headers);
    Ok(Answer {
        headers,
        losses: Losses::default(),
        body: AnswerBody::Stream(Box::new(body)),
        account: Account::default(),
    })
}
