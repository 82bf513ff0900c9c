//! References to resources of other namespaces: which are permitted and by what, and what happens to an App Mesh object when its
//! permission ends. The resource with an App Mesh name owns it; a name without a resource is free. Pure.

use std::collections::BTreeMap;

use fleetmesh_crds::reference_grant::WantedReference;
use fleetmesh_crds::{ConditionType, Reason, ReferenceGrantSpec, Status, UNASKED};
use fleetmesh_model::{Kind, Reference, ResourceId};

use crate::claim::Maker;
use crate::decision::{Decision, Verdict};
use crate::object::{Object, ObjectKey};
use crate::observed::{Observed, Remote, RemoteObject};
use crate::outcome::Outcome;
use crate::owner;
use crate::plan::{Idle, Plan, Step, Waiting};
use crate::references::in_words;
use crate::status;
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
    /// `by` of the App Mesh object as it was read; empty when it was not read.
    pub rests: Vec<String>,
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
    /// Whether that resource has its App Mesh object, as the object's tags say. One that merely claims the name, perhaps of an
    /// object that is somebody else's, takes nothing out of the mesh, whatever its status says.
    pub owner_exists: bool,
    /// Whether it is not known yet who of several has the name, this resource or another one.
    pub contested: bool,
    /// Whether there is no ReferenceGrant for it.
    pub grant: bool,
    /// Whether it is a router whose `allowedRoutes` do not allow the namespace.
    pub allowed_routes: bool,
}

/// A resource that has an App Mesh name, or may have it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The resource.
    pub object: &'a Object,
    /// Who made the App Mesh object.
    pub maker: Maker<'a>,
}

impl Target<'_> {
    /// Whether what is named may be this resource's: as long as nobody read the tags its status counts, too.
    fn may_exist(&self) -> bool {
        self.maker.is(self.object) || self.maker == Maker::Unread && self.object.status.uid.is_some()
    }
}

/// Judges `references` of a resource `from`. `owners` gives the resource that has an App Mesh name; as long as nobody knows which
/// of several has it, all of them: each has to permit. `labels` are those of the namespace of `from`.
pub fn judge<'a>(
    from: &ObjectKey,
    references: &[Reference],
    owners: impl Fn(&ResourceId) -> Vec<Target<'a>>,
    grants: &Grants,
    labels: &BTreeMap<String, String>,
) -> Permission {
    let mut permission = Permission::default();
    let Some(namespace) = from.namespace.as_deref() else { return permission };
    let owners = |reference: &Reference| {
        let owners = owners(&reference.target);
        let contested = owners.len() > 1;
        owners.into_iter().map(move |owner| (owner, contested)).collect::<Vec<_>>()
    };
    let named = references.iter().flat_map(|one| owners(one).into_iter().map(move |owner| (one, owner)));
    for (reference, (target, contested)) in named {
        let owner = target.object;
        if !is_elsewhere(&owner.key, namespace) {
            continue;
        }
        if target.may_exist() && !permission.elsewhere.contains(&reference.target) {
            permission.elsewhere.push(reference.target.clone());
        }
        let grant = grants.permitting(from.kind, namespace, &owner.key);
        // A mesh, which is in no namespace, is none of these.
        let attaches = from.kind.info().parent == Some(owner.key.kind);
        let allowed =
            !attaches || owner.extension.attachable().is_some_and(|routes| routes.allows_other(labels));
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
                owner_exists: !contested && target.maker.is(owner),
                contested,
                grant: grant.is_none(),
                allowed_routes: !allowed,
            }),
        }
    }
    permission.by.sort();
    permission.by.dedup();
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
/// rests on a reference that is not permitted any more; but what an operator wrote that did not ask for grants yet stays
/// until it is in the way of a deletion. While nobody knows whose it is what it names, it waits for that.
pub fn withheld(observed: &Observed) -> Decision {
    let resolved = Verdict::Fails(Reason::RefNotPermitted, in_full(&observed.permission.missing));
    let contested = observed.permission.missing.iter().all(|one| one.contested);
    let plan = revocation(observed).unwrap_or_else(|| match observed.patience || contested {
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

/// The plan that takes what a namespace that the mesh refuses sends requests by out of the mesh; `None` when nothing of that is
/// there. It goes as after a lost grant, as if all ended at once: a route and a virtual service as a whole, of a virtual node the
/// backends. It comes back when the mesh allows the namespace.
pub fn put_out(observed: &Observed) -> Option<Plan> {
    let Remote::Present(remote) = &observed.remote else { return None };
    if !observed.is_put_out() || !observed.is_ours(remote) {
        return None;
    }
    let references = remote.spec.references(&observed.object.id);
    let backends: Vec<&ResourceId> =
        references.iter().filter(|one| !one.required).map(|one| &one.target).collect();
    let stays = observed.object.key.kind.info().requires.is_empty() && backends.is_empty();
    (!stays).then(|| Plan::Steps(vec![without(observed, remote, &backends)]))
}

fn goes(observed: &Observed) -> bool {
    let judged = !is_of_earlier(observed);
    observed.permission.revoked.iter().any(|one| one.owner_exists && (judged || one.owner_leaves))
}

/// Whether an operator wrote what is in force that did not ask for grants. The tags of its object have no word of grants then, nor
/// has its status a word of permissions, but a verdict about the references, and never that they are not permitted. One who asks
/// says so from the first report on: that a status says nothing means nothing.
fn is_of_earlier(observed: &Observed) -> bool {
    let status = &observed.object.status;
    let is_unasked = |by: &Vec<String>| by.iter().any(|one| one == UNASKED);
    if let Some(by) = &observed.permitted_by {
        return is_unasked(by);
    }
    if let Remote::Present(RemoteObject { tags: Some(tags), .. }) = &observed.remote
        && owner::is_judged(tags)
    {
        return false;
    }
    match &status.permitted_by {
        Some(by) => is_unasked(by),
        None => {
            let resolved = status.condition(ConditionType::ResolvedRefs);
            let refused = Reason::RefNotPermitted.as_str();
            status.uid.is_some() && resolved.is_some_and(|resolved| resolved.reason != refused)
        }
    }
}

/// What the App Mesh object rests on as the reconcile left it, to be remembered; `None` when there is none, or the reconcile could not
/// find out. Nothing in it comes from the status, except that an earlier operator wrote the object.
pub fn judged(observed: &Observed, decision: &Decision, outcome: &Outcome) -> Option<Vec<String>> {
    status::known_identity(observed, outcome)?;
    if status::in_step(decision, outcome) {
        return Some(observed.permission.by.clone());
    }
    let before = &observed.permitted_by;
    match &observed.remote {
        Remote::Present(remote) if observed.is_ours(remote) => match is_of_earlier(observed) {
            // It is marked as such as soon as that makes a difference.
            true => {
                let known = before.as_ref().or(observed.object.status.permitted_by.as_ref());
                let matters = known.is_some() || !observed.permission.missing.is_empty();
                matters.then(|| vec![UNASKED.to_owned()])
            }
            false => Some(observed.permission.rests.clone()),
        },
        _ => before.clone(),
    }
}

/// As [`judged`], to be reported: what the status says already where the reconcile did not find out.
pub fn rests_on(observed: &Observed, decision: &Decision, outcome: &Outcome) -> Option<Vec<String>> {
    status::known_identity(observed, outcome)?;
    judged(observed, decision, outcome).or_else(|| observed.object.status.permitted_by.clone())
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
    let rested = observed.permitted_by.as_ref().or(observed.object.status.permitted_by.as_ref());
    rested.is_some_and(|by| !by.is_empty())
        || !elsewhere.is_empty()
        || missing.iter().any(|one| one.owner_exists)
}

/// The step that takes `targets` out of an App Mesh object, or the object out of the mesh.
fn without(observed: &Observed, remote: &RemoteObject, targets: &[&ResourceId]) -> Step {
    let object = &observed.object;
    let gone = |name: &str| targets.iter().any(|target| target.name() == name);
    let Some(spec) = remote.spec.without(&gone) else { return Step::Delete { id: object.id.clone() } };
    let base = format!("withdrawn {}@{}", remote.identity.uid, remote.identity.version);
    let token = token(&object.uid, &base, &spec);
    Step::Update { id: object.id.clone(), spec, token }
}

/// Distinguishes a request for an object that may have been withdrawn from the one before it; `None` when none was withdrawn.
/// The status keeps the time since which a reference is missing or not permitted, or the mesh refuses the namespace.
pub fn withdrawn(status: &Status) -> Option<String> {
    let conditions = [ConditionType::ResolvedRefs, ConditionType::Accepted];
    let failing = conditions.into_iter().filter_map(|kind| status.condition(kind));
    let failing = failing.into_iter().find(|condition| condition.status == "False")?;
    Some(format!("withdrawn {}", failing.last_transition_time.0))
}

/// How many references a message lists.
const MAX_LISTED: usize = 5;

/// What is missing, and where to make it.
fn in_full(missing: &[Missing]) -> String {
    let mut texts: Vec<String> = missing.iter().take(MAX_LISTED).map(|one| one.in_words()).collect();
    if missing.len() > MAX_LISTED {
        texts.push(format!("and {} more references", missing.len() - MAX_LISTED));
    }
    format!("{}. Nothing is written until then; it continues automatically", texts.join("; "))
}

impl Missing {
    fn in_words(&self) -> String {
        let Self {
            reference,
            from,
            owner,
            owner_leaves: _,
            owner_exists: _,
            contested: _,
            grant,
            allowed_routes,
        } = self;
        let place = owner.namespace.as_deref().unwrap_or_default();
        let namespace = from.namespace.as_deref().unwrap_or_default();
        let mut wanted = Vec::new();
        if *grant {
            let grant = WantedReference { from: from.kind, namespace, to: owner.kind, name: &owner.name };
            wanted.push(format!("create a ReferenceGrant in namespace {place} {grant}"));
        }
        if *allowed_routes {
            wanted.push(format!("allow namespace {namespace} in spec.allowedRoutes of {owner}"));
        }
        let parent = || format!("spec.{}", owner.kind.info().member);
        let path = reference.path.clone().unwrap_or_else(parent);
        format!(
            "{} ({path}) is {owner}, which does not permit it: {}",
            in_words(&reference.target),
            wanted.join(" and ")
        )
    }
}
