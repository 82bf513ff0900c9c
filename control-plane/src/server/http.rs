//! What is served over HTTP on which listener, and whether the program lives and is ready.

use axum::routing::get;
use axum::{Extension, Router};
use fleetmesh_tasks::Tasks;
use http::StatusCode;
use tokio_util::sync::CancellationToken;

use crate::listen::Bound;
use crate::rights::Rights;
use crate::serving::Hosts;
use crate::sigv4::{SignatureGuard, guard};
use crate::tasks::Task;

/// What is served over HTTP, and to whom.
pub(super) struct Routers {
    /// To everybody.
    pub(super) open: Router,
    /// To callers of this host, and to others who sign their requests.
    pub(super) guarded: Router,
    /// What judges their signatures; absent when there is no listener for others.
    pub(super) guard: Option<SignatureGuard>,
}

impl Routers {
    /// What is served on `listener`.
    pub(super) fn of(&self, listener: &Bound) -> Router {
        let guarded = match &self.guard {
            Some(knows) if listener.is_exposed() => guard(self.guarded.clone(), knows.clone()),
            _ => self.guarded.clone().layer(Extension(Rights::Local)),
        };
        self.open.clone().merge(guarded)
    }
}

/// The names that a listener of App Mesh's API answers to.
pub(super) fn hosts(listener: &Bound, allowed: &[String]) -> Hosts {
    match listener {
        Bound::Tcp(_) => Hosts::Loopback(allowed.to_vec()),
        // Whoever gets there has a key, or may enter the folder.
        Bound::Tls(_) | Bound::Unix(..) => Hosts::Any,
    }
}

/// `/livez` answers while the process runs and none of its `tasks` has fallen, `/readyz` until it is told to stop. It is reached
/// only when the store is loaded.
pub(super) fn health(shutdown: CancellationToken, tasks: Tasks<Task>) -> Router {
    let live = move || {
        let fallen = tasks.first_fallen();
        async move {
            fallen.map_or((StatusCode::OK, "ok\n".to_owned()), |fallen| {
                (StatusCode::INTERNAL_SERVER_ERROR, format!("{fallen}\n"))
            })
        }
    };
    let ready = move || {
        let stopping = shutdown.is_cancelled();
        async move {
            if stopping {
                (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
            } else {
                (StatusCode::OK, "ok\n")
            }
        }
    };
    Router::new().route("/livez", get(live)).route("/readyz", get(ready))
}
