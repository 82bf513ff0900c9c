//! `/livez`, `/readyz` and `/metrics`. Serves what others wrote down; asks nobody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use fleetmesh_tasks::Tasks;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::tasks::Task;

/// What the pages show.
#[derive(Clone, Debug)]
pub struct HealthServer {
    /// Whether every watch has seen everything once.
    pub ready: Arc<AtomicBool>,
    /// The metrics.
    pub metrics: Metrics,
    /// The resources.
    pub cache: Arc<Cache>,
    /// The queue.
    pub queue: Arc<Queue>,
    /// The tasks, none of which may have fallen.
    pub tasks: Tasks<Task>,
}

/// Binds `address`; gives the listener and the address that it took.
///
/// # Errors
/// The address cannot be bound.
pub async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Serves the pages until `shutdown`.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    health: HealthServer,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let pages = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    axum::serve(listener, pages).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn live(State(health): State<HealthServer>) -> impl IntoResponse {
    live_answer(&health)
}

/// What `/livez` answers.
pub(crate) fn live_answer(health: &HealthServer) -> (StatusCode, String) {
    match health.tasks.first_fallen() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(fallen) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{fallen}\n")),
    }
}

async fn ready(State(health): State<HealthServer>) -> impl IntoResponse {
    if health.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the watches have not seen everything yet\n")
    }
}

async fn metrics(State(health): State<HealthServer>) -> impl IntoResponse {
    health.metrics.sizes(health.queue.len(), health.cache.len());
    let routes = health.cache.canaries();
    health.metrics.rollouts.set(routes.iter().filter_map(|route| {
        Some((route.key.namespace.as_deref()?, route.key.name.as_str(), route.status.canary()))
    }));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], health.metrics.text())
}
