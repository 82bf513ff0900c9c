//! The method `StreamAggregatedResources` of `envoy.service.discovery.v3.AggregatedDiscoveryService`, over the messages of
//! [`fleetmesh_mesh::ads::wire`]. Delta streams are not served.

use fleetmesh_mesh::ads::wire::{DiscoveryRequest, DiscoveryResponse};
use tonic::{Code, Status, Streaming};

use super::grpc::{Answers, Method};
use super::session::{self, SessionContext};
use crate::listen::Peer;

/// Serves streams of aggregated resources in the state-of-the-world protocol.
#[derive(Clone)]
pub struct AggregatedDiscovery(pub SessionContext);

impl Method for AggregatedDiscovery {
    const SERVICE: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
    const PATH: &'static str =
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
    const REFUSED: &'static str = "a proxy's stream of configuration was refused";
    const LARGEST: usize = 256 * 1024;
    const OTHERS: &'static str = "only StreamAggregatedResources is served: set api_type GRPC";
    type Request = DiscoveryRequest;
    type Answer = DiscoveryResponse;

    async fn serve(
        self,
        peer: Peer,
        requests: Streaming<DiscoveryRequest>,
        answers: Answers<DiscoveryResponse>,
    ) -> Result<(), Status> {
        let metrics = self.0.metrics.clone();
        let ended = session::serve(self.0, peer, requests, &answers).await;
        metrics.ended(ended.as_ref().err().map_or(Code::Ok, Status::code));
        ended
    }
}
