//! How much may wait for a collector, or for a file. What does not fit is lost, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::metrics::TelemetryMetrics;

/// The room of one place, shared by those who put something there and those who send or write it.
#[derive(Clone)]
pub(super) struct Room {
    /// What is on its way.
    waiting: Arc<AtomicUsize>,
    most: usize,
    /// The label of what is lost.
    sink: &'static str,
    counts: TelemetryMetrics,
}

impl Room {
    pub(super) fn new(most: usize, sink: &'static str, counts: &TelemetryMetrics) -> Room {
        Room { waiting: Arc::default(), most, sink, counts: counts.clone() }
    }

    /// Whether there is room for so many more; where there is none, they are counted as lost.
    pub(super) fn take(&self, count: usize) -> bool {
        if self.waiting.fetch_add(count, Ordering::Relaxed).saturating_add(count) <= self.most {
            return true;
        }
        self.left(count);
        self.counts.dropped(self.sink, count as u64);
        false
    }

    /// So many wait no longer.
    pub(super) fn left(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }

    pub(super) fn sink(&self) -> &'static str {
        self.sink
    }

    pub(super) fn counts(&self) -> &TelemetryMetrics {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn what_does_not_fit_is_counted_and_leaves_no_trace() {
        let metrics = Metrics::new();
        let room = Room::new(2, "otlp_logs", &metrics.telemetry);
        assert_eq!([room.take(1), room.take(2), room.take(1), room.take(1)], [true, false, true, false]);
        room.left(1);
        assert_eq!([room.take(1), room.take(0), room.take(1)], [true, true, false]);
        let text = metrics.render();
        assert!(text.contains("routeplane_telemetry_dropped_total{sink=\"otlp_logs\"} 4"), "{text}");
    }
}
