//! The circuit breaker of one target: it opens when the target fails again and again, lets one try through at a time when
//! its pause is over, and closes with the first that succeeds.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// So many failures in a row open it.
const STREAK: u32 = 5;
/// So does this share of at least so many tries within this time.
const SHARE: (u64, u64) = (1, 2);
const FEWEST: u64 = 20;
const WINDOW_MS: u64 = 10_000;
/// Pauses double from the first to the longest.
const FIRST_PAUSE_MS: u64 = 1_000;
const LONGEST_PAUSE_MS: u64 = 60_000;
/// How long others wait for what a probe finds out.
const PROBE_MS: u64 = 10_000;
/// Longest pause that an upstream can ask for.
const LONGEST_REST_MS: u64 = 300_000;

/// A change that people want to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// The target is passed over for so long.
    Opened(Duration),
    /// It answers again.
    Closed,
}

/// Times are milliseconds of the process's clock.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// Failures since the last success.
    streak: AtomicU32,
    /// How often it opened since it was last closed.
    openings: AtomicU32,
    /// Until when the target is passed over; 0 for never.
    until: AtomicU64,
    window: Window,
}

impl Circuit {
    /// How long the target is still passed over, `None` where it may be tried. The clock is only read where that matters.
    pub(super) fn pause(&self, now: impl Fn() -> u64) -> Option<Duration> {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return None;
        }
        until.checked_sub(now()).filter(|left| *left > 0).map(Duration::from_millis)
    }

    /// A try begins. Whether it is the probe: the one that finds out whether the target is back, while others wait.
    pub(super) fn begin(&self, now: u64) -> bool {
        if self.openings.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let until = self.until.load(Ordering::Relaxed);
        let claimed = || self.until.compare_exchange(until, now + PROBE_MS, Ordering::Relaxed, Ordering::Relaxed);
        until <= now && claimed().is_ok()
    }

    /// A probe was given up: the next try may be one.
    pub(super) fn abandon(&self, now: u64) {
        self.until.store(now, Ordering::Relaxed);
    }

    pub(super) fn succeeded(&self, now: u64) -> Option<Turned> {
        self.streak.store(0, Ordering::Relaxed);
        self.window.add(now, false);
        if self.openings.load(Ordering::Relaxed) == 0 || self.openings.swap(0, Ordering::Relaxed) == 0 {
            return None;
        }
        self.until.store(0, Ordering::Relaxed);
        self.window.clear();
        Some(Turned::Closed)
    }

    pub(super) fn failed(&self, probe: bool, now: u64) -> Option<Turned> {
        let streak = self.streak.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let often = self.window.add(now, true);
        let openings = self.openings.load(Ordering::Relaxed);
        // What was under way when it opened, or was tried because nothing else was left, says nothing new.
        if openings > 0 && !probe || openings == 0 && streak < STREAK && !often {
            return None;
        }
        let opened = self.openings.compare_exchange(openings, openings + 1, Ordering::Relaxed, Ordering::Relaxed);
        opened.ok()?;
        let pause = (FIRST_PAUSE_MS << openings.min(16)).min(LONGEST_PAUSE_MS);
        self.until.fetch_max(now + pause, Ordering::Relaxed);
        if probe {
            // The probe's own wait may reach further than the pause.
            self.until.store(now + pause, Ordering::Relaxed);
        }
        Some(Turned::Opened(Duration::from_millis(pause)))
    }

    /// The upstream asks to be left alone.
    pub(super) fn rest(&self, pause: Duration, now: u64) {
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).min(LONGEST_REST_MS);
        self.until.fetch_max(now + pause, Ordering::Relaxed);
    }
}

/// Tries and failures of the last seconds, in one atomic: when the window began (in windows since the clock's start), tries,
/// failures.
#[derive(Debug, Default)]
struct Window(AtomicU64);

impl Window {
    /// Adds a try. Whether enough of them failed.
    fn add(&self, now: u64, failed: bool) -> bool {
        const MOST: u64 = 0xFFFF;
        let number = (now / WINDOW_MS) & 0xFFFF_FFFF;
        let mut counts = (0, 0);
        let next = |packed: u64| {
            let (tries, failures) = if packed >> 32 == number { (packed >> 16 & MOST, packed & MOST) } else { (0, 0) };
            counts = ((tries + 1).min(MOST), (failures + u64::from(failed)).min(MOST));
            Some(number << 32 | counts.0 << 16 | counts.1)
        };
        // The closure always gives a value.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let (tries, failures) = counts;
        tries >= FEWEST && failures * SHARE.1 >= tries * SHARE.0
    }

    fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_probe_closes_it() {
        let circuit = Circuit::default();
        for at in 1..5 {
            assert_eq!(circuit.failed(false, at), None);
        }
        assert_eq!(circuit.pause(|| 5), None);
        assert_eq!(circuit.failed(false, 5), Some(Turned::Opened(Duration::from_secs(1))));
        assert_eq!(circuit.pause(|| 5), seconds(1));
        assert!(!circuit.begin(6), "its pause is not over");
        assert_eq!(circuit.failed(false, 6), None, "that was under way");

        // One probe at a time; a failing one doubles the pause.
        assert_eq!(circuit.pause(|| 1_005), None);
        assert!(circuit.begin(1_005));
        assert!(!circuit.begin(1_006));
        assert_eq!(circuit.pause(|| 1_005), seconds(10));
        assert_eq!(circuit.failed(true, 1_010), Some(Turned::Opened(Duration::from_secs(2))));
        assert_eq!(circuit.pause(|| 1_010), seconds(2));

        assert!(circuit.begin(3_010));
        assert_eq!(circuit.succeeded(3_020), Some(Turned::Closed));
        assert_eq!(circuit.pause(|| 3_020), None);
        assert!(!circuit.begin(3_021), "nothing to find out");
        assert_eq!(circuit.failed(false, 3_030), None, "the count begins anew");
    }

    #[test]
    fn pauses_end_at_a_minute_and_a_probe_that_is_given_up_makes_room() {
        let circuit = Circuit::default();
        let mut now = 1;
        for _ in 0..5 {
            circuit.failed(false, now);
        }
        for _ in 0..10 {
            now += 60_000;
            assert!(circuit.begin(now));
            circuit.failed(true, now);
        }
        assert_eq!(circuit.pause(|| now), seconds(60));
        now += 60_000;
        assert!(circuit.begin(now) && !circuit.begin(now));
        circuit.abandon(now);
        assert!(circuit.begin(now));
    }

    #[test]
    fn half_of_twenty_within_ten_seconds_open_it() {
        let circuit = Circuit::default();
        for at in 0..9 {
            assert_eq!((circuit.failed(false, 20_000 + at), circuit.succeeded(20_000 + at)), (None, None));
        }
        assert_eq!(circuit.succeeded(20_010), None);
        assert!(matches!(circuit.failed(false, 20_011), Some(Turned::Opened(_))));

        let slow = Circuit::default();
        for at in 0..40 {
            assert_eq!((slow.failed(false, at * 2_000), slow.succeeded(at * 2_000)), (None, None));
        }
    }

    #[test]
    fn it_rests_as_long_as_the_upstream_asks_within_reason() {
        let circuit = Circuit::default();
        circuit.rest(Duration::from_secs(30), 1_000);
        assert_eq!(circuit.pause(|| 1_000), seconds(30));
        assert_eq!(circuit.succeeded(1_100), None);
        assert_eq!(circuit.pause(|| 2_000), seconds(29), "an answer to somebody else ends no rest");
        assert!(!circuit.begin(31_000), "and nothing is probed after it");
        circuit.rest(Duration::from_secs(3_600), 1_000);
        assert_eq!(circuit.pause(|| 1_000), seconds(300));
    }
}
