//! The App Mesh REST API: one generic path for every kind. A request is read, validated by itself, and then decided on the newest
//! state inside the store's commit ([`fleetmesh_mesh::decide`]). May use the store, the clock and randomness.

mod answer;
mod commits;
mod operation;
mod permission;
mod query;
mod read;
mod request;
mod tags;
#[cfg(test)]
mod tests;
mod throttle;
mod validate;
mod write;

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::post;
use fleetmesh_api::urls;
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::quota::Quotas;
use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::store::{CommitError, JointCommit, JointError};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::Account;
use http::Response;
use http::request::Parts;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::accounts::Accounts;
use crate::metrics::{Committed, ServerMetrics};
use crate::rights::Rights;
use crate::store::Store;
use answer::Answered;
pub(crate) use answer::refused;
use operation::Operation;
use query::Query;
pub(crate) use request::LARGEST as LARGEST_BODY;
use request::Members;
use throttle::Buckets;
use validate::Validator;

/// What the API works with.
pub struct Api {
    store: Arc<dyn Store>,
    accounts: Accounts,
    quotas: Quotas,
    validator: Validator,
    buckets: Option<Mutex<Buckets>>,
    shutdown: CancellationToken,
    metrics: ServerMetrics,
    discovered: Option<watch::Receiver<Discovered>>,
}

impl Api {
    /// An API on `store` for `accounts`. `request_rate` is the number of requests a second of one account beyond which it
    /// refuses with `TooManyRequestsException`; none is no limit. After `shutdown` it refuses with `ServiceUnavailableException`.
    ///
    /// # Errors
    /// A schema of the model that does not compile: a fault of this program.
    pub fn new(
        store: Arc<dyn Store>,
        accounts: Accounts,
        quotas: Quotas,
        request_rate: Option<u32>,
        shutdown: CancellationToken,
    ) -> Result<Self, String> {
        let buckets = request_rate.map(|rate| Mutex::new(Buckets::new(rate)));
        Ok(Self {
            store,
            accounts,
            quotas,
            validator: Validator::new()?,
            buckets,
            shutdown,
            metrics: ServerMetrics::new(),
            discovered: None,
        })
    }

    /// The same, counting into `metrics`.
    #[must_use]
    pub fn counting(self, metrics: ServerMetrics) -> Self {
        Self { metrics, ..self }
    }

    /// The same, which knows the authorities that are `discovered`; without, none is.
    #[must_use]
    pub fn discovering(self, discovered: watch::Receiver<Discovered>) -> Self {
        Self { discovered: Some(discovered), ..self }
    }

    fn discovered(&self) -> Discovered {
        self.discovered.as_ref().map(|discovered| discovered.borrow().clone()).unwrap_or_default()
    }

    /// The service: every path that no other route of the server takes, and commits of several changes.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().route(urls::COMMITS, post(commits::serve)).fallback(answer).with_state(self)
    }

    async fn serve(
        &self,
        operation: Result<Operation, Refusal>,
        head: &Parts,
        body: &[u8],
    ) -> Result<Answered, Refusal> {
        let rights = Rights::of(&head.extensions)?;
        let caller = Caller { account: self.accounts.caller(&rights)?, rights };
        self.admit_request(caller.account)?;
        let operation = operation?;
        let query = Query::parse(&head.uri)?;
        let operation = self.permitted(operation, &query, &caller)?;
        match operation {
            Operation::Describe(id) => self.describe(&id),
            Operation::List(collection) => self.list(&collection, &query, caller.account).map(Into::into),
            Operation::ListTagsForResource => self.list_tags(&query, caller.account).map(Into::into),
            Operation::Create(_)
            | Operation::Update(_)
            | Operation::Delete(_)
            | Operation::TagResource
            | Operation::UntagResource => {
                let prepared = self.prepare(&operation, &query, || Members::read(body), &caller)?;
                self.carry_out(prepared, caller.account).await
            }
        }
    }

    /// The operation on the mesh that `query` means, when `caller` may do it there.
    fn permitted(&self, operation: Operation, query: &Query, caller: &Caller) -> Result<Operation, Refusal> {
        let Caller { rights, account } = caller;
        let owner = self.accounts.owner(*account, query.mesh_owner());
        // A key that may not is refused in the same words whatever else is wrong.
        let operation = operation.owned_by(owner.clone().unwrap_or(*account));
        permission::check(rights, *account, &operation, query, &self.accounts)?;
        owner?;
        if let Some(mesh) = operation.mesh() {
            self.accounts.see(*account, &mesh)?;
        }
        Ok(operation)
    }

    /// Gives changes to the store.
    async fn commit_to_store(&self, commit: JointCommit) -> Result<Vec<Arc<Record>>, JointError> {
        let started = Instant::now();
        let outcome = self.store.commit_together(commit).await;
        let how = match &outcome {
            Ok(_) => Committed::Ok,
            Err(JointError::Refused(_) | JointError::NotStored(CommitError::Refused(_))) => {
                Committed::Refused
            }
            Err(JointError::NotStored(CommitError::Unavailable { .. } | CommitError::Internal { .. })) => {
                Committed::Failed
            }
        };
        self.metrics.committed(how, started.elapsed());
        outcome
    }

    fn admit_request(&self, caller: Account) -> Result<(), Refusal> {
        if self.shutdown.is_cancelled() {
            let message = "the control plane is shutting down; try again when it is back";
            return Err(Refusal::new(Class::ServiceUnavailable, message));
        }
        let Some(buckets) = &self.buckets else { return Ok(()) };
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.take(caller, Instant::now()) {
            return Ok(());
        }
        let message = format!(
            "more than {} requests a second (--request-rate); try again after a moment",
            buckets.rate()
        );
        Err(Refusal::new(Class::TooManyRequests, message))
    }
}

/// Who sends a request.
struct Caller {
    rights: Rights,
    account: Account,
}

async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response<Body> {
    let request_id = Uuid::new_v4().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = Instant::now();
    let operation = Operation::parse(&method, &path);
    let verb = operation.as_ref().map_or("unknown", Operation::verb);
    // The whole request is read before any answer: what is left of a body costs its client the connection.
    let (head, body) = request.into_parts();
    let outcome = match request::arrived(body).await {
        Ok(body) => api.serve(operation, &head, &body).await,
        Err(refusal) => Err(refusal),
    };
    let took = started.elapsed();
    api.metrics.served(verb, outcome.as_ref().err().map(|refusal| refusal.class), took);
    match &outcome {
        Ok(_) => tracing::debug!(%method, path, request_id, ?took, "served"),
        Err(refusal) if refusal.class.status() >= 500 => {
            tracing::error!(%method, path, request_id, %refusal, "failed");
        }
        // Whoever asked has the same words; at the usual level a client that polls would fill the log.
        Err(refusal) => tracing::debug!(%method, path, request_id, %refusal, "refused"),
    }
    answer::response(outcome, &request_id)
}

/// A commit's error as the API's. `what` is what was not stored.
fn refusal_of(error: CommitError, what: &dyn Display) -> Refusal {
    match error {
        CommitError::Refused(refusal) => refusal,
        CommitError::Unavailable { reason } => {
            let message =
                format!("{what} was not stored: {reason}; try again, and look after the disk if it persists");
            Refusal::new(Class::ServiceUnavailable, message)
        }
        CommitError::Internal { reason } => {
            Refusal::new(Class::InternalServerError, format!("{what}: {reason}"))
        }
    }
}
