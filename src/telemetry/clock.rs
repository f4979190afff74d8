//! Points in time as logs write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-11-21T09:41:04Z`.
pub fn rfc3339(time: SystemTime) -> String {
    format!("{}Z", to_the_second(since_1970(time).as_secs()))
}

/// `2026-11-21T09:41:04.250Z`.
pub fn rfc3339_millis(time: SystemTime) -> String {
    let since = since_1970(time);
    format!("{}.{:03}Z", to_the_second(since.as_secs()), since.subsec_millis())
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

fn to_the_second(since: u64) -> String {
    let (days, seconds) = (since / 86_400, since % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
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
        assert_eq!(rfc3339_millis(time), "2026-11-21T09:15:00.007Z");
        assert_eq!(rfc3339(time), "2026-11-21T09:15:00Z");
    }
}
