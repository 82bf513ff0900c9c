//! What a Kubernetes API is like for this program: who answers, which of our kinds it has, and what we may do there. Does I/O; what it
//! means is for the caller to decide.

use std::io;
use std::time::Duration;

use fleetmesh_cluster::ConnectError;
use fleetmesh_standalone_core::route::collection_path;
use http::header::{ACCEPT, CONTENT_TYPE, DATE};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::session::{JSON, Place};
use crate::status::Status;

/// Why something is not known of an API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SurveyError {
    /// No API is configured, in words.
    #[error("{0}")]
    Unconfigured(String),
    /// What is configured cannot be used, in words.
    #[error("{0}")]
    Unusable(String),
    /// Nobody listens there.
    #[error("nobody listens there")]
    Refused,
    /// There is no answer, in words.
    #[error("{0}")]
    Unreachable(String),
    /// It answers and does not do it: the code, and in words.
    #[error("it answers {0}: {1}")]
    Answered(u16, String),
}

/// An API that may be there.
#[derive(Clone)]
pub struct Surveyed {
    client: Client,
    /// Its address.
    pub server: String,
}

impl std::fmt::Debug for Surveyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surveyed").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Its version, such as `v1.34.0`.
    pub version: String,
    /// Its clock, as HTTP writes it; empty when it did not say.
    pub date: String,
}

impl Surveyed {
    /// The API of `place`, which is not asked yet. No attempt to connect takes longer than `limit`.
    ///
    /// # Errors
    /// [`SurveyError::Unconfigured`] or [`SurveyError::Unusable`].
    pub async fn find(place: &Place, limit: Duration) -> Result<Self, SurveyError> {
        let config = fleetmesh_cluster::config(place.kubeconfig.as_deref(), place.context.as_deref()).await;
        let mut config = config.map_err(|error| match error {
            ConnectError::Infer(_) => SurveyError::Unconfigured(error.to_string()),
            other => SurveyError::Unusable(other.to_string()),
        })?;
        config.connect_timeout = Some(limit);
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).map_err(|error| SurveyError::Unusable(error.to_string()))?;
        Ok(Self { client, server })
    }

    /// Asks who it is.
    ///
    /// # Errors
    /// It does not answer, or does not let us in.
    pub async fn greet(&self) -> Result<Greeting, SurveyError> {
        let (headers, value) = self.ask(Request::get("/version"), Vec::new()).await?;
        let date = headers.get(DATE).and_then(|date| date.to_str().ok()).unwrap_or_default().to_owned();
        let version = value["gitVersion"].as_str().unwrap_or_default().to_owned();
        Ok(Greeting { version, date })
    }

    /// The spec of a definition as it is there; `None` where there is none.
    ///
    /// # Errors
    /// It does not answer, or we may not know.
    pub async fn definition(&self, name: &str) -> Result<Option<Value>, SurveyError> {
        let path = collection_path("apiextensions.k8s.io", "v1", "customresourcedefinitions", None);
        match self.ask(Request::get(format!("{path}/{name}")), Vec::new()).await {
            Ok((_, mut value)) => Ok(Some(value["spec"].take())),
            Err(SurveyError::Answered(404, _)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether we may do `verb` to `plural` of `group` in every namespace.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn may(&self, verb: &str, group: &str, plural: &str) -> Result<bool, SurveyError> {
        let path = collection_path("authorization.k8s.io", "v1", "selfsubjectaccessreviews", None);
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": { "group": group, "resource": plural, "verb": verb } },
        });
        let request = Request::post(path).header(CONTENT_TYPE, JSON);
        let (_, value) = self.ask(request, review.to_string().into_bytes()).await?;
        Ok(value["status"]["allowed"] == true)
    }

    async fn ask(
        &self,
        request: http::request::Builder,
        body: Vec<u8>,
    ) -> Result<(HeaderMap, Value), SurveyError> {
        let unreachable = |error: &dyn std::fmt::Display| SurveyError::Unreachable(error.to_string());
        let request = request.header(ACCEPT, JSON).body(Body::from(body));
        let request = request.map_err(|error| unreachable(&error))?;
        let (head, body) = self.client.send(request).await.map_err(|error| lost(&error))?.into_parts();
        let bytes = body.collect().await.map_err(|error| lost(&error))?.to_bytes();
        if !head.status.is_success() {
            let status = Status::read(head.status.as_u16(), &bytes);
            return Err(SurveyError::Answered(head.status.as_u16(), status.message().to_owned()));
        }
        let value = serde_json::from_slice(&bytes).map_err(|error| unreachable(&error))?;
        Ok((head.headers, value))
    }
}

/// The deepest cause, which says what happened.
fn lost(error: &(dyn std::error::Error + 'static)) -> SurveyError {
    let (mut cause, mut deepest) = (Some(error), error);
    while let Some(this) = cause {
        let io = this.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return SurveyError::Refused;
        }
        deepest = this;
        cause = this.source();
    }
    SurveyError::Unreachable(deepest.to_string())
}
