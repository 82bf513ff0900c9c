//! Names in the bootstrap of a proxy, and of the secrets on its host, that the control plane's resources refer to.

/// The cluster of the secret discovery service on the proxy's host, as AWS's image calls it too: a bootstrap that has none
/// makes Envoy refuse whatever names an SDS secret.
pub const SDS_CLUSTER: &str = "static_cluster_sds_unix_socket";

/// The secret of the mesh's own certificate, in the secret discovery service of `fleetmesh proxy join`: what a virtual node names
/// as `sds.secretName` to show the certificate that its proxy got by joining.
pub const MESH_CERTIFICATE: &str = "fleetmesh";
/// The secret of the authorities that sign such certificates, at the same place.
pub const MESH_TRUST: &str = "fleetmesh-ca";
