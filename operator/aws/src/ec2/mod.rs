//! EC2: launch templates, instances and their profiles. One method for each operation, with core's types.

mod images;
mod instances;
mod launch;
mod profiles;
mod subnets;

use std::sync::Arc;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_model::tag::Tags;

use crate::connection::AwsConnection;

pub use instances::InstanceStanding;
pub use launch::{Launch, Launched};

/// EC2 of the connection's region.
#[derive(Clone, Debug)]
pub struct Ec2(Arc<AwsConnection>);

impl Ec2 {
    /// EC2 through `connection`.
    pub fn new(connection: Arc<AwsConnection>) -> Self {
        Self(connection)
    }

    async fn client(&self) -> Client {
        Client::new(&self.0.shared().await.config)
    }
}

/// Whether a call failed because what it names does not exist. EC2 also answers
/// so for what it showed a moment ago, while not all of it knows of it: those calls pass the failure on.
fn is_absent(failure: &Failure) -> bool {
    matches!(failure.class, FailureClass::NotFound | FailureClass::Unsettled)
}

fn tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn specification(of: ResourceType, with: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(of).set_tags(Some(tags(with))).build()
}

fn read_tags(tags: &[Tag]) -> Tags {
    let pair = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}
