//! Names of models that mean something: finitely many classes, within each of which a table treats all names alike.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::{Effect, Effects};
use crate::glob::Glob;
use crate::rule::TextFact;
use crate::rule::predicate::{Atom, Predicate, TextTest};
use crate::table::RoutingTable;

/// Names that both tables treat alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Names {
    One(Box<str>),
    /// Of models that a provider does not list.
    Unlisted(Box<str>),
    /// Everything else: it means nothing.
    Others,
}

/// Every class of names of two tables.
pub(super) struct Classes {
    pub(super) all: Vec<Names>,
    explicit: BTreeSet<Box<str>>,
}

impl Classes {
    pub(super) fn new(tables: [&RoutingTable; 2]) -> Classes {
        let (mut explicit, mut providers) = (BTreeSet::new(), BTreeSet::new());
        for table in tables {
            for name in table.presets.keys() {
                explicit.extend([name.clone(), format!("@{name}").into()]);
            }
            explicit.extend(table.models.keys().chain(table.ambiguous.keys()).cloned());
            providers.extend(table.provider_names.keys().chain(table.inactive.keys()).cloned());
        }
        let one = explicit.iter().cloned().map(Names::One);
        let unlisted = providers.iter().cloned().map(Names::Unlisted);
        Classes { all: one.chain(unlisted).chain([Names::Others]).collect(), explicit }
    }

    /// A name of this class.
    pub(super) fn sample(&self, names: &Names) -> String {
        let fresh = |start: &str| {
            let mut candidates = (0..=self.explicit.len()).map(|number| match number {
                0 => format!("{start}some-model"),
                number => format!("{start}some-model-{number}"),
            });
            candidates.find(|name| !self.explicit.contains(name.as_str())).unwrap_or_default()
        };
        match names {
            Names::One(name) => name.to_string(),
            Names::Unlisted(provider) => fresh(&format!("{provider}/")),
            Names::Others => fresh("no-"),
        }
    }

    /// The condition that the model is of one of these classes.
    pub(super) fn any_of(&self, classes: &[&Names]) -> Predicate {
        if classes.contains(&&Names::Others) {
            let rest: Vec<&Names> = self.all.iter().filter(|names| !classes.contains(names)).collect();
            return match rest.is_empty() {
                true => Predicate::Always,
                false => Predicate::Not(Box::new(self.any_of(&rest))),
            };
        }
        let one = classes.iter().filter_map(|names| match names {
            Names::One(name) => Some(name.clone()),
            Names::Unlisted(_) | Names::Others => None,
        });
        let one: Box<[Box<str>]> = one.collect();
        let mut parts = Vec::new();
        if !one.is_empty() {
            parts.push(model(TextTest::In(one)));
        }
        parts.extend(classes.iter().filter_map(|names| match names {
            Names::Unlisted(provider) => Some(self.unlisted(provider)),
            Names::One(_) | Names::Others => None,
        }));
        Predicate::Any(parts.into())
    }

    fn unlisted(&self, provider: &str) -> Predicate {
        let starts = ['/', ':'].map(|sign| format!("{provider}{sign}"));
        let known = self.explicit.iter().filter(|name| starts.iter().any(|start| name.starts_with(start.as_str())));
        // A provider alone names no model.
        let known = known.cloned().chain(starts.iter().map(|start| start.as_str().into()));
        let like = starts.iter().map(|start| model(TextTest::Like(Glob(format!("{start}*").into()))));
        Predicate::All([Predicate::Any(like.collect()), model(TextTest::NotIn(known.collect()))].into())
    }
}

fn model(test: TextTest) -> Predicate {
    Predicate::Atom(Atom::Text { fact: TextFact::Model, test })
}

/// The classes whose names mean something else now, those that change alike together.
pub(super) fn changed(classes: &Classes, old: &Effects<'_>, new: &Effects<'_>) -> Vec<Vec<Names>> {
    let mut groups: BTreeMap<(String, String), Vec<Names>> = BTreeMap::new();
    for names in &classes.all {
        let sample = classes.sample(names);
        let (was, is): (Effect, Effect) = (old.of(None, Some(&sample)), new.of(None, Some(&sample)));
        if was != is {
            groups.entry((was.outline(), is.outline())).or_default().push(names.clone());
        }
    }
    groups.into_values().collect()
}
