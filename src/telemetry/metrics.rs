//! Metrics in the Prometheus text format. Only this file and `traffic.rs` name `prometheus_client`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::traffic::Traffic;

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    pub config: ConfigMetrics,
    /// The request path's own.
    pub traffic: Arc<Traffic>,
    pub telemetry: TelemetryMetrics,
}

impl Metrics {
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("routeplane");
        let config = ConfigMetrics::register(&mut registry);
        let traffic = Arc::new(Traffic::new(&mut registry));
        let telemetry = TelemetryMetrics::register(&mut registry);
        Metrics { registry, config, traffic, telemetry }
    }

    /// All metrics as text; empty if a label could not be written.
    pub fn render(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModeLabel {
    mode: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IdLabel {
    id: String,
}

/// What became of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadResult {
    /// The new file is live.
    Ack,
    /// The new file is refused; what was live stays.
    Nack,
    /// The content is what is live already.
    Noop,
    /// Answered by a reload that another request had started.
    Coalesced,
}

impl ReloadResult {
    pub const ALL: [ReloadResult; 4] =
        [ReloadResult::Ack, ReloadResult::Nack, ReloadResult::Noop, ReloadResult::Coalesced];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            ReloadResult::Ack => "ack",
            ReloadResult::Nack => "nack",
            ReloadResult::Noop => "noop",
            ReloadResult::Coalesced => "coalesced",
        }
    }
}

/// How the file is watched now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchState {
    /// Events of the operating system, with a slow poll beside them.
    Events,
    /// Polling, because the file asks for it or because there are no events to be had.
    Poll,
    /// Nothing: only SIGHUP, `routeplane reload` and `POST /admin/reload`.
    Off,
}

impl WatchState {
    pub const ALL: [WatchState; 3] = [WatchState::Events, WatchState::Poll, WatchState::Off];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            WatchState::Events => "events",
            WatchState::Poll => "poll",
            WatchState::Off => "off",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabel {
    sink: &'static str,
}

/// What becomes of telemetry itself.
#[derive(Clone)]
pub struct TelemetryMetrics {
    dropped: Family<SinkLabel, Counter>,
}

/// Where records, spans and lines go, and can get lost.
const SINKS: [&str; 5] = ["queue", "access_log", "otlp_traces", "otlp_metrics", "otlp_logs"];

impl TelemetryMetrics {
    fn register(registry: &mut Registry) -> TelemetryMetrics {
        let metrics = TelemetryMetrics { dropped: Family::default() };
        for sink in SINKS {
            drop(metrics.dropped.get_or_create(&SinkLabel { sink }));
        }
        registry.sub_registry_with_prefix("telemetry").register(
            "dropped",
            "Records that were lost because the place they go to was full, slow or gone, by place",
            metrics.dropped.clone(),
        );
        metrics
    }

    /// So many records did not get to where they go.
    pub fn dropped(&self, sink: &'static str, count: u64) {
        self.dropped.get_or_create(&SinkLabel { sink }).inc_by(count);
    }
}

type FloatGauge = Gauge<f64, AtomicU64>;

/// The metrics of the configuration and its reloads.
pub struct ConfigMetrics {
    last_reload_successful: Gauge,
    last_success: FloatGauge,
    generation: Gauge,
    reloads: Family<ResultLabel, Counter>,
    info: Family<IdLabel, Gauge>,
    drift: Gauge,
    missing: Gauge,
    live_generations: Gauge,
    oldest_generation_age: FloatGauge,
    watch_mode: Family<ModeLabel, Gauge>,
    compile: Histogram,
}

impl ConfigMetrics {
    fn register(registry: &mut Registry) -> ConfigMetrics {
        let metrics = ConfigMetrics {
            last_reload_successful: Gauge::default(),
            last_success: FloatGauge::default(),
            generation: Gauge::default(),
            reloads: Family::default(),
            info: Family::default(),
            drift: Gauge::default(),
            missing: Gauge::default(),
            live_generations: Gauge::default(),
            oldest_generation_age: FloatGauge::default(),
            watch_mode: Family::default(),
            compile: Histogram::new([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0]),
        };
        for result in ReloadResult::ALL {
            drop(metrics.reloads.get_or_create(&ResultLabel { result: result.name() }));
        }
        metrics.name_all(registry);
        metrics
    }

    fn name_all(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("config");
        registry.register(
            "last_reload_successful",
            "1 if the file as it is now is live, 0 if it was refused",
            self.last_reload_successful.clone(),
        );
        registry.register(
            "last_reload_success_timestamp_seconds",
            "When a configuration last became live, as Unix time",
            self.last_success.clone(),
        );
        registry.register("generation", "Counts accepted configurations, from 1", self.generation.clone());
        registry.register("reloads", "Reloads by result", self.reloads.clone());
        registry.register("info", "The content id of the live configuration", self.info.clone());
        registry.register("desired_active_drift", "1 while the file differs from what is live", self.drift.clone());
        registry.register("missing", "1 while the file is gone", self.missing.clone());
        registry.register(
            "live_generations",
            "Generations in memory: the live one and those that requests still hold",
            self.live_generations.clone(),
        );
        registry.register(
            "oldest_generation_age_seconds",
            "Time since the oldest generation that a request still holds was replaced; 0 if there is none",
            self.oldest_generation_age.clone(),
        );
        registry.register("watch_mode", "1 for the way in which the file is watched", self.watch_mode.clone());
        registry.register("compile_seconds", "Time to compile the file", self.compile.clone());
    }

    /// A configuration became live at `unix_seconds`.
    pub fn activated(&self, generation: u64, id: &str, unix_seconds: f64) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.info.clear();
        self.info.get_or_create(&IdLabel { id: id.to_owned() }).set(1);
        self.last_success.set(unix_seconds);
        self.in_step();
    }

    /// The file is what is live.
    pub fn in_step(&self) {
        self.last_reload_successful.set(1);
        self.drift.set(0);
        self.missing.set(0);
    }

    /// The file was refused; `missing` if it is gone.
    pub fn refused(&self, missing: bool) {
        self.last_reload_successful.set(0);
        self.drift.set(1);
        self.missing.set(i64::from(missing));
    }

    /// One more reload ended so.
    pub fn count(&self, result: ReloadResult) {
        self.reloads.get_or_create(&ResultLabel { result: result.name() }).inc();
    }

    /// What is in memory: how many generations, and for how long the oldest has been replaced.
    pub fn generations(&self, live: usize, oldest_age_seconds: f64) {
        self.live_generations.set(i64::try_from(live).unwrap_or(i64::MAX));
        self.oldest_generation_age.set(oldest_age_seconds);
    }

    pub fn watch(&self, now: WatchState) {
        for state in WatchState::ALL {
            self.watch_mode.get_or_create(&ModeLabel { mode: state.name() }).set(i64::from(state == now));
        }
    }

    pub fn compiled(&self, seconds: f64) {
        self.compile.observe(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_documentation() {
        let metrics = Metrics::new();
        metrics.config.activated(3, "0123456789abcdef", 1.5);
        metrics.config.watch(WatchState::Poll);
        metrics.config.count(ReloadResult::Nack);
        let text = metrics.render();
        for line in [
            "routeplane_config_last_reload_successful 1",
            "routeplane_config_last_reload_success_timestamp_seconds 1.5",
            "routeplane_config_generation 3",
            "routeplane_config_reloads_total{result=\"nack\"} 1",
            "routeplane_config_reloads_total{result=\"ack\"} 0",
            "routeplane_config_info{id=\"0123456789abcdef\"} 1",
            "routeplane_config_desired_active_drift 0",
            "routeplane_config_live_generations 0",
            "routeplane_config_oldest_generation_age_seconds 0.0",
            "routeplane_config_watch_mode{mode=\"poll\"} 1",
            "routeplane_config_watch_mode{mode=\"events\"} 0",
            "routeplane_config_compile_seconds_count 0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
    }
}
