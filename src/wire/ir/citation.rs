//! What the text of an answer rests on, in no protocol's words.
//!
//! A text's citations are a note in its `ext` ([`NOTE`]), so that they go wherever the text's members go, through a stream
//! as well ([`super::Event::Extra`]). A decoder puts them there, with each one's own words; an encoder of the same protocol
//! writes those words back, every other one translates what the hub has understood.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Text;
use crate::wire::json::{self, Ext, Kind, Object, ObjectWriter};
use crate::wire::loss::Losses;

/// The key of the note.
pub const NOTE: &str = "#citations";

/// Why citations are lost that came without any words.
pub const NO_TEXT: &str = "they stand at no text";

/// One thing that a text rests on. Characters are Unicode's code points.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Citation {
    /// As the upstream wrote it. `None` where its protocol has no list of citations (Gemini).
    pub verbatim: Option<Box<RawValue>>,
    /// The first character of the part's text that rests on the source. Both ends are absent where it is all of the text.
    pub start: Option<u64>,
    /// The character behind the last one.
    pub end: Option<u64>,
    pub url: Option<String>,
    pub title: Option<String>,
    /// The words of the source.
    pub quote: Option<String>,
    /// The source's name as a file of the provider.
    pub file: Option<String>,
    /// Where the quoted words stand in what the caller gave.
    pub place: Option<Place>,
    /// Names of members that the hub has no word for.
    pub unsaid: Vec<String>,
}

/// A place in a document, or among the results of a search, that the request held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub unit: Unit,
    /// The number of the document or the result, from 0.
    pub index: Option<u64>,
    /// The first unit.
    pub start: Option<u64>,
    /// The unit behind the last one.
    pub end: Option<u64>,
}

/// What a [`Place`] is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    Characters,
    Pages,
    /// Blocks of a document.
    Blocks,
    /// Blocks of one result of a search.
    Results,
}

impl Citation {
    /// Whether it names anything that a reader could look up.
    pub fn is_known(&self) -> bool {
        let named = [&self.url, &self.title, &self.file, &self.quote].into_iter().any(Option::is_some);
        named || self.place.is_some()
    }

    /// The characters of a text of this length that it belongs to.
    pub fn range(&self, length: u64) -> (u64, u64) {
        match (self.start, self.end) {
            (None, None) => (0, length),
            (start, end) => {
                let end = end.unwrap_or(length).min(length);
                (start.unwrap_or(0).min(end), end)
            }
        }
    }

    /// Says which of its members a caller's protocol does not tell; `said` are those that it does.
    pub fn report(&self, said: &[&str], losses: &mut Losses) {
        let place = |of: fn(&Place) -> Option<u64>| self.place.as_ref().and_then(of).is_some();
        let members = [
            ("start_index", self.start.is_some()),
            ("end_index", self.end.is_some()),
            ("url", self.url.is_some()),
            ("title", self.title.is_some()),
            ("cited_text", self.quote.is_some()),
            ("file_id", self.file.is_some()),
            ("source_index", place(|place| place.index)),
            ("source_start", place(|place| place.start)),
            ("source_end", place(|place| place.end)),
        ];
        let unsaid = members.into_iter().filter(|(name, there)| *there && !said.contains(name)).map(|(name, _)| name);
        for name in unsaid.chain(self.unsaid.iter().map(String::as_str)) {
            losses.degraded(
                format!("content.citations.{name}"),
                "a citation in the caller's protocol has no member for it",
            );
        }
    }

    /// Says that it is not told at all.
    pub fn report_whole(&self, losses: &mut Losses) {
        const WHY: &str = "the caller's protocol has no citation of such a source";
        match &self.verbatim {
            Some(verbatim) => losses.dropped_part("content.citations", verbatim, WHY),
            None => losses.dropped("content.citations", WHY),
        }
    }
}

/// The citations of a whole text, as `foreign` writes them; such as have no text to stand at are lost.
pub fn beside(
    text: &Text,
    foreign: impl FnOnce(&[Citation], &mut Losses) -> Vec<Vec<u8>>,
    losses: &mut Losses,
) -> Vec<Vec<u8>> {
    let cited = foreign(&of(&text.ext), losses);
    if text.text.is_empty() && !cited.is_empty() {
        losses.dropped("content.citations", NO_TEXT);
    }
    cited
}

/// Citations of another protocol, each as `write` writes it; one whose source is not known is a loss as a whole.
pub fn translated(
    cited: &[Citation],
    losses: &mut Losses,
    write: impl Fn(&Citation, &mut Losses) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let mut written = Vec::with_capacity(cited.len());
    for citation in cited {
        match citation.is_known() {
            true => written.push(write(citation, losses)),
            false => citation.report_whole(losses),
        }
    }
    written
}

/// The citations among a text's members.
pub fn of(ext: &Ext) -> Vec<Citation> {
    ext.get(NOTE).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// The citations as a member, `None` where there are none.
pub fn note(citations: &[Citation]) -> Option<(String, Box<RawValue>)> {
    if citations.is_empty() {
        return None;
    }
    let text = serde_json::to_string(citations).ok()?;
    Some((NOTE.to_owned(), json::raw(text)?))
}

/// Reads the elements of a list; `None` where it is empty or no list, so that it stays as it is.
pub fn read(list: &RawValue, each: fn(Object<'_>) -> Citation) -> Option<Vec<Citation>> {
    let elements = Some(list).filter(|list| json::kind(list) == Kind::Array)?;
    let elements = json::elements(elements, "citations").ok().filter(|elements| !elements.is_empty())?;
    Some(elements.into_iter().map(|raw| one(raw, each)).collect())
}

/// Reads one element; what is no object is kept as it came.
pub fn one(raw: &RawValue, each: fn(Object<'_>) -> Citation) -> Citation {
    let read = Object::of(raw).map(each).unwrap_or_default();
    Citation { verbatim: Some(raw.to_owned()), ..read }
}

/// The names of the members that nobody took.
pub fn left(object: Object<'_>) -> Vec<String> {
    object.rest().0.into_iter().filter(|(_, value)| !json::says_nothing(value)).map(|(key, _)| key).collect()
}

/// Makes the list `member` of a text of an answer its citations.
pub fn mark(ext: &mut Ext, member: &str, each: fn(Object<'_>) -> Citation) {
    let Some(citations) = ext.get(member).and_then(|list| read(list, each)) else { return };
    ext.0.retain(|(key, _)| key != member);
    ext.0.extend(note(&citations));
}

/// The citations as an upstream of the same protocol wrote them.
pub fn verbatim(ext: &Ext) -> Vec<Box<RawValue>> {
    of(ext).into_iter().filter_map(|citation| citation.verbatim).collect()
}

/// Writes a text's members back, its citations under the name `member`.
pub fn write_back(ext: &Ext, member: &str, writer: &mut ObjectWriter<'_>) {
    let cited = verbatim(ext);
    for (key, value) in ext.0.iter().filter(|(key, _)| key != NOTE && (key != member || cited.is_empty())) {
        writer.raw(key, value);
    }
    if !cited.is_empty() {
        writer.array(member, cited, |one, out| out.extend_from_slice(one.get().as_bytes()));
    }
}

/// Gives the citations of several texts, whose places are counted through all of them, to each its own. One without a place,
/// or beyond the end, is the last text's.
pub fn share(citations: Vec<Citation>, lengths: &[u64]) -> Vec<Vec<Citation>> {
    let mut shares = vec![Vec::new(); lengths.len()];
    let mut behind = Vec::with_capacity(lengths.len());
    lengths.iter().fold(0, |before, length| {
        behind.push(before + length);
        before + length
    });
    for mut citation in citations {
        let of = behind.iter().position(|end| citation.start.is_some_and(|start| start < *end));
        let of = of.unwrap_or(lengths.len().saturating_sub(1));
        let base = of.checked_sub(1).and_then(|before| behind.get(before)).copied().unwrap_or(0);
        citation.start = citation.start.map(|start| start.saturating_sub(base));
        citation.end = citation.end.map(|end| end.saturating_sub(base));
        if let Some(share) = shares.get_mut(of) {
            share.push(citation);
        }
    }
    shares
}

/// The characters of a text and their bytes. Each is looked up without reading the text again.
pub struct Characters {
    /// Where each begins, and the text's end; `None` where each is one byte.
    starts: Option<Vec<usize>>,
    length: usize,
}

impl Characters {
    pub fn of(text: &str) -> Characters {
        let starts = || text.char_indices().map(|(start, _)| start).chain([text.len()]).collect();
        Characters { starts: (!text.is_ascii()).then(starts), length: text.len() }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.starts.as_ref().map_or(self.length, |starts| starts.len().saturating_sub(1)) as u64
    }

    /// The byte at which a character begins; the text's end for all that are beyond it.
    pub fn byte(&self, character: u64) -> usize {
        let character = usize::try_from(character).unwrap_or(usize::MAX);
        match &self.starts {
            Some(starts) => starts.get(character).copied().unwrap_or(self.length),
            None => character.min(self.length),
        }
    }

    /// The character that begins at a byte, or the first one behind it.
    pub fn character(&self, byte: usize) -> u64 {
        let byte = byte.min(self.length);
        self.starts.as_ref().map_or(byte, |starts| starts.partition_point(|start| *start < byte)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(mut object: Object<'_>) -> Citation {
        Citation { url: object.string("url").unwrap(), unsaid: left(object), ..Citation::default() }
    }

    #[test]
    fn a_list_is_marked_and_written_back_as_it_came() {
        let list = r#"[{"url":"u","n":1.0},7]"#;
        let mut ext =
            Ext(vec![("cited".to_owned(), json::raw(list).unwrap()), ("k".to_owned(), json::raw("1").unwrap())]);
        mark(&mut ext, "cited", plain);
        assert_eq!(ext.keys().collect::<Vec<_>>(), ["k"]);
        let cited = of(&ext);
        assert_eq!((cited[0].url.as_deref(), cited[0].unsaid.as_slice()), (Some("u"), &["n".to_owned()][..]));
        assert!(cited[0].is_known() && !cited[1].is_known());
        let mut out = Vec::new();
        json::object(&mut out, |writer| write_back(&ext, "cited", writer));
        assert_eq!(String::from_utf8(out).unwrap(), format!(r#"{{"k":1,"cited":{list}}}"#));
    }

    #[test]
    fn what_is_no_list_of_anything_stays() {
        for text in ["null", "[]", "7"] {
            let mut ext = Ext(vec![("cited".to_owned(), json::raw(text).unwrap())]);
            mark(&mut ext, "cited", plain);
            assert_eq!(ext.get("cited").map(RawValue::get), Some(text));
        }
    }

    #[test]
    fn ranges_stay_within_their_text() {
        let range = |start, end| Citation { start, end, ..Citation::default() }.range(10);
        assert_eq!([range(None, None), range(Some(2), Some(4)), range(Some(3), None)], [(0, 10), (2, 4), (3, 10)]);
        assert_eq!([range(Some(20), Some(30)), range(Some(6), Some(2))], [(10, 10), (2, 2)]);
    }

    #[test]
    fn places_through_several_texts_become_places_in_each() {
        let at = |start, end| Citation { start, end, ..Citation::default() };
        let cited = vec![at(Some(1), Some(3)), at(Some(4), Some(9)), at(None, None), at(Some(70), Some(80))];
        let shares = share(cited, &[4, 6]);
        let places = |share: &[Citation]| share.iter().map(|one| (one.start, one.end)).collect::<Vec<_>>();
        assert_eq!(places(&shares[0]), [(Some(1), Some(3))]);
        assert_eq!(places(&shares[1]), [(Some(0), Some(5)), (None, None), (Some(66), Some(76))]);
    }

    #[test]
    fn characters_are_counted_by_code_points() {
        for text in ["plain", "", "a\u{e9}\u{1f30a}b"] {
            let characters = Characters::of(text);
            assert_eq!(characters.count(), text.chars().count() as u64);
            for (number, (byte, _)) in text.char_indices().enumerate() {
                assert_eq!((characters.byte(number as u64), characters.character(byte)), (byte, number as u64));
            }
            assert_eq!((characters.byte(99), characters.character(99)), (text.len(), characters.count()));
        }
    }

    #[test]
    fn what_is_not_told_is_said_member_by_member() {
        let place = Place { unit: Unit::Pages, index: Some(0), start: Some(1), end: None };
        let citation = Citation {
            url: Some("u".to_owned()),
            quote: Some("q".to_owned()),
            place: Some(place),
            unsaid: vec!["encrypted_index".to_owned()],
            ..Citation::default()
        };
        let mut losses = Losses::default();
        citation.report(&["url", "source_index"], &mut losses);
        let fields: Vec<&str> = losses.iter().map(|loss| loss.field.trim_start_matches("content.citations.")).collect();
        assert_eq!(fields, ["cited_text", "source_start", "encrypted_index"]);
    }
}
