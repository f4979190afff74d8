//! Tries that authenticate as somebody at a cloud: with a token that ends, or keys that sign.

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use http::header::DATE;

use super::{Answer, Place, Try};
use crate::proxy::failure::Failure;
use crate::state::TokenSource;
use crate::wire::ir::{Error, ErrorKind};

/// Where the credentials of this place come from; `None` where a key does.
pub(super) fn of<'r>(place: &Place<'r>) -> Option<&'r Arc<TokenSource>> {
    place.endpoint.auth.cloud().and(place.state.tokens.as_ref())
}

/// Sends with a credential that works by all that is known. One that the upstream refuses all the same is renewed, once,
/// and so is a signature that was made by a wrong clock.
///
/// # Errors
/// No credential, or why there is no answer.
pub(super) async fn send(
    this: &Try<'_, '_, '_, '_>,
    place: &mut Place<'_>,
    tokens: &Arc<TokenSource>,
) -> Result<Answer, Failure> {
    let waiting = tokio::time::timeout_at(this.deadline, tokens.credential());
    let credential =
        waiting.await.map_err(|_| Failure::Deadline(this.total))?.map_err(|problem| no_token(this, &problem))?;
    place.credential = Some(Arc::clone(&credential));
    let skew = tokens.skew();
    let result = super::send(this, place).await;
    if !result.as_ref().is_err_and(is_refusal) {
        return result;
    }
    if tokens.skew() == skew {
        let renewing = tokio::time::timeout_at(this.deadline, tokens.renewed(&credential));
        let Ok(Some(renewed)) = renewing.await else { return result };
        place.credential = Some(renewed);
    }
    super::send(this, place).await
}

/// The upstream does not know the token, or it has ended. AWS says 403 for that, as for all that is wrong with a signature.
fn is_refusal(failure: &Failure) -> bool {
    matches!(failure, Failure::Status(failure) if matches!(failure.status, 401 | 403))
}

/// A refused signature may be right but for the time in it: the answer says what time it is there.
pub(super) fn note_time(place: &Place<'_>, headers: &HeaderMap) {
    let signed = place.credential.as_ref().is_some_and(|credential| credential.aws_keys().is_some());
    let date = || httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok();
    if let (true, Some(tokens), Some(date)) = (signed, of(place), date()) {
        tokens.note_time(date);
    }
}

/// This moment, as the cloud's clock has it.
pub(super) fn now(place: &Place<'_>) -> SystemTime {
    of(place).map_or_else(SystemTime::now, |tokens| tokens.now())
}

fn no_token(this: &Try<'_, '_, '_, '_>, problem: &str) -> Failure {
    let message = format!("provider `{}` has no access: {problem}", this.attempt.provider.name);
    Failure::Refused(Error::new(ErrorKind::Overloaded, message).with_code("no_provider_token"))
}
