//! Images and documents of other protocols.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::wire::ir::{Error, Media, MediaKind, MediaSource};
use crate::wire::loss::Losses;
use crate::wire::untaken;

/// The media as Anthropic takes it. `path` is where it stands in the caller's document.
///
/// # Errors
/// Media that Anthropic has no block for.
pub(super) fn portable<'a>(media: &'a Media, path: &str, losses: &mut Losses) -> Result<Cow<'a, Media>, Error> {
    if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
        losses.dropped("messages.content.detail", "Anthropic Messages has no choice of detail");
    }
    match media.kind {
        MediaKind::Image => image(media, path),
        MediaKind::File => document(media, path),
        MediaKind::Audio => Err(refused(path, "audio", "send a transcript")),
        MediaKind::Video => Err(refused(path, "video", "send frames of it as images")),
    }
}

fn refused(path: &str, what: &str, fix: &str) -> Error {
    untaken::refused(path, "Anthropic Messages", what, fix)
}

fn image<'a>(media: &'a Media, path: &str) -> Result<Cow<'a, Media>, Error> {
    match &media.source {
        MediaSource::Base64 { media_type, data } if media_type == "image/jpg" => {
            Ok(with_source(media, MediaSource::Base64 { media_type: "image/jpeg".to_owned(), data: data.clone() }))
        }
        MediaSource::Base64 { .. } => Ok(Cow::Borrowed(media)),
        MediaSource::Url { url, .. } => match data_url(url) {
            Some((media_type, data)) => {
                let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
                let source = MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() };
                Ok(with_source(media, source))
            }
            None => fetchable(media, url, path),
        },
        MediaSource::FileId(_) => Err(refused(path, "file that was uploaded to another provider", "send its bytes")),
        MediaSource::Text { .. } => Err(refused(path, "text as an image", "send it as text")),
    }
}

fn document<'a>(media: &'a Media, path: &str) -> Result<Cow<'a, Media>, Error> {
    match &media.source {
        MediaSource::Base64 { media_type, data } => inline_document(media, media_type, data, path),
        MediaSource::Text { .. } => Ok(Cow::Borrowed(media)),
        MediaSource::Url { url, .. } => match data_url(url) {
            Some((media_type, data)) => inline_document(media, media_type, data, path),
            None => fetchable(media, url, path),
        },
        MediaSource::FileId(_) => Err(refused(path, "file that was uploaded to another provider", "send its bytes")),
    }
}

/// PDF goes as it is; text, which Anthropic takes only as text, is decoded.
fn inline_document<'a>(media: &'a Media, media_type: &str, data: &str, path: &str) -> Result<Cow<'a, Media>, Error> {
    if media_type == "application/pdf" {
        let source = MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() };
        return Ok(with_source(media, source));
    }
    let is_text = media_type.starts_with("text/") || media_type == "application/json";
    let text = STANDARD.decode(data).ok().filter(|_| is_text).and_then(|bytes| String::from_utf8(bytes).ok());
    match text {
        Some(text) => Ok(with_source(media, MediaSource::Text { media_type: "text/plain".to_owned(), text })),
        None => Err(refused(path, &format!("document of type `{media_type}`"), "send PDF or text")),
    }
}

fn fetchable<'a>(media: &'a Media, url: &str, path: &str) -> Result<Cow<'a, Media>, Error> {
    if url.starts_with("https://") || url.starts_with("http://") {
        Ok(Cow::Borrowed(media))
    } else {
        Err(refused(path, "address other than `https://`", "send the bytes"))
    }
}

/// `data:image/png;base64,AAAA`, with or without parameters before `;base64`.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    Some((head.split_once(';').map_or(head, |(media_type, _)| media_type), data))
}

fn with_source(media: &Media, source: MediaSource) -> Cow<'_, Media> {
    Cow::Owned(Media { kind: media.kind, source, detail: None, name: media.name.clone(), ext: media.ext.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Ext;

    fn media(kind: MediaKind, source: MediaSource) -> Media {
        Media { kind, source, detail: None, name: None, ext: Ext::default() }
    }

    fn url(kind: MediaKind, url: &str) -> Media {
        media(kind, MediaSource::Url { url: url.to_owned(), media_type: None })
    }

    #[test]
    fn data_urls_become_bytes() {
        let image = url(MediaKind::Image, "data:image/jpg;base64,AA==");
        let source = portable(&image, "p", &mut Losses::default()).unwrap().into_owned().source;
        assert_eq!(source, MediaSource::Base64 { media_type: "image/jpeg".into(), data: "AA==".into() });
        let text = url(MediaKind::File, "data:text/plain;charset=utf-8;base64,aGk=");
        let source = portable(&text, "p", &mut Losses::default()).unwrap().into_owned().source;
        assert_eq!(source, MediaSource::Text { media_type: "text/plain".into(), text: "hi".into() });
    }

    #[test]
    fn what_anthropic_does_not_take_is_refused_in_words() {
        let wav = MediaSource::Base64 { media_type: "audio/wav".into(), data: "AA==".into() };
        let zip = MediaSource::Base64 { media_type: "application/zip".into(), data: "AA==".into() };
        for media in [
            media(MediaKind::Audio, wav),
            media(MediaKind::File, zip),
            media(MediaKind::Image, MediaSource::FileId("file-1".into())),
            url(MediaKind::Image, "gs://bucket/a.png"),
        ] {
            let error = portable(&media, "messages.0.content.1", &mut Losses::default()).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some("messages.0.content.1")));
        }
    }
}
