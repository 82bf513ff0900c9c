//! The fleet of a node: observe (reads) → decide (pure) → apply (writes).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_api::tags::OWNER_UID_TAG;
use fleetmesh_aws::cloud_map::CloudMap;
use fleetmesh_aws::ec2::Ec2;
use fleetmesh_aws::ssm::Ssm;
use fleetmesh_core::fleet::{
    self, FleetDecision, FleetPlace, FleetProxies, Grant, Input, Instance, ObservedFleet, admit,
    architecture, decide, template,
};
use fleetmesh_core::owner::owner_tags;
use fleetmesh_core::{Distribution, Failure, Object, Part};
use fleetmesh_crds::{FleetStatus, IamStatus};
use fleetmesh_model::tag::Tags;
use jiff::Timestamp;

use super::Reconcile;
use super::fleet_apply::apply;
use super::fleet_reads::{facts, image, registered, subnets, types};
use super::fleet_room::{self, Room};
use crate::cache::FleetMemory;
use crate::queue::Trigger;

/// How often a fleet in motion is looked at, unless the drift interval is shorter: EC2 notifies nobody.
const IN_MOTION: Duration = Duration::from_secs(5);

/// The services of AWS that a fleet needs.
pub(super) struct Services {
    pub(super) ec2: Ec2,
    pub(super) ssm: Ssm,
    pub(super) cloud_map: CloudMap,
}

/// Brings EC2 in step with the resource. `iam` is what came of its identity in the same reconcile.
pub async fn run(reconcile: &Reconcile<'_>, iam: Option<&Part<IamStatus>>) -> Option<Part<FleetStatus>> {
    let Reconcile { context, object, .. } = reconcile;
    if object.fleet().is_none() && object.status.fleet().is_none() {
        return None;
    }
    let mut memory = context.cache.fleet_memory(object);
    let profile = profile(reconcile, iam).await;
    let region = context.aws.region("DescribeInstances").await;
    let (profile_arn, region, unread) = match (profile, region) {
        (Ok(profile_arn), Ok(region)) => (profile_arn, region, None),
        (Err(failure), _) | (_, Err(failure)) => (None, String::new(), Some(failure)),
    };
    let place =
        FleetPlace { region, control_plane: context.proxy_control_plane.clone(), join: context.join.clone() };
    let services = Services {
        ec2: Ec2::new(context.aws.clone()),
        ssm: Ssm::new(context.aws.clone()),
        cloud_map: CloudMap::new(context.aws.clone()),
    };
    let fleet = object.fleet().filter(|_| !reconcile.deleting);
    let admission = fleet.map(|fleet| match &reconcile.shut {
        Some(shut) => Err(shut.clone()),
        None => admit(object, fleet, reconcile.class.class()),
    });
    let exhausted = context.cache.exhausted();
    let input = Input {
        object,
        admission: admission.as_ref(),
        grant: None,
        cluster: &context.settings.cluster,
        profile_arn: profile_arn.as_deref(),
        place: &place,
        deleting: reconcile.deleting,
        in_motion: IN_MOTION.min(context.settings.drift_interval),
        exhausted: &exhausted,
        settling: false,
        now: Timestamp::now(),
    };
    let remembered = memory.observed.clone().filter(|_| reconcile.trigger == Trigger::Distribution);
    let observed = match (unread, remembered) {
        (Some(failure), _) => Err(failure),
        (None, Some(observed)) => Ok(observed),
        (None, None) => observe(reconcile, &services, &input, &mut memory).await,
    };
    let part = match observed {
        Ok(observed) => bring_in_step(reconcile, &services, observed, input, &mut memory).await,
        Err(failure) => {
            memory.observed = None;
            fleet::unseen(failure, &input)
        }
    };
    if part.status.is_some() || part.failure.is_some() {
        context.cache.fleet_concluded(object, memory);
    } else {
        context.cache.fleet_concluded(object, FleetMemory::default());
        context.cache.launches(object, |ledger| ledger.forget(&object.uid));
    }
    Some(part)
}

/// The instance profile that the fleet goes by: to hand it out, or, when the fleet ends, to take it from the instances that
/// were enrolled. What `status.iam` names is not believed but looked up.
async fn profile(
    reconcile: &Reconcile<'_>,
    iam: Option<&Part<IamStatus>>,
) -> Result<Option<String>, Failure> {
    let object = reconcile.object;
    let reported = iam.map_or(object.status.iam(), |part| part.status.as_ref());
    let ends = reconcile.deleting || object.fleet().is_none();
    if ends && !enrolled_before(object) {
        return Ok(None);
    }
    // To take instances off a profile it need not be one that may be handed out.
    match ends {
        true => {
            Ok(super::iam::seen(reconcile, reported).await?.seen.and_then(|seen| seen.instance_profile_arn))
        }
        false => super::iam::handed(reconcile, reported).await,
    }
}

/// Decides about what was observed, and carries it out.
async fn bring_in_step(
    reconcile: &Reconcile<'_>,
    services: &Services,
    mut observed: ObservedFleet,
    mut input: Input<'_>,
    memory: &mut FleetMemory,
) -> Part<FleetStatus> {
    let Reconcile { context, object, .. } = reconcile;
    observed.proxies = proxies(reconcile);
    memory.miss(&mut observed, context.since, input.now);
    memory.mark(&mut observed.instances);
    input.settling = memory.settling(&observed.instances, input.now);
    let (decision, room, unread) = planned(reconcile, services, &mut observed, input, memory).await;
    let mut outcome = apply(object, services, &decision, memory, input.now).await;
    fleet_room::settle(reconcile, room.as_ref(), &outcome);
    let purchase = object.fleet().and_then(|fleet| fleet.capacity.as_ref()).map(|capacity| capacity.purchase);
    context.cache.note_capacity(&outcome.launched, purchase.unwrap_or_default(), input.now);
    memory.launched(&outcome.launched, input.now);
    outcome.short = memory.short();
    outcome.unread = observed.unread.clone().or(unread);
    outcome.died = memory.died.clone();
    let part = fleet::report(&observed, &decision, &outcome, &input);
    if let Some(deaths) = &decision.deaths {
        memory.died = Some(deaths.last.clone());
    }
    if decision.missing == 0 {
        memory.complete();
    }
    // Reported now.
    observed.taken.clear();
    // Other launches see other addresses.
    observed.subnets = None;
    // What was done makes the observation old; the next reconcile asks anew.
    memory.observed = Some(observed).filter(|_| outcome.done.is_empty() && outcome.failure().is_none());
    part
}

/// Decides, with what only launches need: the subnets, and room in the class. Where one of these
/// cannot be read, the failure, and the decision without launches.
async fn planned(
    reconcile: &Reconcile<'_>,
    services: &Services,
    observed: &mut ObservedFleet,
    input: Input<'_>,
    memory: &mut FleetMemory,
) -> (FleetDecision, Option<Room>, Option<Failure>) {
    let mut decision = decide(observed, &input);
    if let (true, Some(Ok(admitted))) = (decision.asks_zones, input.admission) {
        match subnets(services, memory, admitted, input.now).await {
            Ok(subnets) => observed.subnets = Some(subnets),
            Err(failure) => return (decision, None, Some(failure)),
        }
        decision = decide(observed, &input);
    }
    let room = match fleet_room::reserve(reconcile, services, &decision, &input).await {
        Ok(room) => room,
        Err(failure) => {
            let nothing = Grant { count: 0, reached: None };
            decision = decide(observed, &Input { grant: Some(&nothing), ..input });
            return (decision, None, Some(failure));
        }
    };
    if let Some(room) = room.as_ref().filter(|room| room.grant.reached.is_some()) {
        decision = decide(observed, &Input { grant: Some(&room.grant), ..input });
    }
    (decision, room, None)
}

/// The proxies of the node as the endpoint reports them.
fn proxies(reconcile: &Reconcile<'_>) -> FleetProxies {
    match &reconcile.observed.distribution {
        Distribution::Unsupported => FleetProxies::Unsupported,
        // Until the first answer nobody is connected as far as anybody knows; and nobody is missed so soon.
        Distribution::Pending => FleetProxies::Reported(BTreeMap::new()),
        Distribution::Reported(ObjectStatus { connected, .. }) => FleetProxies::Reported(connected.clone()),
    }
}

async fn observe(
    reconcile: &Reconcile<'_>,
    services: &Services,
    input: &Input<'_>,
    memory: &mut FleetMemory,
) -> Result<ObservedFleet, Failure> {
    let profile_arn = input.profile_arn;
    let Reconcile { context, object, deleting, .. } = reconcile;
    let spec = object.fleet().filter(|_| !deleting);
    let mine = Tags::from([(OWNER_UID_TAG.to_owned(), object.uid.clone())]);
    let enroll = spec.and_then(|fleet| fleet.enroll.as_ref());
    let found = match enroll {
        Some(enroll) => services.ec2.instances(&enroll.tags).await?,
        None => Vec::new(),
    };
    let instances = services.ec2.instances(&mine).await?;
    let mut associations = match profile_arn {
        Some(_) if enroll.is_some() || enrolled_before(object) => services.ec2.associations().await?,
        _ => Vec::new(),
    };
    let ours = associations.iter().filter(|one| Some(one.profile_arn.as_str()) == profile_arn);
    let joined = ours.map(|one| one.instance.clone()).collect();
    let (enrolled, unasked) = match enroll {
        Some(enroll) => {
            let admitted = input.admission.is_some_and(Result::is_ok);
            fleet::enroll::meant(found, &enroll.tags, input.cluster, &joined, admitted)
        }
        None => Default::default(),
    };
    associations.retain(|one| {
        Some(one.profile_arn.as_str()) == profile_arn
            || enrolled.iter().any(|instance| instance.id == one.instance)
    });
    let lost = lost(object, &instances, memory);
    let mut observed = ObservedFleet { enrolled, unasked, associations, ..ObservedFleet::default() };
    let owner = owner_tags(object, input.cluster);
    observed.add_found(instances, &owner);
    if !lost.is_empty() {
        let known = memory.instances().cloned().collect();
        observed.add_lost(services.ec2.named(&lost).await?, &known, &owner);
    }
    // Before what may fail for this fleet alone: the others of its class count on it.
    context.cache.launches(object, |ledger| ledger.shown(&object.uid, &observed.instances, input.now));
    let known = object.status.fleet().and_then(|status| status.template_version);
    observed.template = services.ec2.template(&template::name(&object.id), known).await?;
    if let Some(Ok(admitted)) = input.admission {
        match types(reconcile, services, admitted).await {
            Ok(types) => observed.types = types,
            Err(failure) => observed.unread = Some(architecture::unknown(failure)),
        }
        // What is refused for its types needs no AMI, and without them nobody knows which.
        if observed.unread.is_none()
            && let Ok(architecture) = architecture::of_types(admitted, &observed.types)
        {
            observed.image = image(reconcile, services, memory, admitted, architecture).await?;
        }
        if let Some(image) = &observed.image {
            let facts = facts(services, memory, image).await?;
            (observed.image_owners, observed.image_architecture) = (facts.owners, facts.architecture);
        }
    }
    let admitted = input.admission.is_some_and(Result::is_ok);
    observed.registered = registered(object, services, admitted).await?;
    Ok(observed)
}

/// The ids of the instances that were launched for the fleet and are not among those that its tag finds.
fn lost(object: &Object, found: &[Instance], memory: &FleetMemory) -> Vec<String> {
    let before = object.status.fleet().into_iter().filter(|status| status.launch_template_id.is_some());
    let reported = before.flat_map(|status| &status.instances).map(|instance| &instance.id);
    let known: BTreeSet<&String> = reported.chain(memory.instances()).collect();
    let lost = known.into_iter().filter(|id| found.iter().all(|instance| instance.id != **id));
    lost.cloned().collect()
}

/// Whether the last report has instances that were enrolled.
fn enrolled_before(object: &Object) -> bool {
    let before = object.status.fleet();
    before.is_some_and(|status| status.launch_template_id.is_none())
}
