//! A moving average in one atomic.

use std::sync::atomic::{AtomicU64, Ordering};

/// How much a new measurement counts.
const WEIGHT: f32 = 0.3;
/// The average of what is not asked any more halves in this time: a target that was slow once is tried again some day.
const HALF_LIFE_MS: f32 = 300_000.0;

/// A moving average of times in milliseconds. Above: the average; below: when it was last measured, in milliseconds of the
/// process's clock, modulo 2^32 (49 days). Zero: never.
#[derive(Debug, Default)]
pub(super) struct Average(AtomicU64);

impl Average {
    /// Adds a measurement.
    #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds needs no more than 24 bits of precision")]
    pub(super) fn add(&self, ms: u64, now: u64) {
        let sample = (ms as f32).max(0.5);
        let next = |packed: u64| {
            let average = match packed {
                0 => sample,
                packed => unpacked(packed).0 * (1.0 - WEIGHT) + sample * WEIGHT,
            };
            Some(pack(average, now))
        };
        // The closure always gives a value.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// The average now, in milliseconds; `None` before the first measurement.
    #[expect(clippy::cast_precision_loss, reason = "an age in milliseconds needs no more than 24 bits of precision")]
    pub(super) fn get(&self, now: u64) -> Option<f64> {
        let packed = self.0.load(Ordering::Relaxed);
        let (average, at) = unpacked(packed);
        let age = low(now).wrapping_sub(at) as f32;
        (packed != 0).then(|| f64::from(average * (-age / HALF_LIFE_MS).exp2()))
    }
}

fn pack(average: f32, now: u64) -> u64 {
    u64::from(average.to_bits()) << 32 | u64::from(low(now))
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of the number")]
fn unpacked(packed: u64) -> (f32, u32) {
    (f32::from_bits((packed >> 32) as u32), packed as u32)
}

#[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 on purpose")]
fn low(now: u64) -> u32 {
    now as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_move_it_and_time_lets_it_fade() {
        let average = Average::default();
        assert_eq!(average.get(5), None);
        average.add(100, 1_000);
        assert_eq!(average.get(1_000), Some(100.0));
        average.add(1_100, 1_000);
        assert!((average.get(1_000).unwrap() - 400.0).abs() < 0.01);
        assert!((average.get(301_000).unwrap() - 200.0).abs() < 0.01);
        // Nothing takes no time at all.
        let quick = Average::default();
        quick.add(0, 7);
        assert_eq!(quick.get(7), Some(0.5));
    }

    #[test]
    fn the_clock_may_pass_32_bits() {
        let average = Average::default();
        average.add(100, u64::from(u32::MAX));
        assert!((average.get(u64::from(u32::MAX) + 300_000).unwrap() - 50.0).abs() < 0.01);
    }
}
