//! What a proxy reports, by the virtual node that its requests went to. Pure.

use std::time::Duration;

use bytes::Bytes;
use prost::{DecodeError, Message};

use super::wire::{self, ClusterStats, MAX_CLUSTERS, MAX_LOCALITIES, UpstreamLocalityStats};
use crate::ads::StreamError;
use crate::loads::{Report, ReportedLoad};
use crate::snapshot::Targets;

/// Sums up `clusters`, each an encoded [`ClusterStats`], by the virtual node that they lead to, and those of the proxy's own
/// application. Those that are not among `targets` are passed over: the control plane, what passes through.
///
/// # Errors
/// [`StreamCode::InvalidArgument`](crate::ads::StreamCode) for what cannot be read, `ResourceExhausted` beyond a bound; both
/// name the place.
pub fn read(clusters: &[Bytes], targets: &Targets) -> Result<Report, StreamError> {
    bounded("cluster_stats", clusters.len(), MAX_CLUSTERS)?;
    let mut report = Report::default();
    for (index, bytes) in clusters.iter().enumerate() {
        let place = format!("cluster_stats[{index}]");
        let stats = ClusterStats::decode(bytes.clone()).map_err(|error| malformed(&place, &error))?;
        let sum: &mut ReportedLoad = if let Some(target) = targets.nodes.get(&stats.cluster_name) {
            report.sent.entry(target.clone()).or_default()
        } else if targets.own.contains(&stats.cluster_name) {
            report.received.get_or_insert_default()
        } else {
            continue;
        };
        *sum = sum.plus(&load(&place, &stats)?);
    }
    Ok(report)
}

fn load(place: &str, stats: &ClusterStats) -> Result<ReportedLoad, StreamError> {
    let place = format!("{place}.upstream_locality_stats");
    let localities = &stats.upstream_locality_stats;
    bounded(&place, localities.len(), MAX_LOCALITIES)?;
    let covers = stats.load_report_interval.map(wire::length).unwrap_or_default();
    // What a circuit breaker held back failed for the caller, and no locality counts it.
    let dropped = ReportedLoad { failed: stats.total_dropped_requests, covers, ..ReportedLoad::default() };
    localities.iter().enumerate().try_fold(dropped, |sum, (index, bytes)| {
        let locality = UpstreamLocalityStats::decode(bytes.clone());
        let locality = locality.map_err(|error| malformed(&format!("{place}[{index}]"), &error))?;
        Ok(sum.plus(&ReportedLoad {
            issued: locality.total_issued_requests,
            succeeded: locality.total_successful_requests,
            failed: locality.total_error_requests,
            in_progress: locality.total_requests_in_progress,
            covers: Duration::ZERO,
        }))
    })
}

fn bounded(place: &str, count: usize, bound: usize) -> Result<(), StreamError> {
    if count <= bound {
        return Ok(());
    }
    Err(StreamError::resource_exhausted(format!(
        "{place} of the load report has more than {bound} entries, at most {bound} are read"
    )))
}

fn malformed(place: &str, error: &DecodeError) -> StreamError {
    StreamError::invalid_argument(format!("{place} of the load report cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::endpoint::v3 as envoy;
    use fleetmesh_model::ResourceId;
    use proptest::prelude::*;

    use super::*;

    fn node(name: &str) -> ResourceId {
        ResourceId::virtual_node("apps", name)
    }

    fn targets() -> Targets {
        let of = |(cluster, name): (&str, &str)| (cluster.to_owned(), node(name));
        let nodes = [("a:80", "a"), ("a:81", "a"), ("b:80", "b")].map(of).into();
        Targets { nodes, own: ["own:80".to_owned(), "own:81".to_owned()].into() }
    }

    fn stats(name: &str, localities: &[(u64, u64, u64, u64)], dropped: u64) -> Bytes {
        let localities =
            localities.iter().map(|(issued, succeeded, failed, in_progress)| envoy::UpstreamLocalityStats {
                total_issued_requests: *issued,
                total_successful_requests: *succeeded,
                total_error_requests: *failed,
                total_requests_in_progress: *in_progress,
                ..Default::default()
            });
        let stats = envoy::ClusterStats {
            cluster_name: name.into(),
            upstream_locality_stats: localities.collect(),
            total_dropped_requests: dropped,
            load_report_interval: Some(envoy_types::pb::google::protobuf::Duration {
                seconds: 1,
                nanos: 500_000_000,
            }),
            ..Default::default()
        };
        stats.encode_to_vec().into()
    }

    #[test]
    fn ports_and_localities_of_a_node_are_summed_and_others_passed_over() {
        let clusters = [
            stats("a:80", &[(10, 7, 2, 1), (5, 5, 0, 0)], 3),
            stats("a:81", &[(1, 0, 1, 4)], 0),
            stats("b:80", &[], 0),
            stats("cds_ingress_apps_stranger_http_80", &[(9, 9, 9, 9)], 9),
            stats("own:80", &[(3, 2, 1, 0)], 0),
            stats("own:81", &[(1, 1, 0, 0)], 0),
        ];
        let report = read(&clusters, &targets()).expect("a report");
        let covers = Duration::from_millis(1500);
        let a = ReportedLoad { issued: 16, succeeded: 12, failed: 6, in_progress: 5, covers };
        let silent = ReportedLoad { covers, ..ReportedLoad::default() };
        assert_eq!(report.sent, [(node("a"), a), (node("b"), silent)].into());
        let own = ReportedLoad { issued: 4, succeeded: 3, failed: 1, in_progress: 0, covers };
        assert_eq!(report.received, Some(own), "the application's own, apart from the others");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place_and_bound() {
        let many = vec![Bytes::new(); MAX_CLUSTERS + 1];
        let status = read(&many, &targets()).expect_err("too many clusters");
        assert_eq!(status.code.number(), 8, "{status}");
        assert!(
            status
                .message
                .contains("cluster_stats of the load report has more than 8192 entries, at most 8192")
        );
        let localities = vec![(0, 0, 0, 0); MAX_LOCALITIES + 1];
        let status = read(&[stats("a:80", &localities, 0)], &targets()).expect_err("too many localities");
        assert!(status.message.starts_with("cluster_stats[0].upstream_locality_stats"), "{status}");
        let status = read(&[stats("b:80", &[], 0), Bytes::from_static(b"\x0a\xff")], &targets())
            .expect_err("cut short");
        assert_eq!(status.code.number(), 3, "{status}");
        assert!(status.message.starts_with("cluster_stats[1] of the load report cannot be read"), "{status}");
    }

    #[test]
    fn of_parts_without_bytes_no_more_is_kept_than_shows_that_they_are_too_many() {
        let report =
            wire::LoadStatsRequest::decode(b"\x12\x00".repeat(250_000).as_slice()).expect("a report");
        assert_eq!(report.cluster_stats.len(), MAX_CLUSTERS + 1);
        let stats = ClusterStats::decode(b"\x12\x00".repeat(250_000).as_slice()).expect("a cluster's");
        assert_eq!(stats.upstream_locality_stats.len(), MAX_LOCALITIES + 1);
        let read = |clusters: &[Bytes]| read(clusters, &targets()).expect_err("too many").message.clone();
        assert!(read(&report.cluster_stats).contains("more than 8192 entries"));
        let named = [b"\x0a\x04a:80".to_vec(), b"\x12\x00".repeat(250_000)].concat();
        assert!(read(&[named.into()]).contains("more than 1024 entries"));
    }

    #[test]
    fn numbers_beyond_all_measure_do_not_wrap() {
        let clusters = [stats("a:80", &[(u64::MAX, u64::MAX, u64::MAX, u64::MAX), (1, 1, 1, 1)], u64::MAX)];
        let load = read(&clusters, &targets()).expect("a report").sent[&node("a")];
        assert_eq!(
            (load.issued, load.succeeded, load.failed, load.in_progress),
            (u64::MAX, u64::MAX, u64::MAX, u64::MAX)
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(clusters in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let clusters: Vec<Bytes> = clusters.into_iter().map(Bytes::from).collect();
            let _ = read(&clusters, &targets());
        }
    }
}
