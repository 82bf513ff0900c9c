//! Comma-separated lists and single values on the command line, where an empty text means "none". Pure.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use fleetmesh_instance::interception::{MAX_ID, Network};

/// A comma-separated list; the empty text is the empty list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub BTreeSet<T>);

/// A list of one.
pub fn one<T: Ord>(item: T) -> List<T> {
    List([item].into())
}

/// As it is given.
impl<T: Display> Display for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(items) = self;
        f.write_str(&items.iter().map(T::to_string).collect::<Vec<_>>().join(","))
    }
}

fn list<T: Ord>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<List<T>, String> {
    if text.trim().is_empty() {
        return Ok(List(BTreeSet::new()));
    }
    text.split(',').map(|item| parse(item.trim())).collect::<Result<_, _>>().map(List)
}

/// User or group ids, each 0 to 2147483647.
pub fn ids(text: &str) -> Result<List<u32>, String> {
    list(text, |item| match item.parse() {
        Ok(id) if id <= MAX_ID => Ok(id),
        _ => Err(format!("{item:?} is not a numeric id from 0 to {MAX_ID}")),
    })
}

/// Ports, each 1 to 65535.
pub fn ports(text: &str) -> Result<List<u16>, String> {
    list(text, port)
}

/// Addresses or ranges of addresses.
pub fn networks(text: &str) -> Result<List<Network>, String> {
    list(text, str::parse)
}

/// At most one port. (A list of none or one, because clap gives `Option` a meaning of its own.)
pub fn optional_port(text: &str) -> Result<List<u16>, String> {
    if text.contains(',') { Err(format!("{text:?} is more than one port")) } else { ports(text) }
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{text:?} is not a port: a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_text_is_the_empty_list() {
        assert_eq!(ports(""), Ok(List([].into())));
        assert_eq!(ports("80, 443,80"), Ok(List([80, 443].into())));
        assert_eq!(ids("0,2147483647"), Ok(List([0, MAX_ID].into())));
    }

    #[test]
    fn rejects_what_is_out_of_bounds() {
        for text in ["0", "65536", "-1", "http", "80,", ",80"] {
            assert!(ports(text).expect_err(text).contains("from 1 to 65535"));
        }
        for text in ["2147483648", "-1", "root"] {
            assert!(ids(text).expect_err(text).contains("from 0 to 2147483647"));
        }
        assert!(optional_port("1,2").is_err());
    }
}
