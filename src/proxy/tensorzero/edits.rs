//! Edits of the upstream's request that the caller asks for: `extra_body` and `extra_headers`.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::upstream::Pieces;
use crate::wire::ir::Error;
use crate::wire::pointer::{self, PointerError};
use crate::wire::tensorzero::call::{Asked, Call, Filter};

/// Headers that follow from the connection or the body.
pub(super) const OWN: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "content-encoding"];

/// The edits of a call, and the try that they are made for.
pub(super) struct Edits<'a> {
    pub(super) call: &'a Call,
    pub(super) variant: Option<&'a str>,
    pub(super) provider: &'a str,
}

impl Edits<'_> {
    fn holds(&self, filter: &Filter) -> bool {
        let Filter { variant, model, provider } = filter;
        let model_asked = match &self.call.asked {
            Asked::Model(name) | Asked::EmbeddingModel(name) => Some(name.as_str()),
            Asked::Function(_) => None,
        };
        variant.as_deref().is_none_or(|variant| self.variant == Some(variant))
            && model.as_deref().is_none_or(|model| model_asked.is_none_or(|asked| asked == model))
            && provider.as_deref().is_none_or(|provider| self.provider == provider)
    }
}

/// # Errors
/// An edit that does not fit the body.
pub(super) fn body(body: Pieces, edits: &Edits<'_>) -> Result<Pieces, Error> {
    let mut wanted = edits.call.extra_body.iter().filter(|edit| edits.holds(&edit.filter)).peekable();
    if wanted.peek().is_none() {
        return Ok(body);
    }
    let wrong =
        |error: PointerError| Error::invalid(format!("an edit of `extra_body` does not fit the request: {error}"));
    let mut text = String::from_utf8_lossy(&body.join()).into_owned();
    for edit in wanted {
        let steps = pointer::steps(&edit.pointer).map_err(wrong)?;
        text = match &edit.value {
            Some(value) => pointer::set(&text, &steps, value.get()).map_err(wrong)?,
            None => pointer::remove(&text, &steps).map_err(wrong)?,
        };
    }
    Ok(text.into_bytes().into())
}

/// What cannot be a header is left out, as what belongs to the connection.
pub(super) fn headers(headers: &mut HeaderMap, edits: &Edits<'_>) {
    for edit in edits.call.extra_headers.iter().filter(|edit| edits.holds(&edit.filter)) {
        let Ok(name) = HeaderName::try_from(edit.name.as_str()) else { continue };
        if OWN.contains(&name.as_str()) {
            continue;
        }
        match edit.value.as_deref().map(HeaderValue::from_str) {
            Some(Ok(value)) => {
                headers.insert(name, value);
            }
            Some(Err(_)) => {}
            None => {
                headers.remove(name);
            }
        }
    }
}
