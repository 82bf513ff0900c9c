//! Tests of the file.

use std::os::unix::fs::PermissionsExt as _;

use fleetmesh_mesh::cloud_map::{Discovered, Discovery, RegisteredInstance};
use fleetmesh_mesh::testing::{instance, list, service};

#[test]
fn the_file_gives_back_the_lists_and_no_failures() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join(super::file::NAME);
    assert_eq!(super::file::load(&path).expect("no file is no error").lists().count(), 0);
    let instances =
        [RegisteredInstance { unhealthy: true, ..instance("i-1", &[("AWS_INSTANCE_IPV4", "10.0.0.1")]) }];
    let known: Discovered = [
        (service("a"), list(&instances)),
        (service("b"), Discovery::Failed("x".into())),
        (service("c"), list(&[])),
    ]
    .into_iter()
    .collect();
    for _ in 0..2 {
        super::file::save(&path, &known).expect("saved");
    }
    let loaded = super::file::load(&path).expect("loaded");
    assert_eq!(loaded.instances(&service("a")).map(|list| list.to_vec()), Some(instances.to_vec()));
    assert_eq!(loaded.instances(&service("c")).map(|list| list.len()), Some(0));
    assert_eq!((loaded.lists().count(), loaded.failure(&service("b"))), (2, None));
    let mode = || std::fs::metadata(&path).expect("the file").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    // As programs from before left it.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("changed");
    super::file::load(&path).expect("loaded");
    assert_eq!(mode(), 0o600);
    std::fs::write(&path, "{").expect("written");
    assert!(super::file::load(&path).is_err());
}
