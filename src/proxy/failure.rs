//! What went wrong with one try, whether to try again, and what to tell the caller.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::structured::Correction;
use crate::table::settings::{FallThrough, OnInvalid, Retries, RetryOn, Settings};
use crate::upstream::SendError;
use crate::wire::Operation;
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::proof;
use crate::wire::structured::watch::INVALID;

/// Why a try gave no answer. Nothing of it has reached the caller yet.
#[derive(Debug)]
pub enum Failure {
    /// This target cannot serve this request, whatever it answers: no lane, a refused translation, no key.
    Refused(Error),
    /// A rate limit of the file is used up.
    Limited(Error),
    /// No connection; nothing was sent.
    Connect(String),
    ConnectTimeout(Duration),
    /// No first content in time.
    FirstToken(Duration),
    /// The deadline over all attempts passed.
    Deadline(Duration),
    /// The connection broke before the answer was there.
    Broken(String),
    /// The upstream answered with an error.
    Status(Box<StatusFailure>),
    /// The upstream answered 200, and then an error as the first thing of its stream.
    InStream(Error),
    /// The answer ended before its end.
    Truncated,
    /// The answer is not one: a redirect, HTML, too large, not of the protocol.
    BadAnswer {
        code: &'static str,
        message: String,
    },
    /// A good answer without content, where the file counts that as a failure.
    Empty,
    /// An answer that does not have the form that was asked for, where the file does not let it pass.
    Invalid(Box<InvalidAnswer>),
}

/// A bad answer.
#[derive(Debug)]
pub struct InvalidAnswer {
    pub correction: Correction,
    pub policy: OnInvalid,
}

/// An error answer of an upstream.
#[derive(Debug)]
pub struct StatusFailure {
    /// The upstream's status.
    pub status: u16,
    pub error: Error,
    /// Head and body as they came, where the caller speaks the same protocol.
    pub verbatim: Option<(HeaderMap, Bytes)>,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try the same target again, or, if that is used up, the next one.
    Retry,
    /// Try the next target.
    Fallback,
    /// Tell the caller: no other target would do better.
    Stop,
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Failure {
        match error {
            SendError::Connect(cause) => Failure::Connect(cause),
            SendError::ConnectTimeout(limit) => Failure::ConnectTimeout(limit),
            SendError::Stale(cause) | SendError::Broken(cause) => Failure::Broken(cause),
        }
    }
}

impl Failure {
    /// What to do, under a file's `retries`.
    pub fn next(&self, retries: &Retries) -> Next {
        let any = retries.on.contains(&RetryOn::Any);
        let retry_on = |cause: RetryOn| if any || retries.on.contains(&cause) { Next::Retry } else { Next::Fallback };
        match self {
            Failure::BadAnswer { .. } if any => Next::Retry,
            Failure::Refused(_) | Failure::Limited(_) | Failure::BadAnswer { .. } => Next::Fallback,
            Failure::Connect(_) | Failure::ConnectTimeout(_) | Failure::Broken(_) | Failure::Truncated => {
                retry_on(RetryOn::Connect)
            }
            Failure::FirstToken(_) => retry_on(RetryOn::Timeout),
            Failure::Deadline(_) => Next::Stop,
            Failure::Empty => retry_on(RetryOn::Empty),
            // The second try of `retry` has been by now.
            Failure::Invalid(invalid) => match invalid.policy {
                OnInvalid::Retry | OnInvalid::Fallback => Next::Fallback,
                OnInvalid::Error | OnInvalid::Pass | OnInvalid::Repair => Next::Stop,
            },
            Failure::Status(failure) => by_status(failure.status, &failure.error, retries),
            Failure::InStream(error) => by_status(error.status, error, retries),
        }
    }

    /// What to do where the file says that every failure leads to the next target.
    pub fn then(&self, settings: &Settings) -> Next {
        match self.next(&settings.retries) {
            Next::Stop if settings.fall_through == FallThrough::Any && !matches!(self, Failure::Deadline(_)) => {
                Next::Fallback
            }
            next => next,
        }
    }

    /// Whether what a preset leads to is tried again because of this, under the `retries` of the preset. `inner`: the deadline
    /// that has passed was that of a preset inside of it.
    pub fn is_retried(&self, retries: &Retries, inner: bool) -> bool {
        let late = inner && (retries.on.contains(&RetryOn::Timeout) || retries.on.contains(&RetryOn::Any));
        late || self.next(retries) == Next::Retry
    }

    /// What to tell a target that is asked once more because its answer was bad.
    pub fn correction(&self) -> Option<Correction> {
        match self {
            Failure::Invalid(invalid) if invalid.policy == OnInvalid::Retry => Some(invalid.correction.clone()),
            _ => None,
        }
    }

    /// How long the upstream asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Failure::Status(failure) => failure.error.retry_after,
            Failure::InStream(error) => error.retry_after,
            _ => None,
        }
    }

    /// The key is to rest: it is used up or refused, while others of the pool may do.
    pub fn cools_key(&self) -> Option<Duration> {
        const USED_UP: Duration = Duration::from_secs(10);
        const REFUSED: Duration = Duration::from_secs(60);
        const LONGEST: Duration = Duration::from_secs(300);
        let status = match self {
            Failure::Status(failure) => failure.status,
            Failure::InStream(error) => error.status,
            _ => return None,
        };
        match status {
            429 => Some(self.retry_after().unwrap_or(USED_UP).min(LONGEST)),
            401..=403 => Some(REFUSED),
            _ => None,
        }
    }

    /// Whether the target is to blame, so that the next request had better go elsewhere. What is wrong with one request says
    /// nothing of the target; nor does time that ran out, which the attempts before may have used up.
    pub fn is_the_targets(&self, operation: Operation) -> bool {
        let by_error = |status: u16, error: &Error| match (error.kind, status) {
            (ErrorKind::Billing, _) => true,
            (ErrorKind::ContextLength, _) => false,
            // Models that answer need not be able to do more.
            (_, 404) => operation == Operation::Generate,
            (_, status) => matches!(status, 401..=403 | 408 | 429 | 500..),
        };
        match self {
            Failure::Connect(_)
            | Failure::ConnectTimeout(_)
            | Failure::FirstToken(_)
            | Failure::Broken(_)
            | Failure::Truncated
            | Failure::BadAnswer { .. } => true,
            Failure::Refused(_) | Failure::Limited(_) | Failure::Deadline(_) | Failure::Empty | Failure::Invalid(_) => {
                false
            }
            Failure::Status(failure) => by_error(failure.status, &failure.error),
            Failure::InStream(error) => by_error(error.status, error),
        }
    }

    /// Whether the upstream refused a proof of reasoning, or missed one.
    pub fn is_about_proofs(&self) -> bool {
        match self {
            Failure::Status(failure) => !matches!(failure.status, 401 | 403) && proof::is_refusal(&failure.error),
            Failure::InStream(error) => proof::is_refusal(error),
            _ => false,
        }
    }

    /// The status of the upstream's answer, where there was one.
    pub fn upstream_status(&self) -> Option<u16> {
        match self {
            Failure::Status(failure) => Some(failure.status),
            Failure::InStream(_) => Some(200),
            _ => None,
        }
    }

    /// For logs and metrics: one word.
    pub fn cause(&self) -> &'static str {
        match self {
            Failure::Refused(_) => "refused",
            Failure::Limited(_) => "rate_limited",
            Failure::Connect(_) => "connect",
            Failure::ConnectTimeout(_) => "connect_timeout",
            Failure::FirstToken(_) => "first_token_timeout",
            Failure::Deadline(_) => "deadline",
            Failure::Broken(_) => "broken",
            Failure::Status(_) => "status",
            Failure::InStream(_) => "error_in_stream",
            Failure::Truncated => "truncated",
            Failure::BadAnswer { .. } => "bad_answer",
            Failure::Empty => "empty",
            Failure::Invalid(_) => INVALID,
        }
    }

    /// The error for the caller, naming the target that was tried last.
    pub fn into_error(self, target: &str) -> Error {
        let upstream =
            |kind, code: &str, message: String| Error::new(kind, format!("{target}: {message}")).with_code(code);
        match self {
            Failure::Refused(error) | Failure::Limited(error) => error,
            Failure::Connect(cause) => {
                let code = if cause.contains("dns") { "upstream_dns" } else { "upstream_unreachable" };
                upstream(ErrorKind::Upstream, code, format!("no connection to the upstream ({cause})"))
            }
            Failure::ConnectTimeout(limit) => upstream(
                ErrorKind::Timeout,
                "connect_timeout",
                format!("no connection within {} ms", limit.as_millis()),
            ),
            Failure::FirstToken(limit) => {
                upstream(ErrorKind::Timeout, "ttfb_timeout", format!("no first token within {} ms", limit.as_millis()))
            }
            Failure::Deadline(limit) => {
                upstream(ErrorKind::Timeout, "deadline_exceeded", format!("no answer within {} ms", limit.as_millis()))
            }
            Failure::Broken(cause) => upstream(
                ErrorKind::Upstream,
                "upstream_reset",
                format!("the connection broke before the answer was there ({cause})"),
            ),
            Failure::Truncated => {
                upstream(ErrorKind::Truncated, "upstream_truncated", "the answer ended before its end".to_owned())
            }
            Failure::BadAnswer { code, message } => upstream(ErrorKind::Upstream, code, message),
            Failure::Invalid(invalid) => upstream(
                ErrorKind::Upstream,
                INVALID,
                format!("the answer does not have the form that was asked for: {}", invalid.correction.fault),
            ),
            Failure::Empty => upstream(ErrorKind::Upstream, "upstream_empty", "the answer has no content".to_owned()),
            Failure::Status(failure) => for_caller(failure.status, failure.error, target),
            Failure::InStream(error) => for_caller(error.status, error, target),
        }
    }
}

fn by_status(status: u16, error: &Error, retries: &Retries) -> Next {
    let listed = retries.on.iter().any(|cause| match cause {
        RetryOn::Status(code) => *code == status,
        RetryOn::ServerError => status >= 500,
        RetryOn::Any => true,
        RetryOn::Timeout | RetryOn::Connect | RetryOn::Empty => false,
    });
    match (error.kind, status) {
        _ if retries.on.contains(&RetryOn::Any) => Next::Retry,
        // No credit: waiting does not help, another provider does.
        (ErrorKind::Billing, _) => Next::Fallback,
        // Another model may have the larger window.
        (ErrorKind::ContextLength, _) => Next::Fallback,
        _ if listed => Next::Retry,
        // The request itself is wrong, and so it will be everywhere.
        (ErrorKind::InvalidRequest, 400 | 422) => Next::Stop,
        _ => Next::Fallback,
    }
}

/// An upstream's error as the caller is to see it. The upstream's words stay; its refusal of *our* key must not look like
/// a refusal of the caller's (clients would ask their user to log in again).
fn for_caller(status: u16, mut error: Error, target: &str) -> Error {
    if matches!(status, 401 | 403) {
        let message = format!("{target}: the upstream refused the gateway's key ({status}): {}", error.message);
        return Error {
            retry_after: error.retry_after,
            ..Error::new(ErrorKind::Upstream, message).with_code("upstream_auth")
        };
    }
    error.status = status;
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, kind: ErrorKind) -> Failure {
        Failure::Status(Box::new(StatusFailure {
            status,
            error: Error::new(kind, "x").with_status(status),
            verbatim: None,
        }))
    }

    #[test]
    fn what_follows_a_failure() {
        let retries = Retries::default();
        let cases = [
            (Failure::Connect("refused".into()), Next::Retry),
            (Failure::FirstToken(Duration::ZERO), Next::Retry),
            (Failure::Deadline(Duration::ZERO), Next::Stop),
            (Failure::Truncated, Next::Retry),
            (Failure::Empty, Next::Fallback),
            (Failure::BadAnswer { code: "x", message: String::new() }, Next::Fallback),
            (status(429, ErrorKind::RateLimit), Next::Retry),
            (status(429, ErrorKind::Billing), Next::Fallback),
            (status(500, ErrorKind::Upstream), Next::Retry),
            (status(529, ErrorKind::Overloaded), Next::Retry),
            (status(400, ErrorKind::InvalidRequest), Next::Stop),
            (status(422, ErrorKind::InvalidRequest), Next::Stop),
            (status(400, ErrorKind::ContextLength), Next::Fallback),
            (status(401, ErrorKind::Authentication), Next::Fallback),
            (status(404, ErrorKind::NotFound), Next::Fallback),
            (status(413, ErrorKind::TooLarge), Next::Fallback),
        ];
        for (failure, next) in cases {
            assert_eq!(failure.next(&retries), next, "{failure:?}");
        }
    }

    #[test]
    fn a_request_that_is_wrong_is_not_the_targets_fault() {
        let blamed = |failure: Failure| failure.is_the_targets(Operation::Generate);
        assert!(blamed(status(500, ErrorKind::Upstream)) && blamed(status(401, ErrorKind::Authentication)));
        assert!(blamed(status(429, ErrorKind::RateLimit)) && blamed(status(404, ErrorKind::NotFound)));
        assert!(!blamed(status(400, ErrorKind::InvalidRequest)) && !blamed(status(413, ErrorKind::TooLarge)));
        assert!(blamed(status(400, ErrorKind::Billing)) && !blamed(status(400, ErrorKind::ContextLength)));
        assert!(!blamed(Failure::Deadline(Duration::ZERO)) && blamed(Failure::FirstToken(Duration::ZERO)));
        assert!(!status(404, ErrorKind::NotFound).is_the_targets(Operation::CountTokens));
    }

    #[test]
    fn a_refused_gateway_key_is_not_the_callers_fault() {
        let error = status(401, ErrorKind::Authentication).into_error("openai/gpt-5");
        assert_eq!((error.status, error.code.as_deref()), (502, Some("upstream_auth")));
        let error = status(429, ErrorKind::RateLimit).into_error("openai/gpt-5");
        assert_eq!((error.status, error.message.as_str()), (429, "x"));
    }
}
