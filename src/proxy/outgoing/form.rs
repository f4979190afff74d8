//! Answers of a given form: whether a request that could pass as it is must go through the hub for the sake of its answer,
//! and the request as its target's means demand it.

use std::sync::Arc;

use bytes::Bytes;

use super::{Incoming, Toward, decoded};
use crate::proxy::structured::{AnswerForm, Check, checker};
use crate::table::Attempt;
use crate::table::settings::{Degrade, OnInvalid};
use crate::wire::Operation;
use crate::wire::envelope::Envelope;
use crate::wire::ir::{self, Error, OutputFormat};
use crate::wire::json;
use crate::wire::loss::Losses;
use crate::wire::structured::{Means, OutputPlan, request};

/// Whether the target, though it speaks the caller's protocol, lacks the form of the answer that is asked for, or the file
/// wants the answer looked at. Nothing of the document is read where neither can be, or where no member asks for a form.
pub(super) fn needs_the_hub(
    incoming: &Incoming<'_, '_>,
    edited: Option<&Bytes>,
    attempt: &Attempt<'_>,
    toward: &Toward<'_>,
) -> Result<bool, Error> {
    let settings = &attempt.settings.answers;
    let looks = settings.on_invalid != OnInvalid::Pass;
    let plan = plan(attempt, toward);
    let says = settings.output.is_some() || settings.json_mode.is_some();
    if incoming.call.operation != Operation::Generate || (!looks && !says && plan.is_native()) {
        return Ok(false);
    }
    if says {
        return Ok(true);
    }
    let asks = |envelope: &Envelope<'_>| {
        incoming.inbound.form_members().iter().any(|member| envelope.members.get(member).is_some())
    };
    let passes = |output: &OutputFormat| match output {
        OutputFormat::Text => true,
        OutputFormat::Json => !looks && plan.json == Means::JsonMode,
        OutputFormat::Schema { .. } => !looks && plan.schema.is_native(),
    };
    let form = match edited {
        None if asks(incoming.envelope) => decoded(incoming)?.output.as_ref().map(passes),
        Some(edited) if asks(&incoming.inbound.peek(&incoming.head, edited)?) => {
            incoming.inbound.decode_request(&incoming.head, edited)?.output.as_ref().map(passes)
        }
        None | Some(_) => None,
    };
    Ok(form == Some(false))
}

/// Rewrites `asked` for what the target offers.
///
/// # Errors
/// A target that could only be asked in words, where the file refuses that.
pub(super) fn apply(
    incoming: &Incoming<'_, '_>,
    asked: &mut ir::Request,
    attempt: &Attempt<'_>,
    toward: &Toward<'_>,
    losses: &mut Losses,
) -> Result<AnswerForm, Error> {
    let settings = &attempt.settings.answers;
    let mode = settings.json_mode.map(|mode| mode.asked(asked.output.as_ref()));
    if let Some(schema) = settings.output.as_deref() {
        ask_for(schema, asked, toward);
    }
    let checker = match settings.on_invalid {
        OnInvalid::Pass => None,
        OnInvalid::Repair | OnInvalid::Retry | OnInvalid::Fallback | OnInvalid::Error => {
            compiled(incoming, asked.output.as_ref())
        }
    };
    if let Some(correction) = toward.correction {
        request::correct(asked, &correction.answer, &correction.fault);
    }
    let target = (toward.endpoint.protocol, toward.outbound);
    let applied = match mode {
        Some(mode) => mode.prepare(asked, target, &plan(attempt, toward), losses),
        None => request::prepare(asked, target, &plan(attempt, toward), losses),
    };
    if settings.degrade == Degrade::Refuse && matches!(applied.means, Some(Means::Prompt)) {
        return Err(would_degrade(attempt, "only in words"));
    }
    if settings.degrade == Degrade::Refuse && applied.means == Some(Means::JsonMode) && applied.in_words {
        return Err(would_degrade(attempt, "only as JSON of any form"));
    }
    Ok(AnswerForm { applied, check: checker.map(|checker| Check { checker, policy: settings.on_invalid }) })
}

fn would_degrade(attempt: &Attempt<'_>, how: &str) -> Error {
    let message = format!(
        "{}/{} can be asked for this form of the answer {how}, and `degrade: refuse` of its preset forbids that; ask for a model with structured outputs, or write `degrade: allow` in the preset",
        attempt.provider.name, attempt.model,
    );
    Error::invalid(message).with_code("would_degrade").with_param("response_format")
}

/// The file's schema, where the caller has none.
fn ask_for(schema: &str, asked: &mut ir::Request, toward: &Toward<'_>) {
    if matches!(asked.output, Some(OutputFormat::Schema { .. })) {
        return;
    }
    let Some(schema) = json::raw(schema) else { return };
    toward.outbound.forget_form(&mut asked.ext);
    asked.output =
        Some(OutputFormat::Schema { name: Some("answer".to_owned()), description: None, schema, strict: None });
}

/// The compiled form, kept for the next try.
fn compiled(
    incoming: &Incoming<'_, '_>,
    output: Option<&OutputFormat>,
) -> Option<Arc<crate::wire::structured::check::Checker>> {
    let known = |text: &str| {
        let (known, checker) = incoming.checker.get()?;
        (**known == *text).then(|| Arc::clone(checker))
    };
    let checker = checker(output, known)?;
    if let Some(OutputFormat::Schema { schema, .. }) = output {
        incoming.checker.get_or_init(|| (schema.get().into(), Arc::clone(&checker)));
    }
    Some(checker)
}

/// What the target offers.
fn plan(attempt: &Attempt<'_>, toward: &Toward<'_>) -> OutputPlan {
    let at = attempt.provider.endpoints.iter().position(|known| std::ptr::eq(known, toward.endpoint));
    let compiled = at.and_then(|at| attempt.target.output_plan(attempt.provider, at, attempt.model));
    compiled.unwrap_or_else(|| toward.outbound.output_plan(attempt.model, toward.quirks))
}
