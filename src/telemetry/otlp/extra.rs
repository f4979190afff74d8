//! What a request wants on the export of its trace: attributes of its spans, and what sets their export apart from others.

use std::fmt;

use http::HeaderMap;

use std::sync::Arc;

/// What one request wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extra {
    /// Of each of its spans.
    pub attributes: Box<[(Box<str>, Said)]>,
    /// `None`: its spans go with all others.
    pub way: Option<Arc<Way>>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Text(Box<str>),
    Flag(bool),
}

/// What an export says of its sender, besides what the gateway says of itself. Spans that are to be sent in the same way share
/// their exports.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Way {
    /// Attributes of the resource; one of the gateway's own gives way to that of its name.
    pub resource: Box<[(Box<str>, Box<str>)]>,
    /// Of the request to the collector; likewise.
    pub headers: HeaderMap,
}

// Headers hold keys.
impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("resource", &self.resource).finish_non_exhaustive()
    }
}
