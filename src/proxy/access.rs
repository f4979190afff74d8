//! What requests authenticate with that are no calls of a model.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use crate::state::{Credential, TokenSource};
use crate::wire::ir::{Error, ErrorKind};

/// The token of a cloud, waited for until `deadline`, the end of `limit`.
///
/// # Errors
/// Nobody gives one.
pub async fn token(
    tokens: &Arc<TokenSource>,
    provider: &str,
    deadline: Instant,
    limit: Duration,
) -> Result<Arc<Credential>, Error> {
    let waiting = tokio::time::timeout_at(deadline, tokens.credential()).await;
    waiting.map_err(|_| Failure::Deadline(limit).into_error(provider))?.map_err(|problem| {
        let message = format!("provider `{provider}` has no access: {problem}");
        Error::new(ErrorKind::Overloaded, message).with_code("no_provider_token")
    })
}
