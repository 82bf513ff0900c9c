//! Rules against goldens, reading back, and transactions between tables.

use super::rules::{read, table};
use super::*;
use crate::intercept::test::{everything, golden, scenario};

fn script(interception: &Interception, family: Family) -> String {
    Table::default().transaction(&table(interception, family)).unwrap_or_default()
}

#[test]
fn renders_the_scenario_and_every_option() {
    golden("scenario.iptables", &script(&scenario(), Family::V4));
    assert_eq!(script(&scenario(), Family::V6), "", "IPv6 is off by default");
    golden("everything.iptables", &script(&everything(), Family::V4));
    golden("everything.ip6tables", &script(&everything(), Family::V6));
}

#[test]
fn reads_back_what_it_rendered() {
    for made in [scenario(), everything(), Interception { ingress: None, ..scenario() }] {
        let (v4, v6) = (table(&made, Family::V4), table(&made, Family::V6));
        assert_eq!(read(&v4, &v6), Ok(made.clone()));
        assert_eq!(state(&v4, &v6), State::Enabled(made));
    }
    assert_eq!(state(&Table::default(), &Table::default()), State::Disabled);
}

#[test]
fn the_tables_of_others_are_not_ours() {
    let saved = "*filter\n:FLEETMESH_EGRESS - [0:0]\n-A OUTPUT -j FLEETMESH_EGRESS\nCOMMIT\n\
                 *nat\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n-A OUTPUT -j DOCKER\n-A DOCKER -j RETURN\nCOMMIT\n";
    assert!(Table::parse(saved).is_empty());
}

#[test]
fn a_change_removes_what_is_there_and_keeps_what_stays() {
    let before = table(&scenario(), Family::V4);
    let after = table(&Interception { ingress: None, ..scenario() }, Family::V4);
    golden("change.iptables", &before.transaction(&after).expect("they differ"));
    golden("disable.iptables", &before.transaction(&Table::default()).expect("they differ"));
    assert_eq!(before.transaction(&before), None);
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
