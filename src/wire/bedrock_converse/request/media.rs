//! Images, documents and videos. Converse takes bytes; it fetches nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::legal;
use crate::wire::ir::{Error, Media, MediaKind, MediaSource};
use crate::wire::json::ObjectWriter;
use crate::wire::loss::Losses;

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

/// The media as Converse takes it. `number` names a document that has no name; `path` is where the media stands in the
/// caller's document.
///
/// # Errors
/// Media that Converse has no block for, or that it would have to fetch.
pub(super) fn attachment(media: &Media, number: usize, path: &str, losses: &mut Losses) -> Result<Attachment, Error> {
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
    let format = format(member, &media_type)
        .ok_or_else(|| refused(path, &format!("{member} of type `{media_type}`"), "send another format"))?;
    let name = (member == "document").then(|| legal::document_name(media.name.as_deref(), number));
    if media.name.is_some() && name != media.name {
        losses.degraded("messages.content.name", "a name holds only letters, digits, spaces, hyphens and brackets");
    }
    Ok(Attachment { member, format, name, data })
}

fn refused(path: &str, what: &str, fix: &str) -> Error {
    Error::invalid(format!("`{path}`: Bedrock Converse takes no {what}; {fix}, or use a model of another provider"))
        .with_code("unsupported_content")
        .with_param(path)
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

fn format(member: &str, media_type: &str) -> Option<&'static str> {
    let known: &[(&str, &str)] = match member {
        "image" => &[
            ("image/png", "png"),
            ("image/jpeg", "jpeg"),
            ("image/jpg", "jpeg"),
            ("image/gif", "gif"),
            ("image/webp", "webp"),
        ],
        "video" => &[
            ("video/mp4", "mp4"),
            ("video/quicktime", "mov"),
            ("video/webm", "webm"),
            ("video/x-matroska", "mkv"),
            ("video/x-flv", "flv"),
            ("video/mpeg", "mpeg"),
            ("video/wmv", "wmv"),
            ("video/3gpp", "three_gp"),
        ],
        _ => &[
            ("application/pdf", "pdf"),
            ("text/plain", "txt"),
            ("text/markdown", "md"),
            ("text/html", "html"),
            ("text/csv", "csv"),
            ("application/json", "txt"),
            ("application/msword", "doc"),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
            ("application/vnd.ms-excel", "xls"),
            ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        ],
    };
    known.iter().find(|(name, _)| name.eq_ignore_ascii_case(media_type)).map(|(_, format)| *format)
}
