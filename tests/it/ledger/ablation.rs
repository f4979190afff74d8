//! Leaving out one member after the other: where that changes neither what is written nor what is reported, nobody has read
//! the member, and nobody was told.

use std::collections::{BTreeMap, BTreeSet};

use routeplane::wire::json::{self, is_blank, says_nothing};
use routeplane::wire::loss::{Loss, Losses};
use serde_json::Value;

/// Paths of members, array positions left out, and what became of them.
#[derive(Default)]
pub(crate) struct Silence {
    /// How often each path was looked at, and how often it made no difference.
    paths: BTreeMap<String, (usize, usize)>,
    /// Paths of what was dropped as a whole and reported.
    reported: BTreeSet<String>,
}

/// What was written and what was reported.
pub(crate) type Written = (Vec<u8>, Losses);

impl Silence {
    /// Leaves out each member of `document` that says something, and asks `outcome` what comes of the rest. `None` means
    /// that the rest is no document, so the member was read. What is inside of something that was dropped as a whole, and
    /// reported, is not looked at.
    pub(crate) fn search(&mut self, prefix: &str, document: &Value, outcome: impl Fn(&Value) -> Option<Written>) {
        let mut places = Vec::new();
        collect(document, &mut Vec::new(), &mut places);
        // Where two elements lose the same, it is reported once: each is looked at alone in its list, if that is a document.
        let mut documents: Vec<(Value, Option<Written>)> = vec![(document.clone(), outcome(document))];
        let mut scopes: Vec<(Vec<Step>, usize)> = vec![(Vec::new(), 0)];
        for place in places.iter().filter(|place| matches!(place.last(), Some(Step::Element(_)))) {
            let alone = alone(document, place);
            if let Some(written) = outcome(&alone) {
                scopes.push((place.clone(), documents.len()));
                documents.push((alone, Some(written)));
            }
        }
        let mut reported: Vec<&[Step]> = Vec::new();
        for place in &places {
            if reported.iter().any(|outer| place.starts_with(outer)) {
                continue;
            }
            let path = format!("{prefix}{}", path(document, place));
            // What has made a difference once is not silent; only what holds something more is looked at again.
            let mattered = self.paths.get(&path).is_some_and(|(tried, without)| tried > without);
            if mattered && !holds_more(document, place) {
                continue;
            }
            let inner = scopes.iter().rev().find(|(scope, _)| place.starts_with(scope));
            let Some((scope, at)) = inner else { continue };
            let (document, Some(whole)) = &documents[*at] else { return };
            let mut rest = document.clone();
            let mut moved = place.clone();
            if let (Some(last), true) = (scope.len().checked_sub(1), *at > 0) {
                moved[last] = Step::Element(0);
            }
            remove(&mut rest, &moved);
            let rest = outcome(&rest);
            let is_element = matches!(place.last(), Some(Step::Element(_)));
            // Several members of one name are reported once.
            let named = |loss: &Loss| matches!(place.last(), Some(Step::Member(name)) if loss.field.rsplit('.').next() == Some(name));
            let gone = |rest: &Written| (is_element || rest.0 == whole.0) && told(whole, rest);
            if rest.as_ref().is_some_and(|rest| gone(rest) || (rest == whole && whole.1.iter().any(named))) {
                reported.push(place);
                self.reported.insert(path.clone());
            }
            // An element may be like the one before it; its members are what matters.
            if !is_element {
                let counts = self.paths.entry(path.clone()).or_default();
                counts.0 += 1;
                counts.1 += usize::from(!self.reported.contains(&path) && rest.is_some_and(|rest| rest == *whole));
            }
        }
    }

    /// Paths that never made a difference.
    pub(crate) fn silent(&self) -> BTreeSet<&str> {
        let silent = self.paths.iter().filter(|(_, (tried, without))| *tried > 0 && tried == without);
        silent.map(|(path, _)| path.as_str()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }
}

#[derive(Clone, PartialEq)]
pub(super) enum Step {
    Member(String),
    Element(usize),
}

/// Where a value stands in a document.
pub(super) type Place = Vec<Step>;

/// Every member of the document that says something.
pub(super) fn members(document: &Value) -> Vec<Place> {
    let mut places = Vec::new();
    collect(document, &mut Vec::new(), &mut places);
    places.retain(|place| matches!(place.last(), Some(Step::Member(_))));
    places
}

/// The document without one of its values.
pub(super) fn without(document: &Value, place: &Place) -> Value {
    let mut rest = document.clone();
    remove(&mut rest, place);
    rest
}

/// Whether something was reported of the whole that is not reported of the rest.
fn told(whole: &Written, rest: &Written) -> bool {
    whole.1.iter().any(|loss| !rest.1.iter().any(|known| known == loss))
}

/// Every member that says something, and every element, the outer ones first.
fn collect(value: &Value, at: &mut Vec<Step>, places: &mut Vec<Vec<Step>>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let raw = json::raw(value.to_string()).unwrap();
                let empty = matches!(value, Value::String(text) if text.is_empty()) || value == &Value::Bool(false);
                at.push(Step::Member(name.clone()));
                if !says_nothing(&raw) && !is_blank(&raw) && !empty && *value != 0 {
                    places.push(at.clone());
                    collect(value, at, places);
                }
                at.pop();
            }
        }
        Value::Array(elements) => {
            for (position, element) in elements.iter().enumerate() {
                at.push(Step::Element(position));
                places.push(at.clone());
                collect(element, at, places);
                at.pop();
            }
        }
        _ => {}
    }
}

pub(super) fn holds_more(document: &Value, place: &[Step]) -> bool {
    let value = place.iter().fold(document, |value, step| match step {
        Step::Member(name) => &value[name],
        Step::Element(at) => &value[*at],
    });
    value.is_object() || value.is_array()
}

/// As [`path`], with the `type` of every object on the way.
pub(super) fn kinds(document: &Value, place: &[Step]) -> String {
    spelt(document, place, |_| true)
}

/// `content[text].text`: the `type` of an element stands behind its list.
fn path(document: &Value, place: &[Step]) -> String {
    spelt(document, place, |step| matches!(step, Step::Element(_)))
}

/// The names on the way, and behind each step that is `typed` the `type` of what is there.
fn spelt(document: &Value, place: &[Step], typed: impl Fn(&Step) -> bool) -> String {
    let (mut value, mut path) = (document, String::new());
    for step in place {
        value = match step {
            Step::Member(name) => {
                path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                &value[name]
            }
            Step::Element(at) => &value[*at],
        };
        if let Some(kind) = value["type"].as_str().filter(|_| typed(step)) {
            path = format!("{path}[{kind}]");
        }
    }
    path
}

/// The document with only this element in its list.
fn alone(document: &Value, place: &[Step]) -> Value {
    let mut document = document.clone();
    let (last, outer) = place.split_last().unwrap();
    let list = outer.iter().fold(&mut document, |value, step| match step {
        Step::Member(name) => &mut value[name],
        Step::Element(at) => &mut value[*at],
    });
    if let (Value::Array(elements), Step::Element(at)) = (list, last) {
        *elements = vec![elements.swap_remove(*at)];
    }
    document
}

fn remove(document: &mut Value, place: &[Step]) {
    let (last, outer) = place.split_last().unwrap();
    let mut value = document;
    for step in outer {
        value = match step {
            Step::Member(name) => &mut value[name],
            Step::Element(at) => &mut value[*at],
        };
    }
    match (value, last) {
        (Value::Object(members), Step::Member(name)) => drop(members.shift_remove(name)),
        (Value::Array(elements), Step::Element(at)) => drop(elements.remove(*at)),
        _ => {}
    }
}
