//! Media of a caller's that the upstream's protocol has no part for. A model that never gets them answers another question, so
//! the request is refused, with what to send instead. What a model itself said in earlier turns is a loss and no refusal.

use super::ir::{Error, Media, Part, Request, Role};

/// The error for media at `path` of the caller's document: `what` it is, and what to do instead.
pub(super) fn refused(path: &str, protocol: &str, what: &str, fix: &str) -> Error {
    Error::invalid(format!("`{path}`: {protocol} takes no {what}; {fix}, or use a model of another provider"))
        .with_code("unsupported_content")
        .with_param(path)
}

/// Refuses the first media that the caller gave, itself or in a tool's result, and that `why` says cannot be taken.
///
/// # Errors
/// Such media.
pub(super) fn check(
    request: &Request,
    protocol: &str,
    why: impl Fn(&Media) -> Option<(&'static str, &'static str)>,
) -> Result<(), Error> {
    for (position, message) in
        request.messages.iter().enumerate().filter(|(_, message)| message.role != Role::Assistant)
    {
        let given = message.parts.iter().flat_map(|part| match part {
            Part::ToolResult(result) => result.content.as_slice(),
            part => std::slice::from_ref(part),
        });
        let untaken = given.filter_map(|part| if let Part::Media(media) = part { why(media) } else { None });
        if let Some((what, fix)) = untaken.into_iter().next() {
            return Err(refused(&format!("messages.{position}.content"), protocol, what, fix));
        }
    }
    Ok(())
}

/// Files of a provider's store, which no other provider can read.
pub(super) const UPLOADED: (&str, &str) = ("file that was uploaded to another provider", "send its bytes");
/// Videos.
pub(super) const VIDEO: (&str, &str) = ("video", "send frames of it as images");
