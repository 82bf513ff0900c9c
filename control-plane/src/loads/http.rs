//! The HTTP endpoint of the loads: `GET /fleetmesh/v1/meshes/{mesh}/loads[?window=SECONDS&meshOwner=ACCOUNT]`. It answers at once; see
//! [`LoadAnswer`].

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Extension, Json, Router};
use fleetmesh_api::loads::{LoadAnswer, LoadsQuery};
use fleetmesh_api::urls;
use fleetmesh_mesh::loads::LONGEST;
use fleetmesh_mesh::refusal::Refusal;

use super::ReportedLoads;
use crate::accounts::{Accounts, absent_mesh};
use crate::response::RefusalResponse;
use crate::rights::Rights;
use crate::views::Views;

/// The window when none is asked for, in seconds.
const DEFAULT_WINDOW: u64 = 60;

#[derive(Clone)]
struct LoadService {
    loads: Arc<ReportedLoads>,
    accounts: Accounts,
    views: Arc<dyn Views>,
}

/// The endpoint.
pub fn router(loads: Arc<ReportedLoads>, accounts: Accounts, views: Arc<dyn Views>) -> Router {
    let service = LoadService { loads, accounts, views };
    Router::new().route(urls::LOADS, get(answer)).with_state(service)
}

async fn answer(
    State(LoadService { loads, accounts, views }): State<LoadService>,
    Extension(rights): Extension<Rights>,
    Path(mesh): Path<String>,
    Query(LoadsQuery { window, mesh_owner }): Query<LoadsQuery>,
) -> Result<Json<LoadAnswer>, RefusalResponse> {
    let mesh = accounts.readable(&rights, mesh_owner.as_deref(), &mesh, "fleetmesh:GetLoads")?;
    let seconds = seconds(window.as_deref())?;
    let view = views.mesh(&mesh);
    let view = view.ok_or_else(|| absent_mesh(&mesh))?;
    Ok(Json(loads.answer(&mesh, &view, seconds)))
}

fn seconds(window: Option<&str>) -> Result<u64, Refusal> {
    let Some(text) = window else { return Ok(DEFAULT_WINDOW) };
    let seconds = text.parse().ok().filter(|seconds| (1..=LONGEST).contains(seconds));
    let refusal = || format!("window {text:?} is out of bounds: whole seconds from 1 to {LONGEST}");
    seconds.ok_or_else(|| Refusal::bad_request(refusal()))
}
