//! Variants that come with a request: what the importer and the compiler make of one in a file, made for one request.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::names;
use crate::table::Attempt;
use crate::table::settings::{AnswerForm, BodyEdit, HeaderEdits, Retries, RetryOn, Scope, Settings};
use crate::table::tensorzero::{Function, FunctionKind, Surface};
use crate::wire::ir::{Error, ErrorKind};
use crate::wire::json;
use crate::wire::structured::check::Checker;
use crate::wire::structured::mode::JsonMode;
use crate::wire::template::engine::Engine;
use crate::wire::template::{Arguments, Form, Prompts, Template, Wrapper};
use crate::wire::tensorzero::call::Call;
use crate::wire::tensorzero::variant::{NAME, Source, Variant};

/// A variant whose templates are compiled.
pub(super) struct Compiled {
    variant: Variant,
    prompts: Prompts,
    answers: AnswerForm,
}

/// The variant as one of `function`, and what its model means.
///
/// # Errors
/// A form of answers that the function does not have, an unknown model, a template that is none.
pub(super) fn compile(
    variant: &Variant,
    function: &Function,
    (surface, call): (&Surface, &Call),
) -> Result<(Compiled, String), Error> {
    let mode = variant.json_mode;
    let answers = match function.kind {
        FunctionKind::Chat if mode.is_some_and(|mode| mode != JsonMode::Off) => {
            let message = "`json_mode` is for variants of JSON functions; a request for a chat function says `response_format`, or `params`";
            return Err(Error::invalid(message).with_param("internal_dynamic_variant_config.json_mode"));
        }
        FunctionKind::Chat => AnswerForm::default(),
        FunctionKind::Json => {
            let output = function.output_schema.clone();
            AnswerForm { output, json_mode: mode.or(Some(JsonMode::Strict)), ..AnswerForm::default() }
        }
    };
    let meaning = names::model(&variant.model, surface)
        .ok_or_else(|| failed(format!("the variant's model `{}` is not known", variant.model)))?;
    let namespace = surface.model_namespaces.get(variant.model.as_str()).map(|space| &**space);
    names::check_namespace(&format!("the variant's model `{}`", variant.model), namespace, call)?;
    let prompts = prompts(variant, function)?;
    Ok((Compiled { variant: variant.clone(), prompts, answers }, meaning.into_owned()))
}

/// As any variant that fails.
fn failed(message: String) -> Error {
    Error::new(ErrorKind::Internal, message)
}

fn prompts(variant: &Variant, function: &Function) -> Result<Prompts, Error> {
    let mut engine = Engine::new(None);
    let sources = variant.templates.iter().map(|template| &template.source);
    for Source { path, text } in sources.chain(variant.wrappers.iter().map(|(_, source)| source)) {
        let added = engine.add(path, &Arc::from(text.as_str()), Vec::new());
        added.map_err(|fault| failed(format!("`{path}` is no template: {}", fault.message)))?;
    }
    let engine = Arc::new(engine);
    let digest = |path: &str| engine.digest(path).into();
    let templates = variant.templates.iter().map(|template| Template {
        name: template.name.as_str().into(),
        path: template.source.path.as_str().into(),
        form: if template.legacy { Form::Legacy } else { Form::Named },
        schema: function.schemas.get(template.name.as_str()).and_then(|text| arguments(text)),
        digest: digest(&template.source.path),
        engine: Arc::clone(&engine),
    });
    let wrappers = variant.wrappers.iter().map(|(speaker, source)| Wrapper {
        speaker: *speaker,
        path: source.path.as_str().into(),
        digest: digest(&source.path),
        engine: Arc::clone(&engine),
    });
    Ok(Prompts { templates: templates.collect(), wrappers: wrappers.collect() })
}

fn arguments(text: &str) -> Option<Arguments> {
    let checker = Arc::new(Checker::of_schema(&json::raw(text)?));
    Some(Arguments { text: text.into(), checker })
}

impl Compiled {
    /// The settings of each attempt, those of the variant around those that its model has.
    pub(super) fn around(&self, attempts: &[Attempt<'_>]) -> Vec<Settings> {
        attempts.iter().map(|attempt| self.over(attempt.settings)).collect()
    }

    fn over(&self, inner: &Settings) -> Settings {
        let mut params = self.variant.params.clone();
        params.extend(inner.params.iter().filter(|(name, _)| !self.sets(name)).cloned());
        let mut retries = inner.retries.clone();
        if self.variant.retries > 0 {
            retries.attempts = 1;
        }
        // TensorZero makes the variant's edits before those of the provider.
        let mut body: Vec<BodyEdit> = self.variant.extra_body.iter().map(edit_of).collect();
        body.extend(inner.body.iter().cloned());
        Settings {
            params: params.into(),
            prompts: self.prompts.over(&inner.prompts),
            retries,
            scopes: std::iter::once(self.scope()).chain(inner.scopes.iter().cloned()).collect(),
            headers: self.headers(&inner.headers),
            body: body.into(),
            answers: self.answers.clone(),
            variant: Some(NAME.into()),
            ..inner.clone()
        }
    }

    fn sets(&self, name: &str) -> bool {
        self.variant.params.iter().any(|(own, _)| **own == *name)
    }

    fn scope(&self) -> Scope {
        let Variant { retries, longest_pause, bounds, .. } = &self.variant;
        let longest = Duration::from_secs_f64(*longest_pause);
        let retries = (*retries > 0).then(|| Retries {
            attempts: retries + 1,
            on: Box::new([RetryOn::Any]),
            backoff: longest.min(Duration::from_secs(1)),
            max_backoff: longest,
        });
        Scope {
            preset: NAME.into(),
            retries,
            whole: bounds.whole.map(Duration::from_millis),
            stream: bounds.stream.map(Duration::from_millis),
            first_token: bounds.first_token.map(Duration::from_millis),
        }
    }

    /// The variant's edits of headers, and those of its model after them.
    fn headers(&self, inner: &HeaderEdits) -> HeaderEdits {
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for edit in &self.variant.extra_headers {
            let Ok(name) = HeaderName::try_from(edit.name.as_str()) else { continue };
            let later = inner.remove.contains(&name) || inner.set.iter().any(|(other, _)| *other == name);
            if later || super::edits::OWN.contains(&name.as_str()) {
                continue;
            }
            match edit.value.as_deref().map(HeaderValue::from_str) {
                Some(Ok(value)) => set.push((name, value)),
                // What cannot be a header is left out.
                Some(Err(_)) => {}
                None => remove.push(name),
            }
        }
        set.extend(inner.set.iter().cloned());
        remove.extend(inner.remove.iter().cloned());
        HeaderEdits { set: set.into(), remove: remove.into() }
    }
}

fn edit_of(edit: &crate::wire::tensorzero::call::BodyEdit) -> BodyEdit {
    BodyEdit { pointer: edit.pointer.as_str().into(), value: edit.value.as_ref().map(|value| value.get().into()) }
}
