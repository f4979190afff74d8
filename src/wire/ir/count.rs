//! A count of tokens, however an upstream writes it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::wire::json::{self, Object};

/// A count, `None` for anything that is not one. Some upstreams write `12.0`, and relays that print what they count `"12"`.
#[derive(Debug, Default, Clone, Copy)]
pub struct Count(pub Option<u64>);

/// The count that a member holds.
pub fn count(raw: &RawValue) -> Option<u64> {
    serde_json::from_str::<Count>(raw.get()).ok()?.0
}

/// The count that a document holds in its member `name`.
pub fn told(body: &[u8], name: &str) -> Option<u64> {
    count(Object::parse(json::utf8(body).ok()?).ok()?.get(name)?)
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Count, E> {
        Ok(Count(Some(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(value).ok()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Count, E> {
        // A saturating cast: no count of tokens comes near the bounds.
        Ok(Count((value >= 0.0).then_some(value as u64)))
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_str<E>(self, text: &str) -> Result<Count, E> {
        let number = serde_json::from_str::<serde_json::Number>(text.trim()).ok();
        let fraction = |number: &serde_json::Number| number.as_f64().filter(|count| *count >= 0.0 && count.is_finite());
        Ok(Count(number.and_then(|number| number.as_u64().or_else(|| fraction(&number).map(|count| count as u64)))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Count(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_however_they_are_written() {
        for (text, expected) in [
            ("12", Some(12)),
            ("12.0", Some(12)),
            (r#""12""#, Some(12)),
            (r#"" 12.0 ""#, Some(12)),
            (r#""x""#, None),
            (r#""inf""#, None),
            (r#""-3""#, None),
            ("-3", None),
            ("null", None),
            ("[12]", None),
        ] {
            assert_eq!(count(&json::raw(text).unwrap()), expected, "{text}");
        }
    }
}
