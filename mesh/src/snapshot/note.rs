//! What is to be known of how an object is served, though all of it is. Pure.

use fleetmesh_api::unserved::because;
use fleetmesh_model::VirtualNodeSpec;

use super::egress::{Port, allows_all, egress};
use super::inputs::Reader;
use super::tcp_port::TcpShare;

/// The notes on a virtual node, each as `path: text`: tcp services that are distinguished by their port alone.
pub(super) fn of_node(reader: &Reader<'_>, spec: &VirtualNodeSpec) -> Vec<String> {
    if !reader.mesh_spec().is_some_and(|mesh| allows_all(mesh.spec)) {
        return Vec::new();
    }
    let mut notes = Vec::new();
    for (port, services) in &egress(reader, spec).ports {
        let Port::Tcp(service) = services else { continue };
        let Some(note) = TcpShare::of(reader, service, *port, true).note(service.name, *port) else {
            continue;
        };
        let backend = spec.backends().position(|backend| backend.virtual_service_name == service.name);
        let path =
            format!("spec.backends[{}].virtualService.virtualServiceName", backend.unwrap_or_default());
        notes.push(because(&path, note));
    }
    notes
}
