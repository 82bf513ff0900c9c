//! The HTTP endpoints: `POST /fleetmesh/v1/join/challenge`, then `POST /fleetmesh/v1/join`. They are served without a
//! signature of ours: what they ask for is the proof.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::post;
use axum::{Json, Router};

use super::{Challenge, JoinAnswer, JoinRequest, Joining};
use crate::metrics::Metrics;
use crate::refusal::Refusal;

/// The endpoints, which count in `metrics` who asks for a certificate.
pub fn router(joining: Arc<Joining>, metrics: Metrics) -> Router {
    Router::new()
        .route("/fleetmesh/v1/join/challenge", post(challenge))
        .route("/fleetmesh/v1/join", post(join))
        .with_state((joining, metrics))
}

async fn challenge(State((joining, _)): State<(Arc<Joining>, Metrics)>) -> Result<Json<Challenge>, Refusal> {
    joining.challenge().map(Json)
}

async fn join(
    State((joining, metrics)): State<(Arc<Joining>, Metrics)>,
    request: Result<Json<JoinRequest>, JsonRejection>,
) -> Result<Json<JoinAnswer>, Refusal> {
    // The rejection's own words could quote a token.
    let malformed = |_| Refusal::bad_request("the body is not a request to join: see `fleetmesh proxy join`");
    let Json(request) = request.map_err(malformed)?;
    let outcome = joining.join(request).await;
    metrics.joined(outcome.as_ref().err().map(|refusal| refusal.class));
    if let Err(refusal) = &outcome {
        tracing::info!(%refusal, "an instance may not join");
    }
    outcome.map(Json)
}
