//! Members of `node.metadata` that a proxy's bootstrap contains and the control plane reads.

/// The EC2 instance that the proxy runs on: its id, or an address. The control plane distinguishes proxies by it.
pub const INSTANCE_ID: &str = "fleetmesh.dev/instance-id";
