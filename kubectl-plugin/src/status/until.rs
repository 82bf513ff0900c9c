//! Whether a rollout is over. Pure.

use fleetmesh_crds::{ConditionType, Phase, Route};
use kube::ResourceExt as _;

/// Whether a rollout is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEnding {
    /// It is not, or the operator has not looked at the spec yet.
    UnderWay,
    /// The spec's targets are the stable ones.
    Done,
    /// It was given up, and the spec's targets are not the ones that serve: why, in words.
    Aborted(String),
}

/// Whether the rollout of `route` is over. Old targets that still drain do not count, they get no new request.
pub fn ending(route: &Route) -> WatchEnding {
    let Some(status) = &route.status else { return WatchEnding::UnderWay };
    let looked_at =
        status.observed_generation.unwrap_or_default() >= route.metadata.generation.unwrap_or_default();
    let (canary, rollout) = (&status.of_kind.canary, &status.of_kind.canary.rollout);
    let decided = route.spec.canary.is_none() || canary.phase.is_some();
    let under_way = rollout.is_some() && canary.phase != Some(Phase::Aborted);
    if !looked_at || !decided || under_way {
        return WatchEnding::UnderWay;
    }
    if canary.phase != Some(Phase::Aborted) {
        return WatchEnding::Done;
    }
    let stalled = status.condition(ConditionType::Stalled).filter(|stalled| stalled.status == "True");
    let words = match (stalled, canary.history.first()) {
        (Some(stalled), _) => format!(": {}: {}", stalled.reason, stalled.message),
        (None, Some(last)) => format!(": {}: {}", last.reason, last.message),
        (None, None) => String::new(),
    };
    WatchEnding::Aborted(format!("the rollout of {} was aborted{words}", route.name_any()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn route(generation: i64, status: Value) -> Route {
        serde_json::from_value(json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Route",
            "metadata": {"name": "serviceb", "namespace": "apps", "generation": generation},
            "spec": {"meshName": "apps", "virtualRouterName": "serviceB", "canary": {}, "http2Route": {
                "match": {"prefix": "/"}, "action": {"weightedTargets": [{"virtualNode": "serviceBv2", "weight": 100}]}}},
            "status": status}))
        .unwrap()
    }

    fn status(phase: &str, under_way: bool) -> Value {
        let mut status = json!({"observedGeneration": 3, "phase": phase, "history": [{
            "endedAt": "2026-12-01T10:10:00.000000Z", "from": [], "id": "a", "message": "RouteAction b", "outcome": "Aborted",
            "reason": "AbortedByUser", "startedAt": "2026-12-01T10:00:00.000000Z", "stepIndex": 1, "targets": []}]});
        if under_way {
            status["rollout"] = json!({"id": "3f2a9c01b7de", "lastProgressAt": "2026-12-01T10:00:00.000000Z", "planHash": "x",
                "setWeight": 25, "startedAt": "2026-12-01T10:00:00.000000Z", "step": "1/2", "stepIndex": 1,
                "stepRequests": 0, "targets": []});
        }
        status
    }

    #[test]
    fn a_rollout_is_over_when_the_operator_says_so_of_this_very_spec() {
        assert_eq!(ending(&route(3, status("Progressing", true))), WatchEnding::UnderWay);
        assert_eq!(ending(&route(4, status("Promoted", false))), WatchEnding::UnderWay);
        assert_eq!(ending(&route(3, json!({"observedGeneration": 3}))), WatchEnding::UnderWay);
        for phase in ["Draining", "Promoted", "Stable", "RolledBack"] {
            assert_eq!(ending(&route(3, status(phase, false))), WatchEnding::Done, "{phase}");
        }
    }

    #[test]
    fn an_aborted_rollout_says_why() {
        let WatchEnding::Aborted(words) = ending(&route(3, status("Aborted", true))) else {
            panic!("aborted")
        };
        assert_eq!(words, "the rollout of serviceb was aborted: AbortedByUser: RouteAction b");
    }
}
