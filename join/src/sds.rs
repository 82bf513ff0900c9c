//! The secret discovery service (SDS) of this host: proxies that run here get the mesh's certificate and its authorities from a Unix
//! socket, by the names that virtual nodes give them. What is renewed is sent at once.
//!
//! A certificate comes with its key, so only the proxy's user, this program's and root are answered.

use std::convert::Infallible;
use std::fs;
use std::future::{Future, Ready, ready};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fleetmesh_api::bootstrap::{MESH_CERTIFICATE, MESH_TRUST};
use fleetmesh_model::foreign::printable;
use http_body_util::BodyExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::Error;
use crate::sds_wire::{DiscoveryRequest, DiscoveryResponse, Secret};
use crate::socket::{self, Users};

/// The path of the one method that is served.
const PATH: &str = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
/// The longest request, in bytes: Envoy describes itself in the first of each stream.
const LARGEST: usize = 256 * 1024;
/// Connections that wait to be served.
const WAITING: usize = 16;

/// What proxies get: the mesh's certificate with its key, and the authorities.
#[derive(Clone, PartialEq, Eq)]
pub struct MeshSecrets {
    /// The certificate, and what is between it and its authority, in PEM.
    pub certificate: String,
    /// Its key, in PEM.
    pub key: String,
    /// The authorities, in PEM.
    pub authority: String,
}

impl std::fmt::Debug for MeshSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshSecrets").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl MeshSecrets {
    /// The secret of this name; none of another.
    fn named(&self, name: &str) -> Option<Secret> {
        match name {
            MESH_CERTIFICATE => Some(Secret::certificate(name, &self.certificate, &self.key)),
            MESH_TRUST => Some(Secret::trust(name, &self.authority)),
            _ => None,
        }
    }
}

/// The socket, and what is served there.
pub struct SecretDiscovery {
    listener: UnixListener,
    users: Users,
    secrets: watch::Sender<Option<Arc<MeshSecrets>>>,
}

impl SecretDiscovery {
    /// Makes the socket `path` for the user `owner`, or else the caller; one that a former process left is replaced.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn bind(path: &Path, owner: Option<u32>) -> Result<Self, Error> {
        let failed = |source| Error::Socket { flag: "--serve-sds", path: path.display().to_string(), source };
        socket::is_free(path).map_err(failed)?;
        let (listener, own) = bound(path, owner).map_err(failed)?;
        let users = Users::new(own, owner);
        Ok(Self { listener, users, secrets: watch::Sender::new(None) })
    }

    /// Proxies get these from now on.
    pub fn present(&self, secrets: MeshSecrets) {
        self.secrets.send_replace(Some(Arc::new(secrets)));
    }

    /// Serves what connects, until `shutdown`.
    pub async fn serve(self: Arc<Self>, shutdown: CancellationToken) {
        let (connections, incoming) = mpsc::channel(WAITING);
        let streams = Streams { secrets: self.secrets.subscribe(), shutdown: shutdown.clone() };
        let server = Server::builder().add_service(streams);
        let serving =
            server.serve_with_incoming_shutdown(ReceiverStream::new(incoming), shutdown.cancelled_owned());
        let accepting = self.accept(connections);
        tokio::select! {
            ended = serving => if let Err(error) = ended {
                tracing::error!(%error, "secrets are not served any more");
            },
            () = accepting => {}
        }
    }

    /// Passes on the connections of those who are answered, without end.
    async fn accept(&self, connections: mpsc::Sender<io::Result<UnixStream>>) {
        loop {
            let stream = socket::accepted(&self.listener).await;
            if self.users.admit(&stream, "--owner") && connections.send(Ok(stream)).await.is_err() {
                return;
            }
        }
    }
}

/// A socket at `path` that only `owner` may connect to, and who made it. It is in its place when that holds.
fn bound(path: &Path, owner: Option<u32>) -> io::Result<(UnixListener, u32)> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    socket::remove(&new)?;
    let listener = UnixListener::bind(&new)?;
    let own = fs::metadata(&new)?.uid();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
    if owner.is_some() {
        chown(&new, owner, None)?;
    }
    fs::rename(&new, path)?;
    Ok((listener, own))
}

/// The service, for tonic's router.
#[derive(Clone)]
struct Streams {
    secrets: watch::Receiver<Option<Arc<MeshSecrets>>>,
    shutdown: CancellationToken,
}

impl NamedService for Streams {
    const NAME: &'static str = "envoy.service.secret.v3.SecretDiscoveryService";
}

type Answering = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl<B> Service<http::Request<B>> for Streams
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answering {
        if request.uri().path() != PATH {
            let status = Status::unimplemented("only StreamSecrets is served: set api_type GRPC");
            return Box::pin(ready(Ok(status.into_http())));
        }
        let streams = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<DiscoveryResponse, DiscoveryRequest>::default();
            let mut grpc = Grpc::new(codec).max_decoding_message_size(LARGEST);
            Ok(grpc.streaming(streams, request.map(BodyExt::boxed_unsync)).await)
        })
    }
}

impl StreamingService<DiscoveryRequest> for Streams {
    type Response = DiscoveryResponse;
    type ResponseStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<DiscoveryRequest>>) -> Self::Future {
        let (answers, stream) = mpsc::channel(1);
        let Self { secrets, shutdown } = self.clone();
        tokio::spawn(shutdown.run_until_cancelled_owned(answer(request.into_inner(), secrets, answers)));
        ready(Ok(Response::new(ReceiverStream::new(stream))))
    }
}

/// What one stream asked for and was sent.
#[derive(Debug, Default)]
struct Subscription {
    names: Vec<String>,
    /// What was sent last for these names.
    sent: Option<Arc<MeshSecrets>>,
    count: u64,
}

impl Subscription {
    /// Takes in a request. Whether other names are asked for than before; an acknowledgement asks for the same.
    fn asked(&mut self, request: DiscoveryRequest) {
        if let Some(refused) = request.error_detail {
            tracing::warn!(why = printable(&refused.message), "a proxy refuses the mesh's certificate");
        }
        if request.resource_names != self.names {
            self.names = request.resource_names;
            self.sent = None;
        }
    }

    /// What is to be sent now, of `known`; none when that was sent, or nothing that is asked for is known.
    fn next(&mut self, known: Option<&Arc<MeshSecrets>>) -> Option<DiscoveryResponse> {
        let known = known.filter(|known| self.sent.as_ref() != Some(*known))?;
        let secrets: Vec<Secret> = self.names.iter().filter_map(|name| known.named(name)).collect();
        if secrets.is_empty() {
            return None;
        }
        self.sent = Some(Arc::clone(known));
        self.count += 1;
        Some(DiscoveryResponse::of(&secrets, self.count))
    }
}

/// Answers the requests of one stream until the proxy closes it.
async fn answer(
    mut requests: Streaming<DiscoveryRequest>,
    mut secrets: watch::Receiver<Option<Arc<MeshSecrets>>>,
    answers: mpsc::Sender<Result<DiscoveryResponse, Status>>,
) {
    let mut subscription = Subscription::default();
    loop {
        tokio::select! {
            request = requests.message() => match request {
                Ok(Some(request)) => subscription.asked(request),
                Ok(None) | Err(_) => return,
            },
            changed = secrets.changed() => if changed.is_err() { return },
        }
        let known = secrets.borrow_and_update().clone();
        if let Some(next) = subscription.next(known.as_ref())
            && answers.send(Ok(next)).await.is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(certificate: &str) -> Arc<MeshSecrets> {
        let [certificate, key, authority] = [certificate, "KEY", "CA"].map(str::to_owned);
        Arc::new(MeshSecrets { certificate, key, authority })
    }

    fn request(names: &[&str]) -> DiscoveryRequest {
        let resource_names = names.iter().map(|name| (*name).to_owned()).collect();
        DiscoveryRequest { resource_names, ..DiscoveryRequest::default() }
    }

    #[test]
    fn a_stream_gets_what_it_asks_for_once_and_again_when_it_changes() {
        let (one, two) = (secrets("one"), secrets("two"));
        let mut stream = Subscription::default();
        assert_eq!(stream.next(Some(&one)), None, "nothing was asked for");
        stream.asked(request(&[MESH_CERTIFICATE]));
        assert_eq!(stream.next(None), None, "nothing is known yet");
        let first = stream.next(Some(&one)).expect("the certificate");
        stream.asked(request(&[MESH_CERTIFICATE]));
        assert_eq!(stream.next(Some(&one)), None, "it was acknowledged");
        let second = stream.next(Some(&two)).expect("the renewed one");
        assert_ne!((&first.version_info, &first.nonce), (&second.version_info, &second.nonce));
        stream.asked(request(&[MESH_TRUST]));
        assert!(stream.next(Some(&two)).is_some(), "another name");
        stream.asked(request(&["somebody-elses"]));
        assert_eq!(stream.next(Some(&two)), None, "a proxy waits for what is not known");
        assert!(!format!("{one:?}").contains("KEY"));
    }

    #[tokio::test]
    async fn the_socket_is_its_owners_and_replaces_one_that_nobody_listens_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sds.sock");
        let first = SecretDiscovery::bind(&path, None).expect("bound");
        let mode = fs::metadata(&path).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = SecretDiscovery::bind(&path, None).map(drop).expect_err("taken").to_string();
        assert!(error.contains("another process listens there") && error.contains("--serve-sds"), "{error}");
        drop(first);
        SecretDiscovery::bind(&path, None).expect("bound again");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left behind");
    }
}
