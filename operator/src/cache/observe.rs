//! What a reconcile can know without asking the endpoint. No I/O.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_core::canary::Owners;
use fleetmesh_core::{
    Distribution, Maker, Object, ObjectKey, Observed, Reach, Referent, Remote, RemoteIdentity, programmed,
};
use fleetmesh_crds::AdoptionPolicy;
use fleetmesh_model::Reference;

use super::permission::is_refused_the_name;
use super::{Cache, CacheInner};

/// How many dependents a deletion waits for at a time.
const REPORTED_DEPENDENTS: usize = 5;

/// For how long a new object's referents may be on their way.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The local part of an observation.
#[derive(Debug)]
pub struct Local {
    /// Everything but the App Mesh object, which is `NotRead`.
    pub observed: Observed,
    /// Which generation of the spec the endpoint has, and as which state of the object, as far as an earlier reconcile learned it.
    pub in_step: Option<(i64, RemoteIdentity)>,
}

impl Cache {
    /// What is known about an object; `None` when the resource is gone.
    pub fn observe(&self, key: &ObjectKey) -> Option<Local> {
        let inner = self.lock();
        let entry = inner.entries.get(key)?;
        let object = Arc::clone(&entry.object);
        let memory = &entry.memory;
        let references = object.effective_spec.references(&object.id);
        let distribution = inner.distributions.of(&object.id);
        // One that is only looked at is known, and not its own.
        let own = memory.identity.as_ref().filter(|_| inner.index.maker(&object.id).is(&object));
        let observed = Observed {
            claim: inner.claim(&object),
            allowance: inner.allowance(&object),
            mesh_leaves: inner.mesh_leaves(&object),
            permission: inner.permission(&object, &object.references()),
            referents: references.into_iter().map(|reference| inner.referent(&object, reference)).collect(),
            dependents: if object.deleting { inner.dependents(&object) } else { Vec::new() },
            patience: memory.identity.is_none()
                && object.status.uid.is_none()
                && memory.since.elapsed() < PATIENCE,
            uid: memory.identity.as_ref().map(|identity| identity.uid.clone()).or(object.status.uid.clone()),
            own: own.map(|identity| identity.uid.clone()),
            evidence: inner.evidence(&object),
            in_force: match memory.in_force {
                Some(in_force) => in_force == (object.generation, object.mesh_tls),
                None => object.reported() && programmed::was_in_step(&object.status) && !object.awaits_tls(),
            },
            unanswered: memory.unanswered(),
            permitted_by: memory.permitted_by.clone(),
            user: inner.user(&object),
            former_tags: memory.tags.clone(),
            remote: Remote::NotRead,
            waited: None,
            ties: inner.ties(&object),
            owners: inner.owners_of(&object, &distribution),
            distribution,
            deprecation: memory.node().and_then(|node| node.deprecation.clone()),
            parts_gone: !object.has_parts(),
            object,
        };
        Some(Local { observed, in_step: memory.in_step.clone() })
    }
}

impl CacheInner {
    /// Whose the virtual nodes are whose proxies are sent the object.
    pub(super) fn owners_of(&self, object: &Object, distribution: &Distribution) -> Owners {
        let names = match distribution {
            Distribution::Reported(ObjectStatus { callers, .. }) => {
                callers.keys().map(String::as_str).collect()
            }
            Distribution::Unsupported | Distribution::Pending => BTreeSet::new(),
        };
        let own = object.key.namespace.clone().unwrap_or_default();
        Owners { own, namespaces: self.owners(object.id.mesh_name(), names) }
    }

    fn referent(&self, object: &Object, reference: Reference) -> Referent {
        let knows = self.distributions.knows(&reference.target);
        let reach = match self.holder(&reference.target) {
            None if knows => Reach::Exists,
            None => Reach::Unmanaged,
            Some(key) if self.exists(key) => Reach::Exists,
            Some(key) if self.merely_claims(key, object, knows) => match knows {
                true => Reach::Exists,
                false => Reach::Unmanaged,
            },
            Some(key) => Reach::Pending(key.clone()),
        };
        Referent { reference, reach }
    }

    /// Whether `key`, which has no App Mesh object, is a resource of another namespace than `object` that claims a name of which the
    /// endpoint has somebody else's object. It does not hold up what is in force already, nor anything unless it would adopt the
    /// object: what is new waits for that.
    fn merely_claims(&self, key: &ObjectKey, object: &Object, knows: bool) -> bool {
        let Some(claimant) = self.entries.get(key).map(|entry| &entry.object) else { return false };
        let adopts = claimant.management.adoption_policy == AdoptionPolicy::Adopt;
        let in_force = self.index.maker(&object.id).is(object);
        let refused = || is_refused_the_name(claimant, self.index.maker(&claimant.id));
        (in_force || !adopts) && key.namespace != object.key.namespace && (knows || refused())
    }

    /// The first few resources whose App Mesh objects need this one's: they exist, they hold their names, and name it
    /// as required and by permission: what names it without is in nobody's way. A few are enough to wait for and to
    /// report; all 1,500 of a mesh would be a new status with each.
    fn dependents(&self, object: &Object) -> Vec<ObjectKey> {
        let maker = self.index.maker(&object.id);
        if maker != Maker::Unread && !maker.is(object) {
            // What they need is somebody else's, and stays.
            return Vec::new();
        }
        let needs = |key: &ObjectKey| {
            let Some(entry) = self.entries.get(key) else { return false };
            let references = entry.object.effective_spec.references(&entry.object.id);
            references.iter().any(|reference| reference.required && reference.target == object.id)
                && self.holder(&entry.object.id) == Some(key)
                && self.may_name(&entry.object, &object.id)
        };
        let others = self.index.referrers(&object.id).filter(|key| **key != object.key);
        // In the order of their keys: the first few of all are among the first few of these.
        let others = others.filter(|key| self.exists(key) && needs(key)).take(REPORTED_DEPENDENTS);
        let dependents: BTreeSet<&ObjectKey> = others.chain(self.keepers(object)).collect();
        dependents.into_iter().take(REPORTED_DEPENDENTS).cloned().collect()
    }
}
