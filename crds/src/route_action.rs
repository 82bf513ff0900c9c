//! The RouteAction kind: what a person, or a pipeline, does to a rollout. Pure data.

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::{add_rule, plain_enum};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube_derive::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::columns::{age, text, wide};
use crate::condition::Reason;

pub(crate) const FIXED: Rule = Rule {
    cel: "self == oldSelf",
    message: "a RouteAction is carried out once and never changes: create another one",
};
pub(crate) const STEP_NAMED: Rule = Rule {
    cel: "!(self.verb in ['Promote', 'SkipStep']) || has(self.stepIndex)",
    message: "stepIndex must be set for Promote and SkipStep, so that the action hits the step that it was meant for",
};

fn rules(schema: &mut Schema) {
    for rule in [&FIXED, &STEP_NAMED] {
        add_rule(schema, rule);
    }
}

// It is not of the category `fleetmesh`: it has no condition Ready, and `kubectl wait --for=condition=Ready fleetmesh --all`
// would wait for one.
/// An action on a rollout: go on, stop, give up. It is carried out at most once, however often it is read;
/// one that was meant for another rollout or step is refused.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "RouteAction",
    namespaced,
    doc = "An action on a rollout, carried out once: go on, stop, give up.",
    status = "RouteActionStatus",
    derive = "PartialEq",
    shortname = "fract",
    crates(kube_core = "::kube_core")
)]
pub struct RouteActionSpec {
    /// The rollout that is meant: `status.rollout.id` of the Route.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[0-9a-z-]+$"))]
    pub rollout_id: String,
    /// The name of the Route resource, in the action's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub route_name: String,
    /// The step that is meant: `status.rollout.stepIndex` of the Route. Needed for Promote and SkipStep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 21))]
    pub step_index: Option<i32>,
    /// What is to be done.
    pub verb: Verb,
}

/// What is done to a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum Verb {
    /// The step's pause is over. The analysis, the requests and the proxies are still waited for.
    Promote,
    /// Straight to the last step and on, without pauses, analysis and webhooks; the proxies are still waited for.
    PromoteFull,
    /// The rollout stays where it is until somebody resumes. The analysis goes on.
    Pause,
    /// A rollout that was paused, or paused itself, goes on.
    Resume,
    /// On to the next step, whatever the pause, the analysis and the webhooks say; the proxies are still waited for.
    SkipStep,
    /// The stable targets get everything back in one push; the spec's targets stay aborted until they change.
    Abort,
    /// An aborted rollout begins anew.
    Retry,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 7] = [
        Self::Promote,
        Self::PromoteFull,
        Self::Pause,
        Self::Resume,
        Self::SkipStep,
        Self::Abort,
        Self::Retry,
    ];

    /// The word in the spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "Promote",
            Self::PromoteFull => "PromoteFull",
            Self::Pause => "Pause",
            Self::Resume => "Resume",
            Self::SkipStep => "SkipStep",
            Self::Abort => "Abort",
            Self::Retry => "Retry",
        }
    }
}

/// What became of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteActionStatus {
    /// When.
    pub at: MicroTime,
    /// What it did, or why it was refused and what to do instead.
    pub message: String,
    /// What became of it. It does not change any more.
    pub phase: ActionPhase,
    /// Why: a reason of `docs/reference/conditions.md`.
    pub reason: Reason,
}

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum ActionPhase {
    /// It was carried out.
    Applied,
    /// It was not, and will not be.
    Refused,
}

/// The columns that `kubectl get` prints.
pub fn columns() -> Vec<CustomResourceColumnDefinition> {
    vec![
        text("Route", ".spec.routeName", "The Route resource"),
        text("Verb", ".spec.verb", "What is to be done"),
        text("Phase", ".status.phase", "What became of it"),
        text("Reason", ".status.reason", "Why"),
        wide(text("Message", ".status.message", "What it did, or why it was refused")),
        age(),
    ]
}
