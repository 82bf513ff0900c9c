//! The `fleetmesh` binary.
fn main() {}
