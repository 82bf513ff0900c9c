//! What the unit tests of both backends share: options.

use fleetmesh_instance::interception::{Guard, Interception, Options};

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

/// The same with all that can be guarded.
pub fn guarded() -> Interception {
    let guard = Guard {
        metadata: true,
        ports: [9901, 9902].into(),
        uids: [0, 1337].into(),
        denied_gids: [1338].into(),
    };
    Interception { guard: Some(guard), ..scenario() }
}
