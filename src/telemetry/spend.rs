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
/// The name of what mirrors took: no key asked for their answers, and no route led a request there.
const MIRRORS: &str = "(mirrors)";

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
        let count = |sums: &mut Sums| sums.add(record);
        count(&mut books.total);
        add(&mut books.keys, record.key.as_deref(), count);
        add(&mut books.models, record.target.as_deref(), count);
        add(&mut books.routes, record.route.as_deref(), count);
    }

    /// Counts what the copy of a request took, which is no request.
    pub(super) fn count_mirror(&self, record: &Record) {
        let mut books = self.lock();
        let count = |sums: &mut Sums| sums.take(record);
        count(&mut books.total);
        add(&mut books.keys, Some(MIRRORS), count);
        add(&mut books.models, record.attempts.first().map(|tried| &*tried.target), count);
        add(&mut books.routes, Some(MIRRORS), count);
    }

    /// All that was counted so far.
    pub fn books(&self) -> Books {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(book: &mut BTreeMap<Box<str>, Sums>, name: Option<&str>, count: impl Fn(&mut Sums)) {
    let name = name.unwrap_or(NONE);
    if let Some(sums) = book.get_mut(name) {
        return count(sums);
    }
    let name = if book.len() < NAMES { name } else { OTHERS };
    count(book.entry(name.into()).or_default());
}

impl Sums {
    fn add(&mut self, record: &Record) {
        self.requests += 1;
        self.failed += u64::from(!matches!(record.outcome, Outcome::Ok | Outcome::CallerLeft));
        self.take(record);
    }

    /// What a request took besides being one.
    fn take(&mut self, record: &Record) {
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
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::telemetry::record::Tried;
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
    fn a_mirror_costs_and_is_no_request() {
        let spend = Spend::default();
        let mut one = record("openai/gpt-5");
        (one.key, one.cost_usd) = (Some("ci".into()), Some(0.25));
        spend.count(&one);
        let mut copy = Record::new(SystemTime::UNIX_EPOCH, "r".into(), 1, ProtocolId::OpenAiChat);
        copy.attempts = smallvec::smallvec![tried("google/gemini-3")];
        (copy.usage, copy.cost_usd) = (Some(Usage { output: Some(5), ..Usage::default() }), Some(0.5));
        spend.count_mirror(&copy);
        let books = spend.books();
        let mirrored = Sums { output_tokens: 5, cost_usd: 0.5, ..Sums::default() };
        assert_eq!([books.keys[MIRRORS], books.models["google/gemini-3"], books.routes[MIRRORS]], [mirrored; 3]);
        assert_eq!((books.total.requests, books.total.cost_usd, books.keys["ci"].cost_usd), (1, 0.75, 0.25));
    }

    fn tried(target: &str) -> Tried {
        Tried {
            target: target.into(),
            told_apart: true,
            lane: "translate",
            cause: "ok",
            status: Some(200),
            start: Duration::ZERO,
            first: Some(Duration::ZERO),
            end: Some(Duration::ZERO),
            losses: Vec::new(),
            left: None,
            span: 0,
            server: None,
            content: None,
        }
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
