//! The outside of a request: what routing reads, and the edits that a pass-through needs, as spans of the body.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use super::ir::Error;
use super::json::{self, JsonError};
use super::outline::Outline;

/// A request's outside. Borrowed from the body; the members' values are unread.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// The body; members' spans are offsets in it.
    pub body: &'a [u8],
    /// Top-level members of the body, in order.
    pub members: Outline<'a>,
    /// What the caller asked for by name.
    pub model: Cow<'a, str>,
    pub stream: bool,
    /// The caller's own name for its user, where the protocol has a member for it.
    pub user: Option<Cow<'a, str>>,
}

/// One change of a top-level member.
#[derive(Debug, Clone)]
pub enum Edit<'e> {
    /// Sets the member, whether present or not.
    Set(&'e str, Cow<'e, [u8]>),
    /// Sets the member only where it is absent.
    Default(&'e str, Cow<'e, [u8]>),
    /// Removes the member where it is present.
    Remove(&'e str),
}

impl Edit<'_> {
    fn member(&self) -> &str {
        match self {
            Edit::Set(key, _) | Edit::Default(key, _) | Edit::Remove(key) => key,
        }
    }
}

impl<'a> Envelope<'a> {
    /// Reads a body that names its model in `model` and wants a stream by `stream`; whose user asks is not read.
    ///
    /// # Errors
    /// No JSON object, a model that is none, `stream` that is no switch.
    pub fn read(body: &'a [u8]) -> Result<Envelope<'a>, Error> {
        let members = Outline::parse(json::utf8(body)?)?;
        let model = members.get("model").ok_or_else(|| JsonError::Missing { key: "model".to_owned() })?;
        let model = json::string(model).filter(|model| !model.is_empty());
        let model = model
            .ok_or_else(|| JsonError::Type { key: "model".to_owned(), expected: "a string that names a model" })?;
        let stream = match members.get("stream") {
            Some("true") => true,
            None | Some("false" | "null") => false,
            Some(_) => return Err(JsonError::Type { key: "stream".to_owned(), expected: "true or false" }.into()),
        };
        Ok(Envelope { body, members, model, stream, user: None })
    }

    /// Applies `edits` to `body`, which must be the bytes that this envelope was read from.
    pub fn splice(&self, body: &Bytes, edits: &[Edit<'_>]) -> SmallVec<[Bytes; 4]> {
        splice(body, self.body, &self.members, edits)
    }
}

/// Applies `edits` to the object `members` that was read from `text`; `body` holds the same bytes. What no edit names is
/// not copied: the result is slices of `body` with the new values between them. Of several edits of one member the last
/// `Set` or `Remove` wins.
pub fn splice(body: &Bytes, text: &[u8], members: &Outline<'_>, edits: &[Edit<'_>]) -> SmallVec<[Bytes; 4]> {
    let mut pieces = Pieces { body, position: 0, out: SmallVec::new() };
    if edits.is_empty() {
        pieces.out.push(body.clone());
        return pieces.out;
    }
    let source = Source { text, members };
    let mut kept_before = false;
    for (at, member) in members.entries().iter().enumerate() {
        match decided(edits, &member.key) {
            Some(Edit::Set(_, value)) => pieces.replace(source.span(member.value), value),
            Some(Edit::Remove(_)) => {
                pieces.replace(source.member_span(at, kept_before), b"");
                continue;
            }
            Some(Edit::Default(..)) | None => {}
        }
        kept_before = true;
    }
    let missing = missing_members(members, edits);
    if !missing.is_empty() {
        let end = text.iter().rposition(|&byte| byte == b'}').unwrap_or(text.len());
        pieces.replace(end..end, &missing);
    }
    pieces.finish()
}

/// New members go to the end, before the closing brace: what the caller wrote first stays first (prompt caches are
/// prefix-sensitive).
fn missing_members(members: &Outline<'_>, edits: &[Edit<'_>]) -> Vec<u8> {
    let removed = |key: &str| matches!(decided(edits, key), Some(Edit::Remove(_)));
    let kept = members.entries().iter().filter(|member| !removed(&member.key)).count();
    let mut inserted: SmallVec<[&str; 8]> = SmallVec::new();
    let mut text = Vec::new();
    for edit in edits {
        let (Edit::Set(key, _) | Edit::Default(key, _)) = edit else { continue };
        if members.get(key).is_some() || removed(key) || inserted.contains(key) {
            continue;
        }
        // The last `Set` of the member decides; where there is none, the first default.
        let (Edit::Set(_, value) | Edit::Default(_, value)) = decided(edits, key).unwrap_or(edit) else { continue };
        if kept + inserted.len() > 0 {
            text.push(b',');
        }
        inserted.push(key);
        super::json::write(*key, &mut text);
        text.push(b':');
        text.extend_from_slice(value);
    }
    text
}

/// The edit that decides about a member that is present: the last one that is not a default.
fn decided<'s, 'e>(edits: &'s [Edit<'e>], key: &str) -> Option<&'s Edit<'e>> {
    edits.iter().rev().find(|edit| !matches!(edit, Edit::Default(..)) && edit.member() == key)
}

/// An object and the text it was read from.
struct Source<'s, 'a> {
    text: &'s [u8],
    members: &'s Outline<'a>,
}

impl Source<'_, '_> {
    /// Where `value` lies in the text.
    fn span(&self, value: &str) -> Range<usize> {
        let start = (value.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        start..start + value.len()
    }

    /// The member with its key and one comma: the one before it, or, where nothing before it is kept, the one after it.
    fn member_span(&self, at: usize, kept_before: bool) -> Range<usize> {
        let members = self.members.entries();
        let value = |position: usize| members.get(position).map(|member| self.span(member.value));
        let end = value(at).map_or(0, |span| span.end);
        let start = at.checked_sub(1).and_then(value).map_or(self.open_brace() + 1, |before| before.end);
        if kept_before || at + 1 == members.len() {
            return start..end;
        }
        let comma = self.text.iter().skip(end).position(|&byte| byte == b',').map_or(end, |offset| end + offset + 1);
        start..comma
    }

    fn open_brace(&self) -> usize {
        self.text.iter().position(|&byte| byte == b'{').unwrap_or(0)
    }
}

struct Pieces<'b> {
    body: &'b Bytes,
    position: usize,
    out: SmallVec<[Bytes; 4]>,
}

impl Pieces<'_> {
    fn replace(&mut self, span: Range<usize>, value: &[u8]) {
        let start = span.start.max(self.position);
        if start > self.position {
            self.out.push(self.body.slice(self.position..start));
        }
        if !value.is_empty() {
            self.out.push(Bytes::copy_from_slice(value));
        }
        self.position = span.end.max(start);
    }

    fn finish(mut self) -> SmallVec<[Bytes; 4]> {
        if self.position < self.body.len() {
            self.out.push(self.body.slice(self.position..));
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn spliced(body: &str, edits: &[Edit<'_>]) -> String {
        let members = Outline::parse(body).unwrap();
        let envelope =
            Envelope { body: body.as_bytes(), members, model: Cow::Borrowed("m"), stream: false, user: None };
        String::from_utf8(envelope.splice(&Bytes::copy_from_slice(body.as_bytes()), edits).concat()).unwrap()
    }

    fn set<'e>(key: &'e str, value: &'e str) -> Edit<'e> {
        Edit::Set(key, Cow::Borrowed(value.as_bytes()))
    }

    #[test]
    fn what_no_edit_names_stays_byte_for_byte() {
        let body = "{ \"model\" : \"a\" ,\n \"n\": 1.0, \"x\": {\"model\": \"in\\u0041\"} }";
        assert_eq!(spliced(body, &[]), body);
        assert_eq!(spliced(body, &[set("model", "\"b\"")]), body.replace("\"a\"", "\"b\""));
    }

    #[test]
    fn new_members_go_to_the_end_and_defaults_yield() {
        let default = |key, value: &'static str| Edit::Default(key, Cow::Borrowed(value.as_bytes()));
        assert_eq!(spliced("{\"a\":1}", &[default("a", "2"), default("b", "3")]), "{\"a\":1,\"b\":3}");
        assert_eq!(spliced("{}", &[set("a", "1")]), "{\"a\":1}");
        assert_eq!(spliced("{\"a\":1}", &[set("a", "2"), set("a", "3")]), "{\"a\":3}", "the last one wins");
    }

    #[test]
    fn a_removed_member_takes_one_comma_with_it() {
        let body = "{\"a\":1, \"b\":2, \"c\":3}";
        for (removed, left) in [
            (&["a"][..], "{\"b\":2,\"c\":3}"),
            (&["b"], "{\"a\":1,\"c\":3}"),
            (&["c"], "{\"a\":1,\"b\":2}"),
            (&["a", "b"], "{\"c\":3}"),
            (&["b", "c"], "{\"a\":1}"),
            (&["a", "b", "c"], "{}"),
        ] {
            let edits: Vec<Edit<'_>> = removed.iter().copied().map(Edit::Remove).collect();
            let [after, expected]: [Value; 2] =
                [&*spliced(body, &edits), left].map(|text| serde_json::from_str(text).unwrap());
            assert_eq!(after, expected, "{removed:?}");
        }
    }

    fn applied(body: &str, edits: &[(u8, &str, u8)]) -> Value {
        let mut object: Map<String, Value> = serde_json::from_str(body).unwrap();
        let given: Vec<String> = object.keys().cloned().collect();
        for key in ["a", "b", "c", "d"] {
            let of_key = || edits.iter().filter(|(_, name, _)| *name == key).rev();
            match of_key().find(|(kind, _, _)| *kind != 1) {
                Some((0, _, value)) => drop(object.insert(key.to_owned(), (*value).into())),
                Some(_) => drop(object.shift_remove(key)),
                None if given.iter().any(|name| name == key) => {}
                None => object.extend(of_key().next_back().map(|(_, _, value)| (key.to_owned(), (*value).into()))),
            }
        }
        Value::Object(object)
    }

    proptest! {
        #[test]
        fn edits_mean_what_they_say(
            given in prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4),
            space in prop_oneof![Just(""), Just(" "), Just("\n\t")],
            edits in prop::collection::vec((0_u8..3, prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")], 0_u8..9), 0..6),
        ) {
            let members: Vec<String> = given.iter().map(|key| format!("{space}\"{key}\"{space}:{space}\"}},{{\"{space}")).collect();
            let body = format!("{{{}{space}}}", members.join(",")).replace("\"},{\"", "\"},{\"");
            let values: Vec<String> = edits.iter().map(|(_, _, value)| value.to_string()).collect();
            let wanted: Vec<Edit<'_>> = edits.iter().zip(&values).map(|((kind, key, _), value)| match kind {
                0 => set(key, value),
                1 => Edit::Default(key, Cow::Borrowed(value.as_bytes())),
                _ => Edit::Remove(key),
            }).collect();
            let after: Value = serde_json::from_str(&spliced(&body, &wanted)).unwrap();
            prop_assert_eq!(after, applied(&body, &edits), "{}", body);
        }
    }
}
