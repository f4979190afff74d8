//! OpenAI's other endpoints: images, speech, transcription, moderation and the like. Nothing of them is translated; of a
//! request only what routing needs is read, of an answer only what it cost.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use smallvec::SmallVec;

use crate::wire::envelope::Envelope;
use crate::wire::ir::count::Count;
use crate::wire::ir::{Error, Usage};
use crate::wire::multipart::{self, Part};
use crate::wire::outline::Outline;

/// What routing reads of a form.
///
/// # Errors
/// A body that is no form, or one in which `model` is missing, empty, a file, or there twice.
pub(super) fn peek_form(body: &[u8]) -> Result<Envelope<'_>, Error> {
    let parts = parts(body)?;
    let model = one(body, &parts, "model")?.filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Error::invalid("the form has no field `model`").with_param("model"))?;
    let stream = one(body, &parts, "stream")?.is_some_and(|stream| stream == "true");
    let user = one(body, &parts, "user")?;
    Ok(Envelope {
        body,
        members: Outline::default(),
        model: Cow::Borrowed(model),
        stream,
        user: user.map(Cow::Borrowed),
    })
}

/// The form with another name of the model; everything else is the caller's bytes.
///
/// # Errors
/// As [`peek_form`].
pub(super) fn rename_form(body: &Bytes, model: &str) -> Result<SmallVec<[Bytes; 4]>, Error> {
    let parts = parts(body)?;
    let Some(part) = parts.iter().find(|part| part.name == "model") else {
        return Err(Error::invalid("the form has no field `model`").with_param("model"));
    };
    // The name is the table's, or what stood in this part: it cannot end the part.
    Ok(SmallVec::from_iter([
        body.slice(..part.value.start),
        Bytes::copy_from_slice(model.as_bytes()),
        body.slice(part.value.end..),
    ]))
}

fn parts(body: &[u8]) -> Result<Vec<Part>, Error> {
    multipart::parts(body).map_err(|why| Error::invalid(format!("the body is no `multipart/form-data`: {why}")))
}

/// The text of a field that may stand there once.
fn one<'b>(body: &'b [u8], parts: &[Part], name: &str) -> Result<Option<&'b str>, Error> {
    let mut named = parts.iter().filter(|part| part.name == name);
    let Some(part) = named.next() else { return Ok(None) };
    let text = body.get(part.value.clone()).and_then(|value| std::str::from_utf8(value).ok());
    match (text, part.file, named.next()) {
        (Some(text), false, None) => Ok(Some(text)),
        (_, _, Some(_)) => Err(Error::invalid(format!("the form has `{name}` twice")).with_param(name)),
        _ => Err(Error::invalid(format!("`{name}` must be a text")).with_param(name)),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    usage: Option<Counts>,
    meta: Option<Meta>,
}

/// `usage` of images and transcriptions, and Voyage's and Jina's of rerank.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    input_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    #[serde(alias = "input_token_details")]
    input_tokens_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    image_tokens: Count,
    audio_tokens: Count,
}

/// Cohere's rerank.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    tokens: Option<Tokens>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Count,
    output_tokens: Count,
}

/// Usage in the spelling of the newer endpoints.
pub(super) fn usage(body: &[u8]) -> Option<Usage> {
    memmem::find(body, b"_tokens\"")?;
    let Answer { usage, meta } = serde_json::from_slice(body).ok()?;
    if let Some(tokens) = meta.and_then(|meta| meta.tokens) {
        return Usage { input: tokens.input_tokens.0, output: tokens.output_tokens.0, ..Usage::default() }.reported();
    }
    let counts = usage?;
    let details = counts.input_tokens_details.unwrap_or_default();
    let usage = Usage {
        input: counts.input_tokens.0.or(counts.total_tokens.0),
        output: counts.output_tokens.0,
        audio_input: details.audio_tokens.0,
        image_input: details.image_tokens.0,
        ..Usage::default()
    };
    usage.reported()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Bytes {
        let mut form = String::new();
        for (name, value) in fields {
            form += &format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        (form + "--b--\r\n").into()
    }

    #[test]
    fn a_form_is_routed_by_its_fields_and_renamed_in_its_place() {
        let body = form(&[("prompt", "model"), ("model", "openai/gpt-image-1"), ("stream", "true"), ("user", "u")]);
        let envelope = peek_form(&body).unwrap();
        assert_eq!(
            (&*envelope.model, envelope.stream, envelope.user.as_deref()),
            ("openai/gpt-image-1", true, Some("u"))
        );
        let renamed = rename_form(&body, "gpt-image-1").unwrap().concat();
        let expected = form(&[("prompt", "model"), ("model", "gpt-image-1"), ("stream", "true"), ("user", "u")]);
        assert_eq!(renamed, expected);
    }

    #[test]
    fn a_form_must_name_one_model() {
        for fields in [&[("model", "")][..], &[("model", "a"), ("model", "b")], &[("prompt", "x")]] {
            assert_eq!(peek_form(&form(fields)).unwrap_err().param.as_deref(), Some("model"), "{fields:?}");
        }
    }

    #[test]
    fn usage_is_read_in_every_spelling() {
        let image =
            br#"{"data":[],"usage":{"input_tokens":9,"output_tokens":4,"input_tokens_details":{"image_tokens":5}}}"#;
        let read = usage(image).unwrap();
        assert_eq!((read.input, read.output, read.image_input), (Some(9), Some(4), Some(5)));
        let cohere = br#"{"results":[],"meta":{"tokens":{"input_tokens":7,"output_tokens":0}}}"#;
        assert_eq!(usage(cohere).and_then(|usage| usage.input), Some(7));
        let voyage = br#"{"data":[],"usage":{"total_tokens":26}}"#;
        assert_eq!(usage(voyage).and_then(|usage| usage.input), Some(26));
        assert_eq!(usage(br#"{"text":"five _tokens"}"#), None);
    }
}
