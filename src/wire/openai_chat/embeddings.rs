//! Embeddings in OpenAI's shape.

use serde_json::value::RawValue;

use super::{OpenAiChat, relayed, usage};
use crate::wire::halves;
use crate::wire::ir::{EmbedInput, EmbedRequest, EmbedResponse, Encoding, Error, ErrorKind};
use crate::wire::json::{self, JsonError, Object};
use crate::wire::loss::Losses;
use crate::wire::openai_vectors::{self, Wanted};
use crate::wire::{Destination, Embeddings, EmbeddingsIn, Head, ProtocolId};

impl Embeddings for OpenAiChat {
    fn encode_request(
        &self,
        request: &EmbedRequest,
        destination: &Destination<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Result<(), Error> {
        json::object(out, |body| {
            body.field("model", destination.model);
            match &request.input {
                EmbedInput::Texts(texts) => body.field("input", texts),
                EmbedInput::Tokens(tokens) => body.field("input", tokens),
            }
            let own = !destination.quirks.embed_output_dimension;
            body.optional(if own { "dimensions" } else { "output_dimension" }, &request.dimensions);
            // Not every upstream knows the member; the gateway encodes for the caller itself.
            if own && request.encoding == Encoding::Base64 && request.origin == ProtocolId::OpenAiChat {
                body.field("encoding_format", "base64");
            }
            match &request.user {
                Some(_) if !own => losses.dropped("user", "the upstream has no member for the caller's user"),
                user => body.optional("user", user),
            }
            if request.origin == ProtocolId::OpenAiChat {
                body.ext(&request.ext);
            } else {
                losses.dropped_ext("", &request.ext);
            }
        });
        Ok(())
    }

    fn decode_response(&self, body: &[u8]) -> Result<EmbedResponse, Error> {
        let broken = |what: &str| {
            Error::new(ErrorKind::Upstream, format!("the upstream's answer is no list of embeddings: {what}"))
        };
        let text = std::str::from_utf8(body).map_err(|error| broken(&error.to_string()))?;
        let mut answer = Object::parse(text).map_err(|error| broken(&error.to_string()))?;
        let data = answer.array("data").ok().flatten().ok_or_else(|| broken("`data` is missing"))?;
        let vectors = data.into_iter().map(|raw| vector(raw).map_err(|error| broken(&error.to_string())));
        let mut vectors: Vec<(Option<u64>, Vec<f32>)> = vectors.collect::<Result<_, _>>()?;
        // Stable: entries without an index keep their places.
        vectors.sort_by_key(|(index, _)| index.unwrap_or(0));
        let vectors = vectors.into_iter().map(|(_, vector)| vector).collect();
        let model = answer.string("model").ok().flatten();
        Ok(EmbedResponse { model, vectors, usage: usage::of_answer(body).or_else(|| relayed::usage(body)) })
    }
}

impl EmbeddingsIn for OpenAiChat {
    fn decode_request(&self, _head: &Head<'_>, body: &[u8]) -> Result<EmbedRequest, Error> {
        let body = halves::mended(body);
        let mut request = Object::parse(json::utf8(&body)?)?;
        let Wanted { model, input, dimensions, encoding } = openai_vectors::wanted(&mut request)?;
        let user = request.string("user")?;
        let ext = request.rest();
        Ok(EmbedRequest { origin: ProtocolId::OpenAiChat, model, input, dimensions, encoding, user, ext })
    }

    fn encode_response(
        &self,
        request: &EmbedRequest,
        response: &EmbedResponse,
        out: &mut Vec<u8>,
        _losses: &mut Losses,
    ) {
        json::object(out, |answer| {
            openai_vectors::write(&response.vectors, request.encoding, answer);
            answer.field("model", response.model.as_deref().unwrap_or(&request.model));
            let input = response.usage.and_then(|usage| usage.input).unwrap_or(0);
            answer.object("usage", |counts| {
                counts.field("prompt_tokens", &input);
                counts.field("total_tokens", &input);
            });
        });
    }
}

fn vector(raw: &RawValue) -> Result<(Option<u64>, Vec<f32>), JsonError> {
    let mut entry = Object::of(raw)?;
    let index = entry.u64("index")?;
    let embedding = entry.take("embedding").ok_or(JsonError::Missing { key: "embedding".to_owned() })?;
    let wrong = || JsonError::Type { key: "embedding".to_owned(), expected: "base64 of 32-bit floats" };
    let vector = match json::str_of(embedding) {
        Some(text) => openai_vectors::of_base64(&text).ok_or_else(wrong)?,
        None => json::read(embedding, "embedding", "a list of numbers")?,
    };
    Ok((index, vector))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Operation;

    const HEAD: Head<'_> = Head { operation: Operation::Embed, path_model: None, path_stream: false, alt_sse: false };

    fn decoded(body: &str) -> Result<EmbedRequest, Error> {
        EmbeddingsIn::decode_request(&OpenAiChat, &HEAD, body.as_bytes())
    }

    #[test]
    fn every_form_of_input_is_read() {
        let input = |input: &str| decoded(&format!(r#"{{"model":"m","input":{input}}}"#)).map(|request| request.input);
        assert_eq!(input(r#""a""#), Ok(EmbedInput::Texts(vec!["a".to_owned()])));
        assert_eq!(input(r#"["a","b"]"#), Ok(EmbedInput::Texts(vec!["a".to_owned(), "b".to_owned()])));
        assert_eq!(input("[1,2]"), Ok(EmbedInput::Tokens(vec![vec![1, 2]])));
        assert_eq!(input("[[1],[2,3]]"), Ok(EmbedInput::Tokens(vec![vec![1], vec![2, 3]])));
        for bad in ["[]", "{}", r#"["a",1]"#, "7"] {
            assert_eq!(input(bad).unwrap_err().param.as_deref(), Some("input"), "{bad}");
        }
    }

    #[test]
    fn vectors_are_written_as_the_caller_asked() {
        let response = EmbedResponse { model: None, vectors: vec![vec![0.5, -1.0]], usage: None };
        let answer = |body: &str| {
            let mut out = Vec::new();
            let request = decoded(body).unwrap();
            EmbeddingsIn::encode_response(&OpenAiChat, &request, &response, &mut out, &mut Losses::default());
            String::from_utf8(out).unwrap()
        };
        let floats = answer(r#"{"model":"m","input":"a"}"#);
        assert!(floats.contains(r#""embedding":[0.5,-1.0]"#), "{floats}");
        let base64 = answer(r#"{"model":"m","input":"a","encoding_format":"base64"}"#);
        assert!(base64.contains(r#""embedding":"AAAAPwAAgL8=""#), "{base64}");
        for text in [floats, base64] {
            let read = Embeddings::decode_response(&OpenAiChat, text.as_bytes()).unwrap();
            assert_eq!((read.vectors, read.model.as_deref()), (response.vectors.clone(), Some("m")));
        }
    }

    #[test]
    fn vectors_come_back_in_the_order_of_their_index() {
        let body = br#"{"data":[{"index":1,"embedding":[1]},{"index":0,"embedding":[0]}],"usage":{"prompt_tokens":2}}"#;
        let read = Embeddings::decode_response(&OpenAiChat, body).unwrap();
        assert_eq!((read.vectors, read.usage.and_then(|usage| usage.input)), (vec![vec![0.0], vec![1.0]], Some(2)));
    }
}
