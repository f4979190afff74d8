//! Formats of media: Converse has short words where everyone else has media types.

const IMAGES: &[(&str, &str)] = &[
    ("image/png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/jpg", "jpeg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
];

const VIDEOS: &[(&str, &str)] = &[
    ("video/mp4", "mp4"),
    ("video/quicktime", "mov"),
    ("video/webm", "webm"),
    ("video/x-matroska", "mkv"),
    ("video/x-flv", "flv"),
    ("video/mpeg", "mpeg"),
    ("video/wmv", "wmv"),
    ("video/3gpp", "three_gp"),
];

const DOCUMENTS: &[(&str, &str)] = &[
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
];

/// `member`: the block's type, `image`, `video`, `audio` or `document`.
fn known(member: &str) -> &'static [(&'static str, &'static str)] {
    match member {
        "image" => IMAGES,
        "video" => VIDEOS,
        "document" => DOCUMENTS,
        _ => &[],
    }
}

/// Converse's word for a media type, `None` where it has none.
pub(super) fn of(member: &str, media_type: &str) -> Option<&'static str> {
    known(member).iter().find(|(name, _)| name.eq_ignore_ascii_case(media_type)).map(|(_, format)| *format)
}

/// The media type of a format. One that nobody knows keeps its word: [`word`] gives it back.
pub(super) fn media_type(member: &str, format: &str) -> String {
    let family = if member == "document" { "application" } else { member };
    let media_type = known(member).iter().find(|(_, word)| *word == format);
    media_type.map_or_else(|| format!("{family}/{format}"), |(name, _)| (*name).to_owned())
}

/// The format that [`media_type`] was made of.
pub(super) fn word<'a>(member: &str, media_type: &'a str) -> &'a str {
    of(member, media_type).unwrap_or_else(|| media_type.split_once('/').map_or(media_type, |(_, word)| word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_come_back() {
        for (member, format, expected) in [
            ("image", "jpeg", "image/jpeg"),
            ("video", "three_gp", "video/3gpp"),
            ("video", "mpg", "video/mpg"),
            ("audio", "mp3", "audio/mp3"),
            ("document", "txt", "text/plain"),
            ("document", "odt", "application/odt"),
        ] {
            assert_eq!(media_type(member, format), expected);
            assert_eq!(word(member, expected), format);
        }
    }
}
