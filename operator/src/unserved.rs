//! What of a mesh its control plane stores and does not serve, and what proxies make of the rest, for people who ask. Reads only.

use std::time::Duration;

use fleetmesh_api::distribution::{DistributionAnswer, DistributionQuery, ObjectStatus};
use fleetmesh_api::urls::DISTRIBUTION;
use fleetmesh_model::{Arn, ResourceId};

use crate::control_plane::{ControlPlane, refusal};

/// How long to wait for the answer.
const LIMIT: Duration = Duration::from_secs(10);

/// What a person asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The resource, in whoever's mesh it is.
    pub resource: ResourceId,
    /// The account that owns its mesh; without it the one that asks.
    pub mesh_owner: Option<String>,
}

/// What a person means by `text`: the name of a mesh, an ARN, or the resource part of one; `NAME@ACCOUNT` is another account's mesh.
///
/// # Errors
/// In words: it is none of these.
pub fn subject(text: &str) -> Result<Subject, String> {
    if text.starts_with("arn:") {
        let Arn { account, resource, .. } = Arn::parse(text)?;
        return Ok(Subject { resource, mesh_owner: Some(account) });
    }
    let text = if text.contains('/') { text } else { &format!("mesh/{text}") };
    let (resource, owner) = ResourceId::parse_short(text)?;
    Ok(Subject { resource, mesh_owner: owner.map(|owner| owner.to_string()) })
}

/// How the resource is served; of a mesh, how everything in it is.
///
/// # Errors
/// In words: the control plane does not answer, or rejects the request; or there is no such resource.
pub async fn served(control_plane: &ControlPlane, subject: &Subject) -> Result<Vec<ObjectStatus>, String> {
    let Subject { resource, mesh_owner } = subject;
    let mesh = resource.mesh_name();
    let query = DistributionQuery { mesh_owner: mesh_owner.clone(), ..DistributionQuery::default() };
    let (status, body) = control_plane.get(mesh, DISTRIBUTION, &query.to_string(), LIMIT).await?;
    if status != 200 {
        return Err(
            refusal(&body).unwrap_or_else(|| format!("{} answers {status}", control_plane.endpoint()))
        );
    }
    let DistributionAnswer { mut objects, .. } =
        serde_json::from_slice(&body).map_err(|error| format!("malformed answer: {error}"))?;
    if *resource == ResourceId::mesh(mesh) {
        return Ok(objects);
    }
    let text = resource.path();
    objects.retain(|object| object.resource == text);
    if objects.is_empty() {
        return Err(format!("{text} does not exist"));
    }
    Ok(objects)
}

/// What is to be known of an object: what of it is not in force, which proxies reject it and which have not acknowledged it, and notes.
/// Nothing, when all of it is in force.
pub fn explanation(object: &ObjectStatus) -> Vec<String> {
    let rejected = object.rejected.iter();
    let rejected = rejected.map(|one| format!("is rejected by the proxy {}: {}", one.proxy, one.message));
    let waited_for =
        object.proxies - object.acknowledged - i32::try_from(object.rejected.len()).unwrap_or(i32::MAX);
    let pending = (waited_for > 0).then(|| {
        let ObjectStatus { proxies, acknowledged, version, .. } = object;
        format!("version {version} is acknowledged by {acknowledged} of {proxies} proxies; the others run what they had")
    });
    object
        .unserved
        .iter()
        .chain(&object.ineffective)
        .cloned()
        .chain(rejected)
        .chain(pending)
        .chain(object.notes.iter().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use fleetmesh_api::distribution::Rejection;

    use super::*;

    #[test]
    fn what_proxies_make_of_an_object_is_explained() {
        let whole = ObjectStatus { version: 3, proxies: 2, acknowledged: 2, ..ObjectStatus::default() };
        assert_eq!(explanation(&whole), [""; 0]);
        let rejection = Rejection { proxy: "p-1".into(), message: "no such file".into() };
        let partly = ObjectStatus {
            acknowledged: 0,
            rejected: vec![rejection],
            unserved: vec!["spec.tls: ACM".into()],
            ineffective: vec!["spec.backends[1]: does not exist".into()],
            notes: vec!["spec.backends[0]: by port".into()],
            ..whole
        };
        assert_eq!(
            explanation(&partly),
            [
                "spec.tls: ACM",
                "spec.backends[1]: does not exist",
                "is rejected by the proxy p-1: no such file",
                "version 3 is acknowledged by 0 of 2 proxies; the others run what they had",
                "spec.backends[0]: by port",
            ]
        );
    }

    #[test]
    fn a_mesh_is_meant_by_its_name_and_the_rest_by_their_arns() {
        let asked = |resource: &ResourceId, owner: Option<&str>| {
            Ok(Subject { resource: resource.clone(), mesh_owner: owner.map(str::to_owned) })
        };
        let (mesh, node) = (ResourceId::mesh("apps"), ResourceId::virtual_node("apps", "serviceB"));
        assert_eq!(subject("apps"), asked(&mesh, None));
        assert_eq!(subject("mesh/apps"), asked(&mesh, None));
        assert_eq!(subject("mesh/apps/virtualNode/serviceB"), asked(&node, None));
        let arn = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB";
        assert_eq!(subject(arn), asked(&node, Some("111122223333")));
        assert_eq!(subject("apps@444455556666"), asked(&mesh, Some("444455556666")));
        assert_eq!(
            subject("mesh/apps@444455556666/virtualNode/serviceB"),
            asked(&node, Some("444455556666"))
        );
        assert!(subject("apps/serviceB").is_err());
    }
}
