//! What becomes of each field, found out by trying.

use serde_json::{Map, Value};

use super::without::Place;
use super::{Document, Entry, Field, base, fields_of};
use crate::wire::loss::{Loss, Losses};
use crate::wire::proof::{Asked, Issuer, Seal};
use crate::wire::quirk::Quirks;
use crate::wire::{Destination, Head, Inbound, Operation, Outbound, ProtocolId, ir, structured};

/// What becomes of each documented field of `source` at a target. Empty where this build has no codec for one of the two
/// roles.
pub fn pair(source: ProtocolId, target: ProtocolId, destination: &Destination<'_>) -> Vec<Entry> {
    let inbound = source.codec().and_then(|codec| codec.inbound());
    let outbound = target.codec().and_then(|codec| codec.outbound());
    let (Some(inbound), Some(outbound)) = (inbound, outbound) else { return Vec::new() };
    let translate = |document: &Value| request(document, inbound, (target, outbound), destination);
    entries(Document::Request, source, target, &translate)
}

/// What becomes of each documented field of an answer of `upstream` on its way to a caller who asked for thoughts. Empty where
/// this build has no codec for one of the two roles.
pub fn answers(upstream: ProtocolId, caller: ProtocolId) -> Vec<Entry> {
    let outbound = upstream.codec().and_then(|codec| codec.outbound());
    let inbound = caller.codec().and_then(|codec| codec.inbound());
    let (Some(outbound), Some(inbound)) = (outbound, inbound) else { return Vec::new() };
    let carriage = caller.codec().map(|codec| codec.carriage()).unwrap_or_default();
    let issuer = Issuer { protocol: upstream, group: upstream.name() };
    let seal = Seal::new(issuer, caller, carriage, Asked { thoughts: true, budget: true });
    let translate = |document: &Value| answer(document, outbound, inbound, seal.as_ref());
    entries(Document::Answer, upstream, caller, &translate)
}

type Translate<'a> = dyn Fn(&Value) -> Result<Translated, ir::Error> + 'a;

fn entries(document: Document, source: ProtocolId, target: ProtocolId, translate: &Translate<'_>) -> Vec<Entry> {
    let translation = Translation::new(base(document, source), translate);
    let fields = fields_of(document, source);
    let tried: Vec<Tried> = fields.into_iter().map(|field| translation.tried(field, target)).collect();
    // A field that arrived, and cannot be left out to see what is then reported, is not to blame for what others cause.
    let explained: Vec<Loss> =
        tried.iter().filter(|tried| tried.apart).flat_map(|tried| tried.entry.losses.clone()).collect();
    tried
        .into_iter()
        .map(|Tried { mut entry, apart }| {
            if entry.arrived && !apart {
                entry.losses.retain(|loss| !explained.contains(loss));
            }
            entry
        })
        .collect()
}

struct Tried {
    entry: Entry,
    /// The losses were told from those of the exemplar without the field.
    apart: bool,
}

/// What a translation wrote, its path first, and what it reported.
#[derive(Default)]
struct Translated {
    text: String,
    losses: Losses,
}

struct Translation<'a> {
    translate: &'a Translate<'a>,
    base: Map<String, Value>,
    of_base: Translated,
}

impl<'a> Translation<'a> {
    fn new(base: &str, translate: &'a Translate<'a>) -> Translation<'a> {
        let base = object(base);
        let of_base = translate(&Value::Object(base.clone())).unwrap_or_default();
        Translation { translate, base, of_base }
    }

    fn tried(&self, field: Field, target: ProtocolId) -> Tried {
        let document = over(&self.base, field);
        let mut entry = Entry { field, losses: Vec::new(), refusal: None, arrived: false, note: None };
        let written = match (self.translate)(&document) {
            Ok(written) => written,
            Err(refusal) => {
                entry.refusal = Some(refusal);
                return Tried { entry, apart: true };
            }
        };
        entry.arrived = self.arrived(field, &written);
        let apart;
        (entry.losses, apart) = self.caused(field, &document, &written.losses, entry.arrived);
        entry.note = (!entry.arrived && entry.losses.is_empty()).then(|| field.note(target)).flatten();
        Tried { entry, apart }
    }

    /// Whether the exemplar's value is in what was written, where what is written of the base does not have it anyway.
    fn arrived(&self, field: Field, written: &Translated) -> bool {
        let count = |text: &str, mark: &str| text.matches(mark).count();
        field.marks().any(|mark| count(&written.text, mark) > count(&self.of_base.text, mark))
    }

    /// What of `losses` is reported because of the field: not of the exemplar without it. Where the value is gone, but that
    /// makes no difference, the element that it is a part of may be gone as a whole, which was reported then.
    ///
    /// `true` if there was such an exemplar; else its members beside the field are those of the base.
    fn caused(&self, field: Field, document: &Value, losses: &Losses, arrived: bool) -> (Vec<Loss>, bool) {
        let without =
            |place: &Place| (self.translate)(&place.taken_from(document)).ok().map(|rest| beyond(losses, &rest.losses));
        let place = Place::find(document, field.path);
        let own = place.as_ref().and_then(without);
        let apart = own.is_some();
        let own = own.unwrap_or_else(|| beyond(losses, &self.of_base.losses));
        if arrived || !own.is_empty() {
            return (own, apart);
        }
        let element = place.as_ref().and_then(Place::element);
        (element.as_ref().and_then(without).unwrap_or(own), apart)
    }
}

fn request(
    document: &Value,
    inbound: &dyn Inbound,
    target: (ProtocolId, &dyn Outbound),
    destination: &Destination<'_>,
) -> Result<Translated, ir::Error> {
    let head = Head { operation: Operation::Generate, path_model: Some("m"), path_stream: false, alt_sse: false };
    let mut request = inbound.decode_request(&head, document.to_string().as_bytes())?;
    let (mut body, mut losses) = (Vec::new(), Losses::default());
    let Destination { model, quirks, .. } = *destination;
    let (_, outbound) = target;
    let plan = outbound.output_plan(model, quirks);
    structured::request::prepare(&mut request, target, &plan, &mut losses);
    outbound.encode_request(&request, destination, &mut body, &mut losses)?;
    let path = outbound.path(Operation::Generate, destination.model, request.stream);
    let text = format!("{}\n{}", path.unwrap_or_default(), String::from_utf8_lossy(&body));
    Ok(Translated { text, losses })
}

fn answer(
    document: &Value,
    outbound: &dyn Outbound,
    inbound: &dyn Inbound,
    seal: Option<&Seal>,
) -> Result<Translated, ir::Error> {
    let mut answer = outbound.decode_response(document.to_string().as_bytes(), &Quirks::default())?;
    if let Some(seal) = seal {
        seal.response(&mut answer);
    }
    let (mut body, mut losses) = (Vec::new(), Losses::default());
    inbound.encode_response(&answer, &mut body, &mut losses);
    Ok(Translated { text: String::from_utf8_lossy(&body).into_owned(), losses })
}

/// What is among `losses` and not among the `usual` ones.
fn beyond(losses: &Losses, usual: &Losses) -> Vec<Loss> {
    losses.iter().filter(|loss| !usual.iter().any(|known| known == *loss)).cloned().collect()
}

/// A minimal document that uses `field` of `source`.
pub fn exemplar(document: Document, source: ProtocolId, field: Field) -> Value {
    over(&object(base(document, source)), field)
}

fn over(base: &Map<String, Value>, field: Field) -> Value {
    let mut document = base.clone();
    document.extend(object(field.members));
    Value::Object(document)
}

/// The members of a JSON object.
fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}
