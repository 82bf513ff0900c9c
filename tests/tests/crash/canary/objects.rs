//! The objects of a lane with rollouts, and what happens to its route. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use crate::objects::CrashKind;

/// The virtual node whose proxy calls the service.
pub const CALLER: &str = "caller";
/// The Route.
pub const ROUTE: &str = "route";
/// How long a step lasts at least: the least that the schema lets in.
pub const PAUSE: Duration = Duration::from_secs(1);
/// The window of the analysis. The control plane counts whole seconds, of which the one under way may be empty.
pub const WINDOW: Duration = Duration::from_secs(2);

/// What a release comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// Three steps, then the old node is deprecated.
    Promote,
    /// Every request to the new node fails.
    Abort,
    /// One step, then the old node is deleted.
    Retire,
}

impl Story {
    pub const ALL: [Self; 3] = [Self::Promote, Self::Abort, Self::Retire];

    /// The steps, in percent.
    pub fn steps(self) -> &'static [i32] {
        match self {
            Self::Promote => &[25, 60, 100],
            Self::Abort => &[50, 100],
            Self::Retire => &[100],
        }
    }

    /// The weights of the old and the new node that the endpoint is given, one after the other.
    pub fn course(self) -> &'static [[i32; 2]] {
        match self {
            Self::Promote => &[[100, 0], [75, 25], [40, 60], [0, 100]],
            Self::Abort => &[[100, 0], [50, 50], [100, 0]],
            Self::Retire => &[[100, 0], [0, 100]],
        }
    }

    fn retire(self) -> &'static str {
        if self == Self::Retire { "Delete" } else { "Deprecate" }
    }
}

/// Everything but the route, referents first; `stable` serves.
pub fn around(kinds: &[CrashKind; 5], lane: &str, stable: &str) -> [(usize, Value); 5] {
    let [mesh, ..] = kinds;
    let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
    let caller = json!({
        "listeners": listeners,
        "serviceDiscovery": {"dns": {"hostname": "caller.local"}},
        "backends": [{"virtualService": {"virtualServiceName": "service.local"}}],
    });
    let router = json!({"listeners": listeners});
    let service = json!({
        "virtualServiceName": "service.local",
        "provider": {"virtualRouter": {"virtualRouterName": "router"}},
    });
    [
        (0, mesh.manifest(lane, false)),
        (1, node(lane, stable)),
        (2, manifest("VirtualRouter", lane, "router", router)),
        (4, manifest("VirtualService", lane, "service", service)),
        (1, manifest("VirtualNode", lane, CALLER, caller)),
    ]
}

/// The node of a release.
pub fn node(lane: &str, name: &str) -> Value {
    let spec = json!({
        "listeners": [{"portMapping": {"port": 80, "protocol": "http2"}}],
        "serviceDiscovery": {"dns": {"hostname": format!("{name}.local")}},
    });
    manifest("VirtualNode", lane, name, spec)
}

/// The route, going to `target`.
pub fn route(lane: &str, target: &str, story: Story) -> Value {
    let pause = format!("{}s", PAUSE.as_secs());
    let steps: Vec<Value> = story
        .steps()
        .iter()
        .map(|weight| json!({"setWeight": weight, "pause": {"duration": pause}}))
        .collect();
    let spec = json!({
        "virtualRouterName": "router",
        "http2Route": {
            "match": {"prefix": "/"},
            "action": {"weightedTargets": [{"virtualNode": target, "weight": 100}]},
        },
        "canary": {
            "steps": steps,
            "analysis": {
                "interval": format!("{}s", WINDOW.as_secs()),
                "metrics": [{
                    "name": "success", "source": {"loadReport": {}},
                    "thresholdRange": {"min": 99.0}, "abortBelow": 50.0,
                }],
            },
            // Each release takes its steps, although the lane had many before.
            "rollbackWindow": {"revisions": 0},
            "drain": {"timeoutSeconds": 30, "scaleDownDelaySeconds": 0, "retire": story.retire()},
        },
    });
    manifest("Route", lane, ROUTE, spec)
}

fn manifest(kind: &str, lane: &str, name: &str, mut spec: Value) -> Value {
    spec["meshName"] = json!(lane);
    json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": lane}, "spec": spec,
    })
}
