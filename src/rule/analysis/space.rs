//! What requests there can be: the facts of a request are independent of each other but for what is said here.
//!
//! - A request names a model, and every number is at least 0; `hour`, `weekday` and `bucket` have their bounds.
//! - `key` and `key.*` are those of one of the file's client keys, and absent where the file has none.
//! - `protocol` is one that callers can speak.
//! - The value of a header is printable ASCII, and only a header's name can be one.
//! - `session` is the value of the first of the headers that name sessions; a tag's header wins over the body's tag; the
//!   user's header counts where the body names nobody.
//! - As many tools are offered as `tool("...")` holds for, or more.
//! - A bucket is that of the user, else of the session, else of the request's id.

use std::collections::BTreeMap;

use super::texts::Legal;
use crate::rule::facts::{self, EPISODE_HEADER, SESSION_HEADERS, USER_HEADER, tag_header};
use crate::rule::predicate::{Atom, Predicate, ValueFact};
use crate::rule::request::RequestShape;
use crate::rule::{Facts, NumberFact, TextFact};
use crate::wire::ProtocolId;

/// A client key, as far as conditions see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    pub id: String,
    pub attributes: BTreeMap<String, String>,
}

impl KeyFacts {
    /// What the key says of `key` or `key.*`.
    pub(super) fn text(&self, fact: &TextFact) -> Option<&str> {
        match fact {
            TextFact::Key => Some(&self.id),
            TextFact::KeyAttribute(name) => self.attributes.get(&**name).map(String::as_str),
            _ => None,
        }
    }
}

/// The requests that a file may meet.
#[derive(Debug, Clone, Default)]
pub struct Space {
    pub(super) keys: Vec<KeyFacts>,
    /// Headers that some condition asks for.
    headers: Vec<Box<str>>,
}

impl Space {
    /// The space of a file with these keys and conditions.
    pub fn new<'p>(keys: Vec<KeyFacts>, conditions: impl IntoIterator<Item = &'p Predicate>) -> Space {
        let mut headers = Vec::new();
        conditions.into_iter().for_each(|condition| collect_headers(condition, &mut headers));
        headers.sort_unstable();
        headers.dedup();
        Space { keys, headers }
    }

    /// Why a test of one fact always has the same result, where that lies in the fact and not in the test.
    pub fn reason(&self, atom: &Atom) -> Option<String> {
        match atom {
            Atom::Text { fact: TextFact::Key | TextFact::KeyAttribute(_), .. } if self.keys.is_empty() => {
                Some("the file has no `keys:`, so no request has a client key".to_owned())
            }
            Atom::Text { fact: TextFact::Key, .. } => {
                let ids: Vec<String> = self.keys.iter().take(5).map(|key| format!("`{}`", key.id)).collect();
                Some(format!("the client keys are {}", ids.join(", ")))
            }
            Atom::Text { fact: fact @ TextFact::KeyAttribute(_), .. } => {
                let values = self.keys.iter().filter_map(|key| key.text(fact));
                let mut values: Vec<String> = values.take(5).map(|value| format!("`{value}`")).collect();
                values.dedup();
                Some(match values.is_empty() {
                    true => format!("no client key has `{fact}`"),
                    false => format!("client keys have {fact} {}", values.join(", ")),
                })
            }
            Atom::Text { fact: TextFact::Model, .. } => Some("every request names a model".to_owned()),
            Atom::Text { fact: TextFact::Header(_) | TextFact::Session | TextFact::Episode, .. } => {
                Some("the names and values of headers are printable ASCII, without blanks at their ends".to_owned())
            }
            Atom::Value { fact: fact @ ValueFact::Protocol, .. } => {
                let unspoken: Vec<u64> = Space::unspoken().collect();
                let words = fact.words().map_or(&[][..], |words| words.list);
                let spoken = (0u64..).zip(words).filter(|(at, _)| !unspoken.contains(at)).map(|(_, word)| *word);
                Some(format!("callers speak {}", spoken.collect::<Vec<_>>().join(", ")))
            }
            Atom::Value { fact, .. } => Some(match Space::greatest(fact) {
                u64::MAX => format!("`{fact}` is 0 or more"),
                greatest if fact.words().is_none() => format!("`{fact}` is 0 to {greatest}"),
                _ => {
                    format!("`{fact}` is one of {}", fact.words().map_or(String::new(), |words| words.list.join(", ")))
                }
            }),
            Atom::Text { .. } | Atom::Flag(_) => None,
        }
    }

    fn asks_for(&self, header: &str) -> bool {
        self.headers.binary_search_by(|known| (**known).cmp(header)).is_ok()
    }

    /// The headers that speak for this fact before (`session`, tags) or after (`user`) its own value, where a condition asks
    /// for one of them: then the two must be looked at together.
    pub(super) fn linked(&self, fact: &TextFact) -> Option<Linked> {
        let header = |name: &str| TextFact::Header(name.into());
        match fact {
            TextFact::Session if SESSION_HEADERS.iter().any(|name| self.asks_for(name)) => {
                Some(Linked { facts: SESSION_HEADERS.iter().map(|name| header(name)).collect() })
            }
            TextFact::Episode if self.asks_for(EPISODE_HEADER) => Some(Linked { facts: vec![header(EPISODE_HEADER)] }),
            TextFact::Tag(name) if self.asks_for(&tag_header(name)) => {
                Some(Linked { facts: vec![header(&tag_header(name)), fact.clone()] })
            }
            TextFact::User if self.asks_for(USER_HEADER) => {
                Some(Linked { facts: vec![TextFact::User, header(USER_HEADER)] })
            }
            _ => None,
        }
    }

    /// What texts the fact may have; `None`: it is never there.
    pub(super) fn legal(fact: &TextFact) -> Option<Legal> {
        match fact {
            TextFact::Header(name) => http::HeaderName::try_from(&**name).ok().map(|_| Legal::Header),
            TextFact::Session | TextFact::Episode => Some(Legal::Header),
            _ => Some(Legal::Any),
        }
    }

    /// The greatest value of the fact.
    pub(super) fn greatest(fact: &ValueFact) -> u64 {
        match fact {
            ValueFact::Number(NumberFact::Hour) => 23,
            ValueFact::Bucket(_) => 99,
            fact => fact.words().map_or(u64::MAX, |words| words.list.len() as u64 - 1),
        }
    }

    /// The value that a request has where nothing else is asked for: that of [`RequestShape::hello`].
    pub(in crate::rule) fn plain(fact: &ValueFact) -> u64 {
        match fact {
            ValueFact::Number(number) => RequestShape::hello("").number(*number),
            _ => 0,
        }
    }

    /// Positions in [`facts::PROTOCOL`] that no caller can have.
    pub(super) fn unspoken() -> impl Iterator<Item = u64> {
        let callers = |id: &ProtocolId| id.codec().is_some_and(|codec| codec.inbound().is_some());
        ProtocolId::ALL.into_iter().filter(move |id| !callers(id)).map(|id| facts::protocol_position(id, false))
    }
}

/// Facts of which the first that is there counts.
pub(super) struct Linked {
    pub(super) facts: Vec<TextFact>,
}

fn collect_headers(condition: &Predicate, headers: &mut Vec<Box<str>>) {
    match condition {
        Predicate::All(parts) | Predicate::Any(parts) => parts.iter().for_each(|part| collect_headers(part, headers)),
        Predicate::Not(inner) => collect_headers(inner, headers),
        Predicate::Atom(Atom::Text { fact: TextFact::Header(name), .. }) => headers.push(name.clone()),
        Predicate::Always | Predicate::Atom(_) => {}
    }
}
