//! Members of a stream's chunks that nobody modelled: citations, annotations, audio, log probabilities, ...
//!
//! A member of a delta is told under `message.`, where it stands in a whole answer. What comes in pieces is told in pieces.

use super::cite;
use super::response::speaks;
use crate::wire::ProtocolId;
use crate::wire::ir::{Citation, Event, Scope};
use crate::wire::json::{self, Ext, Member, Object};

/// Members of a chunk that are read, or that say nothing (`obfuscation` is padding).
const CHUNK: [&str; 8] = ["id", "object", "created", "model", "choices", "usage", "x_groq", "obfuscation"];
const CHOICE: [&str; 5] = ["index", "delta", "message", "finish_reason", "usage"];
const DELTA: [&str; 9] = [
    "role",
    "content",
    "refusal",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "images",
    "tool_calls",
    "function_call",
];
/// Where members of a message stand in the `ext` of its candidate.
pub(super) const MESSAGE: &str = "message.";

pub(super) fn event(scope: Scope, ext: Ext) -> Event {
    Event::Extra { origin: ProtocolId::OpenAiChat, scope, ext }
}

/// What the chunk says that `told` does not say yet; `told` says it from then on.
pub(super) fn news(chunk: &Object<'_>, told: &mut Ext) -> Ext {
    let mut news = Ext::default();
    for member in unmodelled(chunk, &CHUNK) {
        if told.get(&member.key).is_none_or(|known| known.get() != member.value.get()) {
            told.0.retain(|(key, _)| *key != member.key);
            let pair = (member.key.to_string(), member.value.to_owned());
            told.0.push(pair.clone());
            news.0.push(pair);
        }
    }
    news
}

pub(super) fn of_choice(choice: &Object<'_>) -> Ext {
    Ext(unmodelled(choice, &CHOICE).map(|member| (member.key.to_string(), member.value.to_owned())).collect())
}

pub(super) fn of_delta(delta: &Object<'_>) -> Ext {
    let pair = |member: &Member<'_>| (format!("{MESSAGE}{}", member.key), member.value.to_owned());
    Ext(unmodelled(delta, &DELTA).map(pair).collect())
}

/// Annotations of a message without a text.
pub(super) fn of_no_text(cited: &[Citation]) -> Ext {
    let mut list = Vec::new();
    let verbatim = cited.iter().filter_map(|citation| citation.verbatim.as_ref());
    json::array(&mut list, verbatim, |one, out| out.extend_from_slice(one.get().as_bytes()));
    let list = String::from_utf8(list).ok().and_then(json::raw);
    Ext(list.map(|list| (format!("{MESSAGE}{}", cite::MEMBER), list)).into_iter().collect())
}

fn unmodelled<'o, 'a>(object: &'o Object<'a>, modelled: &'o [&str]) -> impl Iterator<Item = &'o Member<'a>> {
    let says = |member: &&Member<'_>| speaks(member.value) && !json::says_nothing(member.value);
    object.members().iter().filter(|member| !modelled.contains(&&*member.key)).filter(says)
}
