//! Who has an App Mesh name, and who may name what: [`fleetmesh_core::claim`] and [`fleetmesh_core::permission`] asked about
//! what is known, and who is triggered when the answers change. No I/O.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_core::permission::{Target, judge, may_retire};
use fleetmesh_core::{Allowance, Evidence, Maker, Object, ObjectKey, OwnerClaim, Permission, claim};
use fleetmesh_crds::{AdoptionPolicy, ConditionType, Reason, ReferenceGrantSpec};
use fleetmesh_model::{Kind, Reference, ResourceId, Spec};

use super::index::once;
use super::{Cache, CacheInner, TagReading, Triggers};
use crate::queue::Trigger;

/// How many times, on the way from a resource to what it needs, a virtual node's backends are looked at. Backends are the one
/// reference by which the way could go around: node to service to node.
const BACKENDS: u8 = 1;

/// Who has a name, as far as it was computed already: what many claim and name would otherwise be looked at once for each way
/// that leads there.
type PermissionAnswers = RefCell<BTreeMap<(ResourceId, u8), Option<ObjectKey>>>;

/// Whether the endpoint has somebody else's object of the name that `owner` claims, or `owner` leaves and writes nothing any more:
/// then it owns nothing that others would have to ask for. From the moment in which the object is tagged as `owner`'s it does,
/// whatever the last report says. What the tags say counts before the report, which never comes for what waits, and which
/// somebody else may have written.
pub(super) fn is_refused_the_name(owner: &Object, maker: Maker<'_>) -> bool {
    let accepted = owner.status.condition(ConditionType::Accepted);
    let reported = accepted
        .is_some_and(|accepted| accepted.status == "False" && accepted.reason == Reason::NotOwned.as_str());
    let others = matches!(maker, Maker::Elsewhere | Maker::Resource(_))
        && claim::standing(owner, maker) == claim::Standing::New;
    !maker.is(owner) && (reported || others || is_leaving(owner, maker))
}

/// Whether it is being deleted and has let go of everything: it makes nothing any more, however long others keep it. What it may
/// have only the tags say.
fn is_leaving(object: &Object, maker: Maker<'_>) -> bool {
    let may_have_it = maker == Maker::Unread && object.status.uid.is_some();
    object.deleting && !object.finalized() && !may_have_it
}

impl Cache {
    /// A ReferenceGrant was seen; `None` when it is gone. Triggers those whose references it permits, or did.
    pub fn grant(&self, namespace: &str, name: &str, spec: Option<ReferenceGrantSpec>) -> Triggers {
        let mut inner = self.lock();
        let before = inner.grants.get(namespace, name).cloned();
        if before == spec {
            return Triggers::new();
        }
        let about: Vec<&ReferenceGrantSpec> = before.iter().chain(&spec).collect();
        let concerned = inner.concerned(namespace, &about);
        let permission = |inner: &CacheInner, key: &ObjectKey| {
            inner.entries.get(key).map(|entry| inner.permission(&entry.object, &entry.object.references()))
        };
        let former: Vec<Option<Permission>> = concerned.iter().map(|key| permission(&inner, key)).collect();
        inner.grants.set(namespace, name, spec);
        let changed = concerned.into_iter().zip(former);
        let changed = changed.filter(|(key, former)| permission(&inner, key) != *former);
        let changed: Vec<ObjectKey> = changed.map(|(key, _)| key).collect();
        inner.reconsider(&changed)
    }

    /// Notes what the tags of an App Mesh object, read or written just now, say of who made it. Triggers all that this concerns
    /// when somebody else has the name by that, and those that name the object and may not, or might not before.
    pub fn tagged(&self, id: &ResourceId, tagged: TagReading) -> Triggers {
        let mut inner = self.lock();
        let held_up = inner.held_up_by(id);
        if !inner.index.tag(id, tagged) {
            return Triggers::new();
        }
        let mut triggers = inner.settle(vec![id.clone()]);
        triggers.extend(held_up);
        // What was free, or nobody knew whose it is, may be somebody's by now.
        triggers.extend(inner.held_up_by(id));
        once(triggers)
    }

    /// Whose the App Mesh name of `object` is.
    pub fn claim(&self, object: &Object) -> OwnerClaim {
        self.lock().claim(object)
    }

    /// What the references of `spec` rest on when `object` has it.
    pub fn permission(&self, object: &Object, spec: &Spec) -> Permission {
        self.lock().permission(object, &spec.references(&object.id))
    }

    /// Whether a rollout of `route` may retire `node`.
    pub fn may_retire(&self, route: &ObjectKey, node: &Object) -> bool {
        self.lock().may_retire(route, node)
    }
}

impl CacheInner {
    pub(super) fn claim(&self, object: &Object) -> OwnerClaim {
        match self.holder(&object.id) {
            Some(holder) if *holder != object.key => OwnerClaim::Taken(holder.clone()),
            _ => OwnerClaim::Ours,
        }
    }

    /// The resources with valid specs that claim a name.
    fn rivals(&self, id: &ResourceId) -> impl Iterator<Item = &ObjectKey> {
        let valid = |key: &&ObjectKey| self.entries.get(key).is_some_and(|entry| entry.valid);
        self.index.claimants(id).filter(valid)
    }

    /// What is known of who has the name of `object`.
    pub(super) fn evidence(&self, object: &Object) -> Evidence {
        let maker = self.index.maker(&object.id);
        let knows = || {
            let entry = self.entries.get(&object.key);
            object.status.uid.is_some() || entry.is_some_and(|entry| entry.memory.identity.is_some())
        };
        match maker {
            // It was found out for somebody else: what it has itself it does not know.
            Maker::Resource(_) if maker.is(object) && !knows() => Evidence::Unread,
            Maker::NoResource | Maker::Elsewhere | Maker::Resource(_) => Evidence::Read,
            Maker::Unread if self.rivals(&object.id).nth(1).is_some() => Evidence::Contested,
            Maker::Unread if self.naming_unpermitted(object).next().is_some() => Evidence::Contested,
            Maker::Unread => Evidence::Unread,
        }
    }

    /// Those that name `id` and may not, because somebody has the name.
    fn held_up_by(&self, id: &ResourceId) -> Triggers {
        let owner = self.holder(id).and_then(|key| self.entries.get(key)).map(|entry| &entry.object);
        owner.map(|owner| self.not_permitted_to_name(owner)).unwrap_or_default()
    }

    /// The resources that do not permit `object` to name them, and of whose App Mesh objects nobody read the tags: whether they own
    /// what they claim is for them to find out, or they would hold up whoever names what somebody else made.
    pub(super) fn unread_owners(&self, object: &Object) -> Triggers {
        let missing = self.permission(object, &object.references()).missing;
        let unread =
            missing.into_iter().filter(|one| self.index.maker(&one.reference.target) == Maker::Unread);
        unread.map(|one| (one.owner, Trigger::Look)).collect()
    }

    pub(super) fn allowance(&self, object: &Object) -> Allowance {
        let (Some(namespace), true) = (&object.key.namespace, object.key.kind != Kind::Mesh) else {
            return Allowance::Allowed;
        };
        let name = object.id.mesh_name();
        let Some(mesh) = self.holder(&ResourceId::mesh(name)).and_then(|key| self.entries.get(key)) else {
            return Allowance::NoMesh(name.name().to_owned());
        };
        let allowed = mesh.object.extension.mesh().and_then(|mesh| mesh.namespaces.as_ref());
        let Some(allowed) = allowed else { return Allowance::Allowed };
        // A selector that cannot be read selects nothing; the API server refuses it before it comes here.
        match self.labels(&object.key, |labels| allowed.allows(labels)) {
            Ok(true) => Allowance::Allowed,
            Ok(false) | Err(_) => {
                Allowance::Refused { mesh: mesh.object.key.clone(), namespace: namespace.clone() }
            }
        }
    }

    /// A resource of another namespace that is in force and names `object`, which asks to adopt, and would not be permitted to
    /// if that had its name. Until its tags were read, what its status reports is taken to be in force.
    pub(super) fn user(&self, object: &Object) -> Option<ObjectKey> {
        if object.management.adoption_policy != AdoptionPolicy::Adopt || object.deleting {
            return None;
        }
        let maker = self.index.maker(&object.id);
        let bereaved = |key: &&ObjectKey| {
            let user = self.entries.get(key).map(|entry| &*entry.object);
            let user = user.filter(|user| user.key.namespace != object.key.namespace);
            let in_force = |user: &&Object| match self.index.maker(&user.id) {
                Maker::Unread => user.status.uid.is_some(),
                maker => maker.is(user),
            };
            user.filter(in_force).is_some_and(|user| {
                let mut references = user.references();
                references.retain(|one| one.target == object.id);
                let owners = |_: &ResourceId| vec![Target { object, maker }];
                let judge = |labels: &_| judge(&user.key, &references, owners, &self.grants, labels);
                !self.labels(&user.key, judge).missing.is_empty()
            })
        };
        // A maker is no adopter.
        if maker.is(object) { None } else { self.index.referrers(&object.id).find(bereaved).cloned() }
    }

    /// The labels of the namespace of `key`.
    fn labels<T>(&self, key: &ObjectKey, ask: impl FnOnce(&BTreeMap<String, String>) -> T) -> T {
        match key.namespace.as_ref().and_then(|namespace| self.namespaces.get(namespace)) {
            Some(labels) => ask(labels),
            None => ask(&BTreeMap::new()),
        }
    }

    /// What `references` of `object` rest on.
    pub(super) fn permission(&self, object: &Object, references: &[Reference]) -> Permission {
        let owners = |id: &ResourceId| self.owners_of_name(id);
        self.labels(&object.key, |labels| judge(&object.key, references, owners, &self.grants, labels))
    }

    /// Who has the name `id`; those who may have it as long as it is not known who of them does.
    fn owners_of_name(&self, id: &ResourceId) -> Vec<Target<'_>> {
        let maker = self.index.maker(id);
        let target = |key: &ObjectKey| {
            let object = &*self.entries.get(key)?.object;
            (!is_refused_the_name(object, maker)).then_some(Target { object, maker })
        };
        match maker {
            Maker::Unread if self.rivals(id).nth(1).is_some() => self.rivals(id).filter_map(target).collect(),
            _ => self.holder(id).and_then(target).into_iter().collect(),
        }
    }

    /// Whether `object` may name `target`. What it may not name, it does not hold up.
    pub(super) fn may_name(&self, object: &Object, target: &ResourceId) -> bool {
        let owners = self.owners_of_name(target);
        if owners.iter().all(|owner| owner.object.key.namespace == object.key.namespace) {
            return true;
        }
        let mut references = object.references();
        references.retain(|reference| reference.target == *target);
        self.permission(object, &references).missing.is_empty()
    }

    pub(super) fn may_retire(&self, route: &ObjectKey, node: &Object) -> bool {
        self.labels(route, |labels| may_retire(route, node, labels))
    }

    /// Who has the name `id`, computed from what is known now. `answers` holds what was computed since something changed.
    fn best(&self, id: &ResourceId, backends: u8, answers: &PermissionAnswers) -> Option<&Object> {
        let question = (id.clone(), backends);
        let known = answers.borrow().get(&question).cloned();
        if let Some(known) = known {
            return known.and_then(|key| self.entries.get(&key)).map(|entry| &*entry.object);
        }
        let maker = self.index.maker(id);
        let claimants = self.index.claimants(id).filter_map(|key| self.entries.get(key));
        let contenders = claimants.map(|entry| {
            let object = &*entry.object;
            claim::NameContender {
                object,
                refused: matches!(self.allowance(object), Allowance::Refused { .. }),
            }
        });
        let acceptable = |object: &Object| {
            self.entries.get(&object.key).is_some_and(|entry| entry.valid)
                && !is_leaving(object, maker)
                && self.allowance(object) == Allowance::Allowed
                && self.may_name_all(object, backends, answers)
        };
        let best = claim::holder(contenders, maker, acceptable);
        answers.borrow_mut().insert(question, best.map(|object| object.key.clone()));
        best
    }

    /// Whether `object` may name everything that it names; of what need not exist only as long as `backends` is not 0.
    fn may_name_all(&self, object: &Object, backends: u8, answers: &PermissionAnswers) -> bool {
        let mut references = object.references();
        references.retain(|reference| reference.required || backends > 0);
        let owner = |target: &ResourceId| {
            // What need not exist may lead back to where it was named.
            let less = u8::from(!object.key.kind.info().mentions.is_empty());
            let owner = self.best(target, backends.saturating_sub(less), answers);
            let maker = self.index.maker(target);
            let owner = owner.filter(|owner| !is_refused_the_name(owner, maker));
            owner.map(|object| Target { object, maker }).into_iter().collect()
        };
        let judged =
            self.labels(&object.key, |labels| judge(&object.key, &references, owner, &self.grants, labels));
        judged.missing.is_empty()
    }

    /// Computes anew who has these names. Where that is another than before it triggers those that claim and that name it, and
    /// goes on with what hangs on these. Call it for the names of everything about which something else is known now.
    pub(super) fn settle(&mut self, ids: Vec<ResourceId>) -> Triggers {
        let mut triggers = Triggers::new();
        let mut next: BTreeSet<ResourceId> = ids.into_iter().collect();
        let answers = PermissionAnswers::default();
        while let Some(id) = next.pop_first() {
            let best = self.best(&id, BACKENDS, &answers).map(|object| object.key.clone());
            if self.index.held.get(&id) == best.as_ref() {
                continue;
            }
            // Who has a mesh decides which namespaces may be in it.
            answers.borrow_mut().clear();
            match best {
                Some(key) => self.index.held.insert(id.clone(), key),
                None => self.index.held.remove(&id),
            };
            let mut concerned: BTreeSet<ObjectKey> =
                self.index.claimants(&id).chain(self.index.referrers(&id)).cloned().collect();
            if id.kind() == Kind::Mesh {
                concerned.extend(self.inside(id.mesh_name()));
            }
            let entries = concerned.iter().filter_map(|key| self.entries.get(key));
            next.extend(entries.map(|entry| entry.object.id.clone()).filter(|other| *other != id));
            triggers.extend(concerned.into_iter().map(|key| (key, Trigger::Look)));
        }
        triggers
    }

    /// Everything in a mesh but the mesh.
    fn inside(&self, mesh: &str) -> Vec<ObjectKey> {
        let objects = self.entries.values().map(|entry| &entry.object);
        let inside =
            objects.filter(|object| object.id.mesh_name().name() == mesh && object.key.kind != Kind::Mesh);
        inside.map(|object| object.key.clone()).collect()
    }

    /// What is in a mesh and whose namespaces it allows now and did not before, or the other way around.
    fn allowed_otherwise(&self, former: &Object, mesh: &Object) -> Vec<ObjectKey> {
        let allows = |mesh: &Object, labels: &BTreeMap<String, String>| {
            let allowed = mesh.extension.mesh().and_then(|mesh| mesh.namespaces.as_ref());
            allowed.is_none_or(|allowed| allowed.allows(labels).unwrap_or(false))
        };
        let mut answers: BTreeMap<Option<String>, bool> = BTreeMap::new();
        let mut inside = self.inside(mesh.id.mesh_name());
        inside.retain(|key| {
            let otherwise = || self.labels(key, |labels| allows(former, labels) != allows(mesh, labels));
            *answers.entry(key.namespace.clone()).or_insert_with(otherwise)
        });
        inside
    }

    /// Triggers these, and those whom it concerns when names are others' by that.
    pub(super) fn reconsider(&mut self, keys: &[ObjectKey]) -> Triggers {
        let entries = keys.iter().filter_map(|key| self.entries.get(key));
        let ids = entries.map(|entry| entry.object.id.clone()).collect();
        let mut triggers: Triggers = keys.iter().map(|key| (key.clone(), Trigger::Look)).collect();
        triggers.extend(self.settle(ids));
        once(triggers)
    }

    /// `object` says something else about resources of other namespaces than `former`, which it was before.
    pub(super) fn consent_changed(&mut self, former: &Object, object: &Object) -> Triggers {
        let concerned: Vec<ObjectKey> = if object.key.kind == Kind::Mesh {
            self.allowed_otherwise(former, object)
        } else {
            let referrers = self.index.referrers(&object.id);
            referrers.filter(|key| key.namespace != object.key.namespace).cloned().collect()
        };
        self.reconsider(&concerned)
    }

    /// Those that name `object`, and may not.
    fn naming_unpermitted<'a>(&'a self, object: &'a Object) -> impl Iterator<Item = &'a Object> {
        let entries = self.index.referrers(&object.id).filter_map(|key| self.entries.get(key));
        let referrers = entries.map(|entry| &*entry.object);
        let referrers = referrers.filter(|referrer| referrer.key.namespace != object.key.namespace);
        referrers.filter(|referrer| !self.may_name(referrer, &object.id))
    }

    /// The same, to be triggered.
    pub(super) fn not_permitted_to_name(&self, object: &Object) -> Triggers {
        self.naming_unpermitted(object).map(|referrer| (referrer.key.clone(), Trigger::Look)).collect()
    }

    /// Those that grants of `namespace` with these specs are about: of a kind and in a namespace that one of them names,
    /// and naming something of `namespace`.
    fn concerned(&self, namespace: &str, about: &[&ReferenceGrantSpec]) -> Vec<ObjectKey> {
        let owned = |id: &ResourceId| {
            self.holder(id).is_some_and(|owner| owner.namespace.as_deref() == Some(namespace))
        };
        let asks = |object: &Object| {
            let from = about.iter().flat_map(|spec| &spec.from);
            from.into_iter().any(|from| {
                from.kind.kind() == object.key.kind
                    && Some(from.namespace.as_str()) == object.key.namespace.as_deref()
            }) && object.references().iter().any(|reference| owned(&reference.target))
        };
        let objects = self.entries.values().map(|entry| &entry.object);
        objects.filter(|object| asks(object)).map(|object| object.key.clone()).collect()
    }
}
