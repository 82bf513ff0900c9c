//! Clusters by DNS in the words of Envoy 1.34 and later: the extension `envoy.clusters.dns`, in place of the members of a cluster that
//! Envoy gives up. Both say the same. Pure.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CustomClusterType, DiscoveryType, DnsLookupFamily as Family, RefreshRate,
};
use envoy_types::pb::envoy::extensions::clusters::common::dns::v3::DnsLookupFamily;
use envoy_types::pb::envoy::extensions::clusters::dns::v3::DnsCluster;
use envoy_types::pb::envoy::extensions::clusters::dns::v3::dns_cluster;
use envoy_types::util::pack_any;

const EXTENSION: &str = "envoy.clusters.dns";

/// The same cluster with the extension; `None` of one that is discovered in another way.
#[allow(deprecated, reason = "these are the members that the extension stands for")]
pub(super) fn by_extension(cluster: &Cluster) -> Option<Cluster> {
    let Some(ClusterDiscoveryType::Type(kind)) = cluster.cluster_discovery_type else { return None };
    let one_endpoint = match DiscoveryType::try_from(kind) {
        Ok(DiscoveryType::LogicalDns) => true,
        Ok(DiscoveryType::StrictDns) => false,
        _ => return None,
    };
    let mut newer = cluster.clone();
    let rate = newer.dns_failure_refresh_rate.take();
    let rate = rate.map(|RefreshRate { base_interval, max_interval }| dns_cluster::RefreshRate {
        base_interval,
        max_interval,
    });
    let extension = DnsCluster {
        dns_failure_refresh_rate: rate,
        respect_dns_ttl: std::mem::take(&mut newer.respect_dns_ttl),
        dns_lookup_family: family(std::mem::take(&mut newer.dns_lookup_family)).into(),
        all_addresses_in_single_endpoint: one_endpoint,
        ..DnsCluster::default()
    };
    newer.cluster_discovery_type = Some(ClusterDiscoveryType::ClusterType(CustomClusterType {
        name: EXTENSION.to_owned(),
        typed_config: Some(pack_any(extension)),
    }));
    Some(newer)
}

fn family(of_cluster: i32) -> DnsLookupFamily {
    match Family::try_from(of_cluster) {
        Ok(Family::Auto) => DnsLookupFamily::Auto,
        Ok(Family::V4Only) => DnsLookupFamily::V4Only,
        Ok(Family::V6Only) => DnsLookupFamily::V6Only,
        Ok(Family::V4Preferred) => DnsLookupFamily::V4Preferred,
        Ok(Family::All) => DnsLookupFamily::All,
        Err(_) => DnsLookupFamily::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::snapshot::proto;

    #[test]
    #[allow(deprecated, reason = "these are the members that the extension stands for")]
    fn the_extension_says_what_the_members_of_the_cluster_say() {
        let of = |kind: DiscoveryType| Cluster {
            name: "c".to_owned(),
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(kind.into())),
            dns_lookup_family: Family::V6Only.into(),
            respect_dns_ttl: true,
            dns_failure_refresh_rate: Some(RefreshRate {
                base_interval: proto::millis(1000),
                max_interval: proto::millis(5000),
            }),
            ..Cluster::default()
        };
        for (kind, one_endpoint) in [(DiscoveryType::LogicalDns, true), (DiscoveryType::StrictDns, false)] {
            let newer = by_extension(&of(kind)).expect("a cluster by DNS");
            let Some(ClusterDiscoveryType::ClusterType(custom)) = &newer.cluster_discovery_type else {
                panic!("{newer:?}");
            };
            let config = custom.typed_config.as_ref().expect("a configuration");
            let found = DnsCluster::decode(config.value.as_slice()).expect("a DnsCluster");
            let expected = DnsCluster {
                dns_failure_refresh_rate: Some(dns_cluster::RefreshRate {
                    base_interval: proto::millis(1000),
                    max_interval: proto::millis(5000),
                }),
                respect_dns_ttl: true,
                dns_lookup_family: DnsLookupFamily::V6Only.into(),
                all_addresses_in_single_endpoint: one_endpoint,
                ..DnsCluster::default()
            };
            assert_eq!((custom.name.as_str(), found), ("envoy.clusters.dns", expected));
            let left = Cluster { name: "c".to_owned(), cluster_discovery_type: None, ..Cluster::default() };
            assert_eq!(Cluster { cluster_discovery_type: None, ..newer }, left, "nothing is said twice");
        }
        assert_eq!(by_extension(&of(DiscoveryType::Eds)), None);
    }
}
