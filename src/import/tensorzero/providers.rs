//! The providers of the output: one entry for each way in which a known provider, or a server of one's own, is asked.

use std::collections::BTreeMap;

use super::names::slug;
use crate::config::known;
use crate::import::yaml::{Item, Yaml};

/// How a provider is to be asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// The known provider that it is, or is like.
    pub(super) known: Option<&'static str>,
    /// What is said besides, in the order in which it is written.
    pub(super) items: Vec<Item>,
}

/// An entry of `providers:`.
struct Entry {
    name: String,
    wanted: Wanted,
    origin: String,
    prices: BTreeMap<String, Prices>,
}

/// In USD per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Prices {
    pub(super) input: Option<f64>,
    pub(super) output: Option<f64>,
    pub(super) cache_read: Option<f64>,
    pub(super) cache_write: Option<f64>,
}

/// All entries, in the order in which they were first needed.
#[derive(Default)]
pub(super) struct Providers {
    entries: Vec<Entry>,
    /// Headers that the provider which is looked for now sends besides: references to keys that stood in the file.
    pub(super) headers: Vec<Item>,
}

impl Providers {
    /// The entry under the known provider's own name: what short-hand names mean.
    pub(super) fn known(&mut self, wanted: Wanted, origin: &str) -> String {
        let name = wanted.known.unwrap_or("provider").to_owned();
        if !self.headers.is_empty() {
            return self.named(wanted, &[format!("{name}-headers")], origin);
        }
        if !wanted.items.is_empty() && !self.entries.iter().any(|entry| entry.name == name) {
            self.push(&name, wanted, origin);
        }
        name
    }

    /// The name of a provider that is asked in this way; `names` are what it might be called.
    pub(super) fn named(&mut self, mut wanted: Wanted, names: &[String], origin: &str) -> String {
        if !self.headers.is_empty() {
            wanted.items.push(Item::map("headers", self.headers.clone()));
        }
        if let Some(same) = self.entries.iter().find(|entry| entry.wanted == wanted) {
            return same.name.clone();
        }
        let known = &known::providers().entries;
        let is_free = |name: &str| !self.entries.iter().any(|entry| entry.name == name);
        let is_own = |name: &str| known.iter().all(|entry| entry.name.value != name);
        let names: Vec<String> = names.iter().map(|name| slug(name)).collect();
        let free = names.iter().find(|name| is_own(name) && is_free(name)).cloned();
        let last = names.last().map_or("provider", String::as_str);
        let numbered = || (2..).map(|n| format!("{last}-{n}")).find(|name| is_own(name) && is_free(name));
        let name = free.or_else(numbered).unwrap_or_default();
        self.push(&name, wanted, origin);
        name
    }

    /// The known provider's own name where nobody asks it in another way, else one of `names`. For types that have no
    /// short-hand names.
    pub(super) fn first_or_named(&mut self, wanted: Wanted, names: &[String], origin: &str) -> String {
        let name = wanted.known.unwrap_or_default();
        if !self.headers.is_empty() {
            return self.named(wanted, names, origin);
        }
        match self.entries.iter().find(|entry| entry.name == name) {
            Some(taken) if taken.wanted != wanted => self.named(wanted, names, origin),
            _ => self.known(wanted, origin),
        }
    }

    fn push(&mut self, name: &str, wanted: Wanted, origin: &str) {
        self.entries.push(Entry { name: name.to_owned(), wanted, origin: origin.to_owned(), prices: BTreeMap::new() });
    }

    /// Whether these prices hold: the first that are said of a model do.
    pub(super) fn price(&mut self, provider: &str, model: &str, prices: Prices, origin: &str) -> bool {
        if !self.entries.iter().any(|entry| entry.name == provider) {
            self.push(provider, Wanted { known: None, items: Vec::new() }, origin);
        }
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == provider) else { return false };
        *entry.prices.entry(model.to_owned()).or_insert(prices) == prices
    }

    /// What stands below `providers:`.
    pub(super) fn items(&self) -> Vec<Item> {
        self.entries.iter().map(Entry::item).collect()
    }
}

impl Entry {
    fn item(&self) -> Item {
        let mut items = Vec::new();
        if let Some(known) = self.wanted.known.filter(|known| *known != self.name) {
            items.push(Item::text("like", known));
        }
        items.extend(self.wanted.items.iter().cloned());
        if !self.prices.is_empty() {
            let prices = self.prices.iter().map(|(model, prices)| Item::map(model, prices.items())).collect();
            items.push(Item::map("prices", prices));
        }
        Item::map(&self.name, items).beside(self.origin.clone())
    }
}

impl Prices {
    fn items(self) -> Vec<Item> {
        let Prices { input, output, cache_read, cache_write } = self;
        let all = [("input", input), ("output", output), ("cache_read", cache_read), ("cache_write", cache_write)];
        all.into_iter()
            .filter_map(|(key, price)| {
                let price = (price? * 1e6).round() / 1e6;
                Some(Item::new(key, Yaml::Plain(format!("{price}"))))
            })
            .collect()
    }
}
