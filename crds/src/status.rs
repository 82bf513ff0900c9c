//! The status that every kind has. Pure data.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canary::CanaryStatus;
use crate::condition::ConditionType;
use crate::fleet::FleetStatus;
use crate::iam::IamStatus;

/// What Fleetmesh observed of a resource and of its App Mesh object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The name of the App Mesh object: the kind's own name field, else metadata.name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_mesh_name: Option<String>,
    /// The ARN of the App Mesh object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// What was remembered of rollouts. Routes only.
    #[serde(flatten)]
    pub canary: CanaryStatus,
    /// Accepted, ResolvedRefs, Programmed and Ready; with `iam` also IdentityReady, with `fleet` also FleetReady, with
    /// `canary` also Progressing, Paused, AnalysisHealthy, Promoted and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The EC2 instances. Virtual nodes with `fleet` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetStatus>,
    /// What stands in IAM. Virtual nodes with `iam` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<IamStatus>,
    /// The metadata.generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What permits the references to other namespaces that the App Mesh object rests on, for example
    /// `ReferenceGrant shop/from-web`; empty when it rests on none. Absent while that was never judged: before the first
    /// write, or when an operator wrote the object that did not ask for grants yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permitted_by: Option<Vec<String>>,
    /// The connected proxies that need the object and how many of them run it; absent when the endpoint does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<Proxies>,
    /// The uid that App Mesh gave the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The object's version at the endpoint; it grows by one with each change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The weighted targets of a route in force for people to read, for example `serviceB=75 serviceBv2=25`. Routes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
}

impl Status {
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
