//! AMIs and their owners.

use fleetmesh_core::Failure;

use super::Ec2;
use crate::connection::call;

impl Ec2 {
    /// Whose the AMI `id` is: the account's id, and the alias that EC2 has for it, if any. Empty when the account cannot see it.
    ///
    /// # Errors
    /// Every failure but that it does not exist.
    pub async fn image_owners(&self, id: &str) -> Result<Vec<String>, Failure> {
        let client = self.client().await;
        let request = client.describe_images().image_ids(id);
        let answer = match call!(self.0, read, "DescribeImages", request) {
            Ok(answer) => answer,
            Err(failure) if super::is_absent(&failure) => return Ok(Vec::new()),
            Err(failure) => return Err(failure),
        };
        let images = answer.images().iter().filter(|image| image.image_id() == Some(id));
        let owners = images.flat_map(|image| [image.owner_id(), image.image_owner_alias()]);
        Ok(owners.flatten().map(ToOwned::to_owned).collect())
    }
}
