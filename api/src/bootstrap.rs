//! Names in the bootstrap of a proxy that the control plane's resources refer to.

/// The cluster of the secret discovery service on the proxy's host, as AWS's image calls it too: a bootstrap that has none
/// makes Envoy refuse whatever names an SDS secret.
pub const SDS_CLUSTER: &str = "static_cluster_sds_unix_socket";
