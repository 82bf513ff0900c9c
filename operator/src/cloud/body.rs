//! Bodies of requests and responses as the model's JSON: an interceptor sets the request's body before it is signed and keeps the
//! response's bytes. No I/O.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
    BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use fleetmesh_api::headers;
use fleetmesh_core::{RemoteIdentity, RemoteObject};
use fleetmesh_model::tag::{Tag, Tags};
use fleetmesh_model::{Kind, ResourceId, Spec};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The bodies of one operation.
#[derive(Clone, Debug)]
pub(super) struct CloudBodies {
    request: Option<Arc<str>>,
    answer: Arc<Mutex<Option<Vec<u8>>>>,
    takes_commits: Arc<AtomicBool>,
}

impl CloudBodies {
    /// An operation that sends `request` instead of what the SDK would; the SDK's own body stays when there is none. What the answer
    /// says of commits goes to `takes_commits`.
    pub(super) fn new(request: Option<String>, takes_commits: &Arc<AtomicBool>) -> Self {
        Self {
            request: request.map(Arc::from),
            answer: Arc::default(),
            takes_commits: Arc::clone(takes_commits),
        }
    }

    /// The bytes of the answer; empty before it came.
    pub(super) fn answer(&self) -> Vec<u8> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

#[dyn_dispatch_hint]
impl Intercept for CloudBodies {
    fn name(&self) -> &'static str {
        "FleetmeshBodies"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(body) = &self.request {
            let request = context.request_mut();
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body.as_bytes().to_vec());
        }
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let takes_commits = context.response().headers().contains_key(headers::COMMITS);
        self.takes_commits.store(takes_commits, Ordering::Relaxed);
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let bytes = context.response().body().bytes().map(<[u8]>::to_vec);
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        Ok(())
    }
}

/// The body of a Create request. A mesh's name is in the body, the names of the other kinds' parents in the path.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateBody<'a> {
    #[serde(flatten)]
    name: std::collections::BTreeMap<&'static str, &'a str>,
    spec: &'a Spec,
    tags: Vec<Tag>,
    client_token: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UpdateBody<'a> {
    spec: &'a Spec,
    client_token: &'a str,
}

/// The body that creates `id`.
///
/// # Errors
/// serde's, which these types never raise.
pub(super) fn create(id: &ResourceId, spec: &Spec, tags: &Tags, token: &str) -> serde_json::Result<Value> {
    serde_json::to_value(&CreateBody {
        name: [(id.kind().info().member, id.name())].into(),
        spec,
        tags: list(tags),
        client_token: token,
    })
}

/// The body that updates an object to `spec`.
///
/// # Errors
/// serde's, which these types never raise.
pub(super) fn update(spec: &Spec, token: &str) -> serde_json::Result<Value> {
    serde_json::to_value(&UpdateBody { spec, client_token: token })
}

/// Tags as requests have them.
pub(super) fn list(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

#[derive(Deserialize)]
struct CloudAnswer {
    metadata: Metadata,
    spec: Value,
}

#[derive(Deserialize)]
struct Metadata {
    arn: String,
    uid: String,
    version: i64,
}

/// The object in an answer to Create, Describe or Update.
///
/// # Errors
/// What is missing or malformed in the answer.
pub(super) fn object(kind: Kind, answer: &[u8]) -> serde_json::Result<RemoteObject> {
    object_in(kind, serde_json::from_slice(answer)?)
}

/// The same in an answer that was read.
///
/// # Errors
/// As of [`object`].
pub(super) fn object_in(kind: Kind, answer: Value) -> serde_json::Result<RemoteObject> {
    let answer: CloudAnswer = serde_json::from_value(answer)?;
    let Metadata { arn, uid, version } = answer.metadata;
    Ok(RemoteObject {
        identity: RemoteIdentity { arn, uid, version },
        spec: Spec::from_json(kind, answer.spec)?,
        tags: None,
    })
}
