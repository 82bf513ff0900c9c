//! A custom resource of any kind, parsed once into what decisions need. Later steps never see the raw resource. Pure.

use std::collections::BTreeMap;
use std::fmt;

use fleetmesh_crds::{
    AddedTls, Canary, CanaryStatus, ConditionType, Extension, FINALIZER, Fleet, Iam, Management,
    MeshResource, ORPHAN_ANNOTATION, Status, with_kind,
};
use fleetmesh_model::route::WeightedTarget;
use fleetmesh_model::{Kind, Reference, ResourceId, Spec};
use jiff::Timestamp;
use serde_json::Value;

use crate::canary::in_force;
use crate::mesh_tls::{self, Stage};

/// Which custom resource: kind, namespace (none for a Mesh) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The kind.
    pub kind: Kind,
    /// The namespace; `None` for a cluster-scoped kind.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// A custom resource as the last watch event showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Which resource.
    pub key: ObjectKey,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// When it was created; decides who gets a name that nobody has yet.
    pub created: Timestamp,
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether its deletion was asked for.
    pub deleting: bool,
    /// Every finalizer, ours and others'.
    pub finalizers: Vec<String>,
    /// Whether the annotation lets go of the App Mesh object.
    pub orphan: bool,
    /// Labels and annotations as one text: somebody who changes them asks for another look.
    pub touch: String,
    /// The identity of the App Mesh object.
    pub id: ResourceId,
    /// What the App Mesh object should be now: the resource's spec, but for the targets of a route under `canary`, which
    /// are those that its status says are in force.
    pub effective_spec: Spec,
    /// The step of the mesh's TLS that is in `effective_spec`, where the resource says nothing about TLS itself.
    pub mesh_tls: Stage,
    /// `effective_spec` without that step; `None` where it adds nothing.
    pub without_tls: Option<Box<Spec>>,
    /// What it says beside the App Mesh object.
    pub extension: Extension,
    /// Policies and tags.
    pub management: Management,
    /// The last reported status; empty before the first report.
    pub status: Status,
}

impl Object {
    /// Reads a resource of `kind` from the JSON of the Kubernetes API.
    ///
    /// # Errors
    /// A member that the kind knows has another type than the kind says.
    pub fn parse(kind: Kind, resource: Value) -> serde_json::Result<Self> {
        with_kind!(kind, K => serde_json::from_value::<K>(resource).map(|resource| Self::read(&resource)))
    }

    /// Parses a resource. Missing metadata, which the API server never leaves out, is empty.
    pub fn read<K: MeshResource>(resource: &K) -> Self {
        let meta = resource.meta();
        let annotations = meta.annotations.clone().unwrap_or_default();
        let declared = resource.app_mesh_spec();
        let extension = resource.extension();
        let status = resource.status().unwrap_or_else(|| Status::empty(K::KIND));
        // Before the first decision about a rollout, which comes before the first write, the resource's spec stands here.
        let spec = match extension.route() {
            Some(route) => {
                let effective = in_force(route.canary.as_ref(), &route.targets, status.canary());
                with_targets(declared, effective.unwrap_or(&route.targets))
            }
            None => declared,
        };
        Self {
            key: ObjectKey {
                kind: K::KIND,
                namespace: meta.namespace.clone(),
                name: meta.name.clone().unwrap_or_default(),
            },
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            generation: meta.generation.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            orphan: annotations.get(ORPHAN_ANNOTATION).is_some_and(|value| value == "true"),
            touch: touch(&annotations, meta.labels.as_ref()),
            id: resource.resource_id(),
            effective_spec: spec,
            mesh_tls: None,
            without_tls: None,
            extension,
            management: resource.management().clone(),
            status,
        }
    }

    /// The same with `stage` of its mesh's TLS in its spec.
    #[must_use]
    pub fn with_mesh_tls(&self, stage: Stage) -> Self {
        let declared = self.without_tls.as_deref().unwrap_or(&self.effective_spec).clone();
        let effective_spec = mesh_tls::with_defaults(&declared, stage);
        let without_tls = (effective_spec != declared).then(|| Box::new(declared));
        Self { effective_spec, without_tls, mesh_tls: stage, ..self.clone() }
    }

    /// What the mesh's TLS adds to the spec.
    pub fn added_tls(&self) -> Option<AddedTls> {
        mesh_tls::added(self.without_tls.as_deref()?, self.mesh_tls)
    }

    /// Whether the spec in force has another TLS of the mesh's than the last report.
    pub fn awaits_tls(&self) -> bool {
        self.added_tls() != self.status.added_tls()
    }

    /// The targets that a route's spec names; none of another kind.
    pub fn declared_targets(&self) -> &[WeightedTarget] {
        self.extension.route().map_or(&[], |route| &route.targets)
    }

    /// How a route rolls out a change of targets, if it does.
    pub fn canary(&self) -> Option<&Canary> {
        self.extension.route()?.canary.as_ref()
    }

    /// The IAM identity of a virtual node's or gateway's instances, if it has one.
    pub fn iam(&self) -> Option<&Iam> {
        self.extension.iam()
    }

    /// The EC2 instances of a virtual node or gateway, if it has any.
    pub fn fleet(&self) -> Option<&Fleet> {
        self.extension.fleet()
    }

    /// Whether it is a mesh that is made elsewhere and only looked at.
    pub fn is_observed(&self) -> bool {
        self.extension.mesh().is_some_and(|mesh| mesh.observed)
    }

    /// Whether targets that the status says are in force have not been seen at the endpoint yet.
    pub fn awaits_weights(&self) -> bool {
        let CanaryStatus { effective_targets, dataplane, .. } = self.status.canary();
        let seen = dataplane.as_ref().is_some_and(|dataplane| dataplane.version.is_some());
        self.canary().is_some() && !effective_targets.is_empty() && !seen
    }

    /// Whether our finalizer is there.
    pub fn finalized(&self) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
    }

    /// Whether there is, or was when last reported, an IAM identity or a fleet.
    pub fn has_parts(&self) -> bool {
        let reported = self.status.iam().is_some() || self.status.fleet().is_some();
        self.iam().is_some() || self.fleet().is_some() || reported
    }

    /// Everything that the resource names, its parent first: what its spec in force does, then targets that a rollout has
    /// not put in force yet.
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.effective_spec.references(&self.id);
        for target in self.declared_targets() {
            let target = ResourceId::virtual_node(self.id.mesh_name(), &target.virtual_node);
            if references.iter().all(|reference| reference.target != target) {
                let path = Some("a target of the spec".to_owned());
                references.push(Reference { path, target, required: true });
            }
        }
        references
    }

    /// Whether the last report was about the spec as it is now.
    pub fn reported(&self) -> bool {
        self.status.observed_generation == Some(self.generation)
    }

    /// Whether the last report was about the spec as it is now, found it to be in force and left nothing that goes on by itself: no
    /// canary, no identity, no fleet. It may wait for its next comparison.
    pub fn rests(&self) -> bool {
        let ready = self.status.condition(ConditionType::Ready);
        let ready = ready.is_some_and(|ready| ready.status == "True");
        self.reported() && ready && !self.deleting && self.canary().is_none() && !self.has_parts()
    }

    /// Whether `newer` asks for a new look: anything but what only we write changed, or our finalizer was taken away.
    pub fn asks_for_a_look(&self, newer: &Self) -> bool {
        let same = self.uid == newer.uid
            && self.generation == newer.generation
            && self.deleting == newer.deleting
            && (newer.finalized() || !self.finalized())
            && self.touch == newer.touch;
        !same
    }
}

/// The targets of a route; none of another kind.
pub fn targets(spec: &Spec) -> &[WeightedTarget] {
    let Spec::Route(route) = spec else { return &[] };
    route.action().map_or(&[], |(_, _, action)| &action.weighted_targets)
}

/// The spec with these targets in force. An invalid spec stays as it is, to be refused.
fn with_targets(declared: Spec, effective: &[WeightedTarget]) -> Spec {
    if targets(&declared) == effective {
        return declared;
    }
    if !declared.violations().is_empty() {
        return declared;
    }
    let Spec::Route(route) = declared else { return declared };
    Spec::Route(Box::new(route.with_targets(effective)))
}

/// `kubectl apply` keeps the whole resource in an annotation of its own; that one says nothing by itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn touch(annotations: &BTreeMap<String, String>, labels: Option<&BTreeMap<String, String>>) -> String {
    let annotations = annotations.iter().filter(|(key, _)| key.as_str() != LAST_APPLIED);
    let pairs = annotations.chain(labels.into_iter().flatten());
    pairs.map(|(key, value)| format!("{key}={value}\n")).collect()
}
