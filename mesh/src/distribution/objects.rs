//! The objects of one mesh in a view, and what of each is not served or is to be known. A new view costs one comparison of pointers for each object;
//! only what depends on the changed ones is computed again. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_model::ResourceId;

use crate::cloud_map::Discovered;
use crate::snapshot::{Ground, Standing, grounded_standing};
use crate::view::{MeshView, Record};

/// How each object of one mesh stands.
#[derive(Default)]
pub(super) struct Objects {
    as_of: Option<(Arc<MeshView>, Discovered)>,
    standings: BTreeMap<ResourceId, Grounded>,
    /// The objects that were worked out from each ground.
    grounded: BTreeMap<Ground, BTreeSet<ResourceId>>,
}

struct Grounded {
    standing: Standing,
    grounds: Vec<Ground>,
}

impl Objects {
    /// Whether they are those of `view` and `discovered`.
    pub(super) fn is_as_of(&self, view: &Arc<MeshView>, discovered: &Discovered) -> bool {
        let same = |(known, services): &(Arc<MeshView>, Discovered)| {
            Arc::ptr_eq(known, view) && services.is_same(discovered)
        };
        self.as_of.as_ref().is_some_and(same)
    }

    /// Makes them those of `view` and `discovered`; gives those whose status may have changed by it, also the ones that are
    /// gone.
    pub(super) fn enter(&mut self, view: &Arc<MeshView>, discovered: &Discovered) -> BTreeSet<ResourceId> {
        if self.is_as_of(view, discovered) {
            return BTreeSet::new();
        }
        let before = self.as_of.replace((Arc::clone(view), discovered.clone()));
        let (mut changed, services) = match &before {
            None => (view.resources.keys().cloned().collect(), Vec::new()),
            Some((was, services)) => (differing(was, view), self.differing_services(services, discovered)),
        };
        let grounds = changed.iter().flat_map(grounds_in).chain(services);
        let affected: Vec<ResourceId> =
            grounds.filter_map(|ground| self.grounded.get(&ground)).flatten().cloned().collect();
        changed.extend(affected);
        for id in &changed {
            self.forget(id);
            if let Some(record) = view.get(id) {
                self.work_out(view, discovered, record);
            }
        }
        changed
    }

    /// An object, and how it stands; `None` when there is no such object.
    pub(super) fn get(&self, id: &ResourceId) -> Option<(&Arc<Record>, Standing)> {
        let (view, _) = self.as_of.as_ref()?;
        let standing = self.standings.get(id).map(|grounded| grounded.standing.clone());
        Some((view.get(id)?, standing.unwrap_or_default()))
    }

    fn differing_services(&self, was: &Discovered, is: &Discovered) -> Vec<Ground> {
        if was.is_same(is) {
            return Vec::new();
        }
        let grounds = self.grounded.keys().filter(|ground| match ground {
            Ground::Service(service) => {
                let known = |discovered: &Discovered| discovered.instances(service).is_some();
                was.failure(service) != is.failure(service) || known(was) != known(is)
            }
            Ground::Authority(arn) => {
                let known = |of: &Discovered| {
                    (of.authority(arn).is_some(), of.authority_failure(arn).map(str::to_owned))
                };
                known(was) != known(is)
            }
            Ground::Record(_) | Ground::Members(_) => false,
        });
        grounds.cloned().collect()
    }

    fn work_out(&mut self, view: &MeshView, discovered: &Discovered, record: &Arc<Record>) {
        let (standing, grounds) = grounded_standing(view, discovered, record);
        for ground in &grounds {
            self.grounded.entry(ground.clone()).or_default().insert(record.id.clone());
        }
        if !grounds.is_empty() || standing != Standing::default() {
            self.standings.insert(record.id.clone(), Grounded { standing, grounds });
        }
    }

    fn forget(&mut self, id: &ResourceId) {
        let Some(Grounded { grounds, .. }) = self.standings.remove(id) else { return };
        for ground in grounds {
            if let Some(objects) = self.grounded.get_mut(&ground) {
                objects.remove(id);
                if objects.is_empty() {
                    self.grounded.remove(&ground);
                }
            }
        }
    }
}

/// The objects that are not the same in both views.
fn differing(was: &MeshView, is: &MeshView) -> BTreeSet<ResourceId> {
    let kept = |other: &MeshView, record: &Arc<Record>| {
        other.get(&record.id).is_some_and(|other| Arc::ptr_eq(other, record))
    };
    let gone = was.resources.keys().filter(|id| is.get(id).is_none());
    let new = is.resources.iter().filter(|(_, record)| !kept(was, record)).map(|(id, _)| id);
    gone.chain(new).cloned().collect()
}

/// What a change of an object is a change of.
fn grounds_in(id: &ResourceId) -> [Ground; 2] {
    [Ground::Record(id.clone()), Ground::Members(id.collection())]
}
