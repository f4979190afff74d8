//! What becomes of each field, found out by trying.

use serde_json::{Map, Value};

use super::without::Place;
use super::{Entry, Field, base, fields};
use crate::wire::loss::{Loss, Losses};
use crate::wire::{Destination, Head, Inbound, Operation, Outbound, ProtocolId, ir, structured};

/// What becomes of each documented field of `source` at a target. Empty where this build has no codec for one of the two
/// roles.
pub fn pair(source: ProtocolId, target: ProtocolId, destination: &Destination<'_>) -> Vec<Entry> {
    let inbound = source.codec().and_then(|codec| codec.inbound());
    let outbound = target.codec().and_then(|codec| codec.outbound());
    let (Some(inbound), Some(outbound)) = (inbound, outbound) else { return Vec::new() };
    let translation = Translation::new(base(source), inbound, (target, outbound), destination);
    let tried: Vec<Tried> = fields(source).into_iter().map(|field| translation.tried(field, target)).collect();
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
    inbound: &'a dyn Inbound,
    target: (ProtocolId, &'a dyn Outbound),
    destination: &'a Destination<'a>,
    base: Map<String, Value>,
    of_base: Translated,
}

impl<'a> Translation<'a> {
    fn new(
        base: &str,
        inbound: &'a dyn Inbound,
        target: (ProtocolId, &'a dyn Outbound),
        destination: &'a Destination<'a>,
    ) -> Translation<'a> {
        let base = object(base);
        let mut translation = Translation { inbound, target, destination, base, of_base: Translated::default() };
        translation.of_base = translation.of(&Value::Object(translation.base.clone())).unwrap_or_default();
        translation
    }

    fn tried(&self, field: Field, target: ProtocolId) -> Tried {
        let document = over(&self.base, field);
        let mut entry = Entry { field, losses: Vec::new(), refusal: None, arrived: false, note: None };
        let written = match self.of(&document) {
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
            |place: &Place| self.of(&place.taken_from(document)).ok().map(|rest| beyond(losses, &rest.losses));
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

    fn of(&self, document: &Value) -> Result<Translated, ir::Error> {
        let head = Head { operation: Operation::Generate, path_model: Some("m"), path_stream: false, alt_sse: false };
        let mut request = self.inbound.decode_request(&head, document.to_string().as_bytes())?;
        let (mut body, mut losses) = (Vec::new(), Losses::default());
        let Destination { model, quirks, .. } = *self.destination;
        let (_, outbound) = self.target;
        let plan = outbound.output_plan(model, quirks);
        structured::request::prepare(&mut request, self.target, &plan, &mut losses);
        outbound.encode_request(&request, self.destination, &mut body, &mut losses)?;
        let path = outbound.path(Operation::Generate, self.destination.model, request.stream);
        let text = format!("{}\n{}", path.unwrap_or_default(), String::from_utf8_lossy(&body));
        Ok(Translated { text, losses })
    }
}

/// What is among `losses` and not among the `usual` ones.
fn beyond(losses: &Losses, usual: &Losses) -> Vec<Loss> {
    losses.iter().filter(|loss| !usual.iter().any(|known| known == *loss)).cloned().collect()
}

/// A minimal request that uses `field` of `source`.
pub fn exemplar(source: ProtocolId, field: Field) -> Value {
    over(&object(base(source)), field)
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
