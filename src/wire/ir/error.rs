//! Errors, in no protocol's words.

use std::time::Duration;

use crate::wire::json::JsonError;

/// An error on its way to a caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    pub kind: ErrorKind,
    /// HTTP status for the caller.
    pub status: u16,
    /// For the caller to read: what happened and what to do.
    pub message: String,
    /// Machine-readable code (`context_length_exceeded`, `model_not_found`, one of ours), where there is one.
    pub code: Option<String>,
    /// The offending member, where there is one.
    pub param: Option<String>,
    pub retry_after: Option<Duration>,
    /// Filled in by the gateway before the error is written.
    pub request_id: Option<String>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error {
            kind,
            status: kind.status(),
            message: message.into(),
            code: None,
            param: None,
            retry_after: None,
            request_id: None,
        }
    }

    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::InvalidRequest, message)
    }

    /// A fault within the document, its member named by the whole path to it.
    pub fn at_path(error: JsonError, path: &str) -> Error {
        let path = path.trim_end_matches('.');
        let named = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let error = match error {
            JsonError::Syntax(_) => return Error::invalid(format!("`{path}` must be an object")).with_param(path),
            JsonError::TooDeep => JsonError::TooDeep,
            JsonError::DuplicateKey { key } => JsonError::DuplicateKey { key: named(&key) },
            JsonError::Type { key, expected } => JsonError::Type { key: named(&key), expected },
            JsonError::Missing { key } => JsonError::Missing { key: named(&key) },
        };
        error.into()
    }

    /// A fault within the document, in the manner of vendors that begin with the place.
    pub fn below(path: &str, error: JsonError) -> Error {
        let mut error = Error::from(error);
        error.message = format!("{path}: {}", error.message);
        error.param = Some(match error.param {
            Some(member) => format!("{path}.{member}"),
            None => path.to_owned(),
        });
        error
    }

    pub fn with_code(mut self, code: impl Into<String>) -> Error {
        self.code = Some(code.into());
        self
    }

    pub fn with_param(mut self, param: impl Into<String>) -> Error {
        self.param = Some(param.into());
        self
    }

    pub fn with_status(mut self, status: u16) -> Error {
        self.status = status;
        self
    }
}

impl From<JsonError> for Error {
    fn from(error: JsonError) -> Error {
        let message = error.to_string();
        match error {
            JsonError::Syntax(_) => Error::invalid(message).with_code("invalid_json"),
            JsonError::TooDeep => Error::invalid(message).with_code("json_depth"),
            JsonError::DuplicateKey { key } => Error::invalid(message).with_code("duplicate_key").with_param(key),
            JsonError::Type { key, .. } | JsonError::Missing { key } => Error::invalid(message).with_param(key),
        }
    }
}

/// What kind of thing went wrong; decides the words that each protocol has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    InvalidRequest,
    /// The conversation does not fit the model's window.
    ContextLength,
    Authentication,
    Permission,
    /// No credit left; waiting does not help.
    Billing,
    NotFound,
    TooLarge,
    RateLimit,
    Overloaded,
    /// The upstream failed (5xx).
    Upstream,
    Timeout,
    /// A stream ended without its end.
    Truncated,
    /// Our own fault.
    Internal,
}

impl ErrorKind {
    /// The HTTP status where nothing says otherwise.
    pub fn status(self) -> u16 {
        match self {
            ErrorKind::InvalidRequest | ErrorKind::ContextLength => 400,
            ErrorKind::Authentication => 401,
            ErrorKind::Billing => 402,
            ErrorKind::Permission => 403,
            ErrorKind::NotFound => 404,
            ErrorKind::TooLarge => 413,
            ErrorKind::RateLimit => 429,
            ErrorKind::Internal => 500,
            ErrorKind::Upstream | ErrorKind::Truncated => 502,
            ErrorKind::Overloaded => 503,
            ErrorKind::Timeout => 504,
        }
    }
}
