//! What an answer rests on: `groundingMetadata` has the sources, and which bytes of the text rest on which of them;
//! `citationMetadata` names sources that the text repeats. In the hub both are citations of the texts they belong to.
//!
//! Google counts bytes of the text without thoughts, and repeats the words; where both disagree, the words are right.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::note;
use crate::wire::ir::Citation;
use crate::wire::ir::citation::{self, Characters};
use crate::wire::json::{self, Ext, Object, ObjectWriter};
use crate::wire::loss::Losses;

const GROUNDING: &str = "groundingMetadata";
const CITATIONS: &str = "citationMetadata";
/// Keys of a candidate's `ext` that hold the members as they came: no losses, since their sources are told.
const KEPT: [(&str, &str); 2] = [(GROUNDING, "#groundingMetadata"), (CITATIONS, "#citationMetadata")];
/// Prefixes of keys that are losses elsewhere, and whose values are within what is [`KEPT`].
pub(super) const WITHIN: [&str; 3] = ["groundingMetadata.", "citationMetadata.", "#"];
const CHUNKS: &str = "groundingChunks";
const SUPPORTS: &str = "groundingSupports";

/// A source, and the words that rest on it where they are known.
#[derive(Debug)]
pub(super) struct Source {
    citation: Citation,
    segment: Option<Segment>,
}

/// A piece of the text, in bytes.
#[derive(Debug, Clone)]
struct Segment {
    start: usize,
    end: usize,
    words: Option<String>,
}

/// Takes the members that name sources out of a candidate's, and returns the sources. What of them is no source stays under
/// the path of its name.
pub(super) fn take(ext: &mut Ext) -> Vec<Source> {
    let mut sources = Vec::new();
    for (name, kept) in KEPT {
        let Some((key, raw)) = ext.0.iter_mut().find(|(key, _)| key == name) else { continue };
        let Ok(object) = Object::of(raw) else { continue };
        let untold = if name == GROUNDING { grounds(object, &mut sources) } else { repeated(object, &mut sources) };
        let untold =
            Ext(untold.into_iter().map(|(path, value)| (format!("{name}.{path}"), value.to_owned())).collect());
        kept.clone_into(key);
        ext.replace(&untold);
    }
    sources
}

type Untold<'a> = Vec<(String, &'a RawValue)>;

/// Reads `groundingMetadata`; returns what of it names no source.
fn grounds<'a>(mut metadata: Object<'a>, sources: &mut Vec<Source>) -> Untold<'a> {
    let list = |object: &mut Object<'a>, key: &str| object.array(key).ok().flatten().unwrap_or_default();
    let chunks: Vec<Citation> = list(&mut metadata, CHUNKS).into_iter().map(chunk).collect();
    let (mut used, mut untold) = (vec![false; chunks.len()], Vec::new());
    for raw in list(&mut metadata, SUPPORTS) {
        let Ok(mut support) = Object::of(raw) else { continue };
        let segment = support.object("segment").ok().flatten().map(segment);
        let numbers = support.take("groundingChunkIndices").and_then(|raw| json::read(raw, "", "numbers").ok());
        let numbers: Vec<usize> = numbers.unwrap_or_default();
        for number in &numbers {
            if let (Some(citation), Some(used)) = (chunks.get(*number), used.get_mut(*number)) {
                *used = true;
                sources.push(Source { citation: citation.clone(), segment: segment.clone() });
            }
        }
        if numbers.iter().all(|number| *number >= chunks.len()) {
            untold.push((SUPPORTS.to_owned(), raw));
        }
        untold.extend(support.members().iter().map(|member| (format!("{SUPPORTS}.{}", member.key), member.value)));
    }
    let unused = chunks.into_iter().zip(used).filter(|(_, used)| !used);
    sources.extend(unused.map(|(citation, _)| Source { citation, segment: None }));
    let others = metadata.members().iter().filter(|member| !json::says_nothing(member.value));
    untold.extend(others.map(|member| (member.key.clone().into_owned(), member.value)));
    untold
}

/// Reads `citationMetadata`, whose list has two names.
fn repeated<'a>(mut metadata: Object<'a>, sources: &mut Vec<Source>) -> Untold<'a> {
    for key in ["citations", "citationSources"] {
        for raw in metadata.array(key).ok().flatten().unwrap_or_default() {
            let Ok(mut source) = Object::of(raw) else { continue };
            let segment = Some(segment_of(&mut source)).filter(|segment| segment.end > segment.start);
            let mut text = |key: &str| source.string(key).ok().flatten().filter(|text| !text.is_empty());
            let (url, title) = (text("uri"), text("title"));
            let citation = Citation { url, title, unsaid: citation::left(source), ..Citation::default() };
            // Vertex lists places without a source.
            if citation.is_known() || !citation.unsaid.is_empty() {
                sources.push(Source { citation, segment });
            }
        }
    }
    metadata.members().iter().map(|member| (member.key.clone().into_owned(), member.value)).collect()
}

/// A source: an object with one member, which names its kind (`web`, `retrievedContext`, `maps`).
fn chunk(raw: &RawValue) -> Citation {
    let object = Object::of(raw).ok();
    let only = object.as_ref().and_then(|object| object.members().first());
    let Some(mut source) = only.and_then(|member| Object::of(member.value).ok()) else { return Citation::default() };
    let mut text = |key: &str| source.string(key).ok().flatten().filter(|text| !text.is_empty());
    let url = text("uri").or_else(|| text("sourceUri"));
    let (title, quote) = (text("title"), text("text"));
    Citation { url, title, quote, unsaid: citation::left(source), ..Citation::default() }
}

fn segment(mut segment: Object<'_>) -> Segment {
    let words = segment.string("text").ok().flatten().filter(|words| !words.is_empty());
    Segment { words, ..segment_of(&mut segment) }
}

fn segment_of(object: &mut Object<'_>) -> Segment {
    let mut index =
        |key: &str| object.u64(key).ok().flatten().and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
    Segment { start: index("startIndex"), end: index("endIndex"), words: None }
}

impl Segment {
    /// Where it is in a text that begins behind `before` bytes of the answer.
    fn within(&self, text: &str, before: usize, characters: &Characters) -> Option<(u64, u64)> {
        let (start, end) = match &self.words {
            Some(words) => {
                let stands = |start: &usize| text.get(*start..).is_some_and(|rest| rest.starts_with(words.as_str()));
                let said = [self.start.checked_sub(before), Some(self.start)].into_iter().flatten().find(stands);
                let start = said.or_else(|| text.find(words.as_str()))?;
                (start, start + words.len())
            }
            None => {
                let (start, end) = (self.start.checked_sub(before)?, self.end.checked_sub(before)?);
                text.get(start..end).map(|_| (start, end))?
            }
        };
        Some((characters.character(start), characters.character(end)))
    }
}

/// Takes the sources of the words of one text; `last`: and those whose words are nowhere.
pub(super) fn of_text(sources: &mut Vec<Source>, text: &str, before: usize, last: bool) -> Vec<Citation> {
    if sources.is_empty() {
        return Vec::new();
    }
    let characters = Characters::of(text);
    let mut cited = Vec::new();
    sources.retain_mut(|source| {
        let place = source.segment.as_ref().and_then(|segment| segment.within(text, before, &characters));
        if place.is_none() && !last {
            return true;
        }
        (source.citation.start, source.citation.end) = place.unzip();
        cited.push(std::mem::take(&mut source.citation));
        false
    });
    cited
}

/// Sources of an answer without a text: a member that is a loss elsewhere.
pub(super) fn of_no_text() -> Ext {
    let mut ext = Ext::default();
    ext.0.extend(json::raw("true").map(|said| (format!("{GROUNDING}.{CHUNKS}"), said)));
    ext
}

/// Writes the members of a candidate of an upstream of this protocol; `deeper` as in [`note::write_top`].
pub(super) fn write_kept(ext: &Ext, deeper: &[&str], w: &mut ObjectWriter<'_>) {
    note::write_top(w, ext, &[deeper, &WITHIN].concat());
    for (name, kept) in KEPT {
        if let Some(raw) = ext.get(kept) {
            w.raw(name, raw);
        }
    }
}

/// Sources that an upstream of another protocol named, as `groundingMetadata`.
#[derive(Default)]
pub(super) struct Grounds {
    chunks: Vec<Vec<u8>>,
    /// Their numbers.
    known: HashMap<Vec<u8>, usize>,
    supports: Vec<Support>,
}

/// A piece of the text, in bytes, and the numbers of its sources.
struct Support {
    part: usize,
    start: usize,
    end: usize,
    words: String,
    chunks: Vec<usize>,
}

impl Grounds {
    /// Adds what a text rests on. It is part number `part` of its content, and begins behind `before` bytes of it.
    pub(super) fn add(&mut self, cited: &[Citation], text: &str, part: usize, before: usize, losses: &mut Losses) {
        if cited.is_empty() {
            return;
        }
        let characters = Characters::of(text);
        for citation in cited {
            if !citation.is_known() {
                citation.report_whole(losses);
                continue;
            }
            let chunk = written(citation, losses);
            let next = self.chunks.len();
            let number = *self.known.entry(chunk.clone()).or_insert(next);
            if number == next {
                self.chunks.push(chunk);
            }
            let (start, end) = citation.range(characters.count());
            let (start, end) = (characters.byte(start), characters.byte(end));
            let words = text.get(start..end).unwrap_or_default().to_owned();
            let (start, end) = (before + start, before + end);
            match self.supports.last_mut().filter(|last| (last.part, last.start, last.end) == (part, start, end)) {
                Some(same) if same.chunks.contains(&number) => {}
                Some(same) => same.chunks.push(number),
                None => self.supports.push(Support { part, start, end, words, chunks: vec![number] }),
            }
        }
    }

    /// Writes the member, where there is anything to say.
    pub(super) fn write(&self, w: &mut ObjectWriter<'_>) {
        if self.chunks.is_empty() {
            return;
        }
        w.object(GROUNDING, |w| {
            w.array(CHUNKS, &self.chunks, |chunk, out| out.extend_from_slice(chunk));
            w.array(SUPPORTS, &self.supports, |support, out| {
                json::object(out, |w| {
                    w.object("segment", |w| {
                        w.optional("partIndex", &Some(support.part).filter(|part| *part > 0));
                        w.field("startIndex", &support.start);
                        w.field("endIndex", &support.end);
                        w.field("text", &support.words);
                    });
                    w.field("groundingChunkIndices", &support.chunks);
                });
            });
        });
    }
}

/// A page, or a document that was given or searched.
fn written(citation: &Citation, losses: &mut Losses) -> Vec<u8> {
    let is_page = citation.url.is_some() && citation.place.is_none();
    let mut out = Vec::new();
    json::object(&mut out, |w| {
        w.object(if is_page { "web" } else { "retrievedContext" }, |w| {
            w.optional("uri", &citation.url.as_ref().or(citation.file.as_ref()));
            w.optional("title", &citation.title);
            if !is_page {
                w.optional("text", &citation.quote);
            }
        });
    });
    let said: &[&str] = match (is_page, &citation.url) {
        (true, _) => &["start_index", "end_index", "url", "title"],
        (false, Some(_)) => &["start_index", "end_index", "url", "title", "cited_text"],
        (false, None) => &["start_index", "end_index", "file_id", "title", "cited_text"],
    };
    citation.report(said, losses);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"groundingMetadata":{"webSearchQueries":["q"],
        "groundingChunks":[{"web":{"uri":"https://a.example","title":"A","domain":"a.example"}},{"retrievedContext":{"text":"t"}}],
        "groundingSupports":[{"segment":{"startIndex":4,"endIndex":9,"text":"two"},"groundingChunkIndices":[0],"confidenceScores":[0.5]}]}}"#;

    fn metadata() -> (Ext, Vec<Source>) {
        let mut ext = Object::parse(METADATA).unwrap().rest();
        let sources = take(&mut ext);
        (ext, sources)
    }

    #[test]
    fn sources_find_their_words_whatever_their_indices_say() {
        let (ext, mut sources) = metadata();
        assert_eq!(
            ext.keys().collect::<Vec<_>>(),
            ["groundingMetadata.groundingSupports.confidenceScores", "groundingMetadata.webSearchQueries"]
        );
        assert!(of_text(&mut sources, "none of it", 0, false).is_empty());
        let cited = of_text(&mut sources, "\u{e9}\u{e9} two", 10, true);
        assert_eq!(
            (cited[0].start, cited[0].end, cited[0].unsaid.as_slice()),
            (Some(3), Some(6), &["domain".to_owned()][..])
        );
        assert_eq!((cited[1].start, cited[1].quote.as_deref()), (None, Some("t")));
        assert!(sources.is_empty());
    }

    #[test]
    fn metadata_are_written_back_as_they_came() {
        let (ext, _) = metadata();
        let mut out = Vec::new();
        json::object(&mut out, |w| write_kept(&ext, &[], w));
        let [before, after]: [serde_json::Value; 2] =
            [METADATA.as_bytes(), &out].map(|text| serde_json::from_slice(text).unwrap());
        assert_eq!(after, before);
    }

    #[test]
    fn places_are_written_in_bytes() {
        let citation = Citation { start: Some(1), end: Some(2), url: Some("u".to_owned()), ..Citation::default() };
        let mut grounds = Grounds::default();
        grounds.add(&[citation.clone(), citation], "\u{e9}\u{1f30a}", 2, 5, &mut Losses::default());
        let mut out = Vec::new();
        json::object(&mut out, |w| grounds.write(w));
        let written: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let segment = serde_json::json!({"partIndex": 2, "startIndex": 7, "endIndex": 11, "text": "\u{1f30a}"});
        assert_eq!(written["groundingMetadata"]["groundingChunks"], serde_json::json!([{"web": {"uri": "u"}}]));
        let support = serde_json::json!([{"segment": segment, "groundingChunkIndices": [0]}]);
        assert_eq!(written["groundingMetadata"]["groundingSupports"], support);
    }
}
