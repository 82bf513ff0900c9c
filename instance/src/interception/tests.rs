//! Rules against goldens, reading back, and transactions between tables.

use std::path::Path;

use super::iptables::{self, Family, Table, table};
use super::nft;
use super::{Guard, Interception, Options};

/// The scenario's options, which are the defaults.
fn scenario() -> Interception {
    Interception::new(Options {
        ignored_uids: [1337].into(),
        app_ports: [8000].into(),
        ingress_port: Some(15000),
        egress_port: Some(15001),
        ignored_networks: ["169.254.169.254", "169.254.170.2"]
            .map(|text| text.parse().expect("an address"))
            .into(),
        ..Options::default()
    })
    .expect("complete options")
}

/// Every option in use, some beyond what one rule holds.
fn everything() -> Interception {
    let networks = ["169.254.169.254", "10.0.0.0/8", "fd00:ec2::254", "2001:db8::/32"];
    Interception::new(Options {
        ignored_uids: [0, 1337].into(),
        ignored_gids: [1338].into(),
        app_ports: (8000..8016).collect(),
        ingress_port: Some(16000),
        egress_port: Some(16001),
        ignored_networks: networks.map(|text| text.parse().expect("a network")).into(),
        ignored_egress_ports: [25, 3306].into(),
        ipv6: true,
        guard_metadata: true,
        guard_ports: [9901, 9902].into(),
        guard_uids: [0, 1337].into(),
        guard_denied_gids: [1338].into(),
    })
    .expect("complete options")
}

/// What the user data of an instance sets besides: IPv6 is guarded though it is not intercepted.
fn guarded() -> Interception {
    let guard =
        Guard { metadata: true, ports: [9901].into(), uids: [0, 1337].into(), denied_gids: [1338].into() };
    Interception { guard: Some(guard), ..scenario() }
}

/// Compares `text` with the golden file `name`; `FLEETMESH_BLESS=1` writes it instead.
fn golden(name: &str, text: &str) {
    let path = Path::new("tests/golden/interception").join(name);
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::write(&path, text).expect("a writable golden");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name} differs; review it and run with FLEETMESH_BLESS=1");
}

fn script(interception: &Interception, family: Family) -> String {
    Table::default().transaction(&table(interception, family)).unwrap_or_default()
}

#[test]
fn iptables_renders_the_scenario_and_every_option() {
    golden("scenario.iptables", &script(&scenario(), Family::V4));
    assert_eq!(script(&scenario(), Family::V6), "", "IPv6 is off by default");
    golden("everything.iptables", &script(&everything(), Family::V4));
    golden("everything.ip6tables", &script(&everything(), Family::V6));
    golden("guarded.ip6tables", &script(&guarded(), Family::V6));
}

#[test]
fn nft_renders_the_scenario_and_every_option() {
    golden("scenario.nft", &nft::replace(&scenario()));
    golden("everything.nft", &nft::replace(&everything()));
    golden("guarded.nft", &nft::replace(&guarded()));
}

#[test]
fn both_read_back_what_they_rendered() {
    let ports =
        Interception { guard: guarded().guard.map(|guard| Guard { metadata: false, ..guard }), ..scenario() };
    for made in [scenario(), everything(), guarded(), ports, Interception { ingress: None, ..scenario() }] {
        let (v4, v6) = (table(&made, Family::V4), table(&made, Family::V6));
        assert_eq!(iptables::read(&v4, &v6), Ok(made.clone()));
        assert_eq!(nft::read(&nft::rules(&made)), Ok(made));
    }
}

#[test]
fn the_tables_of_others_are_not_ours() {
    let saved = "*filter\n:FLEETMESH_EGRESS - [0:0]\n-A OUTPUT -j FLEETMESH_EGRESS\nCOMMIT\n\
                 *nat\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n-A OUTPUT -j DOCKER\n-A DOCKER -j RETURN\nCOMMIT\n";
    assert!(Table::parse(saved).is_empty());
    let saved = "*nat\n:FLEETMESH_GUARD - [0:0]\n-A OUTPUT -j FLEETMESH_GUARD\nCOMMIT\n";
    assert!(Table::parse(saved).is_empty());
}

#[test]
fn each_table_changes_alone_and_a_guard_stands_before_what_others_let_pass() {
    let (without, with) = (table(&scenario(), Family::V4), table(&guarded(), Family::V4));
    let added = without.transaction(&with).expect("they differ");
    assert!(added.starts_with("*filter\n") && !added.contains("*nat"), "{added}");
    let first: Vec<&str> = added.lines().filter(|line| line.starts_with("-I OUTPUT ")).collect();
    assert_eq!(first.len(), 2, "{added}");
    assert!(first[0].contains("--dports 9901") && first[1].contains("169.254.169.254/32"), "{added}");
    golden("unguarded.iptables", &with.transaction(&without).expect("they differ"));
}

#[test]
fn a_change_removes_what_is_there_and_keeps_what_stays() {
    let before = table(&scenario(), Family::V4);
    let after = table(&Interception { ingress: None, ..scenario() }, Family::V4);
    golden("change.iptables", &before.transaction(&after).expect("they differ"));
    golden("disable.iptables", &before.transaction(&Table::default()).expect("they differ"));
    assert_eq!(before.transaction(&before), None);
}
