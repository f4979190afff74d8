//! Questions about two lists of rules at once: is there a request that this rule of the one takes, and that rule of the
//! other?

use super::model::Answer;
use super::{Budget, OVERHEAD, Prover, Required, Space, Verdict};
use crate::rule::predicate::Predicate;
use crate::rule::request::RequestShape;

/// Rules that are asked in one step.
const RULES_PER_STEP: usize = 16;

/// The rules of one file.
#[derive(Clone, Copy)]
pub struct Side<'p> {
    pub conditions: &'p [Predicate],
    /// The position of the rule that takes a request.
    pub first: &'p dyn Fn(&RequestShape) -> Option<usize>,
}

/// Answers questions about the rules of two files.
pub struct PairProver<'p> {
    prover: Prover<'p>,
    old: Side<'p>,
    new: Side<'p>,
}

/// The conditions of one side that were required not to hold.
#[derive(Default)]
struct Covering(Vec<usize>);

enum Step {
    /// The wanted rule takes the request.
    Taken,
    /// An earlier one does.
    Earlier(usize),
    Undecided,
}

impl<'p> PairProver<'p> {
    pub fn new(space: &'p Space, old: Side<'p>, new: Side<'p>, budget: Budget) -> PairProver<'p> {
        // Each side has its own first rule; the prover is asked for models alone.
        PairProver { prover: Prover::new(space, Vec::new(), &|_| (None, 0), budget), old, new }
    }

    pub fn is_exhausted(&self) -> bool {
        self.prover.is_exhausted()
    }

    /// Is there a request that meets `required` and is taken by these rules, or, without one, by no rule of that side?
    pub fn reaches(&mut self, old: Option<usize>, new: Option<usize>, required: &[Required<'_>]) -> Verdict {
        let own = |side: &Side<'p>, rule: Option<usize>| -> Option<&'p Predicate> { side.conditions.get(rule?) };
        let both = [own(&self.old, old), own(&self.new, new)].into_iter().flatten().map(|condition| (condition, true));
        let required: Vec<Required<'_>> = both.chain(required.iter().copied()).collect();
        let mut encoding = self.prover.encoded(&required);
        let mut question = self.prover.question();
        let (mut of_old, mut of_new) = (Covering::default(), Covering::default());
        loop {
            let shape = match self.prover.ask(&mut encoding, &required, &mut question) {
                Answer::Request(shape) => shape,
                Answer::Undecided => return Verdict::Undecided,
                Answer::Impossible => return Verdict::Never(super::Never::default()),
            };
            let asked = (self.old.conditions.len() + self.new.conditions.len()) / RULES_PER_STEP;
            if self.prover.spend(&mut question, asked as u64 / OVERHEAD + 1).is_none() {
                return Verdict::Undecided;
            }
            let steps = [(self.old, old, &mut of_old), (self.new, new, &mut of_new)].map(|(side, rule, covering)| {
                let step = covering.step((side.first)(&shape), rule);
                if let Step::Earlier(at) = step
                    && let Some(condition) = side.conditions.get(at)
                {
                    encoding.require(condition, false);
                }
                step
            });
            match steps {
                [Step::Taken, Step::Taken] => return Verdict::Request(shape),
                [Step::Undecided, _] | [_, Step::Undecided] => return Verdict::Undecided,
                _ => {}
            }
        }
    }
}

impl Covering {
    /// A rule that was said not to hold takes nothing, and one below the wanted one comes too late.
    fn step(&mut self, taken: Option<usize>, wanted: Option<usize>) -> Step {
        match taken {
            taken if taken == wanted => Step::Taken,
            Some(at) if wanted.is_none_or(|wanted| at < wanted) && !self.0.contains(&at) => {
                self.0.push(at);
                Step::Earlier(at)
            }
            _ => Step::Undecided,
        }
    }
}
