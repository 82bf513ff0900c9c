//! Load assignments: the endpoints of a cluster, as they are part of it or come by EDS. Pure.

use envoy_types::pb::envoy::config::core::v3::Address;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint as EnvoyEndpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use fleetmesh_model::common::IpPreference;
use fleetmesh_model::service_discovery::AwsCloudMapServiceDiscovery;

use super::endpoint::Target;
use super::inputs::Reader;
use super::proto;
use crate::cloud_map::ServiceName;
use crate::cloud_map::instance::{AttributeChoice, addresses};

/// The instances behind one port of a node that Cloud Map discovers; `None` while its service was never discovered. `preference` is
/// the mesh's, for a node that has none.
pub(super) fn of(
    reader: &Reader<'_>,
    preference: Option<IpPreference>,
    target: &Target<'_>,
    cloud_map: &AwsCloudMapServiceDiscovery,
) -> Option<ClusterLoadAssignment> {
    let endpoint = target.endpoint;
    let instances = reader.instances(&ServiceName::of(cloud_map))?;
    let choice = AttributeChoice {
        attributes: cloud_map.attributes.as_deref().unwrap_or_default(),
        preference: cloud_map.ip_preference.or(preference),
        port: u16::try_from(endpoint.port()).unwrap_or_default(),
        only_listener: endpoint.node.spec.listeners().len() == 1,
    };
    let found = addresses(instances, choice);
    let found = found
        .into_iter()
        .map(|address| proto::tcp_address(&address.ip().to_string(), address.port().into(), false));
    Some(assignment(&target.cluster(), found))
}

/// An assignment of these addresses, all alike.
pub(super) fn assignment(
    cluster: &str,
    addresses: impl IntoIterator<Item = Option<Address>>,
) -> ClusterLoadAssignment {
    let members = addresses.into_iter().map(|address| {
        let endpoint = EnvoyEndpoint { address, ..EnvoyEndpoint::default() };
        LbEndpoint {
            host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint)),
            ..LbEndpoint::default()
        }
    });
    let locality = LocalityLbEndpoints { lb_endpoints: members.collect(), ..LocalityLbEndpoints::default() };
    ClusterLoadAssignment {
        cluster_name: cluster.to_owned(),
        endpoints: vec![locality],
        ..ClusterLoadAssignment::default()
    }
}
