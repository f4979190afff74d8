//! Points in time as people and clouds write them.

/// A time of the week, as far as it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// 0 is Monday.
    pub weekday: Option<u64>,
    /// 0 to 23.
    pub hour: u64,
}

/// The days as rules name them.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads `sat 22:15`, `22:15`, or a point in time, which a clock `utc_offset` minutes from UTC shows as the moment.
pub fn read(text: &str, utc_offset: i32) -> Option<Moment> {
    if let Some(seconds) = rfc3339(text) {
        let local = u64::try_from(seconds).ok()?.saturating_add_signed(i64::from(utc_offset) * 60);
        let day = crate::table::facts::weekday(local);
        return Some(Moment { weekday: Some(day), hour: crate::table::facts::hour(local) });
    }
    let (weekday, time) = match text.split_once(' ') {
        Some((day, time)) => (Some(DAYS.iter().position(|known| *known == day)? as u64), time),
        None => (None, text),
    };
    let (hour, minute) = time.split_once(':')?;
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    (hour < 24 && minute < 60).then_some(Moment { weekday, hour })
}

fn two_digits(text: &str) -> Option<u64> {
    // `parse` alone would take a sign.
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Seconds since 1970 of `2026-11-21T16:05:00Z`, with or without a fraction of a second, or with an offset (`+00:00`).
pub fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.trim().split_once(['T', ' '])?;
    let (time, offset) = split_offset(time)?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    let plausible = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !plausible || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset)
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
    fn moments_are_read_on_the_files_clock() {
        for (text, offset, expected) in [
            ("22:15", 0, Some((None, 22))),
            ("sat 09:00", 120, Some((Some(5), 9))),
            ("2026-11-21T23:30:00Z", 0, Some((Some(5), 23))),
            ("2026-11-21T23:30:00Z", 60, Some((Some(6), 0))),
            ("2026-11-21T23:30:00+02:00", 0, Some((Some(5), 21))),
            ("24:00", 0, None),
            ("9:00", 0, None),
            ("Sat 09:00", 0, None),
            ("sat", 0, None),
            ("2026-11-21T23:30:00", 0, None),
        ] {
            let moment = read(text, offset).map(|moment| (moment.weekday, moment.hour));
            assert_eq!(moment, expected, "{text}");
        }
    }
}
