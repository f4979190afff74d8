//! Vectors as Vertex gives them: predictions of a model (`:predict`), each with the tokens that its text took.
//!
//! Facts: "Text embeddings API" in the reference of Generative AI on Vertex AI.

use serde_json::value::RawValue;

use crate::wire::ProtocolId;
use crate::wire::ir::count::count;
use crate::wire::ir::{EmbedRequest, EmbedResponse, Error, Usage};
use crate::wire::json::{self, Object};
use crate::wire::loss::Losses;

/// Members of Gemini's own requests, in both spellings, and where they go.
const OWN: [(&str, &str); 3] = [("taskType", "task_type"), ("task_type", "task_type"), ("title", "title")];

/// Most texts of one call: the models named after Gemini take one, the others 250 with bounds of tokens that 100 texts seldom meet.
pub(super) fn most_inputs(model: &str) -> usize {
    if model.contains("gemini-") { 1 } else { 100 }
}

/// Writes a request of no more texts than [`most_inputs`].
///
/// # Errors
/// Models that Vertex asks in another way.
pub(super) fn encode_request(
    request: &EmbedRequest,
    texts: &[String],
    model: &str,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) -> Result<(), Error> {
    if model.contains("gemini-") && !model.contains("gemini-embedding-001") {
        let message = format!(
            "Vertex has `{model}` by `:embedContent` alone, which this version does not ask there; the provider `google` \
             has it, too"
        );
        return Err(Error::invalid(message).with_code("unsupported_model").with_param("model"));
    }
    let own = |key: &str| OWN.iter().find(|(name, _)| *name == key).filter(|_| request.origin == ProtocolId::Gemini);
    let foreign = request.ext.keys().filter(|key| own(key).is_none());
    foreign.for_each(|key| losses.dropped(key.to_owned(), "`:predict` has no such member"));
    json::object(out, |w| {
        w.array("instances", texts, |text, out| {
            json::object(out, |w| {
                w.field("content", text);
                for (name, value) in request.ext.0.iter().filter_map(|(key, value)| Some((own(key)?.1, value))) {
                    w.raw(name, value);
                }
            });
        });
        if request.dimensions.is_some() {
            w.object("parameters", |w| w.optional("outputDimensionality", &request.dimensions));
        }
    });
    Ok(())
}

/// Reads the list of predictions.
///
/// # Errors
/// One without a vector.
pub(super) fn decode_response(predictions: Vec<&RawValue>) -> Result<EmbedResponse, Error> {
    let mut vectors = Vec::with_capacity(predictions.len());
    let mut usage: Option<Usage> = None;
    for prediction in predictions {
        let mut prediction = Object::of(prediction)?;
        let Some(mut embedding) = prediction.object("embeddings")? else {
            return Err(Error::invalid("a prediction of the upstream's answer holds no embedding"));
        };
        vectors.push(embedding.read("values", "a list of numbers")?.unwrap_or_default());
        if let Some(statistics) = embedding.object("statistics")?
            && let Some(tokens) = statistics.get("token_count").and_then(count)
        {
            let sum = usage.and_then(|usage| usage.input).unwrap_or(0).saturating_add(tokens);
            usage = Some(Usage { input: Some(sum), ..Usage::default() });
        }
    }
    Ok(EmbedResponse { model: None, vectors, usage })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::gemini_generate::embeddings;
    use crate::wire::quirk::Quirks;
    use crate::wire::{Destination, Head, Operation};

    fn written(body: &str, model: &str) -> Result<(String, String), Error> {
        let head =
            Head { operation: Operation::Embed, path_model: Some("models/e"), path_stream: false, alt_sse: false };
        let request = embeddings::decode_request(&head, body.as_bytes()).unwrap();
        let quirks = Quirks { embed_predictions: true, ..Quirks::default() };
        let destination = Destination { model, quirks: &quirks, max_output_tokens: None };
        let (mut out, mut losses) = (Vec::new(), Losses::default());
        embeddings::encode_request(&request, &destination, &mut out, &mut losses)?;
        Ok((String::from_utf8(out).unwrap(), losses.to_string()))
    }

    #[test]
    fn a_text_is_an_instance_and_the_length_a_parameter() {
        let one = r#"{"content":{"parts":[{"text":"a"}]},"outputDimensionality":8,"taskType":"CLUSTERING","x":1}"#;
        let expected =
            r#"{"instances":[{"content":"a","task_type":"CLUSTERING"}],"parameters":{"outputDimensionality":8}}"#;
        assert_eq!(written(one, "text-embedding-005").unwrap(), (expected.to_owned(), "x=dropped".to_owned()));
        let error = written(one, "gemini-embedding-2").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("model"));
    }

    #[test]
    fn a_prediction_is_a_vector_and_its_tokens_count() {
        let body = r#"{"predictions":[
            {"embeddings":{"values":[0.5],"statistics":{"truncated":false,"token_count":4}}},
            {"embeddings":{"values":[-1],"statistics":{"truncated":false,"token_count":3.0}}}],"metadata":{}}"#;
        let answer = embeddings::decode_response(body.as_bytes()).unwrap();
        assert_eq!(answer.vectors, [[0.5], [-1.0]]);
        assert_eq!(answer.usage.and_then(|usage| usage.input), Some(7));
        assert!(embeddings::decode_response(br#"{"predictions":[{}]}"#).is_err());
    }
}
