//! From a caller's request to the hub, and from the hub to a request. What came in this protocol is written back as it
//! came; what came in another is arranged as Converse demands it.

mod conversation;
mod decode;
mod fields;
mod media;
mod options;
mod own;
mod tools;

pub(super) use decode::{decode, no_model};

use super::{SELF, model};
use crate::wire::Destination;
use crate::wire::ir::{Error, Request};
use crate::wire::json::{self, ObjectWriter};
use crate::wire::loss::Losses;

/// Writes a request. What Converse cannot carry goes to `losses`.
///
/// # Errors
/// Content that Converse does not take.
pub(super) fn encode(
    request: &Request,
    destination: &Destination<'_>,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) -> Result<(), Error> {
    if request.origin == SELF {
        let history = own::History::of(request, model::family(destination.model), losses);
        json::object(out, |body| {
            own::write_counted(request, &history, body);
            own::write_options(request, body);
        });
        return Ok(());
    }
    let parts = Parts::plan(request, destination, losses)?;
    json::object(out, |body| {
        parts.write(body);
        parts.options.write(body);
    });
    Ok(())
}

/// Writes the request that counts the tokens of `request`.
///
/// # Errors
/// As [`encode`].
pub(super) fn encode_count(
    request: &Request,
    destination: &Destination<'_>,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let counted = |body: &mut Vec<u8>, write: &dyn Fn(&mut ObjectWriter<'_>)| {
        json::object(body, |body| body.object("input", |input| input.object("converse", write)));
    };
    if request.origin == SELF {
        let history = own::History::of(request, model::family(destination.model), losses);
        counted(out, &|body| own::write_counted(request, &history, body));
    } else {
        let parts = Parts::plan(request, destination, losses)?;
        counted(out, &|body| parts.write(body));
    }
    Ok(())
}

struct Parts<'a> {
    conversation: conversation::Conversation<'a>,
    tools: tools::Tools<'a>,
    options: options::Options<'a>,
}

impl<'a> Parts<'a> {
    fn plan(request: &'a Request, destination: &Destination<'_>, losses: &mut Losses) -> Result<Parts<'a>, Error> {
        let family = model::family(destination.model);
        let conversation = conversation::arrange(request, family, losses)?;
        let tools = tools::plan(request, family, losses);
        let options = options::plan(request, family, (&conversation, &tools), losses);
        Ok(Parts { conversation, tools, options })
    }

    /// Writes what the model reads: what counts as tokens.
    fn write(&self, body: &mut ObjectWriter<'_>) {
        self.conversation.write(self.tools.instruction.as_deref(), body);
        self.tools.write(body);
    }
}

#[cfg(test)]
mod tests;
