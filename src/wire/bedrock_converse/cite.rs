//! Citations: members of a `citationsContent`, whose whole text rests on them. The only member of a `location` names what
//! it is counted in.

use super::block::CITATIONS;
use crate::wire::ir::Citation;
use crate::wire::ir::citation::{self, Place, Unit};
use crate::wire::json::{self, Ext, Object, ObjectWriter};
use crate::wire::loss::Losses;

/// Locations: what they are counted in, and the member of the number.
const LOCATIONS: [(&str, Unit, &str); 4] = [
    ("documentChar", Unit::Characters, "documentIndex"),
    ("documentPage", Unit::Pages, "documentIndex"),
    ("documentChunk", Unit::Blocks, "documentIndex"),
    ("searchResultLocation", Unit::Results, "searchResultIndex"),
];

/// Reads one citation.
pub(super) fn read(mut object: Object<'_>) -> Citation {
    let mut text = |key: &str| object.string(key).ok().flatten();
    let mut read = Citation { title: text("title"), url: text("source"), ..Citation::default() };
    if let Some(pieces) = object.get("sourceContent").and_then(|raw| json::elements(raw, "sourceContent").ok()) {
        let piece = |raw| Object::of(raw).ok()?.string("text").ok()?;
        let words: Option<Vec<String>> = pieces.into_iter().map(piece).collect();
        if let Some(words) = words {
            object.take("sourceContent");
            read.quote = Some(words.concat()).filter(|words| !words.is_empty());
        }
    }
    if let Some(location) = object.get("location").and_then(|raw| Object::of(raw).ok())
        && locate(location, &mut read)
    {
        object.take("location");
    }
    read.unsaid.extend(citation::left(object));
    read
}

/// Reads where the source is; `false` for a location that nobody knows.
fn locate(mut location: Object<'_>, read: &mut Citation) -> bool {
    if let Some(mut web) = location.object("web").ok().flatten() {
        read.url = web.string("url").ok().flatten().or(read.url.take());
        read.unsaid = citation::left(web);
        return true;
    }
    for (name, unit, index) in LOCATIONS {
        if let Some(mut place) = location.object(name).ok().flatten() {
            let mut number = |key: &str| place.u64(key).ok().flatten();
            read.place = Some(Place { unit, index: number(index), start: number("start"), end: number("end") });
            read.unsaid = citation::left(place);
            return true;
        }
    }
    false
}

/// Makes the citations of a text of an answer what the hub knows them as.
pub(super) fn mark(ext: &mut Ext) {
    citation::mark(ext, CITATIONS, read);
}

/// Citations that another protocol's upstream gave, each as it is written.
pub(super) fn foreign(cited: &[Citation], losses: &mut Losses) -> Vec<Vec<u8>> {
    citation::translated(cited, losses, translated)
}

fn translated(citation: &Citation, losses: &mut Losses) -> Vec<u8> {
    let mut said = vec!["title", "cited_text", "url", "source_index", "source_start", "source_end"];
    let source = citation.url.as_ref().filter(|_| citation.place.is_some());
    let source = source.or(citation.file.as_ref().filter(|_| citation.url.is_none()));
    if citation.url.is_none() {
        said.push("file_id");
    }
    let mut out = Vec::new();
    json::object(&mut out, |body| {
        body.optional("title", &citation.title);
        body.optional("source", &source);
        if let Some(quote) = &citation.quote {
            body.array("sourceContent", [quote], |quote, out| json::object(out, |piece| piece.field("text", quote)));
        }
        match (&citation.place, &citation.url) {
            (Some(place), _) => body.object("location", |location| write_place(place, location)),
            (None, Some(url)) => {
                body.object("location", |location| location.object("web", |web| web.field("url", url)));
            }
            (None, None) => {}
        }
    });
    citation.report(&said, losses);
    out
}

fn write_place(place: &Place, location: &mut ObjectWriter<'_>) {
    let Some((name, _, index)) = LOCATIONS.iter().find(|(_, unit, _)| *unit == place.unit) else { return };
    location.object(name, |body| {
        body.field(index, &place.index.unwrap_or(0));
        body.optional("start", &place.start);
        body.optional("end", &place.end);
    });
}

/// The citations of a text, as the list that [`CITATIONS`] is.
pub(super) fn list(cited: &[Vec<u8>]) -> Ext {
    let mut list = Vec::new();
    json::array(&mut list, cited, |one, out| out.extend_from_slice(one));
    let list = String::from_utf8(list).ok().and_then(json::raw).filter(|_| !cited.is_empty());
    Ext(list.map(|list| (CITATIONS.to_owned(), list)).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_location_comes_back() {
        for text in [
            r#"{"title":"T","sourceContent":[{"text":"q"}],"location":{"documentChar":{"documentIndex":1,"start":2,"end":9}}}"#,
            r#"{"title":"T","location":{"documentPage":{"documentIndex":0,"start":1,"end":2}}}"#,
            r#"{"location":{"documentChunk":{"documentIndex":0,"start":1,"end":2}}}"#,
            r#"{"title":"T","source":"https://a.example","location":{"searchResultLocation":{"searchResultIndex":1,"start":0,"end":1}}}"#,
            r#"{"location":{"web":{"url":"https://a.example"}}}"#,
        ] {
            let raw = json::raw(text).unwrap();
            let mut losses = Losses::default();
            let again = foreign(&[citation::one(&raw, read)], &mut losses).remove(0);
            assert_eq!((String::from_utf8(again).unwrap().as_str(), losses.to_string().as_str()), (text, ""));
        }
    }

    #[test]
    fn what_a_location_says_besides_is_reported() {
        let raw = json::raw(r#"{"location":{"web":{"url":"https://a.example","domain":"a.example"}}}"#).unwrap();
        let mut losses = Losses::default();
        foreign(&[citation::one(&raw, read)], &mut losses);
        assert_eq!(losses.to_string(), "content.citations.domain=degraded");
    }
}
