//! Embeddings in OpenAI's form, as callers ask for them and get them: at its own endpoint, and at those that are like it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::ir::{EmbedInput, Encoding, Error};
use super::json::{self, JsonError, Kind, Object, ObjectWriter};

/// What every request of this form says.
pub(super) struct Wanted {
    pub(super) model: String,
    pub(super) input: EmbedInput,
    pub(super) dimensions: Option<u64>,
    pub(super) encoding: Encoding,
}

/// Takes it out of a request.
///
/// # Errors
/// A member that is missing, or of another form.
pub(super) fn wanted(request: &mut Object<'_>) -> Result<Wanted, Error> {
    let missing = |key: &str| JsonError::Missing { key: key.to_owned() };
    let model = request.string("model")?.ok_or_else(|| missing("model"))?;
    let input = input(request.take("input").ok_or_else(|| missing("input"))?)?;
    let dimensions = request.u64("dimensions")?;
    let encoding = match request.string("encoding_format")?.as_deref() {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(_) => return Err(wrong("encoding_format", "`float` or `base64`").into()),
    };
    Ok(Wanted { model, input, dimensions, encoding })
}

/// A text, a list of texts, token ids, or a list of lists of token ids.
fn input(raw: &RawValue) -> Result<EmbedInput, JsonError> {
    const EXPECTED: &str = "a string, a list of strings, or token ids";
    if let Some(text) = json::str_of(raw) {
        return Ok(EmbedInput::Texts(vec![text.into_owned()]));
    }
    let elements = json::read::<Vec<&RawValue>>(raw, "input", EXPECTED)?;
    match elements.first().map(|first| json::kind(first)) {
        Some(Kind::Number) => json::read(raw, "input", EXPECTED).map(|tokens| EmbedInput::Tokens(vec![tokens])),
        Some(Kind::Array) => json::read(raw, "input", EXPECTED).map(EmbedInput::Tokens),
        Some(Kind::String) => json::read(raw, "input", EXPECTED).map(EmbedInput::Texts),
        Some(Kind::Null | Kind::Bool | Kind::Object) | None => Err(wrong("input", EXPECTED)),
    }
}

fn wrong(key: &str, expected: &'static str) -> JsonError {
    JsonError::Type { key: key.to_owned(), expected }
}

/// Writes the list of vectors.
pub(super) fn write(vectors: &[Vec<f32>], encoding: Encoding, answer: &mut ObjectWriter<'_>) {
    answer.field("object", "list");
    answer.array("data", vectors.iter().enumerate(), |(index, vector), out| {
        json::object(out, |entry| {
            entry.field("object", "embedding");
            entry.field("index", &index);
            match encoding {
                Encoding::Float => entry.field("embedding", vector),
                Encoding::Base64 => entry.field("embedding", &base64_of(vector)),
            }
        });
    });
}

fn base64_of(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// The vector in the text that [`write`] makes of one.
pub(super) fn of_base64(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}
