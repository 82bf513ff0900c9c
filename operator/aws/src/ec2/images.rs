//! AMIs: whose they are, and for which architecture; and the architectures of instance types.

use aws_sdk_ec2::types::{Filter, InstanceTypeInfo};
use fleetmesh_core::Failure;
use fleetmesh_core::fleet::architecture::{ImageFacts, KnownTypes};

use super::Ec2;
use crate::connection::call;

/// How many types one request names.
const AT_ONCE: usize = 100;

impl Ec2 {
    /// What EC2 says of the AMI `id`.
    ///
    /// # Errors
    /// Every failure but that it does not exist.
    pub async fn image(&self, id: &str) -> Result<ImageFacts, Failure> {
        let client = self.client().await;
        let request = client.describe_images().image_ids(id);
        let answer = match call!(self.0, read, "DescribeImages", request) {
            Ok(answer) => answer,
            Err(failure) if super::is_absent(&failure) => return Ok(ImageFacts::default()),
            Err(failure) => return Err(failure),
        };
        let images = || answer.images().iter().filter(|image| image.image_id() == Some(id));
        let owners = images().flat_map(|image| [image.owner_id(), image.image_owner_alias()]);
        Ok(ImageFacts {
            owners: owners.flatten().map(ToOwned::to_owned).collect(),
            architecture: images().find_map(|image| Some(image.architecture()?.as_str().to_owned())),
        })
    }

    /// The architectures that instance types run; a type that the region does not have is left out.
    ///
    /// # Errors
    /// Every failure.
    pub async fn instance_types(&self, types: &[String]) -> Result<KnownTypes, Failure> {
        let client = self.client().await;
        let mut known = KnownTypes::new();
        for types in types.chunks(AT_ONCE) {
            // By filter: a request that names one type which the region lacks fails for all of them.
            let named = Filter::builder().name("instance-type").set_values(Some(types.to_vec())).build();
            let mut page = None;
            loop {
                let request = client.describe_instance_types().filters(named.clone()).set_next_token(page);
                let answer = call!(self.0, read, "DescribeInstanceTypes", request)?;
                known.extend(answer.instance_types().iter().filter_map(runs));
                page = answer.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
                if page.is_none() {
                    break;
                }
            }
        }
        Ok(known)
    }
}

fn runs(described: &InstanceTypeInfo) -> Option<(String, Vec<String>)> {
    let runs = described.processor_info()?.supported_architectures().iter();
    let runs = runs.map(|one| one.as_str().to_owned()).collect();
    Some((described.instance_type()?.as_str().to_owned(), runs))
}
