//! A whole answer, turned back into the form that the caller asked for.

use super::Applied;
use super::check::Checker;
use super::judged::Judged;
use super::text::Cleaner;
use crate::wire::ir::{Candidate, Finish, FinishReason, Part, Response, Text};

/// Undoes in `response` what `applied` did to the request.
pub fn restore(response: &mut Response, applied: &Applied) {
    if !applied.changes_answers() {
        return;
    }
    for candidate in &mut response.candidates {
        if let Some(tool) = &applied.tool {
            call_to_text(candidate, tool);
        }
        for part in &mut candidate.parts {
            if let Part::Text(text) = part {
                text.text = Cleaner::whole(applied, &text.text);
            }
        }
    }
}

/// Judges an answer, and mends it where it is bad and `mends`.
pub fn judge(response: &mut Response, checker: &Checker, mends: bool) -> Judged {
    let (judged, mended) = Judged::of(response.candidates.iter(), checker, mends);
    for (candidate, mended) in response.candidates.iter_mut().zip(mended) {
        if let Some(mended) = mended {
            replace(candidate, mended);
        }
    }
    judged
}

/// Puts `text` in place of the candidate's words.
fn replace(candidate: &mut Candidate, text: String) {
    let mut text = Some(text);
    candidate.parts.retain_mut(|part| match part {
        Part::Text(known) => {
            let first = text.take().map(|text| known.text = text);
            first.is_some()
        }
        Part::Refusal(_)
        | Part::Media(_)
        | Part::Reasoning(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Opaque(_) => true,
    });
}

/// The call of the tool becomes the answer's text. A model that refused has made none, and its words stay.
fn call_to_text(candidate: &mut Candidate, tool: &str) {
    let is_answer = |part: &Part| matches!(part, Part::ToolCall(call) if call.name == tool);
    if !candidate.parts.iter().any(is_answer) {
        return;
    }
    let mut answered = false;
    candidate.parts.retain_mut(|part| match part {
        Part::ToolCall(call) if call.name == tool => {
            let first = !std::mem::replace(&mut answered, true);
            let arguments = std::mem::take(&mut call.arguments);
            *part = Part::Text(Text::new(arguments));
            first
        }
        // Prose before the call is not JSON.
        Part::Text(_) => false,
        Part::ToolCall(_)
        | Part::Refusal(_)
        | Part::Media(_)
        | Part::Reasoning(_)
        | Part::ToolResult(_)
        | Part::Opaque(_) => true,
    });
    if let Some(finish) = &mut candidate.finish {
        said(finish);
    }
}

/// A call was made to say something: the model has said everything.
pub(super) fn said(finish: &mut Finish) {
    if finish.reason == FinishReason::ToolCalls {
        *finish = Finish::new(FinishReason::Stop);
    }
}
