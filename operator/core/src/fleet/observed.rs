//! What there is of a fleet. Pure data.

use std::collections::BTreeMap;

use fleetmesh_model::tag::Tags;
use jiff::Timestamp;

/// Everything that a decision about a fleet depends on, besides the resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The launch template of the fleet's name, if there is one.
    pub template: Option<Template>,
    /// The id of the AMI that the fleet names; `None` when nothing is to be launched.
    pub image: Option<String>,
    /// The instances that were launched for the fleet, also those that are terminated.
    pub instances: Vec<Instance>,
    /// The instances that have the tags of `enroll`.
    pub enrolled: Vec<Instance>,
    /// Instance profile associations: those of the node's profile, and those of the enrolled instances.
    pub associations: Vec<Association>,
    /// What is registered in Cloud Map for the fleet; `None` when the node is not discovered there.
    pub registered: Option<Registered>,
    /// What the endpoint tells of the node's proxies.
    pub proxies: Proxies,
}

/// What Cloud Map has of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The id of the node's service.
    pub service: String,
    /// The ids of the instances that were registered there for the fleet.
    pub instances: Vec<String>,
}

/// A launch template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: String,
    /// The number of its newest version.
    pub version: i64,
    /// The description of the newest version; ours is the hash of what it holds.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// EC2's states of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
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

impl State {
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
    pub state: State,
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
    /// The version of the launch template that it came from, as its tag says.
    pub template_version: Option<i64>,
    /// The launch that it came from, as its tag says.
    pub launch: Option<i64>,
    /// Since when it is being drained, as its tag says.
    pub draining_since: Option<Timestamp>,
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

/// What the endpoint tells of the proxies that stream a node's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxies {
    /// The endpoint does not tell.
    #[default]
    Untold,
    /// Each connected proxy that could be told apart, by instance id or IP address: whether it has acknowledged.
    Told(BTreeMap<String, bool>),
}

impl Proxies {
    /// Whether the proxy of `instance` is connected (`Some`) and has acknowledged; `None` when it is not connected, or
    /// nothing is told.
    pub fn of(&self, instance: &Instance) -> Option<bool> {
        let Self::Told(told) = self else { return None };
        let names = [Some(&instance.id), instance.ipv4.as_ref(), instance.ipv6.as_ref()];
        names.into_iter().flatten().find_map(|name| told.get(name)).copied()
    }
}
