//! Attempts that run beside each other: the second begins where the first has no content after a time, or has failed.
//! Whichever shows content first is the answer; the other is dropped, and its connection with it. A request that is dropped
//! on its way is charged by estimate, as that of a caller who left.

use std::ops::Range;
use std::pin::Pin;

use super::attempt::Answer;
use super::respond::Trail;
use super::walk::{Last, Walk};
use crate::table::{Attempt, Race};
use crate::wire::Operation;

/// What a decision came to.
#[derive(Clone, Copy)]
pub(super) struct Plan<'p, 't> {
    pub attempts: &'p [Attempt<'t>],
    /// Inner ones before outer ones.
    pub races: &'p [Race],
}

impl Plan<'_, '_> {
    /// The outermost race that begins at `range`'s start and lies within it.
    fn race(&self, range: &Range<usize>) -> Option<Race> {
        let here = |race: &&Race| race.from == range.start && race.until <= range.end;
        self.races.iter().filter(here).max_by_key(|race| race.until).copied()
    }

    /// Where the first race within `range` begins.
    fn next_race(&self, range: &Range<usize>) -> usize {
        let within = |race: &&Race| race.from >= range.start && race.until <= range.end;
        self.races.iter().filter(within).map(|race| race.from).min().unwrap_or(range.end)
    }
}

type Tried<'f> = Pin<Box<dyn Future<Output = Result<Answer, Last>> + Send + 'f>>;

impl Walk<'_, '_, '_> {
    /// Tries what `plan` says. Only calls of models that answer are hedged: others are tried in order.
    pub(super) async fn planned(&self, plan: Plan<'_, '_>, trail: &mut Trail) -> Result<Answer, Last> {
        if plan.races.is_empty() || self.incoming.call.operation != Operation::Generate {
            return self.all(plan.attempts, trail).await;
        }
        self.through(plan, 0..plan.attempts.len(), trail).await
    }

    fn through<'f>(&'f self, plan: Plan<'f, 'f>, range: Range<usize>, trail: &'f mut Trail) -> Tried<'f> {
        Box::pin(async move {
            let mut last: Option<Last> = None;
            let mut rest = range;
            while !rest.is_empty() {
                let tried = match plan.race(&rest) {
                    Some(race) => {
                        rest.start = race.until;
                        self.race(plan, race, trail).await
                    }
                    None => {
                        let plain = rest.start..plan.next_race(&rest);
                        rest.start = plain.end;
                        self.all(plan.attempts.get(plain).unwrap_or_default(), trail).await
                    }
                };
                match tried {
                    Ok(answer) => return Ok(answer),
                    Err(failed) if failed.stops() => return Err(failed),
                    Err(failed) => {
                        last = Some(match last {
                            Some(before) => failed.or(before),
                            None => failed,
                        });
                    }
                }
            }
            Err(last.unwrap_or(Last::Estimate))
        })
    }

    async fn race(&self, plan: Plan<'_, '_>, race: Race, trail: &mut Trail) -> Result<Answer, Last> {
        let (mut one, mut two) = (trail.fork(), trail.fork());
        let (result, won) = self.run(plan, race, &mut one, &mut two).await;
        // By now the slower one is dropped: what it has done is known.
        trail.join(one, won == Won::First);
        trail.join(two, won == Won::Second);
        result
    }

    /// Who wins. When this returns, the other is gone.
    async fn run(
        &self,
        plan: Plan<'_, '_>,
        race: Race,
        one: &mut Trail,
        two: &mut Trail,
    ) -> (Result<Answer, Last>, Won) {
        let mut first = self.through(plan, race.from..race.second, one);
        let second = |trail| self.through(plan, race.second..race.until, trail);
        match tokio::time::timeout(race.after, &mut first).await {
            Ok(Ok(answer)) => return (Ok(answer), Won::First),
            Ok(Err(failed)) if failed.stops() => return (Err(failed), Won::First),
            Ok(Err(failed)) => {
                let result = second(two).await.map_err(|last| last.or(failed));
                return (result, Won::Second);
            }
            Err(_) => {}
        }
        let mut second = second(two);
        let (result, won) = tokio::select! {
            biased;
            result = &mut first => match result {
                Err(failed) if !failed.stops() => (second.await.map_err(|last| last.or(failed)), Won::Second),
                result => (result, Won::First),
            },
            result = &mut second => match result {
                Ok(answer) => (Ok(answer), Won::Second),
                Err(failed) => (first.await.map_err(|last| last.or(failed)), Won::First),
            },
        };
        let outcome = match (&result, won) {
            (Err(_), _) => "failed",
            (Ok(_), Won::First) => "first",
            (Ok(_), Won::Second) => "second",
        };
        if let Some(hedge) = plan.attempts.get(race.second) {
            let model = self.live.runtime.health.label(hedge.leaf.target, hedge.model);
            self.gateway.traffic.hedged(&hedge.provider.name, model, outcome);
        }
        (result, won)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Won {
    First,
    Second,
}
