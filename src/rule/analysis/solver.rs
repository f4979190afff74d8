//! A small solver for propositional logic: conflict-driven clause learning over two watched literals. Clauses may be added
//! between two runs, which is how the theories of texts and numbers have their say.

#![expect(
    clippy::indexing_slicing,
    reason = "every index is a variable, literal or clause that the solver itself has numbered; `get` on each would hide the algorithm"
)]

use std::collections::{BinaryHeap, HashSet};
use std::ops::Not;

use super::budget::Budget;

/// Literals of long clauses that are looked at in one step.
const LITERALS_PER_STEP: u64 = 16;

/// Variables that are marked in one step.
const VARIABLES_PER_STEP: usize = 64;

/// A variable, or its negation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Lit(u32);

impl Lit {
    fn positive(variable: usize) -> Lit {
        Lit(u32::try_from(variable).unwrap_or(u32::MAX) * 2)
    }

    fn variable(self) -> usize {
        (self.0 / 2) as usize
    }

    fn index(self) -> usize {
        self.0 as usize
    }

    fn is_positive(self) -> bool {
        self.0.is_multiple_of(2)
    }
}

impl Not for Lit {
    type Output = Lit;

    fn not(self) -> Lit {
        Lit(self.0 ^ 1)
    }
}

/// What is known of one variable.
#[derive(Debug, Clone, Copy)]
struct Variable {
    value: Option<bool>,
    /// The value to try first: the one it is to have where nothing speaks against it, later the one it had last.
    phase: bool,
    level: usize,
    /// The clause that forced the value; `None` for a decision.
    reason: Option<usize>,
    activity: u64,
}

#[derive(Debug, Default)]
pub(super) struct Solver {
    variables: Vec<Variable>,
    clauses: Vec<Vec<Lit>>,
    /// By literal: the clauses to look at when it becomes false. These have it at their first or second place.
    watches: Vec<Vec<usize>>,
    trail: Vec<Lit>,
    /// Where each decision stands on the trail.
    levels: Vec<usize>,
    /// Literals of the trail before this one have been propagated.
    propagated: usize,
    /// Variables that may be undecided, the most active first and of equals the oldest. May hold decided ones, and twice.
    queue: BinaryHeap<(u64, std::cmp::Reverse<usize>)>,
    contradiction: bool,
    conflicts: u64,
}

/// The literals of a clause under construction. Most have two or three; one of a hostile list has as many as the list.
struct Known(Option<HashSet<Lit>>);

impl Known {
    fn for_clause(literals: usize) -> Known {
        const FEW: usize = 16;
        Known((literals > FEW).then(HashSet::new))
    }

    fn contains(&self, clause: &[Lit], literal: Lit) -> bool {
        self.0.as_ref().map_or_else(|| clause.contains(&literal), |known| known.contains(&literal))
    }

    fn insert(&mut self, literal: Lit) {
        if let Some(known) = &mut self.0 {
            known.insert(literal);
        }
    }
}

impl Solver {
    /// A new variable, which is `preferred` where nothing speaks against it.
    pub(super) fn variable(&mut self, preferred: bool) -> Lit {
        let variable = self.variables.len();
        self.variables.push(Variable { value: None, phase: preferred, level: 0, reason: None, activity: 0 });
        self.watches.extend([Vec::new(), Vec::new()]);
        self.queue.push((0, std::cmp::Reverse(variable)));
        Lit::positive(variable)
    }

    /// The literal's value in the model that was found last.
    pub(super) fn holds(&self, literal: Lit) -> bool {
        self.value(literal) == Some(true)
    }

    fn value(&self, literal: Lit) -> Option<bool> {
        self.variables[literal.variable()].value.map(|value| value == literal.is_positive())
    }

    /// One of these must hold.
    pub(super) fn clause(&mut self, literals: &[Lit]) {
        self.backtrack(0);
        let mut clause: Vec<Lit> = Vec::with_capacity(literals.len());
        let mut known = Known::for_clause(literals.len());
        for literal in literals {
            match self.value(*literal) {
                Some(true) => return,
                Some(false) => {}
                None if known.contains(&clause, !*literal) => return,
                None if known.contains(&clause, *literal) => {}
                None => {
                    known.insert(*literal);
                    clause.push(*literal);
                }
            }
        }
        match clause.as_slice() {
            [] => self.contradiction = true,
            [only] => self.assign(*only, None),
            _ => drop(self.attach(clause)),
        }
    }

    fn attach(&mut self, clause: Vec<Lit>) -> usize {
        let index = self.clauses.len();
        self.watches[clause[0].index()].push(index);
        self.watches[clause[1].index()].push(index);
        self.clauses.push(clause);
        index
    }

    /// Looks for values under which every clause holds. `None` where the budget does not suffice to tell.
    pub(super) fn solve(&mut self, budget: &mut Budget) -> Option<bool> {
        const FIRST_RESTART: u64 = 100;
        self.backtrack(0);
        let mut restart = (self.conflicts + FIRST_RESTART, FIRST_RESTART);
        loop {
            if self.contradiction {
                return Some(false);
            }
            if let Some(conflict) = self.propagate(budget)? {
                if self.levels.is_empty() {
                    self.contradiction = true;
                    return Some(false);
                }
                self.learn(conflict, budget)?;
                if self.conflicts >= restart.0 {
                    restart = (self.conflicts + restart.1 * 3 / 2, restart.1 * 3 / 2);
                    self.backtrack(0);
                }
                continue;
            }
            let Some(variable) = self.undecided() else { return Some(true) };
            budget.spend(1)?;
            let literal = Lit::positive(variable);
            let literal = if self.variables[variable].phase { literal } else { !literal };
            self.levels.push(self.trail.len());
            self.assign(literal, None);
        }
    }

    fn undecided(&mut self) -> Option<usize> {
        while let Some((activity, std::cmp::Reverse(variable))) = self.queue.pop() {
            let known = &self.variables[variable];
            if known.value.is_none() && known.activity == activity {
                return Some(variable);
            }
        }
        None
    }

    fn assign(&mut self, literal: Lit, reason: Option<usize>) {
        let level = self.levels.len();
        let variable = &mut self.variables[literal.variable()];
        variable.value = Some(literal.is_positive());
        variable.phase = literal.is_positive();
        variable.level = level;
        variable.reason = reason;
        self.trail.push(literal);
    }

    fn backtrack(&mut self, level: usize) {
        let Some(start) = self.levels.get(level).copied() else { return };
        for literal in self.trail.drain(start..) {
            let variable = literal.variable();
            self.variables[variable].value = None;
            self.queue.push((self.variables[variable].activity, std::cmp::Reverse(variable)));
        }
        self.levels.truncate(level);
        self.propagated = self.propagated.min(start);
    }

    /// Assigns what follows; the clause that cannot hold, where there is one.
    fn propagate(&mut self, budget: &mut Budget) -> Option<Option<usize>> {
        while let Some(literal) = self.trail.get(self.propagated).copied() {
            self.propagated += 1;
            let gone = !literal;
            budget.spend(1 + self.watches[gone.index()].len() as u64)?;
            let watching = std::mem::take(&mut self.watches[gone.index()]);
            let mut kept = Vec::with_capacity(watching.len());
            let mut conflict = None;
            let mut searched = 0;
            for index in watching {
                if conflict.is_some() || !self.moved(index, gone, &mut searched) {
                    kept.push(index);
                    if conflict.is_none() {
                        conflict = self.forced(index);
                    }
                }
            }
            self.watches[gone.index()] = kept;
            budget.spend(searched / LITERALS_PER_STEP)?;
            if conflict.is_some() {
                return Some(conflict);
            }
        }
        Some(None)
    }

    /// Lets the clause watch another literal than `gone`, where one is not false. Counts the literals that were looked at.
    fn moved(&mut self, index: usize, gone: Lit, searched: &mut u64) -> bool {
        if self.clauses[index][0] == gone {
            self.clauses[index].swap(0, 1);
        }
        if self.value(self.clauses[index][0]) == Some(true) {
            return false;
        }
        let length = self.clauses[index].len();
        let other = (2..length).find(|at| self.value(self.clauses[index][*at]) != Some(false));
        *searched += other.unwrap_or(length) as u64;
        let Some(at) = other else { return false };
        self.clauses[index].swap(1, at);
        let watched = self.clauses[index][1];
        self.watches[watched.index()].push(index);
        true
    }

    /// The first literal is the last that can hold: it must. The clause itself where it cannot.
    fn forced(&mut self, index: usize) -> Option<usize> {
        let literal = self.clauses[index][0];
        match self.value(literal) {
            Some(true) => None,
            Some(false) => Some(index),
            None => {
                self.assign(literal, Some(index));
                None
            }
        }
    }

    /// Learns why the conflict came about, goes back to where that was decided, and decides otherwise.
    fn learn(&mut self, conflict: usize, budget: &mut Budget) -> Option<()> {
        self.conflicts += 1;
        budget.spend((self.variables.len() / VARIABLES_PER_STEP) as u64)?;
        let (learnt, level) = self.analysed(conflict);
        budget.spend(learnt.len() as u64)?;
        self.backtrack(level);
        let first = learnt[0];
        let reason = if learnt.len() > 1 { Some(self.attach(learnt)) } else { None };
        self.assign(first, reason);
        Some(())
    }

    /// A clause that follows from the others, is false now, and has one literal of the last decision (the first); and the
    /// level of the next to last one.
    fn analysed(&mut self, conflict: usize) -> (Vec<Lit>, usize) {
        let level = self.levels.len();
        let mut seen = vec![false; self.variables.len()];
        let mut learnt: Vec<Lit> = Vec::new();
        let mut open = 0usize;
        let mut at = self.trail.len();
        let mut clause = conflict;
        let mut resolved: Option<Lit> = None;
        loop {
            for place in 0..self.clauses[clause].len() {
                let literal = self.clauses[clause][place];
                let variable = literal.variable();
                if Some(literal) == resolved || seen[variable] || self.variables[variable].level == 0 {
                    continue;
                }
                seen[variable] = true;
                self.bump(variable);
                if self.variables[variable].level == level {
                    open += 1;
                } else {
                    learnt.push(literal);
                }
            }
            // The latest literal of this level that had a part in it.
            let literal = loop {
                at -= 1;
                if seen[self.trail[at].variable()] {
                    break self.trail[at];
                }
            };
            open -= 1;
            match self.variables[literal.variable()].reason {
                Some(reason) if open > 0 => {
                    clause = reason;
                    resolved = Some(literal);
                }
                _ => {
                    learnt.insert(0, !literal);
                    break;
                }
            }
        }
        let level_of = |literal: &Lit| self.variables[literal.variable()].level;
        let second = (1..learnt.len()).max_by_key(|at| level_of(&learnt[*at]));
        let back = second.map_or(0, |at| level_of(&learnt[at]));
        if let Some(at) = second {
            learnt.swap(1, at);
        }
        (learnt, back)
    }

    fn bump(&mut self, variable: usize) {
        self.variables[variable].activity += self.conflicts;
        if self.variables[variable].value.is_none() {
            self.queue.push((self.variables[variable].activity, std::cmp::Reverse(variable)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to give `count` variables values.
    fn brute(count: usize, clauses: &[Vec<(usize, bool)>]) -> bool {
        (0..1u32 << count)
            .any(|bits| clauses.iter().all(|clause| clause.iter().any(|(at, sign)| (bits >> at & 1 == 1) == *sign)))
    }

    #[test]
    fn it_agrees_with_trying_everything() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut yes, mut no) = (0, 0);
        for _ in 0..3_000 {
            let count = random.usize(1..9);
            let clauses: Vec<Vec<(usize, bool)>> = (0..random.usize(0..5 * count))
                .map(|_| (0..random.usize(1..4)).map(|_| (random.usize(0..count), random.bool())).collect())
                .collect();
            let mut solver = Solver::default();
            let variables: Vec<Lit> = (0..count).map(|_| solver.variable(random.bool())).collect();
            let literal = |(at, sign): &(usize, bool)| if *sign { variables[*at] } else { !variables[*at] };
            // In two halves, with a run between them.
            for (at, clause) in clauses.iter().enumerate() {
                if at == clauses.len() / 2 {
                    solver.solve(&mut Budget::new(10_000)).unwrap();
                }
                solver.clause(&clause.iter().map(literal).collect::<Vec<_>>());
            }
            let found = solver.solve(&mut Budget::new(100_000)).unwrap();
            assert_eq!(found, brute(count, &clauses), "{clauses:?}");
            if found {
                assert!(clauses.iter().all(|clause| clause.iter().any(|part| solver.holds(literal(part)))));
                yes += 1;
            } else {
                no += 1;
            }
        }
        assert!(yes > 300 && no > 300, "{yes} {no}");
    }

    #[test]
    fn pigeons_without_enough_holes_are_impossible_or_too_much() {
        let holes = 6;
        let mut solver = Solver::default();
        let sits: Vec<Vec<Lit>> = (0..=holes).map(|_| (0..holes).map(|_| solver.variable(false)).collect()).collect();
        for pigeon in &sits {
            solver.clause(pigeon);
        }
        for hole in 0..holes {
            for (at, first) in sits.iter().enumerate() {
                for second in &sits[at + 1..] {
                    solver.clause(&[!first[hole], !second[hole]]);
                }
            }
        }
        assert_eq!(solver.solve(&mut Budget::new(50)), None);
        assert_eq!(solver.solve(&mut Budget::new(10_000_000)), Some(false));
    }
}
