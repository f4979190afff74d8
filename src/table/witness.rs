//! A health that remembers what a decision has asked of it: what the decision hung on, and nothing else.

use std::cell::RefCell;

use super::health::{Condition, HealthView, Vitals};
use super::{RoutingTable, TargetIdx, TurnIdx};

/// Most targets that are remembered; `auto` may look at every target of a large table.
const MOST: usize = 256;

/// Passes questions on, and remembers the answers: asked twice, it says the same.
pub struct Witness<'h> {
    of: &'h dyn HealthView,
    seen: RefCell<Seen>,
}

/// What a decision has looked at. Empty, without having taken any memory, where everything was up and no strategy asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Targets that strategies compared, and those that were not up.
    targets: Vec<SeenTarget>,
    turns: Vec<(TurnIdx, u64)>,
    /// More targets were looked at than are remembered.
    more: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct SeenTarget {
    target: TargetIdx,
    model: Box<str>,
    vitals: Vitals,
}

impl<'h> Witness<'h> {
    pub fn new(of: &'h dyn HealthView) -> Witness<'h> {
        Witness { of, seen: RefCell::default() }
    }

    pub fn into_seen(self) -> Seen {
        self.seen.into_inner()
    }

    fn known(&self, target: TargetIdx, model: &str) -> Option<Vitals> {
        let seen = self.seen.borrow();
        let known = seen.targets.iter().find(|seen| seen.target == target && *seen.model == *model);
        known.map(|seen| seen.vitals)
    }

    fn note(&self, target: TargetIdx, model: &str, vitals: Vitals) {
        let mut seen = self.seen.borrow_mut();
        if seen.targets.len() < MOST {
            seen.targets.push(SeenTarget { target, model: model.into(), vitals });
        } else {
            seen.more = true;
        }
    }
}

impl HealthView for Witness<'_> {
    fn condition(&self, target: TargetIdx, model: &str) -> Condition {
        let condition = self.of.condition(target, model);
        if condition == Condition::Up {
            return condition;
        }
        match self.known(target, model) {
            Some(vitals) => vitals.condition,
            None => {
                self.note(target, model, Vitals { condition, ..self.of.vitals(target, model) });
                condition
            }
        }
    }

    fn vitals(&self, target: TargetIdx, model: &str) -> Vitals {
        self.known(target, model).unwrap_or_else(|| {
            let vitals = self.of.vitals(target, model);
            self.note(target, model, vitals);
            vitals
        })
    }

    fn turn(&self, turn: TurnIdx) -> u64 {
        let known = self.seen.borrow().turns.iter().find(|(known, _)| *known == turn).map(|(_, taken)| *taken);
        known.unwrap_or_else(|| {
            let taken = self.of.turn(turn);
            self.seen.borrow_mut().turns.push((turn, taken));
            taken
        })
    }
}

impl Seen {
    /// Everything was up, and no strategy asked.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.turns.is_empty()
    }

    /// Nothing is left out.
    pub fn is_whole(&self) -> bool {
        !self.more
    }

    /// What was looked at, as `provider/model`.
    pub fn targets<'s>(&'s self, table: &'s RoutingTable) -> impl Iterator<Item = (String, Vitals)> + 's {
        self.targets.iter().filter_map(|seen| {
            let provider = table.provider(table.target(seen.target)?.provider)?;
            Some((format!("{}/{}", provider.name, seen.model), seen.vitals))
        })
    }

    /// Turns that were taken, by the names that they have over reloads.
    pub fn turns<'s>(&'s self, table: &'s RoutingTable) -> impl Iterator<Item = (&'s str, u64)> + 's {
        self.turns.iter().filter_map(|(turn, taken)| Some((&**table.turns.get(turn.0 as usize)?, *taken)))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    /// Answers differently each time it is asked.
    struct Restless(Cell<u32>);

    impl HealthView for Restless {
        fn condition(&self, target: TargetIdx, _: &str) -> Condition {
            if target.0 == 0 { Condition::Up } else { Condition::Cooling(Duration::from_millis(40)) }
        }

        fn vitals(&self, _: TargetIdx, _: &str) -> Vitals {
            self.0.set(self.0.get() + 1);
            Vitals { in_flight: self.0.get(), ..Vitals::default() }
        }

        fn turn(&self, _: TurnIdx) -> u64 {
            self.0.set(self.0.get() + 1);
            u64::from(self.0.get())
        }
    }

    #[test]
    fn what_was_said_once_holds_and_is_remembered() {
        let restless = Restless(Cell::new(0));
        let witness = Witness::new(&restless);
        assert_eq!(witness.condition(TargetIdx(0), "a"), Condition::Up);
        assert!(witness.seen.borrow().is_empty(), "what is up and is not compared is nothing that a decision hangs on");
        assert_eq!(witness.vitals(TargetIdx(0), "a").in_flight, 1);
        assert_eq!(witness.vitals(TargetIdx(0), "a").in_flight, 1);
        assert_eq!(witness.vitals(TargetIdx(0), "b").in_flight, 2);
        assert_eq!((witness.turn(TurnIdx(3)), witness.turn(TurnIdx(3))), (3, 3));
        assert_ne!(witness.condition(TargetIdx(1), "a"), Condition::Up);
        let seen = witness.into_seen();
        assert_eq!((seen.targets.len(), seen.turns.as_slice(), seen.is_whole()), (3, &[(TurnIdx(3), 3)][..], true));
    }

    #[test]
    fn memory_is_bounded() {
        let restless = Restless(Cell::new(0));
        let witness = Witness::new(&restless);
        for at in 0..300 {
            assert_eq!(witness.vitals(TargetIdx(at), "m").in_flight, at + 1);
        }
        let seen = witness.into_seen();
        assert_eq!((seen.targets.len(), seen.is_whole()), (MOST, false));
    }
}
