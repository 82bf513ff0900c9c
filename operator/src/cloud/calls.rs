//! The calls: one method for each operation on an App Mesh object of any kind, one request each.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use aws_sdk_appmesh::Client;
use aws_sdk_appmesh::types::TagRef;
use fleetmesh_aws::error::CalledEndpoint;
use fleetmesh_aws::metered;
use fleetmesh_aws::transport::Rate;
use fleetmesh_core::{Failure, FailureClass, RemoteIdentity, RemoteObject};
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Kind, ResourceId, Spec};

use crate::cloud::body::{self, CloudBodies};
use crate::cloud::commit::CommitEndpoint;
use crate::metrics::Metrics;

/// Sends one operation with a body of ours, and gives the answer's bytes.
macro_rules! send {
    ($app_mesh:expr, $operation:expr, $request:expr, $body:expr) => {{
        let bodies = CloudBodies::new($body, &$app_mesh.takes_commits);
        let request = $request.customize().interceptor(bodies.clone());
        metered!(&$app_mesh.metrics, $app_mesh.endpoint, $operation, request).map(|_| bodies.answer())
    }};
}

/// What is done to objects of every kind.
#[derive(Clone, Copy, Debug)]
enum CloudVerb {
    Create,
    Describe,
    Update,
    Delete,
}

/// Sends the operation that does `$verb` to `$id`. A row has a kind, with the members of its requests that name the object from
/// the mesh down, and the SDK's operations on it.
macro_rules! send_by_kind {
    ($app_mesh:expr, $verb:expr, $id:expr, $body:expr, {
        $($kind:ident($($member:ident),+): $create:ident, $describe:ident, $update:ident, $delete:ident;)+
    }) => {{
        let mut names = $id.lineage().map(|(_, name)| name);
        let client = &$app_mesh.client;
        match ($id.kind(), $verb) {
            $(
                (Kind::$kind, CloudVerb::Create) => {
                    let request = client.$create()$(.$member(names.next().unwrap_or_default()))+;
                    send!($app_mesh, concat!("Create", stringify!($kind)), request, $body)
                }
                (Kind::$kind, CloudVerb::Describe) => {
                    let request = client.$describe()$(.$member(names.next().unwrap_or_default()))+;
                    send!($app_mesh, concat!("Describe", stringify!($kind)), request, $body)
                }
                (Kind::$kind, CloudVerb::Update) => {
                    let request = client.$update()$(.$member(names.next().unwrap_or_default()))+;
                    send!($app_mesh, concat!("Update", stringify!($kind)), request, $body)
                }
                (Kind::$kind, CloudVerb::Delete) => {
                    let request = client.$delete()$(.$member(names.next().unwrap_or_default()))+;
                    send!($app_mesh, concat!("Delete", stringify!($kind)), request, $body)
                }
            )+
        }
    }};
}

/// The App Mesh API.
#[derive(Debug)]
pub struct AppMeshClient {
    client: Client,
    endpoint: CalledEndpoint,
    reads: Rate,
    pub(super) writes: Rate,
    pub(super) metrics: Metrics,
    /// Whether the last answer said that the endpoint takes commits.
    pub(super) takes_commits: Arc<AtomicBool>,
    /// Where commits go, if anywhere.
    pub(super) commits: Option<CommitEndpoint>,
}

impl AppMeshClient {
    pub(super) fn new(
        client: Client,
        endpoint: CalledEndpoint,
        reads: Rate,
        writes: Rate,
        metrics: Metrics,
        commits: Option<CommitEndpoint>,
    ) -> Self {
        Self { client, endpoint, reads, writes, metrics, takes_commits: Arc::default(), commits }
    }

    /// Creates the object with its tags. The same `token` twice makes one object.
    ///
    /// # Errors
    /// `Conflict` when an object of that name exists, `NotFound` when something that it names does not.
    pub async fn create(
        &self,
        id: &ResourceId,
        spec: &Spec,
        tags: &Tags,
        token: &str,
    ) -> Result<RemoteIdentity, Failure> {
        self.writes.turn().await;
        let body = body::create(id, spec, tags, token).map_err(|error| malformed("Create", &error))?;
        let answer = self.send(CloudVerb::Create, id, Some(body.to_string())).await?;
        Ok(read(id, "Create", &answer)?.identity)
    }

    /// The object without its tags; `None` when it does not exist.
    ///
    /// # Errors
    /// Every failure but `NotFound`.
    pub async fn describe(&self, id: &ResourceId) -> Result<Option<RemoteObject>, Failure> {
        self.reads.turn().await;
        match self.send(CloudVerb::Describe, id, None).await {
            Ok(answer) => read(id, "Describe", &answer).map(Some),
            Err(failure) if failure.class == FailureClass::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Changes the object to `spec`.
    ///
    /// # Errors
    /// `NotFound` when the object, or something that it names, does not exist.
    pub async fn update(&self, id: &ResourceId, spec: &Spec, token: &str) -> Result<RemoteIdentity, Failure> {
        self.writes.turn().await;
        let body = body::update(spec, token).map_err(|error| malformed("Update", &error))?;
        let answer = self.send(CloudVerb::Update, id, Some(body.to_string())).await?;
        Ok(read(id, "Update", &answer)?.identity)
    }

    /// Deletes the object; one that does not exist is deleted already.
    ///
    /// # Errors
    /// `InUse` when others refer to the object.
    pub async fn delete(&self, id: &ResourceId) -> Result<(), Failure> {
        self.writes.turn().await;
        match self.send(CloudVerb::Delete, id, None).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.class == FailureClass::NotFound => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Does `verb` to the object and gives the answer's bytes.
    async fn send(&self, verb: CloudVerb, id: &ResourceId, body: Option<String>) -> Result<Vec<u8>, Failure> {
        send_by_kind!(self, verb, id, body, {
            Mesh(mesh_name): create_mesh, describe_mesh, update_mesh, delete_mesh;
            VirtualNode(mesh_name, virtual_node_name):
                create_virtual_node, describe_virtual_node, update_virtual_node, delete_virtual_node;
            VirtualRouter(mesh_name, virtual_router_name):
                create_virtual_router, describe_virtual_router, update_virtual_router, delete_virtual_router;
            Route(mesh_name, virtual_router_name, route_name):
                create_route, describe_route, update_route, delete_route;
            VirtualService(mesh_name, virtual_service_name):
                create_virtual_service, describe_virtual_service, update_virtual_service, delete_virtual_service;
            VirtualGateway(mesh_name, virtual_gateway_name):
                create_virtual_gateway, describe_virtual_gateway, update_virtual_gateway, delete_virtual_gateway;
            GatewayRoute(mesh_name, virtual_gateway_name, gateway_route_name):
                create_gateway_route, describe_gateway_route, update_gateway_route, delete_gateway_route;
        })
    }

    /// How many meshes there are; one page.
    ///
    /// # Errors
    /// As of every call.
    pub(super) async fn meshes(&self) -> Result<usize, Failure> {
        self.reads.turn().await;
        let answer = send!(self, "ListMeshes", self.client.list_meshes(), None)?;
        let answer: serde_json::Value =
            serde_json::from_slice(&answer).map_err(|error| malformed("ListMeshes", &error))?;
        Ok(answer["meshes"].as_array().map_or(0, Vec::len))
    }

    /// Whether the last answer was one of a Fleetmesh control plane.
    pub(super) fn is_fleetmesh(&self) -> bool {
        self.takes_commits.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The tags of the object `arn`; all pages.
    ///
    /// # Errors
    /// `NotFound` when the object does not exist.
    pub async fn tags(&self, arn: &str) -> Result<Tags, Failure> {
        let mut tags = Tags::new();
        let mut page = None;
        loop {
            self.reads.turn().await;
            let request = self.client.list_tags_for_resource().resource_arn(arn).set_next_token(page);
            let request = request.customize();
            let answer = metered!(&self.metrics, self.endpoint, "ListTagsForResource", request)?;
            tags.extend(answer.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())));
            page = answer.next_token().map(ToOwned::to_owned);
            if page.is_none() {
                return Ok(tags);
            }
        }
    }

    /// Sets tags of the object `arn`.
    ///
    /// # Errors
    /// `NotFound` when the object does not exist.
    pub async fn tag(&self, arn: &str, tags: &Tags) -> Result<(), Failure> {
        self.writes.turn().await;
        let mut request = self.client.tag_resource().resource_arn(arn);
        for (key, value) in tags {
            let tag = TagRef::builder().key(key).value(value).build();
            request = request.tags(tag.map_err(|error| malformed("TagResource", &error))?);
        }
        send!(self, "TagResource", request, None).map(|_| ())
    }

    /// Removes tags of the object `arn`; keys that it does not have do not matter.
    ///
    /// # Errors
    /// `NotFound` when the object does not exist.
    pub async fn untag(&self, arn: &str, keys: &[String]) -> Result<(), Failure> {
        self.writes.turn().await;
        let request = self.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.to_vec()));
        send!(self, "UntagResource", request, None).map(|_| ())
    }
}

fn read(id: &ResourceId, operation: &str, answer: &[u8]) -> Result<RemoteObject, Failure> {
    body::object(id.kind(), answer).map_err(|error| malformed(operation, &error))
}

pub(super) fn malformed(operation: &str, error: &impl std::fmt::Display) -> Failure {
    Failure {
        class: FailureClass::Malformed,
        operation: operation.to_owned(),
        message: format!("the body could not be understood: {error}"),
    }
}
