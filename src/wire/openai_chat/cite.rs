//! Citations: `annotations` of a message, with places in the characters of its content. Those that OpenAI documents are of
//! pages; OpenRouter gives the words of the page, too (`content`).

use crate::wire::ir::Citation;
use crate::wire::ir::citation::{self, Characters};
use crate::wire::ir::{Part, Text};
use crate::wire::json::{self, Ext, Object};
use crate::wire::loss::Losses;

/// The member of a message or a delta.
pub(super) const MEMBER: &str = "annotations";
const KIND: &str = "url_citation";

/// Reads one annotation.
pub(super) fn read(mut object: Object<'_>) -> Citation {
    let Some(mut page) = object.object(KIND).ok().flatten() else {
        return Citation { unsaid: citation::left(object), ..Citation::default() };
    };
    object.take("type");
    let mut number = |key: &str| page.u64(key).ok().flatten();
    let (start, end) = (number("start_index"), number("end_index"));
    // OpenRouter's search knows no places, and says 0 to 0.
    let nowhere = start.unwrap_or(0) == 0 && end == Some(0);
    let (start, end) = if nowhere { (None, None) } else { (start, end) };
    let mut text = |key: &str| page.string(key).ok().flatten();
    let (url, title, quote) = (text("url"), text("title"), text("content"));
    let mut unsaid = citation::left(object);
    unsaid.extend(citation::left(page));
    Citation { start, end, url, title, quote, unsaid, ..Citation::default() }
}

/// Makes the annotations among a message's members citations of its texts. Without a text they stay.
pub(super) fn mark(ext: &mut Ext, parts: &mut [Part]) {
    let mut texts: Vec<&mut Text> =
        parts.iter_mut().filter_map(|part| if let Part::Text(text) = part { Some(text) } else { None }).collect();
    if texts.is_empty() {
        return;
    }
    let Some(cited) = ext.get(MEMBER).and_then(|list| citation::read(list, read)) else { return };
    ext.0.retain(|(key, _)| key != MEMBER);
    let lengths: Vec<u64> = texts.iter().map(|text| Characters::of(&text.text).count()).collect();
    for (text, share) in texts.iter_mut().zip(citation::share(cited, &lengths)) {
        text.ext.0.extend(citation::note(&share));
    }
}

/// Citations that another protocol's upstream gave for a text, each as it is written. The text is `length` characters long
/// and begins behind `before` others of the content.
pub(super) fn foreign(cited: &[Citation], before: u64, length: u64, losses: &mut Losses) -> Vec<Vec<u8>> {
    cited.iter().filter_map(|citation| translated(citation, before, length, losses)).collect()
}

fn translated(citation: &Citation, before: u64, length: u64, losses: &mut Losses) -> Option<Vec<u8>> {
    let Some(url) = &citation.url else {
        citation.report_whole(losses);
        return None;
    };
    citation.report(&["start_index", "end_index", "url", "title", "cited_text"], losses);
    let (start, end) = citation.range(length);
    let mut out = Vec::new();
    json::object(&mut out, |body| {
        body.field("type", KIND);
        body.object(KIND, |page| {
            page.field("start_index", &(before + start));
            page.field("end_index", &(before + end));
            page.field("url", url);
            page.field("title", citation.title.as_ref().unwrap_or(url));
            page.optional("content", &citation.quote);
        });
    });
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_shared_among_the_texts_and_come_back() {
        let list = r#"[{"type":"url_citation","url_citation":{"start_index":3,"end_index":5,"url":"https://a.example","title":"A","content":"q"}}]"#;
        let mut ext = Ext(vec![(MEMBER.to_owned(), json::raw(list).unwrap())]);
        let mut parts = [Part::Text(Text::new("\u{e9}t\u{e9}")), Part::Text(Text::new("au"))];
        mark(&mut ext, &mut parts);
        assert!(ext.is_empty());
        let [Part::Text(first), Part::Text(second)] = &parts else { panic!("{parts:?}") };
        let cited = citation::of(&second.ext);
        assert!(citation::of(&first.ext).is_empty());
        assert_eq!((cited[0].start, cited[0].end), (Some(0), Some(2)));
        let mut losses = Losses::default();
        let again = foreign(&cited, 3, 2, &mut losses).remove(0);
        assert_eq!((format!("[{}]", String::from_utf8(again).unwrap()).as_str(), losses.is_empty()), (list, true));
    }

    #[test]
    fn what_is_no_page_is_reported() {
        let raw = json::raw(r#"{"type":"file","file":{"hash":"h"}}"#).unwrap();
        let mut losses = Losses::default();
        assert!(foreign(&[citation::one(&raw, read)], 0, 5, &mut losses).is_empty());
        assert_eq!(losses.to_string(), "content.citations.file=dropped");
    }
}
