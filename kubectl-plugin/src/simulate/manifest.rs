//! The Route from a manifest. Pure.

use fleetmesh_core::canary::Spec;
use fleetmesh_core::object::Object;
use fleetmesh_crds::{GROUP, MeshResource as _, Route};
use fleetmesh_model::route::WeightedTarget;
use serde_json::Value;

/// What a simulation needs of a Route.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// `metadata.name`.
    pub name: String,
    /// The targets and how to get there; `canary` is set.
    pub spec: Spec,
    /// The stable targets of its status, if it has one.
    pub stable: Vec<WeightedTarget>,
}

/// Targets from a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestTargets(pub Vec<WeightedTarget>);

/// The only Route of the YAML documents in `text`, or the one of that name.
///
/// # Errors
/// There is no such Route, or it cannot be rolled out; why, in words.
pub fn read(text: &str, name: Option<&str>) -> Result<Manifest, String> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| format!("no YAML: {error}"))?;
    let routes = documents.into_iter().filter(is_route);
    let mut routes: Vec<Value> =
        routes.filter(|route| name.is_none_or(|name| route["metadata"]["name"] == name)).collect();
    let route = match (routes.len(), name) {
        (1, _) => routes.remove(0),
        (0, None) => return Err(format!("there is no Route of {GROUP} in it")),
        (0, Some(name)) => return Err(format!("there is no Route {name} of {GROUP} in it")),
        (many, _) => return Err(format!("there are {many} Routes in it: choose one with --route")),
    };
    of(&serde_json::from_value(route).map_err(|error| format!("the Route cannot be read: {error}"))?)
}

fn is_route(document: &Value) -> bool {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    document["kind"] == "Route" && version.split('/').next() == Some(GROUP)
}

fn of(route: &Route) -> Result<Manifest, String> {
    let name = route.metadata.name.clone().unwrap_or_default();
    let violations = route.app_mesh_spec().violations();
    if !violations.is_empty() {
        let words: Vec<String> = violations.iter().map(ToString::to_string).collect();
        return Err(format!("the Route {name} is not valid: {}", words.join("; ")));
    }
    let spec = Spec::of(&Object::read(route))
        .ok_or_else(|| format!("no target of the Route {name} has a weight"))?;
    if spec.canary.is_none() {
        return Err(format!("the Route {name} has no canary: its targets are in force at once"));
    }
    let stable =
        route.status.as_ref().map(|status| status.of_kind.canary.stable_targets.clone()).unwrap_or_default();
    Ok(Manifest { name, spec, stable })
}

/// Targets from `serviceB=75 serviceBv2:8080=25`, also with commas between them.
///
/// # Errors
/// A word is no target; which, in words.
pub fn targets_from(text: &str) -> Result<ManifestTargets, String> {
    let words = text.split([' ', ',']).filter(|word| !word.is_empty());
    words.map(target).collect::<Result<_, _>>().map(ManifestTargets)
}

fn target(word: &str) -> Result<WeightedTarget, String> {
    let wrong =
        || format!("{word:?} is no target: write NODE=WEIGHT or NODE:PORT=WEIGHT, with a weight of 0 to 100");
    let (name, weight) = word.split_once('=').ok_or_else(wrong)?;
    let (virtual_node, port) = match name.split_once(':') {
        Some((node, port)) => (node, Some(i32::from(port.parse::<u16>().map_err(|_| wrong())?))),
        None => (name, None),
    };
    let weight = weight.parse().ok().filter(|weight| (0..=100).contains(weight)).ok_or_else(wrong)?;
    if virtual_node.is_empty() {
        return Err(wrong());
    }
    Ok(WeightedTarget { port, virtual_node: virtual_node.to_owned(), weight })
}

#[cfg(test)]
mod tests {
    use fleetmesh_core::canary::targets::in_short;

    use super::*;

    const ROUTE: &str = "
apiVersion: fleetmesh.dev/v1alpha1
kind: Route
metadata: {name: serviceb}
spec:
  meshName: apps
  virtualRouterName: serviceB
  http2Route: {match: {prefix: /}, action: {weightedTargets: [{virtualNode: serviceBv2, weight: 100}]}}
";

    #[test]
    fn the_route_is_found_among_other_resources() {
        let text =
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: apps}}\n---{ROUTE}  canary: {{}}\n");
        let manifest = read(&text, None).unwrap();
        assert_eq!(
            (manifest.name.as_str(), in_short(&manifest.spec.targets)),
            ("serviceb", "serviceBv2=100".to_owned())
        );
        assert!(read(&text, Some("other")).unwrap_err().contains("no Route other"));
        let twice = format!("{text}---{ROUTE}");
        assert!(read(&twice, None).unwrap_err().contains("2 Routes"));
    }

    #[test]
    fn what_cannot_be_rolled_out_is_refused() {
        for (text, expected) in [
            (ROUTE.to_owned(), "has no canary"),
            (ROUTE.replace("weight: 100", "weight: 0"), "weight"),
            (
                ROUTE.replace("{virtualNode", "{virtualNode: serviceBv2, weight: 1}, {virtualNode"),
                "is not valid",
            ),
            ("a: [".to_owned(), "no YAML"),
            ("kind: Route\napiVersion: v1\n".to_owned(), "no Route"),
        ] {
            let words = read(&text, None).unwrap_err();
            assert!(words.contains(expected), "{words}");
        }
    }

    #[test]
    fn targets_are_written_as_status_shows_them() {
        let ManifestTargets(targets) = targets_from("serviceB=75, serviceBv2:8080=25").unwrap();
        assert_eq!(in_short(&targets), "serviceB=75 serviceBv2:8080=25");
        for wrong in ["serviceB", "serviceB=x", "serviceB=101", "=1", "a:99999=1"] {
            assert!(targets_from(wrong).unwrap_err().contains("NODE=WEIGHT"), "{wrong}");
        }
    }
}
