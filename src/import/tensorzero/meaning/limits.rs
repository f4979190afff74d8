//! Rules of rate limits.

use std::collections::BTreeSet;

use super::Judge;
use crate::diagnostic::Code;
use crate::import::tensorzero::shape::is_placeholder;
use crate::import::toml::Node;

/// Characters of the public id of one of TensorZero's keys.
const KEY_ID: usize = 12;
const EACH: &str = "tensorzero::each";

impl Judge<'_, '_> {
    pub(super) fn rules(&mut self) {
        let rules = self.root.get("rate_limiting").and_then(|node| node.get("rules"));
        let mut scopes = BTreeSet::new();
        for rule in rules.map(Node::items).unwrap_or_default() {
            let first = || rule.entries().first().map_or(rule.span, |entry| entry.key_span);
            let always = rule.get("always").and_then(Node::flag) == Some(true);
            if always == rule.get("priority").is_some() {
                let place = rule.entry("priority").map_or_else(first, |entry| entry.key_span);
                self.say(
                    Code::SettingValue,
                    "a rule has either a `priority` or `always = true`".to_owned(),
                    place,
                    "one of both",
                    "write one of them",
                );
            }
            if !scopes.insert(scope_of(rule)) {
                self.say(
                    Code::SettingTwice,
                    "two rules have the same scope".to_owned(),
                    rule.entry("scope").map_or_else(first, |entry| entry.key_span),
                    "another rule has it",
                    "one rule may hold several limits: write all of them into the first",
                );
            }
            for entry in rule.get("scope").map(Node::items).unwrap_or_default() {
                self.key_id(entry);
            }
            self.amounts(rule);
        }
    }

    fn key_id(&mut self, entry: &Node) {
        let Some(leaf) = entry.get("api_key_public_id").filter(|_| entry.get("tag_key").is_none()) else { return };
        let id = leaf.text().unwrap_or_default();
        if id != EACH && !is_placeholder(id) && (id.starts_with("tensorzero::") || id.chars().count() != KEY_ID) {
            self.say(
                Code::SettingValue,
                format!("`{id}` is not the public id of a key"),
                leaf.span,
                "not 12 characters",
                "write the 12 characters between `sk-t0-` and the next `-`, or `tensorzero::each`",
            );
        }
    }

    /// Attempts and tokens are counted in whole numbers, and nothing is less than 0.
    fn amounts(&mut self, rule: &Node) {
        for entry in rule.entries().iter().filter(|entry| entry.key.contains("_per_")) {
            let parts = ["capacity", "refill_rate"].into_iter().filter_map(|part| entry.node.get(part));
            for leaf in std::iter::once(&entry.node).filter(|node| !node.is_table()).chain(parts) {
                let of_money = entry.key.starts_with("cost_");
                let fits = match of_money {
                    true => leaf.number().is_some_and(|amount| amount >= 0.0),
                    false => leaf.whole().is_some_and(|amount| amount >= 0),
                };
                if !fits {
                    let wanted = if of_money { "0 or more USD" } else { "a whole number of 0 or more" };
                    self.say(
                        Code::SettingValue,
                        format!("`{}` takes {wanted}", entry.key),
                        leaf.span,
                        "TensorZero refuses it",
                        &format!("write {wanted}"),
                    );
                }
            }
        }
    }
}

/// What a rule is for, in whatever order it is written.
fn scope_of(rule: &Node) -> BTreeSet<(String, String)> {
    let text = |entry: &Node, key: &str| entry.text_of(key).unwrap_or_default().to_owned();
    let pair = |entry: &Node| match entry.get("api_key_public_id") {
        Some(_) => (String::new(), text(entry, "api_key_public_id")),
        None => (text(entry, "tag_key"), text(entry, "tag_value")),
    };
    rule.get("scope").map(Node::items).unwrap_or_default().iter().map(pair).collect()
}
