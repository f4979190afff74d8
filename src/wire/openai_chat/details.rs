//! `reasoning_details`, in which OpenRouter and its imitators give the proofs of the vendors behind them: a list of
//! `reasoning.text` with a `signature`, of `reasoning.encrypted` with `data`, and of `reasoning.summary`. The list is to
//! come back unchanged ("Preserving reasoning", openrouter.ai), so it is one proof as a whole.

use serde_json::value::RawValue;

use super::nested;
use crate::wire::ProtocolId;
use crate::wire::ir::Reasoning;
use crate::wire::json::{self, Ext, Object, ObjectWriter};
use crate::wire::proof::{Gather, Kept, LARGEST};

pub(super) const MEMBER: &str = "reasoning_details";

/// There is no part that is nothing but details, and they prove thoughts only.
pub(super) const KEPT: Kept =
    Kept { member: MEMBER, gather: || Box::<Details>::default(), alone: |_| None, restore: |part, _| part };

/// Members that hold text, and grow in a stream.
const TEXTS: [&str; 2] = ["text", "summary"];
/// Members that hold a proof.
const PROOFS: [&str; 2] = ["signature", "data"];

/// The list of one part, put together from the pieces of a stream as clients do it: a piece with the type and the index of
/// the one before it goes on with it.
#[derive(Default)]
struct Details {
    list: Vec<Detail>,
    /// The first piece, verbatim, as long as it is the only one.
    whole: Option<Box<RawValue>>,
    bytes: usize,
}

#[derive(Default)]
struct Detail {
    /// By the number of the member in [`TEXTS`].
    texts: [Option<String>; 2],
    members: Ext,
}

impl Gather for Details {
    fn add(&mut self, piece: &RawValue) {
        self.whole = (self.bytes == 0).then(|| piece.to_owned());
        for element in json::elements(piece, MEMBER).unwrap_or_default() {
            let Ok(detail) = Object::of(element) else { continue };
            let detail = Detail::read(detail);
            self.bytes += detail.bytes();
            if self.bytes > LARGEST {
                self.list.clear();
                return;
            }
            match self.list.last_mut().filter(|last| last.is_continued_by(&detail)) {
                Some(last) => last.extend(detail),
                None => self.list.push(detail),
            }
        }
    }

    fn proof(&self) -> Option<String> {
        if self.bytes > LARGEST || !self.list.iter().any(Detail::proves) {
            return None;
        }
        if let Some(whole) = &self.whole {
            return Some(whole.get().to_owned());
        }
        let mut out = Vec::new();
        json::array(&mut out, &self.list, Detail::write);
        String::from_utf8(out).ok()
    }
}

impl Detail {
    fn read(mut detail: Object<'_>) -> Detail {
        let texts = TEXTS.map(|key| detail.string(key).ok().flatten());
        Detail { texts, members: detail.rest() }
    }

    fn bytes(&self) -> usize {
        let texts = self.texts.iter().flatten().map(String::len);
        texts.chain(self.members.0.iter().map(|(key, raw)| key.len() + raw.get().len())).sum()
    }

    fn proves(&self) -> bool {
        proves(|key| self.members.get(key))
    }

    /// Encrypted reasoning comes whole.
    fn is_continued_by(&self, next: &Detail) -> bool {
        let same = |key: &str| self.members.get(key).map(RawValue::get) == next.members.get(key).map(RawValue::get);
        same("type") && same("index") && self.members.get("data").is_none() && next.members.get("data").is_none()
    }

    fn extend(&mut self, next: Detail) {
        for (known, more) in self.texts.iter_mut().zip(next.texts) {
            if let Some(more) = more {
                known.get_or_insert_default().push_str(&more);
            }
        }
        for (key, value) in next.members.0 {
            if !nested::is_null(&value) {
                self.members.0.retain(|(known, _)| *known != key);
                self.members.0.push((key, value));
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |detail| {
            for (key, text) in TEXTS.iter().zip(&self.texts) {
                detail.optional(key, text);
            }
            detail.ext(&self.members);
        });
    }
}

fn proves<'r>(member: impl Fn(&str) -> Option<&'r RawValue>) -> bool {
    PROOFS.iter().any(|key| member(key).and_then(json::str_of).is_some_and(|proof| !proof.is_empty()))
}

/// Whether a piece of the list has a proof in it.
pub(super) fn prove(piece: &RawValue) -> bool {
    let elements = json::elements(piece, MEMBER).unwrap_or_default();
    elements.into_iter().any(|element| Object::of(element).is_ok_and(|detail| proves(|key| detail.get(key))))
}

/// The readable texts of the list.
pub(super) fn text(details: &RawValue) -> String {
    let mut text = String::new();
    for element in json::elements(details, MEMBER).unwrap_or_default() {
        let Ok(mut detail) = Object::of(element) else { continue };
        for member in TEXTS {
            if let Ok(Some(piece)) = detail.string(member) {
                text.push_str(&piece);
            }
        }
    }
    text
}

/// The thoughts of a turn, as an upstream takes them back.
#[derive(Default)]
pub(super) struct Thoughts {
    /// Those that nothing proves.
    pub(super) text: String,
    /// Lists that this upstream itself gave.
    proven: Vec<Box<RawValue>>,
}

impl Thoughts {
    /// `false`: the thoughts have a proof that is no list of this protocol.
    pub(super) fn add(&mut self, thoughts: &Reasoning) -> bool {
        let proof = thoughts.signature.as_ref().or(thoughts.redacted.as_ref());
        let own = proof.filter(|proof| proof.issuer == ProtocolId::OpenAiChat && proof.value.starts_with('['));
        let list = own.and_then(|proof| json::raw(proof.value.as_str()));
        let known = proof.is_none() || list.is_some();
        match list {
            // The list has the text.
            Some(list) => self.proven.push(list),
            None => self.text.push_str(&thoughts.text),
        }
        known
    }

    pub(super) fn are_proven(&self) -> bool {
        !self.proven.is_empty()
    }

    /// Writes the lists as one; `text` goes before them, where it is not empty.
    pub(super) fn write(&self, text: &str, writer: &mut ObjectWriter<'_>) {
        let out = writer.key(MEMBER);
        out.push(b'[');
        let mut first = true;
        if !text.is_empty() {
            first = false;
            json::object(out, |detail| {
                detail.field("type", "reasoning.text");
                detail.field("text", text);
            });
        }
        for element in self.proven.iter().flat_map(|list| json::elements(list, MEMBER).unwrap_or_default()) {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(element.get().as_bytes());
        }
        out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What pieces of a stream prove.
    fn gathered(pieces: &[Value]) -> Option<Value> {
        let mut details = Details::default();
        pieces.iter().for_each(|piece| details.add(&json::raw(piece.to_string()).unwrap()));
        details.proof().map(|proof| serde_json::from_str(&proof).unwrap())
    }

    #[test]
    fn pieces_are_put_together_as_clients_do_it() {
        let text = |text: &str| json!([{ "type": "reasoning.text", "text": text, "index": 0, "format": null }]);
        let signed =
            json!([{ "type": "reasoning.text", "signature": "s", "index": 0, "format": "anthropic-claude-v1" }]);
        let encrypted = |data: &str| json!([{ "type": "reasoning.encrypted", "data": data, "index": 1, "id": "rs_1" }]);
        let whole = json!([
            { "type": "reasoning.text", "text": "one two", "signature": "s", "index": 0, "format": "anthropic-claude-v1" },
            { "type": "reasoning.encrypted", "data": "A", "index": 1, "id": "rs_1" },
            { "type": "reasoning.encrypted", "data": "B", "index": 1, "id": "rs_1" },
        ]);
        let pieces = [text("one"), text(" two"), signed, encrypted("A"), encrypted("B")];
        assert_eq!(gathered(&pieces), Some(whole));
    }

    #[test]
    fn a_list_in_one_piece_stays_as_it_is() {
        let raw = r#"[ {"index":0,"type":"reasoning.text", "text":"a","signature":"s","signature":"t"}, 7 ]"#;
        let mut details = Details::default();
        details.add(&json::raw(raw).unwrap());
        assert_eq!(details.proof(), None, "a member given twice");
        let raw = r#"[ {"index":0,"type":"reasoning.text", "text":"a","signature":"s"}, 7 ]"#;
        let mut details = Details::default();
        details.add(&json::raw(raw).unwrap());
        assert_eq!(details.proof().as_deref(), Some(raw));
    }

    #[test]
    fn texts_alone_and_lists_beyond_the_bound_prove_nothing() {
        assert_eq!(gathered(&[json!([{ "type": "reasoning.text", "text": "a", "signature": "" }])]), None);
        assert_eq!(gathered(&[json!("no list"), json!([])]), None);
        let long = json!([{ "type": "reasoning.text", "text": "x".repeat(LARGEST / 2), "index": 0 }]);
        let signed = json!([{ "type": "reasoning.text", "signature": "s", "index": 0 }]);
        assert!(gathered(&[long.clone(), signed.clone()]).is_some());
        assert_eq!(gathered(&[long.clone(), long.clone(), long, signed]), None);
    }
}
