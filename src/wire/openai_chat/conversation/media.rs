//! Images, sounds and documents of other protocols' callers.

use base64::Engine;

use super::super::content;
use super::Context;
use crate::wire::ir::{Error, Media, MediaKind, MediaSource, Request};
use crate::wire::{ProtocolId, untaken};

/// A piece of content in this protocol's words.
pub(super) enum Piece {
    Text(String),
    Image(Media),
    Audio(Media),
    File(Media),
}

impl Piece {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Piece::Text(text) => content::write_text_part(text, out),
            Piece::Image(media) => content::write_url_part(media, "image_url", out),
            Piece::Audio(media) => content::write_audio(media, out),
            Piece::File(media) => content::write_file(media, out),
        }
    }
}

/// Refuses media that this protocol has no part for. A file in OpenAI's store is known to both of its protocols.
///
/// # Errors
/// Such media.
pub(super) fn check(request: &Request) -> Result<(), Error> {
    let stored = request.origin == ProtocolId::OpenAiResponses;
    untaken::check(request, "Chat Completions", |media| match (media.kind, &media.source) {
        (MediaKind::File, MediaSource::FileId(_)) if stored => None,
        (_, MediaSource::FileId(_)) => Some(untaken::UPLOADED),
        (MediaKind::Audio, MediaSource::Url { .. } | MediaSource::Text { .. }) => {
            Some(("sound by its address", "send its bytes"))
        }
        (MediaKind::Video, _) => Some(untaken::VIDEO),
        (MediaKind::File, MediaSource::Url { .. }) => Some(("document by its address", "send its bytes")),
        (MediaKind::Image | MediaKind::Audio | MediaKind::File, _) => None,
    })
}

/// What this protocol makes of it, `None` for what [`check`] has refused.
pub(super) fn convert(media: &Media, context: &mut Context<'_>) -> Option<Piece> {
    context.losses.dropped_ext("messages.content.", &media.ext);
    Some(match (media.kind, &media.source) {
        (MediaKind::Image, _) => Piece::Image(content::stripped(media)),
        (MediaKind::Audio, _) => Piece::Audio(content::stripped(media)),
        (MediaKind::File, MediaSource::Text { text, .. }) => inline(media, text, context),
        (MediaKind::File, MediaSource::Base64 { media_type, data }) => document(media, media_type, data, context),
        (MediaKind::File, MediaSource::FileId(_)) => Piece::File(content::stripped(media)),
        (MediaKind::Video, _) | (MediaKind::File, MediaSource::Url { .. }) => return None,
    })
}

/// Texts go inline: most upstreams take no other file than PDF.
fn document(media: &Media, media_type: &str, data: &str, context: &mut Context<'_>) -> Piece {
    if media_type.starts_with("text/") {
        let text = base64::engine::general_purpose::STANDARD.decode(data).ok();
        if let Some(text) = text.and_then(|bytes| String::from_utf8(bytes).ok()) {
            return inline(media, &text, context);
        }
    }
    let mut file = content::stripped(media);
    // OpenAI requires a name; its ending tells some upstreams the type.
    file.name.get_or_insert_with(|| format!("document.{}", media_type.rsplit('/').next().unwrap_or("bin")));
    Piece::File(file)
}

fn inline(media: &Media, text: &str, context: &mut Context<'_>) -> Piece {
    context.losses.emulated("messages.content.document", "a text document goes as text");
    match &media.name {
        Some(name) => Piece::Text(format!("{name}\n\n{text}")),
        None => Piece::Text(text.to_owned()),
    }
}
