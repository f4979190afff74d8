//! Pictures that a model made: items `image_generation_call` of an answer's output.

use serde_json::value::RawValue;

use super::note;
use crate::wire::ir::{Media, MediaKind, MediaSource};
use crate::wire::json::{self, Object, ObjectWriter};

/// The type of the item.
const KIND: &str = "image_generation_call";
/// Note in `ext`: the item came in this protocol.
const OWN: &str = "#item";
/// Note in `ext`: the format, where it was said.
const FORMAT: &str = "#output_format";

/// Reads an item that holds a picture; `None` for any other, and where the picture is not there.
pub(super) fn read(raw: &RawValue) -> Option<Media> {
    // Most items are something else: a look at the text spares reading them twice.
    let mut item = Some(raw).filter(|raw| raw.get().contains(KIND)).and_then(|raw| Object::of(raw).ok())?;
    item.string("type").ok()?.filter(|kind| kind == KIND)?;
    let data = item.string("result").ok()?.filter(|data| !data.is_empty())?;
    let format = item.take("output_format");
    let word = format.and_then(json::str_of).unwrap_or("png".into());
    let media_type = format!("image/{}", if word == "jpg" { "jpeg" } else { &*word });
    let mut ext = note::rest(item);
    note::add(&mut ext, OWN, "true");
    ext.0.extend(format.map(|format| (FORMAT.to_owned(), format.to_owned())));
    let source = MediaSource::Base64 { media_type, data };
    Some(Media { kind: MediaKind::Image, source, detail: None, name: None, ext })
}

/// Whether it came in this protocol.
pub(super) fn is_own(media: &Media) -> bool {
    media.ext.get(OWN).is_some()
}

/// The bytes of a picture, and their type; `None` for media that no item of an answer holds.
pub(super) fn bytes(media: &Media) -> Option<(&str, &str)> {
    match &media.source {
        MediaSource::Base64 { media_type, data } if media.kind == MediaKind::Image => Some((media_type, data)),
        MediaSource::Base64 { .. } | MediaSource::Url { .. } | MediaSource::FileId(_) | MediaSource::Text { .. } => {
            None
        }
    }
}

/// Writes the item: as it came, or under the id that is given. `status` is `completed` where the picture is whole.
pub(super) fn write(media: &Media, id: &str, status: &str, writer: &mut ObjectWriter<'_>) {
    let Some((media_type, data)) = bytes(media) else { return };
    let result = Some(data).filter(|_| status == "completed");
    if is_own(media) {
        note::write(&media.ext, writer);
        writer.field("type", KIND);
        writer.field("result", &result);
        if let Some(format) = media.ext.get(FORMAT) {
            writer.raw("output_format", format);
        }
        return;
    }
    writer.field("id", id);
    writer.field("type", KIND);
    writer.field("status", status);
    writer.field("result", &result);
    writer.field("output_format", media_type.strip_prefix("image/").unwrap_or(media_type));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_comes_back_as_it_came() {
        for text in [
            r#"{"type":"image_generation_call","id":"ig_1","status":"completed","result":"AA==","output_format":"jpeg","size":"1x1"}"#,
            r#"{"type":"image_generation_call","id":"ig_1","status":"completed","result":"AA=="}"#,
        ] {
            let media = read(&json::raw(text).unwrap()).unwrap();
            let mut out = Vec::new();
            json::object(&mut out, |writer| write(&media, "other", "completed", writer));
            let [before, after]: [serde_json::Value; 2] =
                [text.as_bytes(), &out].map(|text| serde_json::from_slice(text).unwrap());
            assert_eq!(after, before);
        }
    }

    #[test]
    fn what_holds_no_picture_is_none() {
        for text in [
            r#"{"type":"image_generation_call","id":"ig_1","status":"in_progress","result":null}"#,
            r#"{"type":"message","id":"image_generation_call"}"#,
        ] {
            assert!(read(&json::raw(text).unwrap()).is_none(), "{text}");
        }
    }
}
