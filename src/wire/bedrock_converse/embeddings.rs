//! Vectors from the models of Bedrock, which share a path (`InvokeModel`) and no shape: each vendor's is its own.
//!
//! Facts: "Amazon Titan Text Embeddings", "Amazon Nova Multimodal Embeddings" and "Cohere Embed" in the user guide of Bedrock.

use serde_json::value::RawValue;

use crate::wire::Destination;
use crate::wire::ir::count::count;
use crate::wire::ir::{EmbedInput, EmbedRequest, EmbedResponse, Error, ErrorKind, Usage};
use crate::wire::json::{self, Object, ObjectWriter};
use crate::wire::loss::Losses;

/// Most texts of one call of Cohere's models.
const COHERE_BATCH: usize = 96;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vendor {
    Titan,
    Nova,
    Cohere,
}

fn vendor(model: &str) -> Option<Vendor> {
    let vendors =
        [("amazon.titan-embed-", Vendor::Titan), ("amazon.nova-", Vendor::Nova), ("cohere.embed-", Vendor::Cohere)];
    vendors.into_iter().find(|(name, _)| model.contains(name)).map(|(_, vendor)| vendor)
}

/// Most texts of one call.
pub(super) fn most_inputs(model: &str) -> usize {
    match vendor(model) {
        Some(Vendor::Cohere) => COHERE_BATCH,
        Some(Vendor::Titan | Vendor::Nova) | None => 1,
    }
}

/// Writes a request of no more texts than [`most_inputs`].
///
/// # Errors
/// Token ids, and models whose shape is not known.
pub(super) fn encode_request(
    request: &EmbedRequest,
    destination: &Destination<'_>,
    out: &mut Vec<u8>,
    losses: &mut Losses,
) -> Result<(), Error> {
    let EmbedInput::Texts(texts) = &request.input else {
        let message = "the models of Bedrock embed texts, not token ids; send the texts themselves";
        return Err(Error::invalid(message).with_code("unsupported_content").with_param("input"));
    };
    let Some(vendor) = vendor(destination.model) else {
        let message = format!(
            "how `{}` takes texts to embed is not known; Titan, Nova and Cohere models of Bedrock are",
            destination.model
        );
        return Err(Error::invalid(message).with_code("unsupported_model").with_param("model"));
    };
    if request.user.is_some() {
        losses.dropped("user", "Bedrock has no member for the caller's user");
    }
    json::object(out, |body| match vendor {
        Vendor::Titan => titan(request, texts, destination.model, body, losses),
        Vendor::Nova => nova(request, texts, body, losses),
        Vendor::Cohere => cohere(request, texts, body, losses),
    });
    Ok(())
}

fn titan(request: &EmbedRequest, texts: &[String], model: &str, body: &mut ObjectWriter<'_>, losses: &mut Losses) {
    body.optional("inputText", &texts.first());
    if model.contains("-v1") || model.contains("-g1-") {
        if request.dimensions.is_some() {
            losses.dropped("dimensions", "the model's vectors have one length only");
        }
    } else {
        body.optional("dimensions", &request.dimensions);
    }
    request.ext.keys().for_each(|key| losses.dropped(key.to_owned(), "Titan has no such member"));
}

fn nova(request: &EmbedRequest, texts: &[String], body: &mut ObjectWriter<'_>, losses: &mut Losses) {
    body.field("taskType", "SINGLE_EMBEDDING");
    body.object("singleEmbeddingParams", |params| {
        params.field("embeddingPurpose", "GENERIC_INDEX");
        params.optional("embeddingDimension", &request.dimensions);
        params.object("text", |text| {
            text.field("truncationMode", "NONE");
            text.optional("value", &texts.first());
        });
    });
    request.ext.keys().for_each(|key| losses.dropped(key.to_owned(), "Nova has no such member"));
}

/// `input_type` is required, and OpenAI's shape has none: documents are the usual thing to embed. Who embeds a query says so
/// with a member of that name, as Cohere's own clients do.
fn cohere(request: &EmbedRequest, texts: &[String], body: &mut ObjectWriter<'_>, losses: &mut Losses) {
    const OWN: [&str; 2] = ["input_type", "truncate"];
    body.field("texts", texts);
    if request.ext.get("input_type").is_none() {
        body.field("input_type", "search_document");
    }
    for member in OWN {
        if let Some(value) = request.ext.get(member) {
            body.raw(member, value);
        }
    }
    body.field("embedding_types", &["float"]);
    body.optional("output_dimension", &request.dimensions);
    let unknown = request.ext.keys().filter(|key| !OWN.contains(key));
    unknown.for_each(|key| losses.dropped(key.to_owned(), "Cohere has no such member"));
}

/// Reads an answer of any of them.
///
/// # Errors
/// A body without vectors.
pub(super) fn decode_response(body: &[u8]) -> Result<EmbedResponse, Error> {
    read(body).ok_or_else(|| Error::new(ErrorKind::Upstream, "the upstream's answer holds no embeddings"))
}

fn read(body: &[u8]) -> Option<EmbedResponse> {
    let answer = Object::parse(std::str::from_utf8(body).ok()?).ok()?;
    let usage = answer.get("inputTextTokenCount").and_then(count);
    let usage = usage.map(|input| Usage { input: Some(input), ..Usage::default() });
    let vectors = match (answer.get("embedding"), answer.get("embeddings")) {
        (Some(one), _) => vec![vector(one)?],
        (None, Some(several)) => vectors(several)?,
        (None, None) => return None,
    };
    Some(EmbedResponse { model: None, vectors, usage })
}

/// `[[...]]`, `{"float": [[...]]}`, or `[{"embedding": [...]}]`.
fn vectors(raw: &RawValue) -> Option<Vec<Vec<f32>>> {
    if let Ok(typed) = Object::of(raw) {
        return vectors(typed.get("float")?);
    }
    let entries: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
    entries
        .into_iter()
        .map(|entry| match Object::of(entry) {
            Ok(entry) => vector(entry.get("embedding")?),
            Err(_) => vector(entry),
        })
        .collect()
}

fn vector(raw: &RawValue) -> Option<Vec<f32>> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ProtocolId;
    use crate::wire::ir::Encoding;
    use crate::wire::json::Ext;
    use crate::wire::quirk::Quirks;

    fn written(model: &str, dimensions: Option<u64>) -> Result<(String, String), Error> {
        let request = EmbedRequest {
            origin: ProtocolId::OpenAiChat,
            model: "e".into(),
            input: EmbedInput::Texts(vec!["a".into()]),
            dimensions,
            encoding: Encoding::Float,
            user: None,
            ext: Ext::default(),
        };
        let quirks = Quirks::default();
        let destination = Destination { model, quirks: &quirks, max_output_tokens: None };
        let (mut out, mut losses) = (Vec::new(), Losses::default());
        encode_request(&request, &destination, &mut out, &mut losses)?;
        Ok((String::from_utf8(out).unwrap(), losses.to_string()))
    }

    #[test]
    fn each_vendor_has_its_shape() {
        let read = |model: &str, dimensions| written(model, dimensions).unwrap();
        assert_eq!(read("amazon.titan-embed-text-v2:0", Some(256)).0, r#"{"inputText":"a","dimensions":256}"#);
        let old = read("amazon.titan-embed-text-v1", Some(256));
        assert_eq!((old.0.as_str(), old.1.as_str()), (r#"{"inputText":"a"}"#, "dimensions=dropped"));
        let cohere = r#"{"texts":["a"],"input_type":"search_document","embedding_types":["float"]}"#;
        assert_eq!(read("us.cohere.embed-v4:0", None).0, cohere);
        let nova = read("amazon.nova-2-multimodal-embeddings-v1:0", Some(384)).0;
        assert!(nova.contains(r#""embeddingDimension":384"#) && nova.contains(r#""value":"a""#), "{nova}");
        assert_eq!(written("twelvelabs.marengo-embed-2-7-v1:0", None).unwrap_err().param.as_deref(), Some("model"));
    }

    #[test]
    fn every_answer_is_read() {
        for body in [
            r#"{"embedding":[0.5,-1],"inputTextTokenCount":3,"embeddingsByType":{"float":[0.5,-1]}}"#,
            r#"{"embeddings":[[0.5,-1.0]],"id":"x","texts":["a"]}"#,
            r#"{"embeddings":{"float":[[0.5,-1.0]]},"response_type":"embeddings_by_type"}"#,
            r#"{"embeddings":[{"embeddingType":"TEXT","embedding":[0.5,-1.0]}]}"#,
        ] {
            assert_eq!(decode_response(body.as_bytes()).unwrap().vectors, [[0.5, -1.0]], "{body}");
        }
        assert!(decode_response(br#"{"message":"no"}"#).is_err());
    }
}
