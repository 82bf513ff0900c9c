//! The endpoint's rules between a route, its router and its targets, as far as tests need them.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_core::{FailureClass, Step};
use fleetmesh_model::{ResourceId, RouteSpec, Spec};

use crate::cluster::StoredObject;

/// What a step writes.
pub fn written(step: &Step) -> Option<(&ResourceId, &Spec)> {
    match step {
        Step::Create { id, spec, .. } | Step::Update { id, spec, .. } => Some((id, spec)),
        _ => None,
    }
}

/// Whether `remote` takes `id` with `spec`.
pub fn fits(
    remote: &BTreeMap<ResourceId, StoredObject>,
    id: &ResourceId,
    spec: &Spec,
) -> Result<(), FailureClass> {
    fits_with(remote, id, spec, &BTreeSet::new())
}

/// The same; routes that are `written` as well are judged themselves.
pub fn fits_with(
    remote: &BTreeMap<ResourceId, StoredObject>,
    id: &ResourceId,
    spec: &Spec,
    written: &BTreeSet<&ResourceId>,
) -> Result<(), FailureClass> {
    if let Spec::Route(route) = spec {
        let all = route_fits(id, route, |id| remote.get(id).map(|stored| &stored.spec));
        return if all { Ok(()) } else { Err(FailureClass::Invalid) };
    }
    let with_it = |other: &ResourceId| {
        if other == id { Some(spec) } else { remote.get(other).map(|stored| &stored.spec) }
    };
    let fits = remote.iter().filter(|(other, _)| !written.contains(other)).all(|(other, stored)| {
        let Spec::Route(route) = &stored.spec else { return true };
        let names = stored.spec.references(other).iter().any(|reference| reference.target == *id);
        !names || route_fits(other, route, with_it)
    });
    if fits { Ok(()) } else { Err(FailureClass::Conflict) }
}

fn route_fits<'a>(
    id: &ResourceId,
    route: &RouteSpec,
    spec: impl Fn(&ResourceId) -> Option<&'a Spec>,
) -> bool {
    let Some((protocol, _, action)) = route.action() else { return true };
    let router = id.parent().and_then(|parent| spec(&parent));
    let listens = match router {
        Some(Spec::VirtualRouter(router)) => {
            let listeners = router.listeners();
            listeners.is_empty() || listeners.iter().any(|one| one.port_mapping.protocol == protocol)
        }
        _ => true,
    };
    listens
        && action.weighted_targets.iter().all(|target| {
            let node = spec(&ResourceId::virtual_node(id.mesh_name(), &target.virtual_node));
            let (Some(Spec::VirtualNode(node)), Some(port)) = (node, target.port) else { return true };
            node.listeners().iter().any(|one| one.port_mapping.port == port)
        })
}
