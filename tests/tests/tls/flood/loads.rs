//! A proxy with a good certificate that reports loads of nothing, in messages that take much more memory than they have bytes.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterStats;
use envoy_types::pb::envoy::service::load_stats::v3::LoadStatsRequest;
use envoy_types::pb::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};
use fleetmesh_testbed::long;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status};

use super::clients::FloodTls;
use super::{FloodBed, MIB, NODE, STRANGER};
use crate::bed::LIMIT;

/// Reports `count` clusters without anything, as a proxy whose node has a tree of `values` empty values, and answers what the
/// stream ended with and whether the proxy was asked for reports before.
async fn report(tls: &FloodTls, port: u16, values: usize, count: usize) -> (Status, bool) {
    let list = ListValue { values: vec![Value { kind: None }; values] };
    let metadata =
        Struct { fields: [("tree".to_owned(), Value { kind: Some(Kind::ListValue(list)) })].into() };
    let node = Node { id: NODE.into(), metadata: Some(metadata), ..Node::default() };
    let (requests, outgoing) = mpsc::unbounded_channel();
    requests.send(LoadStatsRequest { node: Some(node), cluster_stats: Vec::new() }).unwrap();
    let mut client = LoadReportingServiceClient::new(tls.patient_channel(STRANGER, port).await);
    let answers = client.stream_load_stats(UnboundedReceiverStream::new(outgoing)).await;
    let mut answers = match answers {
        Ok(answers) => answers.into_inner(),
        Err(status) => return (status, false),
    };
    if let Err(status) = answers.message().await {
        return (status, false);
    }
    let cluster_stats = vec![ClusterStats::default(); count];
    requests.send(LoadStatsRequest { node: None, cluster_stats }).unwrap();
    match timeout(LIMIT, answers.message()).await {
        Ok(Err(status)) => (status, true),
        Ok(Ok(_)) | Err(_) => (Status::ok("it is let in"), true),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn load_reports_take_little_memory_whatever_is_in_them() {
    let passes = long::choose(3, 60);
    let mut bed = FloodBed::start("load-reports", &[]).await;
    let folder = bed.certificates.proxy("red", "1d").await;
    let tls = FloodTls::proxy(&bed.certificates, &folder);
    let (before, mut outcomes) = (bed.forget_peak(), Vec::new());
    for _ in 0..passes {
        let mut streams = JoinSet::new();
        for (values, count, code) in [
            // Just within the bound, and beyond it.
            (250_000, 250_000, Code::ResourceExhausted),
            (250_000, 250_000, Code::ResourceExhausted),
            (0, 600_000, Code::OutOfRange),
            (600_000, 0, Code::OutOfRange),
        ] {
            let (tls, port) = (tls.clone(), bed.ads);
            streams.spawn(async move { (report(&tls, port, values, count).await, values, code) });
        }
        outcomes.extend(streams.join_all().await);
    }
    let grown = bed.peak().saturating_sub(before);
    println!(
        "{passes} times 4 streams of load reports of 0.5 to 1.2 MB without content: memory grew by {} MiB",
        grown / MIB
    );
    assert!(grown < 16 * MIB, "{} MiB", grown / MIB);
    for ((status, asked), values, code) in outcomes {
        assert_eq!(status.code(), code, "{values} values: {status}");
        assert_eq!(asked, values < 600_000, "{status}");
    }
}
