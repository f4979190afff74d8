//! Every key that the file may have stands in some file that is right: `tests/check` and `tests/config` are where one looks how
//! a key is written.

use std::collections::BTreeSet;
use std::path::Path;

use routeplane::config::node::{Kind, Node};
use routeplane::config::{schema, yaml};
use routeplane::diagnostic::Diagnostics;
use routeplane::source::SourceId;
use serde_json::Value;

/// The kind of mapping, and the key in it.
type Key = (String, String);

/// Follows the schema through a file, and notes the keys.
struct Walk<'s> {
    schema: &'s Value,
    seen: BTreeSet<Key>,
}

impl<'s> Walk<'s> {
    fn node(&mut self, shape: &'s Value, kind: &str, node: &Node) {
        if let Some(name) = shape["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
            return self.node(&self.schema["$defs"][name], name, node);
        }
        for one in shape["anyOf"].as_array().into_iter().flatten() {
            self.node(one, kind, node);
        }
        match &node.kind {
            Kind::Sequence(items) => items.iter().for_each(|item| self.node(&shape["items"], kind, item)),
            Kind::Mapping(entries) => {
                for entry in entries {
                    let key = entry.key.value.as_str();
                    let known = shape["properties"].get(key);
                    if known.is_some() {
                        self.seen.insert((kind.to_owned(), key.to_owned()));
                    }
                    self.node(known.unwrap_or(&shape["additionalProperties"]), kind, &entry.value);
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => {}
        }
    }
}

fn keys_of(kind: &str, shape: &Value) -> Vec<Key> {
    let properties = shape["properties"].as_object().into_iter().flatten();
    properties.map(|(key, _)| (kind.to_owned(), key.clone())).collect()
}

#[test]
fn every_key_stands_in_a_right_file() {
    let schema: Value = serde_json::from_str(&schema::json_schema()).unwrap();
    let mut walk = Walk { schema: &schema, seen: BTreeSet::new() };
    for folder in ["tests/check", "tests/config"] {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.ends_with(".yaml") || name.starts_with("rp0") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            if let Some(node) = yaml::parse(SourceId(0), &text, &mut Diagnostics::default()) {
                walk.node(&schema, "the file", &node);
            }
        }
    }
    let definitions = schema["$defs"].as_object().unwrap().iter();
    let mut all = keys_of("the file", &schema);
    all.extend(definitions.flat_map(|(kind, shape)| keys_of(kind, shape)));
    assert!(all.len() > 200, "{}", all.len());
    let missing: Vec<&Key> = all.iter().filter(|key| !walk.seen.contains(*key)).collect();
    assert!(missing.is_empty(), "no right file of tests/check has {missing:?}");
}
