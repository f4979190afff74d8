//! Signatures on other parts than calls and thoughts: of a text, of a picture, or of nothing. Gemini 3 gives most of its
//! answers one; it is to come back on the part that it came on, and asks for nothing where it is missing ("Thought
//! signatures", ai.google.dev).

use serde_json::value::RawValue;

use super::{member, part};
use crate::wire::ProtocolId;
use crate::wire::ir::{Opaque, Part};
use crate::wire::json::{self, Object};
use crate::wire::proof::{Gather, Kept};

const SIGNATURE: &str = "thoughtSignature";

pub(super) const KEPT: Kept = Kept { member: SIGNATURE, gather: || Box::new(Last(None)), alone, restore };

/// A later signature replaces an earlier one.
struct Last(Option<String>);

impl Gather for Last {
    fn add(&mut self, piece: &RawValue) {
        self.0 = json::str_of(piece).map(std::borrow::Cow::into_owned);
    }

    fn proof(&self) -> Option<String> {
        self.0.clone()
    }
}

/// The signature of a part that has no other member than an empty text.
fn alone(opaque: &Opaque) -> Option<String> {
    let mut object = Object::of(&opaque.raw).ok()?;
    let signature = member::string(&mut object, SIGNATURE).ok()??;
    is_empty(&object).then_some(signature)
}

/// Whether nothing is said by the members.
fn is_empty(object: &Object<'_>) -> bool {
    object.members().iter().all(|member| match &*member.key {
        "text" => member.value.get() == "\"\"",
        "thought" => true,
        _ => false,
    })
}

/// The part as Gemini wrote it: this protocol's encoder writes it as it is.
fn restore(part: Part, signature: &str) -> Part {
    let mut out = Vec::new();
    match &part {
        Part::Text(text) => json::object(&mut out, |w| {
            w.field("text", &text.text);
            w.field(SIGNATURE, signature);
        }),
        Part::Media(media) => {
            let mut media = media.clone();
            media.ext.0.clear();
            media.ext.0.extend(json::raw(json::quoted(signature)).map(|raw| (SIGNATURE.to_owned(), raw)));
            part::encode_media(&media, &mut out);
        }
        Part::Refusal(_) | Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_) | Part::Opaque(_) => {
            return part;
        }
    }
    let raw = String::from_utf8(out).ok().and_then(json::raw);
    raw.map_or(part, |raw| Part::Opaque(Opaque { origin: ProtocolId::Gemini, raw }))
}

/// Takes the signature out of a part that has it among its unmodelled members; `false` for a part that is nothing else.
pub(super) fn forget(part: &mut Part) -> bool {
    match part {
        Part::Text(text) => text.ext.0.retain(|(key, _)| key != SIGNATURE),
        Part::Media(media) => media.ext.0.retain(|(key, _)| key != SIGNATURE),
        Part::Opaque(opaque) => {
            let Ok(mut object) = Object::of(&opaque.raw) else { return true };
            let signed = member::take(&mut object, SIGNATURE).is_some();
            let left = object.members().iter().any(|member| !matches!(&*member.key, "text" | "thought"));
            return !signed || left;
        }
        Part::Refusal(_) | Part::Reasoning(_) | Part::ToolCall(_) | Part::ToolResult(_) => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ir::{Media, MediaKind, MediaSource, Text};
    use crate::wire::json::Ext;

    fn opaque(text: &str) -> Opaque {
        Opaque { origin: ProtocolId::Gemini, raw: json::raw(text).unwrap() }
    }

    fn written(part: Part) -> String {
        let Part::Opaque(opaque) = part else { panic!("{part:?}") };
        opaque.raw.get().to_owned()
    }

    #[test]
    fn a_part_that_is_a_signature_is_told_from_one_that_has_one() {
        for lone in [r#"{"text":"","thoughtSignature":"s"}"#, r#"{"thought_signature":"s"}"#] {
            assert_eq!(alone(&opaque(lone)).as_deref(), Some("s"), "{lone}");
        }
        for other in [r#"{"text":""}"#, r#"{"executableCode":{"code":"1"},"thoughtSignature":"s"}"#, "7"] {
            assert_eq!(alone(&opaque(other)), None, "{other}");
        }
    }

    #[test]
    fn a_signature_goes_back_on_its_part() {
        let text = Part::Text(Text::new("hi"));
        assert_eq!(written(restore(text, "s")), r#"{"text":"hi","thoughtSignature":"s"}"#);
        let source = MediaSource::Base64 { media_type: "image/png".to_owned(), data: "AA==".to_owned() };
        let media = Media { kind: MediaKind::Image, source, detail: None, name: None, ext: Ext::default() };
        let expected = r#"{"inlineData":{"mimeType":"image/png","data":"AA=="},"thoughtSignature":"s"}"#;
        assert_eq!(written(restore(Part::Media(media), "s")), expected);
        let refusal = Part::Refusal(Text::new("no"));
        assert_eq!(restore(refusal.clone(), "s"), refusal);
    }
}
