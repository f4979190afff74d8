//! What rate limits have counted, in memory: one counter a rate, one bucket a subject. A reload keeps the counters of what it
//! leaves as it is, whatever becomes of the amounts: a limit that is lowered below its use holds at once.
//!
//! Nothing but this folder knows where counts are: `take` and [`Taken::settle`] are all that the request path asks for.

mod counter;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use counter::Room;
use counter::{Counter, Use};

use super::credentials::now_ms;
use crate::table::RoutingTable;
use crate::table::limits::{Holding, Rate, RateLimit, Resource};

/// The counters of a table's limits.
#[derive(Default)]
pub struct Limits {
    /// By position of the limit, then of the rate.
    counters: Box<[Box<[Arc<Counter>]>]>,
    by_identity: HashMap<String, Arc<Counter>>,
    room: Arc<Room>,
}

/// What one attempt may take, and has to give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    pub attempts: u64,
    pub tokens: u64,
    /// In billionths of a USD.
    pub cost: u64,
}

impl Amounts {
    fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Attempts => self.attempts,
            Resource::Tokens => self.tokens,
            Resource::Cost => self.cost,
        }
    }
}

/// Why an attempt may not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Positions of the limit and the rate.
    pub limit: usize,
    pub rate: usize,
    /// When it may be made; `None`: never, it would take more than the limit holds.
    pub wait: Option<Duration>,
    /// What was to be taken.
    pub amount: u64,
}

/// What an attempt has taken.
#[derive(Debug, Default)]
pub struct Taken(Vec<(Resource, Use)>);

impl Taken {
    /// The attempt is over, and took this.
    pub fn settle(self, used: &Amounts) {
        let now = now_ms();
        for (resource, taken) in self.0 {
            taken.settle(used.of(resource), now);
        }
    }
}

impl Limits {
    /// Those of `table`; what `previous` has counted for the same name, scope, resource and window goes on.
    pub fn prepare(table: &RoutingTable, previous: Option<&Limits>) -> Limits {
        let room = previous.map(|previous| Arc::clone(&previous.room)).unwrap_or_default();
        let mut by_identity = HashMap::new();
        let mut counter = |limit: &RateLimit, rate: &Rate| {
            let identity = identity(limit, rate);
            let known = previous.and_then(|previous| previous.by_identity.get(&identity));
            let counter = known.map_or_else(|| Arc::new(Counter::new(rate.window, &room)), Arc::clone);
            by_identity.insert(identity, Arc::clone(&counter));
            counter
        };
        let counters = table
            .rate_limits
            .iter()
            .map(|limit| limit.rates.iter().map(|rate| counter(limit, rate)).collect())
            .collect();
        Limits { counters, by_identity, room }
    }

    /// Takes `amounts` from every limit that holds, or from none.
    ///
    /// # Errors
    /// The first limit that does not have it.
    pub fn take(&self, limits: &[RateLimit], holding: &[Holding], amounts: &Amounts) -> Result<Taken, Refusal> {
        self.take_at(limits, holding, amounts, now_ms())
    }

    fn take_at(
        &self,
        limits: &[RateLimit],
        holding: &[Holding],
        amounts: &Amounts,
        now: u64,
    ) -> Result<Taken, Refusal> {
        let mut taken = Taken::default();
        for held in holding {
            let rates = limits.get(held.limit).map(|limit| &*limit.rates).unwrap_or_default();
            let counters = self.counters.get(held.limit).map(|counters| &**counters).unwrap_or_default();
            for (at, (rate, counter)) in rates.iter().zip(counters).enumerate() {
                let amount = amounts.of(rate.resource);
                match counter.take(held.bucket, rate, amount, now) {
                    Ok(used) => taken.0.push((rate.resource, used)),
                    Err(wait) => {
                        for (_, used) in taken.0 {
                            used.settle(0, now);
                        }
                        return Err(Refusal { limit: held.limit, rate: at, wait, amount });
                    }
                }
            }
        }
        Ok(taken)
    }

    /// Subjects that are counted now.
    pub fn buckets(&self) -> usize {
        self.room.taken()
    }
}

/// What makes a count the same after a reload: not how much there may be of it.
fn identity(limit: &RateLimit, rate: &Rate) -> String {
    format!("{}\n{}\n{}/{}", limit.name, limit.scope_words(), rate.resource.word(), rate.window.word())
}

#[cfg(test)]
mod tests;
