//! The virtual addresses of services: what `fleetmesh proxy dns` answers an application that asks for a service's name, so that it
//! connects to something that interception finds.
//!
//! An address is a function of the names alone: the same names have the same addresses in every process, after a restart, and on
//! every machine. They are of 198.18.0.0/15, which is set aside for tests of network devices (RFC 2544, RFC 6890): nothing that an
//! instance calls is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use sha2::{Digest as _, Sha256};

/// How many addresses there are: those of 512 networks of 256 each, without the first and the last of each, which some programs
/// take for the network itself and for its broadcast.
pub const COUNT: u32 = 512 * PER_NETWORK;

const PER_NETWORK: u32 = 254;

/// An address for each of `names`, all different. Names are compared as they are: give them in lower case, without a dot at the end.
///
/// A name has the address that its hash says; where another one has that, the next free one, in the order of the names. So a name
/// keeps its address while others come and go, unless one comes that has the same hash (of `n` names two have in about `n²/260,000`
/// of all cases). Of more than [`COUNT`] names the last ones have none.
pub fn assign(names: &BTreeSet<String>) -> BTreeMap<String, Ipv4Addr> {
    assign_beside(names, &BTreeMap::new())
}

/// The same, where the addresses of some names are `given`: those keep them, and no other name gets one of these.
pub fn assign_beside(
    names: &BTreeSet<String>,
    given: &BTreeMap<String, Ipv4Addr>,
) -> BTreeMap<String, Ipv4Addr> {
    let mut taken: BTreeSet<Ipv4Addr> = given.values().copied().collect();
    let mut assigned = given.clone();
    for name in names.iter().filter(|name| !given.contains_key(*name)) {
        let first = place(name);
        let mut candidates = (0..COUNT).map(|step| address((first + step) % COUNT));
        if let Some(free) = candidates.find(|candidate| taken.insert(*candidate)) {
            assigned.insert(name.clone(), free);
        }
    }
    assigned
}

/// Where a name's address is looked for first, below [`COUNT`].
fn place(name: &str) -> u32 {
    let hash = Sha256::digest(name.as_bytes());
    // Horner's rule: the hash as a number, modulo the count.
    hash.iter().fold(0, |place, byte| (place * 256 + u32::from(*byte)) % COUNT)
}

/// The address at a place below [`COUNT`].
fn address(place: u32) -> Ipv4Addr {
    let (network, host) = (place / PER_NETWORK, place % PER_NETWORK + 1);
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + network * 256 + host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    /// Whoever changes this changes what names mean on machines that run.
    #[test]
    fn a_name_has_the_address_of_its_hash() {
        let assigned = assign(&names(&["serviceb.apps.local", "servicec.apps.local"]));
        assert_eq!(assigned["serviceb.apps.local"], Ipv4Addr::new(198, 19, 110, 37));
        assert_eq!(
            assign(&names(&["serviceb.apps.local"]))["serviceb.apps.local"],
            assigned["serviceb.apps.local"]
        );
    }

    #[test]
    fn all_addresses_are_of_the_range_and_hosts() {
        assert_eq!((address(0), address(COUNT - 1)), ([198, 18, 0, 1].into(), [198, 19, 255, 254].into()));
        for place in 0..COUNT {
            let [a, b, _, d] = address(place).octets();
            assert!(a == 198 && (b == 18 || b == 19) && d != 0 && d != 255, "{place}");
        }
    }

    #[test]
    fn names_of_one_hash_have_different_addresses_in_every_process() {
        // 2,000 names of 130,048 places: some of them share one.
        let many: BTreeSet<String> = (0..2000).map(|number| format!("service{number}.apps.local")).collect();
        let places: BTreeSet<u32> = many.iter().map(|name| place(name)).collect();
        assert!(places.len() < many.len(), "the test sees a collision");
        let assigned = assign(&many);
        let different: BTreeSet<Ipv4Addr> = assigned.values().copied().collect();
        assert_eq!((assigned.len(), different.len()), (2000, 2000));
        assert_eq!(assigned, assign(&many));
    }

    #[test]
    fn what_is_given_stays_and_is_nobody_elses() {
        let own = assign(&names(&["a"]))["a"];
        let given = BTreeMap::from([("b".to_owned(), own)]);
        let assigned = assign_beside(&names(&["a", "b"]), &given);
        assert_eq!(assigned["b"], own);
        assert_eq!(assigned["a"], address((place("a") + 1) % COUNT));
    }
}
