//! Times as in the status: in whole microseconds. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// The time, cut to what the status can keep: a decision that is read back is the same decision.
pub fn cut(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// The time that is `length` after `time`.
pub fn after(time: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    time.checked_add(length).unwrap_or(Timestamp::MAX)
}

/// The time that is `length` before `time`.
pub fn before(time: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    time.checked_sub(length).unwrap_or(Timestamp::MIN)
}

/// A length of time for people to read, for example `1h 30m`.
pub fn in_words(length: Duration) -> String {
    format!("{:#}", SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX))
}

/// The time of a status.
pub fn micro(time: Timestamp) -> MicroTime {
    MicroTime(time)
}
