//! What an answer rests on reaches callers of every protocol, from every protocol, whole and streamed; what of it has no
//! place there is reported.

use routeplane::wire::ir::citation::{self, Citation, Place};
use routeplane::wire::ir::{Part, Response, fold};
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;
use routeplane::wire::{Protocol, ProtocolId};

use crate::laws::fixtures::{Case, both_roles, cases, encode_stream, events, inbound, outbound, streaming_request};

/// One citation, as far as a protocol can say it: the words that rest on it, its address, its title, the source's words.
#[derive(Debug, Clone, PartialEq)]
struct Gist {
    words: String,
    url: Option<String>,
    title: Option<String>,
    quote: Option<String>,
    place: Option<Place>,
}

fn gists(answer: &Response) -> Vec<Gist> {
    let mut all = Vec::new();
    for part in answer.candidates.iter().flat_map(|candidate| &candidate.parts) {
        let Part::Text(text) = part else { continue };
        all.extend(citation::of(&text.ext).into_iter().map(|one| gist(one, &text.text)));
    }
    all
}

fn gist(citation: Citation, text: &str) -> Gist {
    let length = text.chars().count() as u64;
    let (start, end) = citation.range(length);
    let words = text.chars().skip(start as usize).take((end - start) as usize).collect();
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    Gist {
        words,
        url: said(citation.url),
        title: said(citation.title),
        quote: said(citation.quote),
        place: citation.place,
    }
}

/// What is left of a citation in answers of `target`.
fn expected(mut gist: Gist, target: ProtocolId, whole: &str) -> Option<Gist> {
    match target {
        ProtocolId::OpenAiChat => {
            gist.url.as_ref()?;
            (gist.title, gist.place) = (gist.title.or(gist.url.clone()), None);
        }
        ProtocolId::OpenAiResponses => {
            (gist.quote, gist.place) = (None, None);
            match &gist.url {
                Some(url) => gist.title = gist.title.or(Some(url.clone())),
                None => whole.clone_into(&mut gist.words),
            }
        }
        ProtocolId::Gemini => {
            if gist.url.is_some() && gist.place.is_none() {
                gist.quote = None;
            }
            gist.place = None;
        }
        ProtocolId::AnthropicMessages | ProtocolId::BedrockConverse => whole.clone_into(&mut gist.words),
        ProtocolId::TensorZero | ProtocolId::TensorZeroChat => return None,
    }
    Some(gist)
}

fn whole(case: &Case) -> Response {
    let body = case.read("response.json").unwrap();
    outbound(case.protocol).decode_response(&body, &Quirks::default()).unwrap()
}

fn cited() -> Vec<Case> {
    let mut cited: Vec<Case> = cases();
    cited.retain(|case| case.name().ends_with("/citations"));
    assert_eq!(cited.len(), 5, "a case of each protocol");
    cited
}

fn in_words_of(target: &'static dyn Protocol, answer: &Response) -> (Response, Losses) {
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    inbound(target).encode_response(answer, &mut out, &mut losses);
    (outbound(target).decode_response(&out, &Quirks::default()).unwrap(), losses)
}

/// The text of the part that a citation is of.
fn texts(answer: &Response) -> Vec<(String, Vec<Citation>)> {
    let parts = answer.candidates.iter().flat_map(|candidate| &candidate.parts);
    parts
        .filter_map(
            |part| {
                if let Part::Text(text) = part { Some((text.text.clone(), citation::of(&text.ext))) } else { None }
            },
        )
        .collect()
}

#[test]
fn citations_reach_every_protocol_whole_and_streamed() {
    for case in cited() {
        let whole = whole(&case);
        let stream = events(case.protocol, &[&case.stream().unwrap()]);
        assert_eq!(gists(&fold(case.protocol.id(), &stream).unwrap()), gists(&whole), "{}: streamed", case.name());
        for target in both_roles().into_iter().filter(|target| target.id() != case.protocol.id()) {
            let name = format!("{} to {}", case.name(), target.id());
            let mut wanted: Vec<Gist> = Vec::new();
            for (text, cited) in texts(&whole) {
                let kept = cited.into_iter().map(|one| gist(one, &text));
                wanted.extend(kept.filter_map(|gist| expected(gist, target.id(), &text)));
            }
            let (back, losses) = in_words_of(target, &whole);
            let reported = losses.iter().any(|loss| loss.field.starts_with("content.citations"));
            assert!(reported || wanted == gists(&whole), "{name}: {losses}");
            let streamed = encode_stream(target, &stream, &streaming_request());
            let streamed = fold(target.id(), &events(target, &[&streamed])).unwrap();
            for (kind, answer) in [("whole", &back), ("streamed", &streamed)] {
                let mut found = gists(answer);
                // A file's name stands where an address would.
                if target.id() != ProtocolId::OpenAiResponses {
                    for (found, wanted) in found.iter_mut().zip(&wanted) {
                        if wanted.url.is_none() {
                            found.url = None;
                        }
                        if wanted.place.is_none() {
                            found.place = None;
                        }
                    }
                }
                assert_eq!(found, wanted, "{name}: {kind}");
            }
        }
    }
}

/// A caller of the upstream's protocol gets the very words.
#[test]
fn citations_of_the_same_protocol_are_verbatim() {
    for case in cited() {
        let whole = whole(&case);
        let stream = events(case.protocol, &[&case.stream().unwrap()]);
        let mut out = Vec::new();
        inbound(case.protocol).encode_response(&whole, &mut out, &mut Losses::default());
        let streamed = encode_stream(case.protocol, &stream, &streaming_request());
        let verbatim = |answer: &Response| -> Vec<String> {
            let cited = texts(answer).into_iter().flat_map(|(_, cited)| cited);
            cited.filter_map(|one| one.verbatim).map(|raw| json(raw.get())).collect()
        };
        let again = outbound(case.protocol).decode_response(&out, &Quirks::default()).unwrap();
        assert_eq!(verbatim(&again), verbatim(&whole), "{}", case.name());
        let again = fold(case.protocol.id(), &events(case.protocol, &[&streamed])).unwrap();
        assert_eq!(verbatim(&again), verbatim(&whole), "{}: streamed", case.name());
        assert_eq!(gists(&again), gists(&whole), "{}", case.name());
    }
}

fn json(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text).unwrap().to_string()
}

/// The places of a stream's citations are those of its whole text, though the text was written before they were known.
#[test]
fn gemini_gets_bytes_and_openai_characters() {
    let case = cited().into_iter().find(|case| case.protocol.id() == ProtocolId::OpenAiChat).unwrap();
    let gemini = ProtocolId::Gemini.codec().unwrap();
    let written = encode_stream(gemini, &events(case.protocol, &[&case.stream().unwrap()]), &streaming_request());
    let text = String::from_utf8(written).unwrap();
    let last = text.lines().rfind(|line| line.contains("groundingMetadata")).unwrap();
    let chunk: serde_json::Value = serde_json::from_str(last.trim_start_matches("data: ")).unwrap();
    let segment = &chunk["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"];
    let said = "\u{c0} Orl\u{e9}ans, il fait 21 \u{b0}C \u{1f31e}.";
    let words = "il fait 21 \u{b0}C";
    let start = said.find(words).unwrap();
    assert_eq!(segment["text"], words);
    assert_eq!(
        (segment["startIndex"].as_u64(), segment["endIndex"].as_u64()),
        (Some(start as u64), Some((start + words.len()) as u64))
    );
}
