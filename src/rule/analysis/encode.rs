//! Conditions as clauses. A number is a row of literals `x <= c`, a text one literal for each value and pattern that it is
//! compared with; that these fit together is said by clauses where that is cheap, and looked at once a model is found where
//! it is not (see `model`).

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::budget::Budget;
use super::solver::{Lit, Solver};
use super::space::{KeyFacts, Linked, Space};
use super::texts::Legal;
use crate::glob::Glob;
use crate::rule::predicate::{Atom, Comparison, Predicate, TextTest, ValueFact, ValueTest};
use crate::rule::{FlagFact, NumberFact, TextFact};

/// A set of conditions of which it is asked whether one request can meet them all.
pub(super) struct Encoding<'s> {
    pub(super) space: &'s Space,
    pub(super) solver: Solver,
    /// Holds always.
    yes: Lit,
    pub(super) texts: Vec<TextVariable>,
    by_text: HashMap<TextFact, usize>,
    pub(super) numbers: Vec<NumberVariable>,
    by_number: HashMap<Number, usize>,
    pub(super) flags: Vec<(FlagFact, Lit)>,
    by_flag: HashMap<FlagFact, Lit>,
    /// Steps of encoding since the last run of the solver.
    work: u64,
}

/// What the steps of encoding may come to: hostile conditions compare every text with every pattern.
const MOST_WORK: u64 = 1_000_000;

/// A text of the request.
pub(super) struct TextVariable {
    pub(super) fact: TextFact,
    pub(super) legal: Legal,
    pub(super) absent: Lit,
    /// At most one of these holds, and none where the text is absent or another one.
    pub(super) values: Vec<(Box<str>, Lit)>,
    by_value: HashMap<Box<str>, Lit>,
    /// Some value so far holds.
    one_of: Option<Lit>,
    pub(super) globs: Vec<(Glob, Lit)>,
    by_glob: HashMap<Box<str>, Lit>,
}

/// What is counted: a fact, or the position of the client key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Number {
    Fact(ValueFact),
    ClientKey,
}

/// A number of the request.
pub(super) struct NumberVariable {
    pub(super) number: Number,
    pub(super) greatest: u64,
    pub(super) plain: u64,
    /// `x <= c`, for every c below the greatest value that is asked for.
    pub(super) cuts: BTreeMap<u64, Lit>,
}

impl<'s> Encoding<'s> {
    pub(super) fn new(space: &'s Space) -> Encoding<'s> {
        let mut solver = Solver::default();
        let yes = solver.variable(true);
        solver.clause(&[yes]);
        Encoding {
            space,
            solver,
            yes,
            texts: Vec::new(),
            by_text: HashMap::new(),
            numbers: Vec::new(),
            by_number: HashMap::new(),
            flags: Vec::new(),
            by_flag: HashMap::new(),
            work: 0,
        }
    }

    /// Requires that the condition holds, or that it does not.
    pub(super) fn require(&mut self, condition: &Predicate, holds: bool) {
        match (condition, holds) {
            (Predicate::Not(inner), holds) => self.require(inner, !holds),
            (Predicate::All(parts), true) => parts.iter().for_each(|part| self.require(part, true)),
            (Predicate::Any(parts), false) => parts.iter().for_each(|part| self.require(part, false)),
            (Predicate::Any(parts), true) | (Predicate::All(parts), false) => {
                let literals: Vec<Lit> = parts.iter().map(|part| self.literal(part, holds)).collect();
                self.solver.clause(&literals);
            }
            (condition, holds) => {
                let literal = self.literal(condition, holds);
                self.solver.clause(&[literal]);
            }
        }
    }

    /// A literal that holds where the condition does, or where it does not.
    fn literal(&mut self, condition: &Predicate, holds: bool) -> Lit {
        let literal = match condition {
            Predicate::Always => self.yes,
            Predicate::Not(inner) => return self.literal(inner, !holds),
            Predicate::All(parts) => {
                let literals = parts.iter().map(|part| self.literal(part, true)).collect();
                self.all(literals)
            }
            Predicate::Any(parts) => {
                let literals = parts.iter().map(|part| self.literal(part, true)).collect();
                self.any(literals)
            }
            Predicate::Atom(atom) => self.atom(atom),
        };
        if holds { literal } else { !literal }
    }

    /// Runs the solver. `None` where the budget does not suffice.
    pub(super) fn run(&mut self, budget: &mut Budget) -> Option<bool> {
        // Past the bound, literals do not mean what they should.
        if self.work > MOST_WORK {
            budget.spend(u64::MAX)?;
        }
        budget.spend(std::mem::take(&mut self.work))?;
        self.solver.solve(budget)
    }

    fn atom(&mut self, atom: &Atom) -> Lit {
        self.work += values(atom);
        match atom {
            Atom::Text { fact, test } => self.text(fact, test),
            Atom::Value { fact, test } => self.value(&Number::Fact(fact.clone()), test),
            Atom::Flag(fact) => self.flag(fact),
        }
    }

    // === gates

    fn all(&mut self, mut literals: Vec<Lit>) -> Lit {
        literals.retain(|literal| *literal != self.yes);
        match literals.as_slice() {
            [] => self.yes,
            [only] => *only,
            _ if literals.contains(&!self.yes) => !self.yes,
            _ => {
                let gate = self.solver.variable(true);
                for literal in &literals {
                    self.solver.clause(&[!gate, *literal]);
                }
                let mut back: Vec<Lit> = literals.iter().map(|literal| !*literal).collect();
                back.push(gate);
                self.solver.clause(&back);
                gate
            }
        }
    }

    fn any(&mut self, literals: Vec<Lit>) -> Lit {
        let opposite = literals.into_iter().map(|literal| !literal).collect();
        !self.all(opposite)
    }

    // === flags

    fn flag(&mut self, fact: &FlagFact) -> Lit {
        if let Some(known) = self.by_flag.get(fact) {
            return *known;
        }
        let literal = self.solver.variable(false);
        self.by_flag.insert(fact.clone(), literal);
        self.flags.push((fact.clone(), literal));
        if matches!(fact, FlagFact::Tool(_)) {
            // More than one tool is counted once there is a model.
            let none = self.at_most(&Number::Fact(ValueFact::Number(NumberFact::Tools)), 0);
            self.solver.clause(&[!literal, !none]);
        }
        literal
    }

    // === numbers

    fn value(&mut self, number: &Number, test: &ValueTest) -> Lit {
        match test {
            ValueTest::Compare(comparison, value) => self.compared(number, *comparison, *value),
            ValueTest::In(list) => {
                let values = list.iter().map(|value| self.compared(number, Comparison::Equal, *value)).collect();
                self.any(values)
            }
            ValueTest::NotIn(list) => {
                let values = list.iter().map(|value| self.compared(number, Comparison::NotEqual, *value)).collect();
                self.all(values)
            }
        }
    }

    fn compared(&mut self, number: &Number, comparison: Comparison, value: u64) -> Lit {
        match comparison {
            Comparison::AtMost => self.at_most(number, value),
            Comparison::Greater => !self.at_most(number, value),
            Comparison::Less => self.below(number, value),
            Comparison::AtLeast => !self.below(number, value),
            Comparison::Equal => self.between(number, value, value),
            Comparison::NotEqual => !self.between(number, value, value),
        }
    }

    fn below(&mut self, number: &Number, value: u64) -> Lit {
        match value.checked_sub(1) {
            Some(before) => self.at_most(number, before),
            None => !self.yes,
        }
    }

    fn between(&mut self, number: &Number, least: u64, most: u64) -> Lit {
        let (upper, lower) = (self.at_most(number, most), self.below(number, least));
        self.all(vec![upper, !lower])
    }

    /// `x <= value`.
    pub(super) fn at_most(&mut self, number: &Number, value: u64) -> Lit {
        let at = self.number(number);
        let Some(variable) = self.numbers.get_mut(at) else { return self.yes };
        if value >= variable.greatest {
            return self.yes;
        }
        if let Some(known) = variable.cuts.get(&value) {
            return *known;
        }
        let cut = self.solver.variable(variable.plain <= value);
        let before = variable.cuts.range(..value).next_back().map(|(_, literal)| *literal);
        let after = variable.cuts.range((Bound::Excluded(value), Bound::Unbounded)).next().map(|(_, literal)| *literal);
        variable.cuts.insert(value, cut);
        before.into_iter().for_each(|before| self.solver.clause(&[!before, cut]));
        after.into_iter().for_each(|after| self.solver.clause(&[!cut, after]));
        cut
    }

    fn number(&mut self, number: &Number) -> usize {
        if let Some(known) = self.by_number.get(number) {
            return *known;
        }
        let (greatest, plain) = match number {
            Number::Fact(fact) => (Space::greatest(fact), Space::plain(fact)),
            Number::ClientKey => ((self.space.keys.len() as u64).saturating_sub(1), 0),
        };
        let at = self.numbers.len();
        self.numbers.push(NumberVariable { number: number.clone(), greatest, plain, cuts: BTreeMap::new() });
        self.by_number.insert(number.clone(), at);
        if *number == Number::Fact(ValueFact::Protocol) {
            for unspoken in Space::unspoken() {
                let literal = self.between(number, unspoken, unspoken);
                self.solver.clause(&[!literal]);
            }
        }
        at
    }

    /// The number of the variable that holds this number, where some condition asks for it.
    pub(super) fn known_number(&self, number: &Number) -> Option<&NumberVariable> {
        self.by_number.get(number).and_then(|at| self.numbers.get(*at))
    }

    // === texts

    fn text(&mut self, fact: &TextFact, test: &TextTest) -> Lit {
        match (fact, self.space.linked(fact)) {
            (TextFact::Key | TextFact::KeyAttribute(_), _) => self.of_key(fact, test),
            (_, Some(Linked { facts })) => self.first_there(&facts, test),
            (fact, None) => self.own_text(fact, test),
        }
    }

    /// The test of the first of these texts that is there, or of none.
    fn first_there(&mut self, facts: &[TextFact], test: &TextTest) -> Lit {
        let mut cases = Vec::new();
        let mut absent = Vec::new();
        for fact in facts {
            let missing = self.own_text(fact, &TextTest::Absent);
            let mut case = absent.clone();
            case.extend([!missing, self.own_text(fact, test)]);
            cases.push(self.all(case));
            absent.push(missing);
        }
        if test.holds(None) {
            cases.push(self.all(absent));
        }
        self.any(cases)
    }

    /// The client keys of which the test holds, as ranges of their positions.
    fn of_key(&mut self, fact: &TextFact, test: &TextTest) -> Lit {
        if self.space.keys.is_empty() {
            return if test.holds(None) { self.yes } else { !self.yes };
        }
        self.work += self.space.keys.len() as u64;
        if self.work > MOST_WORK {
            return !self.yes;
        }
        let holds: Vec<bool> = self.space.keys.iter().map(|key: &KeyFacts| test.holds(key.text(fact))).collect();
        let mut start = 0u64;
        let mut ranges = Vec::new();
        for run in holds.chunk_by(|a, b| a == b) {
            let end = start + run.len() as u64;
            if run.first() == Some(&true) {
                ranges.push(self.between(&Number::ClientKey, start, end - 1));
            }
            start = end;
        }
        self.any(ranges)
    }

    fn own_text(&mut self, fact: &TextFact, test: &TextTest) -> Lit {
        let Some(at) = self.text_variable(fact) else {
            return if test.holds(None) { self.yes } else { !self.yes };
        };
        match test {
            TextTest::Equal(text) => self.equal(at, text),
            TextTest::NotEqual(text) => !self.equal(at, text),
            TextTest::In(list) => {
                let values = list.iter().map(|text| self.equal(at, text)).collect();
                self.any(values)
            }
            TextTest::NotIn(list) => {
                let values = list.iter().map(|text| !self.equal(at, text)).collect();
                self.all(values)
            }
            TextTest::Like(glob) => self.like(at, glob),
            TextTest::Absent => self.texts.get(at).map_or(!self.yes, |text| text.absent),
        }
    }

    /// The position of the fact's variable; `None` where the fact is never there.
    fn text_variable(&mut self, fact: &TextFact) -> Option<usize> {
        if let Some(known) = self.by_text.get(fact) {
            return Some(*known);
        }
        let legal = Space::legal(fact)?;
        let absent = if *fact == TextFact::Model { !self.yes } else { self.solver.variable(true) };
        let at = self.texts.len();
        self.texts.push(TextVariable {
            fact: fact.clone(),
            legal,
            absent,
            values: Vec::new(),
            by_value: HashMap::new(),
            one_of: None,
            globs: Vec::new(),
            by_glob: HashMap::new(),
        });
        self.by_text.insert(fact.clone(), at);
        Some(at)
    }

    pub(super) fn known_text(&self, fact: &TextFact) -> Option<&TextVariable> {
        self.by_text.get(fact).and_then(|at| self.texts.get(*at))
    }

    fn equal(&mut self, at: usize, text: &str) -> Lit {
        let no = !self.yes;
        let Some(variable) = self.texts.get_mut(at) else { return no };
        if let Some(known) = variable.by_value.get(text) {
            return *known;
        }
        self.work += variable.globs.len() as u64;
        if self.work > MOST_WORK || !variable.legal.allows(text) {
            return no;
        }
        let solver = &mut self.solver;
        let value = solver.variable(false);
        solver.clause(&[!value, !variable.absent]);
        let one_of = solver.variable(false);
        solver.clause(&[!value, one_of]);
        match variable.one_of {
            Some(earlier) => {
                solver.clause(&[!value, !earlier]);
                solver.clause(&[!earlier, one_of]);
                solver.clause(&[!one_of, earlier, value]);
            }
            None => solver.clause(&[!one_of, value]),
        }
        variable.one_of = Some(one_of);
        for (glob, literal) in &variable.globs {
            solver.clause(&[!value, if glob.matches(text) { *literal } else { !*literal }]);
        }
        variable.values.push((text.into(), value));
        variable.by_value.insert(text.into(), value);
        value
    }

    fn like(&mut self, at: usize, glob: &Glob) -> Lit {
        if !glob.0.contains('*') {
            return self.equal(at, &glob.0);
        }
        let no = !self.yes;
        let Some(variable) = self.texts.get_mut(at) else { return no };
        if glob.0.bytes().all(|byte| byte == b'*') {
            return !variable.absent;
        }
        if !glob.0.chars().all(|c| variable.legal.allows_inside(c)) {
            return no;
        }
        if let Some(known) = variable.by_glob.get(&glob.0) {
            return *known;
        }
        self.work += variable.values.len() as u64;
        if self.work > MOST_WORK {
            return no;
        }
        let solver = &mut self.solver;
        let literal = solver.variable(false);
        solver.clause(&[!literal, !variable.absent]);
        for (text, value) in &variable.values {
            solver.clause(&[!*value, if glob.matches(text) { literal } else { !literal }]);
        }
        variable.globs.push((glob.clone(), literal));
        variable.by_glob.insert(glob.0.clone(), literal);
        literal
    }
}

/// What a test compares with, in steps.
fn values(atom: &Atom) -> u64 {
    let count = match atom {
        Atom::Text { test: TextTest::In(list) | TextTest::NotIn(list), .. } => list.len(),
        Atom::Value { test: ValueTest::In(list) | ValueTest::NotIn(list), .. } => list.len(),
        Atom::Text { .. } | Atom::Value { .. } | Atom::Flag(_) => 1,
    };
    count as u64
}
