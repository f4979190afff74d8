//! Points in time as clouds write them.

use std::time::{Duration, SystemTime};

/// Reads `2026-11-21T16:05:00Z`, with or without a fraction of a second, or with an offset (`+00:00`).
pub(super) fn rfc3339(text: &str) -> Option<SystemTime> {
    let (date, time) = text.trim().split_once(['T', ' '])?;
    let (time, offset) = split_offset(time)?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    let plausible = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !plausible || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// The time and how many seconds it is ahead of UTC.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let (time, sign, offset) = match (time.split_once('+'), time.split_once('-')) {
        (Some((time, offset)), _) => (time, 1, offset),
        (None, Some((time, offset))) => (time, -1, offset),
        (None, None) => return None,
    };
    let (hours, minutes) = offset.split_once(':')?;
    Some((time, sign * (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?) * 60))
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse::<i64>().ok().filter(|number| *number >= 0));
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that a leap day ends one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_that_clouds_write() {
        let seconds = |text| rfc3339(text).map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2026-11-21T16:05:00Z"), Some(1_795_277_100));
        assert_eq!(seconds("2026-11-21T16:05:00.123Z"), Some(1_795_277_100));
        assert_eq!(seconds("2026-11-21T18:05:00+02:00"), Some(1_795_277_100));
        assert_eq!(seconds("2024-02-29T00:00:00Z"), Some(1_709_164_800));
        for bad in ["", "tomorrow", "2026-13-01T00:00:00Z", "2026-11-21", "2026-11-21T16:05Z", "-1-1-1T1:1:1Z"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
