//! Edits of bodies and headers: `extra_body`, `extra_headers`, and options of providers that are members of the body.

use super::Converter;
use super::target::Table;
use crate::diagnostic::Severity;
use crate::diagnostic::mask::looks_like_a_key;
use crate::import::toml::Node;
use crate::import::yaml::{Item, Yaml};

/// What is changed in a request, in the order in which it is done.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Edits {
    body: Vec<(String, Option<Yaml>)>,
    header_set: Vec<(String, String)>,
    header_remove: Vec<String>,
}

/// Headers that hold keys, whatever their value.
const SECRET_HEADERS: &[&str] =
    &["authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];

impl Edits {
    pub(super) fn set(&mut self, pointer: &str, value: Yaml) {
        self.body.push((pointer.to_owned(), Some(value)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.body.is_empty() && self.header_set.is_empty() && self.header_remove.is_empty()
    }

    /// `body:` and `headers:` of a preset. `last`: after the edits of presets around it.
    pub(super) fn items(&self, last: bool) -> Vec<Item> {
        let marked = |mut items: Vec<Item>| {
            items.extend(last.then(|| Item::new("last", Yaml::flag(true))));
            items
        };
        let mut out = Vec::new();
        let mut steps = self.steps();
        match (steps.len(), steps.pop()) {
            (1, Some(step)) => out.push(Item::map("body", marked(step))),
            (_, Some(step)) => {
                steps.push(step);
                out.push(Item::new(
                    "body",
                    Yaml::List(steps.into_iter().map(|step| Yaml::Map(marked(step))).collect()),
                ));
            }
            (_, None) => {}
        }
        let mut headers = Vec::new();
        if !self.header_set.is_empty() {
            let set = self.header_set.iter().map(|(name, value)| Item::text(name, value));
            headers.push(Item::map("set", set.collect()));
        }
        if !self.header_remove.is_empty() {
            headers.push(Item::new("remove", Yaml::texts(self.header_remove.iter().map(String::as_str))));
        }
        if !headers.is_empty() {
            out.push(Item::map("headers", marked(headers)));
        }
        out
    }

    /// Edits that do not touch each other go together; others one after the other.
    fn steps(&self) -> Vec<Vec<Item>> {
        let mut groups: Vec<Vec<&(String, Option<Yaml>)>> = Vec::new();
        for edit in &self.body {
            let touches = |group: &Vec<&(String, Option<Yaml>)>| group.iter().any(|other| touch(&edit.0, &other.0));
            match groups.last_mut() {
                Some(group) if !touches(group) => group.push(edit),
                Some(_) | None => groups.push(vec![edit]),
            }
        }
        groups.into_iter().map(|group| step(&group)).collect()
    }
}

fn step(group: &[&(String, Option<Yaml>)]) -> Vec<Item> {
    let set: Vec<Item> = group.iter().filter_map(|(pointer, value)| Some(Item::new(pointer, value.clone()?))).collect();
    let remove: Vec<&str> =
        group.iter().filter(|(_, value)| value.is_none()).map(|(pointer, _)| pointer.as_str()).collect();
    let mut items = Vec::new();
    if !set.is_empty() {
        items.push(Item::map("set", set));
    }
    if !remove.is_empty() {
        items.push(Item::new("remove", Yaml::texts(remove)));
    }
    items
}

/// One leads to the other, or into it, or both count positions of one array.
fn touch(a: &str, b: &str) -> bool {
    let within = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let parent = |pointer: &str| pointer.rsplit_once('/').map(|(parent, _)| parent.to_owned());
    let positions = parent(a) == parent(b) && parent(a).is_some_and(|parent| !parent.is_empty());
    within(a, b) || within(b, a) || (positions && (a.ends_with("/-") || b.ends_with("/-")))
}

impl Converter<'_> {
    /// `extra_body` and `extra_headers` of a variant or provider.
    pub(super) fn edits(&mut self, node: &Node, edits: &mut Edits) {
        for entry in node.get("extra_body").map(Node::items).unwrap_or_default() {
            self.body_edit(entry, edits);
        }
        for entry in node.get("extra_headers").map(Node::items).unwrap_or_default() {
            self.header_edit(entry, edits);
        }
        for key in ["extra_body", "extra_headers"] {
            if let Some(list) = node.get(key).filter(|list| list.items().is_empty()) {
                self.ledger.carried(list, "nothing is changed");
            }
        }
    }

    fn body_edit(&mut self, entry: &Node, edits: &mut Edits) {
        let Some(pointer) = entry.text_of("pointer") else { return };
        if !pointer.starts_with('/') {
            self.ledger.dropped(entry, Severity::Error, "not a JSON Pointer: it must begin with `/`");
            return;
        }
        match (entry.get("value"), entry.get("delete").and_then(Node::flag)) {
            (Some(value), _) if holds_a_key(value) => self.ledger.dropped(
                entry,
                Severity::Error,
                "the value looks like a key, and keys are not written into bodies; let it come as a header of the provider",
            ),
            (Some(value), _) => {
                edits.set(pointer, Yaml::of(value));
                self.ledger.carried(entry, "`body.set` of the preset");
            }
            (None, Some(true)) => {
                edits.body.push((pointer.to_owned(), None));
                self.ledger.carried(entry, "`body.remove` of the preset");
            }
            (None, _) => self.ledger.carried(entry, "it changes nothing"),
        }
    }

    fn header_edit(&mut self, entry: &Node, edits: &mut Edits) {
        let Some(name) = entry.text_of("name").map(str::to_ascii_lowercase) else { return };
        let own = ["host", "content-length", "transfer-encoding", "connection", "content-encoding", "expect"];
        if http::HeaderName::try_from(name.as_str()).is_err() || own.contains(&name.as_str()) {
            self.ledger.dropped(
                entry,
                Severity::Warning,
                "HTTP does not allow this header, or the gateway sets it by itself",
            );
            return;
        }
        match (entry.text_of("value"), entry.get("delete").and_then(Node::flag)) {
            (Some(value), _) if is_secret(&name, value) => {
                // A provider's is a reference already, see `secret_headers`.
                if self.ledger.knows(entry) {
                    return;
                }
                // Nothing of the value is repeated anywhere.
                self.ledger.dropped(
                    entry,
                    Severity::Error,
                    format!("the header `{name}` holds a key: put it in a variable and write `headers: {{ {name}: env:NAME }}` at the provider"),
                );
            }
            (Some(value), _) => {
                edits.header_set.push((name, value.to_owned()));
                self.ledger.carried(entry, "`headers.set` of the preset");
            }
            (None, Some(true)) => {
                edits.header_remove.push(name);
                self.ledger.carried(entry, "`headers.remove` of the preset");
            }
            (None, _) => self.ledger.carried(entry, "it changes nothing"),
        }
    }

    /// Keys that a provider's `extra_headers` hold become references to variables.
    pub(super) fn secret_headers(&mut self, table: Table<'_>) -> Vec<Item> {
        let mut headers = Vec::new();
        for entry in table.node.get("extra_headers").map(Node::items).unwrap_or_default() {
            let Some(name) = entry.text_of("name").map(str::to_ascii_lowercase) else { continue };
            if !entry.text_of("value").is_some_and(|value| is_secret(&name, value)) {
                continue;
            }
            let variable = variable_for(table.model, &name);
            self.ledger.adapted(
                entry,
                Severity::Warning,
                format!("a key stood in the file: put the header's whole value into the variable `{variable}`"),
            );
            headers.push(Item::text(&name, &format!("env:{variable}")));
        }
        headers
    }
}

/// The variable that takes the value of a header.
pub(super) fn variable_for(whose: &str, header: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = format!("{whose}_{header}").chars().map(letter).collect();
    let before = if name.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    format!("{before}{name}")
}

/// The value of such a header is not to be seen.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    SECRET_HEADERS.contains(&name) || looks_like_a_key(value)
}

fn holds_a_key(node: &Node) -> bool {
    node.text().is_some_and(looks_like_a_key)
        || node.items().iter().any(holds_a_key)
        || node.entries().iter().any(|entry| holds_a_key(&entry.node))
}
