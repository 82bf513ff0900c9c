//! A cluster and an endpoint in memory, for tests of decisions: resources with specs and statuses on one side, App Mesh
//! objects with the endpoint's rules on the other, and reconciles in between that may be struck by faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_api::tags::OWNER_UID_TAG;
use fleetmesh_core::claim::{NameContender, holder};
use fleetmesh_core::permission::{self, Target, judge};
use fleetmesh_core::together::{JointWrite, may_be_blocked, widened};
use fleetmesh_core::{
    Allowance, Distribution, Evidence, Failure, FailureClass, Grants, Maker, Object, ObjectKey, Observed,
    Outcome, OwnerClaim, Permission, Plan, Reach, Reads, Referent, Remote, RemoteIdentity, RemoteObject,
    Settings, Step, Tagged, decide, programmed, status,
};
use fleetmesh_crds::extension::{GatewayExtension, RouterExtension};
use fleetmesh_crds::{AdoptionPolicy, AllowedRoutes, Extension, FINALIZER, Management, Status};
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Kind, Reference, ResourceId, Spec};
use jiff::Timestamp;

use crate::rules;

/// What strikes a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The operator dies before step N (the status report counts as the last step).
    CrashBefore(usize),
    /// Step N is carried out, its reply is lost, and the operator goes on with a failure.
    ReplyLost(usize),
    /// Step N is not carried out and fails for a transient reason.
    Fails(usize, FailureClass),
}

#[derive(Clone, Debug)]
pub struct StoredObject {
    pub identity: RemoteIdentity,
    pub spec: Spec,
    pub tags: Tags,
    pub token: String,
}

#[derive(Clone, Debug, Default)]
pub struct World {
    pub objects: BTreeMap<ObjectKey, Object>,
    pub remote: BTreeMap<ResourceId, StoredObject>,
    pub grants: Grants,
    /// Uids of resources that let go of their objects on purpose.
    pub let_go: BTreeSet<String>,
    /// Whether the mesh refuses the namespace `web`.
    pub shut: bool,
    /// What the process remembers of what objects rest on.
    pub judged: BTreeMap<String, Vec<String>>,
    pub writes: usize,
    /// Whether the endpoint is one that takes no commits of several changes.
    pub without_commits: bool,
    /// Commits of several changes that the endpoint took.
    pub commits: usize,
    clock: i64,
    serial: u64,
}

/// Routers in here say nothing against routes of other namespaces; grants decide.
fn attachable() -> AllowedRoutes {
    serde_json::from_value(serde_json::json!({"namespaces": {"from": "All"}})).expect("an allowedRoutes")
}

pub fn settings() -> Settings {
    let iam = fleetmesh_core::iam::Rules::default();
    Settings {
        cluster: "test".to_owned(),
        drift_interval: Duration::from_secs(45),
        proxy_patience: Duration::from_secs(60),
        iam,
    }
}

impl World {
    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Creates or changes a resource, as `kubectl apply` does.
    pub fn apply(&mut self, key: &ObjectKey, id: &ResourceId, spec: Spec, management: Management) {
        self.clock += 1;
        if let Some(object) = self.objects.get_mut(key) {
            if !object.deleting
                && (object.effective_spec != spec || object.management != management)
                && object.id == *id
            {
                object.effective_spec = spec;
                object.management = management;
                object.generation += 1;
            }
            return;
        }
        let uid = format!("uid-{}", self.serial());
        let object = Object {
            key: key.clone(),
            uid,
            resource_version: "1".to_owned(),
            created: Timestamp::from_second(self.clock).unwrap(),
            generation: 1,
            deleting: false,
            finalizers: Vec::new(),
            orphan: false,
            touch: String::new(),
            id: id.clone(),
            effective_spec: spec,
            mesh_tls: None,
            without_tls: None,
            management,
            extension: match key.kind {
                Kind::VirtualRouter => Extension::Router(RouterExtension { routes: Some(attachable()) }),
                Kind::VirtualGateway => Extension::Gateway(Box::new(GatewayExtension {
                    routes: Some(attachable()),
                    ..GatewayExtension::default()
                })),
                kind => Extension::empty(kind),
            },
            status: Status::empty(key.kind),
        };
        self.objects.insert(key.clone(), object);
    }

    /// Asks for the deletion of a resource.
    pub fn delete(&mut self, key: &ObjectKey) {
        let Some(object) = self.objects.get_mut(key) else { return };
        object.deleting = true;
        self.collect(key);
    }

    /// Kubernetes removes what is being deleted and has no finalizer.
    fn collect(&mut self, key: &ObjectKey) {
        if self.objects.get(key).is_some_and(|object| object.deleting && object.finalizers.is_empty()) {
            self.objects.remove(key);
        }
    }

    /// Somebody changes the endpoint behind our back.
    pub fn outside(&mut self, id: &ResourceId, spec: Option<Spec>) {
        match spec {
            None => {
                let _ = self.remote_delete(id);
            }
            Some(spec) => {
                if self.remote.contains_key(id) {
                    let _ = self.remote_update(id, &spec);
                } else {
                    let _ = self.remote_create(id, &spec, &Tags::new(), "outside");
                }
            }
        }
    }

    /// Somebody who may write statuses names the App Mesh object of `key` there, or takes out what it rests on.
    pub fn forge(&mut self, key: &ObjectKey, uid: bool) {
        let Some(object) = self.objects.get_mut(key) else { return };
        let stored = self.remote.get(&object.id);
        match (uid, stored) {
            (true, Some(StoredObject { identity, .. })) => {
                object.status.uid = Some(identity.uid.clone());
                object.status.arn = Some(identity.arn.clone());
                object.status.version = Some(identity.version);
            }
            (true, None) => {}
            (false, _) => object.status.permitted_by = None,
        }
    }

    /// Somebody takes away the status and the finalizer of `key`, and the process ends and forgets what it judged.
    pub fn strip(&mut self, key: &ObjectKey) {
        let Some(object) = self.objects.get_mut(key) else { return };
        object.status = Status::empty(key.kind);
        object.finalizers.clear();
        self.judged.clear();
    }

    fn missing(&self, id: &ResourceId, spec: &Spec) -> Option<ResourceId> {
        let references = spec.references(id);
        references
            .into_iter()
            .find(|one| one.required && !self.remote.contains_key(&one.target))
            .map(|one| one.target)
    }

    fn remote_create(
        &mut self,
        id: &ResourceId,
        spec: &Spec,
        tags: &Tags,
        token: &str,
    ) -> Result<RemoteIdentity, FailureClass> {
        if let Some(stored) = self.remote.get(id) {
            let repeated = stored.token == token && stored.spec == *spec && token != "outside";
            return if repeated { Ok(stored.identity.clone()) } else { Err(FailureClass::Conflict) };
        }
        if self.missing(id, spec).is_some() {
            return Err(FailureClass::NotFound);
        }
        rules::fits(&self.remote, id, spec)?;
        let identity =
            RemoteIdentity { arn: format!("arn:{id}"), uid: format!("remote-{}", self.serial()), version: 1 };
        let stored = StoredObject {
            identity: identity.clone(),
            spec: spec.clone(),
            tags: tags.clone(),
            token: token.to_owned(),
        };
        self.remote.insert(id.clone(), stored);
        Ok(identity)
    }

    fn remote_update(&mut self, id: &ResourceId, spec: &Spec) -> Result<RemoteIdentity, FailureClass> {
        if self.missing(id, spec).is_some() {
            return Err(FailureClass::NotFound);
        }
        rules::fits(&self.remote, id, spec)?;
        let stored = self.remote.get_mut(id).ok_or(FailureClass::NotFound)?;
        stored.spec = spec.clone();
        stored.identity.version += 1;
        Ok(stored.identity.clone())
    }

    fn remote_delete(&mut self, id: &ResourceId) -> Result<(), FailureClass> {
        let used = self.remote.iter().any(|(other, stored)| {
            stored.spec.references(other).iter().any(|one| one.required && one.target == *id)
        });
        if used {
            return Err(FailureClass::InUse);
        }
        self.remote.remove(id);
        Ok(())
    }

    /// Who has a name; like the shell with everything read. Backends count once on the way.
    pub fn holder(&self, id: &ResourceId) -> Option<&Object> {
        self.best(id, 1)
    }

    fn best(&self, id: &ResourceId, backends: u8) -> Option<&Object> {
        let claimants = self.objects.values().filter(|object| object.id == *id);
        let refused = |object: &Object| matches!(self.allowance(object), Allowance::Refused { .. });
        let contenders = claimants.map(|object| NameContender { object, refused: refused(object) });
        let acceptable = |object: &Object| {
            object.effective_spec.violations().is_empty()
                && self.allowance(object) == Allowance::Allowed
                && self.may_name_all(object, backends)
        };
        let tagged = self.tagged(id);
        let maker = tagged.as_ref().map_or(Maker::NoResource, Maker::Resource);
        holder(contenders, maker, acceptable)
    }

    fn may_name_all(&self, object: &Object, backends: u8) -> bool {
        let mut references = object.references();
        references.retain(|reference| reference.required || backends > 0);
        let left = if object.key.kind == Kind::VirtualNode { backends.saturating_sub(1) } else { backends };
        self.judge(object, &references, |target| self.best(target, left)).missing.is_empty()
    }

    fn allowance(&self, object: &Object) -> Allowance {
        let mesh = object.id.mesh_name();
        let web = object.key.namespace.as_deref() == Some("web");
        if web
            && self.shut
            && let Some(mesh) = self.best(&ResourceId::mesh(mesh), 0)
        {
            return Allowance::Refused { mesh: mesh.key.clone(), namespace: "web".to_owned() };
        }
        match object.key.kind == Kind::Mesh || self.best(&ResourceId::mesh(mesh), 0).is_some() {
            true => Allowance::Allowed,
            false => Allowance::NoMesh(mesh.name().to_owned()),
        }
    }

    /// What the references of `spec` rest on when `object` has it.
    pub fn permission(&self, object: &Object, spec: &Spec) -> Permission {
        let references = spec.references(&object.id);
        self.judge(object, &references, |target| self.holder(target))
    }

    fn tagged(&self, id: &ResourceId) -> Option<Tagged> {
        self.remote.get(id).and_then(|stored| Tagged::of(&stored.tags, &settings().cluster))
    }

    fn judge<'a>(
        &self,
        object: &Object,
        references: &[Reference],
        owner: impl Fn(&ResourceId) -> Option<&'a Object>,
    ) -> Permission {
        let ids = references.iter().map(|one| &one.target);
        let tagged: BTreeMap<&ResourceId, Tagged> =
            ids.filter_map(|id| Some((id, self.tagged(id)?))).collect();
        let owners = |id: &ResourceId| {
            let maker = tagged.get(id).map_or(Maker::NoResource, Maker::Resource);
            owner(id).map(|object| Target { object, maker }).into_iter().collect()
        };
        judge(&object.key, references, owners, &self.grants, &BTreeMap::new())
    }

    /// What a reconcile observes; like the shell without any memory.
    pub fn observe(&self, key: &ObjectKey, doubt: bool) -> Option<Observed> {
        let object = self.objects.get(key)?;
        let reach = |target: &ResourceId| match self.holder(target) {
            None => Reach::Unmanaged,
            Some(holder) if holder.status.uid.is_some() => Reach::Exists,
            Some(holder) => Reach::Pending(holder.key.clone()),
        };
        let references = object.effective_spec.references(&object.id).into_iter();
        let dependents = self.objects.values().filter(|other| {
            other.key != object.key
                && other.status.uid.is_some()
                && self.holder(&other.id).is_some_and(|holder| holder.key == other.key)
                && other
                    .effective_spec
                    .references(&other.id)
                    .iter()
                    .any(|one| one.required && one.target == object.id)
                && self
                    .permission(other, &other.effective_spec)
                    .missing
                    .iter()
                    .all(|one| one.reference.target != object.id)
        });
        let holder = self.holder(&object.id).map(|holder| holder.key.clone());
        let mut observed = Observed {
            claim: match holder {
                Some(holder) if holder != *key => OwnerClaim::Taken(holder),
                _ => OwnerClaim::Ours,
            },
            allowance: self.allowance(object),
            mesh_leaves: false,
            permission: self.permission(object, &object.effective_spec),
            referents: references.map(|one| Referent { reach: reach(&one.target), reference: one }).collect(),
            patience: false,
            uid: object.status.uid.clone(),
            dependents: dependents.map(|other| other.key.clone()).collect(),
            user: None,
            own: None,
            // Once in the life of a process.
            evidence: match self.judged.contains_key(&object.uid) {
                true => Evidence::Read,
                false => Evidence::Unread,
            },
            in_force: object.reported() && programmed::was_in_step(&object.status),
            unanswered: Vec::new(),
            permitted_by: self.judged.get(&object.uid).cloned(),
            former_tags: None,
            remote: Remote::NotRead,
            ties: Vec::new(),
            distribution: Distribution::Unsupported,
            waited: None,
            owners: fleetmesh_core::canary::Owners::default(),
            deprecation: None,
            parts_gone: true,
            object: Arc::new(object.clone()),
        };
        let reads = observed.reads(doubt);
        if reads != Reads::Nothing {
            observed.remote = match self.remote.get(&object.id) {
                None => Remote::Absent,
                Some(stored) => {
                    let judged = self.permission(object, &stored.spec);
                    let permission = &mut observed.permission;
                    (permission.revoked, permission.lent, permission.rests) =
                        (judged.missing, judged.elsewhere, judged.by);
                    Remote::Present(RemoteObject {
                        identity: stored.identity.clone(),
                        spec: stored.spec.clone(),
                        tags: Some(stored.tags.clone()),
                    })
                }
            };
        }
        Some(observed)
    }

    /// One reconcile, struck by `fault`. Gives the text of the plan.
    pub fn reconcile(&mut self, key: &ObjectKey, fault: Fault) -> String {
        let mut doubt = false;
        loop {
            let Some(observed) = self.observe(key, doubt) else { return "gone".to_owned() };
            let decision = decide(&observed, &settings());
            let text = decision.plan.to_string();
            let mut outcome = Outcome::default();
            let steps = match &decision.plan {
                Plan::Steps(steps) => steps.clone(),
                _ => Vec::new(),
            };
            for (index, step) in steps.iter().enumerate() {
                if fault == Fault::CrashBefore(index) {
                    self.judged.clear();
                    return text;
                }
                let result = match fault {
                    Fault::Fails(at, class) if at == index => Err(class),
                    Fault::ReplyLost(at) if at == index => {
                        self.take_or_join(&observed, step).and(Err(FailureClass::Unreachable))
                    }
                    _ => self.take_or_join(&observed, step),
                };
                match result {
                    Ok(identity) => {
                        outcome.done.push(step.clone());
                        outcome.deleted |= matches!(step, Step::Delete { .. });
                        outcome.identity = identity.or(outcome.identity);
                    }
                    Err(_) if status::is_optional(step) => {}
                    Err(class) => {
                        let failure =
                            Failure { class, operation: step.to_string(), message: "no".to_owned() };
                        outcome.failed = Some((step.clone(), failure));
                        break;
                    }
                }
            }
            if fault == Fault::CrashBefore(steps.len()) {
                self.judged.clear();
                return text;
            }
            if outcome.surprised() && !doubt {
                doubt = true;
                continue;
            }
            match permission::judged(&observed, &decision, &outcome) {
                Some(by) => self.judged.insert(observed.object.uid.clone(), by),
                None => self.judged.remove(&observed.object.uid),
            };
            let now = Timestamp::from_second(1_000_000).unwrap();
            let after = fleetmesh_core::status(
                &observed,
                &decision,
                &outcome,
                &fleetmesh_core::Parts::default(),
                now,
            );
            if let Some(object) = self.objects.get_mut(key)
                && object.status != after
            {
                object.status = after;
                self.writes += 1;
            }
            return text;
        }
    }

    /// Carries out a step, together with others' when the endpoint refuses it because of them; like the shell.
    fn take_or_join(
        &mut self,
        observed: &Observed,
        step: &Step,
    ) -> Result<Option<RemoteIdentity>, FailureClass> {
        let object = &observed.object;
        let refused = match self.take(object, step) {
            Err(class) => class,
            taken => return taken,
        };
        let failure = Failure { class: refused, operation: step.to_string(), message: "no".to_owned() };
        if !may_be_blocked(step, &failure) {
            return Err(refused);
        }
        if self.without_commits {
            if let (Step::Update { id, spec, .. }, Remote::Present(remote)) = (step, &observed.remote)
                && let Some(spec) = widened(&remote.spec, spec)
                && self.remote_update(id, &spec).is_ok()
            {
                self.writes += 1;
            }
            return Err(refused);
        }
        let mut joint = JointWrite::of(object, step);
        let mut at_fault = vec![Arc::clone(object)];
        loop {
            let mut grown = false;
            for key in at_fault.iter().flat_map(|object| self.around(object)).collect::<Vec<_>>() {
                if let Some(other) = self.observe(&key, false).filter(|_| joint.wants(&key)) {
                    grown |= joint.offer(&other.object, &decide(&other, &settings()));
                }
            }
            if !joint.is_worth_a_try(grown, &at_fault) {
                return Err(refused);
            }
            match self.commit(&joint) {
                Ok(identity) => return Ok(Some(identity)),
                Err(parts) => at_fault = joint.objects_of(&parts),
            }
        }
    }

    /// The resources that `object` names or that name it.
    fn around(&self, object: &Object) -> Vec<ObjectKey> {
        let names = |one: &Object, other: &Object| {
            one.references().iter().any(|reference| reference.target == other.id)
        };
        let others = self.objects.values().filter(|other| other.key != object.key && !other.deleting);
        others
            .filter(|other| names(object, other) || names(other, object))
            .map(|one| one.key.clone())
            .collect()
    }

    /// All steps of `joint`, or none: the places of those that do not fit then.
    fn commit(&mut self, joint: &JointWrite) -> Result<RemoteIdentity, Vec<usize>> {
        let mut after = self.clone();
        let owners = joint.members().iter().flat_map(|member| member.steps.iter().map(|_| &member.object));
        for (object, step) in owners.zip(joint.steps()) {
            after.refuse_trespass(object, step);
            after.put(step);
        }
        let written: BTreeSet<&ResourceId> =
            joint.steps().filter_map(rules::written).map(|(id, _)| id).collect();
        let fits = |step: &Step| match rules::written(step) {
            Some((id, spec)) => {
                after.missing(id, spec).is_none()
                    && rules::fits_with(&after.remote, id, spec, &written).is_ok()
            }
            None => true,
        };
        let faults: Vec<usize> =
            joint.steps().enumerate().filter(|(_, step)| !fits(step)).map(|(part, _)| part).collect();
        let first = joint.members().first().and_then(|member| after.remote.get(&member.object.id));
        match first.map(|stored| stored.identity.clone()) {
            Some(identity) if faults.is_empty() => {
                after.writes += 1;
                after.commits += 1;
                *self = after;
                Ok(identity)
            }
            _ => Err(faults),
        }
    }

    /// A step of a commit, whatever else there is.
    fn put(&mut self, step: &Step) {
        match step {
            Step::Create { id, spec, tags, token } => {
                let uid = format!("remote-{}", self.serial());
                let identity = RemoteIdentity { arn: format!("arn:{id}"), uid, version: 1 };
                let (spec, tags, token) = (spec.clone(), tags.clone(), token.clone());
                self.remote.entry(id.clone()).or_insert(StoredObject { identity, spec, tags, token });
            }
            Step::Update { id, spec, token: _ } => {
                if let Some(stored) = self.remote.get_mut(id) {
                    stored.spec = spec.clone();
                    stored.identity.version += 1;
                }
            }
            Step::TagResource { arn, tags } => {
                self.by_arn(arn).into_iter().for_each(|stored| stored.tags.extend(tags.clone()));
            }
            Step::UntagResource { arn, keys, optional: _ } => {
                self.by_arn(arn)
                    .into_iter()
                    .for_each(|stored| stored.tags.retain(|key, _| !keys.contains(key)));
            }
            Step::AddFinalizer | Step::RemoveFinalizer | Step::Delete { .. } => panic!("{step} is no part"),
        }
    }

    /// Carries out a step. A request that is refused writes nothing.
    fn take(&mut self, object: &Object, step: &Step) -> Result<Option<RemoteIdentity>, FailureClass> {
        self.refuse_trespass(object, step);
        let result = self.attempt(object, step);
        self.writes += usize::from(result.is_ok());
        result
    }

    /// What is not ours, and not to be adopted, must never be written to.
    fn refuse_trespass(&self, object: &Object, step: &Step) {
        let writes = matches!(
            step,
            Step::Update { .. } | Step::Delete { .. } | Step::TagResource { .. } | Step::UntagResource { .. }
        );
        let Some(stored) = self.remote.get(&object.id).filter(|_| writes) else { return };
        let ours = stored.tags.get(OWNER_UID_TAG) == Some(&object.uid);
        let adopts = object.management.adoption_policy == AdoptionPolicy::Adopt && !object.deleting;
        assert!(ours || adopts, "{} trespasses with {step}: {stored:?}", object.key);
    }

    /// What another namespace lent must not outlive the resource that it was lent to.
    fn refuse_keeping(&self, object: &Object) {
        let stored = self.remote.get(&object.id);
        let ours = stored.filter(|stored| stored.tags.get(OWNER_UID_TAG) == Some(&object.uid));
        let kept = ours.map(|stored| self.permission(object, &stored.spec).elsewhere).unwrap_or_default();
        assert!(kept.is_empty() || object.is_observed(), "{} is let go of with {kept:?}", object.key);
    }

    fn attempt(&mut self, object: &Object, step: &Step) -> Result<Option<RemoteIdentity>, FailureClass> {
        match step {
            Step::AddFinalizer => {
                let current = self.objects.get_mut(&object.key).ok_or(FailureClass::Conflict)?;
                current.finalizers.push(FINALIZER.to_owned());
                Ok(None)
            }
            Step::RemoveFinalizer => {
                self.refuse_keeping(object);
                if object.orphan
                    || object.management.deletion_policy == fleetmesh_crds::DeletionPolicy::Retain
                {
                    self.let_go.insert(object.uid.clone());
                }
                if let Some(current) = self.objects.get_mut(&object.key) {
                    current.finalizers.retain(|finalizer| finalizer != FINALIZER);
                }
                self.collect(&object.key);
                Ok(None)
            }
            Step::Create { id, spec, tags, token } => self.remote_create(id, spec, tags, token).map(Some),
            Step::Update { id, spec, token: _ } => self.remote_update(id, spec).map(Some),
            Step::TagResource { arn, tags } => {
                let stored = self.by_arn(arn).ok_or(FailureClass::NotFound)?;
                stored.tags.extend(tags.clone());
                Ok(None)
            }
            Step::UntagResource { arn, keys, optional: _ } => {
                let stored = self.by_arn(arn).ok_or(FailureClass::NotFound)?;
                stored.tags.retain(|key, _| !keys.contains(key));
                Ok(None)
            }
            Step::Delete { id } => self.remote_delete(id).map(|()| None),
        }
    }

    fn by_arn(&mut self, arn: &str) -> Option<&mut StoredObject> {
        self.remote.values_mut().find(|stored| stored.identity.arn == arn)
    }

    /// Reconciles over everything without faults until nothing is written any more; panics when that takes too long.
    pub fn settle(&mut self) {
        for _ in 0..60 {
            let before = self.writes;
            for key in self.objects.keys().cloned().collect::<Vec<_>>() {
                self.reconcile(&key, Fault::None);
            }
            if self.writes == before {
                return;
            }
        }
        panic!("it does not settle: {self:#?}");
    }
}

pub fn key(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey { kind, namespace: (kind != Kind::Mesh).then(|| "apps".to_owned()), name: name.to_owned() }
}

pub fn spec(kind: Kind, json: serde_json::Value) -> Spec {
    Spec::from_json(kind, json).expect("a spec")
}
