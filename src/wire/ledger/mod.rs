//! The ledger of losses as data: what becomes of each documented field of a request on its way from one protocol to
//! another.
//!
//! Nothing of it is asserted by hand, so it cannot lie. `<protocol>.tsv` lists the fields that the vendor documents, each
//! with an exemplar; the exemplar is laid over a minimal request, read by the source's codec and written by the target's,
//! and what the target's codec reports, and whether the exemplar's value is in what it wrote, is the entry.

mod without;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use without::Place;

use super::loss::{Effect, Loss, Losses};
use super::{Destination, Head, Inbound, Operation, Outbound, ProtocolId, ir};

/// One documented field of a protocol's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its path in the document, array positions left out; `[kind]` stands behind a list of several kinds of elements.
    pub path: &'static str,
    pub feature: Feature,
    /// JSON text of an object: the members of a request that uses the field.
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
    Service,
}

impl Feature {
    pub const ALL: [Feature; 14] = [
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
            return Cow::Borrowed(&refusal.message);
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
    lines(protocol).filter_map(field).collect()
}

/// What becomes of each documented field of `source` at a target. Empty where this build has no codec for one of the two
/// roles.
pub fn pair(source: ProtocolId, target: ProtocolId, destination: &Destination<'_>) -> Vec<Entry> {
    let inbound = source.codec().and_then(|codec| codec.inbound());
    let outbound = target.codec().and_then(|codec| codec.outbound());
    let (Some(inbound), Some(outbound)) = (inbound, outbound) else { return Vec::new() };
    fields(source)
        .into_iter()
        .map(|field| {
            entry(field, base(source), target, |document| translated(inbound, outbound, destination, document))
        })
        .collect()
}

/// What a translation wrote, its path first, and what it reported.
type Translated = Result<(String, Losses), ir::Error>;

fn entry(field: Field, base: &str, target: ProtocolId, translate: impl Fn(&Value) -> Translated) -> Entry {
    let document = document(base, field.members);
    let unreported = Entry { field, losses: Vec::new(), refusal: None, arrived: false, note: None };
    match translate(&document) {
        Err(refusal) => Entry { refusal: Some(refusal), ..unreported },
        Ok((written, losses)) => {
            let arrived = arrived(field, base, &document, &written, &translate);
            let losses = caused(field, base, &document, arrived, &losses, translate);
            let note = (!arrived && losses.is_empty()).then(|| field.note(target)).flatten();
            Entry { losses, arrived, note, ..unreported }
        }
    }
}

/// Whether the exemplar's value is in what was written, where what is written of the base does not have it anyway.
fn arrived(
    field: Field,
    base: &str,
    document: &Value,
    written: &str,
    translate: &impl Fn(&Value) -> Translated,
) -> bool {
    let base = self::document(base, "{}");
    let usual = if base == *document { None } else { translate(&base).ok().map(|(usual, _)| usual) };
    let count = |text: &str, mark: &str| text.matches(mark).count();
    field.marks().any(|mark| count(written, mark) > usual.as_ref().map_or(0, |usual| count(usual, mark)))
}

/// What of `losses` is reported because of the field: not of the exemplar without it. Where the value is gone, but that
/// makes no difference, the element that it is a part of may be gone as a whole, which was reported then.
fn caused(
    field: Field,
    base: &str,
    document: &Value,
    arrived: bool,
    losses: &Losses,
    translate: impl Fn(&Value) -> Translated,
) -> Vec<Loss> {
    let place = Place::find(document, field.path);
    let without = |place: Option<&Place>| {
        let beside = place.and_then(|place| translate(&place.taken_from(document)).ok());
        // Where the rest is no request, the base is what is left.
        let beside = beside.or_else(|| translate(&self::document(base, "{}")).ok());
        let usual = beside.map(|(_, usual)| usual).unwrap_or_default();
        losses.iter().filter(|loss| !usual.iter().any(|known| known == *loss)).cloned().collect::<Vec<_>>()
    };
    let own = without(place.as_ref());
    if arrived || !own.is_empty() {
        return own;
    }
    let element = place.as_ref().and_then(Place::element);
    element.map_or(own, |element| without(Some(&element)))
}

/// How many entries have each fate, in the order of [`Fate::ALL`].
pub fn counts(entries: &[Entry]) -> [usize; 5] {
    Fate::ALL.map(|fate| entries.iter().filter(|entry| entry.fate() == fate).count())
}

fn list(protocol: ProtocolId) -> &'static str {
    match protocol {
        ProtocolId::OpenAiChat => include_str!("openai_chat.tsv"),
        ProtocolId::OpenAiResponses => include_str!("openai_responses.tsv"),
        ProtocolId::AnthropicMessages => include_str!("anthropic_messages.tsv"),
        ProtocolId::Gemini => include_str!("gemini_generate.tsv"),
        ProtocolId::BedrockConverse => include_str!("bedrock_converse.tsv"),
    }
}

fn lines(protocol: ProtocolId) -> impl Iterator<Item = &'static str> {
    list(protocol).lines().filter(|line| !line.starts_with('#'))
}

/// The minimal request that the exemplars are laid over.
fn base(protocol: ProtocolId) -> &'static str {
    lines(protocol).find_map(|line| line.strip_prefix("base\t")).unwrap_or("{}")
}

fn field(line: &'static str) -> Option<Field> {
    let mut columns = line.split('\t');
    let (path, feature) = (columns.next()?, columns.next()?);
    let (members, marks) = (columns.next()?, columns.next()?);
    let feature = Feature::ALL.into_iter().find(|known| known.name() == feature)?;
    Some(Field { path, feature, members, marks, notes: columns.next().unwrap_or_default() })
}

/// `base` with the top-level members of `members` in place of its own.
fn document(base: &str, members: &str) -> Value {
    let parse = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let mut document = parse(base);
    document.extend(parse(members));
    Value::Object(document)
}

fn translated(
    inbound: &dyn Inbound,
    outbound: &dyn Outbound,
    destination: &Destination<'_>,
    document: &Value,
) -> Translated {
    let head = Head { operation: Operation::Generate, path_model: Some("m"), path_stream: false, alt_sse: false };
    let request = inbound.decode_request(&head, document.to_string().as_bytes())?;
    let (mut body, mut losses) = (Vec::new(), Losses::default());
    outbound.encode_request(&request, destination, &mut body, &mut losses)?;
    let path = outbound.path(Operation::Generate, destination.model, request.stream).unwrap_or_default();
    Ok((format!("{path}\n{}", String::from_utf8_lossy(&body)), losses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_field() {
        for protocol in ProtocolId::ALL {
            let fields = fields(protocol);
            assert_eq!(fields.len() + 1, lines(protocol).count(), "{protocol}");
            for field in &fields {
                let members: Result<Map<String, Value>, _> = serde_json::from_str(field.members);
                assert!(members.is_ok(), "{protocol} {}: {members:?}", field.path);
                let again = fields.iter().filter(|other| other.path == field.path).count();
                assert_eq!(again, 1, "{protocol} {} is listed twice", field.path);
            }
        }
    }
}
