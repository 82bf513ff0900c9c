//! The status: what every kind reports, and what one kind reports beside that. Pure data.

use std::sync::LazyLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canary::CanaryStatus;
use crate::condition::ConditionType;
use crate::fleet::FleetStatus;
use crate::iam::IamStatus;
use crate::mesh_tls::{AddedTls, MeshStatus, MeshTlsStatus};

/// What `permittedBy` says of an App Mesh object that an operator wrote which did not ask for grants yet.
pub const UNASKED: &str = "an operator that did not ask for grants";

/// What Fleetmesh observed of a resource and of its App Mesh object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status<Own = KindStatus> {
    /// The name of the App Mesh object: the kind's own name field, else metadata.name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_mesh_name: Option<String>,
    /// The ARN of the App Mesh object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Accepted, ResolvedRefs, Programmed and Ready; with `iam` also IdentityReady, with `fleet` also FleetReady, with
    /// `canary` also Progressing, Paused, AnalysisHealthy, Promoted and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The metadata.generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What permits the references to other namespaces that the App Mesh object rests on, for example
    /// `ReferenceGrant shop/from-web`; empty when it rests on none, and `an operator that did not ask for grants` when such
    /// a one wrote it. Absent before the first write. Nothing is believed because it stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permitted_by: Option<Vec<String>>,
    /// The connected proxies that need the object and how many of them run it; absent when the endpoint does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<Proxies>,
    /// The uid that App Mesh gave the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The object's version at the endpoint; it grows by one with each change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// What only its kind reports.
    #[serde(flatten)]
    pub of_kind: Own,
}

/// What only virtual nodes and gateways report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The EC2 instances. Virtual nodes and gateways with `fleet` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetStatus>,
    /// What stands in IAM. Virtual nodes and gateways with `iam` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<IamStatus>,
    /// What the Mesh's `tls` adds to the spec: it is in the App Mesh request, too. Absent when it adds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<AddedTls>,
}

/// What only routes report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteStatus {
    /// What was remembered of rollouts. Routes only.
    #[serde(flatten)]
    pub canary: CanaryStatus,
    /// The weighted targets of a route in force for people to read, for example `serviceB=75 serviceBv2=25`. Routes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
}

/// What the other kinds report beside what all do: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoStatus {}

/// What only one kind reports, of any kind: for whoever serves them all.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum KindStatus {
    /// Of a mesh.
    Mesh(MeshStatus),
    /// Of a virtual node or gateway.
    Node(Box<NodeStatus>),
    /// Of a route.
    Route(Box<RouteStatus>),
    /// Of the other kinds.
    None(NoStatus),
}

impl Default for KindStatus {
    fn default() -> Self {
        NoStatus {}.into()
    }
}

impl From<MeshStatus> for KindStatus {
    fn from(mesh: MeshStatus) -> Self {
        Self::Mesh(mesh)
    }
}

impl From<NodeStatus> for KindStatus {
    fn from(node: NodeStatus) -> Self {
        Self::Node(Box::new(node))
    }
}

impl From<RouteStatus> for KindStatus {
    fn from(route: RouteStatus) -> Self {
        Self::Route(Box::new(route))
    }
}

impl From<NoStatus> for KindStatus {
    fn from(none: NoStatus) -> Self {
        Self::None(none)
    }
}

/// The status of a kind that reports nothing else.
pub type PlainResourceStatus = Status<NoStatus>;
/// The status of a Mesh.
pub type MeshResourceStatus = Status<MeshStatus>;
/// The status of a VirtualNode.
pub type VirtualNodeResourceStatus = Status<NodeStatus>;
/// The status of a Route.
pub type RouteResourceStatus = Status<RouteStatus>;

/// A route's memory of rollouts when it has none.
static NO_ROLLOUTS: LazyLock<CanaryStatus> = LazyLock::new(CanaryStatus::default);

impl Status {
    /// What a virtual node or gateway reports beside what all do, if it is one's.
    pub fn node(&self) -> Option<&NodeStatus> {
        if let KindStatus::Node(node) = &self.of_kind { Some(node) } else { None }
    }

    /// What a route reports beside what all do, if it is one's.
    pub fn route(&self) -> Option<&RouteStatus> {
        if let KindStatus::Route(route) = &self.of_kind { Some(route) } else { None }
    }

    /// How far the TLS of a mesh is, when it was reported.
    pub fn mesh_tls(&self) -> Option<&MeshTlsStatus> {
        if let KindStatus::Mesh(mesh) = &self.of_kind { mesh.tls.as_ref() } else { None }
    }

    /// What the TLS of the mesh adds to a virtual node or gateway, when it was reported.
    pub fn added_tls(&self) -> Option<AddedTls> {
        self.node()?.tls
    }

    /// The EC2 instances of a virtual node, when they were reported.
    pub fn fleet(&self) -> Option<&FleetStatus> {
        self.node()?.fleet.as_ref()
    }

    /// What stands in IAM for a virtual node, when it was reported.
    pub fn iam(&self) -> Option<&IamStatus> {
        self.node()?.iam.as_ref()
    }

    /// What was remembered of a route's rollouts; nothing of another kind's.
    pub fn canary(&self) -> &CanaryStatus {
        self.route().map_or(&NO_ROLLOUTS, |route| &route.canary)
    }

    /// The status with another memory of rollouts, if it is a route's; else as it is.
    #[must_use]
    pub fn with_canary(mut self, canary: CanaryStatus) -> Self {
        if let KindStatus::Route(route) = &mut self.of_kind {
            route.canary = canary;
        }
        self
    }
}

impl<Own: Into<KindStatus>> Status<Own> {
    /// The same as the status of any kind.
    pub fn of_any_kind(self) -> Status {
        Status {
            app_mesh_name: self.app_mesh_name,
            arn: self.arn,
            conditions: self.conditions,
            observed_generation: self.observed_generation,
            permitted_by: self.permitted_by,
            proxies: self.proxies,
            uid: self.uid,
            version: self.version,
            of_kind: self.of_kind.into(),
        }
    }
}

impl<Own> Status<Own> {
    /// The condition of type `kind`, when it was reported.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == kind.as_str())
    }
}

/// How far an object got among the proxies that are connected to the control plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proxies {
    /// Connected proxies whose configuration contains the object, 0 or more.
    #[schemars(range(min = 0))]
    pub connected: i32,
    /// Those of them that acknowledged the object's current version, 0 or more.
    #[schemars(range(min = 0))]
    pub programmed: i32,
}
