//! The ledger of losses as data: what becomes of each documented field of a request, and of an answer, on its way from one
//! protocol to another.
//!
//! Nothing of it is asserted by hand, so it cannot lie. `<protocol>.tsv` lists the fields of requests that the vendor documents,
//! `answers/<protocol>.tsv` those of answers, each
//! with an exemplar; the exemplar is laid over a minimal request, read by the source's codec and written by the target's,
//! and what the target's codec reports, and whether the exemplar's value is in what it wrote, is the entry.

mod derive;
mod without;

use std::borrow::Cow;
use std::fmt;

pub use derive::{answers, exemplar, pair};
use serde::Serialize;

use super::loss::{Effect, Loss};
use super::{ProtocolId, ir};

/// What a list of fields is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    Request,
    Answer,
}

/// One documented field of a protocol's requests or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its path in the document, array positions left out; `[kind]` stands behind a list of several kinds of elements.
    pub path: &'static str,
    pub feature: Feature,
    /// JSON text of an object: the members of a document that uses the field.
    members: &'static str,
    /// Texts of which one is in what is written if the field was carried, with ` | ` between them.
    marks: &'static str,
    /// Why nothing of it need be sent, nor reported, by target: `gemini: why`, with ` | ` between them.
    notes: &'static str,
}

impl Field {
    pub fn marks(&self) -> impl Iterator<Item = &'static str> {
        self.marks.split(" | ")
    }

    /// Why a target does what the field asks for without being told.
    fn note(&self, target: ProtocolId) -> Option<&'static str> {
        let mut notes = self.notes.split(" | ").filter_map(|note| note.split_once(": "));
        notes.find(|(to, _)| *to == "all" || *to == target.name()).map(|(_, why)| why)
    }
}

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    Conversation,
    System,
    Images,
    Documents,
    SoundAndVideo,
    Tools,
    ToolChoice,
    ProviderTools,
    StructuredOutput,
    Reasoning,
    Caching,
    SamplingAndLimits,
    Streaming,
    Usage,
    Service,
}

impl Feature {
    pub const ALL: [Feature; 15] = [
        Feature::Conversation,
        Feature::System,
        Feature::Images,
        Feature::Documents,
        Feature::SoundAndVideo,
        Feature::Tools,
        Feature::ToolChoice,
        Feature::ProviderTools,
        Feature::StructuredOutput,
        Feature::Reasoning,
        Feature::Caching,
        Feature::SamplingAndLimits,
        Feature::Streaming,
        Feature::Usage,
        Feature::Service,
    ];

    /// The name in the lists and in documents.
    pub fn name(self) -> &'static str {
        match self {
            Feature::Conversation => "conversation",
            Feature::System => "system",
            Feature::Images => "images",
            Feature::Documents => "documents",
            Feature::SoundAndVideo => "sound and video",
            Feature::Tools => "tools",
            Feature::ToolChoice => "tool choice",
            Feature::ProviderTools => "provider tools",
            Feature::StructuredOutput => "structured output",
            Feature::Reasoning => "reasoning",
            Feature::Caching => "caching",
            Feature::SamplingAndLimits => "sampling and limits",
            Feature::Streaming => "streaming",
            Feature::Usage => "usage",
            Feature::Service => "service",
        }
    }
}

/// What becomes of a field. Ordered: the later, the less of it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// As it was given.
    Carried,
    /// Reached by other means with the same meaning.
    Emulated,
    /// Carried with less than its full meaning.
    Degraded,
    /// Not carried; the rest of the request is.
    Dropped,
    /// A request with it is refused, in words for the caller.
    Refused,
}

impl Fate {
    pub const ALL: [Fate; 5] = [Fate::Carried, Fate::Emulated, Fate::Degraded, Fate::Dropped, Fate::Refused];

    pub fn name(self) -> &'static str {
        match self {
            Fate::Carried => "carried",
            Fate::Emulated => "emulated",
            Fate::Degraded => "degraded",
            Fate::Dropped => "dropped",
            Fate::Refused => "refused",
        }
    }

    /// The target does not get all that the caller meant.
    pub fn loses_meaning(self) -> bool {
        match self {
            Fate::Carried | Fate::Emulated => false,
            Fate::Degraded | Fate::Dropped | Fate::Refused => true,
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What becomes of one field on its way to one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub field: Field,
    /// What the target's codec reported because of the field.
    pub losses: Vec<Loss>,
    /// Why a request with the field is refused.
    pub refusal: Option<ir::Error>,
    /// The exemplar's value is in what was written.
    pub arrived: bool,
    /// Why nothing of it need be sent, nor reported.
    pub note: Option<&'static str>,
}

impl Entry {
    pub fn fate(&self) -> Fate {
        let worst = self.losses.iter().map(|loss| loss.effect).max();
        match (&self.refusal, worst) {
            (Some(_), _) => Fate::Refused,
            (None, Some(Effect::Emulated)) => Fate::Emulated,
            (None, Some(Effect::Degraded)) => Fate::Degraded,
            (None, Some(Effect::Dropped)) => Fate::Dropped,
            (None, None) if self.arrived => Fate::Carried,
            (None, None) if self.note.is_some() => Fate::Emulated,
            (None, None) => Fate::Dropped,
        }
    }

    /// The field is gone and nobody was told: a fault of the codecs, which the tests forbid.
    pub fn is_silent(&self) -> bool {
        !self.arrived && self.losses.is_empty() && self.refusal.is_none() && self.note.is_none()
    }

    /// What was done instead, or why nothing could be; empty where the field is carried.
    pub fn reason(&self) -> Cow<'_, str> {
        if let Some(refusal) = &self.refusal {
            // The place in the exemplar says nothing of the field.
            let placed = refusal.message.strip_prefix('`').and_then(|text| text.split_once("`: "));
            return Cow::Borrowed(placed.map_or(&*refusal.message, |(_, why)| why));
        }
        if let Some(note) = self.note {
            return Cow::Borrowed(note);
        }
        let worst = self.losses.iter().map(|loss| loss.effect).max();
        let mut reasons: Vec<&str> = Vec::new();
        for loss in self.losses.iter().filter(|loss| Some(loss.effect) == worst) {
            if !reasons.contains(&&*loss.reason) {
                reasons.push(&loss.reason);
            }
        }
        reasons.join("; ").into()
    }
}

/// The documented fields of a protocol's requests.
pub fn fields(protocol: ProtocolId) -> Vec<Field> {
    fields_of(Document::Request, protocol)
}

/// The documented fields of a protocol's answers.
pub fn answer_fields(protocol: ProtocolId) -> Vec<Field> {
    fields_of(Document::Answer, protocol)
}

fn fields_of(document: Document, protocol: ProtocolId) -> Vec<Field> {
    lines(document, protocol).filter_map(field).collect()
}

/// How many entries have each fate, in the order of [`Fate::ALL`].
pub fn counts(entries: &[Entry]) -> [usize; 5] {
    Fate::ALL.map(|fate| entries.iter().filter(|entry| entry.fate() == fate).count())
}

fn list(document: Document, protocol: ProtocolId) -> &'static str {
    let (requests, answers) = match protocol {
        ProtocolId::OpenAiChat => (include_str!("openai_chat.tsv"), include_str!("answers/openai_chat.tsv")),
        ProtocolId::OpenAiResponses => {
            (include_str!("openai_responses.tsv"), include_str!("answers/openai_responses.tsv"))
        }
        ProtocolId::AnthropicMessages => {
            (include_str!("anthropic_messages.tsv"), include_str!("answers/anthropic_messages.tsv"))
        }
        ProtocolId::Gemini => (include_str!("gemini_generate.tsv"), include_str!("answers/gemini_generate.tsv")),
        ProtocolId::BedrockConverse => {
            (include_str!("bedrock_converse.tsv"), include_str!("answers/bedrock_converse.tsv"))
        }
        // Read into the hub as Chat Completions; nobody documents them elsewhere.
        ProtocolId::TensorZero | ProtocolId::TensorZeroChat => ("", ""),
    };
    match document {
        Document::Request => requests,
        Document::Answer => answers,
    }
}

fn lines(document: Document, protocol: ProtocolId) -> impl Iterator<Item = &'static str> {
    list(document, protocol).lines().filter(|line| !line.starts_with('#'))
}

/// The minimal document that the exemplars are laid over.
fn base(document: Document, protocol: ProtocolId) -> &'static str {
    lines(document, protocol).find_map(|line| line.strip_prefix("base\t")).unwrap_or("{}")
}

fn field(line: &'static str) -> Option<Field> {
    let mut columns = line.split('\t');
    let (path, feature) = (columns.next()?, columns.next()?);
    let (members, marks) = (columns.next()?, columns.next()?);
    let feature = Feature::ALL.into_iter().find(|known| known.name() == feature)?;
    Some(Field { path, feature, members, marks, notes: columns.next().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn every_line_is_a_field() {
        let lists =
            [Document::Request, Document::Answer].map(|document| ProtocolId::ALL.map(|protocol| (document, protocol)));
        for (document, protocol) in lists.into_iter().flatten() {
            let fields = fields_of(document, protocol);
            let lines = lines(document, protocol).count();
            assert_eq!(fields.len() + 1, lines, "{document:?} {protocol}");
            for field in &fields {
                let members: Result<Map<String, Value>, _> = serde_json::from_str(field.members);
                assert!(members.is_ok(), "{protocol} {}: {members:?}", field.path);
                let again = fields.iter().filter(|other| other.path == field.path).count();
                assert_eq!(again, 1, "{protocol} {} is listed twice", field.path);
            }
        }
    }
}
