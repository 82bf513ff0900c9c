//! Values and the lists of a class: when an entry matches a value, and how messages show them. Pure.

use fleetmesh_api::tags::TAG_PREFIX;

/// How many values of a list a message shows.
const SHOWN: usize = 5;

/// The first values of a list, for a message.
pub(super) fn shown(allowed: &[String]) -> String {
    let first: Vec<&str> = allowed.iter().take(SHOWN).map(|entry| short(entry)).collect();
    match (first.is_empty(), allowed.len() - first.len()) {
        (true, _) => "none".to_owned(),
        (false, 0) => first.join(", "),
        (false, more) => format!("{} and {more} more", first.join(", ")),
    }
}

/// The beginning of a value: a name may have a thousand characters.
pub(super) fn short(value: &str) -> &str {
    value.char_indices().nth(100).map_or(value, |(end, _)| value.get(..end).unwrap_or(value))
}

/// Whether a key of tags is AWS's or Fleetmesh's own.
pub(super) fn is_reserved(key: &str) -> bool {
    key.starts_with("aws:") || key.starts_with(TAG_PREFIX)
}

/// Whether `entry` stands for `value`: it is the same, or ends with `*` and begins it.
pub(super) fn matches(entry: &str, value: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(beginning) => value.starts_with(beginning),
        None => entry == value,
    }
}

/// Whether `entry` stands for the parameter: it is the same, or ends with a slash and the parameter is below it. A segment
/// `..`, which Systems Manager does not know as anything else, is below nothing.
pub(super) fn is_below(entry: &str, parameter: &str) -> bool {
    let below = entry.ends_with('/') && parameter.len() > entry.len() && parameter.starts_with(entry);
    entry == parameter || (below && !parameter.split('/').any(|segment| segment == ".." || segment == "."))
}

/// Whether `text` is the id of an AMI: `ami-` and 8 to 17 hexadecimal digits, lower case.
pub fn is_ami_id(text: &str) -> bool {
    let hexadecimal = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
    text.strip_prefix("ami-")
        .is_some_and(|digits| (8..=17).contains(&digits.len()) && digits.bytes().all(hexadecimal))
}
