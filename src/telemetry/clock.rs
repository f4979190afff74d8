//! Points in time as logs write them.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-11-21T09:41:04Z`.
pub fn rfc3339(time: SystemTime) -> String {
    rfc3339_millis(time).as_str().chars().take("2026-11-21T09:41:04".len()).chain(['Z']).collect()
}

/// `2026-11-21T09:41:04.250Z`: every line of the access log has one, so nothing is allocated for it, and only what differs
/// from the last one of the thread is written.
pub fn rfc3339_millis(time: SystemTime) -> Text {
    thread_local! {
        static LAST: Cell<(u64, Text)> = const { Cell::new((u64::MAX, Text { bytes: [0; 24], written: 0 })) };
    }
    let since = since_1970(time);
    let (second, mut text) = LAST.get();
    if second != since.as_secs() {
        text = of_second(since);
        LAST.set((since.as_secs(), text));
        return text;
    }
    text.written = "2026-11-21T09:41:04.".len();
    text.put(3, since.subsec_millis().into(), b'Z');
    text
}

fn of_second(since: Duration) -> Text {
    let ((year, month, day), second) = (civil(since.as_secs() / 86_400), since.as_secs() % 86_400);
    // Years of five digits are written as the last of four.
    let year = year.min(9999);
    let millis = u64::from(since.subsec_millis());
    let numbers = [
        (4, year, b'-'),
        (2, month, b'-'),
        (2, day, b'T'),
        (2, second / 3600, b':'),
        (2, second / 60 % 60, b':'),
        (2, second % 60, b'.'),
        (3, millis, b'Z'),
    ];
    let mut text = Text::default();
    for (digits, number, end) in numbers {
        text.put(digits, number, end);
    }
    text
}

/// A point in time as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Text {
    bytes: [u8; 24],
    written: usize,
}

impl Text {
    /// A number of so many digits, and what follows it.
    fn put(&mut self, digits: usize, mut number: u64, end: u8) {
        let Some(place) = self.bytes.get_mut(self.written..=self.written + digits) else { return };
        if let Some((last, place)) = place.split_last_mut() {
            *last = end;
            for digit in place.iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        self.written += digits + 1;
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years are counted from 1 March, so
/// that the leap day is the last of its year, and in eras of 400 years, which all have 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_written_with_three_digits() {
        let time = UNIX_EPOCH + Duration::from_millis(1_795_252_500_007);
        assert_eq!(rfc3339_millis(time).as_str(), "2026-11-21T09:15:00.007Z");
        let same_second = time + Duration::from_millis(992);
        assert_eq!(rfc3339_millis(same_second).as_str(), "2026-11-21T09:15:00.999Z");
        assert_eq!(rfc3339_millis(time).as_str(), "2026-11-21T09:15:00.007Z");
        assert_eq!(rfc3339_millis(UNIX_EPOCH).to_string(), "1970-01-01T00:00:00.000Z");
        let last = UNIX_EPOCH + Duration::from_millis(253_402_300_799_999);
        assert_eq!(rfc3339_millis(last).as_str(), "9999-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(time), "2026-11-21T09:15:00Z");
    }
}
