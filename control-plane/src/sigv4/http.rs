//! The guard of a listener that other hosts reach: no request passes without a valid signature, and no write twice.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use super::replay::{Answer, Ticket, Turn};
use super::{Audience, Refused, Replays, claimed, verify};
use crate::api::{LARGEST_BODY, refused};
use crate::keys::Keys;
use crate::listen::Peer;
use crate::refusal::{Class, Refusal};
use crate::rights::Rights;

/// What a guard knows.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The keys that count.
    pub keys: Arc<Keys>,
    /// What signatures have to be for.
    pub audience: Arc<Audience>,
    /// The writes that were served.
    pub replays: Replays,
}

/// `router` behind a guard, which says in each request what its sender may do.
pub fn guard(router: axum::Router, guard: Guard) -> axum::Router {
    router.layer(from_fn_with_state(guard, check))
}

async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response<Body> {
    let Guard { keys, audience, replays } = guard;
    let (mut head, body) = request.into_parts();
    // Who cannot have signed it does not get to send two megabytes first.
    if let Err(reason) = claimed(&head, &keys, &audience, SystemTime::now()) {
        return not_let_in(&head, &reason);
    }
    // The whole body is signed, so all of it is read before anything is done.
    let body = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let message = format!("the body was cut off or is larger than {LARGEST_BODY} bytes: {error}");
            return Refusal::bad_request(message).into_response();
        }
    };
    let verified = match verify(&head, &body, &keys, &audience, SystemTime::now()) {
        Ok(verified) => verified,
        Err(reason) => return not_let_in(&head, &reason),
    };
    if let Some(peer) = head.extensions.get::<Peer>() {
        peer.proved();
    }
    let access_key_id = &verified.holder.id;
    tracing::debug!(access_key_id, method = %head.method, path = head.uri.path(), "a signed request");
    head.extensions.insert(Rights::Key(Arc::clone(&verified.holder)));
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(&head.method) {
        return next.run(Request::from_parts(head, Body::from(body))).await;
    }
    match replays.admit(&verified, SystemTime::now()) {
        Ok(Turn::First(ticket)) => {
            serve_once(ticket, Request::from_parts(head, Body::from(body)), next).await
        }
        Ok(Turn::Again(answer)) => same_again(answer).await,
        Err(reason) => not_let_in(&head, &reason),
    }
}

async fn same_again(mut answer: watch::Receiver<Option<Arc<Answer>>>) -> Response<Body> {
    let answer = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
    answer.map_or_else(|| lost().into_response(), |answer| answer.response())
}

/// Serves a write to its end, whether or not its sender waits for it: what it led to is known for a second try.
async fn serve_once(ticket: Ticket, request: Request, next: Next) -> Response<Body> {
    let served = tokio::spawn(async move {
        let answer = Answer::read(next.run(request).await).await;
        answer.map(|answer| ticket.end(Arc::new(answer), SystemTime::now()))
    });
    match served.await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) | Err(_) => lost().into_response(),
    }
}

fn lost() -> Refusal {
    Refusal::new(
        Class::InternalServerError,
        "the request ended without an answer; see the control plane's log",
    )
}

fn not_let_in(head: &Parts, reason: &Refused) -> Response<Body> {
    tracing::debug!(method = %head.method, path = head.uri.path(), %reason, "a request was not let in");
    let body = json!({ "message": reason.to_string() });
    refused(StatusCode::FORBIDDEN, reason.shape(), &body, &Uuid::new_v4().to_string())
}
