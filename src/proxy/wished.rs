//! Wishes that a request brings for its own way: read and taken out where the file allows them, refused where it does not.

use bytes::Bytes;

use super::ingress::Call;
use crate::table::wishes::{MEMBERS, Wishes};
use crate::table::{Attempt, RoutingTable};
use crate::wire::Operation;
use crate::wire::envelope::{Edit, Envelope};
use crate::wire::ir::Error;

/// The provider whose own API has these members.
const OPENROUTER: &str = "openrouter";

/// What became of the wishes of a request.
#[derive(Default)]
pub(super) struct Wished {
    pub wishes: Option<Wishes>,
    /// The document without them.
    pub stripped: Option<Bytes>,
    /// The first member that nobody here obeys.
    unheard: Option<&'static str>,
}

/// Looks for wishes.
///
/// # Errors
/// Wishes that cannot be read, where the file allows any.
pub(super) fn read(
    table: &RoutingTable,
    call: &Call<'_>,
    body: &Bytes,
    envelope: &Envelope<'_>,
) -> Result<Wished, Error> {
    let model_call = matches!(call.operation, Operation::Generate | Operation::Embed);
    let first = MEMBERS.into_iter().find(|name| envelope.members.get(name).is_some());
    let Some(first) = first.filter(|_| model_call) else { return Ok(Wished::default()) };
    if !table.allow_request_routing {
        return Ok(Wished { unheard: Some(first), ..Wished::default() });
    }
    let wishes = Wishes::read(|name| envelope.members.get(name))
        .map_err(|(member, message)| Error::invalid(message).with_code("bad_routing").with_param(member))?;
    let edits = MEMBERS.map(Edit::Remove);
    let stripped = envelope.splice(body, &edits).concat().into();
    Ok(Wished { wishes: Some(wishes), stripped: Some(stripped), unheard: None })
}

impl Wished {
    /// Refuses a request whose wishes nobody obeys: to ignore them would be to answer another question. OpenRouter obeys its own.
    ///
    /// # Errors
    /// The member that is not obeyed.
    pub(super) fn check(&self, attempts: &[Attempt<'_>]) -> Result<(), Error> {
        let obeys = |attempt: &Attempt<'_>| {
            *attempt.provider.name == *OPENROUTER || attempt.provider.catalogue.as_deref() == Some(OPENROUTER)
        };
        match self.unheard {
            Some(member) if !attempts.iter().all(obeys) => {
                let message = format!(
                    "this gateway does not let callers choose targets by `{member}`: leave it out, or set \
                     `allow_request_routing: true` in the gateway's file"
                );
                Err(Error::invalid(message).with_code("request_routing_not_allowed").with_param(member))
            }
            _ => Ok(()),
        }
    }
}

/// A wish that cannot be fulfilled.
pub(super) fn unfulfilled(message: String) -> Error {
    Error::invalid(message).with_code("no_target_allowed")
}
