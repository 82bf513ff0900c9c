//! The guard of a listener that other hosts reach: no request passes without a valid signature.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::json;
use uuid::Uuid;

use super::{Refused, claimed, verify};
use crate::api::{LARGEST_BODY, refused};
use crate::keys::Keys;
use crate::listen::Peer;
use crate::refusal::Refusal;

/// What a guard knows.
#[derive(Clone, Debug)]
pub struct Guard(pub Arc<Keys>);

/// `router` behind a guard.
pub fn guard(router: axum::Router, guard: Guard) -> axum::Router {
    router.layer(from_fn_with_state(guard, check))
}

async fn check(State(Guard(keys)): State<Guard>, request: Request, next: Next) -> Response<Body> {
    let (head, body) = request.into_parts();
    // Who cannot have signed it does not get to send two megabytes first.
    if let Err(reason) = claimed(&head, &keys, SystemTime::now()) {
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
    match verify(&head, &body, &keys, SystemTime::now()) {
        Ok(access_key_id) => {
            if let Some(peer) = head.extensions.get::<Peer>() {
                peer.proved();
            }
            tracing::debug!(access_key_id, method = %head.method, path = head.uri.path(), "a signed request");
            next.run(Request::from_parts(head, Body::from(body))).await
        }
        Err(reason) => not_let_in(&head, &reason),
    }
}

fn not_let_in(head: &Parts, reason: &Refused) -> Response<Body> {
    tracing::debug!(method = %head.method, path = head.uri.path(), %reason, "a request was not let in");
    let body = json!({ "message": reason.to_string() });
    refused(StatusCode::FORBIDDEN, reason.shape(), &body, &Uuid::new_v4().to_string())
}
