//! Embeddings in OpenAI's form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::{Chat, call};
use crate::wire::ir::{EmbedInput, EmbedRequest, EmbedResponse, Encoding, Error};
use crate::wire::json::{self, JsonError, Kind, Object};
use crate::wire::loss::Losses;
use crate::wire::{EmbeddingsIn, Head, ProtocolId};

impl EmbeddingsIn for Chat {
    fn decode_request(&self, _head: &Head<'_>, body: &[u8]) -> Result<EmbedRequest, Error> {
        let text = json::utf8(body)?;
        let mut request = Object::parse(text)?;
        let missing = |key: &str| JsonError::Missing { key: key.to_owned() };
        let model = request.string("model")?.ok_or_else(|| missing("model"))?;
        let input = input(request.take("input").ok_or_else(|| missing("input"))?)?;
        let dimensions = request.u64("dimensions")?;
        let encoding = match request.string("encoding_format")?.as_deref() {
            None | Some("float") => Encoding::Float,
            Some("base64") => Encoding::Base64,
            Some(_) => return Err(wrong("encoding_format", "`float` or `base64`").into()),
        };
        Ok(EmbedRequest {
            origin: ProtocolId::OpenAiChat,
            model: call::asked_of_embeddings(&model).name(),
            input,
            dimensions,
            encoding,
            user: None,
            ext: json::Ext::default(),
        })
    }

    fn encode_response(
        &self,
        request: &EmbedRequest,
        response: &EmbedResponse,
        out: &mut Vec<u8>,
        _losses: &mut Losses,
    ) {
        json::object(out, |answer| {
            answer.field("object", "list");
            answer.array("data", response.vectors.iter().enumerate(), |(index, vector), out| {
                json::object(out, |entry| {
                    entry.field("object", "embedding");
                    match request.encoding {
                        Encoding::Float => entry.field("embedding", vector),
                        Encoding::Base64 => {
                            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                            entry.field("embedding", &STANDARD.encode(bytes));
                        }
                    }
                    entry.field("index", &index);
                });
            });
            answer.field("model", &request.model);
            let input = response.usage.and_then(|usage| usage.input);
            answer.object("usage", |counts| {
                counts.optional("prompt_tokens", &input);
                counts.optional("total_tokens", &input);
                counts.field("tensorzero_cost", &());
            });
        });
    }
}

fn wrong(key: &str, expected: &'static str) -> JsonError {
    JsonError::Type { key: key.to_owned(), expected }
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
