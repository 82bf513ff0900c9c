//! The plan of a rollout: its steps, the hash that changes with it, and the id of the rollout. Pure.

use std::time::Duration;

use fleetmesh_crds::Canary;
use fleetmesh_crds::canary::{Step, StepPause};
use fleetmesh_model::route::WeightedTarget;
use serde_json::{Value, json};

use super::targets::name;
use crate::token::digest;

/// Changes whenever what is hashed does. An upgrade that changes it must read the hashes of its predecessor, or rollouts
/// under way would take their plans for changed.
const VERSION: &str = "canary/1";

/// How long a step lasts at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// So long from when its weights are in force.
    For(Duration),
    /// Until somebody promotes.
    UntilPromoted,
}

/// The steps of a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryPlan {
    /// Strictly increasing, the last one 100.
    steps: Vec<Step>,
}

impl CanaryPlan {
    /// The plan of `canary`.
    pub fn of(canary: &Canary) -> Self {
        Self { steps: canary.effective_steps() }
    }

    /// How many steps there are.
    pub fn count(&self) -> i32 {
        i32::try_from(self.steps.len()).unwrap_or(i32::MAX)
    }

    /// Step `index`, counted from 1.
    pub fn step(&self, index: i32) -> Option<&Step> {
        let index = usize::try_from(index).ok()?.checked_sub(1)?;
        self.steps.get(index)
    }

    /// The step of this very weight.
    pub fn step_of(&self, set_weight: i32) -> Option<&Step> {
        self.steps.iter().find(|step| step.set_weight == set_weight)
    }

    /// The last step whose weight is not greater, counted from 1; 0 when every step's is.
    pub fn index_of(&self, set_weight: i32) -> i32 {
        let passed = self.steps.iter().filter(|step| step.set_weight <= set_weight).count();
        i32::try_from(passed).unwrap_or(i32::MAX)
    }

    /// A hash that differs between plans: of canonical JSON, so that neither the order nor the wording of members matters.
    pub fn hash(&self) -> String {
        let step = |step: &Step| {
            let lasts = match lasts(step) {
                Lasts::For(length) => json!(length.as_secs()),
                Lasts::UntilPromoted => json!("promoted"),
            };
            json!({ "setWeight": step.set_weight, "lasts": lasts, "minRequests": step.min_requests.unwrap_or(0) })
        };
        short(&Value::Array(self.steps.iter().map(step).collect()))
    }
}

/// How long the step lasts at least.
pub fn lasts(step: &Step) -> Lasts {
    match step.pause {
        None => Lasts::For(Duration::ZERO),
        Some(StepPause { duration: Some(duration) }) => Lasts::For(duration.into()),
        Some(StepPause { duration: None }) => Lasts::UntilPromoted,
    }
}

/// The id of the `number`th rollout of the route `uid`: another for each attempt, the same however often it is computed.
pub fn rollout_id(uid: &str, number: i64, from: &[WeightedTarget], to: &[WeightedTarget]) -> String {
    let weights = |targets: &[WeightedTarget]| -> Value {
        targets
            .iter()
            .map(|target| (name(target), json!(target.weight)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    short(&json!({ "uid": uid, "number": number, "from": weights(from), "to": weights(to) }))
}

fn short(value: &Value) -> String {
    let mut hash = digest(&[VERSION, &canonical(value)]);
    hash.truncate(12);
    hash
}

/// JSON without blanks, members in the order of their names.
fn canonical(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let member = |(name, value): &(&String, &Value)| format!("{}:{}", json!(name), canonical(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}
