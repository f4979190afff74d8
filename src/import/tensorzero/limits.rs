//! `[rate_limiting]`: its rules are limits here.

use super::Converter;
use crate::diagnostic::Severity;
use crate::import::toml::{Entry, Node};
use crate::import::yaml::{Item, Yaml};
use crate::table::limits::Window;

/// TensorZero's names of what is counted, and ours.
const RESOURCES: [(&str, &str); 3] = [("model_inferences", "attempts"), ("tokens", "tokens"), ("cost", "cost")];
const EACH: &str = "tensorzero::each";
/// USD, where `default_cost` does not say.
const USUAL_COST: &str = "1";
const TOTAL: &str = "tensorzero::total";

impl Converter<'_> {
    /// `rate_limits`.
    pub(super) fn rate_limits(&mut self) -> Vec<Item> {
        let Some(node) = self.root.get("rate_limiting") else { return Vec::new() };
        let off = node.get("enabled").and_then(Node::flag) == Some(false);
        if let Some(enabled) = node.get("enabled") {
            self.ledger.carried(enabled, if off { "nothing is limited" } else { "`rate_limits`" });
        }
        if let Some(backend) = node.get("backend") {
            self.ledger.adapted(
                backend,
                Severity::Warning,
                "counts are in the gateway's memory: a restart forgets them, and of several gateways each counts for itself",
            );
        }
        if let Some(cost) = node.get("default_cost") {
            self.ledger.carried(cost, "`unpriced`: what an attempt at a model without prices counts");
        }
        let unpriced = node.get("default_cost").map_or(Some(USUAL_COST.to_owned()), |cost| amount(cost, true));
        let Some(rules) = node.get("rules") else { return Vec::new() };
        if off {
            self.ledger.dropped(rules, Severity::Info, "the rules are switched off");
            return Vec::new();
        }
        if rules.items().is_empty() {
            self.ledger.carried(rules, "it is empty");
        }
        (1..)
            .zip(rules.items())
            .filter_map(|(number, rule)| self.rate_limit(number, rule, unpriced.as_deref()))
            .collect()
    }

    fn rate_limit(&mut self, number: usize, rule: &Node, unpriced: Option<&str>) -> Option<Item> {
        let mut items = Vec::new();
        let scope = rule.get("scope").map(Node::items).unwrap_or_default();
        if let Some(empty) = rule.get("scope").filter(|scope| scope.items().is_empty()) {
            self.ledger.carried(empty, "for everybody");
        }
        let scope: Vec<Option<Item>> = scope.iter().map(|entry| self.scope(entry)).collect();
        let Some(scope) = scope.into_iter().collect::<Option<Vec<Item>>>() else {
            self.ledger.dropped(
                rule,
                Severity::Warning,
                "the rule is left out: a part of its scope cannot be written here",
            );
            return None;
        };
        if !scope.is_empty() {
            items.push(Item::map("scope", scope));
        }
        if let Some(priority) = rule.get("priority") {
            self.ledger.carried(priority, "`priority`");
            items.push(Item::new("priority", Yaml::of(priority)));
        }
        if let Some(always) = rule.get("always") {
            self.ledger.carried(always, "a limit without a priority always holds");
        }
        let mut rates = Vec::new();
        for (theirs, ours) in RESOURCES {
            let list: Vec<Yaml> = Window::ALL
                .into_iter()
                .filter_map(|window| self.rate(rule.entry(&format!("{theirs}_per_{}", window.word()))?, window, ours))
                .collect();
            match <[Yaml; 1]>::try_from(list) {
                Ok([only]) => rates.push(Item::new(ours, only)),
                Err(list) if list.is_empty() => {}
                Err(list) => rates.push(Item::new(ours, Yaml::List(list))),
            }
        }
        if rates.is_empty() {
            return None;
        }
        let of_cost = rates.iter().any(|rate| rate.key == "cost");
        items.extend(rates);
        let unpriced = unpriced.filter(|cost| of_cost && *cost != "0");
        items.extend(unpriced.map(|cost| Item::new("unpriced", Yaml::Plain(cost.to_owned()))));
        Some(Item::map(&format!("rule-{number}"), items).beside(self.origin(rule)))
    }

    /// One entry of a scope.
    fn scope(&mut self, entry: &Node) -> Option<Item> {
        let (key, value) = match (entry.get("tag_key"), entry.get("tag_value"), entry.get("api_key_public_id")) {
            (Some(key), Some(value), None) => {
                self.ledger.carried(key, "`scope`: a tag of the request");
                let name = key.text()?;
                let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
                (if plain { format!("tag({name})") } else { format!("tag(\"{name}\")") }, value)
            }
            (None, None, Some(id)) => ("key".to_owned(), id),
            _ => return None,
        };
        let text = value.text()?;
        // The ends of a quoted name could not be told.
        if key.matches('"').count() > 2 || key.contains('\\') {
            return None;
        }
        if key == "key" {
            let message = match text {
                EACH => "`key: each`: by the client keys of `keys:`",
                _ => "`key`: the id of a client key under `keys:`, which the old key can be",
            };
            if text != EACH && text.chars().all(|c| c.is_ascii_alphanumeric()) && !text.is_empty() {
                self.keys.insert(text.to_owned());
            }
            self.ledger.adapted(value, Severity::Warning, message);
        } else {
            self.ledger.carried(value, "`scope`");
        }
        Some(match text {
            EACH => Item::text(&key, "each"),
            TOTAL => Item::text(&key, "total"),
            // Twice in a list our own words are values.
            "each" | "total" => Item::new(&key, Yaml::texts([text, text])),
            other => Item::text(&key, other),
        })
    }

    /// `tokens_per_minute = 1000`, or its capacity and refill.
    fn rate(&mut self, entry: &Entry, window: Window, resource: &str) -> Option<Yaml> {
        let node = &entry.node;
        let amount = |node: &Node| amount(node, resource == "cost");
        let (refill, capacity) = match (node.get("capacity"), node.get("refill_rate")) {
            (Some(capacity), Some(refill)) => (amount(refill), amount(capacity)),
            _ => (amount(node), amount(node)),
        };
        let (Some(refill), Some(capacity)) = (refill, capacity) else {
            let message = "it is left out: neither a whole number, nor USD with up to nine digits behind the point";
            self.ledger.dropped(node, Severity::Warning, message);
            return None;
        };
        if resource == "tokens" {
            self.ledger.adapted(
                node,
                Severity::Info,
                "`tokens`: a request without `max_tokens` is not refused, what its answer takes is counted afterwards",
            );
        } else {
            self.ledger.carried(node, format!("`{resource}`"));
        }
        let rate = format!("{refill}/{}", window.word());
        Some(match refill == capacity {
            true => Yaml::text(&rate),
            false => Yaml::Map(vec![Item::text("rate", &rate), Item::new("burst", Yaml::Plain(capacity))]),
        })
    }
}

/// The number as our file writes it.
fn amount(node: &Node, of_money: bool) -> Option<String> {
    const DIGITS: usize = 9;
    let number = node.number().filter(|number| *number >= 0.0 && *number <= 1e15)?;
    let digits = if of_money { DIGITS } else { 0 };
    let text = format!("{number:.digits$}");
    // What was rounded away would be another limit.
    let exact = text.parse::<f64>().is_ok_and(|rounded| (rounded - number).abs() <= number.abs() * 1e-12);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    exact.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostics;
    use crate::source::SourceMap;

    #[test]
    fn amounts_are_written_in_full() {
        let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
        let text = "a = 100\nb = 50.0\nc = 0.25\nd = -1\ne = 1e-12\nf = 1e6\n";
        let id = sources.add("x.toml", text);
        let node = crate::import::toml::parse(id, text, &mut diagnostics).unwrap();
        let written = |name: &str, of_money| amount(node.get(name).unwrap(), of_money);
        assert_eq!(written("a", false).as_deref(), Some("100"));
        assert_eq!(written("b", true).as_deref(), Some("50"));
        assert_eq!(written("c", true).as_deref(), Some("0.25"));
        assert_eq!(written("c", false), None);
        assert_eq!(written("d", true), None);
        assert_eq!(written("e", true), None);
        assert_eq!(written("f", false).as_deref(), Some("1000000"));
    }
}
