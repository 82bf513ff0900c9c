//! The App Mesh API as plain HTTP requests: what any client of it sends, without a client's own checks.

use anyhow::{Context as _, Result, ensure};
use fleetmesh_api::commits::{CommitPart, CommitRequest};
use fleetmesh_api::urls;
use fleetmesh_model::ResourceId;
use fleetmesh_model::resource::API_VERSION;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// An App Mesh endpoint.
#[derive(Clone, Debug)]
pub struct AppMeshRequests {
    endpoint: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl AppMeshRequests {
    /// The API at `endpoint`: `http://127.0.0.1:PORT`.
    pub fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Creates `id` with `spec` and returns the answer, whatever its status.
    ///
    /// # Errors
    /// No answer comes.
    pub async fn try_create(&self, id: &ResourceId, spec: &Value) -> Result<Response<Bytes>> {
        let body = json!({ id.kind().info().member: id.name(), "spec": spec });
        self.send(Method::PUT, &collection(id), Some(&body)).await
    }

    /// Creates `id` with `spec`.
    ///
    /// # Errors
    /// It is refused: the error carries the service's words.
    pub async fn create(&self, id: &ResourceId, spec: &Value) -> Result<()> {
        accepted("create", id, &self.try_create(id, spec).await?)
    }

    /// Replaces the spec of `id`.
    ///
    /// # Errors
    /// It is refused: the error carries the service's words.
    pub async fn update(&self, id: &ResourceId, spec: &Value) -> Result<()> {
        accepted("update", id, &self.send(Method::PUT, &item(id), Some(&json!({ "spec": spec }))).await?)
    }

    /// Deletes `id`.
    ///
    /// # Errors
    /// It is refused: the error carries the service's words.
    pub async fn delete(&self, id: &ResourceId) -> Result<()> {
        accepted("delete", id, &self.send(Method::DELETE, &item(id), None).await?)
    }

    /// Replaces specs of what is in `mesh`, all by one commit.
    ///
    /// # Errors
    /// It is refused: the error carries the service's words.
    pub async fn commit(&self, mesh: &ResourceId, updates: &[(ResourceId, Value)]) -> Result<()> {
        let part = |(id, spec): &(ResourceId, Value)| CommitPart {
            method: "PUT".to_owned(),
            path: format!("/{API_VERSION}/{}", item(id)),
            body: json!({ "spec": spec }),
        };
        let request = CommitRequest { parts: updates.iter().map(part).collect() };
        let path = urls::of_mesh(urls::COMMITS, mesh.name());
        let answer = self.send_to(Method::POST, &path, Some(&json!(request))).await?;
        accepted("commit changes of", mesh, &answer)
    }

    /// Adds tags to what has this ARN and returns the answer, whatever its status.
    ///
    /// # Errors
    /// No answer comes.
    pub async fn try_tag(&self, arn: &str, tags: &[(&str, &str)]) -> Result<Response<Bytes>> {
        let tags: Value = tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let path = format!("tag?resourceArn={}", urls::escape(arn));
        self.send(Method::PUT, &path, Some(&json!({ "tags": tags }))).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response<Bytes>> {
        self.send_to(method, &format!("/{API_VERSION}/{path}"), body).await
    }

    async fn send_to(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response<Bytes>> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header("content-type", "application/json")
            .body(Full::from(body))?;
        let (parts, body) = self.client.request(request).await?.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }
}

/// The `message` of an error's body.
///
/// # Errors
/// The body has none.
pub fn message(answer: &Response<Bytes>) -> Result<String> {
    let body: Value = serde_json::from_slice(answer.body())?;
    let message = body["message"].as_str().context("an error has a message")?;
    Ok(message.to_owned())
}

fn accepted(verb: &str, id: &ResourceId, answer: &Response<Bytes>) -> Result<()> {
    ensure!(answer.status() == 200, "cannot {verb} {id}: {} {}", answer.status(), message(answer)?);
    Ok(())
}

fn collection(id: &ResourceId) -> String {
    id.collection().path().join("/")
}

fn item(id: &ResourceId) -> String {
    format!("{}/{}", collection(id), id.name())
}
