//! The answers for the readers of one mesh. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetmesh_api::distribution::{DistributionAnswer, ObjectStatus, Token};
use fleetmesh_model::ResourceId;

use super::ledger::ProxyLedger;
use super::objects::Objects;
use crate::cloud_map::Discovered;
use crate::snapshot::Standing;
use crate::view::{MeshView, Record};

/// What the readers of one mesh are given: `enter` a view, take the statuses that changed from [`Proxies`](super::Proxies),
/// [`note`](Self::note) them, and [`answer`](Self::answer).
pub struct Reading {
    objects: Objects,
    ledger: ProxyLedger,
}

impl Reading {
    /// Nothing is known. `instance` distinguishes its tokens from those of another; it contains no `-`.
    pub fn new(instance: String) -> Self {
        Self { objects: Objects::default(), ledger: ProxyLedger::new(instance) }
    }

    /// Whether it is about `view` and `discovered`.
    pub fn is_as_of(&self, view: &Arc<MeshView>, discovered: &Discovered) -> bool {
        self.objects.is_as_of(view, discovered)
    }

    /// From now on it is about `view` and `discovered`; gives the objects whose status may have changed by it, also those that are
    /// gone.
    pub fn enter(&mut self, view: &Arc<MeshView>, discovered: &Discovered) -> BTreeSet<ResourceId> {
        self.objects.enter(view, discovered)
    }

    /// An object of the view, and how it stands; `None` when there is no such object.
    pub fn object(&self, id: &ResourceId) -> Option<(&Arc<Record>, Standing)> {
        self.objects.get(id)
    }

    /// Takes in the present status of objects that may have changed; `None` of one that is gone.
    pub fn note(&mut self, statuses: impl IntoIterator<Item = (ResourceId, Option<ObjectStatus>)>) {
        self.ledger.enter(statuses);
    }

    /// What changed since `after`; everything without one, or with one that says nothing here.
    pub fn answer(&self, mesh: &str, after: Option<&Token>) -> DistributionAnswer {
        self.ledger.answer(mesh, after)
    }
}
