//! Images, sounds and documents of other protocols' callers.

use base64::Engine;

use super::super::content;
use super::Context;
use crate::wire::ir::{Media, MediaKind, MediaSource};

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

/// What this protocol can make of it, `None` (and a loss) where nothing.
pub(super) fn convert(media: &Media, context: &mut Context<'_>) -> Option<Piece> {
    context.losses.dropped_ext("messages.content.", &media.ext);
    let dropped = match (media.kind, &media.source) {
        (_, MediaSource::FileId(_)) => "an uploaded file is known only to the provider that has it; send its content",
        (MediaKind::Image, _) => return Some(Piece::Image(content::stripped(media))),
        (MediaKind::Audio, MediaSource::Base64 { .. }) => return Some(Piece::Audio(content::stripped(media))),
        (MediaKind::Audio, MediaSource::Url { .. } | MediaSource::Text { .. }) => {
            "Chat Completions takes sound as content, not as an address"
        }
        (MediaKind::Video, _) => "Chat Completions takes no video",
        (MediaKind::File, MediaSource::Text { text, .. }) => return Some(inline(media, text, context)),
        (MediaKind::File, MediaSource::Base64 { media_type, data }) => {
            return Some(document(media, media_type, data, context));
        }
        (MediaKind::File, MediaSource::Url { .. }) => "Chat Completions takes a document as content, not as an address",
    };
    context.losses.dropped("messages.content", dropped);
    None
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
