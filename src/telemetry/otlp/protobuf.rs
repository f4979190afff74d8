//! Messages of protobuf, written straight into the bytes that leave (Protocol Buffers, "Encoding"), and the attributes of
//! OTLP among them (`opentelemetry/proto/common/v1/common.proto`). A span is written once and never built as values: that is
//! most of what tracing every request would cost otherwise.

/// Bytes that a length takes that is written before what it counts: the format allows a number to be longer than it need be.
const PLACE: usize = 4;
/// The most that [`PLACE`] bytes can count.
const LONGEST: usize = (1 << (7 * PLACE)) - 1;

/// The most that a number takes.
const MOST: usize = 10;

/// Kinds of fields on the wire.
const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const COUNTED: u32 = 2;
const FIXED_32: u32 = 5;

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes [`varint`] writes.
fn width(number: usize) -> usize {
    if number < 0x80 {
        return 1;
    }
    let bits = usize::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn tag(out: &mut Vec<u8>, field: u32, kind: u32) {
    varint(out, u64::from(field << 3 | kind));
}

/// A tag and the number behind it. Nearly all fit into one byte each, which are put there together.
#[inline]
fn pair(out: &mut Vec<u8>, field: u32, kind: u32, number: u64) {
    let tag = field << 3 | kind;
    if tag < 0x80 && number < 0x80 {
        out.extend_from_slice(&[tag as u8, number as u8]);
    } else {
        varint(out, u64::from(tag));
        varint(out, number);
    }
}

pub(super) fn number(out: &mut Vec<u8>, field: u32, number: u64) {
    pair(out, field, VARINT, number);
}

pub(super) fn fixed64(out: &mut Vec<u8>, field: u32, number: u64) {
    tag(out, field, FIXED_64);
    out.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn fixed32(out: &mut Vec<u8>, field: u32, number: u32) {
    tag(out, field, FIXED_32);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Text or bytes, of pieces that are put together.
pub(super) fn bytes(out: &mut Vec<u8>, field: u32, pieces: &[&[u8]]) {
    pair(out, field, COUNTED, pieces.iter().map(|piece| piece.len()).sum::<usize>() as u64);
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
}

/// Begins a message within one; [`close`] wants what this gives.
pub(super) fn open(out: &mut Vec<u8>, field: u32) -> usize {
    tag(out, field, COUNTED);
    out.extend_from_slice(&[0; PLACE]);
    out.len()
}

/// Ends the message that began at `start`. One that is longer than its length can say ends there.
pub(super) fn close(out: &mut Vec<u8>, start: usize) {
    let length = out.len().saturating_sub(start).min(LONGEST);
    out.truncate(start + length);
    let (Some(place), mut rest) = (out.get_mut(start.saturating_sub(PLACE)..start), length) else { return };
    for (at, byte) in place.iter_mut().enumerate() {
        let more = if at + 1 < PLACE { 0x80 } else { 0 };
        *byte = (rest & 0x7f) as u8 | more;
        rest >>= 7;
    }
}

/// The value of an attribute (`AnyValue`).
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'v> {
    Text(&'v str),
    Flag(bool),
    Count(i64),
    Real(f64),
    Texts(&'v [&'v str]),
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Value<'v> {
        Value::Text(text)
    }
}

impl<'v> From<&'v [&'v str]> for Value<'v> {
    fn from(texts: &'v [&'v str]) -> Value<'v> {
        Value::Texts(texts)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Value::Flag(flag)
    }
}

impl From<i64> for Value<'_> {
    fn from(count: i64) -> Self {
        Value::Count(count)
    }
}

impl From<f64> for Value<'_> {
    fn from(real: f64) -> Self {
        Value::Real(real)
    }
}

impl Value<'_> {
    /// How many bytes [`Value::write`] writes.
    fn length(self) -> usize {
        match self {
            Value::Text(text) => text_length(text),
            Value::Flag(_) => 2,
            Value::Count(count) => 1 + width(usize::try_from(count.cast_unsigned()).unwrap_or(usize::MAX)),
            Value::Real(_) => 9,
            Value::Texts(texts) => {
                let inner = texts_length(texts);
                1 + width(inner) + inner
            }
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        match self {
            Value::Text(text) => {
                pair(out, 1, COUNTED, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            Value::Flag(flag) => number(out, 2, u64::from(flag)),
            Value::Count(count) => number(out, 3, count.cast_unsigned()),
            Value::Real(real) => fixed64(out, 4, real.to_bits()),
            Value::Texts(texts) => {
                pair(out, 5, COUNTED, texts_length(texts) as u64);
                for text in texts {
                    pair(out, 1, COUNTED, text_length(text) as u64);
                    Value::Text(text).write(out);
                }
            }
        }
    }
}

/// Of a text as a value.
fn text_length(text: &str) -> usize {
    1 + width(text.len()) + text.len()
}

/// Of texts as the values of a list.
fn texts_length(texts: &[&str]) -> usize {
    let one = |text: &&str| {
        let value = text_length(text);
        1 + width(value) + value
    };
    texts.iter().map(one).sum()
}

/// An attribute (`KeyValue`), as one of `field`.
pub(super) fn attribute(out: &mut Vec<u8>, field: u32, name: &str, value: Value<'_>) {
    let inner = value.length();
    let length = text_length(name) + 1 + width(inner) + inner;
    out.reserve(length + 2 * MOST);
    pair(out, field, COUNTED, length as u64);
    pair(out, 1, COUNTED, name.len() as u64);
    out.extend_from_slice(name.as_bytes());
    pair(out, 2, COUNTED, inner as u64);
    value.write(out);
}

/// What stands before the value of an attribute of a span (`Span.attributes`): made by [`key!`], when the gateway is compiled.
#[derive(Clone, Copy)]
pub(super) struct Key<const N: usize>(pub(super) [u8; N]);

/// Bytes of a [`Key`] beside its name: two tags and lengths before it, the tag of the value behind it.
pub(super) const BESIDE: usize = 5;

/// Where the attribute's own length stands in a [`Key`]: zero, until it is known.
const LENGTH: usize = 1;

/// The name of an attribute of a span as a [`Key`].
macro_rules! key {
    ($name:literal) => {{
        const KEY: $crate::telemetry::otlp::protobuf::Key<{ $name.len() + $crate::telemetry::otlp::protobuf::BESIDE }> =
            $crate::telemetry::otlp::protobuf::spelt($name);
        KEY
    }};
}
pub(super) use key;

/// For [`key!`] alone. A name that a byte cannot count does not compile.
pub(super) const fn spelt<const N: usize>(name: &str) -> Key<N> {
    assert!(name.len() + BESIDE == N && N < 0x60, "an attribute's name is too long");
    let mut bytes = [0; N];
    let (head, rest) = bytes.split_at_mut(BESIDE - 1);
    head.copy_from_slice(&[(9 << 3 | COUNTED) as u8, 0, (1 << 3 | COUNTED) as u8, name.len() as u8]);
    let (letters, end) = rest.split_at_mut(name.len());
    letters.copy_from_slice(name.as_bytes());
    end.copy_from_slice(&[(2 << 3 | COUNTED) as u8]);
    Key(bytes)
}

/// What an attribute of a span may be. Where one is short, as nearly all are, its lengths are single bytes, and all of it that
/// is known when the gateway is compiled is one piece.
pub(super) trait Attribute {
    /// Writes the attribute of this name.
    fn write<const N: usize>(self, key: Key<N>, out: &mut Vec<u8>);
}

impl Attribute for &str {
    #[inline]
    fn write<const N: usize>(self, key: Key<N>, out: &mut Vec<u8>) {
        if N + self.len() >= 0x7c {
            return long(out, &key.0, Value::Text(self));
        }
        let length = self.len() as u8;
        short(out, key, [length + 2, (1 << 3 | COUNTED) as u8, length], length);
        out.extend_from_slice(self.as_bytes());
    }
}

impl Attribute for bool {
    #[inline]
    fn write<const N: usize>(self, key: Key<N>, out: &mut Vec<u8>) {
        short(out, key, [2, (2 << 3 | VARINT) as u8, u8::from(self)], 0);
    }
}

impl Attribute for i64 {
    #[inline]
    fn write<const N: usize>(self, key: Key<N>, out: &mut Vec<u8>) {
        match self {
            0..0x80 => short(out, key, [2, (3 << 3 | VARINT) as u8, self as u8], 0),
            0x80..0x4000 => {
                let (low, high) = (self as u8 | 0x80, (self >> 7) as u8);
                short(out, key, [3, (3 << 3 | VARINT) as u8, low, high], 0);
            }
            _ => long(out, &key.0, Value::Count(self)),
        }
    }
}

impl Attribute for f64 {
    #[inline]
    fn write<const N: usize>(self, key: Key<N>, out: &mut Vec<u8>) {
        let [a, b, c, d, e, f, g, h] = self.to_le_bytes();
        short(out, key, [9, (4 << 3 | FIXED_64) as u8, a, b, c, d, e, f, g, h], 0);
    }
}

impl Attribute for &[&str] {
    fn write<const N: usize>(self, key: Key<N>, out: &mut Vec<u8>) {
        long(out, &key.0, Value::Texts(self));
    }
}

/// A name, and what stands behind it; `more` bytes of the attribute follow.
#[inline]
fn short<const N: usize, const V: usize>(out: &mut Vec<u8>, Key(mut key): Key<N>, value: [u8; V], more: u8) {
    if let Some(place) = key.get_mut(LENGTH) {
        *place = (N + V - LENGTH - 1) as u8 + more;
    }
    out.extend_from_slice(&key);
    out.extend_from_slice(&value);
}

#[inline(never)]
fn long(out: &mut Vec<u8>, key: &[u8], value: Value<'_>) {
    let key = key.get(LENGTH + 1..).unwrap_or_default();
    let inner = value.length();
    let length = key.len() + width(inner) + inner;
    out.reserve(length + 2 * MOST);
    pair(out, 9, COUNTED, length as u64);
    out.extend_from_slice(key);
    varint(out, inner as u64);
    value.write(out);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value as Any};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message as _;

    use super::*;

    /// Read back with the official types.
    fn read(value: Value<'_>) -> Any {
        let mut out = Vec::new();
        attribute(&mut out, 1, "name", value);
        let resource = Resource::decode(&*out).unwrap();
        let [KeyValue { key, value: Some(AnyValue { value: Some(value) }), .. }] = &resource.attributes[..] else {
            panic!("{resource:?}")
        };
        assert_eq!(key, "name");
        value.clone()
    }

    #[test]
    fn attributes_are_read_back_by_the_official_types() {
        for length in [0, 1, 100, 125, 127, 128, 200, 16_383, 16_384, 70_000] {
            let text = "x".repeat(length);
            assert_eq!(read(Value::Text(&text)), Any::StringValue(text.clone()), "{length}");
            let texts = [text.as_str(), "", &text];
            let list = texts.map(|text| AnyValue { value: Some(Any::StringValue(text.to_owned())) }).to_vec();
            assert_eq!(read(Value::Texts(&texts)), Any::ArrayValue(ArrayValue { values: list }), "{length}");
        }
        for count in [0, 1, 127, 128, 1 << 20, i64::MAX, -1, i64::MIN] {
            assert_eq!(read(count.into()), Any::IntValue(count));
        }
        assert_eq!(read(true.into()), Any::BoolValue(true));
        assert_eq!(read(false.into()), Any::BoolValue(false));
        assert_eq!(read(0.125.into()), Any::DoubleValue(0.125));
        assert_eq!(read(Value::Texts(&[])), Any::ArrayValue(ArrayValue::default()));
    }

    #[test]
    fn attributes_of_spans_are_those_of_their_names() {
        fn check<'v, V: Attribute + Into<Value<'v>> + Copy>(value: V) {
            let (mut short, mut whole) = (Vec::new(), Vec::new());
            value.write(key!("gen_ai.operation.name"), &mut short);
            attribute(&mut whole, 9, "gen_ai.operation.name", value.into());
            assert_eq!(short, whole, "{:?}", value.into());
        }
        for length in (0..300).chain([16_383, 16_384, 70_000]) {
            let text = "x".repeat(length);
            check(&*text);
            check(&[&*text, "", &text][..]);
        }
        for count in [0, 1, 127, 128, 200, 0x3fff, 0x4000, 1 << 20, i64::MAX, -1, i64::MIN] {
            check(count);
        }
        [true, false].into_iter().for_each(check);
        [0.125, f64::MAX, -0.0].into_iter().for_each(check);
        check(&[][..]);
    }

    #[test]
    fn a_length_that_is_written_first_is_read_back() {
        for length in [0, 1, 127, 128, 1 << 14, 1 << 21] {
            let mut out = Vec::new();
            let start = open(&mut out, 1);
            // The name of an attribute that has no value.
            bytes(&mut out, 1, &[b"k".repeat(length).as_slice()]);
            close(&mut out, start);
            assert_eq!(Resource::decode(&*out).unwrap().attributes[0].key.len(), length);
        }
    }
}
