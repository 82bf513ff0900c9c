//! The HTTP endpoints of the distribution:
//! `GET /fleetmesh/v1/meshes/{mesh}/distribution[?after=TOKEN&timeoutSeconds=N&meshOwner=ACCOUNT]`, and
//! `GET /fleetmesh/v1/meshes/{mesh}/unserved[?meshOwner=ACCOUNT]`, which reports at once what of it is not in force.
//!
//! Without `after` it answers at once, with every object. With it, it answers when something changed since the token, or after N
//! seconds, with what changed; see [`DistributionAnswer`].

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Extension, Json, Router};
use fleetmesh_api::distribution::{DistributionAnswer, DistributionQuery, MAX_WAIT_SECONDS, ObjectStatus};
use fleetmesh_api::unserved::{UnservedAnswer, UnservedObject};
use fleetmesh_api::urls;
use fleetmesh_mesh::refusal::Refusal;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Distribution;
use crate::accounts::{Accounts, absent_mesh};
use crate::response::RefusalResponse;
use crate::rights::Rights;

/// How long an answer is waited for when the reader does not say, in seconds.
const DEFAULT_WAIT: u64 = 30;
/// How long an answer that is due at once waits for snapshots of commits that were just made.
const CATCH_UP: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct DistributionService {
    distribution: Arc<Distribution>,
    accounts: Accounts,
    shutdown: CancellationToken,
}

/// The endpoints. Answers that are waited for are given at once on `shutdown`.
pub fn router(distribution: Arc<Distribution>, accounts: Accounts, shutdown: CancellationToken) -> Router {
    let service = DistributionService { distribution, accounts, shutdown };
    Router::new()
        .route(urls::DISTRIBUTION, get(answer))
        .route(urls::UNSERVED, get(unserved))
        .with_state(service)
}

async fn answer(
    State(DistributionService { distribution, accounts, shutdown }): State<DistributionService>,
    Extension(rights): Extension<Rights>,
    Path(mesh): Path<String>,
    Query(DistributionQuery { after, timeout_seconds, mesh_owner }): Query<DistributionQuery>,
) -> Result<Json<DistributionAnswer>, RefusalResponse> {
    let mesh = accounts.readable(&rights, mesh_owner.as_deref(), &mesh, "fleetmesh:GetDistribution")?;
    let seconds = timeout_seconds.unwrap_or(DEFAULT_WAIT);
    if seconds > MAX_WAIT_SECONDS {
        let message = format!("timeoutSeconds {seconds} is out of bounds: 0 to {MAX_WAIT_SECONDS}");
        return Err(Refusal::bad_request(message).into());
    }
    let wait = if after.is_some() { Duration::from_secs(seconds) } else { CATCH_UP };
    let waited = distribution.answer(&mesh, after.clone(), Instant::now() + wait);
    let answer = tokio::select! {
        answer = waited => answer,
        () = shutdown.cancelled() => distribution.answer(&mesh, after, Instant::now()).await,
    };
    let absent = || absent_mesh(&mesh);
    Ok(Json(answer.ok_or_else(absent)?))
}

async fn unserved(
    State(DistributionService { distribution, accounts, shutdown: _ }): State<DistributionService>,
    Extension(rights): Extension<Rights>,
    Path(mesh): Path<String>,
    Query(DistributionQuery { mesh_owner, .. }): Query<DistributionQuery>,
) -> Result<Json<UnservedAnswer>, RefusalResponse> {
    let mesh = accounts.readable(&rights, mesh_owner.as_deref(), &mesh, "fleetmesh:GetUnserved")?;
    let answer = distribution.answer(&mesh, None, Instant::now() + CATCH_UP).await;
    let absent = || absent_mesh(&mesh);
    let objects = answer.ok_or_else(absent)?.objects.into_iter();
    let objects = objects
        .map(|ObjectStatus { resource, kind, version, unserved, ineffective, .. }| UnservedObject {
            resource,
            kind,
            version,
            unserved: [unserved, ineffective].concat(),
        })
        .filter(|object| !object.unserved.is_empty());
    Ok(Json(UnservedAnswer { objects: objects.collect(), mesh: mesh.name().to_owned() }))
}
