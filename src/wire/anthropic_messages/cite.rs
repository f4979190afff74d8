//! Citations: members of a block of text, whose whole text rests on them. Each type of place has members of its own.

use crate::wire::ir::Citation;
use crate::wire::ir::citation::{self, Place, Unit};
use crate::wire::json::{self, Ext, Object, ObjectWriter, str_of};
use crate::wire::loss::Losses;

/// The member of a block of text.
pub(super) const MEMBER: &str = "citations";

/// The types of places: what they are counted in, and the members of the number, the beginning and the end.
const PLACES: [(&str, Unit, [&str; 3]); 4] = [
    ("char_location", Unit::Characters, ["document_index", "start_char_index", "end_char_index"]),
    ("page_location", Unit::Pages, ["document_index", "start_page_number", "end_page_number"]),
    ("content_block_location", Unit::Blocks, ["document_index", "start_block_index", "end_block_index"]),
    ("search_result_location", Unit::Results, ["search_result_index", "start_block_index", "end_block_index"]),
];
const WEB: &str = "web_search_result_location";
const RESULT: &str = "search_result_location";

/// Reads one citation.
pub(super) fn read(mut object: Object<'_>) -> Citation {
    let kind = object.take("type").and_then(str_of).unwrap_or_default();
    let mut text = |key: &str| object.string(key).ok().flatten();
    let mut read = Citation { quote: text("cited_text"), ..Citation::default() };
    match &*kind {
        WEB => (read.url, read.title) = (text("url"), text("title")),
        RESULT => (read.url, read.title) = (text("source"), text("title")),
        _ => (read.title, read.file) = (text("document_title"), text("file_id")),
    }
    if let Some((_, unit, [index, start, end])) = PLACES.iter().find(|(name, ..)| *name == kind) {
        let mut number = |key: &str| object.u64(key).ok().flatten();
        read.place = Some(Place { unit: *unit, index: number(index), start: number(start), end: number(end) });
    }
    read.unsaid = citation::left(object);
    read
}

/// Makes the citations of a text of an answer what the hub knows them as.
pub(super) fn mark(ext: &mut Ext) {
    citation::mark(ext, MEMBER, read);
}

/// Citations that another protocol's upstream gave, each as it is written.
pub(super) fn foreign(cited: &[Citation], losses: &mut Losses) -> Vec<Vec<u8>> {
    citation::translated(cited, losses, translated)
}

fn translated(citation: &Citation, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::new();
    let place = citation.place.and_then(|place| {
        let (name, unit, members) = PLACES.iter().find(|(_, unit, _)| *unit == place.unit)?;
        Some((*name, *unit, *members, place))
    });
    let mut said = vec!["title", "cited_text", "source_index", "source_start", "source_end"];
    json::object(&mut out, |body| match place {
        Some((name, unit, members, place)) if unit != Unit::Results => {
            said.push("file_id");
            body.field("type", name);
            body.field("document_title", &citation.title);
            body.field("file_id", &citation.file);
            write_place(members, place, body);
            write_quote(citation, body);
        }
        None if citation.url.is_some() => {
            said.push("url");
            body.field("type", WEB);
            body.field("url", &citation.url);
            body.field("title", &citation.title);
            // The provider's own key to the page, which nobody else has.
            body.field("encrypted_index", "");
            write_quote(citation, body);
        }
        // A result of a search, or a file in which the provider searched.
        place => {
            said.extend(["url", "file_id"].iter().take(if citation.url.is_some() { 1 } else { 2 }));
            let source = citation.url.as_ref().or(citation.file.as_ref()).or(citation.title.as_ref());
            body.field("type", RESULT);
            body.field("source", source.map_or("", String::as_str));
            body.field("title", &citation.title);
            let nowhere = Place { unit: Unit::Results, index: None, start: None, end: None };
            let place = place.map_or(nowhere, |(.., place)| place);
            write_place(["search_result_index", "start_block_index", "end_block_index"], place, body);
            write_quote(citation, body);
        }
    });
    citation.report(&said, losses);
    out
}

fn write_place([index, start, end]: [&str; 3], place: Place, body: &mut ObjectWriter<'_>) {
    body.field(index, &place.index.unwrap_or(0));
    body.field(start, &place.start.unwrap_or(0));
    body.field(end, &place.end.unwrap_or(0));
}

fn write_quote(citation: &Citation, body: &mut ObjectWriter<'_>) {
    body.field("cited_text", citation.quote.as_deref().unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_place_comes_back() {
        for text in [
            r#"{"type":"char_location","document_title":"T","file_id":null,"document_index":1,"start_char_index":2,"end_char_index":9,"cited_text":"q"}"#,
            r#"{"type":"page_location","document_title":null,"file_id":"file_1","document_index":0,"start_page_number":1,"end_page_number":2,"cited_text":"q"}"#,
            r#"{"type":"content_block_location","document_title":"T","file_id":null,"document_index":0,"start_block_index":3,"end_block_index":4,"cited_text":"q"}"#,
            r#"{"type":"search_result_location","source":"https://a.example","title":"T","search_result_index":1,"start_block_index":0,"end_block_index":1,"cited_text":"q"}"#,
            r#"{"type":"web_search_result_location","url":"https://a.example","title":"T","encrypted_index":"","cited_text":"q"}"#,
        ] {
            let raw = json::raw(text).unwrap();
            let mut losses = Losses::default();
            let again = foreign(&[citation::one(&raw, read)], &mut losses).remove(0);
            assert_eq!(String::from_utf8(again).unwrap(), text);
            let unread: Vec<&str> = losses.iter().map(|loss| &*loss.field).collect();
            let key = text.contains("encrypted_index").then_some("content.citations.encrypted_index");
            assert_eq!(unread, Vec::from_iter(key), "{text}");
        }
    }

    #[test]
    fn a_citation_of_an_unknown_source_is_reported() {
        let raw = json::raw(r#"{"type":"memory_location","key":7}"#).unwrap();
        let mut losses = Losses::default();
        assert!(foreign(&[citation::one(&raw, read)], &mut losses).is_empty());
        assert_eq!(losses.to_string(), "content.citations.memory_location=dropped");
    }
}
