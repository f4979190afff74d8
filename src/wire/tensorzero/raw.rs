//! The upstream's own words, which an answer of the surface tells beside its own where its caller asks for them: whole answers,
//! the frames of streams, what it says of usage, and what tries that failed were answered.

use serde_json::value::RawValue;

use super::{Face, Told};
use crate::wire::json::{self, Object, ObjectWriter};

/// Which of the upstream's words a caller asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Raws {
    /// `include_raw_response`
    pub response: bool,
    /// `include_raw_usage`
    pub usage: bool,
    /// `include_original_response`, the older name of `include_raw_response`, which gives the same in another form.
    pub original: bool,
}

impl Raws {
    pub fn any(self) -> bool {
        self.response || self.usage || self.original
    }
}

/// What a try that failed was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTry {
    pub provider_type: &'static str,
    pub api_type: &'static str,
    pub body: String,
}

/// What a frame of a stream said, until a chunk tells it.
#[derive(Debug, Default)]
pub(super) struct Heard {
    frame: Option<String>,
    usage: Option<Box<RawValue>>,
}

impl Heard {
    pub(super) fn is_nothing(&self) -> bool {
        self.frame.is_none() && self.usage.is_none()
    }

    /// What a chunk that tells of an error says of its frame.
    pub(super) fn of_error(self, told: &Told) -> Option<String> {
        self.frame.filter(|_| told.raws.response)
    }
}

impl Told {
    /// What of a frame is to be told.
    pub(super) fn hear(&self, frame: &str) -> Heard {
        let wanted = self.raws.response || self.raws.original;
        Heard { frame: wanted.then(|| frame.to_owned()), usage: if self.raws.usage { usage_in(frame) } else { None } }
    }

    /// Writes what a frame said into the chunk that comes of it.
    pub(super) fn write_heard(&self, face: Face, heard: &Heard, chunk: &mut ObjectWriter<'_>) {
        let mark = face.mark();
        if let Some(usage) = &heard.usage {
            self.write_usages(mark, std::slice::from_ref(usage), chunk);
        }
        if let Some(frame) = &heard.frame {
            if self.raws.original {
                chunk.field(&format!("{mark}original_chunk"), frame);
            }
            if self.raws.response {
                chunk.field(&format!("{mark}raw_chunk"), frame);
            }
        }
    }

    /// Writes what the upstream answered as it came: `bodies` has one answer, of vectors one of each call.
    pub(super) fn write_raws(&self, face: Face, bodies: &[&[u8]], answer: &mut ObjectWriter<'_>) {
        let mark = face.mark();
        let texts: Vec<&str> = bodies.iter().filter_map(|body| std::str::from_utf8(body).ok()).collect();
        // Nobody was asked for what comes from the cache.
        let new = if self.cached { &[] } else { &*texts };
        // Embeddings have no such member.
        if self.raws.usage && face != Face::Embeddings {
            let usages: Vec<Box<RawValue>> = new.iter().filter_map(|text| usage_in(text)).collect();
            self.write_usages(mark, &usages, answer);
        }
        if self.raws.response {
            let all = self.failed.iter().map(Err).chain(new.iter().map(Ok));
            answer.array(&format!("{mark}raw_response"), all, |one, out| match one {
                Ok(text) => self.entry(|entry| entry.field("data", text), out),
                Err(failed) => write_failed_try(failed, out),
            });
        }
        if let Some(text) = texts.first().filter(|_| self.raws.original && face != Face::Embeddings) {
            answer.field(&format!("{mark}original_response"), text);
        }
    }

    fn write_usages(&self, mark: &str, usages: &[Box<RawValue>], object: &mut ObjectWriter<'_>) {
        object.array(&format!("{mark}raw_usage"), usages, |usage, out| {
            self.entry(|entry| entry.raw("data", usage), out);
        });
    }

    /// One call of a model, in the lists of raw things.
    fn entry(&self, data: impl FnOnce(&mut ObjectWriter<'_>), out: &mut Vec<u8>) {
        json::object(out, |entry| {
            entry.field("model_inference_id", &self.model_inference_id);
            entry.field("provider_type", self.provider_type);
            entry.field("api_type", self.api_type);
            data(entry);
        });
    }
}

/// Writes what the tries before this answer, or this error, were answered.
pub(super) fn write_failed(face: Face, failed: &[FailedTry], object: &mut ObjectWriter<'_>) {
    // The names of members in errors are those of Chat for embeddings, too.
    let mark = if face == Face::Native { "" } else { Face::Chat.mark() };
    object.array(&format!("{mark}raw_response"), failed, write_failed_try);
}

fn write_failed_try(failed: &FailedTry, out: &mut Vec<u8>) {
    json::object(out, |entry| {
        entry.field("provider_type", failed.provider_type);
        entry.field("api_type", failed.api_type);
        entry.field("data", &failed.body);
    });
}

/// What an answer, or a frame of a stream, says of usage, in the words of its protocol.
fn usage_in(text: &str) -> Option<Box<RawValue>> {
    let object = Object::parse(text).ok()?;
    let own = ["usage", "usageMetadata"].into_iter().find_map(|key| object.get(key));
    let inner = || {
        // Anthropic's first frame, and the last of Responses.
        let inner = ["message", "response"].into_iter().find_map(|key| object.get(key))?;
        Object::of(inner).ok()?.get("usage")
    };
    let usage = own.or_else(inner)?;
    (json::kind(usage) == json::Kind::Object).then(|| usage.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_found_where_each_protocol_has_it() {
        let found = |text: &str| usage_in(text).map(|raw| raw.get().to_owned());
        for text in [
            r#"{"a":1,"usage":{"n":1}}"#,
            r#"{"usageMetadata":{"n":1}}"#,
            r#"{"type":"message_start","message":{"usage":{"n":1}}}"#,
            r#"{"type":"response.completed","response":{"usage":{"n":1}}}"#,
        ] {
            assert_eq!(found(text).as_deref(), Some(r#"{"n":1}"#), "{text}");
        }
        for none in [r#"{"usage":null}"#, "{}", "[DONE]", r#"{"message":"no"}"#] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
