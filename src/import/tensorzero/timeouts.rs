//! `timeouts` and `timeout_ms`.

use super::Converter;
use crate::diagnostic::Severity;
use crate::import::toml::Node;
use crate::import::yaml::Item;

/// Bounds, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bounds {
    /// An answer that is not streamed.
    pub(super) whole: Option<i64>,
    /// A stream, to its end.
    pub(super) stream: Option<i64>,
    pub(super) first_token: Option<i64>,
}

impl Bounds {
    /// The narrower of both.
    pub(super) fn and(self, other: Bounds) -> Bounds {
        let least = |a: Option<i64>, b: Option<i64>| a.into_iter().chain(b).min();
        Bounds {
            whole: least(self.whole, other.whole),
            stream: least(self.stream, other.stream),
            first_token: least(self.first_token, other.first_token),
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self == Bounds::default()
    }

    /// `timeout:` of a preset that bounds what it leads to.
    pub(super) fn item(self) -> Option<Item> {
        let parts = [("whole", self.whole), ("stream", self.stream), ("first_token", self.first_token)];
        let set = parts.into_iter().filter_map(|(key, bound)| Some(Item::text(key, &duration(bound?))));
        let items: Vec<Item> = std::iter::once(Item::text("around", "preset")).chain(set).collect();
        (!self.is_empty()).then(|| Item::map("timeout", items))
    }
}

impl Converter<'_> {
    /// The bounds of a model, provider or variant.
    pub(super) fn bounds(&mut self, node: &Node) -> Bounds {
        let mut bounds = Bounds::default();
        if let Some(timeouts) = node.get("timeouts") {
            let at = |table: &str, key: &str| timeouts.get(table).and_then(|table| table.get(key));
            let parts = [
                (at("non_streaming", "total_ms"), &mut bounds.whole, "whole"),
                (at("streaming", "total_ms"), &mut bounds.stream, "stream"),
                (at("streaming", "ttft_ms"), &mut bounds.first_token, "first_token"),
            ];
            for (leaf, place, name) in parts {
                let Some(leaf) = leaf else { continue };
                *place = leaf.whole();
                self.ledger.carried(leaf, format!("`timeout.{name}` of the preset"));
            }
            self.ledger.carried(timeouts, "no bound is set");
        }
        if let Some(leaf) = node.get("timeout_ms") {
            bounds.whole = leaf.whole();
            self.ledger.carried(leaf, "`timeout.whole` of the preset");
        }
        if let Some(leaf) = node.get("timeout_s") {
            #[expect(clippy::cast_possible_truncation, reason = "seconds of a timeout are few")]
            let bound = leaf.number().map(|seconds| (seconds * 1000.0) as i64);
            bounds.whole = bound;
            bounds.stream = bound;
            self.ledger.adapted(leaf, Severity::Info, "deprecated; `timeout` of the preset");
        }
        bounds
    }
}

/// `400ms`, `15s`, `2m`.
pub(super) fn duration(milliseconds: i64) -> String {
    match milliseconds {
        0 => "0s".to_owned(),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}
