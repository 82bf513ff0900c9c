//! The decision about a fleet. Total: what cannot be made is a finding, not an error. Pure.

use std::time::Duration;

use fleetmesh_crds::fleet::{Capacity, Fleet, Network};
use fleetmesh_crds::{FleetStatus, Reason};
use fleetmesh_model::tag::Tags;
use jiff::Timestamp;

use super::cloud_map;
use super::enroll;
use super::observed::{Instance, Observed, State};
use super::plan::Step;
use super::scale::{Demand, Member, Move, scale, stage};
use super::tagging;
use super::template::{self, Content};
use super::user_data::{self, Place};
use super::version;
use super::{DRAINING_TAG, LAUNCH_TAG, TEMPLATE_HASH_TAG, TEMPLATE_VERSION_TAG};
use crate::event::Event;
use crate::object::Object;
use crate::owner;
use crate::token::digest;

/// How long an instance that was taken out of Cloud Map goes on serving: callers learn of it within seconds, and what is
/// under way has time to end.
const DRAIN: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

/// What a decision depends on besides what was observed.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The resource.
    pub object: &'a Object,
    /// The identity of the cluster, for the tags of ownership.
    pub cluster: &'a str,
    /// The node's instance profile, when it is made.
    pub profile_arn: Option<&'a str>,
    /// Where instances run, and what their proxies connect to.
    pub place: &'a Place,
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
pub struct Decision {
    /// The steps, each one request, in order.
    pub steps: Vec<Step>,
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
    /// What is told and not mended.
    pub told: Vec<Event>,
}

/// Decides. Same inputs, same steps.
pub fn decide(observed: &Observed, input: &Input<'_>) -> Decision {
    let fleet = input.object.fleet.as_ref().filter(|_| !input.deleting);
    let enrolls = fleet.is_some_and(|fleet| fleet.enroll.is_some());
    let enrolling = input.profile_arn.map(|arn| enroll::steps(observed, arn, enrolls)).unwrap_or_default();
    let mut decision = match fleet {
        Some(fleet) if !enrolls => replicate(observed, input, fleet),
        Some(_) | None => leave(observed, input, !enrolling.is_empty()),
    };
    decision.steps.splice(0..0, enrolling);
    decision.told = tagging::taken(observed);
    if enrolls && input.profile_arn.is_none() {
        decision.waits = Some("the instance profile".to_owned());
    }
    decision
}

fn replicate(observed: &Observed, input: &Input<'_>, fleet: &Fleet) -> Decision {
    let waits = |what: &str| Decision { waits: Some(what.to_owned()), ..Decision::default() };
    let refused = |reason, message| Decision { refused: Some((reason, message)), ..Decision::default() };
    if let Some(taken) = version::foreign(observed, input.object) {
        return refused(Reason::NotOwned, taken);
    }
    let network = fleet.network.clone().unwrap_or_default();
    match (input.profile_arn, &observed.image, &fleet.capacity) {
        (None, ..) => waits("the instance profile"),
        (_, None, _) => waits("the AMI's id"),
        (Some(profile_arn), Some(image), Some(capacity)) => {
            launch(observed, input, &Wanted { fleet, capacity, network: &network, profile_arn, image })
        }
        // The API server refuses it.
        (Some(_), Some(_), None) => {
            refused(Reason::InvalidSpec, "fleet.capacity must be set when replicas is".to_owned())
        }
    }
}

/// The fleet as the spec wants it.
struct Wanted<'a> {
    fleet: &'a Fleet,
    capacity: &'a Capacity,
    network: &'a Network,
    profile_arn: &'a str,
    image: &'a str,
}

/// Everything that was launched goes: the instances first, then the template they came from. `busy` says that something
/// else is still to be done.
fn leave(observed: &Observed, input: &Input<'_>, busy: bool) -> Decision {
    // A policy may allow us no more than what has our tags.
    let steps = tagging::steps(observed, input, None);
    let mut decision = Decision { steps, ..Decision::default() };
    decision.steps.extend(cloud_map::leave(observed));
    let live: Vec<String> = observed
        .instances
        .iter()
        .filter(|instance| instance.state.is_live())
        .map(|instance| instance.id.clone())
        .collect();
    if !live.is_empty() {
        decision.steps.push(Step::Terminate { instances: live });
    }
    let ending = observed.instances.iter().filter(|instance| instance.state != State::Terminated).count();
    if ending > 0 {
        decision.waits = Some(format!("{ending} instances to be terminated"));
    } else if let Some(template) = &observed.template
        && version::is_ours(template, input.object)
        && !busy
    {
        decision.steps.extend(version::tagging(observed, input));
        decision.steps.push(Step::DeleteTemplate { template: template.id.clone() });
    }
    decision
}

fn launch(observed: &Observed, input: &Input<'_>, wanted: &Wanted<'_>) -> Decision {
    let Wanted { fleet, capacity: _, network, profile_arn, image } = wanted;
    let replicas = fleet.replicas.unwrap_or_default();
    let content = Content {
        image: (*image).to_owned(),
        profile_arn: (*profile_arn).to_owned(),
        security_groups: network.security_group_ids.clone(),
        recipe: user_data::recipe(input.object, fleet, input.place),
        tags: tags(input),
    };
    let mut decision = version::choose(observed, input, content);
    let (Some(version), Some(template)) = (decision.version, &observed.template) else {
        // The next round, which sees the new version, counts.
        decision.waits = Some("a new version of the launch template".to_owned());
        return decision;
    };
    let rollout = fleet.rollout.unwrap_or_default();
    let demand = Demand { replicas, max_surge: rollout.max_surge, max_unavailable: rollout.max_unavailable };
    let members = members(observed, decision.hash.as_ref(), input.now);
    decision.steps.extend(cloud_map::register(observed, &members, input.object));
    let Move { launch, end } = scale(&members, demand);
    decision.steps.extend(ends(observed, &end, input.now));
    if launch > 0 && input.settling {
        decision.waits = Some("EC2 to show what was launched before".to_owned());
    } else if launch > 0 {
        let source = Source { template: &template.id, version, hash: decision.hash.clone() };
        decision.steps.push(launch_step(observed, input, wanted, source, launch));
    }
    // Last: what is refused here holds nothing up.
    decision.steps.extend(version::tagging(observed, input));
    decision.steps.extend(tagging::steps(observed, input, decision.hash.as_ref()));
    decision
}

/// The instances that count: live, and not on their way out. `hash` is of what they are to be launched from.
pub(super) fn members<'a>(observed: &'a Observed, hash: Option<&String>, now: Timestamp) -> Vec<Member<'a>> {
    let count = |instance: &&Instance| instance.state.is_live() && instance.draining_since.is_none();
    let member = |instance| Member {
        instance,
        serves: stage(instance, &observed.proxies, None, now),
        stage: stage(instance, &observed.proxies, is_registered(observed, instance), now),
        updated: instance.holds(hash),
    };
    observed.instances.iter().filter(count).map(member).collect()
}

/// Whether callers find an instance in Cloud Map; `None` when they do not look there.
pub(super) fn is_registered(observed: &Observed, instance: &Instance) -> Option<bool> {
    observed.registered.as_ref().map(|registered| registered.instances.contains(&instance.id))
}

/// Ends the instances `end`, and goes on with those that are being drained. Where callers find an instance in Cloud Map
/// it is taken out first, and terminated when they had time to notice.
fn ends(observed: &Observed, end: &[String], now: Timestamp) -> Vec<Step> {
    let (mut terminate, mut drain) = (Vec::new(), Vec::new());
    for instance in observed.instances.iter().filter(|instance| instance.state.is_live()) {
        let registered = is_registered(observed, instance) == Some(true);
        match instance.draining_since {
            Some(since) if !registered && now.duration_since(since) >= DRAIN => {
                terminate.push(instance.id.clone());
            }
            None if end.contains(&instance.id) && !registered => terminate.push(instance.id.clone()),
            None if end.contains(&instance.id) => drain.push(instance.id.clone()),
            Some(_) | None => {}
        }
    }
    // Marked first and taken out then: an instance that was only taken out would be registered again.
    let mut steps = cloud_map::deregister(observed, &drain);
    if !drain.is_empty() {
        steps.insert(0, Step::Drain { instances: drain, since: now });
    }
    if !terminate.is_empty() {
        steps.push(Step::Terminate { instances: terminate });
    }
    steps
}

/// What is launched from.
struct Source<'a> {
    template: &'a str,
    version: i64,
    hash: Option<String>,
}

fn launch_step(
    observed: &Observed,
    input: &Input<'_>,
    wanted: &Wanted<'_>,
    source: Source<'_>,
    count: i32,
) -> Step {
    let Source { template, version, hash } = source;
    let launch = launches(observed, input.object).saturating_add(1);
    let mut tags = tags(input);
    tags.insert(TEMPLATE_VERSION_TAG.to_owned(), version.to_string());
    tags.extend(hash.map(|hash| (TEMPLATE_HASH_TAG.to_owned(), hash)));
    tags.insert(LAUNCH_TAG.to_owned(), launch.to_string());
    tags.entry("Name".to_owned()).or_insert_with(|| template::name(&input.object.id));
    Step::Launch {
        template: template.to_owned(),
        version,
        count,
        instance_types: wanted.capacity.instance_types.clone(),
        purchase: wanted.capacity.purchase,
        subnets: wanted.network.subnet_ids.clone(),
        tags,
        launch,
        token: digest(&[&input.object.uid, "launch", &launch.to_string()]),
    }
}

/// The tags of everything that is made in EC2: those that the user wants, and those that mark whose it is.
pub(super) fn tags(input: &Input<'_>) -> Tags {
    let mut tags = input.object.management.tags.clone();
    tags.extend(owner::owner_tags(input.object, input.cluster));
    tags
}

/// How many launches there were: what was reported, or what instances tell whose launch was not reported any more.
pub(super) fn launches(observed: &Observed, object: &Object) -> i64 {
    let reported = object.status.fleet.as_ref().map_or(0, |FleetStatus { launches, .. }| *launches);
    observed.instances.iter().filter_map(Instance::launch).max().unwrap_or(0).max(reported)
}

/// The tag that marks instances as drained since `since`.
pub fn draining_tag(since: Timestamp) -> Tags {
    Tags::from([(DRAINING_TAG.to_owned(), since.to_string())])
}
