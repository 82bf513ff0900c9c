//! Random routes: their targets and their canaries.

use fastrand::Rng;
use fleetmesh_crds::Canary;
use fleetmesh_model::route::WeightedTarget;
use fleetmesh_simulation::canary::fixtures::target;
use jiff::Timestamp;
use serde_json::{Value, json};

pub const NODES: [&str; 4] = ["a", "b", "c", "d"];

pub fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// Targets of some sum.
pub fn list(random: &mut Rng) -> Vec<WeightedTarget> {
    match random.u8(0..10) {
        0 => vec![target(random.choice(NODES).unwrap(), random.i32(1..=100))],
        1 | 2 => {
            let total = random.i32(1..=200);
            list_of_sum(random, total)
        }
        3..=6 => vec![target(random.choice(NODES).unwrap(), 100)],
        _ => list_of_sum(random, 100),
    }
}

/// Targets that sum to `total`, 1 to 400, of which none exceeds 100.
pub fn list_of_sum(random: &mut Rng, total: i32) -> Vec<WeightedTarget> {
    let mut names = NODES.to_vec();
    random.shuffle(&mut names);
    let least = usize::try_from((total + 99) / 100).unwrap();
    let count = random.usize(least..=NODES.len());
    let mut left = total;
    let mut list = Vec::new();
    for (index, name) in names.iter().take(count).enumerate() {
        let others = i32::try_from(count - index - 1).unwrap();
        let weight =
            if others == 0 { left } else { random.i32((left - 100 * others).max(0)..=left.min(100)) };
        left -= weight;
        let name = if random.u8(0..10) == 0 { format!("{name}:8080") } else { (*name).to_owned() };
        list.push(target(&name, weight));
    }
    list
}

fn steps(random: &mut Rng) -> Vec<Value> {
    let mut steps: Vec<Value> = Vec::new();
    let mut weight = 0;
    for _ in 0..random.u8(1..4) {
        weight += random.i32(1..50);
        if weight > 100 {
            return steps;
        }
        let mut step = json!({ "setWeight": weight });
        match random.u8(0..10) {
            0 => step["pause"] = json!({}),
            1..=5 => step["pause"] = json!({ "duration": format!("{}s", random.i32(1..20)) }),
            _ => {}
        }
        if random.u8(0..4) == 0 {
            step["minRequests"] = json!(random.i32(1..400));
        }
        steps.push(step);
    }
    if random.bool() && weight < 100 {
        steps.push(json!({ "setWeight": 100, "pause": { "duration": "5s" } }));
    }
    steps
}

fn metrics(random: &mut Rng) -> Vec<Value> {
    let mut metrics = Vec::new();
    if random.u8(0..4) > 0 {
        let range = json!({ "min": 90 });
        metrics.push(json!({ "name": "success", "source": { "loadReport": {} }, "thresholdRange": range, "abortBelow": 60 }));
    }
    if random.u8(0..3) == 0 {
        let source = json!({ "prometheus": { "address": "http://p", "query": "q" } });
        let range = json!({ "max": 500 });
        metrics.push(
            json!({ "name": "p99", "source": source, "thresholdRange": range, "dryRun": random.bool() }),
        );
    }
    metrics
}

pub fn canary(random: &mut Rng) -> Canary {
    let hooks = ["confirm-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback", "event"];
    let hooks = hooks.iter().filter(|_| random.u8(0..8) == 0);
    let webhooks: Vec<Value> = hooks.map(|type_| json!({ "type": type_, "url": "http://hook" })).collect();
    let json = json!({
        "steps": steps(random),
        "analysis": {
            "interval": "5s",
            "holdTimeout": "1m",
            "failureLimit": random.i32(1..4),
            "onNoData": random.choice(["Hold", "Hold", "Hold", "Pass", "Fail"]),
            "onError": random.choice(["Hold", "Hold", "Pause"]),
            "metrics": metrics(random),
        },
        "webhooks": webhooks,
        "onFailure": random.choice(["Rollback", "Rollback", "Pause"]),
        "progressDeadlineSeconds": 300,
        "propagationDelaySeconds": 5,
        "rollbackWindow": { "revisions": random.i32(1..5) },
        "drain": {
            "timeoutSeconds": 20,
            "scaleDownDelaySeconds": 5,
            "retire": random.choice(["Deprecate", "ScaleToZero", "Delete"]),
        },
    });
    serde_json::from_value(json).expect("a canary")
}
