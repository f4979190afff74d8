//! The models that a provider is known to serve.

use std::collections::HashSet;

use super::{Layers, Problem};
use crate::diagnostic::did_you_mean;
use crate::provider::Endpoint;
use crate::provider::catalogue::{self, Mode};
use crate::wire::ProtocolId;

pub(super) struct Models {
    /// Those that files list, then those of the catalogue.
    pub(super) ids: Vec<Box<str>>,
    /// The name under which the catalogue knows the provider.
    pub(super) catalogue: Option<Box<str>>,
}

pub(super) fn models(name: &str, layers: Layers<'_>, endpoints: &[Endpoint]) -> Result<Models, Problem> {
    let catalogue = catalogue_name(name, layers)?;
    let listed = layers.both().flat_map(|entry| entry.models.iter().flatten()).map(|model| model.value.as_str());
    let rows = catalogue.map(catalogue::of_provider).unwrap_or_default();
    let known = rows.iter().filter(|model| serves(endpoints, model.mode)).map(|model| model.id);
    let mut seen = HashSet::new();
    let listed: Vec<&str> = listed.filter(|id| seen.insert(*id)).collect();
    let known = known.filter(|id| !seen.contains(id));
    let ids = listed.iter().copied().chain(known).map(Into::into).collect();
    Ok(Models { ids, catalogue: catalogue.map(Into::into) })
}

/// Its own name where the catalogue has it, unless the file says another.
fn catalogue_name<'a>(name: &'a str, layers: Layers<'a>) -> Result<Option<&'a str>, Problem> {
    let known = |name: &str| !catalogue::of_provider(name).is_empty();
    match layers.pick(|entry| entry.catalogue.as_ref()) {
        None => Ok(Some(name).filter(|name| known(name))),
        Some(written) if known(&written.value) => Ok(Some(&written.value)),
        Some(written) => {
            let names = catalogue::MODELS.chunk_by(|a, b| a.provider == b.provider);
            let names = names.filter_map(|rows| rows.first()).map(|model| model.provider);
            let message = format!("the catalogue has no models of `{}`", written.value);
            let help = match did_you_mean(&written.value, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "list the models under `models:` instead".to_owned(),
            };
            Err(Problem::invalid(written.span, message, help))
        }
    }
}

/// Whether one of the endpoints has the API that such a model needs.
fn serves(endpoints: &[Endpoint], mode: Mode) -> bool {
    match mode {
        Mode::Chat | Mode::Embedding => true,
        Mode::Responses => endpoints.iter().any(|endpoint| endpoint.protocol == ProtocolId::OpenAiResponses),
        Mode::Rerank | Mode::Completion => false,
    }
}
