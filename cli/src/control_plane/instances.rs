//! Lets the control plane ask EC2 about instances, with the client of the operator's crate for AWS: the control plane has none of its
//! own, because `aws-sdk-ec2` is as large as the rest of it.

use std::sync::Arc;

use fleetmesh_aws::ec2::{Ec2, InstanceStanding};
use fleetmesh_aws::iam::IamClient;
use fleetmesh_aws::write_hook::WriteHooks;
use fleetmesh_aws::{AwsConnection, Unmetered};
use fleetmesh_control_plane::join::{Described, Instances};
use futures::future::BoxFuture;

/// EC2 and IAM of an account.
#[derive(Debug)]
struct Aws(Arc<AwsConnection>);

/// Who asks EC2 of `region`, with the credentials that the environment gives. Nothing is connected yet.
pub fn of(region: String) -> Arc<dyn Instances> {
    Arc::new(Aws(AwsConnection::new(Some(region), Arc::new(Unmetered), WriteHooks::default())))
}

impl Instances for Aws {
    fn describe(&self, id: String) -> BoxFuture<'_, Result<Option<Described>, String>> {
        Box::pin(async move {
            let found = Ec2::new(Arc::clone(&self.0)).standing(&id).await;
            let Some(InstanceStanding { account, state, instance_profile }) =
                found.map_err(|failure| failure.to_string())?
            else {
                return Ok(None);
            };
            let roles = match instance_profile {
                Some(arn) => self.roles(&arn).await?,
                None => Vec::new(),
            };
            Ok(Some(Described { account, state, roles }))
        })
    }
}

impl Aws {
    /// The names of the roles in the instance profile with this ARN.
    async fn roles(&self, arn: &str) -> Result<Vec<String>, String> {
        let name = arn.rsplit('/').next().unwrap_or_default();
        let profile = IamClient::new(Arc::clone(&self.0)).await.get_instance_profile(name).await;
        let profile = profile.map_err(|failure| failure.to_string())?;
        Ok(profile.filter(|profile| profile.arn == arn).map(|profile| profile.roles).unwrap_or_default())
    }
}
