//! What two tables do differently, for all requests at once: classes of requests whose outcome changes, each with a request
//! that shows it. Nothing is said where nothing changes: comments, names that nobody can ask for, the order of rules that
//! take no request from each other.
//!
//! A request is taken by one rule of the old table and by one of the new. Of every such pair that does not do the same it is
//! proved, over the rules of both, whether some request comes to it. Where a rule leads to what the caller's model means,
//! the names of models are told apart into classes, see `names`.

mod effect;
mod names;
mod words;

use std::collections::BTreeMap;

pub use effect::{Aim, Effect, Effects};
pub use words::differences;

use super::{RouteNode, RoutingTable, RuleOutcome};
use crate::rule::analysis::{Budget, KeyFacts, PairProver, Side, Space, Verdict};
use crate::rule::predicate::{Atom, Predicate};
use crate::rule::request::RequestShape;
use crate::rule::{Facts, TextFact};
use names::{Classes, Names};

/// Steps of proof that a comparison may take: counted, so that it says the same everywhere.
const BUDGET: u64 = 40_000_000;

/// What changes between two tables.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    pub changes: Vec<Change>,
    /// Pairs of rules of which the budget did not suffice to tell.
    pub undecided: usize,
}

/// A class of requests whose outcome changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The positions of the rules that take them, `None` where no rule does.
    pub rules: (Option<usize>, Option<usize>),
    /// How many pairs of rules change alike, this one included.
    pub pairs: usize,
    /// The names of models that change, where the rules do the same and the names do not.
    pub names: Vec<String>,
    /// One of the requests.
    pub witness: Box<RequestShape>,
    /// What becomes of that request.
    pub old: Effect,
    pub new: Effect,
}

/// One table, as the comparison sees it.
struct Sided<'t> {
    table: &'t RoutingTable,
    effects: Effects<'t>,
    /// Conditions over the facts of both tables.
    conditions: Vec<Predicate>,
    /// What each rule does, and then what becomes of a request that no rule takes.
    outcomes: Vec<Effect>,
}

impl<'t> Sided<'t> {
    fn new(table: &'t RoutingTable, mark: char) -> Sided<'t> {
        let effects = Effects::new(table);
        let mut outcomes: Vec<Effect> =
            table.rules.iter().map(|rule| effects.of(route(table, rule.then), None)).collect();
        outcomes.push(effects.of(None, None));
        let conditions = table.rules.iter().map(|rule| marked(&rule.when, mark)).collect();
        Sided { table, effects, conditions, outcomes }
    }

    /// The request as this table sees it: its client key has what this table says of it.
    fn seen(&self, shape: &RequestShape) -> RequestShape {
        let key = shape.key.as_deref().and_then(|id| self.table.keys.iter().find(|key| *key.id == *id));
        let mut shape = shape.clone();
        shape.key = key.map(|key| key.id.to_string());
        let attributes = key.iter().flat_map(|key| &key.attributes);
        shape.key_attributes = attributes.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        shape
    }

    fn first(&self, shape: &RequestShape) -> Option<usize> {
        self.table.rule_index.first(&self.table.rules, &self.seen(shape))
    }

    fn outcome(&self, rule: Option<usize>) -> Option<&Effect> {
        self.outcomes.get(rule.unwrap_or(self.conditions.len()))
    }

    /// What the rule does with a request for this model.
    fn concrete(&self, rule: Option<usize>, model: &str) -> Effect {
        let route = rule.and_then(|at| self.table.rules.get(at)).and_then(|rule| route(self.table, rule.then));
        self.effects.of(route, Some(model))
    }
}

fn route(table: &RoutingTable, then: RuleOutcome) -> Option<&RouteNode> {
    match then {
        RuleOutcome::Route(index) => table.route(index).map(|route| &route.node),
        RuleOutcome::AsRequested => None,
    }
}

/// Compares what two tables do.
pub fn compare(old: &RoutingTable, new: &RoutingTable) -> Comparison {
    let Some(keys) = shared_keys(old, new) else { return Comparison::default() };
    let (old, new) = (Sided::new(old, 'o'), Sided::new(new, 'n'));
    let space = Space::new(keys, old.conditions.iter().chain(&new.conditions));
    let (first_old, first_new) = (|shape: &RequestShape| old.first(shape), |shape: &RequestShape| new.first(shape));
    let sides = (
        Side { conditions: &old.conditions, first: &first_old },
        Side { conditions: &new.conditions, first: &first_new },
    );
    let mut comparing = Comparing {
        old: &old,
        new: &new,
        classes: Classes::new([old.table, new.table]),
        prover: PairProver::new(&space, sides.0, sides.1, Budget::new(BUDGET)),
        found: Comparison::default(),
        known: BTreeMap::new(),
    };
    let pairs = pairs(&old, &new);
    comparing.rules(&pairs);
    comparing.names(&pairs);
    comparing.found
}

/// The client keys that both tables take, with what each says of them; `None` where no request can come to both.
fn shared_keys(old: &RoutingTable, new: &RoutingTable) -> Option<Vec<KeyFacts>> {
    let ids = |table: &RoutingTable| -> Vec<String> { table.keys.iter().map(|key| key.id.to_string()).collect() };
    let (of_old, of_new) = (ids(old), ids(new));
    let shared: Vec<String> = match (of_old.is_empty(), of_new.is_empty()) {
        (true, _) => of_new,
        (false, true) => of_old,
        (false, false) => {
            let both: Vec<String> = of_old.into_iter().filter(|id| of_new.contains(id)).collect();
            if both.is_empty() {
                return None;
            }
            both
        }
    };
    let facts = |id: String| {
        let mut attributes = BTreeMap::new();
        for (table, mark) in [(old, 'o'), (new, 'n')] {
            let Some(key) = table.keys.iter().find(|key| *key.id == *id) else { continue };
            attributes.insert(own_id(mark), id.clone());
            attributes.extend(key.attributes.iter().map(|(name, value)| (own(mark, name), value.to_string())));
        }
        KeyFacts { id, attributes }
    };
    Some(shared.into_iter().map(facts).collect())
}

/// What one table calls an attribute: names of files have no such sign in them.
fn own(mark: char, attribute: &str) -> String {
    format!("\u{0}{mark}.{attribute}")
}

fn own_id(mark: char) -> String {
    format!("\u{0}{mark}")
}

/// The condition over what this table says of keys.
fn marked(condition: &Predicate, mark: char) -> Predicate {
    let all = |parts: &[Predicate]| parts.iter().map(|part| marked(part, mark)).collect();
    match condition {
        Predicate::Always => Predicate::Always,
        Predicate::All(parts) => Predicate::All(all(parts)),
        Predicate::Any(parts) => Predicate::Any(all(parts)),
        Predicate::Not(inner) => Predicate::Not(Box::new(marked(inner, mark))),
        Predicate::Atom(Atom::Text { fact: TextFact::Key, test }) => {
            let fact = TextFact::KeyAttribute(own_id(mark).into());
            Predicate::Atom(Atom::Text { fact, test: test.clone() })
        }
        Predicate::Atom(Atom::Text { fact: TextFact::KeyAttribute(name), test }) => {
            let fact = TextFact::KeyAttribute(own(mark, name).into());
            Predicate::Atom(Atom::Text { fact, test: test.clone() })
        }
        Predicate::Atom(atom) => Predicate::Atom(atom.clone()),
    }
}

type Pair = (Option<usize>, Option<usize>);

/// The pairs of rules that a request may come to. What both files begin with takes the same requests in both, and so does
/// what both end with.
fn pairs(old: &Sided<'_>, new: &Sided<'_>) -> Vec<Pair> {
    let same_key = old.table.keys == new.table.keys;
    let alike = |(a, b): (&super::Rule, &super::Rule)| a.when == b.when && (same_key || !asks_for_key(&a.when));
    let (rules_old, rules_new) = (&old.table.rules, &new.table.rules);
    let begin = rules_old.iter().zip(rules_new).take_while(|(a, b)| alike((a, b))).count();
    let rest = rules_old.len().min(rules_new.len()) - begin;
    let end = rules_old.iter().rev().zip(rules_new.iter().rev()).take(rest).take_while(|(a, b)| alike((a, b))).count();
    let (end_old, end_new) = (rules_old.len() - end, rules_new.len() - end);
    let both_end = || (0..end).map(|at| (Some(end_old + at), Some(end_new + at))).chain([(None, None)]);
    let mut pairs: Vec<Pair> = (0..begin).map(|at| (Some(at), Some(at))).collect();
    for of_old in begin..end_old {
        pairs.extend((begin..end_new).map(|of_new| (Some(of_old), Some(of_new))));
        pairs.extend(both_end().map(|(_, of_new)| (Some(of_old), of_new)));
    }
    for (of_old, _) in both_end() {
        pairs.extend((begin..end_new).map(|of_new| (of_old, Some(of_new))));
    }
    pairs.extend(both_end());
    pairs
}

fn asks_for_key(condition: &Predicate) -> bool {
    match condition {
        Predicate::All(parts) | Predicate::Any(parts) => parts.iter().any(asks_for_key),
        Predicate::Not(inner) => asks_for_key(inner),
        Predicate::Atom(Atom::Text { fact, .. }) => matches!(fact, TextFact::Key | TextFact::KeyAttribute(_)),
        Predicate::Always | Predicate::Atom(_) => false,
    }
}

struct Comparing<'c, 't> {
    old: &'c Sided<'t>,
    new: &'c Sided<'t>,
    classes: Classes,
    prover: PairProver<'c>,
    found: Comparison,
    /// The changes by what they change, so that many pairs of rules that change alike are told once.
    known: BTreeMap<(String, String), usize>,
}

impl Comparing<'_, '_> {
    /// Pairs of rules that do not do the same.
    fn rules(&mut self, pairs: &[Pair]) {
        for (of_old, of_new) in pairs.iter().copied() {
            let (Some(was), Some(is)) = (self.old.outcome(of_old), self.new.outcome(of_new)) else { continue };
            if was == is {
                continue;
            }
            let (was, is) = (was.clone(), is.clone());
            let required = if was.is_open() || is.is_open() {
                let differing = self.differing((of_old, of_new));
                if differing.is_empty() {
                    continue;
                }
                self.classes.any_of(&differing.iter().collect::<Vec<_>>())
            } else {
                Predicate::Always
            };
            match self.prover.reaches(of_old, of_new, &[(&required, true)]) {
                Verdict::Request(witness) => self.add((of_old, of_new), (&was, &is), *witness),
                Verdict::Never(_) => {}
                Verdict::Undecided => self.found.undecided += 1,
            }
        }
    }

    /// The names with which the two rules do not do the same.
    fn differing(&self, (of_old, of_new): Pair) -> Vec<Names> {
        let differs = |names: &&Names| {
            let sample = self.classes.sample(names);
            self.old.concrete(of_old, &sample) != self.new.concrete(of_new, &sample)
        };
        self.classes.all.iter().filter(differs).cloned().collect()
    }

    fn add(&mut self, rules: Pair, (was, is): (&Effect, &Effect), witness: RequestShape) {
        let (old, new) = (self.old.concrete(rules.0, &witness.model), self.new.concrete(rules.1, &witness.model));
        debug_assert!(old != new, "a witness whose outcome does not change");
        let texts = (format!("{was:?}"), format!("{is:?}"));
        if let Some(known) = self.known.get(&texts).and_then(|at| self.found.changes.get_mut(*at)) {
            known.pairs += 1;
            return;
        }
        self.known.insert(texts, self.found.changes.len());
        let change =
            Change { rules, pairs: 1, names: Vec::new(), witness: Box::new(self.old.seen(&witness)), old, new };
        self.found.changes.push(change);
    }

    /// Names that mean something else now, where both tables take a model by its name in the same way.
    fn names(&mut self, pairs: &[Pair]) {
        let open: Vec<Pair> = pairs
            .iter()
            .copied()
            .filter(|(of_old, of_new)| {
                let was = self.old.outcome(*of_old);
                was.is_some_and(Effect::is_open) && was == self.new.outcome(*of_new)
            })
            .collect();
        for group in names::changed(&self.classes, &self.old.effects, &self.new.effects) {
            let condition = self.classes.any_of(&group.iter().collect::<Vec<_>>());
            for (of_old, of_new) in open.iter().rev().copied() {
                match self.prover.reaches(of_old, of_new, &[(&condition, true)]) {
                    Verdict::Never(_) => {}
                    Verdict::Undecided => self.found.undecided += 1,
                    Verdict::Request(witness) => {
                        let model = &witness.model;
                        let (old, new) = (self.old.concrete(of_old, model), self.new.concrete(of_new, model));
                        if old == new {
                            continue;
                        }
                        let names = group.iter().map(|names| self.told(names)).collect();
                        let witness = Box::new(self.old.seen(&witness));
                        self.found.changes.push(Change { rules: (of_old, of_new), pairs: 1, names, witness, old, new });
                        break;
                    }
                }
            }
        }
    }

    fn told(&self, names: &Names) -> String {
        match names {
            Names::One(name) => name.to_string(),
            Names::Unlisted(provider) => format!("{provider}/*"),
            Names::Others => self.classes.sample(names),
        }
    }
}

/// What becomes of one request in both tables: the comparison of [`compare`] for a request that is there.
pub fn of_request(old: &RoutingTable, new: &RoutingTable, facts: (&dyn Facts, &dyn Facts)) -> (Effect, Effect) {
    let one = |table: &RoutingTable, facts: &dyn Facts| {
        let fired = table.rule_index.first(&table.rules, facts).and_then(|at| table.rules.get(at));
        let route = fired.and_then(|rule| route(table, rule.then));
        Effects::new(table).of(route, Some(facts.model()))
    };
    (one(old, facts.0), one(new, facts.1))
}
