//! From the hub to a whole answer for a caller.

use super::{SELF, block, cite, finish, legal, usage};
use crate::wire::ir::{
    Candidate, MediaKind, MediaSource, Part, Reasoning, Response, Scope, Signature, Text, ToolCall, citation,
};
use crate::wire::json::{self, Ext};
use crate::wire::loss::Losses;
use crate::wire::usage_left;

pub(super) const SEVERAL: &str = "Converse has one answer; the first is given";
pub(super) const NO_COUNTERPART: &str = "the part has no counterpart in an answer of Converse";
pub(super) const FOREIGN_SIGNATURE: &str = "another vendor's signature has no place in Converse";

/// Writes an answer.
pub(super) fn encode(response: &Response, out: &mut Vec<u8>, losses: &mut Losses) {
    let own = response.origin == SELF;
    if response.candidates.len() > 1 {
        losses.dropped("choices", SEVERAL);
    }
    let candidate = response.candidates.first();
    let id = response.id.as_deref().unwrap_or_default();
    let parts: Vec<Part> = candidate.map_or_else(Vec::new, |candidate| visible(candidate, own, id, losses));
    if !own {
        losses.dropped_extra(Scope::Response, &response.ext);
        losses.dropped_counts(&response.usage.unwrap_or_default(), usage::SAID);
        candidate.iter().for_each(|candidate| losses.dropped_ext("choices.", &candidate.ext));
    }
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let finish = candidate.and_then(|candidate| candidate.finish.as_ref());
    finish.iter().for_each(|finish| losses.degraded_finish(finish, finish::UNSAID));
    json::object(out, |body| {
        body.object("output", |output| {
            output.object("message", |message| {
                message.field("role", "assistant");
                message.array("content", &parts, block::write);
            });
        });
        body.field("stopReason", finish::write(finish, own, calls));
        let left = Some(&response.ext).filter(|_| own);
        usage_left::write(left, body, |body| usage::write(&response.usage.unwrap_or_default(), body));
        usage::write_metrics(response.ext.get("metrics").filter(|_| own), body);
        let fields = response.ext.get("additionalModelResponseFields").filter(|_| own);
        if fields.is_none() {
            usage::write_stop_sequence(finish.and_then(|finish| finish.stop_sequence.as_ref()), body);
        }
        if own {
            for (key, value) in response.ext.0.iter().filter(|(key, _)| !matches!(key.as_str(), "metrics" | "usage")) {
                body.raw(key, value);
            }
        }
    });
}

/// The parts as a caller of this protocol sees them.
fn visible(candidate: &Candidate, own: bool, id: &str, losses: &mut Losses) -> Vec<Part> {
    let parts = candidate.parts.iter().enumerate();
    parts.filter_map(|(position, part)| self::part(part, position, own, id, losses)).collect()
}

fn part(part: &Part, position: usize, own: bool, id: &str, losses: &mut Losses) -> Option<Part> {
    match part {
        Part::ToolCall(call) => {
            if call.signature.is_some() {
                losses.dropped("content.signature", FOREIGN_SIGNATURE);
            }
            if block::input(&call.arguments).is_none() {
                losses.degraded(
                    "content.arguments",
                    "arguments that are no JSON object are given as the text `_raw` of one",
                );
            }
            let ext = kept(&call.ext, own, losses);
            let id = Some(visible_id(call.id.as_deref(), id, position, &call.name));
            Some(Part::ToolCall(ToolCall { id, ext, signature: None, ..call.clone() }))
        }
        part if own => Some(part.clone()),
        Part::Text(text) | Part::Refusal(text) => {
            losses.dropped_but_citations("content.", &text.ext);
            let ext = cite::list(&citation::beside(text, cite::foreign, losses));
            (!text.text.is_empty()).then(|| Part::Text(Text { text: text.text.clone(), ext }))
        }
        Part::Reasoning(reasoning) => thoughts(reasoning, losses).map(Part::Reasoning),
        Part::Media(media) if media.kind == MediaKind::Image && matches!(media.source, MediaSource::Base64 { .. }) => {
            losses.dropped_ext("content.", &media.ext);
            let mut media = media.clone();
            (media.name, media.detail, media.ext) = (None, None, Ext::default());
            Some(Part::Media(media))
        }
        Part::Opaque(opaque) if opaque.origin == SELF => Some(part.clone()),
        Part::Opaque(opaque) => {
            losses.dropped_part("content", &opaque.raw, NO_COUNTERPART);
            None
        }
        Part::Media(_) => {
            losses.dropped("content.media", NO_COUNTERPART);
            None
        }
        Part::ToolResult(_) => {
            losses.dropped("content.tool_result", NO_COUNTERPART);
            None
        }
    }
}

fn kept(ext: &Ext, own: bool, losses: &mut Losses) -> Ext {
    if own {
        return ext.clone();
    }
    losses.dropped_ext("content.", ext);
    Ext::default()
}

/// The id of a call in an answer: the upstream's own where it is legal, else one of the answer and the place in it.
pub(super) fn visible_id(given: Option<&str>, id: &str, position: usize, name: &str) -> String {
    match given {
        Some(given) if !given.is_empty() => legal::call_id(given),
        // The colons are not legal, so that this becomes a digest.
        _ => legal::call_id(&format!("{id}:{position}:{name}")),
    }
}

/// Whether the proof is one that callers can give back.
pub(super) fn is_own(proof: &Signature) -> bool {
    proof.issuer == SELF
}

fn thoughts(reasoning: &Reasoning, losses: &mut Losses) -> Option<Reasoning> {
    let proofs = [&reasoning.signature, &reasoning.redacted];
    if proofs.iter().any(|proof| proof.as_ref().is_some_and(|proof| !is_own(proof))) {
        losses.dropped("content.signature", FOREIGN_SIGNATURE);
    }
    losses.dropped_ext("content.", &reasoning.ext);
    let own = |proof: &Option<Signature>| proof.clone().filter(is_own);
    let seen = Reasoning {
        text: reasoning.text.clone(),
        signature: own(&reasoning.signature),
        redacted: own(&reasoning.redacted),
        ext: Ext::default(),
    };
    (!seen.text.is_empty() || seen.signature.is_some() || seen.redacted.is_some()).then_some(seen)
}
