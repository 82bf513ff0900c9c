//! The calls: one method for each thing to do with an App Mesh object of any kind, one request each.

use aws_sdk_appmesh::Client;
use aws_sdk_appmesh::types::TagRef;
use fleetmesh_aws::error::CalledEndpoint;
use fleetmesh_aws::metered;
use fleetmesh_aws::transport::Rate;
use fleetmesh_core::{Failure, FailureClass, RemoteIdentity, RemoteObject};
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{ResourceId, Spec};

use crate::cloud::body::{self, CloudBodies};
use crate::metrics::Metrics;

/// Sends one operation with a body of ours, and gives the answer's bytes.
macro_rules! send {
    ($app_mesh:expr, $operation:literal, $request:expr, $body:expr) => {{
        let bodies = CloudBodies::new($body);
        let request = $request.customize().interceptor(bodies.clone());
        metered!(&$app_mesh.metrics, $app_mesh.endpoint, $operation, request).map(|_| bodies.answer())
    }};
}

/// The App Mesh API.
#[derive(Debug)]
pub struct AppMeshClient {
    client: Client,
    endpoint: CalledEndpoint,
    reads: Rate,
    writes: Rate,
    metrics: Metrics,
}

impl AppMeshClient {
    pub(super) fn new(
        client: Client,
        endpoint: CalledEndpoint,
        reads: Rate,
        writes: Rate,
        metrics: Metrics,
    ) -> Self {
        Self { client, endpoint, reads, writes, metrics }
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
        let body = Some(body::create(id, spec, tags, token).map_err(|error| malformed("Create", &error))?);
        let client = &self.client;
        let answer = match id {
            ResourceId::Mesh { mesh } => {
                send!(self, "CreateMesh", client.create_mesh().mesh_name(mesh), body)
            }
            ResourceId::VirtualNode { mesh, virtual_node } => {
                let request = client.create_virtual_node().mesh_name(mesh).virtual_node_name(virtual_node);
                send!(self, "CreateVirtualNode", request, body)
            }
            ResourceId::VirtualRouter { mesh, virtual_router } => {
                let request =
                    client.create_virtual_router().mesh_name(mesh).virtual_router_name(virtual_router);
                send!(self, "CreateVirtualRouter", request, body)
            }
            ResourceId::Route { mesh, virtual_router, route } => {
                let request = client
                    .create_route()
                    .mesh_name(mesh)
                    .virtual_router_name(virtual_router)
                    .route_name(route);
                send!(self, "CreateRoute", request, body)
            }
            ResourceId::VirtualService { mesh, virtual_service } => {
                let request =
                    client.create_virtual_service().mesh_name(mesh).virtual_service_name(virtual_service);
                send!(self, "CreateVirtualService", request, body)
            }
        }?;
        Ok(read(id, "Create", &answer)?.identity)
    }

    /// The object without its tags; `None` when it does not exist.
    ///
    /// # Errors
    /// Every failure but `NotFound`.
    pub async fn describe(&self, id: &ResourceId) -> Result<Option<RemoteObject>, Failure> {
        self.reads.turn().await;
        let client = &self.client;
        let answer = match id {
            ResourceId::Mesh { mesh } => {
                send!(self, "DescribeMesh", client.describe_mesh().mesh_name(mesh), None)
            }
            ResourceId::VirtualNode { mesh, virtual_node } => {
                let request = client.describe_virtual_node().mesh_name(mesh).virtual_node_name(virtual_node);
                send!(self, "DescribeVirtualNode", request, None)
            }
            ResourceId::VirtualRouter { mesh, virtual_router } => {
                let request =
                    client.describe_virtual_router().mesh_name(mesh).virtual_router_name(virtual_router);
                send!(self, "DescribeVirtualRouter", request, None)
            }
            ResourceId::Route { mesh, virtual_router, route } => {
                let request = client
                    .describe_route()
                    .mesh_name(mesh)
                    .virtual_router_name(virtual_router)
                    .route_name(route);
                send!(self, "DescribeRoute", request, None)
            }
            ResourceId::VirtualService { mesh, virtual_service } => {
                let request =
                    client.describe_virtual_service().mesh_name(mesh).virtual_service_name(virtual_service);
                send!(self, "DescribeVirtualService", request, None)
            }
        };
        match answer {
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
        let body = Some(body::update(spec, token).map_err(|error| malformed("Update", &error))?);
        let client = &self.client;
        let answer = match id {
            ResourceId::Mesh { mesh } => {
                send!(self, "UpdateMesh", client.update_mesh().mesh_name(mesh), body)
            }
            ResourceId::VirtualNode { mesh, virtual_node } => {
                let request = client.update_virtual_node().mesh_name(mesh).virtual_node_name(virtual_node);
                send!(self, "UpdateVirtualNode", request, body)
            }
            ResourceId::VirtualRouter { mesh, virtual_router } => {
                let request =
                    client.update_virtual_router().mesh_name(mesh).virtual_router_name(virtual_router);
                send!(self, "UpdateVirtualRouter", request, body)
            }
            ResourceId::Route { mesh, virtual_router, route } => {
                let request = client
                    .update_route()
                    .mesh_name(mesh)
                    .virtual_router_name(virtual_router)
                    .route_name(route);
                send!(self, "UpdateRoute", request, body)
            }
            ResourceId::VirtualService { mesh, virtual_service } => {
                let request =
                    client.update_virtual_service().mesh_name(mesh).virtual_service_name(virtual_service);
                send!(self, "UpdateVirtualService", request, body)
            }
        }?;
        Ok(read(id, "Update", &answer)?.identity)
    }

    /// Deletes the object; one that does not exist is deleted already.
    ///
    /// # Errors
    /// `InUse` when others refer to the object.
    pub async fn delete(&self, id: &ResourceId) -> Result<(), Failure> {
        self.writes.turn().await;
        let client = &self.client;
        let answer = match id {
            ResourceId::Mesh { mesh } => {
                send!(self, "DeleteMesh", client.delete_mesh().mesh_name(mesh), None)
            }
            ResourceId::VirtualNode { mesh, virtual_node } => {
                let request = client.delete_virtual_node().mesh_name(mesh).virtual_node_name(virtual_node);
                send!(self, "DeleteVirtualNode", request, None)
            }
            ResourceId::VirtualRouter { mesh, virtual_router } => {
                let request =
                    client.delete_virtual_router().mesh_name(mesh).virtual_router_name(virtual_router);
                send!(self, "DeleteVirtualRouter", request, None)
            }
            ResourceId::Route { mesh, virtual_router, route } => {
                let request = client
                    .delete_route()
                    .mesh_name(mesh)
                    .virtual_router_name(virtual_router)
                    .route_name(route);
                send!(self, "DeleteRoute", request, None)
            }
            ResourceId::VirtualService { mesh, virtual_service } => {
                let request =
                    client.delete_virtual_service().mesh_name(mesh).virtual_service_name(virtual_service);
                send!(self, "DeleteVirtualService", request, None)
            }
        };
        match answer {
            Ok(_) => Ok(()),
            Err(failure) if failure.class == FailureClass::NotFound => Ok(()),
            Err(failure) => Err(failure),
        }
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

fn malformed(operation: &str, error: &impl std::fmt::Display) -> Failure {
    Failure {
        class: FailureClass::Malformed,
        operation: operation.to_owned(),
        message: format!("the body could not be understood: {error}"),
    }
}
