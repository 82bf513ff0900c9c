//! gRPC services of one or two methods that stream both ways, over messages of our own. The glue between tonic and sessions;
//! it decides nothing.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use fleetmesh_mesh::ads::{StreamCode, StreamError};
use http_body_util::BodyExt;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Service;

use super::authority;
use super::seats::Seats;
use crate::listen::{Member, Peer, Source};
use crate::refusals::Refusals;
use crate::tls::Caller;

/// Answers that may wait to be written. No session has more to say before it has heard of the earlier ones.
const WAITING: usize = 4;
/// Where a session puts its answers; the last is a status when the stream is to end with an error.
pub type Answers<T> = mpsc::Sender<Result<T, Status>>;

/// The method of a service, and all that is needed to serve one of its streams.
pub trait Method: Clone + Send + Sync + 'static {
    /// The full name of the service.
    const SERVICE: &'static str;
    /// The path of the method.
    const PATH: &'static str;
    /// The log message about a stream that is refused.
    const REFUSED: &'static str;
    /// The longest request, in bytes.
    const LARGEST: usize;
    /// The message for callers of another method of the service, with status 12 (UNIMPLEMENTED).
    const OTHERS: &'static str;
    /// What proxies send.
    type Request: Message + Default + Send + 'static;
    /// What they are answered.
    type Answer: Message + Send + 'static;

    /// Serves one stream of a proxy at `peer` until the proxy or a shutdown closes it.
    ///
    /// # Errors
    /// The status that the stream ends with.
    fn serve(
        self,
        peer: Peer,
        requests: Streaming<Self::Request>,
        answers: Answers<Self::Answer>,
    ) -> impl Future<Output = Result<(), Status>> + Send + 'static;
}

/// The first request of a stream; none when the proxy closes it before, or `shutdown` does. A stream without one holds a seat
/// and says nothing of whose it is.
///
/// # Errors
/// Status 4 when none was read within `limit`, or what the stream broke off with.
pub async fn opening<T>(
    requests: &mut Streaming<T>,
    limit: Duration,
    shutdown: &CancellationToken,
) -> Result<Option<T>, Status> {
    let first = tokio::select! {
        () = shutdown.cancelled() => return Ok(None),
        first = timeout(limit, requests.message()) => first,
    };
    first.unwrap_or_else(|_| {
        Err(Status::deadline_exceeded(format!(
            "no request came within {limit:?} of the stream's beginning: send one, with the node, as it is opened"
        )))
    })
}

/// The status for what is wrong with what a proxy sent.
pub fn status(error: StreamError) -> Status {
    let StreamError { code, message } = error;
    match code {
        StreamCode::InvalidArgument => Status::invalid_argument(message),
        StreamCode::ResourceExhausted => Status::resource_exhausted(message),
    }
}

/// A method as a service for tonic's router, and how many of its streams each certificate has open.
#[derive(Clone)]
pub struct Served<M> {
    method: M,
    seats: Seats,
    refusals: Refusals,
}

impl<M: Method> Served<M> {
    /// Lets at most `limit` streams be open with one certificate; none is no limit.
    pub fn new(method: M, limit: Option<usize>) -> Self {
        Self { method, seats: Seats::new(limit), refusals: Refusals::new(M::REFUSED) }
    }

    /// The same of another method, whose streams count with those of this one.
    pub fn beside<N: Method>(&self, method: N) -> Served<N> {
        Served { method, seats: self.seats.clone(), refusals: self.refusals.clone() }
    }
}

impl<M: Method> NamedService for Served<M> {
    const NAME: &'static str = M::SERVICE;
}

type Answering = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl<M, B> Service<http::Request<B>> for Served<M>
where
    M: Method,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if request.uri().path() != M::PATH {
            return Box::pin(ready(Ok(Status::unimplemented(M::OTHERS).into_http())));
        }
        let method = Streams(self.clone());
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<M::Answer, M::Request>::default())
                .max_decoding_message_size(M::LARGEST);
            Ok(grpc.streaming(method, request.map(BodyExt::boxed_unsync)).await)
        })
    }
}

/// Two methods of one service.
#[derive(Clone)]
pub struct ServedPair<M, N>(pub Served<M>, pub Served<N>);

impl<M: Method, N: Method> NamedService for ServedPair<M, N> {
    const NAME: &'static str = M::SERVICE;
}

impl<M, N, B> Service<http::Request<B>> for ServedPair<M, N>
where
    M: Method,
    N: Method,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let Self(first, second) = self;
        if request.uri().path() == N::PATH { second.call(request) } else { first.call(request) }
    }
}

struct Streams<M>(Served<M>);

impl<M: Method> StreamingService<M::Request> for Streams<M> {
    type Response = M::Answer;
    type ResponseStream = ReceiverStream<Result<M::Answer, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<M::Request>>) -> Self::Future {
        // A connection without the mark of its listener proves nobody.
        let caller = Caller::Unproven("the connection is unknown".into());
        let unknown =
            || Peer { address: None, caller, refused: CancellationToken::new(), guest: None, member: None };
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or_else(unknown);
        if let Err(status) = authority::proven(&peer.caller, SystemTime::now()) {
            refused(&self.0.refusals, &status, &peer);
            return ready(Err(status));
        }
        let Served { method, seats, refusals } = &self.0;
        let seat = match seats.take(&peer.caller) {
            Ok(seat) => seat,
            Err(status) => {
                refused(refusals, &status, &peer);
                return ready(Err(status));
            }
        };
        let busy = peer.member.as_ref().map(Member::stream);
        let (answers, stream) = mpsc::channel(WAITING);
        let serving = run(method.clone(), refusals.clone(), peer, request.into_inner(), answers);
        tokio::spawn(async move {
            serving.await;
            drop((seat, busy));
        });
        ready(Ok(Response::new(ReceiverStream::new(stream))))
    }
}

async fn run<M: Method>(
    method: M,
    refusals: Refusals,
    peer: Peer,
    requests: Streaming<M::Request>,
    answers: Answers<M::Answer>,
) {
    let whose = peer.clone();
    if let Err(status) = Box::pin(method.serve(peer, requests, answers.clone())).await {
        refused(&refusals, &status, &whose);
        // The proxy may be gone already.
        let _ = answers.send(Err(status)).await;
    }
}

fn refused(refusals: &Refusals, status: &Status, peer: &Peer) {
    let code = status.code();
    refusals.log(peer.address.map(Source::from), &format_args!("{code:?}: {}", status.message()));
    if matches!(code, Code::Unauthenticated | Code::PermissionDenied) {
        // Envoy would try again for ever over a connection with a certificate that does not suffice.
        peer.refused.cancel();
    }
}
