//! The guard of a listener that other hosts reach: no request passes without a valid signature, and no write twice. What can
//! be judged without the body is judged before any of it is read, and what is read of bodies before they are judged is bounded.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use fleetmesh_mesh::refusal::{Class, Refusal};
use http::request::Parts;
use http::{Method, Response};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use super::bodies::{self, Room};
use super::replay::{RememberedAnswer, Ticket, Turn};
use super::{Audience, Bodies, Proofs, Refused, Replays, claimed, verify};
use crate::api::{LARGEST_BODY, refused};
use crate::keys::Keys;
use crate::listen::{Peer, Source};
use crate::response::RefusalResponse;
use crate::rights::{Access, KeyHolder, Rights};

/// What a guard knows.
#[derive(Clone, Debug)]
pub struct SignatureGuard {
    /// The keys that count.
    pub keys: Arc<Keys>,
    /// What signatures have to be for.
    pub audience: Arc<Audience>,
    /// The writes that were served.
    pub replays: Replays,
    /// The other requests that proved whose their connection is.
    pub proofs: Proofs,
    /// The room for bodies.
    pub bodies: Bodies,
}

/// The largest body of a request that writes nothing, in bytes: App Mesh's have none.
const LARGEST_UNWRITTEN: usize = 16 * 1024;

/// `router` behind a guard, which says in each request what its sender may do.
pub fn guard(router: axum::Router, guard: SignatureGuard) -> axum::Router {
    router.layer(from_fn_with_state(guard, check))
}

async fn check(State(guard): State<SignatureGuard>, request: Request, next: Next) -> Response<Body> {
    let SignatureGuard { keys, audience, replays, proofs, bodies } = guard;
    let (mut head, body) = request.into_parts();
    // Who cannot have signed it does not get to send two megabytes first.
    let limit = match claimed(&head, &keys, &audience, SystemTime::now()) {
        Ok((_, key)) => largest(&head.method, &key.holder),
        Err(reason) => return not_let_in(&head, &reason),
    };
    let peer = head.extensions.get::<Peer>();
    let source = peer.and_then(|peer| peer.address).map(Source::from);
    // It is free again when the request was answered, or a write was done that nobody waits for any more.
    let (body, room) = match collect(body, limit, &bodies, source).await {
        Ok(collected) => collected,
        Err(refusal) => return RefusalResponse(refusal).into_response(),
    };
    let verified = match verify(&head, &body, &keys, &audience, SystemTime::now()) {
        Ok(verified) => verified,
        Err(reason) => return not_let_in(&head, &reason),
    };
    let now = SystemTime::now();
    // Whoever only saw a request can send it as well: a signature proves one connection.
    let stranger = head.extensions.get::<Peer>().filter(|peer| peer.is_guest()).cloned();
    let access_key_id = &verified.holder.id;
    tracing::debug!(access_key_id, method = %head.method, path = head.uri.path(), "a signed request");
    head.extensions.insert(Rights::Key(Arc::clone(&verified.holder)));
    // A key that may not write is refused by the operation, and leaves nothing of it on disk.
    if is_safe(&head.method) || verified.holder.policy.access != Access::Write {
        if let Some(peer) = stranger.filter(|_| proofs.take(&verified, now)) {
            peer.proved();
        }
        return next.run(Request::from_parts(head, Body::from(body))).await;
    }
    match replays.admit(&verified, now) {
        Ok(Turn::First(ticket)) => {
            if let Some(peer) = stranger {
                peer.proved();
            }
            serve_once(replays, ticket, Request::from_parts(head, Body::from(body)), next, room).await
        }
        Ok(Turn::Again(answer)) => same_again(answer).await,
        Err(reason) => not_let_in(&head, &reason),
    }
}

/// Whether it reads and changes nothing.
fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// The largest body of a request of this method by whoever says that he is `holder`.
fn largest(method: &Method, holder: &KeyHolder) -> usize {
    let writes = !is_safe(method) && *method != Method::DELETE && holder.policy.access == Access::Write;
    if writes { LARGEST_BODY } else { LARGEST_UNWRITTEN }
}

/// All of `body`, which is signed as a whole, and the room that it takes.
async fn collect(
    body: Body,
    limit: usize,
    room: &Bodies,
    source: Option<Source>,
) -> Result<(Bytes, Room), Refusal> {
    let too_large = || Refusal::bad_request(format!("the body is larger than {limit} bytes"));
    let said = body.size_hint().upper().map_or(Some(limit), |said| usize::try_from(said).ok());
    let bytes = said.filter(|said| *said <= limit).ok_or_else(too_large)?;
    let room = room.take(source, bytes).await.ok_or_else(|| {
        let message =
            "too many large requests are under way from this address, or in all: try again in a moment";
        Refusal::new(Class::TooManyRequests, message)
    })?;
    let body = bodies::read(body, limit, bytes).await.map_err(Refusal::bad_request)?;
    Ok((body, room))
}

async fn same_again(mut answer: watch::Receiver<Option<Arc<RememberedAnswer>>>) -> Response<Body> {
    let answer = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
    answer.map_or_else(|| lost().into_response(), |answer| answer.response())
}

/// Serves a write to its end, whether or not its sender waits for it: what it led to is known for a second try. Its body has its
/// room until then.
async fn serve_once(
    replays: Replays,
    ticket: Ticket,
    request: Request,
    next: Next,
    room: Room,
) -> Response<Body> {
    let served = tokio::spawn(async move {
        let _room = room;
        let response = match replays.keep(&ticket, SystemTime::now()).await {
            Ok(()) => next.run(request).await,
            Err(error) => {
                tracing::error!(%error, "a write is not served");
                let refusal = Refusal::new(Class::ServiceUnavailable, error.to_string());
                RefusalResponse(refusal).into_response()
            }
        };
        let answer = RememberedAnswer::read(response).await;
        answer.map(|answer| ticket.end(Arc::new(answer), SystemTime::now()))
    });
    match served.await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) | Err(_) => lost().into_response(),
    }
}

fn lost() -> RefusalResponse {
    let message = "the request ended without an answer; see the control plane's log";
    RefusalResponse(Refusal::new(Class::InternalServerError, message))
}

fn not_let_in(head: &Parts, reason: &Refused) -> Response<Body> {
    tracing::debug!(method = %head.method, path = head.uri.path(), %reason, "a request was not let in");
    let body = json!({ "message": reason.to_string() });
    refused(reason.status(), reason.shape(), &body, &Uuid::new_v4().to_string())
}
