//! The top level of a JSON object, found without reading what is inside: all that routing and pass-through need of a body.
//!
//! Strings are jumped over with vector instructions, so that a long conversation costs little. What is checked: that the
//! text is one object, that brackets match and nest no deeper than [`DEEPEST`], that keys and colons and commas stand where
//! they must on the top level, and that no key stands there twice. The grammar inside of a member is left to whoever reads
//! it: the codec, or the upstream.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::json::{self, JsonError};
use super::proof;

/// Deepest nesting of a body.
pub const DEEPEST: usize = 128;

/// One member of an object, its value unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    pub key: Cow<'a, str>,
    /// JSON text.
    pub value: &'a str,
}

/// The members of an object, in source order.
#[derive(Debug, Clone, Default)]
pub struct Outline<'a> {
    entries: SmallVec<[Entry<'a>; 16]>,
    sealed: bool,
}

impl<'a> Outline<'a> {
    /// # Errors
    /// Not an object, nested too deeply, or a key that stands there twice.
    pub fn parse(text: &'a str) -> Result<Outline<'a>, JsonError> {
        let outline = Outline::with_repeats(text)?;
        outline.refuse_duplicates()?;
        Ok(outline)
    }

    /// What an upstream wrote: a key may stand there twice, and the first counts.
    ///
    /// # Errors
    /// Not an object, or nested too deeply.
    pub fn with_repeats(text: &'a str) -> Result<Outline<'a>, JsonError> {
        let mut scanner = Scanner { text, at: 0, sealed: false };
        let mut entries = SmallVec::new();
        scanner.blank();
        scanner.expect(b'{')?;
        scanner.blank();
        if scanner.peek() != Some(b'}') {
            loop {
                entries.push(scanner.member()?);
                match scanner.peek() {
                    Some(b',') => scanner.at += 1,
                    Some(b'}') => break,
                    _ => return Err(scanner.unexpected("`,` or `}`")),
                }
                scanner.blank();
            }
        }
        scanner.at += 1;
        scanner.blank();
        if scanner.at < text.len() {
            return Err(scanner.unexpected("the end"));
        }
        Ok(Outline { entries, sealed: scanner.sealed })
    }

    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// Whether a string, however deep, may be a sealed proof of reasoning. They all begin alike, and every string's beginning
    /// is seen anyway: a search of its own would read the whole body once more.
    pub fn has_sealed_proofs(&self) -> bool {
        self.sealed
    }

    /// The member's value, as JSON text.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value)
    }

    fn refuse_duplicates(&self) -> Result<(), JsonError> {
        let key = json::duplicate(self.entries.iter().map(|entry| &*entry.key));
        key.map_or(Ok(()), |key| Err(JsonError::DuplicateKey { key: key.to_owned() }))
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// A string began as sealed proofs do.
    sealed: bool,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn blank(&mut self) {
        let blanks = self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blanks;
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected(&format!("`{}`", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    fn unexpected(&self, expected: &str) -> JsonError {
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        let found = found.map_or_else(|| "the end".to_owned(), |c| format!("`{}`", c.escape_debug()));
        JsonError::Syntax(format!("expected {expected} at byte {}, found {found}", self.at))
    }

    /// `"key" : value`, and the blanks behind it.
    fn member(&mut self) -> Result<Entry<'a>, JsonError> {
        let key = self.slice(Scanner::string)?;
        let key = json::string(key).ok_or_else(|| JsonError::Syntax(format!("{key} is not a key")))?;
        self.blank();
        self.expect(b':')?;
        self.blank();
        let value = self.slice(Scanner::value)?;
        self.blank();
        Ok(Entry { key, value })
    }

    /// The text that `skip` passes over.
    fn slice(&mut self, skip: fn(&mut Self) -> Result<(), JsonError>) -> Result<&'a str, JsonError> {
        let start = self.at;
        skip(self)?;
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn value(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[') => self.container(),
            _ => self.scalar(),
        }
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.expect(b'"')?;
        self.sealed |= proof::begins(self.rest());
        loop {
            let Some(found) = memchr::memchr2(b'"', b'\\', self.rest()) else {
                self.at = self.text.len();
                return Err(self.unexpected("`\"`"));
            };
            self.at += found + 1;
            if self.text.as_bytes().get(self.at - 1) == Some(&b'"') {
                return Ok(());
            }
            // Whatever is escaped, it is not the end.
            self.at += 1;
        }
    }

    fn scalar(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        let length = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            .count();
        let text = self.text.get(start..start + length).unwrap_or_default();
        if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
            return Err(self.unexpected("a value"));
        }
        self.at += length;
        Ok(())
    }

    /// An object or array with everything inside of it. Brackets must match; the kinds of the open ones are bits.
    fn container(&mut self) -> Result<(), JsonError> {
        let (mut depth, mut kinds) = (1usize, 0u128);
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => {
                    depth += 1;
                    if depth > DEEPEST {
                        return Err(JsonError::TooDeep);
                    }
                    kinds = kinds << 1 | u128::from(byte == b'[');
                }
                b'}' | b']' => {
                    if (kinds & 1 == 1) != (byte == b']') {
                        return Err(self.unexpected("the bracket that fits"));
                    }
                    kinds >>= 1;
                    depth -= 1;
                    if depth == 1 {
                        self.at += 1;
                        return Ok(());
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        Err(self.unexpected("a closing bracket"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(text: &str) -> Result<Vec<(String, String)>, JsonError> {
        let outline = Outline::parse(text)?;
        Ok(outline.entries().iter().map(|entry| (entry.key.to_string(), entry.value.to_owned())).collect())
    }

    fn refusal(text: &str) -> String {
        members(text).unwrap_err().to_string()
    }

    #[test]
    fn members_are_found_whatever_is_inside() {
        let text = r#" { "a" : "x\"}\\" , "b\u0063":[1,{"d":"]"}], "e":-1.5e3,"f":null } "#;
        let expect = [("a", r#""x\"}\\""#), ("bc", r#"[1,{"d":"]"}]"#), ("e", "-1.5e3"), ("f", "null")];
        let found = members(text).unwrap();
        assert!(found.iter().map(|(key, value)| (&**key, &**value)).eq(expect), "{found:?}");
        assert_eq!(members("{}"), Ok(vec![]));
    }

    #[test]
    fn what_is_not_an_object_is_refused_with_the_place() {
        assert_eq!(refusal("[1]"), "the body is not JSON: expected `{` at byte 0, found `[`");
        assert_eq!(refusal(""), "the body is not JSON: expected `{` at byte 0, found the end");
        assert_eq!(refusal(r#"{"a":1"#), "the body is not JSON: expected `,` or `}` at byte 6, found the end");
        assert_eq!(refusal(r#"{"a":1} x"#), "the body is not JSON: expected the end at byte 8, found `x`");
        assert_eq!(refusal(r#"{"a":NaN}"#), "the body is not JSON: expected a value at byte 5, found `N`");
        assert_eq!(
            refusal(r#"{"a":[1}}"#),
            "the body is not JSON: expected the bracket that fits at byte 7, found `}`"
        );
        assert_eq!(refusal(r#"{"a":"x}"#), "the body is not JSON: expected `\"` at byte 8, found the end");
        assert_eq!(refusal(r#"{"a":1,}"#), "the body is not JSON: expected `\"` at byte 7, found `}`");
        assert_eq!(refusal(r#"{"a" 1}"#), "the body is not JSON: expected `:` at byte 5, found `1`");
    }

    #[test]
    fn a_key_stands_there_once_however_it_is_written() {
        assert_eq!(refusal(r#"{"model":1,"mod\u0065l":2}"#), "`model` occurs twice");
    }

    #[test]
    fn strings_that_begin_as_sealed_proofs_do_are_seen_however_deep() {
        for (text, sealed) in [
            (r#"{"a":"rp1.x"}"#, true),
            (r#"{"a":[{"b":["", {"signature": "cnAxLmFi"}]}]}"#, true),
            (r#"{"a":"rp1","b":"cnAx","c":" rp1.x"}"#, false),
        ] {
            assert_eq!(Outline::parse(text).unwrap().has_sealed_proofs(), sealed, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(members(&nested(DEEPEST - 1)).is_ok());
        assert_eq!(members(&nested(DEEPEST)), Err(JsonError::TooDeep));
        assert_eq!(members(&format!("{{\"a\":{}", "[".repeat(1 << 20))), Err(JsonError::TooDeep));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(".*", inner, 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_a_parser_finds(members in prop::collection::hash_map(".*", json(), 0..5), pretty: bool) {
            let value = serde_json::Value::Object(members.into_iter().collect());
            let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            let outline = Outline::parse(&text).unwrap();
            let found: serde_json::Map<String, serde_json::Value> = outline
                .entries()
                .iter()
                .map(|entry| (entry.key.to_string(), serde_json::from_str(entry.value).unwrap()))
                .collect();
            prop_assert_eq!(serde_json::Value::Object(found), value);
        }

        #[test]
        fn it_never_panics(text in ".*") {
            let _ = Outline::parse(&text);
        }

        #[test]
        fn it_refuses_no_text_that_a_parser_takes(text in r#"[\{\}\[\]",:\\a1 ]{0,12}"#) {
            let parsed: Result<std::collections::HashMap<String, serde_json::Value>, _> = serde_json::from_str(&text);
            if parsed.is_ok() {
                prop_assert!(!matches!(Outline::parse(&text), Err(JsonError::Syntax(_))), "{}", text);
            }
        }
    }
}
