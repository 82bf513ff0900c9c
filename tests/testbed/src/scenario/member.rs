//! A member of the scenario: an instance that joins by the role of its virtual node or gateway.

use anyhow::Result;

use super::identities::Identities;
use crate::envoy;
use crate::join::{JoinAddress, Joiner};
use crate::metadata::MetadataService;
use crate::netns::NetnsInstance;
use crate::run_dir::RunDir;

/// What lets instances become members. Fields are dropped in this order.
#[derive(Debug)]
pub(super) struct Admission {
    /// Where they join.
    pub(super) address: JoinAddress,
    /// What gives them their roles' credentials.
    pub(super) metadata: MetadataService,
    /// Who knows the roles.
    pub(super) identities: Identities,
}

/// What runs on a member beside its proxy.
#[derive(Debug)]
pub(super) struct Membership {
    joiner: Joiner,
    id: String,
}

impl Admission {
    /// Gives `instance`, which EC2 calls `id`, the role with this ARN, and lets it join as `resource`.
    ///
    /// # Errors
    /// There is no such role, or a part cannot be started.
    pub(super) async fn admit(
        &self,
        instance: &NetnsInstance,
        resource: &str,
        (id, role): (&str, &str),
        run: &RunDir,
    ) -> Result<Membership> {
        self.identities.give(&self.metadata, (id, role), instance).await?;
        let joiner = Joiner::start(resource, &self.address, instance, run)?;
        Ok(Membership { joiner, id: id.to_owned() })
    }
}

impl Membership {
    /// The bootstrap of the member's Envoy.
    ///
    /// # Errors
    /// It cannot be rendered.
    pub(super) async fn bootstrap(&self, resource: &str) -> Result<String> {
        envoy::joined_bootstrap(resource, &self.joiner, Some(&self.id)).await
    }
}
