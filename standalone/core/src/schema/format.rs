//! Formats of strings and numbers.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use base64::Engine as _;

use super::shape::JsonType;

/// Whether `format` is checked for values of `json_type`. The API server ignores formats that it does not know; of those
/// that it knows, these are the ones that the schemas of this API use or may come to use.
pub(crate) fn is_known(json_type: Option<JsonType>, format: &str) -> bool {
    match json_type {
        None | Some(JsonType::String) => CHECKS.iter().any(|(name, _)| *name == format.replace('-', "")),
        Some(JsonType::Integer) => matches!(format, "int32" | "int64"),
        Some(JsonType::Number) => matches!(format, "float" | "double"),
        Some(JsonType::Object | JsonType::Array | JsonType::Boolean) => false,
    }
}

/// Whether `text` is of `format`; unknown formats hold.
pub(crate) fn holds(format: &str, text: &str) -> bool {
    let name = format.replace('-', "");
    CHECKS.iter().find(|(known, _)| *known == name).is_none_or(|(_, check)| check(text))
}

type Check = fn(&str) -> bool;

const CHECKS: [(&str, Check); 8] = [
    ("byte", |text| base64::engine::general_purpose::STANDARD.decode(text).is_ok()),
    ("cidr", is_cidr),
    ("date", is_date),
    ("datetime", is_date_time),
    ("ipv4", |text| Ipv4Addr::from_str(text).is_ok()),
    ("ipv6", |text| Ipv6Addr::from_str(text).is_ok()),
    ("password", |_| true),
    ("uuid", is_uuid),
];

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(length) = length.parse::<u8>() else { return false };
    Ipv4Addr::from_str(address).is_ok() && length <= 32
        || Ipv6Addr::from_str(address).is_ok() && length <= 128
}

fn is_uuid(text: &str) -> bool {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    digits.len() == 32 && digits.chars().all(|digit| digit.is_ascii_hexdigit())
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && jiff::civil::Date::strptime("%Y-%m-%d", text).is_ok()
}

/// RFC 3339, with the seconds of a leap second left out.
fn is_date_time(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some((date, time)) = lower.split_once('t') else { return false };
    is_date(date) && is_time(time)
}

fn is_time(time: &str) -> bool {
    let Some((clock, rest)) = time.split_at_checked(8) else { return false };
    let pair = |from: usize, colon: bool, most: &str| {
        let digits = clock.get(from..from + 2).unwrap_or_default();
        let separated = !colon || clock.get(from + 2..from + 3) == Some(":");
        digits.bytes().all(|digit| digit.is_ascii_digit()) && digits <= most && separated
    };
    let zone = rest.strip_prefix('.').map_or(rest, |fraction| {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 { rest } else { &fraction[digits..] }
    });
    pair(0, true, "23") && pair(3, true, "59") && pair(6, false, "59") && is_zone(zone)
}

fn is_zone(zone: &str) -> bool {
    let bytes = zone.as_bytes();
    zone == "z"
        || matches!(bytes, [b'+' | b'-', a, b, b':', c, d]
            if [a, b, c, d].iter().all(|digit| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_as_rfc_3339() {
        for time in ["2026-11-30T12:00:00Z", "2026-11-30t12:00:00.123z", "2026-02-28T23:59:59+01:00"] {
            assert!(holds("date-time", time), "{time}");
        }
        for time in [
            "",
            "yesterday",
            "2026-11-30",
            "2026-02-30T12:00:00Z",
            "2026-11-30T24:00:00Z",
            "2026-11-30T12:00:00",
            "2026-11-30T12:00:60Z",
            "2026-11-30T12:00:00.Z",
        ] {
            assert!(!holds("date-time", time), "{time}");
        }
    }

    #[test]
    fn knows_the_others() {
        for (format, good, bad) in [
            ("byte", "YQ==", "YQ="),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("date", "2026-11-30", "2026-13-01"),
            ("ipv4", "10.0.0.1", "10.0.0.256"),
            ("ipv6", "::1", "::g"),
            ("uuid", "00000000-0000-4000-8000-000000000000", "0"),
        ] {
            assert!(holds(format, good) && !holds(format, bad), "{format}");
        }
        assert!(holds("password", "") && holds("colour", "anything"));
        assert!(!is_known(Some(JsonType::String), "colour") && is_known(Some(JsonType::Integer), "int32"));
    }
}
