//! What `fleetmesh proxy dns` finds out about services from a proxy's configuration: how the control plane names what is on the way out,
//! and what it says of filter chains.

/// What the names of listeners begin with that take an application's connections.
pub const EGRESS_LISTENERS: &str = "lds_egress_";
/// What the names of route configurations begin with whose virtual hosts are services.
pub const EGRESS_ROUTES: &str = "rds_egress_";
/// The key of a filter chain's `filter_metadata` under which `service` is the name of the virtual service that the chain is for, and
/// `address` the virtual address ([`crate::virtual_addresses`]) that it takes connections to. A proxy does not read them. Control
/// planes from before it existed say nothing, and services over tcp are then no names.
pub const METADATA: &str = "fleetmesh.dev";
