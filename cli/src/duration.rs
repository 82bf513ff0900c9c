//! Durations in flags, as people write them: `90s`, `1h 30m`, `365d`.

use std::time::Duration;

/// The duration that `text` says, from `least` to `most`.
///
/// # Errors
/// It is none, or out of bounds: for people, with the bounds.
pub fn within(text: &str, least: &str, most: &str) -> Result<Duration, String> {
    let parse = |text: &str| humantime::parse_duration(text).map_err(|error| error.to_string());
    let duration = parse(text)?;
    if (parse(least)?..=parse(most)?).contains(&duration) {
        return Ok(duration);
    }
    Err(format!("{text} is out of bounds: from {least} to {most}"))
}

/// The same for what is counted in whole seconds.
///
/// # Errors
/// As [`within`], and it has a part of a second.
pub fn whole_seconds_within(text: &str, least: &str, most: &str) -> Result<Duration, String> {
    let duration = within(text, least, most)?;
    if duration.subsec_nanos() == 0 {
        return Ok(duration);
    }
    Err(format!("{text} is not a whole number of seconds"))
}
