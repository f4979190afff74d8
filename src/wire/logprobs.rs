//! How likely each piece of a text was. OpenAI's two protocols have one form of it in two places: Chat Completions gives the
//! pieces of a choice, Responses those of each text. Gemini lists the pieces and their alternatives apart.

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::ir::{Candidate, Part};
use super::json::{self, Ext, Kind, Object, ObjectWriter};

/// The member of a choice, and of a text of Responses.
pub(super) const MEMBER: &str = "logprobs";
/// Gemini's member of a candidate.
const GEMINI: &str = "logprobsResult";

/// Pieces in OpenAI's form: `{"token", "logprob", "bytes", "top_logprobs"}`.
pub(super) type Pieces = Vec<Box<RawValue>>;

/// The pieces that an answer of any protocol tells.
pub(super) fn of(candidate: &Candidate) -> Pieces {
    let texts = candidate.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(of_text(&text.ext)),
        _ => None,
    });
    of_members(&candidate.ext).into_iter().chain(texts.flatten()).collect()
}

/// The pieces that members of a choice or of a candidate tell.
pub(super) fn of_members(ext: &Ext) -> Pieces {
    match (ext.get(MEMBER), ext.get(GEMINI)) {
        (Some(chat), _) => of_choice(chat),
        (None, Some(result)) => of_result(result),
        (None, None) => Pieces::new(),
    }
}

/// The pieces that members of a text of Responses tell.
pub(super) fn of_text(ext: &Ext) -> Pieces {
    ext.get(MEMBER).map(list).unwrap_or_default()
}

/// The members without those that tell pieces; what else stood beside these in a choice has its path for a name.
pub(super) fn others(ext: &Ext) -> Ext {
    let mut others = Ext::default();
    for (key, value) in &ext.0 {
        match key.as_str() {
            MEMBER if !of_text(ext).is_empty() => {}
            GEMINI if !of_result(value).is_empty() => {}
            MEMBER if !of_choice(value).is_empty() => {
                let mut beside = Object::of(value).map(Object::rest).unwrap_or_default();
                beside.0.retain(|(key, _)| key != "content");
                others.0.extend(beside.0.into_iter().map(|(key, value)| (format!("{MEMBER}.{key}"), value)));
            }
            _ => others.0.push((key.clone(), value.clone())),
        }
    }
    others
}

/// Writes the members of a choice's `logprobs`.
pub(super) fn write_choice(pieces: &[Box<RawValue>], logprobs: &mut ObjectWriter<'_>) {
    logprobs.array("content", pieces, |piece, out| out.extend_from_slice(piece.get().as_bytes()));
    logprobs.field("refusal", &());
}

/// The pieces as the member of a text of Responses.
pub(super) fn as_member(pieces: &[Box<RawValue>]) -> Ext {
    let mut text = Vec::new();
    json::array(&mut text, pieces, |piece, out| out.extend_from_slice(piece.get().as_bytes()));
    let list = String::from_utf8(text).ok().and_then(json::raw).filter(|_| !pieces.is_empty());
    Ext(list.map(|list| (MEMBER.to_owned(), list)).into_iter().collect())
}

fn list(raw: &RawValue) -> Pieces {
    let is_piece = |raw: &&RawValue| Object::of(raw).is_ok_and(|piece| piece.get("logprob").is_some());
    let pieces =
        if json::kind(raw) == Kind::Array { json::elements(raw, MEMBER).unwrap_or_default() } else { Vec::new() };
    if pieces.iter().all(is_piece) { pieces.into_iter().map(ToOwned::to_owned).collect() } else { Pieces::new() }
}

/// The form of older models (`tokens`, `token_logprobs`) is none of these.
fn of_choice(raw: &RawValue) -> Pieces {
    Object::of(raw).ok().and_then(|choice| choice.get("content").map(list)).unwrap_or_default()
}

/// `LogprobsResult` of Google's discovery document.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogprobsResult {
    chosen_candidates: Vec<Chosen>,
    top_candidates: Vec<Top>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Top {
    candidates: Vec<Chosen>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chosen {
    #[serde(default)]
    token: String,
    /// Left out where it is nought.
    #[serde(default = "nought")]
    log_probability: Number,
}

fn nought() -> Number {
    Number::from(0)
}

fn of_result(raw: &RawValue) -> Pieces {
    let result: LogprobsResult = serde_json::from_str(raw.get()).unwrap_or_default();
    let LogprobsResult { chosen_candidates, top_candidates } = result;
    let tops = top_candidates.iter().map(|top| top.candidates.as_slice()).chain(std::iter::repeat(&[][..]));
    chosen_candidates.iter().zip(tops).filter_map(|(chosen, top)| piece(chosen, top)).collect()
}

fn piece(chosen: &Chosen, top: &[Chosen]) -> Option<Box<RawValue>> {
    let mut text = Vec::new();
    json::object(&mut text, |piece| {
        write_piece(chosen, piece);
        piece.array("top_logprobs", top, |one, out| json::object(out, |piece| write_piece(one, piece)));
    });
    json::raw(String::from_utf8(text).ok()?)
}

fn write_piece(piece: &Chosen, out: &mut ObjectWriter<'_>) {
    out.field("token", &piece.token);
    out.field("logprob", &piece.log_probability);
    out.field("bytes", piece.token.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ext(key: &str, value: &str) -> Ext {
        Ext(vec![(key.to_owned(), json::raw(value).unwrap())])
    }

    fn texts(pieces: &Pieces) -> Vec<&str> {
        pieces.iter().map(|piece| piece.get()).collect()
    }

    #[test]
    fn pieces_are_found_where_each_protocol_has_them() {
        let piece = r#"{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}"#;
        let chat = ext(MEMBER, &format!(r#"{{"content":[{piece}],"refusal":null}}"#));
        assert_eq!(texts(&of_members(&chat)), [piece]);
        let responses = ext(MEMBER, &format!("[{piece}]"));
        assert_eq!(texts(&of_text(&responses)), [piece]);
        let google = ext(
            GEMINI,
            r#"{"chosenCandidates":[{"token":"a","tokenId":7,"logProbability":-0.5},{"token":"b"}],
                "topCandidates":[{"candidates":[{"token":"a","logProbability":-0.5},{"token":"c","logProbability":-2}]}]}"#,
        );
        let expected = [
            r#"{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]},{"token":"c","logprob":-2,"bytes":[99]}]}"#,
            r#"{"token":"b","logprob":0,"bytes":[98],"top_logprobs":[]}"#,
        ];
        assert_eq!(texts(&of_members(&google)), expected);
        for told in [chat, responses, google] {
            assert_eq!(others(&told).keys().count(), 0);
        }
        let beside = ext(MEMBER, &format!(r#"{{"content":[{piece}],"refusal":null,"reasoning_content":[{piece}]}}"#));
        assert_eq!(others(&beside).keys().collect::<Vec<_>>(), ["logprobs.reasoning_content"]);
    }

    #[test]
    fn what_is_not_of_this_form_is_left() {
        for odd in [
            r#"{"tokens":["a"],"token_logprobs":[-0.5]}"#,
            r#"{"content":[],"refusal":[{"token":"a","logprob":-0.5}]}"#,
            r#"{"content":["a"]}"#,
            "7",
        ] {
            let odd = ext(MEMBER, odd);
            assert!(of_members(&odd).is_empty() && !others(&odd).is_empty(), "{odd:?}");
        }
    }
}
