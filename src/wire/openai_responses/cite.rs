//! Citations: `annotations` of a text, with places in its characters.

use crate::wire::ir::Citation;
use crate::wire::ir::citation::{self, Characters};
use crate::wire::json::{self, Ext, Object};
use crate::wire::loss::Losses;

/// The member of a text.
pub(super) const MEMBER: &str = "annotations";

/// Reads one annotation: `url_citation`, `file_citation`, `container_file_citation` or `file_path`.
pub(super) fn read(mut object: Object<'_>) -> Citation {
    object.take("type");
    let mut text = |key: &str| object.string(key).ok().flatten();
    let (url, title, file) = (text("url"), text("title"), text("file_id"));
    let title = title.or_else(|| text("filename"));
    let mut number = |key: &str| object.u64(key).ok().flatten();
    let (start, end) = (number("start_index"), number("end_index"));
    let unsaid = citation::left(object);
    Citation { start, end, url, title, file, unsaid, ..Citation::default() }
}

/// Makes the annotations of a text of an answer what the hub knows them as.
pub(super) fn mark(ext: &mut Ext) {
    citation::mark(ext, MEMBER, read);
}

/// Citations that another protocol's upstream gave for `text`, each as it is written.
pub(super) fn foreign(text: &str, cited: &[Citation], losses: &mut Losses) -> Vec<Vec<u8>> {
    if cited.is_empty() {
        return Vec::new();
    }
    let length = Characters::of(text).count();
    citation::translated(cited, losses, |citation, losses| translated(citation, length, losses))
}

fn translated(citation: &Citation, length: u64, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::new();
    let title = citation.title.as_deref();
    json::object(&mut out, |body| match &citation.url {
        Some(url) => {
            let (start, end) = citation.range(length);
            body.field("type", "url_citation");
            body.field("start_index", &start);
            body.field("end_index", &end);
            body.field("url", url);
            body.field("title", title.unwrap_or(url));
        }
        // A document of the request is a file without an id.
        None => {
            body.field("type", "file_citation");
            body.field("file_id", citation.file.as_deref().unwrap_or_default());
            body.field("filename", title.unwrap_or_default());
            body.field("index", &citation.place.and_then(|place| place.index).unwrap_or(0));
        }
    });
    let said: &[&str] = match citation.url {
        Some(_) => &["start_index", "end_index", "url", "title"],
        None => &["title", "file_id", "source_index"],
    };
    citation.report(said, losses);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_come_back() {
        for (text, lost) in [
            (r#"{"type":"url_citation","start_index":1,"end_index":4,"url":"https://a.example","title":"A"}"#, ""),
            (
                r#"{"type":"file_citation","file_id":"file-1","filename":"a.txt","index":0}"#,
                "content.citations.index=degraded",
            ),
        ] {
            let raw = json::raw(text).unwrap();
            let mut losses = Losses::default();
            let again = foreign("na\u{ef}ve", &[citation::one(&raw, read)], &mut losses).remove(0);
            assert_eq!((String::from_utf8(again).unwrap().as_str(), losses.to_string().as_str()), (text, lost));
        }
    }

    #[test]
    fn a_citation_without_a_place_is_of_the_whole_text() {
        let citation = Citation { url: Some("u".to_owned()), ..Citation::default() };
        let written = foreign("na\u{ef}ve", &[citation], &mut Losses::default()).remove(0);
        let whole = r#"{"type":"url_citation","start_index":0,"end_index":5,"url":"u","title":"u"}"#;
        assert_eq!(String::from_utf8(written).unwrap(), whole);
    }
}
