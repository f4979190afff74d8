//! Experiments: their variants exist, their weights can be drawn.

use super::{Judge, section_of};
use crate::diagnostic::{Code, did_you_mean};
use crate::import::toml::{Entry, Node, Value};

impl Judge<'_, '_> {
    pub(super) fn experiment(&mut self, node: Option<&Node>, variants: &[Entry]) {
        let Some(node) = node else { return };
        if let Some(weight) = variants.iter().find_map(|variant| variant.node.entry("weight")) {
            self.say(
                Code::SettingTwice,
                "`weight` and `experimentation` exclude each other".to_owned(),
                weight.key_span,
                "the function has `experimentation`, too",
                "remove the weights of its variants",
            );
        }
        let candidates = node.get("candidate_variants");
        let mut seen: Vec<&str> = Vec::new();
        let mut positive = candidates.is_none();
        if let Some(Value::Table(entries)) = candidates.map(|node| &node.value) {
            for entry in entries {
                if !variants.iter().any(|variant| variant.key == entry.key) {
                    let near = did_you_mean(&entry.key, variants.iter().map(|variant| variant.key.as_str()));
                    let help = near.map_or_else(
                        || "name a variant of this function".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    self.say(
                        Code::SettingName,
                        format!("there is no variant `{}`", entry.key),
                        entry.key_span,
                        "is not described",
                        &help,
                    );
                }
                match entry.node.number() {
                    Some(weight) if weight >= 0.0 => positive |= weight > 0.0,
                    Some(_) => self.say(
                        Code::SettingValue,
                        "a weight cannot be negative".to_owned(),
                        entry.node.span,
                        "less than 0",
                        "write 0 or more",
                    ),
                    None => self.say(
                        Code::SettingType,
                        format!("the weight of `{}` is not a number", entry.key),
                        entry.node.span,
                        "needs a number",
                        "write e.g. `0.5`",
                    ),
                }
                seen.push(&entry.key);
            }
        }
        let listed = candidates.map(Node::items).unwrap_or_default();
        positive |= !listed.is_empty();
        let fallbacks = node.get("fallback_variants").map(Node::items).unwrap_or_default();
        positive |= !fallbacks.is_empty();
        for item in listed.iter().chain(fallbacks) {
            self.known_variant(variants, item);
            let name = item.text().unwrap_or_default();
            if seen.contains(&name) {
                self.say(
                    Code::SettingTwice,
                    format!("the variant `{name}` is listed twice"),
                    item.span,
                    "here again",
                    "leave it once",
                );
            }
            seen.push(name);
        }
        if !positive {
            let place = candidates.map_or(node.span, |node| node.span);
            self.say(
                Code::SettingValue,
                "the experiment has neither a candidate with a weight nor a fallback".to_owned(),
                place,
                "nothing can be drawn",
                "give one of the variants a weight",
            );
        }
        for namespace in section_of(node, "namespaces") {
            self.experiment(Some(&namespace.node), &variants.iter().map(without_weight).collect::<Vec<_>>());
        }
    }
}

fn without_weight(entry: &Entry) -> Entry {
    let mut entry = entry.clone();
    if let Value::Table(entries) = &mut entry.node.value {
        entries.retain(|entry| entry.key != "weight");
    }
    entry
}
