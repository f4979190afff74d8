//! What the record of a call gets to know on the request path.

use std::sync::Arc;

use http::HeaderMap;
use smallvec::SmallVec;

use super::pipe::Pipe;
use crate::rule::facts::TAG_HEADERS;
use crate::table::facts::RequestFacts;
use crate::table::telemetry::FactDepth;
use crate::table::{Decision, Draw, Outcome as Decided};
use crate::telemetry::Entry;
use crate::telemetry::entry::{Answered, DRAINING};
use crate::telemetry::facts::Named;
use crate::telemetry::inputs::Inputs;
use crate::telemetry::record::{Account, Fault, Known, MOST, Name, Outcome, Skipped};
use crate::wire::ir::{Finish, Response};

/// Longest name or value of a tag.
const LONGEST_TAG: usize = 128;

/// The targets of a call are known.
pub(super) fn decided(
    entry: &mut Entry,
    (decision, route, draw): (&Decision<'_>, &Arc<str>, Draw),
    request: &RequestFacts<'_, '_>,
    inputs: impl FnOnce() -> Option<Box<Inputs>>,
    (named, depth): (&Named, FactDepth),
) {
    entry.note(|record, began| {
        record.decided = Some(began.elapsed());
        record.operation = request.head.operation.name();
        record.stream = request.envelope.stream;
        record.model = Some((&*request.envelope.model).into());
        record.rule = decision.rule;
        record.route = Some(Arc::clone(route));
        record.draw = Some(draw.0);
        record.inputs = inputs();
        record.tags = tags(request.headers);
        record.facts = match depth {
            FactDepth::None => Known::new(),
            FactDepth::Known => named.of_request(request, request.request.get().is_some()),
            FactDepth::All => named.of_request(request, true),
        };
        if let Decided::Attempts { skipped, .. } = &decision.outcome {
            let down = skipped
                .iter()
                .take(MOST)
                .map(|attempt| Skipped { target: attempt.name(), reason: attempt.condition.word() });
            record.skipped = down.collect();
        }
    });
}

/// Tags that headers set.
fn tags(headers: &HeaderMap) -> Vec<(Box<str>, Box<str>)> {
    let mut tags = Vec::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(TAG_HEADERS) else { continue };
        let Ok(value) = value.to_str() else { continue };
        if name.len() <= LONGEST_TAG && value.len() <= LONGEST_TAG && tags.len() < MOST {
            tags.push((name.into(), value.into()));
        }
    }
    tags
}

/// Who gave a whole answer, and why it ended.
pub(super) fn answer(account: &mut Account, answer: &Response) {
    account.model = answer.model.as_deref().map(Into::into);
    for candidate in &answer.candidates {
        if let Some(reason) = &candidate.finish {
            finish(&mut account.finish_reasons, reason);
        }
    }
}

/// Why one answer ended, in the upstream's words where it has some.
pub(super) fn finish(reasons: &mut SmallVec<[Name; 1]>, finish: &Finish) {
    if reasons.len() < MOST {
        reasons.push(finish.raw.as_deref().unwrap_or(finish.reason.word()).into());
    }
}

/// What an answer's head says of itself.
pub(super) fn answered(status: u16, headers: &HeaderMap, bytes: u64) -> Answered {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let fault = (status >= 400).then(|| Fault {
        code: text("x-routeplane-code").map(Into::into),
        origin: if text("x-routeplane-origin") == Some("upstream") { "upstream" } else { "gateway" },
    });
    Answered { status, fault, bytes }
}

/// How a stream ended.
pub(super) fn stream_end(pipe: &Pipe) -> (Outcome, Option<Fault>) {
    let Some(error) = pipe.error() else {
        return (if pipe.is_complete() { Outcome::Ok } else { Outcome::CallerLeft }, None);
    };
    let ours = error.code.as_deref() == Some(DRAINING);
    let origin = if ours { "gateway" } else { "upstream" };
    let fault = Fault { code: error.code.as_deref().map(Into::into), origin };
    (if ours { Outcome::CutOff } else { Outcome::BrokeOff }, Some(fault))
}
