//! The HTTP endpoints: `POST /fleetmesh/v1/join/challenge`, then `POST /fleetmesh/v1/join`. They are served without a signature by an
//! access key, on a listener of their own: the proof in the request takes its place. Every caller is a stranger, so bodies are small,
//! and an answer repeats no more than a line of a rejected request.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Extension, Json, Router};
use fleetmesh_api::join::{Challenge, ChallengeRequest, JoinAnswer, JoinRequest};
use fleetmesh_api::urls;
use fleetmesh_mesh::foreign::SHOWN;
use fleetmesh_mesh::refusal::Refusal;
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::Joining;
use crate::listen::{Peer, Source};
use crate::metrics::ServerMetrics;
use crate::refusals::Refusals;
use crate::response::RefusalResponse;

/// The largest body, in bytes. A request to join has some 3 KB, most of which is the session token.
pub const LARGEST: usize = 16 * 1024;
/// The most characters of a refusal, which may hold [`SHOWN`] of the request's.
const WORDS: usize = 3 * SHOWN;

type Body = Result<Bytes, BytesRejection>;

/// The endpoints, which count in `metrics` who asks for a certificate.
pub fn router(joining: Arc<Joining>, metrics: ServerMetrics) -> Router {
    let refusals = Refusals::new("an instance may not join");
    Router::new()
        .route(urls::JOIN_CHALLENGE, post(challenge))
        .route(urls::JOIN, post(join))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(JoinService { joining, metrics, refusals })
}

#[derive(Clone)]
struct JoinService {
    joining: Arc<Joining>,
    metrics: ServerMetrics,
    refusals: Refusals,
}

async fn challenge(
    State(JoinService { joining, .. }): State<JoinService>,
    body: Body,
) -> Result<Json<Challenge>, RefusalResponse> {
    let body = whole(body)?;
    let request = if body.is_empty() { ChallengeRequest::default() } else { read(&body)? };
    Ok(Json(joining.challenge(&request)?))
}

async fn join(
    State(JoinService { joining, metrics, refusals }): State<JoinService>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<JoinAnswer>, RefusalResponse> {
    let request = whole(body).and_then(|body| read::<JoinRequest>(&body));
    let source = peer.address.map(Source::from);
    let outcome = match request {
        Ok(request) => joining.join(source, request).await.map_err(bounded),
        Err(refusal) => Err(refusal),
    };
    metrics.joined(outcome.as_ref().err().map(|refusal| refusal.class));
    match &outcome {
        Ok(_) => peer.proved(),
        Err(refusal) => refusals.log(source, refusal),
    }
    Ok(Json(outcome?))
}

fn whole(body: Body) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| {
        Refusal::bad_request(match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => format!("the body is larger than {LARGEST} bytes"),
            _ => "the body was cut off, or was not complete in time".to_owned(),
        })
    })
}

/// The request. What is wrong with it is not said in the parser's words, which could quote a token.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    let malformed = |_| Refusal::bad_request("the body is not a request to join: see `fleetmesh proxy join`");
    serde_json::from_slice(body).map_err(malformed)
}

/// The refusal in a line of its own, whatever was sent.
fn bounded(Refusal { class, message }: Refusal) -> Refusal {
    let printable = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    let mut words: String = message.chars().map(printable).take(WORDS).collect();
    if message.chars().nth(WORDS).is_some() {
        words.push('…');
    }
    Refusal::new(class, words)
}

#[cfg(test)]
mod tests {
    use fleetmesh_mesh::refusal::Class;

    use super::*;

    #[test]
    fn a_refusal_is_one_short_line_whatever_was_sent() {
        let long = Refusal::new(Class::Forbidden, format!("a\nb\u{1b}{}", "x".repeat(2 << 20)));
        let Refusal { class, message } = bounded(long);
        assert_eq!((class, message.chars().count()), (Class::Forbidden, WORDS + 1));
        assert!(message.starts_with("a\u{fffd}b\u{fffd}x") && message.ends_with("x…"));
    }
}
