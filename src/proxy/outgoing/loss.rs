//! What the file says about requests that lose something: `on_loss`.

use super::{Incoming, Prepared, Translation};
use crate::table::Attempt;
use crate::table::settings::OnLoss;
use crate::wire::Operation;
use crate::wire::ir::Error;

/// Refuses a request that would not arrive with its full meaning, where the file says so. A target of the caller's own
/// protocol gets the request however it is, and a count of tokens is no answer that the loss could spoil.
pub(super) fn check(incoming: &Incoming<'_, '_>, attempt: &Attempt<'_>, prepared: &Prepared) -> Result<(), Error> {
    let refuses = match attempt.settings.on_loss {
        OnLoss::Allow | OnLoss::Warn => false,
        OnLoss::Refuse => incoming.call.operation != Operation::CountTokens,
    };
    if !refuses || matches!(prepared.translation, Translation::None) {
        return Ok(());
    }
    let Some(fields) = prepared.losses.meaning_lost() else { return Ok(()) };
    let message = format!(
        "{}/{} cannot take all of this request, and `on_loss: refuse` of its preset forbids to send a part; leave out {fields}, ask for a model that speaks {}, or write `on_loss: allow` in the preset",
        attempt.provider.name, attempt.model, incoming.call.protocol,
    );
    let first = prepared.losses.iter().find(|loss| loss.effect.loses_meaning());
    let error = Error::invalid(message).with_code("would_lose");
    Err(match first {
        Some(loss) => error.with_param(loss.field.to_string()),
        None => error,
    })
}
