//! Which files a document names.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Members whose texts are ids of files, at OpenAI and at Anthropic, wherever they stand.
const NAMES: [&str; 3] = ["file_id", "file_ids", "input_file_id"];

/// Members whose objects are the caller's own data: arguments, schemas, notes. What is called `file_id` there is no reference.
const DATA: [&str; 6] = ["input", "arguments", "metadata", "parameters", "input_schema", "schema"];

/// The ids of the files that a document of a caller names.
///
/// # Errors
/// It is not JSON.
pub(super) fn files(document: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(document);
    Search { place: Place::Elsewhere, found: &mut found }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a member that names files.
    Named,
    /// In a member whose objects are data.
    Data,
    Elsewhere,
}

impl Place {
    fn below(key: &str) -> Place {
        match key {
            key if NAMES.contains(&key) => Place::Named,
            key if DATA.contains(&key) => Place::Data,
            _ => Place::Elsewhere,
        }
    }
}

struct Search<'f> {
    place: Place,
    found: &'f mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.place == Place::Named {
            self.found.push(text.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        // A list called `input` holds what is said, not data.
        let place = if self.place == Place::Named { Place::Named } else { Place::Elsewhere };
        while elements.next_element_seed(Search { place, found: self.found })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        if self.place == Place::Data {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while let Some(key) = members.next_key::<Cow<'de, str>>()? {
            members.next_value_seed(Search { place: Place::below(&key), found: self.found })?;
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, expected: &[&str]) {
        assert_eq!(files(document.as_bytes()).unwrap(), expected, "{document}");
    }

    #[test]
    fn files_are_found_where_the_vendors_take_them() {
        check(r#"{"messages":[{"content":[{"type":"file","file":{"file_id":"f1"}}]}]}"#, &["f1"]);
        check(
            r#"{"input":[{"content":[{"type":"input_file","file_id":"f1"},{"type":"input_image","file_id":"f2"}]}]}"#,
            &["f1", "f2"],
        );
        check(
            r#"{"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["f1","f2"]}}]}"#,
            &["f1", "f2"],
        );
        check(r#"{"messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"f1"}}]}]}"#, &["f1"]);
        check(
            r#"{"requests":[{"params":{"messages":[{"content":[{"type":"container_upload","file_id":"f1"}]}]}}]}"#,
            &["f1"],
        );
        check(r#"{"input_file_id":"f1","endpoint":"/v1/responses"}"#, &["f1"]);
        check(r#"{"file\u005fid":"f\u0031"}"#, &["f1"]);
    }

    #[test]
    fn data_of_the_caller_names_no_files() {
        check(r#"{"content":[{"type":"tool_use","input":{"file_id":"mine","deep":[{"file_id":"mine"}]}}]}"#, &[]);
        check(
            r#"{"tools":[{"function":{"parameters":{"properties":{"file_id":{"type":"string"}},"examples":[{"file_id":"mine"}]}}}]}"#,
            &[],
        );
        check(
            r#"{"metadata":{"file_id":"mine"},"n":1,"t":0.5,"i":-1,"b":true,"z":null,"file_id":null,"text":"file_id"}"#,
            &[],
        );
        assert!(files(b"{").is_err() && files(b"{} {}").is_err() && files(b"\xff").is_err());
    }
}
