//! A member of the scenario: an instance that joins by the role that the operator made for its virtual node or gateway.

use anyhow::{Context as _, Result};

use super::LIMIT;
use crate::envoy;
use crate::join::{JoinAddress, Joiner};
use crate::metadata::MetadataService;
use crate::moto::Moto;
use crate::netns::NetnsInstance;
use crate::run_dir::RunDir;
use crate::stack::Stack;
use crate::wait;

/// What lets instances become members. Fields are dropped in this order.
#[derive(Debug)]
pub(super) struct Admission {
    /// Where they join.
    pub(super) address: JoinAddress,
    /// What gives them their roles' credentials.
    pub(super) metadata: MetadataService,
    /// AWS's APIs.
    pub(super) moto: Moto,
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
        self.metadata.give(&self.moto, role, id, instance).await?;
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

/// Awaits the ARN of the role that the operator makes for an object of ours that has `iam` (`virtualnode`, `service-b`).
///
/// # Errors
/// There is none in time.
pub(super) async fn role_of(stack: &Stack, kind: &str, name: &str) -> Result<String> {
    let what = format!("{kind} {name} has a role");
    let found = wait::until(&what, LIMIT, async || {
        let object = stack.kubectl.json(&["get", kind, name, "--namespace", super::MESH]).await?;
        let role = &object["status"]["iam"]["roleArn"];
        Ok(Some(
            role.as_str().map(str::to_owned).with_context(|| format!("its status: {}", object["status"]))?,
        ))
    });
    found.await
}
