//! Rerank, in the shape of Cohere and Jina, for upstreams that write it with other words. No protocol has it.

use std::borrow::Cow;

use bytes::Bytes;
use smallvec::SmallVec;

use super::envelope::{self, Edit, Envelope};
use super::ir::Error;
use super::json;
use super::loss::Losses;
use super::outline::Outline;

/// A rerank request for an upstream that limits the results with `top_k`.
pub fn request_by_top_k(envelope: &Envelope<'_>, body: &Bytes, model: &str) -> SmallVec<[Bytes; 4]> {
    let mut edits = SmallVec::<[Edit<'_>; 3]>::new();
    if let Some(limit) = envelope.members.get("top_n") {
        edits.push(Edit::Remove("top_n"));
        edits.push(Edit::Set("top_k", Cow::Borrowed(limit.as_bytes())));
    }
    edits.push(Edit::Set("model", Cow::Owned(json::quoted(model).into_bytes())));
    envelope.splice(body, &edits)
}

/// A rerank request for Cohere's models of Bedrock (`InvokeModel`): the path names the model, and members that it does not
/// know are refused there.
///
/// # Errors
/// Models of other vendors, which Bedrock asks by another service.
pub fn request_at_bedrock(envelope: &Envelope<'_>, model: &str, losses: &mut Losses) -> Result<Vec<u8>, Error> {
    const KNOWN: [&str; 4] = ["query", "documents", "top_n", "max_tokens_per_doc"];
    if !model.contains("cohere.rerank-") {
        let message = format!("how `{model}` takes a request to rerank is not known; Cohere's models of Bedrock are");
        return Err(Error::invalid(message).with_code("unsupported_model").with_param("model"));
    }
    let mut out = Vec::new();
    json::object(&mut out, |body| {
        for entry in envelope.members.entries().iter().filter(|entry| KNOWN.contains(&&*entry.key)) {
            body.key(&entry.key).extend_from_slice(entry.value.as_bytes());
        }
        // Of the second version are the shapes that callers write.
        body.field("api_version", &2);
    });
    let unknown = envelope.members.entries().iter().map(|entry| &*entry.key).filter(|name| !KNOWN.contains(name));
    let unknown = unknown.filter(|name| *name != "model");
    unknown.for_each(|name| losses.dropped(name.to_owned(), "the model at Bedrock has no such member"));
    Ok(out)
}

/// The answer of such an upstream, with its results in `results`; any other answer as it is.
pub fn answer_in_results(body: Bytes) -> Bytes {
    let renamed = || {
        let text = std::str::from_utf8(&body).ok()?;
        let members = Outline::parse(text).ok()?;
        let results = members.get("data").filter(|_| members.get("results").is_none())?;
        let edits = [Edit::Remove("data"), Edit::Set("results", Cow::Borrowed(results.as_bytes()))];
        Some(envelope::splice(&body, text.as_bytes(), &members, &edits).concat())
    };
    renamed().map_or_else(|| body.clone(), Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rerank_may_be_written_with_other_words() {
        let body = Bytes::from_static(br#"{"model":"voyage/rerank-2.5","query":"q","documents":["a","b"],"top_n":1}"#);
        let text = std::str::from_utf8(&body).unwrap();
        let members = Outline::parse(text).unwrap();
        let envelope = Envelope { body: &body, members, model: "m".into(), stream: false, user: None };
        let sent = request_by_top_k(&envelope, &body, "rerank-2.5").concat();
        assert_eq!(sent, br#"{"model":"rerank-2.5","query":"q","documents":["a","b"],"top_k":1}"#);
        let answer = Bytes::from_static(br#"{"object":"list","data":[{"index":1,"relevance_score":0.5}],"usage":{}}"#);
        let told = answer_in_results(answer);
        assert_eq!(told, br#"{"object":"list","usage":{},"results":[{"index":1,"relevance_score":0.5}]}"#[..]);
        assert_eq!(answer_in_results(told.clone()), told);
    }
}
