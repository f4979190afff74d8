use proptest::prelude::*;

use super::counter::Counter;
use super::*;
use crate::table::limits::Window;

const MINUTE: u64 = 60_000;

fn rate(refill: u64, capacity: u64) -> Rate {
    Rate { resource: Resource::Tokens, capacity, refill, window: Window::Minute }
}

fn counter() -> Arc<Counter> {
    Arc::new(Counter::new(Window::Minute, &Arc::default()))
}

fn wait(ms: u64) -> Option<Duration> {
    Some(Duration::from_millis(ms))
}

#[test]
fn a_window_begins_with_the_first_use_and_gives_everything_back() {
    let (counter, rate) = (counter(), rate(10, 10));
    assert!(counter.take(7, &rate, 6, 5_000).is_ok());
    assert!(counter.take(7, &rate, 4, 30_000).is_ok());
    assert_eq!(counter.take(7, &rate, 1, 40_000).unwrap_err(), wait(25_000));
    assert!(counter.take(8, &rate, 10, 40_000).is_ok());
    assert!(counter.take(7, &rate, 10, 65_000).is_ok());
    assert_eq!(counter.take(7, &rate, 1, 65_000).unwrap_err(), wait(MINUTE));
    // Nothing was used for long: the window begins anew.
    assert!(counter.take(7, &rate, 10, 65_000 + 10 * MINUTE + 1).is_ok());
    assert_eq!(counter.take(7, &rate, 1, 65_000 + 11 * MINUTE).unwrap_err(), wait(1));
}

#[test]
fn a_burst_comes_back_window_by_window() {
    let (counter, rate) = (counter(), rate(10, 25));
    assert!(counter.take(7, &rate, 25, 0).is_ok());
    assert_eq!(counter.take(7, &rate, 15, 10).unwrap_err(), wait(2 * MINUTE - 10));
    assert!(counter.take(7, &rate, 10, MINUTE).is_ok());
    assert!(counter.take(7, &rate, 20, 3 * MINUTE).is_ok());
    assert_eq!(counter.take(7, &rate, 26, 3 * MINUTE).unwrap_err(), None);
}

#[test]
fn what_was_not_needed_goes_back_and_what_was_missing_is_owed() {
    let (counter, rate) = (counter(), rate(10, 10));
    counter.take(7, &rate, 10, 0).unwrap().settle(4, 100);
    assert!(counter.take(7, &rate, 6, 200).is_ok());
    counter.take(8, &rate, 1, 0).unwrap().settle(25, 100);
    assert_eq!(counter.take(8, &rate, 1, 200).unwrap_err(), wait(2 * MINUTE - 200));
    // In the next window there is nothing to give back any more.
    let late = counter.take(9, &rate, 10, 0).unwrap();
    assert!(counter.take(9, &rate, 10, MINUTE).is_ok());
    late.settle(0, MINUTE + 1);
    assert!(counter.take(9, &rate, 1, MINUTE + 2).is_err());
}

#[test]
fn an_amount_that_is_not_known_before_waits_only_for_what_is_used_up() {
    let (counter, rate) = (counter(), rate(10, 10));
    counter.take(7, &rate, 0, 0).unwrap().settle(10, 5);
    assert!(counter.take(7, &rate, 0, 10).is_err());
    assert!(counter.take(7, &rate, 0, MINUTE + 5).is_ok());
}

#[test]
fn a_lowered_limit_keeps_what_was_used() {
    let counter = counter();
    assert!(counter.take(7, &rate(100, 100), 80, 0).is_ok());
    assert_eq!(counter.take(7, &rate(50, 50), 1, 10).unwrap_err(), wait(MINUTE - 10));
    assert!(counter.take(7, &rate(200, 200), 120, 10).is_ok());
}

#[test]
fn subjects_beyond_the_room_share_a_bucket_and_memory_is_bounded() {
    let room = Arc::new(Room::of(20));
    let counter = Arc::new(Counter::new(Window::Minute, &room));
    let rate = rate(10, 10);
    for subject in 1..=1_000_u128 {
        let _ = counter.take(subject, &rate, 1, 0);
    }
    assert_eq!(room.taken(), 21);
    // Whoever was there before has a bucket, all others have one together, and it is empty.
    assert!(counter.take(1, &rate, 9, 1).is_ok());
    assert!(counter.take(2_000, &rate, 1, 1).is_err());
    // Once the window has passed there is room again.
    assert!(counter.take(2_000, &rate, 10, MINUTE + 1).is_ok());
    assert!(counter.take(2_016, &rate, 10, MINUTE + 1).is_ok());
    drop(counter);
    assert_eq!(room.taken(), 0);
}

proptest! {
    /// However takes and settlements are mixed, no window gives more than the capacity and what came to it.
    #[test]
    fn no_more_is_given_than_there_is(
        steps in proptest::collection::vec((0..90_000_u64, 1..8_u64, 0..8_u64), 1..60),
        refill in 1..10_u64,
        more in 0..10_u64,
    ) {
        let (counter, rate) = (counter(), rate(refill, refill + more));
        let (mut now, mut given, mut first) = (0_u64, 0_u64, None);
        for (pause, amount, used) in steps {
            now += pause;
            if let Ok(taken) = counter.take(7, &rate, amount, now) {
                let used = used.min(amount);
                taken.settle(used, now);
                given += used;
                let first = *first.get_or_insert(now);
                let came = ((now - first) / MINUTE + 1) * rate.refill;
                prop_assert!(given <= rate.capacity + came, "{given} of {} and {came}", rate.capacity);
            }
        }
    }
}
