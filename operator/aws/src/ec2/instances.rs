//! Instances: which exist, their state, and their termination.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Instance as Described, InstanceStatus, SummaryStatus};
use fleetmesh_api::tags::DRAINING_TAG;
use fleetmesh_core::fleet::deaths::StateReason;
use fleetmesh_core::fleet::{Checks, Instance, InstanceState};
use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_model::tag::Tags;
use jiff::Timestamp;

use super::{Ec2, read_tags, tags};
use crate::connection::call;

/// How many instances one request may name.
const AT_ONCE: usize = 100;

/// Whose an instance is and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceStanding {
    /// The account that it belongs to.
    pub account: String,
    /// Its state in EC2's words; empty when it has none.
    pub state: String,
    /// The ARN of its instance profile.
    pub instance_profile: Option<String>,
}

impl Ec2 {
    /// The instances that have all of `with`, of any state; the status checks of those that run are asked for, too.
    ///
    /// # Errors
    /// Every failure.
    pub async fn instances(&self, with: &Tags) -> Result<Vec<Instance>, Failure> {
        let mut instances = self.tagged(with).await?;
        let running = instances.iter().filter(|instance| instance.state == InstanceState::Running);
        let checks = self.checks(&running.map(|instance| instance.id.clone()).collect::<Vec<_>>()).await?;
        for instance in &mut instances {
            instance.checks = checks.get(&instance.id).copied().unwrap_or_default();
        }
        instances.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(instances)
    }

    /// The instances that have all of `with`, of any state; nobody asks for their status checks.
    ///
    /// # Errors
    /// Every failure.
    pub async fn tagged(&self, with: &Tags) -> Result<Vec<Instance>, Failure> {
        self.described(filters(with)).await
    }

    /// Those of the instances `ids` that exist, of any state; nobody asks for their status checks.
    ///
    /// # Errors
    /// Every failure.
    pub async fn named(&self, ids: &[String]) -> Result<Vec<Instance>, Failure> {
        let mut instances = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let filter = Filter::builder().name("instance-id").set_values(Some(ids.to_vec())).build();
            instances.extend(self.described(vec![filter]).await?);
        }
        Ok(instances)
    }

    /// The instance `id`, of any state; `None` when the account has none of that id.
    ///
    /// # Errors
    /// Every failure.
    pub async fn standing(&self, id: &str) -> Result<Option<InstanceStanding>, Failure> {
        let client = self.client().await;
        // By a filter, because an id that nobody has fails the request.
        let filter = Filter::builder().name("instance-id").values(id).build();
        let request = client.describe_instances().filters(filter);
        let answer = call!(self.0, read, "DescribeInstances", request)?;
        let found = answer.reservations().iter().find_map(|reservation| {
            let instance = reservation.instances().iter().find(|one| one.instance_id() == Some(id))?;
            let state = instance.state().and_then(|state| state.name());
            let profile = instance.iam_instance_profile().and_then(|profile| profile.arn());
            Some(InstanceStanding {
                account: reservation.owner_id().unwrap_or_default().to_owned(),
                state: state.map(|state| state.as_str().to_owned()).unwrap_or_default(),
                instance_profile: profile.map(ToOwned::to_owned),
            })
        });
        Ok(found)
    }

    async fn described(&self, filters: Vec<Filter>) -> Result<Vec<Instance>, Failure> {
        let client = self.client().await;
        let mut instances = Vec::new();
        let mut page = None;
        loop {
            let request = client.describe_instances().set_filters(Some(filters.clone())).set_next_token(page);
            let answer = call!(self.0, read, "DescribeInstances", request)?;
            let described = answer.reservations().iter().flat_map(|reservation| reservation.instances());
            instances.extend(described.filter_map(read));
            page = answer.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if page.is_none() {
                return Ok(instances);
            }
        }
    }

    /// What the checks say of `ids`. One that EC2 shows and does not know here yet fails the request for all: the rest is
    /// asked for without it.
    async fn checks(&self, ids: &[String]) -> Result<BTreeMap<String, Checks>, Failure> {
        let client = self.client().await;
        let mut checks = BTreeMap::new();
        let mut open: Vec<&[String]> = ids.chunks(AT_ONCE).collect();
        while let Some(ids) = open.pop() {
            let request = client.describe_instance_status().set_instance_ids(Some(ids.to_vec()));
            match call!(self.0, read, "DescribeInstanceStatus", request) {
                Ok(answer) => checks.extend(answer.instance_statuses().iter().map(verdict)),
                Err(failure) if failure.class == FailureClass::Unsettled => {
                    let (one, other) = ids.split_at(ids.len() / 2);
                    open.extend([one, other].into_iter().filter(|half| !half.is_empty() && ids.len() > 1));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(checks)
    }

    /// Sets tags of instances or launch templates.
    ///
    /// # Errors
    /// `Unsettled` when one does not exist.
    pub async fn tag(&self, ids: &[String], with: &Tags) -> Result<(), Failure> {
        let client = self.client().await;
        let request = client.create_tags().set_resources(Some(ids.to_vec())).set_tags(Some(tags(with)));
        call!(self.0, write, "CreateTags", request).map(|_| ())
    }

    /// Terminates instances. Where EC2 rejects the request for what one of them is, as for one that is protected from termination,
    /// the others are terminated all the same.
    ///
    /// # Errors
    /// `Unsettled` when one does not exist; none is terminated then. `Invalid` of the first that cannot be terminated.
    pub async fn terminate(&self, ids: &[String]) -> Result<(), Failure> {
        match self.terminate_all(ids).await {
            Err(failure) if failure.class == FailureClass::Invalid && ids.len() > 1 => {}
            outcome => return outcome,
        }
        let mut outcome = Ok(());
        for id in ids {
            outcome = outcome.and(self.terminate_all(std::slice::from_ref(id)).await);
        }
        outcome
    }

    async fn terminate_all(&self, ids: &[String]) -> Result<(), Failure> {
        let client = self.client().await;
        let request = client.terminate_instances().set_instance_ids(Some(ids.to_vec()));
        call!(self.0, write, "TerminateInstances", request).map(|_| ())
    }
}

fn filters(with: &Tags) -> Vec<Filter> {
    let filter =
        |(key, value): (&String, &String)| Filter::builder().name(format!("tag:{key}")).values(value).build();
    with.iter().map(filter).collect()
}

fn verdict(status: &InstanceStatus) -> (String, Checks) {
    let both = [status.instance_status(), status.system_status()];
    let found: Vec<&SummaryStatus> =
        both.into_iter().flatten().filter_map(|summary| summary.status()).collect();
    let verdict = if found.contains(&&SummaryStatus::Impaired) {
        Checks::Failed
    } else if found.len() == 2 && found.iter().all(|status| **status == SummaryStatus::Ok) {
        Checks::Passed
    } else {
        Checks::Open
    };
    (status.instance_id().unwrap_or_default().to_owned(), verdict)
}

fn read(instance: &Described) -> Option<Instance> {
    let tags = read_tags(instance.tags());
    let state = instance.state().and_then(|state| state.name());
    let launched = instance.launch_time().and_then(|time| Timestamp::from_second(time.secs()).ok());
    let launched = launched.unwrap_or(Timestamp::UNIX_EPOCH);
    let ipv6 = instance.network_interfaces().iter().flat_map(|interface| interface.ipv6_addresses()).next();
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        az: instance.placement().and_then(|placement| placement.availability_zone()).map(ToOwned::to_owned),
        type_: instance.instance_type().map(|name| name.as_str().to_owned()),
        state: InstanceState::of(state?.as_str())?,
        ended: instance.state_reason().map(|reason| StateReason {
            code: reason.code().unwrap_or_default().to_owned(),
            message: reason.message().unwrap_or_default().to_owned(),
        }),
        checks: Checks::Open,
        launched,
        missed_since: launched,
        ipv4: instance.private_ip_address().map(ToOwned::to_owned),
        ipv6: ipv6.and_then(|address| address.ipv6_address()).map(ToOwned::to_owned),
        draining_since: tags.get(DRAINING_TAG).and_then(|since| since.parse().ok()),
        marks: Instance::marks_of(&tags),
        tags,
    })
}
