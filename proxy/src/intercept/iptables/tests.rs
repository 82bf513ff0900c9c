//! What a table says about the state of interception.

use fleetmesh_instance::interception::iptables::table;

use super::*;
use crate::intercept::test::{guarded, scenario};

#[test]
fn distinguishes_on_from_off() {
    let both = Interception { ipv6: true, ..scenario() };
    for made in [scenario(), both, guarded(), Interception { ingress: None, ..scenario() }] {
        let (v4, v6) = (table(&made, Family::V4), table(&made, Family::V6));
        assert_eq!(state(&v4, &v6), State::Enabled(made));
    }
    assert_eq!(state(&Table::default(), &Table::default()), State::Disabled);
}

#[test]
fn a_doubled_jump_is_altered_and_mended() {
    let good = table(&scenario(), Family::V4);
    let mut doubled = good.clone();
    doubled.jumps.extend(good.jumps.last().cloned());
    assert!(matches!(state(&doubled, &Table::default()), State::Altered(_)));
    let transaction = doubled.transaction(&good).expect("they differ");
    assert_eq!(transaction.matches("-D OUTPUT").count(), 2);
    assert_eq!(transaction.matches("-A OUTPUT").count(), 1);
}

#[test]
fn says_which_rule_is_missing_or_strange() {
    let mut missing = table(&scenario(), Family::V4);
    missing.jumps.pop();
    let expected = "missing: -A OUTPUT -p tcp -m addrtype ! --dst-type LOCAL -j FLEETMESH_EGRESS";
    assert_eq!(state(&missing, &Table::default()), State::Altered(expected.to_owned()));
    let mut strange = table(&scenario(), Family::V4);
    strange.egress.get_or_insert_default().push("-A FLEETMESH_EGRESS -j ACCEPT".to_owned());
    let expected = "unexpected: -A FLEETMESH_EGRESS -j ACCEPT";
    assert_eq!(state(&strange, &Table::default()), State::Altered(expected.to_owned()));
}
