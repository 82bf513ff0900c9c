//! What the examples are written with.

use fleetmesh_crds::Canary;
use fleetmesh_model::route::WeightedTarget;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub fn target(name: &str, weight: i32) -> WeightedTarget {
    let (node, port) = match name.split_once(':') {
        Some((node, port)) => (node, Some(port.parse().unwrap())),
        None => (name, None),
    };
    WeightedTarget { virtual_node: node.to_owned(), port, weight }
}

/// Targets from `v1=75 v2=25`.
pub fn targets_of(text: &str) -> Vec<WeightedTarget> {
    let one = |word: &str| word.split_once('=').map(|(name, weight)| target(name, weight.parse().unwrap()));
    text.split_whitespace().map(|word| one(word).unwrap()).collect()
}

pub fn canary(json: Value) -> Canary {
    serde_json::from_value(json).expect("a canary")
}

pub fn start() -> Timestamp {
    "2026-12-01T10:00:00Z".parse().unwrap()
}

pub fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Short steps: 25 percent for 20 s, 50 for 20 s, 100 for 20 s; judged every 5 s by the load reports.
pub fn quick() -> Value {
    json!({
        "steps": [
            { "setWeight": 25, "pause": { "duration": "20s" } },
            { "setWeight": 50, "pause": { "duration": "20s" } },
            { "setWeight": 100, "pause": { "duration": "20s" } },
        ],
        "analysis": {
            "interval": "5s",
            "holdTimeout": "1m",
            "metrics": [
                { "name": "success", "source": { "loadReport": {} }, "thresholdRange": { "min": 99 }, "abortBelow": 50 },
            ],
        },
        "drain": { "timeoutSeconds": 30, "scaleDownDelaySeconds": 60 },
        "progressDeadlineSeconds": 120,
    })
}

/// [`quick`] with members replaced, as a JSON merge patch does.
pub fn quick_with(patch: &Value) -> Canary {
    let mut json = quick();
    merge(&mut json, patch);
    canary(json)
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}
