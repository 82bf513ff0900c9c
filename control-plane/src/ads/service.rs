//! The gRPC service `envoy.service.discovery.v3.AggregatedDiscoveryService`, over the messages of [`super::wire`]. The
//! glue between tonic and [`super::session`]; it decides nothing.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Service;

use super::session::{self, Context};
use super::wire::{DiscoveryRequest, DiscoveryResponse};
use crate::listen::Peer;

const STREAM: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
/// Answers that may wait to be written. There is one per type at most, as each is acknowledged before the next.
const WAITING: usize = 4;
/// The longest request, in bytes.
const MAX_REQUEST: usize = 4 * 1024 * 1024;

/// Serves streams of aggregated resources in the state-of-the-world protocol. Delta streams are answered with status
/// 12 (UNIMPLEMENTED).
#[derive(Clone)]
pub struct AggregatedDiscovery {
    context: Context,
}

impl AggregatedDiscovery {
    /// The service.
    pub fn new(context: Context) -> Self {
        Self { context }
    }
}

impl NamedService for AggregatedDiscovery {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

type Answering = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl<B> Service<http::Request<B>> for AggregatedDiscovery
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if request.uri().path() != STREAM {
            let status = Status::unimplemented("only StreamAggregatedResources is served: set api_type GRPC");
            return Box::pin(ready(Ok(status.into_http())));
        }
        let method = StreamAggregatedResources { context: self.context.clone() };
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<DiscoveryResponse, DiscoveryRequest>::default())
                .max_decoding_message_size(MAX_REQUEST);
            Ok(grpc.streaming(method, request.map(BodyExt::boxed_unsync)).await)
        })
    }
}

struct StreamAggregatedResources {
    context: Context,
}

impl StreamingService<DiscoveryRequest> for StreamAggregatedResources {
    type Response = DiscoveryResponse;
    type ResponseStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<DiscoveryRequest>>) -> Self::Future {
        let (answers, stream) = mpsc::channel(WAITING);
        let peer = request.extensions().get::<Peer>().and_then(|Peer(address)| *address);
        tokio::spawn(session::run(self.context.clone(), peer, request.into_inner(), answers));
        ready(Ok(Response::new(ReceiverStream::new(stream))))
    }
}
