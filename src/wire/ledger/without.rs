//! Requests without one of their fields: what is reported of them is not reported because of the field.

use serde_json::Value;

/// Where a field stands in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

impl Place {
    /// The last thing at `path`, `None` where there is none.
    ///
    /// A path is a list of names with dots between them, as in the lists of fields: arrays are looked through, `[kind]`
    /// picks the objects of that `type`, and what stands behind a blank or `=` is for people.
    pub(super) fn find(document: &Value, path: &str) -> Option<Place> {
        let names: Vec<Name<'_>> = path.split([' ', '=']).next().unwrap_or_default().split('.').map(name).collect();
        let mut steps = find(document, &names)?;
        steps.reverse();
        Some(Place(steps))
    }

    /// The innermost element of an array that the field is a part of: a part of a message, a tool, an item.
    pub(super) fn element(&self) -> Option<Place> {
        let at = self.0.iter().rposition(|step| matches!(step, Step::Element(_)))?;
        self.0.get(..=at).map(|steps| Place(steps.to_vec()))
    }

    /// The document without what stands here.
    pub(super) fn taken_from(&self, document: &Value) -> Value {
        let mut document = document.clone();
        let mut inner = Some(&mut document);
        if let Some((last, outer)) = self.0.split_last() {
            for step in outer {
                inner = inner.and_then(|value| match step {
                    Step::Member(name) => value.get_mut(name),
                    Step::Element(at) => value.get_mut(at),
                });
            }
            match (inner, last) {
                (Some(Value::Object(members)), Step::Member(name)) => drop(members.shift_remove(name)),
                (Some(Value::Array(elements)), Step::Element(at)) if *at < elements.len() => drop(elements.remove(*at)),
                _ => {}
            }
        }
        document
    }
}

#[derive(Clone, Copy)]
struct Name<'p> {
    name: &'p str,
    kind: Option<&'p str>,
}

fn name(text: &str) -> Name<'_> {
    match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, kind)) => Name { name, kind: Some(kind) },
        None => Name { name: text, kind: None },
    }
}

/// The steps from `value`, last first. Arrays are looked through from the back.
fn find(value: &Value, names: &[Name<'_>]) -> Option<Vec<Step>> {
    let (first, rest) = names.split_first()?;
    match value {
        Value::Array(elements) => elements.iter().enumerate().rev().find_map(|(at, element)| {
            let mut steps = find(element, names)?;
            steps.push(Step::Element(at));
            Some(steps)
        }),
        Value::Object(members) => {
            let mut steps = find_kind(members.get(first.name)?, first.kind, rest)?;
            steps.push(Step::Member(first.name.to_owned()));
            Some(steps)
        }
        _ => None,
    }
}

/// The steps from the value of a member, whose own kind, or that of its elements, may matter.
fn find_kind(value: &Value, kind: Option<&str>, rest: &[Name<'_>]) -> Option<Vec<Step>> {
    let below = |value: &Value| if rest.is_empty() { Some(Vec::new()) } else { find(value, rest) };
    match (value, kind) {
        (Value::Array(elements), Some(kind)) => {
            elements.iter().enumerate().rev().filter(|(_, element)| is(element, kind)).find_map(|(at, element)| {
                let mut steps = below(element)?;
                steps.push(Step::Element(at));
                Some(steps)
            })
        }
        (value, Some(kind)) if !is(value, kind) => None,
        (value, _) => below(value),
    }
}

/// Whether an object is of this kind.
fn is(value: &Value, kind: &str) -> bool {
    value.get("type").and_then(Value::as_str) == Some(kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_of_its_kind_goes() {
        let document = json!({
            "a": [{ "b": 1 }, { "type": "x", "b": 2, "c": [{ "type": "y" }, { "type": "z", "d": 3 }] }, { "b": 4 }],
            "e": { "type": "on", "f": 5 },
        });
        let without = |path: &str| Place::find(&document, path).map(|place| place.taken_from(&document));
        assert_eq!(without("a.b").unwrap()["a"][2], json!({}));
        assert_eq!(without("a[x].b").unwrap()["a"][1].get("b"), None);
        assert_eq!(without("a[x].c[y]").unwrap()["a"][1]["c"], json!([{ "type": "z", "d": 3 }]));
        assert_eq!(without("a.c[z].d (of two)").unwrap()["a"][1]["c"][1], json!({ "type": "z" }));
        assert_eq!(without("e[on]").unwrap().get("e"), None);
        assert_eq!(without("e.f=5").unwrap()["e"], json!({ "type": "on" }));
        for absent in ["e[off]", "e[off].f", "a[x].c[w]", "g", "a.b.c"] {
            assert_eq!(without(absent), None, "{absent}");
        }
        let whole = |path: &str| Some(Place::find(&document, path)?.element()?.taken_from(&document));
        assert_eq!(whole("a.c[z].d").unwrap()["a"][1]["c"], json!([{ "type": "y" }]));
        assert_eq!(whole("a[x].b").unwrap()["a"], json!([{ "b": 1 }, { "b": 4 }]));
        assert_eq!(whole("e.f"), None);
    }
}
