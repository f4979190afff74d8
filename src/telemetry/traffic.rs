//! What the request path counts. Counters are looked up when a table is made, not per request: a request only adds.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use crate::provider::cost::Tariff;
use crate::wire::ProtocolId;
use crate::wire::ir::Usage;
use crate::wire::structured::check::Verdict;
use crate::wire::structured::judged::Judged;
use crate::wire::structured::watch::Slot;

/// What metrics call the models that are not told apart ([`crate::state::health`]): callers may name any model of a provider
/// whose models no file lists, and a metric keeps every name that it ever had.
pub const OTHER_MODELS: &str = "other";

/// Counters of all traffic.
pub struct Traffic {
    /// By [`ProtocolId::index`] and class of status.
    requests_by: [[Counter; CLASSES.len()]; ProtocolId::COUNT],
    attempts: Family<AttemptLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    tokens_estimated: Family<TokenLabels, Counter>,
    cost: Family<ProviderLabels, Counter<f64, AtomicU64>>,
    cost_estimated: Family<ProviderLabels, Counter<f64, AtomicU64>>,
    seconds: Family<ProviderLabels, Counter<f64, AtomicU64>>,
    asked_again: Family<ProviderLabels, Counter>,
    forms: Family<AttemptLabels, Counter>,
    streams: Gauge,
    bytes: Counter,
    circuits: Family<TargetLabels, Gauge>,
    openings: Family<TargetLabels, Counter>,
    hedges: Family<ResultLabels, Counter>,
    shadows: Family<ResultLabels, Counter>,
    limited: Family<LimitLabels, Counter>,
    cached: Family<CacheLabels, Counter>,
    cache_bytes: Gauge,
}

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    protocol: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AttemptLabels {
    provider: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TokenLabels {
    provider: String,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TargetLabels {
    provider: String,
    model: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabels {
    provider: String,
    model: String,
    outcome: &'static str,
}

impl ResultLabels {
    fn new(provider: &str, model: &str, outcome: &'static str) -> ResultLabels {
        ResultLabels { provider: provider.to_owned(), model: model.to_owned(), outcome }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CacheLabels {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LimitLabels {
    limit: String,
    resource: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProviderLabels {
    provider: String,
}

/// The counters of one provider.
#[derive(Debug, Clone)]
pub struct ProviderCounters {
    provider: String,
    attempts: Family<AttemptLabels, Counter>,
    forms: Family<AttemptLabels, Counter>,
    asked_again: Counter,
    ok: Counter,
    input: Counter,
    cached: Counter,
    cache_write: Counter,
    output: Counter,
    reasoning: Counter,
    cost: Counter<f64, AtomicU64>,
    estimated_input: Counter,
    estimated_output: Counter,
    estimated_cost: Counter<f64, AtomicU64>,
    seconds: Counter<f64, AtomicU64>,
    streams: Gauge,
    bytes: Counter,
}

/// Where metrics become known.
struct Registering<'r>(&'r mut Registry);

impl Registering<'_> {
    /// A new metric: the registry has the same one.
    fn one<M: Metric + Default + Clone>(&mut self, name: &'static str, about: &'static str) -> M {
        let metric = M::default();
        self.0.register(name, about, metric.clone());
        metric
    }
}

impl Traffic {
    /// Registers the metrics of the request path.
    pub fn new(registry: &mut Registry) -> Traffic {
        let mut add = Registering(registry);
        let requests: Family<RequestLabels, Counter> =
            add.one("requests", "Model calls answered, by the caller's protocol and class of status");
        let counter = |protocol: ProtocolId, status| {
            requests.get_or_create(&RequestLabels { protocol: protocol.name(), status }).clone()
        };
        let requests_by = ProtocolId::CALLERS.map(|protocol| CLASSES.map(|status| counter(protocol, status)));
        Traffic {
            requests_by,
            attempts: add.one("attempts", "Tries at upstreams, by provider and outcome"),
            tokens: add.one("tokens", "Tokens that upstreams reported, by provider and kind"),
            tokens_estimated: add.one(
                "tokens_estimated",
                "Tokens that no upstream reported, by estimate, by provider and kind; not part of the reported ones",
            ),
            cost_estimated: add.one(
                "cost_estimated_usd",
                "Cost of the estimated tokens, in USD, by provider; not part of the cost of reported ones",
            ),
            cost: add.one("cost_usd", "Cost of answers whose usage and prices are known, in USD, by provider"),
            seconds: add.one(
                "upstream_seconds",
                "Seconds from sending a request to the first content of its answer, summed by provider",
            ),
            asked_again: add.one(
                "ambiguous_retries",
                "Requests sent once more because a used connection broke before an answer, by provider: the upstream may have had them",
            ),
            forms: add.one("structured_answers", "Answers of a given form that were checked, by provider and outcome"),
            streams: add.one("streams_open", "Streams on their way to callers"),
            bytes: add.one("stream_bytes", "Bytes of streams written to callers"),
            circuits: add.one(
                "circuit_open",
                "1 while a target that failed again and again is passed over, 0 once it answers again",
            ),
            openings: add.one(
                "circuit_openings",
                "How often a target that failed again and again began, or went on, to be passed over",
            ),
            hedges: add.one(
                "hedges",
                "Requests whose second target was started because the first was slow, by that target and who answered",
            ),
            shadows: add.one("shadows", "Requests that were compared with a mirror, by the mirror and what came of it"),
            limited: add.one(
                "rate_limited",
                "Attempts that a rate limit of the file refused, by limit and by what was used up",
            ),
            cached: add.one(
                "cache",
                "Look-ups in the cache of answers (`hit`, `miss`) and answers put into it (`stored`), by result",
            ),
            cache_bytes: add.one("cache_bytes", "Bytes of the answers in the cache"),
        }
    }

    /// The cache was asked (`hit`, `miss`), or got an answer to keep (`stored`).
    pub fn cached(&self, result: &'static str) {
        self.cached.get_or_create(&CacheLabels { result }).inc();
    }

    /// The cache holds so many bytes now.
    pub fn cache_holds(&self, bytes: usize) {
        self.cache_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// A rate limit has refused an attempt.
    pub fn limited(&self, limit: &str, resource: &'static str) {
        self.limited.get_or_create(&LimitLabels { limit: limit.to_owned(), resource }).inc();
    }

    /// A hedge was started; `outcome`: `first`, `second` or `failed`.
    pub fn hedged(&self, provider: &str, model: &str, outcome: &'static str) {
        self.hedges.get_or_create(&ResultLabels::new(provider, model, outcome)).inc();
    }

    /// A mirror was compared, or there was no room for it.
    pub fn shadowed(&self, provider: &str, model: &str, outcome: &'static str) {
        self.shadows.get_or_create(&ResultLabels::new(provider, model, outcome)).inc();
    }

    /// A target is passed over from now on, or answers again. Rare enough for a lookup.
    pub fn circuit(&self, provider: &str, model: &str, open: bool) {
        let labels = TargetLabels { provider: provider.to_owned(), model: model.to_owned() };
        self.circuits.get_or_create(&labels).set(i64::from(open));
        if open {
            self.openings.get_or_create(&labels).inc();
        }
    }

    /// Counts an answered call.
    pub fn answered(&self, protocol: ProtocolId, status: u16) {
        let class = match status {
            0..300 => 0,
            300..400 => 1,
            400..500 => 2,
            _ => 3,
        };
        if let Some(counter) = self.requests_by.get(protocol.index()).and_then(|classes| classes.get(class)) {
            counter.inc();
        }
    }

    /// The counters of one provider; asked for once per table.
    pub fn provider(&self, name: &str) -> ProviderCounters {
        let tokens = |kind| self.tokens.get_or_create(&TokenLabels { provider: name.to_owned(), kind }).clone();
        let estimated =
            |kind| self.tokens_estimated.get_or_create(&TokenLabels { provider: name.to_owned(), kind }).clone();
        let of_provider = ProviderLabels { provider: name.to_owned() };
        ProviderCounters {
            provider: name.to_owned(),
            estimated_input: estimated("input"),
            estimated_output: estimated("output"),
            estimated_cost: self.cost_estimated.get_or_create(&of_provider).clone(),
            ok: self.attempts.get_or_create(&AttemptLabels { provider: name.to_owned(), outcome: "ok" }).clone(),
            attempts: self.attempts.clone(),
            asked_again: self.asked_again.get_or_create(&of_provider).clone(),
            forms: self.forms.clone(),
            input: tokens("input"),
            cached: tokens("cached"),
            cache_write: tokens("cache_write"),
            output: tokens("output"),
            reasoning: tokens("reasoning"),
            cost: self.cost.get_or_create(&ProviderLabels { provider: name.to_owned() }).clone(),
            seconds: self.seconds.get_or_create(&ProviderLabels { provider: name.to_owned() }).clone(),
            streams: self.streams.clone(),
            bytes: self.bytes.clone(),
        }
    }
}

impl ProviderCounters {
    /// A try was answered, `latency` after it was sent.
    pub fn succeeded(&self, latency: Duration) {
        self.ok.inc();
        self.seconds.inc_by(latency.as_secs_f64());
    }

    /// A try failed; failures are rare enough for a lookup.
    pub fn failed(&self, cause: &'static str) {
        self.attempts.get_or_create(&AttemptLabels { provider: self.provider.clone(), outcome: cause }).inc();
    }

    /// A request was sent once more, because a used connection broke before its answer.
    pub fn asked_again(&self) {
        self.asked_again.inc();
    }

    /// Answers of a given form were checked.
    pub fn judged(&self, judged: &Judged) {
        for outcome in judged.verdicts.iter().map(Verdict::word) {
            self.forms.get_or_create(&AttemptLabels { provider: self.provider.clone(), outcome }).inc();
        }
    }

    /// An upstream reported what an answer took; once for each answer. Gives its cost in USD, where that is known.
    pub fn used(&self, usage: &Usage, tariff: &Tariff) -> Option<f64> {
        self.input.inc_by(usage.input.unwrap_or(0));
        self.cached.inc_by(usage.cache_read.unwrap_or(0));
        self.cache_write.inc_by(usage.cache_write.unwrap_or(0));
        self.output.inc_by(usage.output.unwrap_or(0));
        self.reasoning.inc_by(usage.reasoning.unwrap_or(0));
        let cost = tariff.cost(usage)?;
        self.cost.inc_by(cost);
        Some(cost)
    }
}

impl ProviderCounters {
    /// Tokens that no upstream reported were taken, by estimate. Gives their cost in USD, where that is known.
    pub fn estimated(&self, usage: &Usage, tariff: &Tariff) -> Option<f64> {
        self.estimated_input.inc_by(usage.input.unwrap_or(0));
        self.estimated_output.inc_by(usage.output.unwrap_or(0));
        let cost = tariff.cost(usage)?;
        self.estimated_cost.inc_by(cost);
        Some(cost)
    }
}

/// The account of one stream, settled when it ends however it ends.
pub struct StreamRecord {
    counters: Arc<ProviderCounters>,
    tariff: Tariff,
    /// What became of the answer's form, where anybody looks.
    form: Slot,
}

impl StreamRecord {
    /// `tariff`: of the model that answers.
    pub fn start(counters: Arc<ProviderCounters>, tariff: Tariff, form: Slot) -> StreamRecord {
        counters.streams.inc();
        StreamRecord { counters, tariff, form }
    }

    pub fn written(&self, bytes: usize) {
        self.counters.bytes.inc_by(bytes as u64);
    }

    /// Called once, when the stream is over. Gives the cost in USD of what was reported, and of what is estimated.
    pub fn end(&mut self, outcome: &'static str, usage: Option<&Usage>, estimated: Option<&Usage>) -> [Option<f64>; 2] {
        self.counters.streams.dec();
        if outcome != "ok" {
            self.counters.failed(outcome);
        }
        if let Some(judged) = self.form.get() {
            self.counters.judged(judged);
        }
        [
            usage.and_then(|usage| self.counters.used(usage, &self.tariff)),
            estimated.and_then(|usage| self.counters.estimated(usage, &self.tariff)),
        ]
    }
}
