//! The observation of a reconcile: the resource, what the cluster says about it, and the App Mesh object. Pure data, and the pure
//! decision on which reads a reconcile needs.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_crds::DeletionPolicy;
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Kind, Reference, ResourceId, Spec};

use crate::canary::Owners;
use crate::failure::Failure;
use crate::object::{Object, ObjectKey};
use crate::owner;
use crate::permission::Permission;
use crate::tie::Tie;

/// How many of the routes that one ties with an observation has.
pub const MAX_TIES: usize = 5;

/// Everything that a decision depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The resource.
    pub object: Arc<Object>,
    /// Whose the App Mesh name is.
    pub claim: OwnerClaim,
    /// Whether the mesh allows the resource's namespace.
    pub allowance: Allowance,
    /// Whether the Mesh that it is in is being deleted, which waits until nothing is in it.
    pub mesh_leaves: bool,
    /// What the references to other namespaces rest on.
    pub permission: Permission,
    /// What the spec names, the parent first.
    pub referents: Vec<Referent>,
    /// Whether referents that no resource stands for may still be on their way: the resource is new, and a directory is
    /// applied file by file.
    pub patience: bool,
    /// The uid of the resource's App Mesh object, remembered or reported. Whose the object is it does not say.
    pub uid: Option<String>,
    /// The uid of the App Mesh object that this process wrote as the resource's, or whose tags it saw name the resource;
    /// `None` when it did neither yet.
    pub own: Option<String>,
    /// What is known of who has the name.
    pub evidence: Evidence,
    /// Whether the spec as it is now was in force before: this process saw that, or the last report says so.
    pub in_force: bool,
    /// Specs that this process lately wrote without getting an answer: they may come into force at any time.
    pub unanswered: Vec<Spec>,
    /// What the App Mesh object in force rests on, as this process judged it; `None` when it did not yet.
    pub permitted_by: Option<Vec<String>>,
    /// Resources whose App Mesh objects refer to this one's and keep it from being deleted.
    pub dependents: Vec<ObjectKey>,
    /// A resource of another namespace that is in force and names this one's App Mesh name, and would not be permitted to if this
    /// resource had it. Looked for when the resource asks to adopt.
    pub user: Option<ObjectKey>,
    /// The tags that the resource asked for in the last converged reconcile, when it is remembered.
    pub former_tags: Option<Tags>,
    /// The App Mesh object.
    pub remote: Remote,
    /// The routes that it ties with, of a route; at most [`MAX_TIES`].
    pub ties: Vec<Tie>,
    /// How far the object got among the proxies.
    pub distribution: Distribution,
    /// How long proxies that say nothing about this version were waited for, once that was long enough.
    pub waited: Option<Duration>,
    /// Whose the virtual nodes are whose proxies it is to get to.
    pub owners: Owners,
    /// What a rollout said of the virtual node; `None` when none did since the operator started.
    pub deprecation: Option<Deprecation>,
    /// Whether nothing is left in AWS of the identity and the fleet; always of a resource that has neither.
    pub parts_gone: bool,
}

/// What a rollout says of a virtual node that lost its last request, or got requests again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deprecation {
    /// It is deprecated, and why.
    Deprecated(String),
    /// It is not, or not any more.
    TakenBack,
}

/// Whose an App Mesh name is among the resources of this cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerClaim {
    /// This resource's, or nobody's.
    Ours,
    /// Another resource's.
    Taken(ObjectKey),
}

/// What is known of who has an App Mesh name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The App Mesh object's tags were read since the process started, or there is no object.
    Read,
    /// They were not, and no other resource claims the name.
    Unread,
    /// They were not, and other resources whose specs are valid claim the name, or others that it does not permit name it: nobody
    /// has it until they are.
    Contested,
}

/// Whether the mesh allows resources of the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// It does.
    Allowed,
    /// No Mesh resource stands for the mesh of this name.
    NoMesh(String),
    /// It does not.
    Refused {
        /// The mesh that refuses.
        mesh: ObjectKey,
        /// The namespace that it refuses.
        namespace: String,
    },
}

/// One thing that the spec names, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referent {
    /// What is named, and where.
    pub reference: Reference,
    /// How far it is.
    pub reach: Reach,
}

/// How far a referent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A resource stands for it, and its App Mesh object exists.
    Exists,
    /// A resource stands for it, its App Mesh object does not exist yet: the write waits for it.
    Pending(ObjectKey),
    /// No resource stands for it. It may have been made without Fleetmesh; only the endpoint knows.
    Unmanaged,
}

/// The App Mesh object as far as the reconcile knows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Remote {
    /// Not read: nothing says that it exists.
    NotRead,
    /// Not read, because the last reconcile left it in step with this very spec.
    InStep(RemoteIdentity),
    /// It does not exist.
    Absent,
    /// It exists.
    Present(RemoteObject),
    /// The read failed.
    Unreadable(Failure),
}

/// What identifies one state of one App Mesh object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteIdentity {
    /// The ARN.
    pub arn: String,
    /// The uid: another object of the same name has another one.
    pub uid: String,
    /// The version: it grows with each change.
    pub version: i64,
}

/// An App Mesh object that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteObject {
    /// Its identity.
    pub identity: RemoteIdentity,
    /// Its spec.
    pub spec: Spec,
    /// Its tags, when they were read.
    pub tags: Option<Tags>,
}

/// How many proxies run an object, as the control plane reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly every value is the large one")]
pub enum Distribution {
    /// The endpoint does not report it: it is not a Fleetmesh control plane.
    Unsupported,
    /// The endpoint has not reported on this object yet.
    Pending,
    /// What the endpoint reported last. What proxies say is printable ([`fleetmesh_model::foreign::printable`]).
    Reported(ObjectStatus),
}

/// The reads that a reconcile needs before it can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// None.
    Nothing,
    /// The object; and its tags when it is not known to be the resource's own.
    Object,
    /// The object and its tags.
    ObjectAndTags,
}

impl Observed {
    /// The reads that the reconcile needs. `doubt` says that the last write met something unexpected, so that nothing is
    /// taken for granted. The remote part of `self` is not looked at.
    pub fn reads(&self, doubt: bool) -> Reads {
        let object = &self.object;
        if object.deleting {
            let lets_go = !object.finalized() || object.is_observed();
            // A mesh names nothing.
            let lets_go = lets_go || (object.orphan && object.key.kind == Kind::Mesh);
            let ours = self.claim == OwnerClaim::Ours;
            let waits = ours
                && object.management.deletion_policy == DeletionPolicy::Delete
                && !self.dependents.is_empty();
            // Others wait to know whether it has the name, however long it is kept from leaving.
            let awaited = self.evidence == Evidence::Contested && !object.is_observed();
            return match object.management.deletion_policy {
                _ if lets_go && awaited => Reads::ObjectAndTags,
                _ if lets_go => Reads::Nothing,
                // What another namespace lent is given back.
                _ if object.orphan => Reads::ObjectAndTags,
                _ if waits => Reads::Nothing,
                // It may have been released already and belong to somebody else by now; only its tags show that.
                _ if !ours => Reads::ObjectAndTags,
                DeletionPolicy::Retain => Reads::ObjectAndTags,
                DeletionPolicy::Delete if self.own.is_none() => Reads::ObjectAndTags,
                DeletionPolicy::Delete => Reads::Object,
            };
        }
        if self.claim != OwnerClaim::Ours
            || self.allowance != Allowance::Allowed
            || !object.effective_spec.violations().is_empty()
        {
            // What rests on a permission has to go when that goes, whatever else is wrong with the resource. What it rests on
            // its status does not say for sure.
            let rests = self.permitted_by.as_ref().is_some_and(|by| !by.is_empty());
            let leaves = rests || self.is_put_out();
            let known = leaves && self.uid.is_some() || self.has_to_prove_itself();
            let known = known && !matches!(self.allowance, Allowance::NoMesh(_));
            return if known { Reads::ObjectAndTags } else { Reads::Nothing };
        }
        if object.is_observed() {
            return Reads::Object;
        }
        if self.evidence == Evidence::Contested {
            return Reads::ObjectAndTags;
        }
        if !self.permission.missing.is_empty() && self.uid.is_none() {
            // Only its tags show whether it was written: somebody may have removed its status and its finalizer.
            let unknown = object.finalized() || self.evidence != Evidence::Read;
            return if unknown { Reads::ObjectAndTags } else { Reads::Nothing };
        }
        if doubt {
            return Reads::ObjectAndTags;
        }
        if self.patience && self.unmanaged().next().is_some() {
            return Reads::Nothing;
        }
        if self.uid.is_none() {
            // Nothing says that it exists: creating it says more than reading would, and costs one call less.
            return Reads::Nothing;
        }
        if self.own.is_none() {
            return Reads::ObjectAndTags;
        }
        let tags_in_step = match &self.former_tags {
            Some(former) => *former == owner::asked_tags(object),
            // The role of the proxies became known after the spec was reported, and is perhaps not yet in the tags.
            None => object.reported() && object.iam().is_none() && object.status.iam().is_none(),
        };
        if tags_in_step { Reads::Object } else { Reads::ObjectAndTags }
    }

    /// Whether the mesh refuses the namespace of what sends requests somewhere: a route and a virtual service leave the mesh, of a
    /// virtual node the backends do. Nodes and routers themselves, which others may send requests to, stay.
    pub fn is_put_out(&self) -> bool {
        let sends = self.object.key.kind.info().names_others();
        sends && matches!(self.allowance, Allowance::Refused { .. })
    }

    /// Whether it is for this resource to find out whose the name is: its status or its finalizer says that it may have it, both of
    /// which an editor may take away from what the mesh puts out; or others claim it, too.
    fn has_to_prove_itself(&self) -> bool {
        let may_have_it = self.uid.is_some() || self.object.finalized();
        match self.evidence {
            Evidence::Read => false,
            Evidence::Unread => may_have_it || self.is_put_out(),
            Evidence::Contested => may_have_it || self.object.effective_spec.violations().is_empty(),
        }
    }

    /// Whether the App Mesh object is the resource's: this process wrote it or saw that, or the tags name the resource. What the
    /// status says does not count. When another resource has the name, only the tags do: it may have adopted the object.
    pub fn is_ours(&self, remote: &RemoteObject) -> bool {
        let known = self.claim == OwnerClaim::Ours && self.own.as_ref() == Some(&remote.identity.uid);
        known || remote.tags.as_ref().is_some_and(|tags| owner::owns(&self.object, tags))
    }

    /// The identity of the App Mesh object when the reconcile knows one.
    pub fn identity(&self) -> Option<&RemoteIdentity> {
        match &self.remote {
            Remote::InStep(identity) => Some(identity),
            Remote::Present(object) => Some(&object.identity),
            Remote::NotRead | Remote::Absent | Remote::Unreadable(_) => None,
        }
    }

    /// Required referents whose resources exist while their App Mesh objects do not.
    pub fn pending(&self) -> impl Iterator<Item = (&ResourceId, &ObjectKey)> {
        self.referents.iter().filter(|referent| referent.reference.required).filter_map(|referent| {
            match &referent.reach {
                Reach::Pending(key) => Some((&referent.reference.target, key)),
                Reach::Exists | Reach::Unmanaged => None,
            }
        })
    }

    /// Required referents that no resource stands for.
    pub fn unmanaged(&self) -> impl Iterator<Item = &Reference> {
        self.referents
            .iter()
            .filter(|referent| referent.reference.required && referent.reach == Reach::Unmanaged)
            .map(|referent| &referent.reference)
    }
}
