//! Instance profiles of instances.

use aws_sdk_ec2::types::{Filter, IamInstanceProfileSpecification};
use fleetmesh_core::Failure;
use fleetmesh_core::fleet::Association;

use super::{Ec2, is_absent};
use crate::connection::call;

impl Ec2 {
    /// The associations that are in force or on their way, of all instances.
    ///
    /// # Errors
    /// Every failure.
    pub async fn associations(&self) -> Result<Vec<Association>, Failure> {
        let client = self.client().await;
        let states = Filter::builder().name("state").values("associating").values("associated").build();
        let mut associations = Vec::new();
        let mut page = None;
        loop {
            let request = client
                .describe_iam_instance_profile_associations()
                .filters(states.clone())
                .set_next_token(page);
            let answer = call!(self.0, read, "DescribeIamInstanceProfileAssociations", request)?;
            for found in answer.iam_instance_profile_associations() {
                let profile_arn = found.iam_instance_profile().and_then(|profile| profile.arn());
                let (Some(id), Some(instance), Some(profile_arn)) =
                    (found.association_id(), found.instance_id(), profile_arn)
                else {
                    continue;
                };
                associations.push(Association {
                    id: id.to_owned(),
                    instance: instance.to_owned(),
                    profile_arn: profile_arn.to_owned(),
                });
            }
            page = answer.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if page.is_none() {
                return Ok(associations);
            }
        }
    }

    /// Gives an instance a profile.
    ///
    /// # Errors
    /// `Unsettled` while EC2 does not know the profile yet, `Conflict` when the instance has got one meanwhile.
    pub async fn associate(&self, instance: &str, profile_arn: &str) -> Result<(), Failure> {
        let client = self.client().await;
        let profile = IamInstanceProfileSpecification::builder().arn(profile_arn).build();
        let request =
            client.associate_iam_instance_profile().instance_id(instance).iam_instance_profile(profile);
        call!(self.0, write, "AssociateIamInstanceProfile", request).map(|_| ())
    }

    /// Ends an association; one that does not exist is ended already.
    ///
    /// # Errors
    /// Every failure but that it does not exist.
    pub async fn disassociate(&self, association: &str) -> Result<(), Failure> {
        let client = self.client().await;
        let request = client.disassociate_iam_instance_profile().association_id(association);
        match call!(self.0, write, "DisassociateIamInstanceProfile", request) {
            Err(failure) if !is_absent(&failure) => Err(failure),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
