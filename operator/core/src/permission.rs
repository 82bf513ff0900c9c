//! References to resources of other namespaces: which are permitted and by what, and what becomes of an App Mesh object
//! that rests on one that is not. The resource that has an App Mesh name owns it; a name that none has is free. Pure.

use std::collections::BTreeMap;

use fleetmesh_crds::reference_grant::Wanted;
use fleetmesh_crds::{ConditionType, Reason, ReferenceGrantSpec, Status};
use fleetmesh_model::{Kind, Reference, ResourceId, Spec};

use crate::decision::{Decision, Verdict};
use crate::object::{Object, ObjectKey};
use crate::observed::{Observed, Remote, RemoteObject};
use crate::plan::{Idle, Plan, Step, Waiting};
use crate::references::in_words;
use crate::token::token;

/// The ReferenceGrants of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(BTreeMap<String, BTreeMap<String, ReferenceGrantSpec>>);

impl Grants {
    /// The grant `name` of `namespace`.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&ReferenceGrantSpec> {
        self.0.get(namespace)?.get(name)
    }

    /// Puts the grant `name` into `namespace`, or takes it away when `spec` is `None`.
    pub fn set(&mut self, namespace: &str, name: &str, spec: Option<ReferenceGrantSpec>) {
        let grants = self.0.entry(namespace.to_owned()).or_default();
        match spec {
            Some(spec) => grants.insert(name.to_owned(), spec),
            None => grants.remove(name),
        };
        if grants.is_empty() {
            self.0.remove(namespace);
        }
    }

    /// The first grant, by name, that permits resources of kind `from` in `namespace` to name `to`.
    fn permitting(&self, from: Kind, namespace: &str, to: &ObjectKey) -> Option<&str> {
        let grants = self.0.get(to.namespace.as_deref()?)?;
        let permits = |grant: &ReferenceGrantSpec| grant.permits(from, namespace, to.kind, &to.name);
        grants.iter().find(|(_, grant)| permits(grant)).map(|(name, _)| name.as_str())
    }
}

/// What a resource's references to other namespaces rest on. The default is that of one that has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// The references that are not permitted.
    pub missing: Vec<Missing>,
    /// What permits the others, as a person reads it, each once, in order.
    pub by: Vec<String>,
    /// What is named of other namespaces that has its App Mesh object, permitted or not.
    pub elsewhere: Vec<ResourceId>,
    /// The references of the App Mesh object as it was read that are not permitted; empty when it was not read.
    pub revoked: Vec<Missing>,
    /// `elsewhere` of the App Mesh object as it was read; empty when it was not read.
    pub lent: Vec<ResourceId>,
}

/// A reference that is not permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is named, and where.
    pub reference: Reference,
    /// The resource that names it.
    pub from: ObjectKey,
    /// The resource that is named.
    pub owner: ObjectKey,
    /// Whether that resource is being deleted.
    pub owner_leaves: bool,
    /// Whether that resource has its App Mesh object, as its status says. One that merely claims the name, perhaps of an object
    /// that is somebody else's, takes nothing out of the mesh.
    pub owner_exists: bool,
    /// Whether there is no ReferenceGrant for it.
    pub grant: bool,
    /// Whether it is a router whose `allowedRoutes` do not allow the namespace.
    pub allowed_routes: bool,
}

/// Judges `references` of a resource `from`. `owner` gives the resource that has an App Mesh name; `labels` are those of the
/// namespace of `from`.
pub fn judge<'a>(
    from: &ObjectKey,
    references: &[Reference],
    owner: impl Fn(&ResourceId) -> Option<&'a Object>,
    grants: &Grants,
    labels: &BTreeMap<String, String>,
) -> Permission {
    let mut permission = Permission::default();
    let Some(namespace) = from.namespace.as_deref() else { return permission };
    for reference in references {
        let Some(owner) = owner(&reference.target).filter(|owner| is_elsewhere(&owner.key, namespace)) else {
            continue;
        };
        if owner.status.uid.is_some() {
            permission.elsewhere.push(reference.target.clone());
        }
        let grant = grants.permitting(from.kind, namespace, &owner.key);
        let attaches = from.kind == Kind::Route && owner.key.kind == Kind::VirtualRouter;
        let allowed = !attaches
            || owner
                .extension
                .router()
                .and_then(|router| router.routes.as_ref())
                .is_some_and(|routes| routes.allows_other(labels));
        match grant {
            Some(grant) if allowed => {
                let place = owner.key.namespace.as_deref().unwrap_or_default();
                let by = format!("ReferenceGrant {place}/{grant}");
                if !permission.by.contains(&by) {
                    permission.by.push(by);
                }
                if attaches {
                    permission.by.push(format!("allowedRoutes of {}", owner.key));
                }
            }
            grant => permission.missing.push(Missing {
                reference: reference.clone(),
                from: from.clone(),
                owner: owner.key.clone(),
                owner_leaves: owner.deleting,
                owner_exists: owner.status.uid.is_some(),
                grant: grant.is_none(),
                allowed_routes: !allowed,
            }),
        }
    }
    permission.by.sort();
    permission
}

/// A mesh is in no namespace and says by `allowedNamespaces` who may use it.
fn is_elsewhere(owner: &ObjectKey, namespace: &str) -> bool {
    owner.namespace.as_deref().is_some_and(|other| other != namespace)
}

/// Whether a rollout of `route` may retire the virtual node `node`: it is of the route's namespace, whose labels are
/// `labels`, or allows that one.
pub fn may_retire(route: &ObjectKey, node: &Object, labels: &BTreeMap<String, String>) -> bool {
    node.key.namespace == route.namespace
        || node
            .extension
            .node()
            .and_then(|node| node.retirement.as_ref())
            .is_some_and(|routes| routes.allows_other(labels))
}

/// What to do about a resource that names what it may not: nothing of it is written. What is in force goes as soon as it
/// rests on a reference that is not permitted any more; but what was never judged, because an operator wrote it that did
/// not ask for grants yet, stays until it is in the way of a deletion.
pub fn withheld(observed: &Observed) -> Decision {
    let resolved = Verdict::Fails(Reason::RefNotPermitted, in_full(&observed.permission.missing));
    let plan = revocation(observed).unwrap_or_else(|| match observed.patience {
        true => {
            let targets = observed.permission.missing.iter().map(|one| one.reference.target.clone());
            Plan::Wait(Waiting::Arrival(targets.collect()))
        }
        false => Plan::Nothing(Idle::NotPermitted),
    });
    Decision { accepted: Verdict::Holds, resolved, plan, drift: None, adopts: false }
}

/// What to do about a resource that names only what it may, while its App Mesh object still rests on what it may not and
/// cannot be brought to the spec, because something that the spec names is not there: whoever loses a permission must not
/// keep what it gave by naming something that does not exist. `None` when it can, or there is no such thing.
pub fn overdue(observed: &Observed) -> Option<Decision> {
    let stuck = observed.pending().next().is_some() || observed.unmanaged().next().is_some();
    let plan = revocation(observed).filter(|_| stuck)?;
    let resolved = Verdict::Fails(Reason::RefNotPermitted, in_full(&observed.permission.revoked));
    Some(Decision { accepted: Verdict::Holds, resolved, plan, drift: None, adopts: false })
}

/// The plan that takes what is in force and not permitted any more out of the mesh; `None` when there is no such thing.
pub fn revocation(observed: &Observed) -> Option<Plan> {
    match &observed.remote {
        Remote::Present(remote) if observed.is_ours(remote) && goes(observed) => {
            Some(withdrawal(observed, remote))
        }
        _ => None,
    }
}

fn goes(observed: &Observed) -> bool {
    let status = &observed.object.status;
    let revoked = &observed.permission.revoked;
    // An operator that ended between its write and its report left no word of it.
    let unreported = status.uid.is_none() && !observed.permission.missing.is_empty();
    let judged = status.permitted_by.is_some() || unreported;
    revoked.iter().any(|one| one.owner_exists && (judged || one.owner_leaves))
}

/// Takes what is not permitted out of the mesh, in one request and to the end. A route and a virtual service go as a whole.
/// A virtual node is other teams' target, too: only its backends that are not permitted go.
fn withdrawal(observed: &Observed, remote: &RemoteObject) -> Plan {
    let revoked = observed.permission.revoked.iter().filter(|one| one.owner_exists);
    let targets: Vec<&ResourceId> = revoked.map(|one| &one.reference.target).collect();
    Plan::Steps(vec![without(observed, remote, &targets)])
}

/// What takes what another namespace lent out of an App Mesh object that its resource lets go of: `None` when nothing is
/// lent. Nobody would watch over the object any more, so that the owner of what it names could not take that back.
pub fn returned(observed: &Observed, remote: &RemoteObject) -> Option<Step> {
    let lent: Vec<&ResourceId> = observed.permission.lent.iter().collect();
    (!lent.is_empty()).then(|| without(observed, remote, &lent))
}

/// Whether the App Mesh object of a resource that is being deleted may name what is another namespace's, as far as that is
/// known without reading it.
pub fn may_be_lent(observed: &Observed) -> bool {
    let Permission { missing, elsewhere, .. } = &observed.permission;
    let rested = observed.object.status.permitted_by.as_ref().is_some_and(|by| !by.is_empty());
    rested || !elsewhere.is_empty() || missing.iter().any(|one| one.owner_exists)
}

/// The step that takes `targets` out of an App Mesh object, or the object out of the mesh.
fn without(observed: &Observed, remote: &RemoteObject, targets: &[&ResourceId]) -> Step {
    let object = &observed.object;
    let Spec::VirtualNode(node) = &remote.spec else {
        return Step::Delete { id: object.id.clone() };
    };
    let gone = |name: &str| targets.iter().any(|target| target.name() == name);
    let spec = Spec::VirtualNode(Box::new(node.as_ref().clone().without_backends(gone)));
    let base = format!("withdrawn {}@{}", remote.identity.uid, remote.identity.version);
    let token = token(&object.uid, &base, &spec);
    Step::Update { id: object.id.clone(), spec, token }
}

/// What tells the wish for an object that may have been withdrawn from that for the one before; `None` when none was. The
/// status keeps the time since which a reference is missing or not permitted.
pub fn withdrawn(status: &Status) -> Option<String> {
    let resolved = status.condition(ConditionType::ResolvedRefs)?;
    (resolved.status == "False").then(|| format!("withdrawn {}", resolved.last_transition_time.0))
}

/// How many references are told one by one.
const TOLD: usize = 5;

/// What is missing, and where to make it.
fn in_full(missing: &[Missing]) -> String {
    let mut texts: Vec<String> = missing.iter().take(TOLD).map(|one| one.in_words()).collect();
    if missing.len() > TOLD {
        texts.push(format!("and {} more references", missing.len() - TOLD));
    }
    format!("{}. Nothing is written until then; it goes on by itself", texts.join("; "))
}

impl Missing {
    fn in_words(&self) -> String {
        let Self { reference, from, owner, owner_leaves: _, owner_exists: _, grant, allowed_routes } = self;
        let place = owner.namespace.as_deref().unwrap_or_default();
        let namespace = from.namespace.as_deref().unwrap_or_default();
        let mut wanted = Vec::new();
        if *grant {
            let grant = Wanted { from: from.kind, namespace, to: owner.kind, name: &owner.name };
            wanted.push(format!("create a ReferenceGrant in namespace {place} {grant}"));
        }
        if *allowed_routes {
            wanted.push(format!("allow namespace {namespace} in spec.allowedRoutes of {owner}"));
        }
        let path = reference.path.as_deref().unwrap_or("spec.virtualRouterName");
        format!(
            "{} ({path}) is {owner}, which does not permit it: {}",
            in_words(&reference.target),
            wanted.join(" and ")
        )
    }
}
