//! Betas of Anthropic that a caller asks for: to the endpoint that takes them, in the way that it takes them.

use http::{HeaderName, HeaderValue};

use super::Incoming;
use crate::provider::Endpoint;
use crate::wire::loss::Losses;

/// Where callers ask for betas, and Anthropic itself takes them.
pub(super) static HEADER: HeaderName = HeaderName::from_static("anthropic-beta");
/// Most characters of a beta's name that are shown.
const SHOWN: usize = 60;

/// What the caller asks for and the endpoint takes; the rest goes to `losses`.
fn taken<'r>(incoming: &Incoming<'r, '_>, endpoint: &Endpoint, losses: &mut Losses) -> Vec<&'r str> {
    let values = incoming.headers.get_all(&HEADER).into_iter().filter_map(|value| value.to_str().ok());
    let asked = values.flat_map(|value| value.split(',')).map(str::trim).filter(|beta| !beta.is_empty());
    let mut taken = Vec::new();
    for beta in asked {
        if endpoint.betas.as_ref().is_none_or(|known| known.iter().any(|glob| glob.matches(beta))) {
            taken.push(beta);
        } else {
            let shown: String = beta.chars().take(SHOWN).collect();
            losses.dropped(format!("{HEADER}.{shown}"), "this endpoint does not take the beta");
        }
    }
    taken
}

/// The header, for an endpoint that takes betas there.
pub(super) fn header(incoming: &Incoming<'_, '_>, endpoint: &Endpoint) -> Option<HeaderValue> {
    let taken = taken(incoming, endpoint, &mut Losses::default());
    if taken.is_empty() { None } else { HeaderValue::from_str(&taken.join(",")).ok() }
}

/// The member's value, for an endpoint that takes betas in the body; `None` where none is asked for.
pub(super) fn member(incoming: &Incoming<'_, '_>, endpoint: &Endpoint, losses: &mut Losses) -> Option<String> {
    let taken = taken(incoming, endpoint, losses);
    if taken.is_empty() { None } else { serde_json::to_string(&taken).ok() }
}
