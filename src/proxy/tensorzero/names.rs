//! What functions, variants and models mean here.

use std::borrow::Cow;

use crate::diagnostic::did_you_mean;
use crate::table::tensorzero::{Function, Surface};
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::tensorzero::call::{Asked, Call, Filter};

/// TensorZero's short forms of models (`openai::gpt-4o`): its names of providers, and those of this gateway.
const SHORT: [(&str, &str); 11] = [
    ("anthropic", "anthropic"),
    ("deepseek", "deepseek"),
    ("fireworks", "fireworks"),
    ("google_ai_studio_gemini", "google"),
    ("groq", "groq"),
    ("hyperbolic", "hyperbolic"),
    ("mistral", "mistral"),
    ("openai", "openai"),
    ("openrouter", "openrouter"),
    ("together", "together"),
    ("xai", "xai"),
];

/// A function and its way, or a model's.
pub(super) struct Meaning<'l> {
    pub(super) function: Option<&'l Function>,
    /// A preset with its `@`, or a target.
    pub(super) meaning: Cow<'l, str>,
}

/// # Errors
/// A name that is not in the file.
pub(super) fn of<'l>(call: &Call, surface: &'l Surface) -> Result<Meaning<'l>, Error> {
    match &call.asked {
        Asked::Function(name) => function(name, call, surface),
        Asked::Model(name) => {
            let meaning = model(name, surface).ok_or_else(|| {
                let near = did_you_mean(name, surface.models.keys().map(|name| &**name));
                Error::invalid(with_near(format!("unknown model `{name}`"), near)).with_param("model")
            })?;
            check_namespace(
                &format!("the model `{name}`"),
                surface.model_namespaces.get(name.as_str()).map(|space| &**space),
                call,
            )?;
            Ok(Meaning { function: None, meaning })
        }
        Asked::EmbeddingModel(name) => {
            let listed = surface.embedding_models.get(name.as_str()).map(|meaning| Cow::Borrowed(&**meaning));
            let meaning = listed.or_else(|| short(name).map(Cow::Owned)).ok_or_else(|| {
                let near = did_you_mean(name, surface.embedding_models.keys().map(|name| &**name));
                unknown(with_near(format!("unknown embedding model `{name}`"), near))
            })?;
            Ok(Meaning { function: None, meaning })
        }
    }
}

fn unknown(message: String) -> Error {
    Error::new(ErrorKind::NotFound, message)
}

fn with_near(message: String, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => message,
    }
}

fn function<'l>(name: &str, call: &Call, surface: &'l Surface) -> Result<Meaning<'l>, Error> {
    if name == "tensorzero::default" {
        let message = "the function `tensorzero::default` has no variants; name a model instead";
        return Err(Error::new(ErrorKind::Internal, message));
    }
    let function = surface.functions.get(name).ok_or_else(|| {
        let near = did_you_mean(name, surface.functions.keys().map(|name| &**name));
        unknown(with_near(format!("unknown function `{name}`"), near))
    })?;
    let namespaced = || call.namespace.as_deref().and_then(|namespace| function.namespaces.get(namespace));
    let named = call.variant.as_ref().filter(|_| call.brought.is_none());
    let meaning = match named {
        Some(variant) => {
            let meaning = function.variants.get(variant.as_str()).ok_or_else(|| {
                let near = did_you_mean(variant, function.variants.keys().map(|name| &**name));
                unknown(with_near(format!("unknown variant `{variant}` of the function `{name}`"), near))
            })?;
            let namespace = function.variant_namespaces.get(variant.as_str()).map(|space| &**space);
            check_namespace(&format!("the variant `{variant}` of the function `{name}`"), namespace, call)?;
            meaning
        }
        None => namespaced().unwrap_or(&function.preset),
    };
    Ok(Meaning { function: Some(function), meaning: Cow::Borrowed(meaning) })
}

/// # Errors
/// `what` is for requests of another namespace than this call's.
pub(super) fn check_namespace(what: &str, namespace: Option<&str>, call: &Call) -> Result<(), Error> {
    match namespace {
        Some(namespace) if call.namespace.as_deref() != Some(namespace) => {
            let message = format!("{what} is for requests of the namespace `{namespace}` only; send it as `namespace`");
            Err(Error::invalid(message).with_param("namespace"))
        }
        Some(_) | None => Ok(()),
    }
}

/// What the name of a model means.
pub(super) fn model<'l>(name: &str, surface: &'l Surface) -> Option<Cow<'l, str>> {
    let listed = surface.models.get(name).map(|meaning| Cow::Borrowed(&**meaning));
    listed.or_else(|| short(name).map(Cow::Owned))
}

/// `openai::gpt-4o` as a target.
fn short(name: &str) -> Option<String> {
    let (kind, model) = name.split_once("::")?;
    let (_, provider) = SHORT.iter().find(|(known, _)| *known == kind)?;
    // Which of OpenAI's protocols is spoken, the provider's file says.
    let model = model.strip_prefix("responses::").unwrap_or(model);
    (!model.is_empty()).then(|| format!("{provider}/{model}"))
}

/// # Errors
/// An edit for a variant or a model that does not exist.
pub(super) fn check_filters(call: &Call, surface: &Surface, function: Option<&Function>) -> Result<(), Error> {
    let body = call.extra_body.iter().map(|edit| &edit.filter);
    let headers = call.extra_headers.iter().map(|edit| &edit.filter);
    for Filter { variant, model: name, .. } in body.chain(headers) {
        if let (Some(variant), Some(function)) = (variant, function)
            && !function.variants.contains_key(variant.as_str())
        {
            return Err(unknown(format!("an edit is for the variant `{variant}`, which does not exist")));
        }
        if let Some(name) = name
            && model(name, surface).is_none()
        {
            return Err(Error::invalid(format!("an edit is for the model `{name}`, which does not exist")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_targets() {
        assert_eq!(short("openai::gpt-4o").as_deref(), Some("openai/gpt-4o"));
        assert_eq!(short("openai::responses::gpt-5").as_deref(), Some("openai/gpt-5"));
        assert_eq!(
            short("fireworks::accounts/fireworks/models/x").as_deref(),
            Some("fireworks/accounts/fireworks/models/x")
        );
        assert_eq!(short("google_ai_studio_gemini::gemini-2.5-pro").as_deref(), Some("google/gemini-2.5-pro"));
        for none in ["gpt-4o", "openai::", "dummy::x", "::x"] {
            assert_eq!(short(none), None, "{none}");
        }
    }
}
