//! `embedContent` (one content, one vector) and `batchEmbedContents`; at Vertex, `:predict`.

use serde_json::value::RawValue;

use super::{member, note, path, predict};
use crate::wire::ir::count::count;
use crate::wire::ir::{EmbedInput, EmbedRequest, EmbedResponse, Encoding, Error, ErrorKind, Usage};
use crate::wire::json::{self, Ext, Object};
use crate::wire::loss::Losses;
use crate::wire::{Destination, Head, ProtocolId};

/// Reads either request; the shape is remembered for the answer.
///
/// # Errors
/// Not JSON, a path without a model, a content that is not text, or requests of one batch that differ in more than text.
pub(super) fn decode_request(head: &Head<'_>, body: &[u8]) -> Result<EmbedRequest, Error> {
    let mut body = Object::parse(member::text(body)?)?;
    let Some(model) = head.path_model else {
        return Err(Error::invalid("the path names no model; use /v1beta/models/{model}:batchEmbedContents"));
    };
    let batch = member::array(&mut body, "requests")?;
    let mut asked = match batch {
        Some(requests) => decode_batch(requests)?,
        None => {
            let mut one = decode_one(body)?;
            note::add(&mut one.ext, note::EMBED_ONE);
            Asked { texts: vec![one.text], dimensions: one.dimensions, ext: one.ext }
        }
    };
    Ok(EmbedRequest {
        origin: ProtocolId::Gemini,
        model: path::plain_model(model).to_owned(),
        input: EmbedInput::Texts(std::mem::take(&mut asked.texts)),
        dimensions: asked.dimensions,
        encoding: Encoding::Float,
        user: None,
        ext: asked.ext,
    })
}

struct Asked {
    texts: Vec<String>,
    dimensions: Option<u64>,
    ext: Ext,
}

struct One {
    text: String,
    dimensions: Option<u64>,
    ext: Ext,
}

fn decode_batch(requests: Vec<&RawValue>) -> Result<Asked, Error> {
    let mut asked = Asked { texts: Vec::with_capacity(requests.len()), dimensions: None, ext: Ext::default() };
    for (position, request) in requests.into_iter().enumerate() {
        let one = decode_one(Object::of(request)?)?;
        if position == 0 {
            (asked.dimensions, asked.ext) = (one.dimensions, one.ext);
        } else if one.dimensions != asked.dimensions || one.ext != asked.ext {
            let message = "the requests of a batch may differ only in their texts; send the others separately";
            return Err(Error::invalid(message).with_param("requests"));
        }
        asked.texts.push(one.text);
    }
    Ok(asked)
}

fn decode_one(mut request: Object<'_>) -> Result<One, Error> {
    request.take("model");
    let Some(mut content) = member::object(&mut request, "content")? else {
        return Err(Error::invalid("`content` is missing").with_param("content"));
    };
    let mut text = String::new();
    for part in member::array(&mut content, "parts")?.unwrap_or_default() {
        let Some(piece) = member::string(&mut Object::of(part)?, "text")? else {
            let message = "only text can be embedded through another protocol; send media to a Gemini model";
            return Err(Error::invalid(message).with_code("unsupported_content").with_param("content.parts"));
        };
        text.push_str(&piece);
    }
    let dimensions = member::read(&mut request, "outputDimensionality", "a whole number")?;
    Ok(One { text, dimensions, ext: request.rest() })
}

/// Most texts of one call. <https://ai.google.dev/gemini-api/docs/embeddings>: a batch holds at most a hundred.
pub(super) fn most_inputs(destination: &Destination<'_>) -> usize {
    const BATCH: usize = 100;
    if destination.quirks.embed_predictions { predict::most_inputs(destination.model) } else { BATCH }
}

/// Writes a batch, also for one text.
///
/// # Errors
/// Token ids, which only their own model's family understands.
pub(super) fn encode_request(
    request: &EmbedRequest,
    destination: &Destination<'_>,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let EmbedInput::Texts(texts) = &request.input else {
        let message = "Gemini embeds texts, not token ids; send the texts themselves";
        return Err(Error::invalid(message).with_code("unsupported_content").with_param("input"));
    };
    let native = request.origin == ProtocolId::Gemini;
    if request.user.is_some() {
        losses.dropped("user", "Gemini has no member for the caller's user");
    }
    if destination.quirks.embed_predictions {
        return predict::encode_request(request, texts, destination.model, out, losses);
    }
    if !native {
        request.ext.keys().for_each(|key| losses.dropped(key.to_owned(), "Gemini has no such member"));
    }
    let model = format!("models/{}", path::plain_model(destination.model));
    json::object(out, |w| {
        w.array("requests", texts, |text, out| {
            json::object(out, |w| {
                w.field("model", &model);
                w.object("content", |w| {
                    w.array("parts", [text], |text, out| json::object(out, |w| w.field("text", text)));
                });
                w.optional("outputDimensionality", &request.dimensions);
                if native {
                    note::write_top(w, &request.ext, &[]);
                }
            });
        });
    });
    Ok(())
}

/// Reads either answer.
///
/// # Errors
/// A body without vectors.
pub(super) fn decode_response(body: &[u8]) -> Result<EmbedResponse, Error> {
    let foreign = |error: Error| Error { kind: ErrorKind::Upstream, status: ErrorKind::Upstream.status(), ..error };
    read_response(body).map_err(foreign)
}

fn read_response(body: &[u8]) -> Result<EmbedResponse, Error> {
    let mut body = Object::parse(member::text(body)?)?;
    if let Some(predictions) = body.array("predictions")? {
        return predict::decode_response(predictions);
    }
    let given = match (body.array("embeddings")?, body.take("embedding")) {
        (Some(several), _) => several,
        (None, Some(one)) => vec![one],
        (None, None) => return Err(Error::invalid("the upstream's answer holds no embeddings")),
    };
    let mut vectors = Vec::with_capacity(given.len());
    for embedding in given {
        let values: Option<Vec<f32>> = Object::of(embedding)?.read("values", "a list of numbers")?;
        vectors.push(values.unwrap_or_default());
    }
    let usage = body.object("usageMetadata")?;
    let usage = usage.map(|told| Usage { input: told.get("promptTokenCount").and_then(count), ..Usage::default() });
    Ok(EmbedResponse { model: None, vectors, usage })
}

/// Writes the answer in the shape that was asked for.
pub(super) fn encode_response(request: &EmbedRequest, response: &EmbedResponse, out: &mut Vec<u8>) {
    let vector = |vector: &Vec<f32>, out: &mut Vec<u8>| json::object(out, |w| w.field("values", vector));
    json::object(out, |w| {
        match response.vectors.as_slice() {
            [only] if note::has(&request.ext, note::EMBED_ONE) => vector(only, w.key("embedding")),
            several => w.array("embeddings", several, vector),
        }
        if let Some(input) = response.usage.and_then(|usage| usage.input) {
            w.object("usageMetadata", |w| {
                w.field("promptTokenCount", &input);
                w.field("totalTokenCount", &input);
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Operation;
    use crate::wire::quirk::Quirks;

    fn head() -> Head<'static> {
        Head { operation: Operation::Embed, path_model: Some("models/e"), path_stream: false, alt_sse: false }
    }

    fn answer(request: &EmbedRequest) -> String {
        let response = EmbedResponse { model: None, vectors: vec![vec![0.5, -1.0]], usage: None };
        let mut out = Vec::new();
        encode_response(request, &response, &mut out);
        assert_eq!(decode_response(&out).unwrap(), response);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_answer_has_the_shape_of_the_request() {
        let one =
            br#"{"content":{"parts":[{"text":"a"},{"text":"b"}]},"output_dimensionality":8,"taskType":"CLUSTERING"}"#;
        let one = decode_request(&head(), one).unwrap();
        assert_eq!(one.input, EmbedInput::Texts(vec!["ab".into()]));
        assert_eq!(one.dimensions, Some(8));
        assert_eq!(answer(&one), r#"{"embedding":{"values":[0.5,-1.0]}}"#);
        let batch = br#"{"requests":[{"model":"models/e","content":{"parts":[{"text":"a"}]}}]}"#;
        let batch = decode_request(&head(), batch).unwrap();
        assert_eq!(answer(&batch), r#"{"embeddings":[{"values":[0.5,-1.0]}]}"#);
    }

    #[test]
    fn a_batch_is_written_for_the_destination() {
        let request = EmbedRequest {
            origin: ProtocolId::OpenAiChat,
            model: "e".into(),
            input: EmbedInput::Texts(vec!["a".into(), "b".into()]),
            dimensions: Some(3),
            encoding: Encoding::Base64,
            user: Some("u".into()),
            ext: Ext::default(),
        };
        let quirks = Quirks::default();
        let destination = Destination { model: "gemini-embedding-2", quirks: &quirks, max_output_tokens: None };
        let (mut out, mut losses) = (Vec::new(), Losses::default());
        encode_request(&request, &destination, &mut out, &mut losses).unwrap();
        let expected = concat!(
            r#"{"requests":[{"model":"models/gemini-embedding-2","content":{"parts":[{"text":"a"}]},"outputDimensionality":3},"#,
            r#"{"model":"models/gemini-embedding-2","content":{"parts":[{"text":"b"}]},"outputDimensionality":3}]}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(losses.to_string(), "user=dropped");
        let tokens = EmbedRequest { input: EmbedInput::Tokens(vec![vec![1]]), ..request };
        assert!(encode_request(&tokens, &destination, &mut Vec::new(), &mut losses).is_err());
    }

    #[test]
    fn media_and_mixed_batches_are_refused() {
        let image = br#"{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}"#;
        assert_eq!(decode_request(&head(), image).unwrap_err().param.as_deref(), Some("content.parts"));
        let mixed = br#"{"requests":[{"content":{"parts":[]}},{"content":{"parts":[]},"taskType":"X"}]}"#;
        assert_eq!(decode_request(&head(), mixed).unwrap_err().param.as_deref(), Some("requests"));
    }
}
