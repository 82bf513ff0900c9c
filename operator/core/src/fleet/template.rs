//! The launch template: its name, what its versions hold, and the hash that distinguishes them. Pure.

use fleetmesh_crds::fleet_class::ClassVolume;
use fleetmesh_model::ResourceId;
use fleetmesh_model::tag::Tags;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::iam::own_name;

/// What a version of the launch template contains, besides the user data that is made from it. Instance types, subnets and
/// payment are part of each launch, so that changing them replaces nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateContent {
    /// The AMI's id.
    pub image: String,
    /// The ARN of the instance profile.
    pub profile_arn: String,
    /// The security groups; the VPC's default one when empty.
    pub security_groups: Vec<String>,
    /// What the user data is made from. It stands for the user data: another program version may word its script
    /// otherwise, and must not replace a single instance for that.
    pub recipe: serde_json::Value,
    /// The tags of instances and their volumes.
    pub tags: Tags,
    /// The volume that instances start from; as the AMI says when absent. Absent it is not in the hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<ClassVolume>,
}

impl TemplateContent {
    /// The first 16 hexadecimal digits of the SHA-256 of the content, with a prefix that a change of the form would
    /// change: an upgrade that means the same replaces no instance.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"fleetmesh-template-1");
        // These types serialize without fail; were they not to, equal contents would still hash alike.
        hasher.update(serde_json::to_vec(self).unwrap_or_default());
        format!("{:.16}", hex::encode(hasher.finalize()))
    }

    /// By what a version that holds this is known.
    pub fn description(&self) -> String {
        format!("{}{FORM}", self.hash())
    }
}

/// What ends the description of a version whose metadata service answers one hop away only. IAM lets the operator launch no
/// others; one of an earlier release is followed by a version of the same hash, for which no instance is replaced.
pub(super) const FORM: &str = "/1";

/// EC2 allows 3 to 128 characters in the name of a launch template, letters, digits and `( ) . / _ -`.
const LONGEST_NAME: usize = 128;

/// The name of a launch template: a node's is `mesh-MESH-NODE`, a gateway's `mesh-MESH-gateway-GATEWAY`, with a hash where characters had to be replaced or left out.
pub fn name(id: &ResourceId) -> String {
    let wanted = format!("mesh-{}-{}", id.mesh_name(), own_name(id));
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "()./_-".contains(letter);
    let clean: String = wanted.chars().map(|letter| if allowed(letter) { letter } else { '-' }).collect();
    if clean == wanted && clean.len() <= LONGEST_NAME {
        return clean;
    }
    let hash = format!("{:.12}", hex::encode(Sha256::digest(id.to_string())));
    let kept: String = clean.chars().take(LONGEST_NAME - hash.len() - 1).collect();
    format!("{kept}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ec2s_and_stay_apart() {
        assert_eq!(name(&ResourceId::virtual_node("apps", "serviceB")), "mesh-apps-serviceB");
        assert_eq!(name(&ResourceId::virtual_gateway("apps", "edge")), "mesh-apps-gateway-edge");
        let (one, other) =
            (name(&ResourceId::virtual_node("a", "b c")), name(&ResourceId::virtual_node("a", "b+c")));
        assert_ne!(one, other);
        let long = name(&ResourceId::virtual_node("m".repeat(255), "n".repeat(255)));
        assert_eq!(long.len(), LONGEST_NAME);
    }

    #[test]
    fn the_hash_follows_the_content() {
        let content = |port: u16| TemplateContent {
            image: "ami-1".into(),
            profile_arn: "arn".into(),
            security_groups: Vec::new(),
            recipe: serde_json::json!({ "port": port }),
            tags: Tags::new(),
            volume: None,
        };
        assert_eq!(content(1).hash(), content(1).hash());
        assert_ne!(content(1).hash(), content(2).hash());
        assert_eq!(content(1).hash().len(), 16);
    }
}
