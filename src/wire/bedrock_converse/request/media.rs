//! Images, documents and videos. Converse takes bytes; it fetches nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::{formats, legal};
use crate::wire::ir::{Error, Media, MediaKind, MediaSource};
use crate::wire::json::ObjectWriter;
use crate::wire::loss::Losses;
use crate::wire::untaken;

/// A block that holds bytes.
pub(super) struct Attachment {
    /// The member that names the block's type.
    member: &'static str,
    format: &'static str,
    /// Of a document.
    name: Option<String>,
    /// Base64.
    data: String,
}

impl Attachment {
    pub(super) fn is_document(&self) -> bool {
        self.member == "document"
    }

    pub(super) fn write(&self, block: &mut ObjectWriter<'_>) {
        block.object(self.member, |body| {
            body.field("format", self.format);
            body.optional("name", &self.name);
            body.object("source", |source| source.field("bytes", &self.data));
        });
    }
}

/// The media as Converse takes it. `names` are those of the documents before it; `path` is where the media stands in the
/// caller's document.
///
/// # Errors
/// Media that Converse has no block for, or that it would have to fetch.
pub(super) fn attachment(
    media: &Media,
    names: &mut legal::DocumentNames,
    path: &str,
    losses: &mut Losses,
) -> Result<Attachment, Error> {
    if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
        losses.dropped("messages.content.detail", "Converse has no choice of detail");
    }
    let (media_type, data) = bytes(&media.source, path)?;
    let member = match media.kind {
        MediaKind::Image => "image",
        MediaKind::File => "document",
        MediaKind::Video => "video",
        MediaKind::Audio => return Err(refused(path, "audio", "send a transcript")),
    };
    let format = formats::of(member, &media_type)
        .ok_or_else(|| refused(path, &format!("{member} of type `{media_type}`"), "send another format"))?;
    let name = (member == "document").then(|| names.next(media.name.as_deref()));
    if media.name.is_some() && name != media.name {
        losses.degraded(
            "messages.content.name",
            "a name holds only letters, digits, spaces, hyphens and brackets, and is used once",
        );
    }
    Ok(Attachment { member, format, name, data })
}

fn refused(path: &str, what: &str, fix: &str) -> Error {
    untaken::refused(path, "Bedrock Converse", what, fix)
}

fn bytes(source: &MediaSource, path: &str) -> Result<(String, String), Error> {
    match source {
        MediaSource::Base64 { media_type, data } => Ok((media_type.clone(), data.clone())),
        MediaSource::Text { media_type, text } => Ok((media_type.clone(), STANDARD.encode(text))),
        MediaSource::FileId(_) => Err(refused(path, "file that was uploaded to another provider", "send its bytes")),
        MediaSource::Url { url, .. } => {
            let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(','));
            let inline = inline.and_then(|(head, data)| {
                let head = head.strip_suffix(";base64")?;
                Some((head.split(';').next().unwrap_or(head).to_owned(), data.to_owned()))
            });
            inline.ok_or_else(|| refused(path, "address to fetch from", "send the bytes (base64, a `data:` URL)"))
        }
    }
}
