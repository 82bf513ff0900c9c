//! What exists of a fleet. Pure data.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_api::tags::{
    DRAINING_TAG, LAUNCH_TAG, OWNER_CLUSTER_TAG, OWNER_NAME_TAG, OWNER_NAMESPACE_TAG, OWNER_UID_TAG,
    TAG_PREFIX, TEMPLATE_HASH_TAG, TEMPLATE_VERSION_TAG,
};
use fleetmesh_model::tag::Tags;
use jiff::Timestamp;

use crate::failure::Failure;
use crate::owner::{is_of, share};

use super::architecture::KnownTypes;
use super::deaths::StateReason;
use super::template::FORM;
use super::zones::Subnet;

/// Everything that a decision about a fleet depends on, besides the resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedFleet {
    /// The launch template of the fleet's name, if there is one.
    pub template: Option<Template>,
    /// The id of the AMI that the fleet names; `None` when nothing is to be launched.
    pub image: Option<String>,
    /// Whose it is: the account, and the alias that EC2 has for it, if any; not looked for when nobody asks.
    pub image_owners: Vec<String>,
    /// Its architecture in EC2's words; `None` when EC2 does not say, or nobody looked.
    pub image_architecture: Option<String>,
    /// The architectures that the fleet's instance types run.
    pub types: KnownTypes,
    /// Why nobody knows the types' architectures, which the AMI depends on: nothing is launched.
    pub unread: Option<Failure>,
    /// The subnets that instances may be launched in; `None` when nobody looked, which is needed for a launch only.
    pub subnets: Option<Vec<Subnet>>,
    /// The instances that were launched for the fleet, also those that are terminated.
    pub instances: Vec<Instance>,
    /// Instances that were launched for the fleet and are tagged as another's since.
    pub taken: Vec<Instance>,
    /// The instances that have the tags of `enroll`, and opted in or have the node's profile.
    pub enrolled: Vec<Instance>,
    /// How many instances have the tags of `enroll` and did not opt in.
    pub unasked: usize,
    /// Instance profile associations: those of the node's profile, and those of the enrolled instances.
    pub associations: Vec<Association>,
    /// What is registered in Cloud Map for the fleet; `None` when the node is not discovered there.
    pub registered: Option<Registered>,
    /// What the endpoint reports of the node's proxies.
    pub proxies: FleetProxies,
}

/// What Cloud Map has of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The id of the node's service.
    pub service: String,
    /// The ids of the instances that were registered there for the fleet.
    pub instances: Vec<String>,
}

/// Whether `tags` are of an instance of the owner that the tags `owner` name: those of resource and cluster, or, when somebody
/// took the uid away, of the cluster and of a resource of this name. Others' instances have other names or none of these tags.
fn is_shown(tags: &Tags, owner: &Tags) -> bool {
    let named = [OWNER_CLUSTER_TAG, OWNER_NAMESPACE_TAG, OWNER_NAME_TAG];
    is_of(tags, owner) || (!tags.contains_key(OWNER_UID_TAG) && share(tags, owner, &named))
}

impl ObservedFleet {
    /// Whether callers find an instance in Cloud Map; `None` when they do not look there.
    pub(super) fn is_registered(&self, instance: &Instance) -> Option<bool> {
        self.registered.as_ref().map(|registered| registered.instances.contains(&instance.id))
    }

    /// Adds instances that the uid found among the tags `owner`, as of [`owner_tags`](crate::owner::owner_tags). EC2 may match a tag as it was and show
    /// it as it is: one that shows another's tag is not its own.
    pub fn add_found(&mut self, found: Vec<Instance>, owner: &Tags) {
        let others = |instance: &Instance| {
            let another =
                |key: &str| instance.tags.get(key).is_some_and(|shown| owner.get(key) != Some(shown));
            another(OWNER_UID_TAG) || another(OWNER_CLUSTER_TAG)
        };
        let (taken, ours): (Vec<_>, Vec<_>) = found.into_iter().partition(others);
        self.taken.extend(taken.into_iter().filter(|instance| instance.state.is_live()));
        self.instances.extend(ours);
    }

    /// Adds instances that the tag of the owner does not find, or not any more, as they are found by their ids. Those that
    /// were `known` before, as the owner's by their tags or as launched, are its own as long as they are not tagged as
    /// another's. The others are named by a status alone, which others may have written: they are its own only when they have
    /// the tags of both the resource and the cluster, and are passed over otherwise.
    pub fn add_lost(&mut self, found: Vec<Instance>, known: &BTreeSet<String>, owner: &Tags) {
        let live = found.into_iter().filter(|instance| instance.state.is_live());
        let own = live.filter(|instance| known.contains(&instance.id) || is_shown(&instance.tags, owner));
        self.add_found(own.collect(), owner);
    }
}

/// A launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: String,
    /// Its newest version and the one that the last report names, if that is still there. The newest comes first.
    pub versions: Vec<Version>,
    /// The number of the version that is used by those who name none.
    pub default_version: i64,
    /// Its tags.
    pub tags: Tags,
}

/// A version of a launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: i64,
    /// Its description; ours is that of [`TemplateContent::description`](super::Content::description).
    pub description: Option<String>,
}

impl Version {
    /// The hash of what the version holds, in whatever form it was written.
    pub fn hash(&self) -> Option<String> {
        let description = self.description.as_deref()?;
        Some(description.strip_suffix(FORM).unwrap_or(description).to_owned())
    }
}

impl Template {
    /// The newest version.
    pub fn newest(&self) -> Option<&Version> {
        self.versions.first()
    }

    /// The newest version that holds what has this hash, in the form that may be launched.
    pub fn holding(&self, hash: &str) -> Option<&Version> {
        let description = format!("{hash}{FORM}");
        self.versions.iter().find(|version| version.description.as_ref() == Some(&description))
    }
}

/// EC2's states of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceState {
    /// It is being started.
    Pending,
    /// It runs.
    Running,
    /// It is being stopped.
    Stopping,
    /// It is stopped.
    Stopped,
    /// It is being terminated.
    ShuttingDown,
    /// It is terminated; EC2 shows it for about an hour.
    Terminated,
}

impl InstanceState {
    /// EC2's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }

    /// The state of EC2's word.
    pub fn of(word: &str) -> Option<Self> {
        let all = [
            Self::Pending,
            Self::Running,
            Self::Stopping,
            Self::Stopped,
            Self::ShuttingDown,
            Self::Terminated,
        ];
        all.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether the instance is there and not on its way out.
    pub fn is_live(self) -> bool {
        !matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// What EC2's status checks say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// They pass.
    Passed,
    /// They have not ended yet, or were not asked for.
    #[default]
    Open,
    /// One fails.
    Failed,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its availability zone.
    pub az: Option<String>,
    /// Its type.
    pub type_: Option<String>,
    /// Its state.
    pub state: InstanceState,
    /// Why EC2 ended it; `None` while it has not.
    pub ended: Option<StateReason>,
    /// What EC2's checks say of it.
    pub checks: Checks,
    /// When it was launched.
    pub launched: Timestamp,
    /// Since when its proxy is missed: its launch, the operator's start, or when the proxy was last connected, whichever
    /// is the latest. While the proxy is connected it says nothing.
    pub missed_since: Timestamp,
    /// Its private IPv4 address.
    pub ipv4: Option<String>,
    /// Its IPv6 address.
    pub ipv6: Option<String>,
    /// Since when it is being drained, as its tag says.
    pub draining_since: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
    /// Those of its tags that are Fleetmesh's and that last, as they were seen first: from its launch on they do not change
    /// by our own doing.
    pub marks: Tags,
}

impl Instance {
    /// Which of `tags` mark an instance for good.
    pub fn marks_of(tags: &Tags) -> Tags {
        let lasts = |key: &str| key.starts_with(TAG_PREFIX) && key != DRAINING_TAG;
        tags.iter().filter(|(key, _)| lasts(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The version of the launch template that it came from.
    pub fn template_version(&self) -> Option<i64> {
        self.number(TEMPLATE_VERSION_TAG)
    }

    /// The launch that it came from.
    pub fn launch(&self) -> Option<i64> {
        self.number(LAUNCH_TAG)
    }

    /// Whether it was launched from what has this hash.
    pub fn holds(&self, hash: Option<&String>) -> bool {
        hash.is_some() && self.marks.get(TEMPLATE_HASH_TAG) == hash
    }

    fn number(&self, tag: &str) -> Option<i64> {
        self.marks.get(tag)?.parse().ok()
    }

    /// One that runs and passed EC2's checks, for tests, which change what they are about.
    #[cfg(test)]
    pub(crate) fn running(id: &str, launched: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            az: None,
            type_: None,
            state: InstanceState::Running,
            ended: None,
            checks: Checks::Passed,
            launched,
            missed_since: Timestamp::UNIX_EPOCH,
            ipv4: None,
            ipv6: None,
            draining_since: None,
            tags: Tags::new(),
            marks: Tags::new(),
        }
    }
}

/// An instance profile that an instance has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// The association's id.
    pub id: String,
    /// The instance.
    pub instance: String,
    /// The profile's ARN.
    pub profile_arn: String,
}

/// What the endpoint reports of the proxies that stream a node's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FleetProxies {
    /// The endpoint does not report them.
    #[default]
    Unsupported,
    /// Each connected proxy that could be identified, by instance id or IP address: whether it has acknowledged.
    Reported(BTreeMap<String, bool>),
}

impl FleetProxies {
    /// Whether the proxy of `instance` is connected (`Some`) and has acknowledged; `None` when it is not connected, or
    /// nothing is reported.
    pub fn of(&self, instance: &Instance) -> Option<bool> {
        let Self::Reported(reported) = self else { return None };
        let names = [Some(&instance.id), instance.ipv4.as_ref(), instance.ipv6.as_ref()];
        names.into_iter().flatten().find_map(|name| reported.get(name)).copied()
    }
}

#[cfg(test)]
mod tests;
