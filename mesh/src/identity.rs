//! The account, region and partition of a control plane. They are part of every ARN. Pure data.

use fleetmesh_model::{Arn, ResourceId};

/// Which account, in which region of which partition, the resources belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The partition, for example `aws` or `aws-cn`.
    pub partition: String,
    /// The region, for example `us-west-2`.
    pub region: String,
    /// The account's 12 digits.
    pub account: String,
}

impl Default for Identity {
    /// An account for trying things out, in `us-west-2`.
    fn default() -> Self {
        Self { partition: "aws".into(), region: "us-west-2".into(), account: "111122223333".into() }
    }
}

impl Identity {
    /// The full ARN of `resource`.
    pub fn arn(&self, resource: &ResourceId) -> String {
        let Self { partition, region, account } = self.clone();
        Arn { partition, region, account, resource: resource.clone() }.to_string()
    }
}
