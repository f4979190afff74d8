//! What a caller is told whose request no target is asked: no route, none that is available, or a denial.

use crate::table::select::NotFound;
use crate::table::wishes::Unmet;
use crate::table::{Attempt, Decision, Outcome};
use crate::wire::ir::{Error, ErrorKind};

/// The targets of a decision, at least one; or what a decision without any says to the caller.
pub(super) fn targets<'d, 't>(decision: &'d Decision<'t>, model: &str) -> Result<&'d [Attempt<'t>], Error> {
    match &decision.outcome {
        Outcome::Attempts { attempts, .. } if !attempts.is_empty() => Ok(attempts),
        Outcome::Attempts { .. } => {
            Err(Error::new(ErrorKind::Overloaded, format!("no target of {} is available now", decision.route))
                .with_code("no_healthy_target"))
        }
        Outcome::Deny { status, text } => {
            let kind = match status {
                401 => ErrorKind::Authentication,
                403 => ErrorKind::Permission,
                404 => ErrorKind::NotFound,
                413 => ErrorKind::TooLarge,
                429 => ErrorKind::RateLimit,
                500..=599 => ErrorKind::Overloaded,
                _ => ErrorKind::InvalidRequest,
            };
            let text = text.map_or_else(|| format!("{} denies this request", decision.route), str::to_owned);
            Err(Error::new(kind, text).with_code("denied").with_status(*status))
        }
        Outcome::NotFound(reason) => Err(not_found(reason, model)),
        Outcome::Unmet(unmet) => Err(refused(unmet.clone())),
    }
}

/// A way that cannot be gone, for the caller that asked for it.
pub(super) fn refused(unmet: Unmet) -> Error {
    let error = Error::invalid(unmet.message).with_code(unmet.code);
    match unmet.member {
        Some(member) => error.with_param(member),
        None => error,
    }
}

fn not_found(reason: &NotFound<'_>, model: &str) -> Error {
    let message = match reason {
        NotFound::Unknown { suggestion: Some(suggestion) } => {
            format!(
                "the model `{model}` does not exist here; did you mean `{suggestion}`? GET /v1/models lists what there is"
            )
        }
        NotFound::Unknown { suggestion: None } => format!(
            "the model `{model}` does not exist here; write `provider/model` or a preset's name. GET /v1/models lists what there is"
        ),
        NotFound::Ambiguous { providers } => {
            let choices: Vec<String> = providers.iter().map(|provider| format!("`{provider}/{model}`")).collect();
            format!("the model `{model}` is served by several providers; write {}", choices.join(" or "))
        }
        NotFound::Inactive { provider, variables } => {
            format!(
                "the provider `{provider}` has no key here; set {variables} and restart, or name it in the configuration"
            )
        }
    };
    Error::new(ErrorKind::NotFound, message).with_code("model_not_found").with_param("model")
}
