//! The RouteAction of a verb for the rollout of a Route, or why there is none. Pure.

use fleetmesh_core::canary::targets::in_short;
use fleetmesh_crds::{Route, RouteAction, RouteActionSpec, Verb};
use kube::api::ObjectMeta;
use kube::{Resource as _, ResourceExt as _};

use crate::draw::in_force;

/// Kubernetes cuts longer prefixes, and the verb with them.
const MAX_PREFIX: usize = 58;

/// The RouteAction that gives the rollout of `route` a verb: meant for the very rollout and step that its status shows,
/// so that it is refused when there is another one by then, and collected with the Route.
///
/// # Errors
/// There is no rollout to act on; why, and the way out, in words.
pub fn action(route: &Route, verb: Verb) -> Result<RouteAction, String> {
    let status = route.status.clone().unwrap_or_default();
    let rollout = match (&route.spec.canary, status.of_kind.canary.rollout) {
        (Some(_), Some(rollout)) => rollout,
        _ => return Err(no_rollout(route, verb)),
    };
    let metadata = ObjectMeta {
        generate_name: Some(prefix(&route.name_any(), verb)),
        namespace: route.namespace(),
        owner_references: route.owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    let spec = RouteActionSpec {
        rollout_id: rollout.id,
        route_name: route.name_any(),
        step_index: Some(rollout.step_index),
        verb,
    };
    Ok(RouteAction { metadata, spec, status: None })
}

/// The verb as a word of the command line.
pub fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Promote => "promote",
        Verb::PromoteFull => "promote-full",
        Verb::Pause => "pause",
        Verb::Resume => "resume",
        Verb::SkipStep => "skip-step",
        Verb::Abort => "abort",
        Verb::Retry => "retry",
    }
}

fn prefix(route: &str, verb: Verb) -> String {
    let end = format!("-{}-", word(verb));
    let mut start = route.to_owned();
    start.truncate(MAX_PREFIX - end.len());
    format!("{}{end}", start.trim_end_matches(['-', '.']))
}

fn no_rollout(route: &Route, verb: Verb) -> String {
    let name = format!("{}/{}", route.namespace().unwrap_or_default(), route.name_any());
    let word = word(verb).trim_end_matches("-full");
    let status = route.status.clone().unwrap_or_default();
    if route.spec.canary.is_none() {
        return format!(
            "there is nothing to {word}: the Route {name} has no canary, so its targets are in force at once. Add `canary: {{}}` to its spec before its targets change"
        );
    }
    let (wanted, seen) =
        (route.metadata.generation.unwrap_or_default(), status.observed_generation.unwrap_or_default());
    if seen < wanted {
        return format!(
            "the operator has not looked at generation {wanted} of the Route {name} yet (it saw {seen}): try again in a moment, or see whether the operator runs"
        );
    }
    let phase = status.of_kind.canary.phase.unwrap_or_default();
    let serves = in_short(in_force(route));
    format!(
        "there is nothing to {word}: the Route {name} has no rollout under way (phase {phase:?}, {serves} is in force). A rollout begins when the targets in its spec change"
    )
}

#[cfg(test)]
mod tests {
    use fleetmesh_crds::Verb;
    use serde_json::json;

    use super::*;

    fn route(canary: serde_json::Value, status: serde_json::Value) -> Route {
        let mut route = json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Route",
            "metadata": {"name": "serviceb", "namespace": "apps", "uid": "uid-1", "generation": 3},
            "spec": {"meshName": "apps", "virtualRouterName": "serviceB", "http2Route": {"match": {"prefix": "/"},
                "action": {"weightedTargets": [{"virtualNode": "serviceBv2", "weight": 100}]}}},
            "status": status});
        if !canary.is_null() {
            route["spec"]["canary"] = canary;
        }
        serde_json::from_value(route).unwrap()
    }

    fn rollout() -> serde_json::Value {
        json!({"observedGeneration": 3, "phase": "Progressing", "rollout": {"id": "3f2a9c01b7de", "lastProgressAt":
            "2026-12-01T10:00:00.000000Z", "planHash": "x", "setWeight": 25, "startedAt": "2026-12-01T10:00:00.000000Z",
            "step": "1/2", "stepIndex": 1, "stepRequests": 0, "targets": [{"virtualNode": "serviceBv2", "weight": 100}]}})
    }

    #[test]
    fn an_action_names_the_rollout_and_the_step_that_were_read_and_belongs_to_the_route() {
        let action = action(&route(json!({}), rollout()), Verb::SkipStep).unwrap();
        assert_eq!(
            serde_json::to_value(&action).unwrap(),
            json!({"apiVersion": "fleetmesh.dev/v1alpha1", "kind": "RouteAction",
                "metadata": {"generateName": "serviceb-skip-step-", "namespace": "apps", "ownerReferences": [
                    {"apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Route", "name": "serviceb", "uid": "uid-1"}]},
                "spec": {"routeName": "serviceb", "rolloutId": "3f2a9c01b7de", "stepIndex": 1, "verb": "SkipStep"}})
        );
    }

    #[test]
    fn the_verb_stays_in_the_name_however_long_the_routes_is() {
        for verb in Verb::ALL {
            let prefix = prefix(&"a-.".repeat(80), verb);
            assert!(prefix.len() <= MAX_PREFIX, "{prefix}");
            assert!(prefix.ends_with(&format!("a-{}-", word(verb))), "{prefix}");
        }
    }

    #[test]
    fn without_a_rollout_the_way_out_is_shown() {
        let cases = [
            (json!(null), rollout(), "has no canary"),
            (
                json!({}),
                json!({"observedGeneration": 2}),
                "has not looked at generation 3 of the Route apps/serviceb yet (it saw 2)",
            ),
            (
                json!({}),
                json!({"observedGeneration": 3, "phase": "Stable", "effectiveTargets": [{"virtualNode": "serviceB", "weight": 100}]}),
                "phase Stable, serviceB=100 is in force",
            ),
        ];
        for (canary, status, expected) in cases {
            let words = action(&route(canary, status), Verb::Abort).unwrap_err();
            assert!(words.contains(expected), "{words}");
        }
    }
}
