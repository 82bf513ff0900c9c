//! An EC2 in memory, with the rules that matter: client tokens are answered once and refused for another request, new
//! instances show after a while, and terminated ones go on showing.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_api::tags::{OWNER_CLUSTER_TAG, OWNER_UID_TAG};
use fleetmesh_core::fleet::{
    Checks, ClassLookup as FleetClass, Exhausted, FailedStep, FleetOutcome, FleetPlace, FleetProxies,
    FleetStep, Grant, Input, Instance, InstanceState, JoinOptions, ObservedFleet, Subnet, Template, Version,
    ZoneLaunch, admit, decide, report,
};
use fleetmesh_core::owner::owner_tags;
use fleetmesh_core::{Failure, FailureClass, Finding, Object, ObjectKey};
use fleetmesh_crds::extension::NodeExtension;
use fleetmesh_crds::fleet::{App, Capacity, Fleet, Network, Purchase};
use fleetmesh_crds::{Extension, FleetClassSpec, Iam, Management, NodeStatus, Status};
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Kind, ResourceId, Spec};
use jiff::{SignedDuration, Timestamp};

/// How long EC2 takes to show a new instance, in seconds.
const LATE: i64 = 4;
/// How long an operator awaits what it launched, in seconds.
const VISIBLE: i64 = 20;
/// The zones that have a subnet.
pub const ZONES: [&str; 3] = ["us-west-2a", "us-west-2b", "us-west-2c"];

fn subnet(zone: &str) -> Subnet {
    Subnet { id: format!("subnet-{zone}"), zone: zone.to_owned(), free: 100 }
}

/// What strikes a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ec2Fault {
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

struct KnownInstance {
    instance: Instance,
    shows_at: Timestamp,
}

pub struct SimulatedEc2 {
    object: Object,
    known: Vec<KnownInstance>,
    template: Option<Template>,
    /// How many templates there were.
    templates: usize,
    spent: BTreeMap<String, (FleetStep, Vec<String>)>,
    /// The templates and versions that were made with a client token.
    made: BTreeMap<String, (String, i64)>,
    now: Timestamp,
    pub image: String,
    /// The subnets; one of a zone.
    pub subnets: Vec<Subnet>,
    /// Whose it is.
    pub image_owners: Vec<String>,
    /// How instances join, from the operator's configuration; and where proxies are served then.
    pub join: Option<JoinOptions>,
    pub writes: usize,
    pub plans: Vec<String>,
    /// The finding of the last report.
    pub finding: Option<Finding>,
    deleting: bool,
    /// Why EC2 does not say which architecture the types run.
    pub unread: Option<Failure>,
    /// The class of the fleet.
    pub class: Option<FleetClassSpec>,
    /// What the limits of the class leave of a launch.
    pub grant: Option<Grant>,
    /// What an operator remembers in its memory: marks, launched ids that do not show yet, and until when it pauses.
    marks: BTreeMap<String, Tags>,
    pending: BTreeMap<String, Timestamp>,
    pause: Option<Timestamp>,
}

/// A class that lets the fleet be what the tests make of it.
pub fn class() -> FleetClassSpec {
    serde_json::from_value(serde_json::json!({
        "instanceTypes": ["t3.small"], "limits": { "instances": 100 }, "network": { "subnetIds": ["subnet-1"] },
    }))
    .unwrap()
}

impl SimulatedEc2 {
    pub fn new() -> Self {
        let fleet = Fleet {
            replicas: Some(3),
            capacity: Some(Capacity {
                instance_types: vec!["t3.small".into()],
                purchase: Purchase::OnDemand,
            }),
            network: Some(Network { security_group_ids: Vec::new(), subnet_ids: vec!["subnet-1".into()] }),
            app: Some(App { port: 8000, container: Some("app:v1".into()), metadata: false, user_data: None }),
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
            effective_spec: spec,
            mesh_tls: None,
            without_tls: None,
            extension: Extension::Node(Box::new(NodeExtension {
                http: None,
                iam: Some(Iam::default()),
                fleet: Some(fleet),
                retirement: None,
            })),
            management: Management::default(),
            status: Status::empty(Kind::VirtualNode),
        };
        let mut ec2 = Self {
            object,
            known: Vec::new(),
            template: None,
            templates: 0,
            spent: BTreeMap::new(),
            made: BTreeMap::new(),
            now: Timestamp::from_second(1_000_000).unwrap(),
            image: "ami-1".into(),
            subnets: ZONES.iter().map(|zone| subnet(zone)).collect(),
            image_owners: Vec::new(),
            join: None,
            writes: 0,
            plans: Vec::new(),
            finding: None,
            deleting: false,
            unread: None,
            class: Some(class()),
            grant: None,
            marks: BTreeMap::new(),
            pending: BTreeMap::new(),
            pause: None,
        };
        // Somebody else's.
        ec2.add("i-other", None, Tags::new());
        ec2
    }

    pub fn spec(&mut self) -> &mut Fleet {
        let Extension::Node(node) = &mut self.object.extension else { panic!("a node") };
        node.fleet.as_mut().unwrap()
    }

    /// The node is discovered like this.
    pub fn discover_by(&mut self, discovery: &serde_json::Value) {
        let spec = serde_json::json!({ "serviceDiscovery": discovery });
        self.object.effective_spec = Spec::from_json(Kind::VirtualNode, spec).unwrap();
    }

    /// Somebody sets a tag in the spec.
    pub fn tag_spec(&mut self, key: &str) {
        self.object.management.tags.insert(key.to_owned(), "evil".to_owned());
    }

    fn admission(&self) -> Result<fleetmesh_core::fleet::Admitted, fleetmesh_core::fleet::ClassRefusal> {
        let class =
            self.class.as_ref().map_or(FleetClass::NoDefault, |spec| FleetClass::Found { name: "c", spec });
        admit(&self.object, self.object.fleet().unwrap(), class)
    }

    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.known.iter().map(|known| &known.instance).filter(|instance| instance.launch().is_some())
    }

    /// Whether an instance was launched from what the spec says now, which the default version holds.
    pub fn is_newest(&self, instance: &Instance) -> bool {
        let Some(template) = &self.template else { return false };
        let mut versions = template.versions.iter();
        let default = versions.find(|version| version.number == template.default_version);
        default.is_some_and(|version| instance.holds(version.hash().as_ref()))
    }

    pub fn others_are_untouched(&self) -> bool {
        let mut others = self.known.iter().filter(|known| known.instance.launch().is_none());
        others.all(|known| known.instance.state == InstanceState::Running)
    }

    pub fn is_empty(&self) -> bool {
        self.template.is_none()
            && self.instances().all(|instance| instance.state == InstanceState::Terminated)
    }

    fn add(&mut self, id: &str, zone: Option<&str>, tags: Tags) {
        let instance = Instance {
            id: id.into(),
            az: zone.map(ToOwned::to_owned),
            type_: None,
            state: InstanceState::Running,
            checks: Checks::Open,
            launched: self.now,
            missed_since: self.now,
            ipv4: None,
            ipv6: None,
            draining_since: None,
            ended: None,
            marks: Instance::marks_of(&tags),
            tags,
        };
        let shows_at = self.now.saturating_add(SignedDuration::from_secs(LATE)).unwrap();
        self.known.push(KnownInstance { instance, shows_at });
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
        ours.find(|instance| instance.launch().is_some() && instance.state.is_live())
    }

    pub fn terminate_one(&mut self) {
        if let Some(instance) = self.pick() {
            instance.state = InstanceState::Terminated;
        }
    }

    pub fn break_one(&mut self) {
        if let Some(instance) = self.pick() {
            instance.checks = Checks::Failed;
        }
    }

    fn reported(&self) -> BTreeSet<String> {
        let reported = self.object.status.fleet().into_iter().flat_map(|status| &status.instances);
        reported.map(|instance| instance.id.clone()).collect()
    }

    /// Somebody takes a tag from an instance that was reported, or changes it. An instance that no report names and whose
    /// operator died is lost without its tags.
    pub fn retag_one(&mut self, key: &str, value: Option<&str>) {
        let reported = self.reported();
        if let Some(instance) = self.pick().filter(|instance| reported.contains(&instance.id)) {
            // What shows neither is nobody's to an operator that starts anew, and with another's cluster it is that one's.
            let mut owners = [OWNER_UID_TAG, OWNER_CLUSTER_TAG].into_iter().filter(|tag| *tag != key);
            let last = owners.all(|tag| instance.tags.get(tag) != instance.marks.get(tag));
            match value {
                _ if last => {}
                Some(value) => _ = instance.tags.insert(key.to_owned(), value.to_owned()),
                None => _ = instance.tags.remove(key),
            }
        }
    }

    pub fn untag_template(&mut self) {
        if let Some(template) = &mut self.template {
            template.tags.remove(OWNER_UID_TAG);
        }
    }

    pub fn delete_template(&mut self) {
        self.template = None;
    }

    /// Somebody gives the template a version, and makes it the default.
    pub fn foreign_version(&mut self) {
        if let Some(template) = &mut self.template {
            let number = template.newest().unwrap().number + 1;
            template.versions.insert(0, Version { number, description: Some("theirs".into()) });
            template.default_version = number;
        }
    }

    /// Whether the fleet's instances have the tags of their launch, but for `lost`.
    pub fn is_tagged_as_launched(&self, lost: Option<&str>) -> bool {
        let tagged = |instance: &Instance| {
            let mut marks = instance.marks.iter().filter(|(key, _)| Some(key.as_str()) != lost);
            marks.all(|(key, value)| instance.tags.get(key) == Some(value))
        };
        self.instances().filter(|instance| instance.state.is_live()).all(tagged)
    }

    fn observed(&mut self) -> ObservedFleet {
        let owner = |instance: &Instance| instance.tags.get(OWNER_UID_TAG).cloned();
        let shown = self.known.iter().filter(|known| known.shows_at <= self.now);
        let shown = shown.map(|known| Instance {
            marks: Instance::marks_of(&known.instance.tags),
            ..known.instance.clone()
        });
        let (ours, others): (Vec<_>, Vec<_>) =
            shown.partition(|instance| owner(instance).as_ref() == Some(&self.object.uid));
        let known: BTreeSet<String> = self.marks.keys().chain(self.pending.keys()).cloned().collect();
        let mut asked = self.reported();
        asked.extend(known.iter().cloned());
        let lost = others.into_iter().filter(|instance| asked.contains(&instance.id)).collect();
        let number = self.object.status.fleet().and_then(|status| status.template_version);
        let mut template = self.template.clone();
        if let Some(template) = &mut template {
            let newest = template.newest().map(|newest| newest.number);
            template
                .versions
                .retain(|version| Some(version.number) == newest || Some(version.number) == number);
        }
        let mut observed = ObservedFleet {
            template,
            image: Some(self.image.clone()),
            image_owners: self.image_owners.clone(),
            unread: self.unread.clone(),
            types: [("t3.small".to_owned(), vec!["x86_64".to_owned()])].into(),
            subnets: Some(self.subnets.clone()),
            instances: ours,
            proxies: FleetProxies::Unsupported,
            ..ObservedFleet::default()
        };
        observed.add_lost(lost, &known, &owner_tags(&self.object, "c"));
        for instance in &mut observed.instances {
            let marks = self.marks.entry(instance.id.clone()).or_insert(instance.marks.clone());
            instance.marks.clone_from(marks);
        }
        self.marks.retain(|id, _| observed.instances.iter().any(|instance| instance.id == *id));
        observed
    }

    /// One reconcile: observe, decide, apply, report, struck by `fault`.
    pub fn reconcile(&mut self, fault: Ec2Fault) {
        let observed = self.observed();
        let shows = |id: &String| observed.instances.iter().any(|instance| instance.id == *id);
        let now = self.now;
        self.pending.retain(|id, at| !shows(id) && now.duration_since(*at).as_secs() < VISIBLE);
        let control_plane = self.join.is_some().then(|| "https://mesh.example:18000".into());
        let place = FleetPlace { region: "us-west-2".into(), control_plane, join: self.join.clone() };
        let object = self.object.clone();
        let (admission, grant) = (self.admission(), self.grant.clone());
        let input = Input {
            object: &object,
            admission: Some(&admission),
            grant: grant.as_ref(),
            cluster: "c",
            profile_arn: Some("arn:aws:iam::1:instance-profile/n"),
            place: &place,
            exhausted: &Exhausted::default(),
            deleting: self.deleting,
            in_motion: std::time::Duration::from_secs(5),
            settling: !self.pending.is_empty() || self.pause.is_some_and(|until| self.now < until),
            now: self.now,
        };
        let decision = decide(&observed, &input);
        assert_eq!(decision, decide(&observed, &input), "same inputs, same decision");
        let mut outcome = FleetOutcome { unread: observed.unread.clone(), ..FleetOutcome::default() };
        let mut dead = false;
        for (index, step) in decision.steps.iter().enumerate() {
            if fault == Ec2Fault::CrashBefore(index) {
                dead = true;
                break;
            }
            if outcome.failed.iter().any(|failed| step.needs(&failed.step)) {
                continue;
            }
            let before = (outcome.spent, outcome.launched.clone());
            self.plans.push(step.to_string());
            let result = self.take(step, &mut outcome, fault == Ec2Fault::NoCapacity);
            if fault == Ec2Fault::CrashAfter(index) {
                dead = true;
                break;
            }
            let lost = Failure {
                class: FailureClass::Unreachable,
                operation: String::new(),
                message: String::new(),
            };
            let result = if fault == Ec2Fault::ReplyLost(index) { Err(lost) } else { result };
            match result {
                Ok(()) => outcome.done.push(step.clone()),
                Err(failure) => {
                    if failure.class == FailureClass::Unreachable {
                        // As before the step.
                        (outcome.spent, outcome.launched) = before;
                    }
                    outcome.failed.push(FailedStep { step: step.clone(), failure });
                }
            }
        }
        if dead {
            self.marks.clear();
            self.pending.clear();
            self.pause = None;
        } else {
            let given = outcome.launched.iter().flat_map(|launch| &launch.instances);
            self.pending.extend(given.map(|id| (id.clone(), now)));
            if fault != Ec2Fault::ReportLost {
                let part = report(&observed, &decision, &outcome, &input);
                self.finding = Some(part.finding);
                let iam = self.object.status.iam().cloned();
                self.object.status.of_kind = NodeStatus { fleet: part.status, iam, tls: None }.into();
            }
        }
        self.wait(1);
    }

    fn take(&mut self, step: &FleetStep, outcome: &mut FleetOutcome, short: bool) -> Result<(), Failure> {
        self.writes += 1;
        match step {
            FleetStep::CreateTemplate { token, .. } | FleetStep::CreateVersion { token, .. } => {
                let made = match self.made.get(token) {
                    Some(made) => made.clone(),
                    None => self.make(step)?,
                };
                self.made.insert(token.clone(), made.clone());
                outcome.template = Some(made);
            }
            FleetStep::Tag { resource, tags, .. } => {
                let mut instances = self.known.iter_mut().map(|known| &mut known.instance);
                if let Some(instance) = instances.find(|instance| instance.id == *resource) {
                    instance.tags.extend(tags.clone());
                } else if let Some(template) = &mut self.template {
                    template.tags.extend(tags.clone());
                }
            }
            FleetStep::SetDefaultVersion { version, .. } => {
                let template = self.template.as_mut().ok_or_else(|| failure(FailureClass::NotFound))?;
                template.default_version = *version;
            }
            FleetStep::Launch { count, token, launch, zone, .. } => {
                outcome.spent = Some(*launch);
                let instances = match self.spent.get(token) {
                    Some((earlier, ids)) if same_request(earlier, step) => ids.clone(),
                    Some(_) => {
                        self.pause = self.now.saturating_add(SignedDuration::from_secs(30)).ok();
                        return Err(failure(FailureClass::Conflict));
                    }
                    None => self.launch(step, if short { count - 1 } else { *count }),
                };
                let (launch, zone, asked) = (*launch, zone.clone(), *count);
                outcome.launched.push(ZoneLaunch { launch, zone, asked, instances, errors: Vec::new() });
            }
            FleetStep::Terminate { instances } => {
                for known in &mut self.known {
                    if instances.contains(&known.instance.id) {
                        assert!(known.instance.launch().is_some(), "somebody else's instance");
                        known.instance.state = InstanceState::Terminated;
                    }
                }
            }
            FleetStep::DeleteTemplate { .. } => self.template = None,
            other => panic!("no such step is planned here: {other}"),
        }
        Ok(())
    }

    fn make(&mut self, step: &FleetStep) -> Result<(String, i64), Failure> {
        match (step, &mut self.template) {
            (FleetStep::CreateTemplate { content, tags, .. }, template @ None) => {
                self.templates += 1;
                let id = format!("lt-{}", self.templates);
                let versions = vec![Version { number: 1, description: Some(content.description()) }];
                let made = Template { id: id.clone(), versions, default_version: 1, tags: tags.clone() };
                *template = Some(made);
                Ok((id, 1))
            }
            (FleetStep::CreateVersion { content, .. }, Some(template)) => {
                let number = template.newest().unwrap().number + 1;
                template.versions.insert(0, Version { number, description: Some(content.description()) });
                Ok((template.id.clone(), number))
            }
            _ => Err(failure(FailureClass::Unsettled)),
        }
    }

    fn launch(&mut self, step: &FleetStep, count: i32) -> Vec<String> {
        let FleetStep::Launch { tags, token, zone, .. } = step else { panic!("a launch") };
        let ids: Vec<String> = (0..count).map(|index| format!("i-{}-{index}", self.spent.len())).collect();
        for id in &ids {
            self.add(id, zone.as_deref(), tags.clone());
        }
        self.spent.insert(token.clone(), (step.clone(), ids.clone()));
        ids
    }

    /// Reconciles without faults until nothing changes any more.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..2000 {
            let writes = self.writes;
            self.reconcile(Ec2Fault::None);
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
        assert_eq!(self.object.status.fleet(), None, "nothing is left to report");
    }
}

fn same_request(one: &FleetStep, other: &FleetStep) -> bool {
    one == other
}

fn failure(class: FailureClass) -> Failure {
    Failure { class, operation: "CreateFleet".into(), message: "refused".into() }
}
