//! Members of `node.metadata` that the bootstrap of a proxy has and the control plane reads.

/// The EC2 instance that the proxy runs on: its id, or an address. The control plane tells proxies apart by it.
pub const INSTANCE_ID: &str = "fleetmesh.dev/instance-id";
