//! Which variant answers: weights and experiments, as a route.

use std::collections::BTreeMap;

use super::Converter;
use super::names::reference;
use super::variants::says_something;
use crate::diagnostic::Severity;
use crate::import::toml::{Entry, Node, Value};

/// The order in which variants are drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Draw {
    /// By weight, in the order of their names, which is the order of the draw.
    pub(super) candidates: Vec<(String, f64)>,
    /// When all of them have failed, in this order.
    pub(super) fallbacks: Vec<String>,
    /// When these have failed, too: drawn evenly.
    pub(super) last: Vec<String>,
}

impl Draw {
    fn evenly<'n>(names: impl Iterator<Item = &'n str>) -> Draw {
        let mut candidates: Vec<(String, f64)> = names.map(|name| (name.to_owned(), 1.0)).collect();
        candidates.sort_by(|a, b| a.0.cmp(&b.0));
        Draw { candidates, ..Draw::default() }
    }

    /// Without those that cannot run.
    pub(super) fn of_runnable(mut self, runs: impl Fn(&str) -> bool) -> Draw {
        self.candidates.retain(|(name, _)| runs(name));
        self.fallbacks.retain(|name| runs(name));
        self.last.retain(|name| runs(name));
        self
    }

    /// The route; empty where nothing is drawn.
    pub(super) fn route(&self, presets: &BTreeMap<String, String>) -> String {
        let at = |name: &String| presets.get(name).map(|preset| reference(preset)).unwrap_or_default();
        let evenly = |names: &[String]| names.iter().map(|name| (name.clone(), 1.0)).collect::<Vec<_>>();
        let mut steps = Vec::new();
        steps.extend(drawn(&self.candidates, &at));
        steps.extend(self.fallbacks.iter().map(at));
        steps.extend(drawn(&evenly(&self.last), &at));
        steps.join(" > ")
    }

    pub(super) fn is_drawn(&self) -> bool {
        self.candidates.len() > 1 || self.last.len() > 1
    }

    /// The variants in the order in which they answer for `number` (from 0 to 1), where each one before fails: what is left of the
    /// candidates is drawn with the same number, then come the fallbacks, then the last.
    pub(super) fn order(&self, number: f64) -> Vec<&str> {
        let even = |names: &[String]| names.iter().map(|name| (name.clone(), 1.0)).collect::<Vec<_>>();
        let find = |name: String| {
            let named = self.candidates.iter().map(|(name, _)| name).chain(&self.last);
            named.into_iter().find(|known| **known == name).map(String::as_str)
        };
        let drawn = redrawn(self.candidates.clone(), number).into_iter().filter_map(find);
        let last = redrawn(even(&self.last), number).into_iter().filter_map(find);
        drawn.chain(self.fallbacks.iter().map(String::as_str)).chain(last).collect()
    }

    /// Numbers in the middle of each candidate's share, and the candidate: for tests. A share that no short number lies in has none.
    pub(super) fn middles(&self) -> Vec<(f64, &str)> {
        let total: f64 = self.candidates.iter().map(|(_, weight)| weight).sum();
        let mut before = 0.0;
        let middles = self.candidates.iter().filter_map(|(name, weight)| {
            let (from, to) = (before / total, (before + weight) / total);
            before += weight;
            Some((short_within(from, to)?, name.as_str()))
        });
        middles.collect()
    }
}

/// The middle of both, with as few digits as still lie well between them.
fn short_within(from: f64, to: f64) -> Option<f64> {
    let (middle, quarter) = (f64::midpoint(from, to), (to - from) / 4.0);
    let rounded = [1e4, 1e6, 1e8, 1e10, 1e12].map(|scale| (middle * scale).round() / scale);
    rounded.into_iter().find(|number| (number - middle).abs() < quarter)
}

/// By weight, again and again among what is left.
fn redrawn(mut candidates: Vec<(String, f64)>, number: f64) -> Vec<String> {
    let mut order = Vec::new();
    while !candidates.is_empty() {
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        let mut before = 0.0;
        let drawn = candidates.iter().position(|(_, weight)| {
            before += weight;
            before > number * total
        });
        order.push(candidates.remove(drawn.unwrap_or(candidates.len() - 1)).0);
    }
    order
}

fn drawn(candidates: &[(String, f64)], at: &impl Fn(&String) -> String) -> Option<String> {
    match candidates {
        [] => None,
        [(only, _)] => Some(at(only)),
        several => {
            let arms = several.iter().map(|(name, weight)| format!("{weight} {}", at(name)));
            Some(format!("split({})", arms.collect::<Vec<_>>().join(", ")))
        }
    }
}

impl Converter<'_> {
    /// The draw of a function, with a verdict for everything that says so.
    pub(super) fn draw(&mut self, function: &str, node: &Node) -> Draw {
        let variants = node.get("variants").map(Node::entries).unwrap_or_default();
        match node.get("experimentation").filter(|node| node.get("type").is_some()) {
            Some(experiment) => self.experiment(function, experiment, variants),
            None => self.weights(variants),
        }
    }

    /// The deprecated `weight` of variants; without any, all alike.
    fn weights(&mut self, variants: &[Entry]) -> Draw {
        let weighed: Vec<(&Entry, f64)> =
            variants.iter().filter_map(|entry| Some((entry, entry.node.get("weight")?.number()?))).collect();
        let only = variants.len() == 1;
        if weighed.iter().all(|(_, weight)| *weight <= 0.0) {
            for (entry, _) in &weighed {
                if let (Some(leaf), false) = (entry.node.get("weight"), only) {
                    self.ledger.adapted(
                        leaf,
                        Severity::Warning,
                        "all weights are 0: TensorZero then draws among all variants alike, and so does the route",
                    );
                } else if let Some(leaf) = entry.node.get("weight") {
                    self.ledger.carried(leaf, "the only variant");
                }
            }
            return Draw::evenly(variants.iter().map(|entry| entry.key.as_str()));
        }
        let mut draw = Draw::default();
        for entry in variants {
            let leaf = entry.node.get("weight");
            match leaf.and_then(Node::number) {
                Some(weight) if weight > 0.0 => draw.candidates.push((entry.key.clone(), weight)),
                Some(_) => {}
                None => draw.fallbacks.push(entry.key.clone()),
            }
            match (leaf, leaf.and_then(Node::number)) {
                (Some(leaf), _) if only => self.ledger.carried(leaf, "the only variant"),
                (Some(leaf), Some(weight)) if weight > 0.0 => self.ledger.adapted(
                    leaf,
                    Severity::Info,
                    "deprecated since 2026.3.1; the share in the function's `split`",
                ),
                (Some(leaf), _) => self.ledger.adapted(
                    leaf,
                    Severity::Warning,
                    "weight 0: as in TensorZero the variant is never drawn, and answers only requests that name it",
                ),
                (None, _) => {}
            }
        }
        draw.candidates.sort_by(|a, b| a.0.cmp(&b.0));
        draw.fallbacks.sort();
        draw
    }

    fn experiment(&mut self, function: &str, node: &Node, variants: &[Entry]) -> Draw {
        let kind = node.text_of("type").unwrap_or_default();
        let candidates = node.get("candidate_variants");
        let mut draw = match candidates.map(|node| (&node.value, node)) {
            Some((Value::Table(entries), _)) => shares(entries),
            Some((_, list)) if says_something(list) => Draw::evenly(list.items().iter().filter_map(Node::text)),
            Some(_) if kind != "uniform" => Draw::default(),
            _ if node.get("fallback_variants").is_some_and(says_something) && kind == "uniform" => {
                let fallbacks: Vec<&str> = node
                    .get("fallback_variants")
                    .map(Node::items)
                    .unwrap_or_default()
                    .iter()
                    .filter_map(Node::text)
                    .collect();
                Draw::evenly(variants.iter().map(|entry| entry.key.as_str()).filter(|name| !fallbacks.contains(name)))
            }
            _ => Draw::evenly(variants.iter().map(|entry| entry.key.as_str())),
        };
        draw.fallbacks = node
            .get("fallback_variants")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter_map(Node::text)
            .map(str::to_owned)
            .collect();
        match kind {
            "adaptive" | "track_and_stop" => self.frozen(function, node, &mut draw),
            "static" => self.ledger.carried(node, "the function's route"),
            _ => self.ledger.adapted(node, Severity::Info, "the old name of `static`; the function's route"),
        }
        draw
    }

    /// A bandit does not learn here: its shares stay as they are.
    fn frozen(&mut self, function: &str, node: &Node, draw: &mut Draw) {
        let mut given: Vec<(String, f64)> = self
            .freeze
            .iter()
            .filter(|freeze| freeze.function == function)
            .map(|freeze| (freeze.variant.clone(), freeze.weight))
            .collect();
        given.sort_by(|a, b| a.0.cmp(&b.0));
        if given.iter().any(|(_, weight)| *weight > 0.0) {
            let rest = draw
                .candidates
                .iter()
                .filter(|(name, _)| !given.iter().any(|(other, weight)| other == name && *weight > 0.0));
            draw.last = rest.map(|(name, _)| name.clone()).collect();
            draw.candidates = given.into_iter().filter(|(_, weight)| *weight > 0.0).collect();
            self.ledger.adapted(
                node,
                Severity::Info,
                "the bandit does not go on learning: the shares are those of `--freeze`",
            );
            return;
        }
        self.ledger.adapted(
            node,
            Severity::Warning,
            format!("the bandit does not go on learning: its candidates have equal shares; `--freeze {function}=VARIANT:WEIGHT` sets them, e.g. to what TensorZero last computed"),
        );
    }

    /// `experimentation.namespaces`: names, and their draws.
    pub(super) fn namespaces(&mut self, function: &str, node: &Node) -> Vec<(String, Draw)> {
        let variants = node.get("variants").map(Node::entries).unwrap_or_default();
        let namespaces =
            node.get("experimentation").and_then(|node| node.get("namespaces")).map(Node::entries).unwrap_or_default();
        let mut out = Vec::new();
        for entry in namespaces {
            let draw = self.experiment(function, &entry.node, variants);
            if draw.is_drawn() {
                self.ledger.adapted(
                    &entry.node,
                    Severity::Warning,
                    "the draw of a namespace is salted with its own preset's name: episodes may change their variant once",
                );
            }
            out.push((entry.key.clone(), draw));
        }
        out
    }
}

/// Candidates with weights; one of weight 0 is drawn when all else has failed.
fn shares(entries: &[Entry]) -> Draw {
    let mut draw = Draw::default();
    for entry in entries {
        let weight = entry.node.number().unwrap_or(0.0);
        if weight > 0.0 {
            draw.candidates.push((entry.key.clone(), weight));
        } else {
            draw.last.push(entry.key.clone());
        }
    }
    draw.candidates.sort_by(|a, b| a.0.cmp(&b.0));
    draw.last.sort();
    draw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_drawn_with_the_same_number() {
        let weighed =
            |weights: &[(&str, f64)]| weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
        let draw = Draw {
            candidates: weighed(&[("a", 0.7), ("b", 0.2), ("c", 0.1)]),
            fallbacks: vec!["d".into()],
            last: Vec::new(),
        };
        for (number, order) in [
            (0.969_987_433, ["c", "b", "a", "d"]),
            (0.201_949_517, ["a", "b", "c", "d"]),
            (0.558_341_791, ["a", "b", "c", "d"]),
            (0.879_404_815, ["b", "c", "a", "d"]),
        ] {
            assert_eq!(draw.order(number), order, "{number}");
        }
        let even = Draw {
            candidates: weighed(&[("a", 1.0), ("b", 1.0)]),
            fallbacks: vec!["d".into()],
            last: vec!["c".into()],
        };
        assert_eq!(even.order(0.558_341_791), ["b", "a", "d", "c"]);
        assert_eq!(even.order(0.201_949_517), ["a", "b", "d", "c"]);
    }

    #[test]
    fn routes_are_drawn_in_the_order_of_names() {
        let presets: BTreeMap<String, String> =
            ["a", "b", "c", "d"].map(|name| (name.to_owned(), format!("f.{name}"))).into();
        let draw = Draw {
            candidates: vec![("a".into(), 0.7), ("b".into(), 2.0)],
            fallbacks: vec!["d".into()],
            last: vec!["c".into()],
        };
        assert_eq!(draw.route(&presets), "split(0.7 @f.a, 2 @f.b) > @f.d > @f.c");
        assert_eq!(draw.middles(), [(0.1296, "a"), (0.6296, "b")]);
        let small = Draw { candidates: vec![("a".into(), 3.0), ("b".into(), 0.0001)], ..Draw::default() };
        assert_eq!(small.middles(), [(0.5, "a"), (0.999983, "b")]);
        let tiny = Draw { candidates: vec![("a".into(), 1.0), ("b".into(), 1e-15)], ..Draw::default() };
        assert_eq!(tiny.middles(), [(0.5, "a")]);
        let alone = draw.of_runnable(|name| name == "b" || name == "d");
        assert_eq!(alone.route(&presets), "@f.b > @f.d");
    }
}
