//! What has been spent since the start, by client key, by model and by route: what `routeplane top` and the console show.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::record::{Outcome, Record};

/// Names that are told apart in each of the three; what comes on top counts for [`OTHERS`]. Callers may name any model.
const NAMES: usize = 500;
/// The name of everything that found no place of its own.
const OTHERS: &str = "(others)";
/// The name of what has none: a call without a client key, one that was refused before it had a route.
const NONE: &str = "(none)";

/// The account since the start. Only the recorder's thread and those who look take its lock; the request path never does.
#[derive(Default)]
pub struct Spend {
    books: Mutex<Books>,
}

/// Everything that was counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Books {
    pub total: Sums,
    /// By the id of the client key.
    pub keys: BTreeMap<Box<str>, Sums>,
    /// By the target that answered, or that was tried last.
    pub models: BTreeMap<Box<str>, Sums>,
    /// By the route: a preset, a rule, or the model that was asked for.
    pub routes: BTreeMap<Box<str>, Sums>,
}

/// What some requests took together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Sums {
    pub requests: u64,
    /// Of the requests: those that did not end well.
    pub failed: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_usd: f64,
    /// Of `cost_usd` and the tokens: what no upstream reported.
    pub estimated_usd: f64,
}

impl Spend {
    /// Counts one more request.
    pub(super) fn count(&self, record: &Record) {
        let mut books = self.lock();
        books.total.add(record);
        add(&mut books.keys, record.key.as_deref(), record);
        add(&mut books.models, record.target.as_deref(), record);
        add(&mut books.routes, record.route.as_deref(), record);
    }

    /// All that was counted so far.
    pub fn books(&self) -> Books {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(book: &mut BTreeMap<Box<str>, Sums>, name: Option<&str>, record: &Record) {
    let name = name.unwrap_or(NONE);
    if let Some(sums) = book.get_mut(name) {
        return sums.add(record);
    }
    let name = if book.len() < NAMES { name } else { OTHERS };
    book.entry(name.into()).or_default().add(record);
}

impl Sums {
    fn add(&mut self, record: &Record) {
        self.requests += 1;
        self.failed += u64::from(!matches!(record.outcome, Outcome::Ok | Outcome::CallerLeft));
        for usage in [record.usage.as_ref(), record.usage_estimated.as_deref()].into_iter().flatten() {
            self.input_tokens += usage.input.unwrap_or(0);
            self.output_tokens += usage.output.unwrap_or(0);
        }
        let estimated = record.cost_estimated_usd.unwrap_or(0.0);
        self.cost_usd += record.cost_usd.unwrap_or(0.0) + estimated;
        self.estimated_usd += estimated;
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::wire::ProtocolId;
    use crate::wire::ir::Usage;

    fn record(target: &str) -> Record {
        let mut record = Record::new(SystemTime::UNIX_EPOCH, "r".into(), 1, ProtocolId::OpenAiChat);
        record.target = Some(target.into());
        record
    }

    #[test]
    fn requests_count_for_their_key_model_and_route() {
        let spend = Spend::default();
        let mut one = record("openai/gpt-5");
        (one.key, one.route, one.outcome) = (Some("ci".into()), Some("@cheap".into()), Outcome::Ok);
        one.usage = Some(Usage { input: Some(10), output: Some(5), ..Usage::default() });
        (one.cost_usd, one.cost_estimated_usd) = (Some(0.25), Some(0.5));
        spend.count(&one);
        let mut other = record("openai/gpt-5");
        other.outcome = Outcome::Failed;
        spend.count(&other);
        let books = spend.books();
        assert_eq!(
            books.keys["ci"],
            Sums { requests: 1, failed: 0, input_tokens: 10, output_tokens: 5, cost_usd: 0.75, estimated_usd: 0.5 }
        );
        assert_eq!((books.models["openai/gpt-5"].requests, books.models["openai/gpt-5"].failed), (2, 1));
        assert_eq!((books.routes["@cheap"].requests, books.keys[NONE].requests, books.total.requests), (1, 1, 2));
    }

    #[test]
    fn names_without_end_do_not_fill_the_memory() {
        let spend = Spend::default();
        for number in 0..NAMES + 50 {
            spend.count(&record(&format!("a/{number}")));
        }
        spend.count(&record("a/7"));
        let books = spend.books();
        assert_eq!(books.models.len(), NAMES + 1);
        assert_eq!((books.models[OTHERS].requests, books.models["a/7"].requests), (50, 2));
    }
}
