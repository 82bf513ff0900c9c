//! Which ports of virtual nodes a virtual service leads to. Pure.

use std::collections::BTreeSet;

use fleetmesh_model::ResourceId;

use super::egress;
use super::inputs::Reader;
use crate::cloud_map::Discovered;
use crate::view::MeshView;

/// The ports of virtual nodes to which callers of the virtual service `service` are led by `view`; nothing when it is not there.
pub fn reached(view: &MeshView, service: &ResourceId) -> BTreeSet<(ResourceId, i32)> {
    let discovered = Discovered::default();
    let reader = Reader::new(view, &discovered, service.mesh_name());
    let Some(found) = reader.virtual_service(service.name()) else { return BTreeSet::new() };
    let offers = egress::offers(&reader, found, None).into_iter();
    let targets = offers.flat_map(|(_, service)| service.routes).flat_map(|route| route.targets);
    targets.map(|(target, _)| (target.endpoint.node.record.id.clone(), target.endpoint.port())).collect()
}
