//! Points in time as clouds write them.

use std::time::{Duration, SystemTime};

use crate::config::decode::moment;

/// Reads `2026-11-21T16:05:00Z`, with or without a fraction of a second, or with an offset (`+00:00`).
pub(super) fn rfc3339(text: &str) -> Option<SystemTime> {
    let seconds = u64::try_from(moment::rfc3339(text)?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
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
