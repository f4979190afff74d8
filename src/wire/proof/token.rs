//! A proof and its issuer as one opaque text: `rp1.PROTOCOL.GROUP.KIND.DATA.CHECK`, of letters, digits, `-`, `_` and `.` only.
//!
//! The caller could read it (it is not encrypted) and could make one up (it is not signed): it holds nothing that the vendor
//! would not have given to a caller of its own, and whatever comes out of one, the vendor verifies. The check finds texts
//! that were cut or mangled on the way.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};

use crate::wire::ProtocolId;

const PREFIX: &str = "rp1.";
/// How base64 of [`PREFIX`] begins, whatever follows.
const PREFIX_BASE64: &str = "cnAxL";
/// Largest proof that is sealed, in bytes. Those of vendors are some kilobytes.
pub const LARGEST: usize = 1 << 20;
/// Longest text that is read: the largest proof, encoded twice, and the names.
const LONGEST: usize = 2 * LARGEST;
/// Longest group that is written as it is.
const LONGEST_GROUP: usize = 48;

/// Either alphabet gives the same for what a token is made of, and clients differ about the padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Thoughts that were shown, or withheld: their signature.
    Signature,
    /// Thoughts that are nothing but an encrypted text.
    Redacted,
    /// The call that follows, or in whose place the token is.
    Call,
    /// The text, or the picture, before it.
    Before,
    /// Nothing that was said: it is a part of its own.
    Alone,
    /// Nothing: another vendor said this without a proof.
    Mark,
}

impl Kind {
    const ALL: [(Kind, &'static str); 6] = [
        (Kind::Signature, "s"),
        (Kind::Redacted, "r"),
        (Kind::Call, "c"),
        (Kind::Before, "b"),
        (Kind::Alone, "a"),
        (Kind::Mark, "m"),
    ];

    /// Whether it proves what was said, and neither a thought nor a call.
    pub fn is_of_said(self) -> bool {
        matches!(self, Kind::Before | Kind::Alone)
    }

    fn letter(self) -> &'static str {
        Kind::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, letter)| letter)
    }

    fn of_letter(letter: &str) -> Option<Kind> {
        Kind::ALL.iter().find(|(_, known)| *known == letter).map(|(kind, _)| *kind)
    }
}

/// A proof with its issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub protocol: ProtocolId,
    /// As [`tag`] gives it.
    group: String,
    pub kind: Kind,
    pub value: String,
}

/// What a text in the place of a proof is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// A vendor's own proof.
    Bare,
    Sealed(Token),
    /// It was a token once.
    Damaged,
}

impl Token {
    pub fn new(protocol: ProtocolId, group: &str, kind: Kind, value: impl Into<String>) -> Token {
        Token { protocol, group: tag(group), kind, value: value.into() }
    }

    /// Whether the endpoints of `group` can read it.
    pub fn is_of(&self, group: &str) -> bool {
        self.group == tag(group)
    }

    /// Whether the proof is of use in its own protocol only, because it has that protocol's shape.
    pub fn has_shape(&self) -> bool {
        let keeps = || self.protocol.codec()?.outbound()?.kept_proofs();
        self.kind != Kind::Call && keeps().is_some()
    }

    /// The token as text, in base64 where `base64` asks for it; `None` for a proof that is too large.
    pub fn write(&self, base64: bool) -> Option<String> {
        if self.value.len() > LARGEST {
            return None;
        }
        let Token { protocol, group, kind, value } = self;
        let data = general_purpose::URL_SAFE_NO_PAD.encode(value);
        let mut text = format!("{PREFIX}{}.{group}.{}.{data}", protocol.name(), kind.letter());
        let check = check(&text);
        text.push('.');
        text.push_str(&check);
        Some(if base64 { general_purpose::STANDARD.encode(text) } else { text })
    }

    /// Reads what stands in the place of a proof.
    pub fn read(text: &str) -> Read {
        if text.starts_with(PREFIX) {
            return Token::parse(text).map_or(Read::Damaged, Read::Sealed);
        }
        if !text.starts_with(PREFIX_BASE64) {
            return Read::Bare;
        }
        let plain = (text.len() <= LONGEST).then(|| LENIENT.decode(text).ok()).flatten();
        let plain = plain.and_then(|bytes| String::from_utf8(bytes).ok());
        plain.and_then(|plain| Token::parse(&plain)).map_or(Read::Damaged, Read::Sealed)
    }

    fn parse(text: &str) -> Option<Token> {
        if text.len() > LONGEST {
            return None;
        }
        let (checked, given) = text.rsplit_once('.')?;
        if check(checked) != given {
            return None;
        }
        // A group may hold dots; nothing else does.
        let (protocol, rest) = checked.strip_prefix(PREFIX)?.split_once('.')?;
        let (rest, data) = rest.rsplit_once('.')?;
        let (group, letter) = rest.rsplit_once('.')?;
        let value = general_purpose::URL_SAFE_NO_PAD.decode(data).ok()?;
        Some(Token {
            protocol: ProtocolId::from_name(protocol)?,
            group: group.to_owned(),
            kind: Kind::of_letter(letter)?,
            value: String::from_utf8(value).ok()?,
        })
    }
}

/// Whether what stands in a JSON string may be a token, by its beginning. A text that happens to begin so costs a detour
/// through the hub and nothing else.
pub fn begins(string: &[u8]) -> bool {
    matches!(string.first(), Some(b'r' | b'c'))
        && (string.starts_with(PREFIX.as_bytes()) || string.starts_with(PREFIX_BASE64.as_bytes()))
}

/// The group as a token has it: itself where its characters and its length allow, else its hash.
fn tag(group: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !group.is_empty() && group.len() <= LONGEST_GROUP && group.chars().all(is_plain) {
        return group.to_owned();
    }
    blake3::hash(group.as_bytes()).to_hex().chars().take(16).collect()
}

fn check(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(group: &str, kind: Kind, value: &str) -> Token {
        Token::new(ProtocolId::AnthropicMessages, group, kind, value)
    }

    #[test]
    fn tokens_come_back_in_either_form() {
        let values = ["", "EqoB+/8=", "any text \u{e9}\n", &"x".repeat(100_000)];
        for (kind, _) in Kind::ALL {
            for group in ["anthropic", "a.b.c", "", "spaces and / slashes", &"long".repeat(50)] {
                for value in values {
                    let token = token(group, kind, value);
                    assert!(token.is_of(group) && !token.is_of("another"));
                    for base64 in [false, true] {
                        let text = token.write(base64).unwrap();
                        assert!(begins(text.as_bytes()));
                        assert_eq!(Token::read(&text), Read::Sealed(token.clone()));
                        // Google's SDK for Python decodes what it finds and writes it back in the other alphabet.
                        assert!(!text.contains(['+', '/']), "{text}");
                        assert_eq!(Token::read(text.trim_end_matches('=')), Read::Sealed(token.clone()));
                    }
                }
            }
        }
    }

    #[test]
    fn a_proof_that_is_too_large_is_not_sealed() {
        assert!(
            token("a", Kind::Signature, &"x".repeat(LARGEST)).write(true).is_some_and(|text| text.len() <= LONGEST)
        );
        assert_eq!(token("a", Kind::Signature, &"x".repeat(LARGEST + 1)).write(false), None);
        let endless = format!("{PREFIX}{}", "x".repeat(LONGEST));
        assert_eq!(Token::read(&endless), Read::Damaged);
        let endless = format!("{PREFIX_BASE64}{}", "x".repeat(LONGEST));
        assert_eq!(Token::read(&endless), Read::Damaged);
    }

    #[test]
    fn any_change_is_found_and_none_panics() {
        for base64 in [false, true] {
            let text = token("anthropic", Kind::Signature, "EqoBCkgIARAB").write(base64).unwrap();
            for at in 0..text.trim_end_matches('=').len() {
                let cut = text.get(..at).unwrap();
                assert!(!matches!(Token::read(cut), Read::Sealed(_)), "{cut}");
                let mut other = text.clone().into_bytes();
                other[at] = if other[at] == b'A' { b'B' } else { b'A' };
                let other = String::from_utf8(other).unwrap();
                // The last letters of base64 may hold bits that say nothing.
                if !base64 || at + 3 < text.len() {
                    assert!(!matches!(Token::read(&other), Read::Sealed(_)), "{other}");
                }
            }
        }
        for garbage in ["rp1.", "rp1....", "rp1.a.b.s.!!.0", "cnAxL", "cnAxLg==", "cnAxL\u{e9}", "rp1.\u{e9}"] {
            assert_eq!(Token::read(garbage), Read::Damaged, "{garbage}");
        }
        for bare in ["", "EqoB", "skip_thought_signature_validator", "rp2.x"] {
            assert_eq!(Token::read(bare), Read::Bare, "{bare}");
        }
    }
}
