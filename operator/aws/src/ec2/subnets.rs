//! Subnets: their zones, and how many addresses they have left.

use aws_sdk_ec2::types::{Filter, Subnet as Described};
use fleetmesh_core::Failure;
use fleetmesh_core::fleet::Subnet;

use super::Ec2;
use crate::connection::call;

impl Ec2 {
    /// The subnets `ids`, or the default one of each zone when `ids` is empty, that exist and may be used.
    ///
    /// # Errors
    /// Every failure.
    pub async fn subnets(&self, ids: &[String]) -> Result<Vec<Subnet>, Failure> {
        let client = self.client().await;
        let usable = Filter::builder().name("state").values("available").build();
        // By filter: a request that names one subnet which is gone fails for all of them.
        let asked = match ids.is_empty() {
            true => Filter::builder().name("default-for-az").values("true"),
            false => Filter::builder().name("subnet-id").set_values(Some(ids.to_vec())),
        };
        let filters = vec![usable, asked.build()];
        let (mut subnets, mut page) = (Vec::new(), None);
        loop {
            let request = client.describe_subnets().set_filters(Some(filters.clone())).set_next_token(page);
            let answer = call!(self.0, read, "DescribeSubnets", request)?;
            subnets.extend(answer.subnets().iter().filter_map(read));
            page = answer.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if page.is_none() {
                return Ok(subnets);
            }
        }
    }
}

fn read(subnet: &Described) -> Option<Subnet> {
    Some(Subnet {
        id: subnet.subnet_id()?.to_owned(),
        zone: subnet.availability_zone()?.to_owned(),
        free: subnet.available_ip_address_count().unwrap_or_default(),
    })
}
