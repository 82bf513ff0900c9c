//! The inputs and the result of a decision about a fleet. Pure data.

use std::time::Duration;

use fleetmesh_crds::Reason;
use fleetmesh_model::tag::Tags;
use jiff::Timestamp;

use super::capacity::Exhausted;
use super::class::{Admitted, ClassRefusal};
use super::deaths::Deaths;
use super::limits::Grant;
use super::plan::FleetStep;
use super::user_data::FleetPlace;
use crate::event::Event;
use crate::object::Object;
use crate::owner::owner_tags;

/// What a decision depends on besides what was observed.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The resource.
    pub object: &'a Object,
    /// The fleet as its class makes it, or why it is not let; `None` when there is no fleet to be.
    pub admission: Option<&'a Result<Admitted, ClassRefusal>>,
    /// What the limits of the class leave of the launch that an earlier decision of this reconcile wanted.
    pub grant: Option<&'a Grant>,
    /// The identity of the cluster, for the tags of ownership.
    pub cluster: &'a str,
    /// The node's instance profile, when it is made.
    pub profile_arn: Option<&'a str>,
    /// Where instances run, and what their proxies connect to.
    pub place: &'a FleetPlace,
    /// What EC2 was out of a moment ago.
    pub exhausted: &'a Exhausted,
    /// Whether everything is to go.
    pub deleting: bool,
    /// How often a fleet in motion is looked at.
    pub in_motion: Duration,
    /// Whether launches wait: EC2 does not show yet what an earlier one made.
    pub settling: bool,
    /// The time.
    pub now: Timestamp,
}

/// What is to be done about a fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetDecision {
    /// The steps, each one request, in order.
    pub steps: Vec<FleetStep>,
    /// What keeps the fleet from being as wanted and will not pass by itself: why, and a message for a person.
    pub refused: Option<(Reason, String)>,
    /// What the fleet waits for.
    pub waits: Option<String>,
    /// The version of the launch template that instances are to come from, when it exists.
    pub version: Option<i64>,
    /// The hash of what it holds.
    pub hash: Option<String>,
    /// A newer version of the launch template, which does not hold what the spec says.
    pub unused: Option<i64>,
    /// What is reported and not mended.
    pub notices: Vec<Event>,
    /// Whether instances are to be launched as soon as somebody looked which subnets there are.
    pub asks_zones: bool,
    /// How many instances are missing, whether or not they may be launched now.
    pub missing: i32,
    /// Launches in a row whose instances ended by themselves, when instances are to be launched.
    pub deaths: Option<Deaths>,
    /// Why no zone has capacity, in words, when instances are to be launched and none has.
    pub starved: Option<String>,
}

impl Input<'_> {
    /// The tags of everything that is made in EC2: those that the user wants, and those that mark whose it is.
    pub(super) fn tags(&self) -> Tags {
        let mut tags = self.object.management.tags.clone();
        tags.extend(owner_tags(self.object, self.cluster));
        tags
    }
}

impl FleetDecision {
    /// The launches among the steps: the number of each, and how many instances.
    pub fn launches(&self) -> Vec<(i64, i32)> {
        let launch = |step: &FleetStep| match step {
            FleetStep::Launch { launch, count, .. } => Some((*launch, *count)),
            _ => None,
        };
        self.steps.iter().filter_map(launch).collect()
    }
}
