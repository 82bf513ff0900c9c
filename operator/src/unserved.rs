//! What of a mesh its control plane stores and does not serve, for people who ask. Reads only.

use std::time::Duration;

use fleetmesh_api::distribution::DistributionQuery;
use fleetmesh_api::unserved::UnservedAnswer;
use fleetmesh_api::urls::UNSERVED;
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

/// What of the resource is not in force; of a mesh, what of everything in it.
///
/// # Errors
/// In words: the control plane does not answer, or rejects the request.
pub async fn unserved(control_plane: &ControlPlane, subject: &Subject) -> Result<UnservedAnswer, String> {
    let Subject { resource, mesh_owner } = subject;
    let mesh = resource.mesh_name();
    let query = DistributionQuery { mesh_owner: mesh_owner.clone(), ..DistributionQuery::default() };
    let (status, body) = control_plane.get(mesh, UNSERVED, &query.to_string(), LIMIT).await?;
    if status != 200 {
        return Err(
            refusal(&body).unwrap_or_else(|| format!("{} answers {status}", control_plane.endpoint()))
        );
    }
    let mut answer: UnservedAnswer =
        serde_json::from_slice(&body).map_err(|error| format!("malformed answer: {error}"))?;
    if *resource != ResourceId::mesh(mesh) {
        let text = resource.path();
        answer.objects.retain(|object| object.resource == text);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

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
