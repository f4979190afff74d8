//! JSON as the codecs need it: objects whose members are read by name and whose remaining members survive, in order and
//! byte for byte; and a writer that adds nothing of its own.
//!
//! `serde(flatten)` cannot hold a [`RawValue`] (serde-rs/json PR 1252), hence [`Object`].

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use smallvec::SmallVec;

/// The members of a JSON object, in source order, values unread.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    members: SmallVec<[Member<'a>; 16]>,
}

/// One member of an object.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    pub key: Cow<'a, str>,
    pub value: &'a RawValue,
}

/// Members that nobody modelled. They are written back where the protocol is the one they came from, and reported as
/// losses everywhere else.
#[derive(Debug, Clone, Default)]
pub struct Ext(pub Vec<(String, Box<RawValue>)>);

impl Ext {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    /// Keys of the members that ask for something, in source order. A target that does not know a member does what `null`
    /// and `false` ask for; leaving them out is no loss. Nor is a codec's own note about spelling (`#id`).
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let asks =
            |(key, value): &&(String, Box<RawValue>)| !key.starts_with('#') && !matches!(value.get(), "null" | "false");
        self.0.iter().filter(asks).map(|(key, _)| key.as_str())
    }

    /// Takes over every member of `newer`, in the place of an older one of the same name.
    pub fn replace(&mut self, newer: &Ext) {
        for (key, value) in &newer.0 {
            match self.0.iter_mut().find(|(name, _)| name == key) {
                Some((_, old)) => old.clone_from(value),
                None => self.0.push((key.clone(), value.clone())),
            }
        }
    }
}

impl PartialEq for Ext {
    fn eq(&self, other: &Ext) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|((a, x), (b, y))| a == b && x.get() == y.get())
    }
}

/// Why a JSON text could not be read as wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("the body is not JSON: {0}")]
    Syntax(String),
    #[error("the body is nested more than {} levels deep", super::outline::DEEPEST)]
    TooDeep,
    #[error("`{key}` occurs twice")]
    DuplicateKey { key: String },
    #[error("`{key}` must be {expected}")]
    Type { key: String, expected: &'static str },
    #[error("`{key}` is missing")]
    Missing { key: String },
}

/// The text of a body. The library checks 120 KB several times as fast as the standard library's function does.
///
/// # Errors
/// Bytes that are not UTF-8.
pub fn utf8(body: &[u8]) -> Result<&str, JsonError> {
    simdutf8::compat::from_utf8(body).map_err(|error| JsonError::Syntax(format!("{error}, save it as UTF-8")))
}

impl<'a> Object<'a> {
    /// Reads one object; its members' values stay unread.
    ///
    /// # Errors
    /// Not JSON, not an object, or a key that occurs twice.
    pub fn parse(text: &'a str) -> Result<Object<'a>, JsonError> {
        let object: Object<'a> = serde_json::from_str(text).map_err(|error| JsonError::Syntax(error.to_string()))?;
        object.refuse_duplicates()?;
        Ok(object)
    }

    /// As [`Object::parse`], of a member's value.
    ///
    /// # Errors
    /// As [`Object::parse`].
    pub fn of(raw: &'a RawValue) -> Result<Object<'a>, JsonError> {
        Object::parse(raw.get())
    }

    fn refuse_duplicates(&self) -> Result<(), JsonError> {
        let key = duplicate(self.members.iter().map(|member| &*member.key));
        key.map_or(Ok(()), |key| Err(JsonError::DuplicateKey { key: key.to_owned() }))
    }

    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// The member's value, left in place.
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|member| member.key == key).map(|member| member.value)
    }

    /// Removes the member, so that [`Object::rest`] does not report it.
    pub fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let position = self.members.iter().position(|member| member.key == key)?;
        Some(self.members.remove(position).value)
    }

    /// Takes a member and reads it as `T`; absent and `null` are both `None`. A `null` stays among the [`Object::rest`], so
    /// that writing the object back gives the same document.
    ///
    /// # Errors
    /// A value of another type.
    pub fn read<T: Deserialize<'a>>(&mut self, key: &str, expected: &'static str) -> Result<Option<T>, JsonError> {
        if self.get(key).is_some_and(|raw| kind(raw) == Kind::Null) {
            return Ok(None);
        }
        match self.take(key) {
            None => Ok(None),
            Some(raw) => read(raw, key, expected).map(Some),
        }
    }

    /// # Errors
    /// A value that is not a string.
    pub fn string(&mut self, key: &str) -> Result<Option<String>, JsonError> {
        self.read(key, "a string")
    }

    /// # Errors
    /// A value that is not `true` or `false`.
    pub fn bool(&mut self, key: &str) -> Result<Option<bool>, JsonError> {
        self.read(key, "true or false")
    }

    /// # Errors
    /// A value that is not a whole, non-negative number.
    pub fn u64(&mut self, key: &str) -> Result<Option<u64>, JsonError> {
        self.read(key, "a whole number")
    }

    /// # Errors
    /// A value that is not a number.
    pub fn number(&mut self, key: &str) -> Result<Option<serde_json::Number>, JsonError> {
        self.read(key, "a number")
    }

    /// # Errors
    /// A value that is not an object.
    pub fn object(&mut self, key: &str) -> Result<Option<Object<'a>>, JsonError> {
        self.read(key, "an object")
    }

    /// # Errors
    /// A value that is not an array.
    pub fn array(&mut self, key: &str) -> Result<Option<Vec<&'a RawValue>>, JsonError> {
        self.read(key, "an array")
    }

    /// The members that nobody took.
    pub fn rest(self) -> Ext {
        Ext(self.members.into_iter().map(|member| (member.key.into_owned(), member.value.to_owned())).collect())
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'de>, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = SmallVec::new();
                while let Some(Key(key)) = map.next_key()? {
                    members.push(Member { key, value: map.next_value()? });
                }
                Ok(Object { members })
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// A key, borrowed unless it holds an escape. (`Cow<str>` itself never borrows when deserialised.)
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'a>, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The first of `keys` that was there before.
pub(super) fn duplicate<'k>(keys: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
    // Quadratic is fastest for the dozen members of a real request; a hostile one gets a set.
    const FEW: usize = 32;
    if keys.clone().nth(FEW).is_none() {
        return keys
            .clone()
            .enumerate()
            .find(|(at, key)| keys.clone().take(*at).any(|earlier| earlier == *key))
            .map(|(_, key)| key);
    }
    let mut seen = std::collections::HashSet::new();
    keys.into_iter().find(|key| !seen.insert(*key))
}

/// Reads a JSON string, borrowed unless it holds an escape.
pub fn str_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    string(raw.get())
}

/// As [`str_of`], of a JSON text.
pub fn string(text: &str) -> Option<Cow<'_, str>> {
    if let Some(plain) = short(text) {
        return Some(Cow::Borrowed(plain));
    }
    let Key(text) = serde_json::from_str(text).ok()?;
    Some(text)
}

/// A short JSON string that stands for itself, as keys and names do: not worth a parser.
fn short(text: &str) -> Option<&str> {
    const LONGEST: usize = 64;
    let inner = text.strip_prefix('"')?.strip_suffix('"').filter(|inner| inner.len() <= LONGEST)?;
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    inner.bytes().all(is_plain).then_some(inner)
}

/// Reads `raw` as `T`, naming `key` where it is of another type.
///
/// # Errors
/// A value of another type.
pub fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue, key: &str, expected: &'static str) -> Result<T, JsonError> {
    serde_json::from_str(raw.get()).map_err(|_| JsonError::Type { key: key.to_owned(), expected })
}

/// Elements of a JSON array, values unread.
///
/// # Errors
/// A value that is not an array.
pub fn elements<'a>(raw: &'a RawValue, key: &str) -> Result<Vec<&'a RawValue>, JsonError> {
    read(raw, key, "an array")
}

/// How many elements a JSON array has, 0 for anything else. Reads nothing of them.
pub fn count(raw: &RawValue) -> usize {
    struct Count(usize);
    impl<'de> Deserialize<'de> for Count {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
            struct CountVisitor;
            impl<'de> Visitor<'de> for CountVisitor {
                type Value = Count;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an array")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
                    let mut count = 0;
                    while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
                        count += 1;
                    }
                    Ok(Count(count))
                }
            }
            deserializer.deserialize_seq(CountVisitor)
        }
    }
    serde_json::from_str::<Count>(raw.get()).map_or(0, |Count(count)| count)
}

/// A JSON array with `element` before all others, `None` where `array` is none. The others are not read.
pub fn prepend(array: &str, element: &[u8]) -> Option<Vec<u8>> {
    let rest = array.strip_prefix('[')?;
    let mut out = Vec::with_capacity(array.len() + element.len() + 2);
    out.push(b'[');
    out.extend_from_slice(element);
    if !rest.trim_start().starts_with(']') {
        out.push(b',');
    }
    out.extend_from_slice(rest.as_bytes());
    Some(out)
}

/// The kind of value a JSON text holds, from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

pub fn kind(raw: &RawValue) -> Kind {
    kind_of(raw.get())
}

/// As [`kind`], of a JSON text without leading blanks.
pub fn kind_of(text: &str) -> Kind {
    match text.as_bytes().first() {
        Some(b'n') => Kind::Null,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'"') => Kind::String,
        Some(b'[') => Kind::Array,
        Some(b'{') => Kind::Object,
        _ => Kind::Number,
    }
}

/// Whether a value of an answer carries nothing that a translation could lose: `null`, an empty list, or an object of
/// nothing but such values. (In a request, `{}` may switch something on.)
pub fn says_nothing(raw: &RawValue) -> bool {
    match kind(raw) {
        Kind::Null => true,
        Kind::Object => Object::of(raw).is_ok_and(|object| object.members.iter().all(|m| says_nothing(m.value))),
        Kind::Array => count(raw) == 0,
        Kind::Bool | Kind::Number | Kind::String => false,
    }
}

/// Whether an object is the empty form of something that is absent, as servers in typed languages write it: all its texts are
/// empty, and there is one; its numbers are nought.
pub fn is_blank(raw: &RawValue) -> bool {
    let Ok(object) = Object::of(raw) else { return false };
    let is_text = |raw: &RawValue| raw.get() == "\"\"" || is_blank(raw);
    let is_empty = |raw: &RawValue| is_text(raw) || raw.get() == "0" || says_nothing(raw);
    object.members.iter().all(|member| is_empty(member.value))
        && object.members.iter().any(|member| is_text(member.value))
}

/// A raw value made of JSON text, `None` where the text is not JSON.
pub fn raw(text: impl Into<String>) -> Option<Box<RawValue>> {
    RawValue::from_string(text.into()).ok()
}

/// Writes `value` as JSON. Only for types whose serialisation cannot fail (strings, numbers, raw values, plain structs).
pub fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

/// `text` as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write(text, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Writes one object, member by member, in the order of the calls.
pub struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> ObjectWriter<'a> {
    pub fn new(out: &'a mut Vec<u8>) -> ObjectWriter<'a> {
        out.push(b'{');
        ObjectWriter { out, first: true }
    }

    /// Begins a member; the caller writes its value to the returned buffer.
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        write(key, self.out);
        self.out.push(b':');
        self.out
    }

    pub fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        write(value, self.key(key));
    }

    /// Writes the member only where there is a value: absent stays absent.
    pub fn optional<T: Serialize>(&mut self, key: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.field(key, value);
        }
    }

    pub fn raw(&mut self, key: &str, value: &RawValue) {
        self.key(key).extend_from_slice(value.get().as_bytes());
    }

    /// Writes members that came through unread.
    pub fn ext(&mut self, ext: &Ext) {
        for (key, value) in &ext.0 {
            self.raw(key, value);
        }
    }

    /// Writes a nested object.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        object(self.key(key), fill);
    }

    /// Writes a nested array, one element per item.
    pub fn array<T>(&mut self, key: &str, items: impl IntoIterator<Item = T>, each: impl FnMut(T, &mut Vec<u8>)) {
        array(self.key(key), items, each);
    }

    fn end(self) {
        self.out.push(b'}');
    }
}

/// Writes an object.
pub fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    let mut writer = ObjectWriter::new(out);
    fill(&mut writer);
    writer.end();
}

/// Writes an array, one element per item.
pub fn array<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut each: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        each(item, out);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_strings_are_read_as_a_parser_reads_them() {
        for text in ["\"\"", "\"a\"", "\"\u{e9}\"", r#""\"""#, r#""\u0061""#, "\"\u{1}\"", "\"a\"b\"", "\"", "a", "7"] {
            let parsed: Option<String> = serde_json::from_str(text).ok();
            assert_eq!(string(text).map(Cow::into_owned), parsed, "{text}");
        }
    }

    #[test]
    fn members_are_taken_and_the_rest_stays_in_order_byte_for_byte() {
        let mut object =
            Object::parse("{\"b\": 1.0, \"k\\u0065y\": \"v\", \"n\": null, \"a\": {\"x\" : [1]}}").unwrap();
        assert_eq!(object.string("key").unwrap().as_deref(), Some("v"));
        assert_eq!(object.u64("n"), Ok(None));
        assert_eq!(object.bool("missing"), Ok(None));
        let rest = object.rest();
        let kept: Vec<(&str, &str)> = rest.0.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
        assert_eq!(kept, [("b", "1.0"), ("n", "null"), ("a", "{\"x\" : [1]}")]);
        assert_eq!(rest.keys().collect::<Vec<_>>(), ["b", "a"], "a null asks for nothing");
    }

    #[test]
    fn a_key_may_occur_once() {
        let twice = |key: &str| Err(JsonError::DuplicateKey { key: key.to_owned() });
        assert_eq!(Object::parse("{\"a\":1,\"\\u0061\":2}").map(|_| ()), twice("a"), "however it is spelled");
        let many: Vec<String> = (0..40).map(|n| format!("\"k{n}\":0")).collect();
        assert!(Object::parse(&format!("{{{}}}", many.join(","))).is_ok());
        assert_eq!(Object::parse(&format!("{{{},\"k7\":1}}", many.join(","))).map(|_| ()), twice("k7"));
    }

    #[test]
    fn a_wrong_type_names_the_member() {
        let mut object = Object::parse("{\"n\":-1}").unwrap();
        assert_eq!(object.u64("n").unwrap_err().to_string(), "`n` must be a whole number");
        assert!(matches!(Object::parse("[1]"), Err(JsonError::Syntax(_))));
    }

    #[test]
    fn objects_are_written_member_by_member() {
        let mut out = Vec::new();
        object(&mut out, |writer| {
            writer.field("a\"", "ü\n");
            writer.optional("absent", &None::<u8>);
            writer.raw("raw", &raw("[1.0 , 2]").unwrap());
            writer.object("o", |inner| inner.array("l", [1, 2], |n, out| write(&n, out)));
        });
        assert_eq!(String::from_utf8(out).unwrap(), "{\"a\\\"\":\"ü\\n\",\"raw\":[1.0 , 2],\"o\":{\"l\":[1,2]}}");
    }

    #[test]
    fn values_that_say_nothing_are_no_loss() {
        for (text, nothing) in [
            ("null", true),
            ("{}", true),
            ("[]", true),
            ("{\"refusal\":null,\"annotations\":[]}", true),
            ("{\"a\":0}", false),
            ("[null]", false),
            ("\"\"", false),
        ] {
            assert_eq!(says_nothing(&raw(text).unwrap()), nothing, "{text}");
        }
        assert_eq!((count(&raw("[1,[2],3]").unwrap()), count(&raw("7").unwrap())), (3, 0));
    }
}
