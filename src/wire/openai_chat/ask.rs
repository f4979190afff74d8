//! Usage of streams, asked for where the caller did not: `stream_options.include_usage`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::wire::envelope::{Edit, Envelope};
use crate::wire::json::Object;
use crate::wire::pointer;
use crate::wire::quirk::Quirks;

const MEMBER: &str = "stream_options";

/// The edit that asks; `None` where the caller asks, where the upstream does not know the member, and where the caller wrote
/// something there that is no object, which is the upstream's to refuse.
pub(super) fn for_usage(envelope: &Envelope<'_>, quirks: &Quirks) -> Option<Edit<'static>> {
    if !envelope.stream || quirks.no_stream_options || quirks.refused_members.iter().any(|member| member == MEMBER) {
        return None;
    }
    let options = match envelope.members.get(MEMBER).filter(|options| *options != "null") {
        None => "{\"include_usage\":true}".to_owned(),
        Some(options) => {
            if Object::parse(options).ok()?.get("include_usage").map(RawValue::get) == Some("true") {
                return None;
            }
            pointer::set(options, &[Cow::Borrowed("include_usage")], "true").ok()?
        }
    };
    Some(Edit::Set(MEMBER, Cow::Owned(options.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::openai_chat::peek::peek;
    use bytes::Bytes;

    fn asked(body: &str, quirks: &Quirks) -> Option<String> {
        let envelope = peek(body.as_bytes()).unwrap();
        let edit = for_usage(&envelope, quirks)?;
        let pieces = envelope.splice(&Bytes::copy_from_slice(body.as_bytes()), &[edit]);
        Some(String::from_utf8(pieces.concat()).unwrap())
    }

    #[test]
    fn usage_is_asked_for_where_the_caller_did_not() {
        for (given, expected) in [
            (r#""stream": true"#, r#""stream": true,"stream_options":{"include_usage":true}"#),
            (r#""stream":true,"stream_options":null"#, r#""stream":true,"stream_options":{"include_usage":true}"#),
            (r#""stream":true,"stream_options":{}"#, r#""stream":true,"stream_options":{"include_usage":true}"#),
            (
                r#""stream":true,"stream_options":{"include_usage":false, "include_obfuscation":false}"#,
                r#""stream":true,"stream_options":{"include_usage":true, "include_obfuscation":false}"#,
            ),
        ] {
            let text = asked(&format!(r#"{{"model":"m",{given}}}"#), &Quirks::default());
            assert_eq!(text, Some(format!(r#"{{"model":"m",{expected}}}"#)));
        }
    }

    #[test]
    fn usage_is_not_asked_for_twice_or_in_vain() {
        let none = Quirks::default();
        for given in [
            r#""stream":true,"stream_options":{"include_usage":true}"#,
            r#""stream":true,"stream_options":7"#,
            r#""stream":false"#,
            r#""n":1"#,
        ] {
            assert_eq!(asked(&format!(r#"{{"model":"m",{given}}}"#), &none), None, "{given}");
        }
        let unknown = Quirks { no_stream_options: true, ..Quirks::default() };
        let refused = Quirks { refused_members: vec![MEMBER.to_owned()], ..Quirks::default() };
        for quirks in [unknown, refused] {
            assert_eq!(asked(r#"{"model":"m","stream":true}"#, &quirks), None);
        }
    }
}
