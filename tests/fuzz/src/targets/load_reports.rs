//! Load reports: what a proxy counted is counted of the virtual nodes that its clusters lead to and of no other, and no
//! count of a node is less than what another cluster of the same report brought it.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use fleetmesh_mesh::ads::load_reports::report::read;
use fleetmesh_mesh::ads::load_reports::wire::LoadStatsRequest;
use fleetmesh_mesh::snapshot::Targets;
use prost::Message;

use super::protobuf::{node, stats};
use super::{Target, mesh};

/// See the module.
pub struct LoadReports(Arc<Targets>);

impl LoadReports {
    /// Reports of the proxies of `client`.
    pub fn new() -> Result<Self> {
        let [_, after] = mesh::snapshots()?;
        anyhow::ensure!(after.targets.nodes.len() >= 2, "the client calls nobody");
        Ok(Self(Arc::clone(&after.targets)))
    }
}

impl Target for LoadReports {
    fn name(&self) -> &'static str {
        "load-reports"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let encoded = |cluster: &str| Bytes::from(stats(cluster).encode_to_vec());
        let clusters = self.0.nodes.keys().chain(&self.0.own).map(|cluster| encoded(cluster));
        let whole = LoadStatsRequest {
            node: node("mesh/apps/virtualNode/client").encode_to_vec().into(),
            cluster_stats: clusters.chain([encoded("elsewhere")]).collect(),
        };
        vec![whole.encode_to_vec(), LoadStatsRequest::default().encode_to_vec()]
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x12\x08\x10",
            b"\x22\x0b\x08",
            b"\x18\x01",
            b"\x12\x00",
        ]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        // As a stream reads a message after its first one.
        let Ok(message) = LoadStatsRequest::decode(Bytes::copy_from_slice(input)) else { return Ok(false) };
        let Ok(report) = read(&message.cluster_stats, &self.0) else { return Ok(false) };
        if let Some(node) =
            report.sent.keys().find(|node| !self.0.nodes.values().any(|target| target == *node))
        {
            return Err(format!("{node} is counted, which the proxy does not call"));
        }
        let names = |own: &String| input.windows(own.len()).any(|bytes| bytes == own.as_bytes());
        if report.received.is_some() && !self.0.own.iter().any(names) {
            return Err("the proxy's own application is counted, which is not named".to_owned());
        }
        Ok(!report.sent.is_empty() || report.received.is_some())
    }
}
