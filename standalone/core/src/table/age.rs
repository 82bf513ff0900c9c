//! Times as kubectl shows them: how long ago, in two or three figures.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// How long before `now` the time `text` was, which is RFC 3339 or nothing.
pub fn since(text: Option<&str>, now: Timestamp) -> String {
    match text {
        None | Some("" | "null") => "<unknown>".to_owned(),
        Some(text) => match rfc3339(text) {
            Some(time) => human(now.duration_since(time).as_millis()),
            None => "<invalid>".to_owned(),
        },
    }
}

/// The time that `text` says, in the one form that Kubernetes writes and reads.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let shaped = text.as_bytes().get(10) == Some(&b'T') && !text.contains(['t', 'z', ' ', '[', '_']);
    let digits = text.get(..4).is_some_and(|year| year.bytes().all(|byte| byte.is_ascii_digit()));
    if shaped && digits { text.parse().ok() } else { None }
}

/// A span of time in milliseconds. Clocks that differ by less than two seconds still count as now.
fn human(milliseconds: i128) -> String {
    let seconds = i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX);
    match seconds {
        ..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(seconds / MINUTE, 'm', seconds % MINUTE, 's'),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(seconds / HOUR, 'h', seconds / MINUTE % 60, 'm'),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(seconds / DAY, 'd', seconds / HOUR % 24, 'h'),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two(seconds / YEAR, 'y', seconds / DAY % 365, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

fn two(large: i64, of: char, small: i64, rest: char) -> String {
    if small == 0 { format!("{large}{of}") } else { format!("{large}{of}{small}{rest}") }
}

#[cfg(test)]
mod tests {
    use super::{DAY, HOUR, MINUTE, YEAR, human, rfc3339, since};

    #[test]
    fn spans_have_two_or_three_figures() {
        let spans = [
            (-5, "<invalid>"),
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (10 * MINUTE - 1, "9m59s"),
            (10 * MINUTE + 59, "10m"),
            (3 * HOUR - 1, "179m"),
            (3 * HOUR, "3h"),
            (3 * HOUR + 5 * MINUTE, "3h5m"),
            (8 * HOUR - 1, "7h59m"),
            (8 * HOUR + 59 * MINUTE, "8h"),
            (48 * HOUR - 1, "47h"),
            (2 * DAY, "2d"),
            (2 * DAY + 3 * HOUR, "2d3h"),
            (8 * DAY, "8d"),
            (2 * YEAR - 1, "729d"),
            (2 * YEAR, "2y"),
            (2 * YEAR + 3 * DAY, "2y3d"),
            (8 * YEAR + 3 * DAY, "8y"),
        ];
        for (seconds, expected) in spans {
            assert_eq!(human(i128::from(seconds) * 1000), expected, "{seconds}");
        }
        // Cut towards zero, as Go does: not yet two seconds ahead.
        assert_eq!(human(-1999), "0s");
        assert_eq!(human(-999), "0s");
    }

    #[test]
    fn a_time_that_is_none_is_said_to_be() {
        let now = "2026-01-02T03:04:05Z".parse().expect("a time");
        assert_eq!(since(None, now), "<unknown>");
        assert_eq!(since(Some(""), now), "<unknown>");
        assert_eq!(since(Some("yesterday"), now), "<invalid>");
        assert_eq!(since(Some("2026-01-02T03:03:05Z"), now), "60s");
        assert_eq!(since(Some("2026-01-02T04:03:05.5+01:00"), now), "59s");
        for text in ["2026-01-02 03:03:05Z", "2026-01-02T03:03:05z", "2026-01-02T03:03:05Z[UTC]", "+02026"] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
