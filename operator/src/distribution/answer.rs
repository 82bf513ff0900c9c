//! The answer of the distribution endpoint, from JSON. No I/O.

use fleetmesh_api::distribution::{DistributionAnswer, ObjectStatus, Token};
use fleetmesh_model::ResourceId;
use fleetmesh_model::arn::Arn;
use fleetmesh_model::foreign::printable;

use crate::cache::Answer;

/// The answer and the token for the next question. Objects of kinds that are not known are passed over.
///
/// # Errors
/// What is missing or malformed.
pub(super) fn parse(body: &[u8]) -> serde_json::Result<(Answer, Token)> {
    let DistributionAnswer { mesh: _, token, complete, objects, removed } = serde_json::from_slice(body)?;
    let answer = Answer {
        complete,
        objects: objects.into_iter().filter_map(known).collect(),
        removed: removed.iter().filter_map(|resource| Arn::parse_resource(resource).ok()).collect(),
    };
    Ok((answer, token))
}

/// How far an object got, in words that can be shown; `None` of a kind that is not known.
fn known(mut object: ObjectStatus) -> Option<(ResourceId, ObjectStatus)> {
    for rejection in &mut object.rejected {
        rejection.message = printable(&rejection.message);
    }
    Some((Arn::parse_resource(&object.resource).ok()?, object))
}

#[cfg(test)]
mod tests {
    use fleetmesh_api::examples;

    use super::*;

    #[test]
    fn the_contract_s_example_is_read() {
        let (answer, Token(token)) = parse(examples::DISTRIBUTION.as_bytes()).expect("an answer");
        assert_eq!(token, "this-2");
        assert!(!answer.complete);
        assert_eq!(answer.removed, [ResourceId::virtual_node("apps", "x")]);
        let of = |id: &ResourceId| answer.objects.iter().find(|(of, _)| of == id).map(|(_, object)| object);
        let of_node = of(&ResourceId::virtual_node("apps", "serviceB")).expect("the node");
        assert_eq!((of_node.connected.get("i-0123456789abcdef0"), of_node.unserved.len()), (Some(&true), 2));
        let of_route = of(&ResourceId::route("apps", "serviceB", "serviceB")).expect("the route");
        let numbers = (of_route.version, of_route.proxies, of_route.acknowledged, of_route.lagging);
        assert_eq!(numbers, (3, 2, 1, 3));
        assert_eq!((of_route.rejected[0].message.as_str(), of_route.callers.len()), ("bad regex", 2));
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_proxies_say_is_made_printable() {
        let later = examples::DISTRIBUTION
            .replace("mesh/apps/virtualNode/serviceA\"", "mesh/apps/virtualThing/serviceA\"")
            .replace("bad regex", "bad\\u001b[31m\\nregex");
        let (answer, _) = parse(later.as_bytes()).expect("an answer");
        let names: Vec<&str> = answer.objects.iter().map(|(id, _)| id.name()).collect();
        assert!(names.contains(&"serviceC") && !names.contains(&"serviceA"), "{names:?}");
        let route = ResourceId::route("apps", "serviceB", "serviceB");
        let (_, object) = answer.objects.iter().find(|(id, _)| *id == route).expect("the route");
        assert!(!object.rejected[0].message.contains(['\u{1b}', '\n']), "{:?}", object.rejected);
    }
}
