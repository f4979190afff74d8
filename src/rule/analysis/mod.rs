//! What can be said of rules for all requests at once: which can never fire, what no rule meets, which conditions hold
//! always or never. Exact over the space of requests that [`Space`] describes, and each answer that something can be comes
//! with a request that shows it.
//!
//! A question is a few conditions that one request is to meet. Whether the rules above leave that request alone is asked of
//! the rules themselves: as long as one of them takes it, "and that one does not hold" is added, and another request looked
//! for. So only the rules that matter are ever looked at together, and those that cover a rule are known in the end.
//!
//! [`Budget`] bounds the work; past it the answer is that it could not be decided, never a wrong one.

mod budget;
mod encode;
mod model;
mod pairs;
mod solver;
mod space;
mod texts;

pub use budget::Budget;
pub use pairs::{PairProver, Side};
pub use space::{KeyFacts, Space};

use encode::Encoding;
use model::Answer;

use super::predicate::Predicate;
use super::request::RequestShape;

/// Steps that one question may take.
const QUESTION: u64 = 600_000;

/// What an answer costs at least, so that many cheap ones come to an end too.
const OVERHEAD: u64 = 20;

/// Tests of rules that are asked in one step.
const TESTS_PER_STEP: u64 = 5;

/// A condition, and whether it is to hold.
pub type Required<'p> = (&'p Predicate, bool);

/// The position of the rule that takes a request, and how many tests were asked to find it.
pub type First<'p> = &'p dyn Fn(&RequestShape) -> (Option<usize>, u64);

/// Answers questions about the rules of one file.
pub struct Prover<'p> {
    space: &'p Space,
    conditions: Vec<&'p Predicate>,
    first: First<'p>,
    budget: Budget,
}

/// Whether there is a request that meets some conditions.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// This one does.
    Request(Box<RequestShape>),
    /// None does.
    Never(Never),
    /// The budget does not suffice to tell.
    Undecided,
}

/// Why no request comes so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Never {
    /// The rules that take every such request, in order; without all of them there would be one left. Empty: no request
    /// meets the conditions at all.
    pub covered_by: Vec<usize>,
    /// A request that meets the conditions and is taken by one of these.
    pub example: Option<Box<RequestShape>>,
}

impl<'p> Prover<'p> {
    /// `first` says which of `conditions` is the first that a request meets.
    pub fn new(space: &'p Space, conditions: Vec<&'p Predicate>, first: First<'p>, budget: Budget) -> Prover<'p> {
        Prover { space, conditions, first, budget }
    }

    /// There is no budget left for any question.
    pub fn is_exhausted(&self) -> bool {
        self.budget.left() == 0
    }

    /// Is there a request that meets `required`, whatever the rules?
    pub fn meets(&mut self, required: &[Required<'_>]) -> Verdict {
        let mut encoding = self.encoded(required);
        match self.ask(&mut encoding, required, &mut self.question()) {
            Answer::Request(shape) => Verdict::Request(shape),
            Answer::Impossible => Verdict::Never(Never::default()),
            Answer::Undecided => Verdict::Undecided,
        }
    }

    /// Is there a request that meets `required` and is taken by the rule at this position, or, without one, by no rule?
    pub fn reaches(&mut self, rule: Option<usize>, required: &[Required<'_>]) -> Verdict {
        let own = rule.and_then(|at| self.conditions.get(at)).map(|condition| (*condition, true));
        let required: Vec<Required<'_>> = own.into_iter().chain(required.iter().copied()).collect();
        let mut encoding = self.encoded(&required);
        let mut question = self.question();
        let mut covering: Vec<usize> = Vec::new();
        let mut example = None;
        loop {
            let shape = match self.ask(&mut encoding, &required, &mut question) {
                Answer::Request(shape) => shape,
                Answer::Undecided => return Verdict::Undecided,
                Answer::Impossible => {
                    let covered_by = self.fewest(&required, covering);
                    return Verdict::Never(Never { covered_by, example });
                }
            };
            let (taken, asked) = (self.first)(&shape);
            if self.spend(&mut question, asked / TESTS_PER_STEP).is_none() {
                return Verdict::Undecided;
            }
            if taken == rule {
                return Verdict::Request(shape);
            }
            // A rule that was said not to hold takes nothing, and one below ours comes too late.
            let earlier = taken.filter(|at| rule.is_none_or(|rule| *at < rule) && !covering.contains(at));
            let Some((at, condition)) = earlier.and_then(|at| Some((at, *self.conditions.get(at)?))) else {
                return Verdict::Undecided;
            };
            encoding.require(condition, false);
            covering.push(at);
            example.get_or_insert(shape);
        }
    }

    fn encoded(&self, required: &[Required<'_>]) -> Encoding<'p> {
        let mut encoding = Encoding::new(self.space);
        for (condition, holds) in required {
            encoding.require(condition, *holds);
        }
        encoding
    }

    /// What one question may take of what is left.
    fn question(&self) -> Budget {
        Budget::new(self.budget.left().min(QUESTION))
    }

    /// Takes steps from the question's budget and from that of all.
    fn spend(&mut self, question: &mut Budget, steps: u64) -> Option<()> {
        self.budget.spend(steps)?;
        question.spend(steps)
    }

    /// Asks, within the question's budget. A request is looked at before it is believed.
    fn ask(&mut self, encoding: &mut Encoding<'_>, required: &[Required<'_>], question: &mut Budget) -> Answer {
        let mut budget = *question;
        let answer = encoding.answer(&mut budget);
        let spent = question.left() - budget.left();
        if self.spend(question, spent + OVERHEAD).is_none() {
            return Answer::Undecided;
        }
        match answer {
            Answer::Request(shape) if required.iter().all(|(condition, holds)| condition.holds(&*shape) == *holds) => {
                Answer::Request(shape)
            }
            Answer::Request(_) => {
                debug_assert!(false, "a request that does not meet what it was made for");
                Answer::Undecided
            }
            other => other,
        }
    }

    /// As few of the covering rules as cover alone: one where one does, else none can be left out.
    fn fewest(&mut self, required: &[Required<'_>], mut covering: Vec<usize>) -> Vec<usize> {
        const MOST: usize = 64;
        covering.sort_unstable();
        if covering.len() > MOST {
            return covering;
        }
        let single = covering.iter().copied().find(|at| self.covers(required, &[*at]));
        if let Some(single) = single {
            return vec![single];
        }
        for at in covering.clone().into_iter().rev() {
            let fewer: Vec<usize> = covering.iter().copied().filter(|other| *other != at).collect();
            if !fewer.is_empty() && self.covers(required, &fewer) {
                covering = fewer;
            }
        }
        covering
    }

    /// No request that meets `required` is left by these rules.
    fn covers(&mut self, required: &[Required<'_>], rules: &[usize]) -> bool {
        let mut encoding = self.encoded(required);
        for condition in rules.iter().filter_map(|at| self.conditions.get(*at)) {
            encoding.require(condition, false);
        }
        let others: Vec<Required<'_>> =
            rules.iter().filter_map(|at| Some((*self.conditions.get(*at)?, false))).collect();
        let all: Vec<Required<'_>> = required.iter().copied().chain(others).collect();
        self.ask(&mut encoding, &all, &mut self.question()) == Answer::Impossible
    }
}
