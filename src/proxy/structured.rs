//! Answers of a given form, as the file wants them dealt with: what is checked, and what follows from a bad one.

use std::sync::Arc;

use super::failure::{Failure, InvalidAnswer};
use crate::table::settings::OnInvalid;
use crate::wire::ir::{OutputFormat, Request, Response};
use crate::wire::structured::Applied;
use crate::wire::structured::answer;
use crate::wire::structured::check::Checker;
use crate::wire::structured::judged::Judged;
use crate::wire::structured::stream::Restored;
use crate::wire::structured::watch::{Conduct, Slot, Watched};
use crate::wire::{StreamDecoder, ir};

/// What a try must do about its answer.
#[derive(Debug, Clone, Default)]
pub struct AnswerForm {
    pub applied: Applied,
    /// `None` where the file wants nobody to look, or nothing was asked for.
    pub check: Option<Check>,
}

/// How an answer is checked.
#[derive(Debug, Clone)]
pub struct Check {
    pub checker: Arc<Checker>,
    pub policy: OnInvalid,
}

/// An answer that was bad, for the second try of its target.
#[derive(Debug, Clone)]
pub struct Correction {
    pub answer: String,
    pub fault: String,
}

impl AnswerForm {
    /// Undoes the emulation in a whole answer, and judges it.
    pub fn settle(&self, response: &mut Response) -> Option<Judged> {
        answer::restore(response, &self.applied);
        let Check { checker, policy } = self.check.as_ref()?;
        let mends = match policy {
            OnInvalid::Repair | OnInvalid::Retry | OnInvalid::Fallback => true,
            OnInvalid::Pass | OnInvalid::Error => false,
        };
        Some(answer::judge(response, checker, mends))
    }

    /// Why a whole answer is not given, where it is for its form.
    pub fn refusal(&self, judged: &Judged) -> Option<Failure> {
        match self.check.as_ref()?.policy {
            OnInvalid::Retry | OnInvalid::Fallback | OnInvalid::Error => self.failure(judged),
            OnInvalid::Pass | OnInvalid::Repair => None,
        }
    }

    /// Does the same to a stream of as many answers as `request` asks for; what came of it is in the slot once they have ended.
    pub fn decoder(&self, decoder: Box<dyn StreamDecoder>, request: &Request, slot: &Slot) -> Box<dyn StreamDecoder> {
        let decoder: Box<dyn StreamDecoder> = match self.applied.changes_answers() {
            true => Box::new(Restored::new(decoder, self.applied.clone())),
            false => decoder,
        };
        let Some(Check { checker, policy }) = &self.check else { return decoder };
        let conduct = match policy {
            OnInvalid::Pass | OnInvalid::Error => Conduct::Pass,
            OnInvalid::Repair => Conduct::HoldAndMend,
            OnInvalid::Retry | OnInvalid::Fallback => Conduct::HoldOrFail,
        };
        let expected =
            request.sampling.candidates.and_then(|several| usize::try_from(several).ok()).unwrap_or(1).max(1);
        Box::new(Watched::new(decoder, Arc::clone(checker), conduct, expected, Arc::clone(slot)))
    }

    /// Whether a stream is held to its end.
    pub fn holds(&self) -> bool {
        self.check.as_ref().is_some_and(|check| match check.policy {
            OnInvalid::Repair | OnInvalid::Retry | OnInvalid::Fallback => true,
            OnInvalid::Pass | OnInvalid::Error => false,
        })
    }

    /// Why an answer that was held gives nothing, where it is for its form.
    pub fn failure(&self, judged: &Judged) -> Option<Failure> {
        let policy = self.check.as_ref()?.policy;
        let correction = Correction { answer: judged.text.clone(), fault: judged.fault()? };
        Some(Failure::Invalid(Box::new(InvalidAnswer { correction, policy })))
    }
}

/// The compiled form that a request asks for.
pub fn checker(
    output: Option<&ir::OutputFormat>,
    known: impl Fn(&str) -> Option<Arc<Checker>>,
) -> Option<Arc<Checker>> {
    match output? {
        OutputFormat::Text => None,
        OutputFormat::Json => Some(Arc::new(Checker::of_objects())),
        OutputFormat::Schema { schema, .. } => {
            Some(known(schema.get()).unwrap_or_else(|| Arc::new(Checker::of_schema(schema))))
        }
    }
}
