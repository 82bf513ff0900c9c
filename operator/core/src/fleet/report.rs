//! The report on a fleet after a reconcile: condition, status, Events, and when to look again. Pure.

use fleetmesh_api::tags::ENROLL_TAG;
use fleetmesh_crds::fleet::MAX_LISTED_INSTANCES;
use fleetmesh_crds::{FleetStatus, InstanceStatus, Reason};
use fleetmesh_model::service_discovery::{DnsResponseType, ServiceDiscovery};

use super::decide::{launches, members};
use super::decision::{FleetDecision, Input};
use super::enroll::{EnrollStanding, standing};
use super::events::events;
use super::launch::ZoneLaunch;
use super::observed::{FleetProxies, Instance, InstanceState, ObservedFleet};
use super::plan::FleetStep;
use super::scale::{FleetMember, Stage};
use super::version::is_ours;
use crate::condition::Finding;
use crate::failure::{Callee, Failure, FailureClass};
use crate::part::Part;

/// How many instances a message names.
const NAMED: usize = 5;

/// What came of a fleet's plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetOutcome {
    /// The steps that were done, in order.
    pub done: Vec<FleetStep>,
    /// The steps that failed, in order. Steps that need none of them were done all the same.
    pub failed: Vec<FailedStep>,
    /// What came of each launch.
    pub launched: Vec<ZoneLaunch>,
    /// Why EC2 launched fewer instances than it was asked for, in its own words, until it does.
    pub short: Option<String>,
    /// What could not be read that only launches need: all other steps were done all the same.
    pub unread: Option<Failure>,
    /// The instance whose end after its launch was the last to be reported as an Event.
    pub died: Option<String>,
    /// The launch whose client token is spent, whatever came of it.
    pub spent: Option<i64>,
    /// The launch template as a step left it: its id and newest version.
    pub template: Option<(String, i64)>,
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedStep {
    /// The step.
    pub step: FleetStep,
    /// Why.
    pub failure: Failure,
}

impl FleetOutcome {
    /// All failures as one: of the class of the first, with what each says.
    pub fn failure(&self) -> Option<Failure> {
        let mut failures = self.failed.iter().map(|failed| &failed.failure).chain(&self.unread);
        let mut failure = failures.next()?.clone();
        for more in failures {
            let words = more.to_string();
            if !failure.message.contains(&more.message) {
                failure.message = format!("{}; {words}", failure.message);
            }
        }
        Some(failure)
    }
}

/// What came of the fleet in this reconcile; its status is `None` when nothing is left of it.
pub fn report(
    observed: &ObservedFleet,
    decision: &FleetDecision,
    outcome: &FleetOutcome,
    input: &Input<'_>,
) -> Part<FleetStatus> {
    let wanted = input.object.fleet().filter(|_| !input.deleting);
    let failure = outcome.failure();
    let tally = FleetTally::of(observed, decision, input);
    let left = wanted.is_some() || failure.is_some() || is_left(observed, outcome, input);
    let notes =
        format!("{}{}{}", unasked(observed, input), unoffered(observed, input), one_address(&tally, input));
    let mut finding = finding(&tally, decision, outcome, wanted.is_some(), &notes);
    let died = died(decision);
    if !finding.message.contains(&died) {
        finding.message.push_str(&died);
    }
    let moves = !decision.steps.is_empty() || decision.waits.is_some() || tally.moves;
    Part {
        // After a failure the next look is a matter of its class.
        look: (left
            && moves
            && (decision.refused.is_none() || !decision.steps.is_empty())
            && failure.is_none())
        .then_some(input.in_motion),
        status: left.then(|| status(observed, decision, outcome, input, &tally)),
        events: events(decision, outcome, input, &finding),
        finding,
        failure,
    }
}

/// What is said of a fleet in a reconcile in which a read failed: nothing is known anew.
pub fn unseen(failure: Failure, input: &Input<'_>) -> Part<FleetStatus> {
    let wanted = input.object.fleet().filter(|_| !input.deleting);
    let desired = wanted.and_then(|fleet| fleet.replicas).unwrap_or_default();
    let before = input.object.status.fleet().cloned();
    let status = before.or_else(|| wanted.map(|_| FleetStatus { desired, ..FleetStatus::default() }));
    Part { finding: failed(&failure), status, events: Vec::new(), look: None, failure: Some(failure) }
}

/// Whether anything is left of a fleet that is to go.
fn is_left(observed: &ObservedFleet, outcome: &FleetOutcome, input: &Input<'_>) -> bool {
    let done = |wanted: &dyn Fn(&FleetStep) -> bool| outcome.done.iter().any(wanted);
    let instances = observed.instances.iter().any(|instance| instance.state != InstanceState::Terminated);
    let template = observed.template.as_ref().is_some_and(|template| {
        is_ours(template, input.object) && !done(&|step| matches!(step, FleetStep::DeleteTemplate { .. }))
    });
    let registered =
        observed.registered.iter().flat_map(|registered| &registered.instances).any(|id| {
            !done(&|step| matches!(step, FleetStep::Deregister { instance, .. } if instance == id))
        });
    let associated = observed.associations.iter().any(|association| {
        Some(association.profile_arn.as_str()) == input.profile_arn
            && !done(
                &|step| matches!(step, FleetStep::Disassociate { association: id, .. } if *id == association.id),
            )
    });
    instances || template || registered || associated
}

/// The instances, counted and described.
struct FleetTally {
    desired: i32,
    running: i32,
    ready: i32,
    updated: i32,
    listed: Vec<(Stage, InstanceStatus)>,
    failed: Vec<String>,
    foreign: Vec<String>,
    moves: bool,
}

impl FleetTally {
    fn of(observed: &ObservedFleet, decision: &FleetDecision, input: &Input<'_>) -> Self {
        let fleet = input.object.fleet().filter(|_| !input.deleting);
        let mut tally = Self {
            desired: fleet.and_then(|fleet| fleet.replicas).unwrap_or_default(),
            running: 0,
            ready: 0,
            updated: 0,
            listed: Vec::new(),
            failed: Vec::new(),
            foreign: Vec::new(),
            moves: false,
        };
        let members = members(observed, decision.hash.as_ref(), input.now);
        for instance in &observed.instances {
            let member = members.iter().find(|member| member.instance.id == instance.id);
            tally.count(observed, instance, member);
        }
        if let (Some(profile_arn), true) =
            (input.profile_arn, fleet.is_some_and(|fleet| fleet.enroll.is_some()))
        {
            tally.desired = count(observed.enrolled.iter().filter(|instance| instance.state.is_live()));
            for instance in &observed.enrolled {
                tally.count_enrolled(observed, instance, profile_arn);
            }
        }
        tally
            .listed
            .sort_by(|(stage, one), (other_stage, other)| (stage, &one.id).cmp(&(other_stage, &other.id)));
        tally
    }

    /// Counts an instance that was launched; it is no member when it is on its way out.
    fn count(&mut self, observed: &ObservedFleet, instance: &Instance, member: Option<&FleetMember<'_>>) {
        if instance.state == InstanceState::Terminated {
            return;
        }
        self.running += i32::from(instance.state == InstanceState::Running);
        let stage = member.map_or(Stage::Coming, |member| member.stage);
        if let Some(member) = member {
            self.ready += i32::from(member.stage == Stage::Ready);
            self.updated += i32::from(member.updated);
        }
        self.moves |= stage != Stage::Ready || member.is_none();
        if stage == Stage::Failed {
            self.failed.push(instance.id.clone());
        }
        let state = match instance.draining_since {
            Some(_) if instance.state.is_live() => "draining",
            _ => instance.state.as_str(),
        };
        self.listed.push((stage, described(observed, instance, state)));
    }

    fn count_enrolled(&mut self, observed: &ObservedFleet, instance: &Instance, profile_arn: &str) {
        if !instance.state.is_live() {
            return;
        }
        self.running += i32::from(instance.state == InstanceState::Running);
        let connected =
            matches!(observed.proxies, FleetProxies::Unsupported) || observed.proxies.of(instance).is_some();
        let (stage, state) = match standing(observed, instance, profile_arn) {
            EnrollStanding::Foreign => {
                self.foreign.push(instance.id.clone());
                (Stage::Failed, "foreign-profile")
            }
            EnrollStanding::Joined if connected && instance.state == InstanceState::Running => {
                (Stage::Ready, "joined")
            }
            EnrollStanding::Joined | EnrollStanding::Free => (Stage::Coming, instance.state.as_str()),
        };
        self.ready += i32::from(stage == Stage::Ready);
        self.updated += i32::from(stage == Stage::Ready);
        self.moves |= stage == Stage::Coming;
        self.listed.push((stage, described(observed, instance, state)));
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> i32 {
    i32::try_from(items.count()).unwrap_or(i32::MAX)
}

fn described(observed: &ObservedFleet, instance: &Instance, state: &str) -> InstanceStatus {
    let proxy = match (&observed.proxies, observed.proxies.of(instance)) {
        (FleetProxies::Unsupported, _) => None,
        (FleetProxies::Reported(_), Some(true)) => Some("Acknowledged"),
        (FleetProxies::Reported(_), Some(false)) => Some("Connected"),
        (FleetProxies::Reported(_), None) => Some("Absent"),
    };
    InstanceStatus {
        az: instance.az.clone(),
        id: instance.id.clone(),
        proxy: proxy.map(ToOwned::to_owned),
        state: state.to_owned(),
        template_version: instance.template_version(),
        type_: instance.type_.clone(),
    }
}

fn status(
    observed: &ObservedFleet,
    decision: &FleetDecision,
    outcome: &FleetOutcome,
    input: &Input<'_>,
    tally: &FleetTally,
) -> FleetStatus {
    let template = outcome.template.as_ref();
    let known = observed.template.as_ref().filter(|template| is_ours(template, input.object));
    let version = template.map(|(_, version)| *version).or(decision.version);
    // What is waited for or refused changes nothing about where instances came from.
    let before = || input.object.status.fleet().filter(|_| known.is_some())?.template_version;
    let admitted = input.admission.and_then(|admission| admission.as_ref().ok());
    FleetStatus {
        class_name: admitted.map(|admitted| admitted.class.clone()),
        desired: tally.desired,
        instances: tally.listed.iter().take(MAX_LISTED_INSTANCES).map(|(_, status)| status.clone()).collect(),
        launches: launches(observed, input.object).max(outcome.spent.unwrap_or_default()),
        launch_template_id: template.map(|(id, _)| id.clone()).or(known.map(|template| template.id.clone())),
        ready: tally.ready,
        running: tally.running,
        template_version: version.or_else(before),
        updated: tally.updated,
    }
}

fn finding(
    tally: &FleetTally,
    decision: &FleetDecision,
    outcome: &FleetOutcome,
    wanted: bool,
    notes: &str,
) -> Finding {
    if let Some(failure) = &outcome.failure() {
        return failed(failure);
    }
    if let Some((reason, message)) = &decision.refused {
        return Finding::fails(*reason, message.clone());
    }
    let FleetTally { desired, ready, updated, failed, foreign, .. } = tally;
    let so_far =
        format!("{ready} of {desired} instances are ready, {updated} from the newest template version");
    if let Some(deaths) = decision.deaths.as_ref().filter(|_| ready < desired) {
        return Finding::fails(Reason::LaunchFailed, format!("{so_far}; {}", deaths.words()));
    }
    // Only while something is missing: what EC2 said about it is of no interest afterwards.
    let short = outcome.short.as_ref().map(|words| format!("EC2 says: {words}. "));
    let starved = decision.starved.as_ref().map(|words| format!("; waiting for {words}"));
    if decision.missing > 0 && ready < desired && (short.is_some() || starved.is_some()) {
        let (short, starved) = (short.unwrap_or_default(), starved.unwrap_or_default());
        let message = format!("{short}{so_far}{starved}; the operator keeps trying");
        return Finding::fails(Reason::LaunchFailed, message);
    }
    if !foreign.is_empty() {
        let message = format!(
            "{} have an instance profile that is not this node's, which is not replaced: take it away, or the tags by which they are enrolled",
            named(foreign)
        );
        return Finding::fails(Reason::NotOwned, message);
    }
    if !failed.is_empty() && wanted {
        let message = format!(
            "{so_far}; {} failed: stopped, failing EC2's checks, or without a connected proxy for too long (see their console output). They are replaced one after the other",
            named(failed)
        );
        return Finding::fails(Reason::InstancesUnhealthy, message);
    }
    let waits = decision.waits.as_ref().map(|what| format!("; waiting for {what}")).unwrap_or_default();
    if !wanted {
        return Finding::fails(Reason::Deleting, format!("the fleet is being ended{waits}"));
    }
    let also = unused(decision);
    let waits = format!("{waits}{}{notes}", died(decision));
    if decision.steps.is_empty() && decision.waits.is_none() && !tally.moves && ready == desired {
        return Finding::holds(
            Reason::FleetReady,
            format!("{ready} of {desired} instances are ready{notes}{also}"),
        );
    }
    Finding::fails(Reason::FleetProgressing, format!("{so_far}{waits}{also}"))
}

/// What a message says of instances that have the tags of `enroll` and did not opt in.
fn unasked(observed: &ObservedFleet, input: &Input<'_>) -> String {
    match observed.unasked {
        0 => String::new(),
        unasked => format!(
            "; {unasked} more have the tags of fleet.enroll and are left alone, because they do not carry the tag {ENROLL_TAG} with the value {}",
            input.cluster
        ),
    }
}

/// What a message says of instance types that the region does not have.
fn unoffered(observed: &ObservedFleet, input: &Input<'_>) -> String {
    let Some(Ok(admitted)) = input.admission else { return String::new() };
    let types = admitted.fleet.capacity.iter().flat_map(|capacity| &capacity.instance_types);
    let missing = types.filter(|type_| !observed.types.contains_key(*type_)).cloned();
    let missing: Vec<String> = missing.filter(|_| !observed.types.is_empty()).collect();
    match missing.is_empty() {
        true => String::new(),
        false => format!("; EC2 does not have the instance types {} in this region", named(&missing)),
    }
}

/// What a message says of instances that ended after their launch, whether or not they are missed.
fn died(decision: &FleetDecision) -> String {
    decision.deaths.as_ref().map(|deaths| format!("; {}", deaths.words())).unwrap_or_default()
}

/// What a message says of several instances behind a name of which each caller takes one address.
fn one_address(tally: &FleetTally, input: &Input<'_>) -> String {
    match input.object.effective_spec.service_discovery() {
        Some(ServiceDiscovery::Dns(dns))
            if tally.desired > 1 && dns.response_type != Some(DnsResponseType::Endpoints) =>
        {
            format!(
                "; each caller takes one address of {:?} at a time (LOADBALANCER): have a load balancer answer there, or set serviceDiscovery.dns.responseType to ENDPOINTS",
                dns.hostname
            )
        }
        _ => String::new(),
    }
}

/// The end of a condition's message, and the words of an Event, when somebody gave the launch template a newer version.
pub(super) fn unused(decision: &FleetDecision) -> String {
    match (decision.unused, decision.version) {
        (Some(unused), Some(version)) => format!(
            "; version {unused} of the launch template is not what the spec says, and not used: instances come from version {version}"
        ),
        _ => String::new(),
    }
}

pub(super) fn named(ids: &[String]) -> String {
    let first: Vec<&str> = ids.iter().take(NAMED).map(String::as_str).collect();
    match ids.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// What a failed call means. EC2 runs out of instances where others run out of quota.
fn failed(failure: &Failure) -> Finding {
    let words = failure.in_words(Callee::Aws);
    match failure.class {
        FailureClass::Unsettled => Finding::unknown(Reason::Pending, words),
        FailureClass::Limit if failure.operation == "CreateFleet" => {
            Finding::fails(Reason::LaunchFailed, words)
        }
        class => Finding::fails(class.reason(), words),
    }
}
