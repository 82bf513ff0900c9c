//! The decision about a fleet. Total: what cannot be made is a finding, not an error. Pure.

use std::collections::BTreeSet;

use fleetmesh_api::tags::{CLASS_TAG, DRAINING_TAG, LAUNCH_TAG, TEMPLATE_HASH_TAG, TEMPLATE_VERSION_TAG};
use fleetmesh_crds::fleet::Fleet;
use fleetmesh_crds::{FleetStatus, Reason};
use fleetmesh_model::tag::Tags;
use jiff::Timestamp;

use super::architecture;
use super::class::{Admitted, ClassRefusal};
use super::cloud_map;
use super::deaths::deaths;
use super::decision::{FleetDecision, Input};
use super::enroll;
use super::limits::Reached;
use super::observed::{Instance, InstanceState, ObservedFleet};
use super::plan::FleetStep;
use super::scale::{Demand, FleetMember, Move, scale, stage, surplus};
use super::tagging;
use super::template::{self, TemplateContent};
use super::user_data;
use super::version;
use super::zones::{Pools, Share, nothing_left, spread, zones};
use crate::object::Object;
use crate::owner;
use crate::token::digest;

/// How long an instance that was taken out of Cloud Map goes on serving: callers learn of it within seconds, and what is
/// under way has time to end.
const DRAIN: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

/// Decides. Same inputs, same steps.
pub fn decide(observed: &ObservedFleet, input: &Input<'_>) -> FleetDecision {
    let fleet = input.object.fleet().filter(|_| !input.deleting);
    let mut decision = match (fleet, input.admission) {
        (None, _) => enroll(observed, input, false),
        (Some(fleet), Some(Err(refusal))) => held(observed, input, fleet, refusal.clone()),
        (Some(_), Some(Ok(admitted))) if admitted.fleet.enroll.is_some() => enroll(observed, input, true),
        (Some(fleet), Some(Ok(_))) if observed.unread.is_some() => unlaunched(observed, input, fleet),
        (Some(fleet), Some(Ok(admitted))) => match image_refused(observed, admitted) {
            Some(refusal) => held(observed, input, fleet, refusal),
            None => replicate(observed, input, admitted),
        },
        // Nobody looked for the class.
        (Some(_), None) => {
            FleetDecision { waits: Some("the FleetClass".to_owned()), ..FleetDecision::default() }
        }
    };
    decision.notices = tagging::taken(observed);
    decision
}

/// Instances are given the profile if they are `meant`, and others lose it; whatever was launched goes.
fn enroll(observed: &ObservedFleet, input: &Input<'_>, meant: bool) -> FleetDecision {
    let enrolling = input.profile_arn.map(|arn| enroll::steps(observed, arn, meant)).unwrap_or_default();
    let mut decision = leave(observed, input, !enrolling.is_empty());
    decision.steps.splice(0..0, enrolling);
    if meant && input.profile_arn.is_none() {
        decision.waits = Some("the instance profile".to_owned());
    }
    decision
}

/// Why the AMI is not one for this fleet.
fn image_refused(observed: &ObservedFleet, admitted: &Admitted) -> Option<ClassRefusal> {
    let architecture = match architecture::of_types(admitted, &observed.types) {
        Ok(architecture) => architecture,
        Err(refusal) => return Some(refusal),
    };
    let image = observed.image.as_ref()?;
    let of_image = observed.image_architecture.as_deref();
    owner_refused(observed, admitted)
        .or_else(|| architecture::mismatch(admitted, architecture, image, of_image))
}

/// Whose the AMI is, when the class does not want it to be theirs.
fn owner_refused(observed: &ObservedFleet, admitted: &Admitted) -> Option<ClassRefusal> {
    let (owners, image) = (&admitted.image_owners, observed.image.as_ref()?);
    let wanted = owners.is_empty() || observed.image_owners.iter().any(|owner| owners.contains(owner));
    let message = || {
        let whose = observed.image_owners.first().map_or("nobody's that EC2 names", String::as_str);
        format!(
            "the AMI {image} of fleet.image is {whose}, which FleetClass {} does not allow (images.owners: {}). Name one that is theirs, or ask whoever owns the class for it",
            admitted.class,
            owners.join(", ")
        )
    };
    (!wanted).then(|| ClassRefusal { reason: Reason::ValueNotInClass, message: message() })
}

/// A fleet that its class does not let be, or that has none: instances stay as they are. What was begun with some goes on, and
/// whoever scales the fleet down is heard; nothing is launched, replaced, registered or enrolled.
fn held(observed: &ObservedFleet, input: &Input<'_>, fleet: &Fleet, refusal: ClassRefusal) -> FleetDecision {
    let mut decision =
        FleetDecision { refused: Some((refusal.reason, refusal.message)), ..FleetDecision::default() };
    if fleet.enroll.is_some() {
        return decision;
    }
    let members = members(observed, None, input.now);
    decision.steps.extend(cloud_map::deregister(observed, &[]));
    decision.steps.extend(ends(observed, &surplus(&members, fleet.replicas.unwrap_or_default()), input.now));
    decision.steps.extend(tagging::steps(observed, input, None));
    decision
}

/// A fleet of which nobody knows what it is to be launched from: all goes on but launches and replacements.
fn unlaunched(observed: &ObservedFleet, input: &Input<'_>, fleet: &Fleet) -> FleetDecision {
    let members = members(observed, None, input.now);
    let mut steps = cloud_map::register(observed, &members, input.object);
    steps.extend(ends(observed, &surplus(&members, fleet.replicas.unwrap_or_default()), input.now));
    steps.extend(tagging::steps(observed, input, None));
    FleetDecision { steps, ..FleetDecision::default() }
}

fn replicate(observed: &ObservedFleet, input: &Input<'_>, admitted: &Admitted) -> FleetDecision {
    let waits = |what: &str| FleetDecision { waits: Some(what.to_owned()), ..FleetDecision::default() };
    let refused =
        |reason, message| FleetDecision { refused: Some((reason, message)), ..FleetDecision::default() };
    if let Some(taken) = version::foreign(observed, input.object) {
        return refused(Reason::NotOwned, taken);
    }
    match (input.profile_arn, &observed.image) {
        (None, _) => waits("the instance profile"),
        (_, None) => waits("the AMI's id"),
        (Some(profile_arn), Some(image)) => {
            launch(observed, input, &WantedFleet { admitted, fleet: &admitted.fleet, profile_arn, image })
        }
    }
}

/// The fleet as the spec wants it.
struct WantedFleet<'a> {
    admitted: &'a Admitted,
    fleet: &'a Fleet,
    profile_arn: &'a str,
    image: &'a str,
}

/// Everything that was launched goes: the instances first, then the template they came from. `busy` says that something
/// else is still to be done.
fn leave(observed: &ObservedFleet, input: &Input<'_>, busy: bool) -> FleetDecision {
    // A policy may allow us no more than what has our tags.
    let steps = tagging::steps(observed, input, None);
    let mut decision = FleetDecision { steps, ..FleetDecision::default() };
    decision.steps.extend(cloud_map::leave(observed));
    let live: Vec<String> = observed
        .instances
        .iter()
        .filter(|instance| instance.state.is_live())
        .map(|instance| instance.id.clone())
        .collect();
    if !live.is_empty() {
        decision.steps.push(FleetStep::Terminate { instances: live });
    }
    let ending =
        observed.instances.iter().filter(|instance| instance.state != InstanceState::Terminated).count();
    if ending > 0 {
        decision.waits = Some(format!("{ending} instances to be terminated"));
    } else if let Some(template) = &observed.template
        && version::is_ours(template, input.object)
        && !busy
    {
        // The tags of the spec are judged by a class, and here may be none.
        let own = owner::owner_tags(input.object, input.cluster);
        decision.steps.extend(version::tagging(observed, input, &own));
        decision.steps.push(FleetStep::DeleteTemplate { template: template.id.clone() });
    }
    decision
}

fn launch(observed: &ObservedFleet, input: &Input<'_>, wanted: &WantedFleet<'_>) -> FleetDecision {
    let WantedFleet { admitted, fleet, profile_arn, image } = wanted;
    let replicas = fleet.replicas.unwrap_or_default();
    let network = fleet.network.clone().unwrap_or_default();
    let content = TemplateContent {
        image: (*image).to_owned(),
        profile_arn: (*profile_arn).to_owned(),
        security_groups: network.security_group_ids,
        recipe: user_data::recipe(input.object, fleet, input.place),
        tags: input.tags(),
        volume: admitted.volume.clone(),
    };
    let mut decision = version::choose(observed, input, content);
    let (Some(version), Some(template)) = (decision.version, &observed.template) else {
        // The next reconcile, which sees the new version, counts.
        decision.waits = Some("a new version of the launch template".to_owned());
        return decision;
    };
    let rollout = fleet.rollout.unwrap_or_default();
    let demand = Demand { replicas, max_surge: rollout.max_surge, max_unavailable: rollout.max_unavailable };
    let members = members(observed, decision.hash.as_ref(), input.now);
    decision.steps.extend(cloud_map::register(observed, &members, input.object));
    let Move { launch, end } = scale(&members, demand);
    decision.missing = launch;
    decision.steps.extend(ends(observed, &end, input.now));
    let granted = input.grant.map_or(launch, |grant| grant.count.min(launch));
    decision.deaths = deaths(observed, &members, decision.hash.as_ref(), input.now).filter(|_| launch > 0);
    let resting = decision.deaths.as_ref().is_some_and(|deaths| input.now < deaths.until);
    if resting {
        decision.waits = Some("a pause after instances that ended".to_owned());
    } else if launch > 0 && input.settling {
        decision.waits = Some("EC2 to show what was launched before".to_owned());
    } else if granted > 0 {
        let source = AmiSource { template: &template.id, version, hash: decision.hash.clone() };
        place(observed, input, wanted, &source, &members, granted, &mut decision);
    }
    if let Some(reached) = input.grant.and_then(|grant| grant.reached.as_ref()).filter(|_| granted < launch) {
        decision.refused = Some((Reason::ClassLimitReached, limited(reached, admitted, launch - granted)));
    }
    // Last: what is refused here holds nothing up.
    decision.steps.extend(version::tagging(observed, input, &input.tags()));
    decision.steps.extend(tagging::steps(observed, input, decision.hash.as_ref()));
    decision
}

fn limited(reached: &Reached, admitted: &Admitted, missing: i32) -> String {
    let Reached { field, limit, held } = reached;
    format!(
        "FleetClass {} allows {limit} instances ({field}), and its fleets have {held}: {missing} more are to be launched and are not. Scale other fleets down, let a rollout do without more instances (fleet.rollout.maxSurge: 0), or ask for a higher limit; the operator keeps trying",
        admitted.class
    )
}

/// The instances that count: live, and not on their way out. `hash` is of what they are to be launched from.
pub(super) fn members<'a>(
    observed: &'a ObservedFleet,
    hash: Option<&String>,
    now: Timestamp,
) -> Vec<FleetMember<'a>> {
    let count = |instance: &&Instance| instance.state.is_live() && instance.draining_since.is_none();
    let member = |instance| FleetMember {
        instance,
        serves: stage(instance, &observed.proxies, None, now),
        stage: stage(instance, &observed.proxies, observed.is_registered(instance), now),
        updated: instance.holds(hash),
    };
    observed.instances.iter().filter(count).map(member).collect()
}

/// Ends the instances `end`, and goes on with those that are being drained. Where callers find an instance in Cloud Map
/// it is taken out first, and terminated when they had time to notice.
fn ends(observed: &ObservedFleet, end: &[String], now: Timestamp) -> Vec<FleetStep> {
    let (mut terminate, mut drain) = (Vec::new(), Vec::new());
    for instance in observed.instances.iter().filter(|instance| instance.state.is_live()) {
        let registered = observed.is_registered(instance) == Some(true);
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
        steps.insert(0, FleetStep::Drain { instances: drain, since: now });
    }
    if !terminate.is_empty() {
        steps.push(FleetStep::Terminate { instances: terminate });
    }
    steps
}

/// What is launched from.
struct AmiSource<'a> {
    template: &'a str,
    version: i64,
    hash: Option<String>,
}

/// Adds to `decision` the launches of `count` instances, one for each zone that gets some.
fn place(
    observed: &ObservedFleet,
    input: &Input<'_>,
    wanted: &WantedFleet<'_>,
    source: &AmiSource<'_>,
    members: &[FleetMember<'_>],
    count: i32,
    decision: &mut FleetDecision,
) {
    let Some(subnets) = &observed.subnets else {
        decision.asks_zones = true;
        decision.waits = Some("the subnets' zones".to_owned());
        return;
    };
    let capacity = wanted.fleet.capacity.clone().unwrap_or_default();
    // EC2 rejects a launch for a type that the region does not have.
    let mut types = capacity.instance_types;
    types.retain(|type_| observed.types.contains_key(type_));
    let pools =
        Pools { types: &types, purchase: capacity.purchase, exhausted: input.exhausted, now: input.now };
    let zones = zones(subnets, members, pools);
    let shares = spread(zones.clone(), count);
    if shares.is_empty() {
        let words = nothing_left(&zones, pools);
        decision.waits = Some(words.clone());
        decision.starved = Some(words);
    }
    let numbers = unused_numbers(observed, input.object);
    decision
        .steps
        .extend(numbers.zip(shares).map(|(launch, share)| launch_step(input, wanted, source, share, launch)));
}

fn launch_step(
    input: &Input<'_>,
    wanted: &WantedFleet<'_>,
    source: &AmiSource<'_>,
    share: Share,
    launch: i64,
) -> FleetStep {
    let AmiSource { template, version, hash } = source;
    let Share { zone, count } = share;
    let mut tags = input.tags();
    tags.insert(TEMPLATE_VERSION_TAG.to_owned(), version.to_string());
    tags.extend(hash.clone().map(|hash| (TEMPLATE_HASH_TAG.to_owned(), hash)));
    tags.insert(LAUNCH_TAG.to_owned(), launch.to_string());
    tags.insert(CLASS_TAG.to_owned(), wanted.admitted.class.clone());
    let capacity = wanted.fleet.capacity.clone().unwrap_or_default();
    tags.entry("Name".to_owned()).or_insert_with(|| template::name(&input.object.id));
    FleetStep::Launch {
        template: (*template).to_owned(),
        version: *version,
        count,
        instance_types: zone.types,
        purchase: capacity.purchase,
        zone: zone.name,
        subnet: zone.subnet,
        tags,
        launch,
        token: digest(&[&input.object.uid, "launch", &launch.to_string()]),
    }
}

/// How many launches there were: what was reported, or what the tags of instances say whose launch was never reported.
pub(super) fn launches(observed: &ObservedFleet, object: &Object) -> i64 {
    let reported = object.status.fleet().map_or(0, |FleetStatus { launches, .. }| *launches);
    observed.instances.iter().filter_map(Instance::launch).max().unwrap_or(0).max(reported)
}

/// The numbers of the next launches. One below a number that EC2 shows may have been asked for, too, and its instances not be
/// shown yet: it is asked for again, which launches nothing twice.
fn unused_numbers(observed: &ObservedFleet, object: &Object) -> impl Iterator<Item = i64> {
    let reported = object.status.fleet().map_or(0, |FleetStatus { launches, .. }| *launches);
    let shown: BTreeSet<i64> = observed.instances.iter().filter_map(Instance::launch).collect();
    (reported.saturating_add(1)..).filter(move |launch| !shown.contains(launch))
}

/// The tag that marks instances as drained since `since`.
pub fn draining_tag(since: Timestamp) -> Tags {
    Tags::from([(DRAINING_TAG.to_owned(), since.to_string())])
}
