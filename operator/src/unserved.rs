//! What of a mesh its control plane stores and does not serve, for people who ask. Reads only.

use std::time::Duration;

use fleetmesh_api::unserved::UnservedAnswer;
use fleetmesh_api::urls::UNSERVED;
use fleetmesh_model::{Arn, ResourceId};

use crate::control_plane::{ControlPlane, refusal};

/// How long to wait for the answer.
const LIMIT: Duration = Duration::from_secs(10);

/// The resource that a person means by `text`: the name of a mesh, an ARN, or the resource part of one.
///
/// # Errors
/// In words: it is none of these.
pub fn resource(text: &str) -> Result<ResourceId, String> {
    if text.contains('/') { Arn::parse_resource(text) } else { Arn::parse_resource(&format!("mesh/{text}")) }
}

/// What of `resource` is not in force; of a mesh, what of everything in it.
///
/// # Errors
/// In words: the control plane does not answer, or rejects the request.
pub async fn unserved(control_plane: &ControlPlane, resource: &ResourceId) -> Result<UnservedAnswer, String> {
    let mesh = resource.mesh_name();
    let (status, body) = control_plane.get(mesh, UNSERVED, "", LIMIT).await?;
    if status != 200 {
        return Err(
            refusal(&body).unwrap_or_else(|| format!("{} answers {status}", control_plane.endpoint()))
        );
    }
    let mut answer: UnservedAnswer =
        serde_json::from_slice(&body).map_err(|error| format!("malformed answer: {error}"))?;
    if *resource != ResourceId::mesh(mesh) {
        let text = resource.to_string();
        answer.objects.retain(|object| object.resource == text);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_is_meant_by_its_name_and_the_rest_by_their_arns() {
        assert_eq!(resource("apps"), Ok(ResourceId::mesh("apps")));
        assert_eq!(resource("mesh/apps"), Ok(ResourceId::mesh("apps")));
        let node = ResourceId::virtual_node("apps", "serviceB");
        assert_eq!(resource("mesh/apps/virtualNode/serviceB"), Ok(node.clone()));
        assert_eq!(
            resource("arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB"),
            Ok(node)
        );
        assert!(resource("apps/serviceB").is_err());
    }
}
