//! The methods of `envoy.service.discovery.v3.AggregatedDiscoveryService`, over the messages of [`fleetmesh_mesh::ads::wire`].

use std::marker::PhantomData;

use tonic::{Code, Status, Streaming};

use super::grpc::{Answers, Method};
use super::session::{self, SessionContext};
use super::variants::Protocol;
use crate::listen::Peer;

/// Serves streams of aggregated resources in the variant `P` of the protocol.
#[derive(Clone)]
pub struct AggregatedDiscovery<P>(SessionContext, PhantomData<P>);

impl<P> AggregatedDiscovery<P> {
    /// Serves them in `context`.
    pub fn new(context: SessionContext) -> Self {
        Self(context, PhantomData)
    }
}

impl<P: Protocol> Method for AggregatedDiscovery<P> {
    const SERVICE: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
    const PATH: &'static str = P::PATH;
    const REFUSED: &'static str = "a proxy's stream of configuration was refused";
    const LARGEST: usize = P::LARGEST;
    const OTHERS: &'static str = "only StreamAggregatedResources and DeltaAggregatedResources are served: set api_type GRPC or DELTA_GRPC";
    type Request = P::Request;
    type Answer = P::Answer;

    async fn serve(
        self,
        peer: Peer,
        requests: Streaming<P::Request>,
        answers: Answers<P::Answer>,
    ) -> Result<(), Status> {
        let metrics = self.0.metrics.clone();
        let ended = session::serve::<P>(self.0, peer, requests, &answers).await;
        metrics.ended(ended.as_ref().err().map_or(Code::Ok, Status::code));
        ended
    }
}
