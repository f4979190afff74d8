//! What a new table changes, by name. Nothing is said where nothing changes: neither comments nor spelling are in a table.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::RoutingTable;
use super::dump::{self, ItemKind};

/// The differences of two tables: what is new or changed in the order of the new one, then what is gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableDiff {
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: ItemKind,
    /// The item's name; for a rule its condition, and `order` where only that changed.
    pub id: String,
    /// As the old table has it, `None` for something new.
    pub before: Option<String>,
    /// As the new table has it, `None` for something gone.
    pub after: Option<String>,
}

/// Compares two tables.
pub fn diff(old: &RoutingTable, new: &RoutingTable) -> TableDiff {
    let (before, after) = (Named::new(old), Named::new(new));
    let mut changes = Vec::new();
    for name in &after.order {
        let (was, is) = (before.texts.get(name), after.texts.get(name));
        if was != is {
            changes.push(change(name, was, is));
        }
    }
    let gone = before.order.iter().filter(|name| !after.texts.contains_key(name));
    changes.extend(gone.map(|name| change(name, before.texts.get(name), None)));
    changes.extend(order_change(&before, &after));
    TableDiff { changes }
}

type Name = (ItemKind, String);

fn change((kind, id): &Name, before: Option<&String>, after: Option<&String>) -> Change {
    Change { kind: *kind, id: id.clone(), before: before.cloned(), after: after.cloned() }
}

/// The items of one table by name, and the names in the table's order.
struct Named {
    texts: BTreeMap<Name, String>,
    order: Vec<Name>,
}

impl Named {
    fn new(table: &RoutingTable) -> Named {
        let mut named = Named { texts: BTreeMap::new(), order: Vec::new() };
        let mut rules = table.rules.iter();
        for item in dump::items(table) {
            // Numbers of rules move when one is put in above; their conditions do not.
            let rule = if item.kind == ItemKind::Rule { rules.next() } else { None };
            let mut name = (item.kind, rule.map_or(item.id, dump::condition));
            while named.texts.contains_key(&name) {
                name.1.push_str(" (again)");
            }
            named.order.push(name.clone());
            named.texts.insert(name, item.text);
        }
        named
    }

    /// The conditions of the rules that `other` has too.
    fn common_rules(&self, other: &Named) -> Vec<&str> {
        let rules = self.order.iter().filter(|(kind, _)| *kind == ItemKind::Rule);
        rules.filter(|name| other.texts.contains_key(name)).map(|(_, id)| id.as_str()).collect()
    }
}

/// Rules that both tables have, in another order: the first that holds wins, so that order counts.
fn order_change(before: &Named, after: &Named) -> Option<Change> {
    let (was, is) = (before.common_rules(after), after.common_rules(before));
    (was != is).then(|| Change {
        kind: ItemKind::Rule,
        id: "order".to_owned(),
        before: Some(was.join("\n")),
        after: Some(is.join("\n")),
    })
}

impl Change {
    /// `added`, `removed` or `changed`.
    pub fn verb(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(_), Some(_)) => "changed",
        }
    }
}

impl TableDiff {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// For logs: `preset @cheap changed, rule when stream added`.
    pub fn summary(&self) -> String {
        let words = self.changes.iter().map(|change| format!("{} {} {}", change.kind.name(), change.id, change.verb()));
        words.collect::<Vec<_>>().join(", ")
    }

    pub fn json(&self) -> Value {
        let changes = self.changes.iter().map(|change| {
            json!({
                "kind": change.kind.name(),
                "id": change.id,
                "change": change.verb(),
                "before": change.before,
                "after": change.after,
            })
        });
        Value::Array(changes.collect())
    }
}

impl fmt::Display for TableDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{} {} {}", change.kind.name(), change.id, change.verb())?;
            for (sign, text) in [("-", &change.before), ("+", &change.after)] {
                for line in text.iter().flat_map(|text| text.lines()) {
                    writeln!(f, "  {sign} {line}")?;
                }
            }
        }
        Ok(())
    }
}
