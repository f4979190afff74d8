//! JSON of records, written for every line of the access log: what `serde_json` writes, for less. Names of members are ours and
//! need no look at their letters; texts are looked at as a whole, and only one that needs it is written letter by letter.

use std::fmt;
use std::io::Write as _;

use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct};

/// Appends `value`. What a record has no use for (tuples, variants with values) is refused, and nothing is appended.
pub(super) fn write(value: &impl Serialize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let written = value.serialize(Json { out }).is_ok();
    if !written {
        out.truncate(start);
    }
    written
}

struct Json<'o> {
    out: &'o mut Vec<u8>,
}

/// An object or a list that is being written.
struct Open<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
    end: u8,
}

/// A value that a record does not have.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no value of a record")
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Refused {
        Refused
    }
}

/// Whether a text is in JSON as it is: no quote, no backslash, no control character.
fn is_plain(text: &str) -> bool {
    // All bytes are looked at, without a way out in between: that is many at a time.
    text.bytes().fold(true, |plain, byte| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'))
}

impl<'o> Json<'o> {
    fn raw(self, bytes: &[u8]) -> Result<(), Refused> {
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn by_serde_json(self, value: &(impl Serialize + ?Sized)) -> Result<(), Refused> {
        serde_json::to_writer(&mut *self.out, value).map_err(|_| Refused)
    }

    fn open(self, begin: u8, end: u8) -> Result<Open<'o>, Refused> {
        self.out.push(begin);
        Ok(Open { out: self.out, empty: true, end })
    }
}

impl Open<'_> {
    fn next(&mut self) -> Json<'_> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        Json { out: self.out }
    }

    fn close(self) -> Result<(), Refused> {
        self.out.push(self.end);
        Ok(())
    }
}

impl<'o> ser::Serializer for Json<'o> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Open<'o>;
    type SerializeMap = Open<'o>;
    type SerializeStruct = Open<'o>;
    type SerializeTuple = Impossible<(), Refused>;
    type SerializeTupleStruct = Impossible<(), Refused>;
    type SerializeTupleVariant = Impossible<(), Refused>;
    type SerializeStructVariant = Impossible<(), Refused>;

    fn serialize_bool(self, flag: bool) -> Result<(), Refused> {
        self.raw(if flag { b"true" } else { b"false" })
    }

    fn serialize_i8(self, number: i8) -> Result<(), Refused> {
        self.serialize_i64(number.into())
    }

    fn serialize_i16(self, number: i16) -> Result<(), Refused> {
        self.serialize_i64(number.into())
    }

    fn serialize_i32(self, number: i32) -> Result<(), Refused> {
        self.serialize_i64(number.into())
    }

    fn serialize_i64(self, number: i64) -> Result<(), Refused> {
        self.by_serde_json(&number)
    }

    fn serialize_u8(self, number: u8) -> Result<(), Refused> {
        self.serialize_u64(number.into())
    }

    fn serialize_u16(self, number: u16) -> Result<(), Refused> {
        self.serialize_u64(number.into())
    }

    fn serialize_u32(self, number: u32) -> Result<(), Refused> {
        self.serialize_u64(number.into())
    }

    fn serialize_u64(self, number: u64) -> Result<(), Refused> {
        self.by_serde_json(&number)
    }

    fn serialize_u128(self, number: u128) -> Result<(), Refused> {
        self.by_serde_json(&number)
    }

    fn serialize_f32(self, number: f32) -> Result<(), Refused> {
        self.by_serde_json(&number)
    }

    fn serialize_f64(self, number: f64) -> Result<(), Refused> {
        self.by_serde_json(&number)
    }

    fn serialize_char(self, letter: char) -> Result<(), Refused> {
        self.by_serde_json(&letter)
    }

    fn serialize_str(self, text: &str) -> Result<(), Refused> {
        if !is_plain(text) {
            return self.by_serde_json(text);
        }
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Refused> {
        Err(Refused)
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.raw(b"null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        self.raw(b"null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        self.raw(b"null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Refused> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Refused> {
        Err(Refused)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'o>, Refused> {
        self.open(b'[', b']')
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'o>, Refused> {
        self.open(b'{', b'}')
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'o>, Refused> {
        self.open(b'{', b'}')
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Refused> {
        Err(Refused)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Refused> {
        Err(Refused)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Refused> {
        Err(Refused)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Refused> {
        Err(Refused)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, text: &T) -> Result<(), Refused> {
        let (start, out) = (self.out.len(), self.out);
        out.push(b'"');
        let written = write!(out, "{text}").is_ok();
        let plain = out.get(start + 1..).and_then(|text| std::str::from_utf8(text).ok()).is_some_and(is_plain);
        if written && plain {
            out.push(b'"');
            return Ok(());
        }
        out.truncate(start);
        Json { out }.by_serde_json(&text.to_string())
    }
}

impl SerializeSeq for Open<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(self.next())
    }

    fn end(self) -> Result<(), Refused> {
        self.close()
    }
}

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        key.serialize(self.next())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.out.push(b':');
        value.serialize(Json { out: self.out })
    }

    fn end(self) -> Result<(), Refused> {
        self.close()
    }
}

impl SerializeStruct for Open<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Refused> {
        let Json { out } = self.next();
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        value.serialize(Json { out })
    }

    fn end(self) -> Result<(), Refused> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::json;

    use super::*;
    use crate::telemetry::inputs::{Inputs, Measured};
    use crate::telemetry::otlp::Trace;
    use crate::telemetry::record::{Charge, Fact, Fault, Outcome, Record, Skipped, Tried};
    use crate::wire::ProtocolId;
    use crate::wire::ir::Usage;

    fn odd(text: &str) -> Record {
        let mut record = Record::new(SystemTime::UNIX_EPOCH, text.into(), 7, ProtocolId::Gemini);
        record.key = Some(text.into());
        (record.rule, record.status, record.outcome) = (Some(1), 502, Outcome::BrokeOff);
        record.attempts = vec![Tried {
            target: format!("up/{text}").into(),
            told_apart: true,
            lane: "translate",
            cause: "status",
            status: Some(503),
            start: Duration::from_micros(1),
            first: None,
            end: Some(Duration::from_millis(2)),
            losses: vec![text.into(), "b".into()],
            left: Some(Charge { usage: Usage { input: Some(2), ..Usage::default() }, cost_usd: Some(0.5) }),
            span: 1,
            content: None,
        }];
        record.skipped = vec![Skipped { target: text.into(), reason: "cooling" }];
        record.error = Some(Fault { code: Some(text.into()), origin: "gateway" });
        record.usage = Some(Usage { input: Some(u64::MAX), ..Usage::default() });
        (record.cost_usd, record.draw) = (Some(0.000_012_3), Some(0.1));
        record.tags = vec![(text.into(), text.into())];
        record.facts = vec![("user".into(), Fact::Absent), ("x".into(), Fact::Text(text.into()))];
        record.facts.extend([("n".into(), Fact::Number(3)), ("f".into(), Fact::Flag(true))]);
        let measured = Measured {
            cooling_ms: Some(Duration::from_secs(1)),
            first_token_ms: Some(1.5),
            latency_ms: None,
            in_flight: 2,
        };
        let wishes = Some(json!({ text: [1, -2, 2.5, null, true, { "a": text }] }));
        record.inputs = Some(Box::new(Inputs { health: vec![(text.into(), measured)], turns: Vec::new(), wishes }));
        record.trace = Some(Trace { id: u128::MAX - 1, span: 0xab, parent: None, sampled: true, state: None });
        record
    }

    #[test]
    fn a_record_is_what_serde_json_writes() {
        for text in ["", "plain", "sl/ash é 漢 🦀 \u{7f}", "quote\" back\\ tab\t new\n nul\0 \u{1f}", "\u{2028}"] {
            let record = odd(text);
            let mut out = b"before".to_vec();
            assert!(write(&record, &mut out));
            assert_eq!(String::from_utf8(out).unwrap(), format!("before{}", serde_json::to_string(&record).unwrap()));
        }
    }

    #[test]
    fn what_is_no_value_of_a_record_leaves_nothing() {
        let mut out = b"before".to_vec();
        assert!(!write(&[Some((1, 2))].as_slice(), &mut out));
        assert_eq!(out, b"before");
    }
}
