//! From a stream to the answer it tells.

use super::error::{Error, ErrorKind};
use super::event::{Delta, Event, PartKind, Scope};
use super::message::{Part, Reasoning, Text, ToolCall};
use super::response::{Candidate, Response};
use crate::wire::ProtocolId;
use crate::wire::json::Ext;

/// More answers than any provider gives at once (OpenAI: 128).
const MOST_CANDIDATES: usize = 128;

/// Folds the events of one whole stream into the answer that a request without `stream` would have got. Members that a
/// protocol gives only in whole answers are absent.
///
/// # Errors
/// The error with which the stream ended, and events that no decoder may send (a delta of a part that never began).
pub fn fold(origin: ProtocolId, events: &[Event]) -> Result<Response, Error> {
    let mut fold = Fold::new(origin);
    events.iter().try_for_each(|event| fold.add(event))?;
    Ok(fold.finish())
}

/// An answer that is put together while its stream comes.
pub struct Fold {
    response: Response,
    /// Where part number `index` stands: its candidate, and its position there.
    places: Vec<(usize, usize)>,
}

impl Fold {
    pub fn new(origin: ProtocolId) -> Fold {
        let response = Response {
            origin,
            id: None,
            model: None,
            created: None,
            candidates: Vec::new(),
            usage: None,
            ext: Ext::default(),
        };
        Fold { response, places: Vec::new() }
    }

    /// # Errors
    /// As [`fold`].
    pub fn add(&mut self, event: &Event) -> Result<(), Error> {
        let Fold { response, places } = self;
        match event {
            Event::Start { id, model, created } => {
                (response.id, response.model, response.created) = (id.clone(), model.clone(), *created);
            }
            Event::PartStart { index, candidate, kind } => {
                if *index as usize != places.len() {
                    return Err(misnumbered(*index));
                }
                let parts = &mut candidate_mut(response, *candidate)?.parts;
                places.push((*candidate as usize, parts.len()));
                parts.push(begin(kind));
            }
            Event::Delta { index, delta } => {
                let part = places
                    .get(*index as usize)
                    .and_then(|&(candidate, position)| response.candidates.get_mut(candidate)?.parts.get_mut(position));
                append(part.ok_or_else(|| misnumbered(*index))?, delta);
            }
            Event::Usage(usage) => response.usage = Some(*usage),
            Event::Finish { candidate, finish } => {
                candidate_mut(response, *candidate)?.finish = Some(finish.clone());
            }
            Event::Extra { scope, ext, .. } => {
                if let Some(known) = ext_mut(response, places, *scope)? {
                    known.replace(ext);
                }
            }
            Event::Error(error) => return Err(error.clone()),
            Event::PartEnd { .. } | Event::Ping => {}
        }
        Ok(())
    }

    pub fn finish(self) -> Response {
        self.response
    }
}

fn misnumbered(index: u32) -> Error {
    Error::new(ErrorKind::Internal, format!("part {index} of the stream is out of order"))
}

/// The candidate with this number; those before it may come later.
fn candidate_mut(response: &mut Response, candidate: u32) -> Result<&mut Candidate, Error> {
    let position = candidate as usize;
    let none = || Candidate { parts: Vec::new(), finish: None, ext: Ext::default() };
    if position < MOST_CANDIDATES && position >= response.candidates.len() {
        response.candidates.resize_with(position + 1, none);
    }
    let out_of_range = || Error::new(ErrorKind::Internal, format!("the stream has an answer number {candidate}"));
    response.candidates.get_mut(position).ok_or_else(out_of_range)
}

/// The `ext` that a chunk's members belong to, `None` for a part that has none.
fn ext_mut<'r>(
    response: &'r mut Response,
    places: &[(usize, usize)],
    scope: Scope,
) -> Result<Option<&'r mut Ext>, Error> {
    match scope {
        Scope::Response => Ok(Some(&mut response.ext)),
        Scope::Candidate(candidate) => Ok(Some(&mut candidate_mut(response, candidate)?.ext)),
        Scope::Part(index) => {
            let place = places.get(index as usize).copied();
            let part =
                place.and_then(|(candidate, position)| response.candidates.get_mut(candidate)?.parts.get_mut(position));
            Ok(match part.ok_or_else(|| misnumbered(index))? {
                Part::Text(text) | Part::Refusal(text) => Some(&mut text.ext),
                Part::Media(media) => Some(&mut media.ext),
                Part::Reasoning(reasoning) => Some(&mut reasoning.ext),
                Part::ToolCall(call) => Some(&mut call.ext),
                Part::ToolResult(result) => Some(&mut result.ext),
                Part::Opaque(_) => None,
            })
        }
    }
}

fn begin(kind: &PartKind) -> Part {
    match kind {
        PartKind::Text => Part::Text(Text::default()),
        PartKind::Refusal => Part::Refusal(Text::default()),
        PartKind::Reasoning => Part::Reasoning(Reasoning::default()),
        PartKind::RedactedReasoning(redacted) => {
            Part::Reasoning(Reasoning { redacted: Some(redacted.clone()), ..Reasoning::default() })
        }
        PartKind::ToolCall { id, name } => Part::ToolCall(ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
            signature: None,
            ext: Ext::default(),
        }),
        PartKind::Media(media) => Part::Media(media.clone()),
        PartKind::Opaque(opaque) => Part::Opaque(opaque.clone()),
    }
}

fn append(part: &mut Part, delta: &Delta) {
    match (part, delta) {
        (Part::Text(text) | Part::Refusal(text), Delta::Text(more)) => text.text.push_str(more),
        (Part::Reasoning(reasoning), Delta::Text(more)) => reasoning.text.push_str(more),
        (Part::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(more),
        (
            Part::Reasoning(Reasoning { signature, .. }) | Part::ToolCall(ToolCall { signature, .. }),
            Delta::Signature(new),
        ) => {
            *signature = Some(new.clone());
        }
        // No decoder sends these pairs; a fold of them changes nothing.
        (Part::Text(_) | Part::Refusal(_), Delta::Arguments(_) | Delta::Signature(_))
        | (Part::Reasoning(_), Delta::Arguments(_))
        | (Part::ToolCall(_), Delta::Text(_))
        | (Part::Media(_) | Part::ToolResult(_) | Part::Opaque(_), _) => {}
    }
}
