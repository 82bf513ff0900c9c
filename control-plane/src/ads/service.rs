//! The methods of `envoy.service.discovery.v3.AggregatedDiscoveryService`, over the messages of [`fleetmesh_mesh::ads::wire`].

use tonic::{Code, Status, Streaming};

use super::grpc::{Answers, Method};
use super::session::{self, SessionContext};
use super::variants::{Delta, Protocol, StateOfTheWorld};
use crate::listen::Peer;

const SERVICE: &str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
const REFUSED: &str = "a proxy's stream of configuration was refused";
const OTHERS: &str =
    "only StreamAggregatedResources and DeltaAggregatedResources are served: set api_type GRPC or DELTA_GRPC";

/// Serves streams of aggregated resources in the state-of-the-world protocol.
#[derive(Clone)]
pub struct AggregatedDiscovery(pub SessionContext);

impl Method for AggregatedDiscovery {
    const SERVICE: &'static str = SERVICE;
    const PATH: &'static str =
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
    const REFUSED: &'static str = REFUSED;
    const LARGEST: usize = 256 * 1024;
    const OTHERS: &'static str = OTHERS;
    type Request = <StateOfTheWorld as Protocol>::Request;
    type Answer = <StateOfTheWorld as Protocol>::Answer;

    async fn serve(
        self,
        peer: Peer,
        requests: Streaming<Self::Request>,
        answers: Answers<Self::Answer>,
    ) -> Result<(), Status> {
        serve::<StateOfTheWorld>(self.0, peer, requests, answers).await
    }
}

/// Serves streams of aggregated resources in the delta protocol.
#[derive(Clone)]
pub struct DeltaDiscovery(pub SessionContext);

impl Method for DeltaDiscovery {
    const SERVICE: &'static str = SERVICE;
    const PATH: &'static str =
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
    const REFUSED: &'static str = REFUSED;
    /// A proxy that connects again lists what it has: of 4,096 clusters, as many as it may name at once, a name of 70 bytes and a
    /// version of 16 each, beside the 60 KB of its Node.
    const LARGEST: usize = 512 * 1024;
    const OTHERS: &'static str = OTHERS;
    type Request = <Delta as Protocol>::Request;
    type Answer = <Delta as Protocol>::Answer;

    async fn serve(
        self,
        peer: Peer,
        requests: Streaming<Self::Request>,
        answers: Answers<Self::Answer>,
    ) -> Result<(), Status> {
        serve::<Delta>(self.0, peer, requests, answers).await
    }
}

async fn serve<P: Protocol>(
    context: SessionContext,
    peer: Peer,
    requests: Streaming<P::Request>,
    answers: Answers<P::Answer>,
) -> Result<(), Status> {
    let metrics = context.metrics.clone();
    let ended = session::serve::<P>(context, peer, requests, &answers).await;
    metrics.ended(ended.as_ref().err().map_or(Code::Ok, Status::code));
    ended
}
