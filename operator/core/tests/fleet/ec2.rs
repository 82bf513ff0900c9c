//! An EC2 in memory, with the rules that matter: client tokens are answered once and refused for another request, new
//! instances show after a while, and terminated ones go on showing.

use std::collections::BTreeMap;

use fleetmesh_core::fleet::{
    Checks, Input, Instance, LAUNCH_TAG, Observed, Outcome, Place, Proxies, State, Step,
    TEMPLATE_VERSION_TAG, Template, decide, report,
};
use fleetmesh_core::{Class, Failure, Object, ObjectKey};
use fleetmesh_crds::fleet::{App, Capacity, Fleet, Network, Purchase};
use fleetmesh_crds::{Iam, Management, Status};
use fleetmesh_model::{Kind, ResourceId, Spec};
use jiff::{SignedDuration, Timestamp};

/// How long EC2 takes to show a new instance, in seconds.
const LATE: i64 = 4;

/// What strikes a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The operator dies before step N and forgets everything.
    CrashBefore(usize),
    /// It dies after step N was carried out.
    CrashAfter(usize),
    /// Step N is carried out, its reply is lost, and the operator goes on.
    ReplyLost(usize),
    /// Everything is done, but the status is not written.
    ReportLost,
    /// EC2 launches one instance fewer than it is asked for.
    NoCapacity,
}

struct Known {
    instance: Instance,
    shows_at: Timestamp,
}

pub struct Ec2 {
    object: Object,
    known: Vec<Known>,
    template: Option<Template>,
    spent: BTreeMap<String, (Step, Vec<String>)>,
    now: Timestamp,
    pub image: String,
    pub writes: usize,
    pub plans: Vec<String>,
    deleting: bool,
    /// What an operator remembers in its memory: launched ids that do not show yet, and until when it pauses.
    pending: Vec<String>,
    pause: Option<Timestamp>,
}

impl Ec2 {
    pub fn new() -> Self {
        let fleet = Fleet {
            replicas: Some(3),
            capacity: Some(Capacity {
                instance_types: vec!["t3.small".into()],
                purchase: Purchase::OnDemand,
            }),
            network: Some(Network { security_group_ids: Vec::new(), subnet_ids: vec!["subnet-1".into()] }),
            app: Some(App { port: 8000, container: Some("app:v1".into()), user_data: None }),
            ..Fleet::default()
        };
        let id = ResourceId::virtual_node("m", "n");
        let key = ObjectKey { kind: Kind::VirtualNode, namespace: Some("ns".into()), name: "n".into() };
        let spec = Spec::from_json(Kind::VirtualNode, serde_json::json!({})).unwrap();
        let object = Object {
            key,
            uid: "uid".into(),
            resource_version: "1".into(),
            created: Timestamp::UNIX_EPOCH,
            generation: 1,
            deleting: false,
            finalizers: Vec::new(),
            orphan: false,
            touch: String::new(),
            id,
            spec,
            iam: Some(Iam::default()),
            fleet: Some(fleet),
            canary: None,
            declared_targets: Vec::new(),
            management: Management::default(),
            allowed_namespaces: None,
            status: Status::default(),
        };
        let mut ec2 = Self {
            object,
            known: Vec::new(),
            template: None,
            spent: BTreeMap::new(),
            now: Timestamp::from_second(1_000_000).unwrap(),
            image: "ami-1".into(),
            writes: 0,
            plans: Vec::new(),
            deleting: false,
            pending: Vec::new(),
            pause: None,
        };
        // Somebody else's.
        ec2.add("i-other", None, None);
        ec2
    }

    pub fn spec(&mut self) -> &mut Fleet {
        self.object.fleet.as_mut().unwrap()
    }

    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.known.iter().map(|known| &known.instance).filter(|instance| instance.launch.is_some())
    }

    pub fn is_newest(&self, instance: &Instance) -> bool {
        instance.template_version == self.template.as_ref().map(|template| template.version)
    }

    pub fn others_are_untouched(&self) -> bool {
        let mut others = self.known.iter().filter(|known| known.instance.launch.is_none());
        others.all(|known| known.instance.state == State::Running)
    }

    pub fn is_empty(&self) -> bool {
        self.template.is_none() && self.instances().all(|instance| instance.state == State::Terminated)
    }

    fn add(&mut self, id: &str, version: Option<i64>, launch: Option<i64>) {
        let instance = Instance {
            id: id.into(),
            az: None,
            type_: None,
            state: State::Running,
            checks: Checks::Open,
            launched: self.now,
            missed_since: self.now,
            ipv4: None,
            ipv6: None,
            template_version: version,
            launch,
            draining_since: None,
        };
        let shows_at = self.now.saturating_add(SignedDuration::from_secs(LATE)).unwrap();
        self.known.push(Known { instance, shows_at });
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now = self.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap();
        for known in &mut self.known {
            if known.shows_at < self.now && known.instance.checks == Checks::Open {
                known.instance.checks = Checks::Passed;
            }
        }
    }

    fn pick(&mut self) -> Option<&mut Instance> {
        let mut ours = self.known.iter_mut().map(|known| &mut known.instance);
        ours.find(|instance| instance.launch.is_some() && instance.state.is_live())
    }

    pub fn terminate_one(&mut self) {
        if let Some(instance) = self.pick() {
            instance.state = State::Terminated;
        }
    }

    pub fn break_one(&mut self) {
        if let Some(instance) = self.pick() {
            instance.checks = Checks::Failed;
        }
    }

    fn observed(&self) -> Observed {
        let shown = self.known.iter().filter(|known| known.shows_at <= self.now);
        let ours = shown.map(|known| known.instance.clone()).filter(|instance| instance.launch.is_some());
        Observed {
            template: self.template.clone(),
            image: Some(self.image.clone()),
            instances: ours.collect(),
            proxies: Proxies::Untold,
            ..Observed::default()
        }
    }

    /// One round: observe, decide, apply, report, struck by `fault`.
    pub fn round(&mut self, fault: Fault) {
        let observed = self.observed();
        let shows = |id: &String| observed.instances.iter().any(|instance| instance.id == *id);
        self.pending.retain(|id| !shows(id));
        let place = Place { region: "us-west-2".into(), control_plane: None };
        let object = self.object.clone();
        let input = Input {
            object: &object,
            cluster: "c",
            profile_arn: Some("arn:aws:iam::1:instance-profile/n"),
            place: &place,
            deleting: self.deleting,
            in_motion: std::time::Duration::from_secs(5),
            settling: !self.pending.is_empty() || self.pause.is_some_and(|until| self.now < until),
            now: self.now,
        };
        let decision = decide(&observed, &input);
        assert_eq!(decision, decide(&observed, &input), "same inputs, same decision");
        let mut outcome = Outcome::default();
        let mut dead = false;
        for (index, step) in decision.steps.iter().enumerate() {
            if fault == Fault::CrashBefore(index) {
                dead = true;
                break;
            }
            self.plans.push(step.to_string());
            let result = self.take(step, &mut outcome, fault == Fault::NoCapacity);
            if fault == Fault::CrashAfter(index) {
                dead = true;
                break;
            }
            let lost =
                Failure { class: Class::Unreachable, operation: String::new(), message: String::new() };
            let result = if fault == Fault::ReplyLost(index) { Err(lost) } else { result };
            match result {
                Ok(()) => outcome.done.push(step.clone()),
                Err(failure) => {
                    if failure.class == Class::Unreachable {
                        outcome.spent = None;
                        outcome.launched.clear();
                    }
                    outcome.failed = Some(failure);
                    break;
                }
            }
        }
        if dead {
            self.pending.clear();
            self.pause = None;
        } else {
            self.pending.extend(outcome.launched.iter().cloned());
            if fault != Fault::ReportLost {
                let part = report(&observed, &decision, &outcome, &input);
                self.object.status.fleet = part.status;
            }
        }
        self.wait(1);
    }

    fn take(&mut self, step: &Step, outcome: &mut Outcome, short: bool) -> Result<(), Failure> {
        self.writes += 1;
        match step {
            Step::CreateTemplate { content, tags, .. } => {
                if self.template.is_some() {
                    return Err(failure(Class::Conflict));
                }
                let description = Some(content.hash());
                self.template =
                    Some(Template { id: "lt-1".into(), version: 1, description, tags: tags.clone() });
                outcome.template = Some(("lt-1".into(), 1));
            }
            Step::CreateVersion { content, .. } => {
                let template = self.template.as_mut().ok_or_else(|| failure(Class::NotFound))?;
                template.version += 1;
                template.description = Some(content.hash());
                outcome.template = Some((template.id.clone(), template.version));
            }
            Step::Launch { count, token, launch, .. } => {
                outcome.spent = Some(*launch);
                outcome.launched = match self.spent.get(token) {
                    Some((earlier, ids)) if same_request(earlier, step) => ids.clone(),
                    Some(_) => {
                        self.pause = self.now.saturating_add(SignedDuration::from_secs(30)).ok();
                        return Err(failure(Class::Conflict));
                    }
                    None => self.launch(step, if short { count - 1 } else { *count }),
                };
            }
            Step::Terminate { instances } => {
                for known in &mut self.known {
                    if instances.contains(&known.instance.id) {
                        assert!(known.instance.launch.is_some(), "somebody else's instance");
                        known.instance.state = State::Terminated;
                    }
                }
            }
            Step::DeleteTemplate { .. } => self.template = None,
            other => panic!("no such step is planned here: {other}"),
        }
        Ok(())
    }

    fn launch(&mut self, step: &Step, count: i32) -> Vec<String> {
        let Step::Launch { tags, token, .. } = step else { panic!("a launch") };
        let number = |tag: &str| tags.get(tag).and_then(|value| value.parse().ok());
        let ids: Vec<String> = (0..count).map(|index| format!("i-{}-{index}", self.spent.len())).collect();
        for id in &ids {
            self.add(id, number(TEMPLATE_VERSION_TAG), number(LAUNCH_TAG));
        }
        self.spent.insert(token.clone(), (step.clone(), ids.clone()));
        ids
    }

    /// Rounds without faults until nothing changes any more.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..2000 {
            let writes = self.writes;
            self.round(Fault::None);
            quiet = if self.writes == writes { quiet + 1 } else { 0 };
            if quiet > 35 {
                return;
            }
        }
        panic!("it never settles: {:?}", self.plans.iter().rev().take(10).collect::<Vec<_>>());
    }

    /// The resource is deleted.
    pub fn end(&mut self) {
        self.deleting = true;
        self.settle();
        assert_eq!(self.object.status.fleet, None, "nothing is left to report");
    }
}

fn same_request(one: &Step, other: &Step) -> bool {
    one == other
}

fn failure(class: Class) -> Failure {
    Failure { class, operation: "CreateFleet".into(), message: "refused".into() }
}
