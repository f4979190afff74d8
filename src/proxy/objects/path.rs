//! Paths of what a provider keeps.

use std::borrow::Cow;

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use crate::wire::{Operation, ProtocolId};

/// What a caller wants of a file, a batch or an upload, or of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<'a> {
    /// Whose files and batches these are: OpenAI's or Anthropic's shape.
    pub dialect: ProtocolId,
    /// [`Operation::Files`], [`Operation::Batches`] or [`Operation::Uploads`].
    pub kind: Operation,
    pub id: Option<Cow<'a, str>>,
    pub deed: Deed,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Create,
    List,
    Show,
    Delete,
    /// The bytes of a file.
    Content,
    /// The answers of a batch (Anthropic; OpenAI's are in a file).
    Results,
    Cancel,
    /// One part of an upload.
    AddPart,
    /// The end of an upload, which makes a file of its parts.
    Complete,
}

/// All of them; no two ask for the same with the same method and path.
const DEEDS: [Deed; 9] = [
    Deed::Create,
    Deed::List,
    Deed::Show,
    Deed::Delete,
    Deed::Content,
    Deed::Results,
    Deed::Cancel,
    Deed::AddPart,
    Deed::Complete,
];

impl Deed {
    pub fn method(self) -> Method {
        match self {
            Deed::Create | Deed::Cancel | Deed::AddPart | Deed::Complete => Method::POST,
            Deed::List | Deed::Show | Deed::Content | Deed::Results => Method::GET,
            Deed::Delete => Method::DELETE,
        }
    }

    /// What stands behind the id.
    pub fn tail(self) -> &'static str {
        match self {
            Deed::Create | Deed::List | Deed::Show | Deed::Delete => "",
            Deed::Content => "/content",
            Deed::Results => "/results",
            Deed::Cancel => "/cancel",
            Deed::AddPart => "/parts",
            Deed::Complete => "/complete",
        }
    }

    /// Whether its request has a body.
    pub fn sends(self) -> bool {
        matches!(self, Deed::Create | Deed::AddPart | Deed::Complete)
    }
}

/// What a request line asks for; `None` where it is about something else.
///
/// # Errors
/// The dialect of a path that has no such method.
pub fn read<'a>(method: &Method, path: &'a str, headers: &HeaderMap) -> Option<Result<Object<'a>, ProtocolId>> {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let below = |root: &str| path.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let (dialect, kind, rest) = if let Some(rest) = below("/messages/batches") {
        (ProtocolId::AnthropicMessages, Operation::Batches, rest)
    } else if let Some(rest) = below("/batches") {
        (ProtocolId::OpenAiChat, Operation::Batches, rest)
    } else if let Some(rest) = below("/uploads") {
        (ProtocolId::OpenAiChat, Operation::Uploads, rest)
    } else {
        // Every package for Anthropic's API sends its version.
        let anthropic = headers.contains_key("anthropic-version");
        let dialect = if anthropic { ProtocolId::AnthropicMessages } else { ProtocolId::OpenAiChat };
        (dialect, Operation::Files, below("/files")?)
    };
    Some(object(dialect, kind, method, rest).ok_or(dialect))
}

fn object<'a>(dialect: ProtocolId, kind: Operation, method: &Method, rest: &'a str) -> Option<Object<'a>> {
    let (id, tail) = match rest.strip_prefix('/') {
        None | Some("") => (None, ""),
        Some(rest) => {
            let at = rest.find('/').unwrap_or(rest.len());
            let (id, tail) = rest.split_at_checked(at)?;
            (Some(percent_decode_str(id).decode_utf8().ok().filter(|id| !id.is_empty())?), tail)
        }
    };
    let (files, uploads) = (kind == Operation::Files, kind == Operation::Uploads);
    let anthropic = dialect == ProtocolId::AnthropicMessages;
    let allowed = |deed: Deed| match deed {
        Deed::Create => id.is_none(),
        Deed::List => id.is_none() && !uploads,
        Deed::Show => id.is_some() && !uploads,
        Deed::Delete => id.is_some() && (files || anthropic),
        Deed::Content => id.is_some() && files,
        Deed::Results => id.is_some() && anthropic && !files,
        Deed::Cancel => id.is_some() && !files,
        Deed::AddPart | Deed::Complete => id.is_some() && uploads,
    };
    let deed = DEEDS.into_iter().find(|deed| allowed(*deed) && deed.method() == *method && deed.tail() == tail)?;
    Some(Object { dialect, kind, id, deed })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(line: &str, anthropic: bool, expect: &str) {
        let (method, path) = line.split_once(' ').unwrap();
        let mut headers = HeaderMap::new();
        if anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        }
        let text = match read(&method.parse().unwrap(), path, &headers) {
            None => "-".to_owned(),
            Some(Err(dialect)) => format!("405 {dialect}"),
            Some(Ok(Object { dialect, kind, id, deed })) => {
                format!("{dialect} {} {deed:?} {}", kind.name(), id.as_deref().unwrap_or("-"))
            }
        };
        assert_eq!(text, expect, "{line}");
    }

    #[test]
    fn paths_mean_what_the_sdks_mean_by_them() {
        check("POST /v1/files", false, "openai-chat files Create -");
        check("GET /files/", false, "openai-chat files List -");
        check("GET /v1/files/file-1", true, "anthropic-messages files Show file-1");
        check("DELETE /v1/files/file%2F1", false, "openai-chat files Delete file/1");
        check("GET /v1/files/file-1/content", false, "openai-chat files Content file-1");
        check("POST /v1/files/file-1", false, "405 openai-chat");
        check("GET /v1/files//content", false, "405 openai-chat");
        check("GET /v1/files/file-1/content/x", false, "405 openai-chat");
        check("POST /v1/batches", false, "openai-chat batches Create -");
        check("POST /batches/b/cancel", false, "openai-chat batches Cancel b");
        check("DELETE /v1/batches/b", false, "405 openai-chat");
        check("DELETE /v1/messages/batches/b", true, "anthropic-messages batches Delete b");
        check("GET /v1/messages/batches/b/results", true, "anthropic-messages batches Results b");
        check("GET /v1/batches/b/results", false, "405 openai-chat");
        check("POST /v1/uploads", false, "openai-chat uploads Create -");
        check("POST /v1/uploads/u/parts", false, "openai-chat uploads AddPart u");
        check("POST /v1/uploads/u/complete", false, "openai-chat uploads Complete u");
        check("POST /uploads/u/cancel", false, "openai-chat uploads Cancel u");
        check("GET /v1/uploads", false, "405 openai-chat");
        check("GET /v1/uploads/u", false, "405 openai-chat");
        check("DELETE /v1/uploads/u", false, "405 openai-chat");
        check("POST /v1/files/f/complete", false, "405 openai-chat");
        check("GET /v1/messages", true, "-");
        check("GET /v1/filesystem", false, "-");
    }
}
