//! Where each operation lives below the base URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::wire::Operation;

/// Everything but RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path of an operation, with its query. Google's resource prefix may be part of the id or not.
pub(super) fn path(operation: Operation, model: &str, stream: bool) -> Option<String> {
    let method = match operation {
        Operation::Generate if stream => "streamGenerateContent?alt=sse",
        Operation::Generate => "generateContent",
        Operation::Embed => "batchEmbedContents",
        Operation::CountTokens => "countTokens",
        _ => return None,
    };
    Some(format!("/v1beta/models/{}:{method}", utf8_percent_encode(plain_model(model), SEGMENT)))
}

/// The model's id without Google's resource prefix.
pub(super) fn plain_model(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_path() {
        let cases = [
            (Operation::Generate, "gemini-2.5-flash", false, "/v1beta/models/gemini-2.5-flash:generateContent"),
            (Operation::Generate, "models/g", true, "/v1beta/models/g:streamGenerateContent?alt=sse"),
            (Operation::Embed, "gemini-embedding-2", false, "/v1beta/models/gemini-embedding-2:batchEmbedContents"),
            (Operation::CountTokens, "a/b?c:d", false, "/v1beta/models/a%2Fb%3Fc%3Ad:countTokens"),
        ];
        for (operation, model, stream, expected) in cases {
            assert_eq!(path(operation, model, stream).as_deref(), Some(expected));
        }
    }
}
