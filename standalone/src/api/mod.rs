//! The API without a socket: requests in, answers out. Whoever asks has been authenticated before.

mod answer;
mod body;
mod chunk;
mod discovery;
mod list;
mod openapi;
mod read;
mod review;
#[cfg(test)]
mod tests;
mod view;
mod watch;
mod write;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use fleetmesh_standalone_core::objects::Schemas;
use fleetmesh_standalone_core::resource::{Resource, Resources, Verb};
use fleetmesh_standalone_core::route::{Parameters, Route, Subresource, route};
use fleetmesh_standalone_core::schema::CustomSchemaError;
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::store::{Fresh, Key, Stored};
use http::request::Parts;
use http::{HeaderName, Request};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::store::Store;
pub(crate) use answer::failure;
use discovery::Discovery;
use openapi::OpenApiPages;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of the user.
    pub name: String,
    /// The groups of the user.
    pub groups: Vec<String>,
}

impl Caller {
    /// Who may do everything, under this name.
    pub fn administrator(name: &str) -> Self {
        let groups = ["system:masters", "system:authenticated"].map(str::to_owned).to_vec();
        Self { name: name.to_owned(), groups }
    }
}

/// How the headers begin by which a request is made in the name of another user.
const IMPERSONATE: &str = "impersonate-";

/// The letters of generated names.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The API. Clones are the same.
#[derive(Clone)]
pub struct Api {
    store: Arc<Store>,
    resources: Arc<Resources>,
    schemas: Arc<Schemas>,
    discovery: Arc<Discovery>,
    openapi: Arc<OpenApiPages>,
    /// Ends watches.
    shutdown: CancellationToken,
}

impl Api {
    /// The API of what is in `store`; its watches end with `shutdown`. `address` is where clients reach it.
    ///
    /// # Errors
    /// The schema of a definition cannot be read.
    pub fn new(
        store: Arc<Store>,
        resources: Arc<Resources>,
        address: &str,
        shutdown: CancellationToken,
    ) -> Result<Self, CustomSchemaError> {
        let schemas = Arc::new(Schemas::new(&resources)?);
        let discovery = Arc::new(Discovery::new(&resources, address));
        let openapi = Arc::new(OpenApiPages::new(Arc::clone(&resources)));
        Ok(Self { store, resources, schemas, discovery, openapi, shutdown })
    }

    /// Makes what is long in the making and not needed for being ready, so that nobody who asks waits for it. Blocks.
    pub(crate) fn warm_up(&self) {
        self.openapi.make();
    }

    /// What is served.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Where the objects are.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Answers one request of `caller`.
    pub async fn answer(&self, caller: &Caller, request: Request<Body>) -> Response {
        let (head, body) = request.into_parts();
        match self.dispatch(caller, &head, body).await {
            Ok(response) => response,
            Err(status) => answer::failure(&status),
        }
    }

    async fn dispatch(&self, caller: &Caller, head: &Parts, body: Body) -> Result<Response, Status> {
        // Whoever limits rights in this way would have all of them.
        if head.headers.keys().any(|name| name.as_str().starts_with(IMPERSONATE)) {
            return Err(Status::not_implemented("requests in the name of another user"));
        }
        let path = decoded(head.uri.path())?;
        match path.as_str() {
            "/livez" | "/readyz" | "/healthz" => return Ok(answer::text("ok")),
            "/version" | "/version/" => return Ok(answer::value(200, &version())),
            _ => {}
        }
        if let Some(response) = self.discovery.answer(head, &path)? {
            return Ok(response);
        }
        if let Some(response) = self.openapi.answer(head, &path)? {
            return Ok(response);
        }
        let parameters = parameters(head.uri.query().unwrap_or_default());
        let route = route(&self.resources, head.method.as_str(), &path, &parameters)?;
        let request = ApiRequest { api: self, caller, head, route, parameters };
        request.run(body).await
    }

    /// What is new with each decision.
    pub(crate) fn fresh() -> Fresh {
        let letter = |_| LETTERS.get(fastrand::usize(..LETTERS.len())).copied().map_or('x', char::from);
        Fresh {
            now: Timestamp::now(),
            uid: uuid::Uuid::new_v4().to_string(),
            suffix: (0..5).map(letter).collect(),
        }
    }
}

/// The path with what was escaped in it, but for slashes: they are no part of a name.
fn decoded(path: &str) -> Result<String, Status> {
    let path = percent_decode_str(path).decode_utf8().map_err(|_| Status::no_such_path())?;
    Ok(path.into_owned())
}

/// The header `name`; nothing when it is not there or no text.
fn header(head: &Parts, name: HeaderName) -> &str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn parameters(query: &str) -> Parameters {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    Parameters::new(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}

/// What `/version` answers: the Kubernetes whose API this is like, and that it is not that.
fn version() -> serde_json::Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": concat!("v1.36.0+fleetmesh-", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

/// One request about objects.
struct ApiRequest<'a> {
    api: &'a Api,
    caller: &'a Caller,
    head: &'a Parts,
    route: Route,
    parameters: Parameters,
}

impl ApiRequest<'_> {
    async fn run(&self, body: Body) -> Result<Response, Status> {
        if self.route.resource.is_review() {
            return self.review(body).await;
        }
        match self.route.verb {
            Verb::Get => self.get(),
            Verb::List => self.list(),
            Verb::Watch => self.watch(),
            Verb::Create => self.create(body).await,
            Verb::Update => self.update(body).await,
            Verb::Patch => self.patch(body).await,
            Verb::Delete => self.delete(body).await,
            Verb::DeleteCollection => self.delete_collection(body).await,
        }
    }

    fn resource(&self) -> &Resource {
        &self.route.resource
    }

    fn name(&self) -> &str {
        self.route.name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.route.namespace.as_deref().unwrap_or_default()
    }

    fn is_of(&self, subresource: Subresource) -> bool {
        self.route.subresource == Some(subresource)
    }

    fn key(&self) -> Key {
        Key::new(&self.resource().store, self.namespace(), self.name())
    }

    /// The object of the path.
    fn stored(&self) -> Result<Arc<Stored>, Status> {
        let key = self.key();
        let found = self.api.store.read(|ledger| ledger.state.get(&key).cloned());
        found.ok_or_else(|| self.not_found())
    }

    fn not_found(&self) -> Status {
        let Resource { group, plural, .. } = self.resource();
        Status::not_found(group, plural, self.name())
    }

    fn header(&self, name: HeaderName) -> &str {
        header(self.head, name)
    }
}
