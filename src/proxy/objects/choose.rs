//! Which provider keeps the files and batches of a request.

use http::HeaderMap;

use super::path::Object;
use crate::live::Live;
use crate::provider::{AuthScheme, Endpoint, Provider};
use crate::state::{EndpointState, ProviderState};
use crate::wire::hosting::Hosting;
use crate::wire::ir::{Error, ErrorKind};

/// The header in which a caller names one.
pub const HEADER: &str = "x-routeplane-provider";

/// Where a provider keeps them.
#[derive(Clone, Copy)]
pub struct Place<'l> {
    pub provider: &'l Provider,
    pub state: &'l ProviderState,
    pub endpoint: &'l Endpoint,
    pub at: &'l EndpointState,
}

/// The provider that the caller names, or else the file, or else the only one there is.
///
/// # Errors
/// Nobody keeps such a thing, or several do; the choices are in the message.
pub fn provider<'l>(live: &'l Live, object: &Object<'_>, headers: &HeaderMap) -> Result<Place<'l>, Error> {
    let named = headers.get(HEADER).map(|name| name.to_str().unwrap_or_default());
    let places: Vec<Place<'l>> = places(live, object).collect();
    if let Some(name) = named.or(live.table.files.provider.as_deref()) {
        let place = places.iter().find(|place| *place.provider.name == *name).copied();
        return place.ok_or_else(|| cannot(live, object, name, &places));
    }
    match &*places {
        [only] => Ok(*only),
        [] => Err(Error::invalid(format!(
            "no provider here has {} in the shape of {}, as far as is known; list it in `operations` of one that has",
            object.kind.name(),
            object.dialect
        ))
        .with_code("no_provider")),
        several => Err(Error::invalid(format!(
            "several providers have {}; name one in the header `{HEADER}` ({}), or in `files: {{ provider: ... }}` of the \
             gateway's file",
            object.kind.name(),
            names(several)
        ))
        .with_code("ambiguous_provider")),
    }
}

fn places<'l>(live: &'l Live, object: &Object<'_>) -> impl Iterator<Item = Place<'l>> {
    let (dialect, kind) = (object.dialect, object.kind);
    let providers = live.table.providers.iter().zip(&live.runtime.providers);
    let usable = providers.filter(|(_, state)| state.unusable.is_none());
    usable.filter_map(move |(provider, state)| {
        let mut endpoints = provider.endpoints.iter().zip(&state.endpoints);
        let (endpoint, at) = endpoints.find(|(endpoint, _)| {
            endpoint.protocol == dialect
                && endpoint.hosting == Hosting::Own
                && endpoint.operations.contains(&kind)
                && !matches!(endpoint.auth, AuthScheme::Unsupported(_) | AuthScheme::AwsSigV4(_))
        })?;
        Some(Place { provider, state, endpoint, at })
    })
}

fn cannot(live: &Live, object: &Object<'_>, name: &str, places: &[Place<'_>]) -> Error {
    let index = live.table.provider_names.get(name).map(|index| index.0 as usize);
    let choices = if places.is_empty() { String::new() } else { format!("; there are {}", names(places)) };
    if let Some(reason) = index.and_then(|index| live.runtime.providers.get(index)?.unusable.as_ref()) {
        return Error::new(ErrorKind::Overloaded, format!("{reason}{choices}")).with_code("no_provider_key");
    }
    let message = match (index, live.table.inactive.get(name)) {
        (Some(_), _) => format!(
            "`{name}` has no {} in the shape of {}, as far as is known here; if it has, list it in `operations` of the \
             provider{choices}",
            object.kind.name(),
            object.dialect
        ),
        (None, Some(variables)) => {
            format!("the provider `{name}` has no key here; set {variables} and restart{choices}")
        }
        (None, None) => format!("there is no provider `{name}` here{choices}"),
    };
    Error::invalid(message).with_code("no_provider").with_param(HEADER)
}

fn names(places: &[Place<'_>]) -> String {
    let names: Vec<String> = places.iter().map(|place| format!("`{}`", place.provider.name)).collect();
    names.join(", ")
}
