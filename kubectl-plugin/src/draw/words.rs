//! Times for people to read.

use std::time::Duration;

use fleetmesh_core::canary::time::in_words;
use jiff::Timestamp;

/// The time between, in its two greatest units: `1h 30m`, `4m 12s`, `0s`. Backwards counts as none.
pub fn between(from: Timestamp, to: Timestamp) -> String {
    let seconds = u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0);
    // Nobody waits for the seconds of an hour.
    let shown = match seconds {
        0..3600 => seconds,
        3600..86400 => seconds / 60 * 60,
        _ => seconds / 3600 * 3600,
    };
    in_words(Duration::from_secs(shown))
}

/// How long ago, `4m 12s ago`.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    format!("{} ago", between(time, now))
}

/// The time of day in UTC, with the date when that is another one.
pub fn clock(time: Timestamp, now: Timestamp) -> String {
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    if day(time) == day(now) { time.strftime("%H:%M:%SZ").to_string() } else { full(time) }
}

/// Date and time of day in UTC.
pub fn full(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let now: Timestamp = "2026-12-01T10:00:00.4Z".parse().unwrap();
        let before = |text: &str| between(text.parse().unwrap(), now);
        assert_eq!(before("2026-12-01T09:59:59Z"), "1s");
        assert_eq!(before("2026-12-01T09:55:48Z"), "4m 12s");
        assert_eq!(before("2026-12-01T08:29:50Z"), "1h 30m");
        assert_eq!(before("2026-11-28T08:29:50Z"), "73h");
        assert_eq!(before("2026-12-01T10:00:09Z"), "0s");
    }

    #[test]
    fn another_day_is_shown() {
        let now: Timestamp = "2026-12-01T10:00:00Z".parse().unwrap();
        assert_eq!(clock("2026-12-01T23:10:00Z".parse().unwrap(), now), "23:10:00Z");
        assert_eq!(clock("2026-12-02T00:10:00Z".parse().unwrap(), now), "2026-12-02T00:10:00Z");
    }
}
