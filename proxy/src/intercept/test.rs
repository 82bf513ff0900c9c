//! What the unit tests of both backends share: options and goldens.

use std::path::Path;

use super::interception::{Interception, Options};

/// The scenario's options, which are the defaults.
pub fn scenario() -> Interception {
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
pub fn everything() -> Interception {
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
    })
    .expect("complete options")
}

/// Compares `text` with the golden file `name`; `FLEETMESH_BLESS=1` writes it instead.
pub fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::write(&path, text).expect("a writable golden");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name} differs; review it and run with FLEETMESH_BLESS=1");
}
