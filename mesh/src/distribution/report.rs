//! What the distribution says about each object: the shapes that a reader gets. Pure.

use std::collections::BTreeMap;

use fleetmesh_model::Kind;
use serde::Serialize;

/// Where a reader was: what it gives back to be told what changed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Token(pub String);

/// What there is to say about a mesh.
#[derive(Clone, Debug, Serialize)]
pub struct DistributionAnswer {
    /// The mesh.
    pub mesh: String,
    /// Where the reader is now.
    pub token: Token,
    /// Whether every object is listed; otherwise only those that changed.
    pub complete: bool,
    /// The objects, by resource.
    pub objects: Vec<ObjectStatus>,
    /// The resources that are gone, when the answer is not complete.
    pub removed: Vec<String>,
}

impl DistributionAnswer {
    /// Whether it lists nothing.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.removed.is_empty()
    }
}

/// How far one object has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectStatus {
    /// Its full ARN.
    pub arn: String,
    /// The resource part of the ARN.
    pub resource: String,
    /// Its kind.
    pub kind: Kind,
    /// Its version.
    pub version: i64,
    /// How many connected proxies have it in their snapshot; one that reports its load counts as connected. Those of one
    /// virtual node with the certificates of one holder count as one, by the one of them that is farthest.
    pub proxies: usize,
    /// How many of these acknowledged a snapshot with exactly this version of it.
    pub acknowledged: usize,
    /// How many further streams there are of those, and have not acknowledged this version. They count for nothing, and still
    /// send requests by what they run.
    #[serde(skip_serializing_if = "is_zero")]
    pub lagging: usize,
    /// Those of them that refuse it.
    pub rejected: Vec<Rejected>,
    /// Of a virtual node: its own proxies by the instance they run on (an id or an address), and whether each has
    /// acknowledged everything that it is to run. A proxy that cannot be told apart is not listed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub connected: BTreeMap<String, bool>,
    /// Of a route: the proxies that are to run it, by the names of their virtual nodes, so that somebody can tell whose
    /// they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub callers: BTreeMap<String, CallerReport>,
    /// What of it is not served: paths of members without a mapping yet, or `path: reason`.
    pub unserved: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The proxies of one virtual node that are to run an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallerReport {
    /// Those that are connected.
    pub proxies: usize,
    /// Those of them that acknowledged the version.
    pub acknowledged: usize,
}

/// A proxy that refuses an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// The proxy.
    pub proxy: String,
    /// Its own words.
    pub message: String,
}
