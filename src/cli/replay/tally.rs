//! What changes, counted: groups of calls that go from one place to another.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::call::{Call, Cost, Redecided};
use crate::provider::cost::decimal;

/// Groups, missing facts and unreadable lines that are told apart: callers may ask for any number of names.
const MOST: usize = 200;
const UNREADABLE_SHOWN: usize = 5;

/// What a record does not say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Missing {
    /// A fact of the request, by its name in rules.
    Fact(String),
    /// What a strategy goes by, `health(openai/gpt-5)` or `turn(...)`, or a member in which the request asks for its way.
    Input(String),
}

impl Missing {
    fn name(&self) -> &str {
        match self {
            Missing::Fact(name) | Missing::Input(name) => name,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    same: Group,
    changed: BTreeMap<(String, String), Group>,
    /// Calls of more groups than are told apart.
    others: Group,
    /// By what is missing.
    unknown: BTreeMap<Missing, u64>,
    not_decided: u64,
    unreadable: u64,
    first_unreadable: Vec<(u64, String)>,
}

/// Calls that go the same way.
#[derive(Debug, Default)]
struct Group {
    calls: u64,
    /// Of the calls whose cost is known then and now.
    priced: u64,
    cost: Cost,
    /// The rule that takes one of them now, and its line and id.
    rule: Option<u32>,
    example: Option<(u64, String)>,
}

impl Group {
    fn add(&mut self, cost: Option<Cost>, rule: Option<u32>, number: u64, id: &str) {
        self.calls += 1;
        if let Some(Cost { was, is }) = cost {
            self.priced += 1;
            self.cost.was += was;
            self.cost.is += is;
        }
        if self.example.is_none() {
            self.rule = rule;
            self.example = Some((number, id.to_owned()));
        }
    }

    fn json(&self) -> Value {
        json!({
            "calls": self.calls,
            "priced": self.priced,
            "cost_usd": (self.priced > 0).then_some(self.cost.was),
            "new_cost_usd": (self.priced > 0).then_some(self.cost.is),
        })
    }

    /// What it costs instead, where that is known.
    fn cost(&self) -> Option<String> {
        if self.priced == 0 {
            return None;
        }
        let Cost { was, is } = self.cost;
        let (new, old) = (decimal(is), decimal(was));
        let of = if self.priced == self.calls {
            String::new()
        } else {
            format!(", for {} of them; of the others the cost is not known", self.priced)
        };
        let share = if was > 0.0 { format!(" ({:+.1} %)", (is - was) / was * 100.0) } else { String::new() };
        Some(format!("costs {new} USD instead of {old}{share}{of}"))
    }
}

impl Tally {
    pub(super) fn add(&mut self, number: u64, call: &Call, redecided: Redecided) {
        match redecided {
            Redecided::Not => self.not_decided += 1,
            Redecided::Unknown { missing } => {
                let is_full = self.unknown.len() >= MOST && !self.unknown.contains_key(&missing);
                let missing = if is_full { Missing::Fact("another fact".to_owned()) } else { missing };
                *self.unknown.entry(missing).or_default() += 1;
            }
            Redecided::Decided { was, is, rule, cost } => {
                let group = if was == is {
                    &mut self.same
                } else if self.changed.len() >= MOST && !self.changed.contains_key(&(was.clone(), is.clone())) {
                    &mut self.others
                } else {
                    self.changed.entry((was, is)).or_default()
                };
                group.add(cost, rule, number, &call.request_id);
            }
        }
    }

    pub(super) fn not_decided(&mut self) {
        self.not_decided += 1;
    }

    pub(super) fn unreadable(&mut self, number: u64, problem: String) {
        self.unreadable += 1;
        if self.first_unreadable.len() < UNREADABLE_SHOWN {
            self.first_unreadable.push((number, problem));
        }
    }

    pub(super) fn changes(&self) -> bool {
        !self.changed.is_empty() || self.others.calls > 0
    }

    fn undecided(&self) -> u64 {
        self.unknown.values().sum()
    }

    fn decided(&self) -> u64 {
        self.same.calls + self.otherwise()
    }

    fn otherwise(&self) -> u64 {
        self.changed.values().map(|group| group.calls).sum::<u64>() + self.others.calls
    }

    pub(super) fn is_all_unreadable(&self) -> bool {
        self.unreadable > 0 && self.decided() + self.undecided() + self.not_decided == 0
    }

    /// The groups, the largest first.
    fn groups(&self) -> Vec<(&(String, String), &Group)> {
        let mut groups: Vec<_> = self.changed.iter().collect();
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.calls));
        groups
    }

    pub(super) fn json(&self) -> Value {
        let changed = self.groups().into_iter().map(|((was, is), group)| {
            json!({
                "old": was,
                "new": is,
                "calls": group.calls,
                "priced": group.priced,
                "cost_usd": (group.priced > 0).then_some(group.cost.was),
                "new_cost_usd": (group.priced > 0).then_some(group.cost.is),
                "rule": group.rule,
                "example": group.example.as_ref().map(|(line, id)| json!({ "line": line, "request_id": id })),
            })
        });
        let unreadable = self.first_unreadable.iter().map(|(line, why)| json!({ "line": line, "why": why }));
        json!({
            "same": self.same.json(),
            "changed": changed.collect::<Vec<_>>(),
            "changed_others": self.others.json(),
            "cannot_be_decided": self.unknown.iter().map(|(missing, count)| (missing.name(), *count)).collect::<BTreeMap<_, _>>(),
            "not_decided_then": self.not_decided,
            "unreadable": self.unreadable,
            "first_unreadable": unreadable.collect::<Vec<_>>(),
        })
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} as before, {} otherwise; {} cannot be decided",
            counted(self.decided() + self.undecided(), "call"),
            self.same.calls,
            self.otherwise(),
            self.undecided()
        )?;
        for ((was, is), group) in self.groups() {
            writeln!(f, "\n{}: {is} instead of {was}", counted(group.calls, "call"))?;
            if let Some(cost) = group.cost() {
                writeln!(f, "  {cost}")?;
            }
            if let Some((line, id)) = &group.example {
                let rule = group.rule.map_or("no rule".to_owned(), |rule| format!("rule {rule}"));
                writeln!(f, "  for example {id}, line {line}, now by {rule}")?;
            }
        }
        if self.others.calls > 0 {
            writeln!(f, "\n{}: elsewhere, in more ways than are listed", counted(self.others.calls, "call"))?;
        }
        let mut hints = (None, None);
        for (missing, count) in &self.unknown {
            let (calls, name) = (counted(*count, "call"), missing.name());
            writeln!(f, "\n{calls} cannot be decided: the log does not say `{name}`")?;
            match missing {
                Missing::Fact(_) => {
                    hints.0 = Some("`access_log: { facts: all }` records what lies inside conversations")
                }
                Missing::Input(_) => {
                    hints.1 = Some("measurements and turns are recorded of the targets that were compared then")
                }
            }
        }
        [hints.0, hints.1].into_iter().flatten().try_for_each(|hint| writeln!(f, "  {hint}"))?;
        if self.not_decided > 0 {
            writeln!(f, "\n{} had been refused before any decision", counted(self.not_decided, "call"))?;
        }
        if self.unreadable > 0 {
            writeln!(
                f,
                "\n{} not records of the access log",
                match self.unreadable {
                    1 => "1 line is".to_owned(),
                    count => format!("{count} lines are"),
                }
            )?;
            for (line, problem) in &self.first_unreadable {
                writeln!(f, "  line {line}: {problem}")?;
            }
        }
        Ok(())
    }
}
