//! What is to be known of how an object is served, though all of it is. Pure.

use fleetmesh_api::unserved::because;
use fleetmesh_model::VirtualNodeSpec;

use super::egress::{Egress, Port, allows_all};
use super::inputs::Reader;
use super::route::HTTP_PORT;
use super::tcp_port::TcpShare;

/// The notes on a virtual node that may call `egress`, each as `path: text`: tcp services that are distinguished by their port
/// alone, and services that share a host.
pub(super) fn of_node(reader: &Reader<'_>, spec: &VirtualNodeSpec, egress: &Egress<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let by_port = reader.mesh_spec().is_some_and(|mesh| allows_all(mesh.spec));
    for (port, services) in &egress.ports {
        match services {
            Port::Tcp(service) if by_port => {
                let note = TcpShare::of(reader, service, *port, true).note(service.name, *port);
                notes.extend(note.map(|note| at(spec, service.name, &note)));
            }
            Port::Tcp(_) => {}
            Port::Http(services) => {
                let hosts = services.iter().map(|service| service.name).chain(egress.nowhere.iter().copied());
                let hosts: Vec<&str> = hosts.collect();
                notes.extend(shared(&hosts, *port).map(|(host, note)| at(spec, host, &note)));
            }
        }
    }
    notes
}

/// The note at the backend `name`.
fn at(spec: &VirtualNodeSpec, name: &str, note: &str) -> String {
    let backend = spec.backends().position(|backend| backend.virtual_service_name == name);
    let path = format!("spec.backends[{}].virtualService.virtualServiceName", backend.unwrap_or_default());
    because(&path, note)
}

/// The virtual services among `hosts` that another one of them takes requests to `port` from, as its name is theirs with that port:
/// each with what is to be known.
fn shared<'a>(hosts: &[&'a str], port: i32) -> impl Iterator<Item = (&'a str, String)> {
    hosts.iter().filter_map(move |host| {
        let full = format!("{host}:{port}");
        let named = hosts.iter().find(|other| other.eq_ignore_ascii_case(&full))?;
        let seldom = if port == HTTP_PORT { ", which clients leave out for port 80" } else { "" };
        let note = format!(
            "on port {port}, requests whose Host names the port{seldom} go to the virtual service {named:?}, and those whose Host does not to {host:?}. If that is not meant, take one of them out of backends"
        );
        Some((*host, note))
    })
}
