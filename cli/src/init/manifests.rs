//! The files of a plan, written as a person would: one object in each, with a comment on what it is for. Pure.

use super::plan::{Plan, Protocol, Service};
use crate::manifests::Manifest;

/// The head of a manifest of ours.
const HEAD: &str = "apiVersion: fleetmesh.dev/v1alpha1\n";

/// The files, in the order in which they are to be applied, which is that of their names. The name of a file does not depend on what
/// other services there are: who writes the folder anew writes over it.
pub fn render(plan: &Plan) -> Vec<Manifest> {
    let mut files = vec![("00-namespace".to_owned(), namespace(plan)), ("01-mesh".to_owned(), mesh(plan))];
    for service in &plan.services {
        for node in plan.nodes(service) {
            files.push((format!("02-virtual-node-{node}"), virtual_node(plan, service, &node)));
        }
        let name = &service.name;
        files.push((format!("03-virtual-router-{name}"), virtual_router(plan, service)));
        files.push((format!("04-route-{name}"), route(plan, service)));
        files.push((format!("05-virtual-service-{name}"), virtual_service(plan, service)));
    }
    let manifest =
        |(name, text): (String, String)| Manifest { name: format!("{name}.yaml"), text, is_private: false };
    let mut files: Vec<Manifest> = files.into_iter().map(manifest).collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

fn namespace(plan: &Plan) -> String {
    format!(
        "# The namespace of the application. Its file sorts first, so that the folder can be applied to an empty API.\n\
         apiVersion: v1\n\
         kind: Namespace\n\
         metadata:\n  name: {}\n",
        scalar(plan.namespace.as_ref())
    )
}

fn mesh(plan: &Plan) -> String {
    format!(
        "# The mesh: the boundary within which the resources below can reference each other. A mesh has no namespace.\n\
         #\n\
         # ALLOW_ALL: an application still reaches what is outside of the mesh, such as its database. With DROP_ALL it reaches the\n\
         # backends of its virtual node and AWS's own endpoints, and nothing else.\n\
         {HEAD}kind: Mesh\n\
         metadata:\n  name: {}\n\
         spec:\n  egressFilter:\n    type: ALLOW_ALL\n",
        scalar(plan.mesh.as_ref())
    )
}

/// The lines of an object of ours up to its `meshName`.
fn head(plan: &Plan, kind: &str, name: &str) -> String {
    format!(
        "{HEAD}kind: {kind}\nmetadata:\n  namespace: {}\n  name: {}\nspec:\n  meshName: {}\n",
        scalar(plan.namespace.as_ref()),
        scalar(name),
        scalar(plan.mesh.as_ref())
    )
}

fn listeners(plan: &Plan, service: &Service) -> String {
    let port = service.port.unwrap_or(plan.port);
    format!("  listeners:\n    - portMapping:\n        port: {port}\n        protocol: {}\n", plan.protocol)
}

fn virtual_node(plan: &Plan, service: &Service, node: &str) -> String {
    let others = plan.services.iter().filter(|other| other.name != service.name);
    let backends: String = others
        .map(|other| {
            let host = scalar(&plan.host(other));
            format!("    - virtualService:\n        virtualServiceName: {host}\n")
        })
        .collect();
    let mut text = format!(
        "# The virtual node: the instances of {node}, found by a DNS name that has a record for each of them.\n\
         # A proxy on such an instance starts as mesh/{}/virtualNode/{node}.\n",
        plan.mesh
    );
    if !backends.is_empty() {
        text += "# The mesh routes what a node sends to its backends: remove the services that it does not call.\n";
    }
    text += &head(plan, "VirtualNode", node);
    text += &listeners(plan, service);
    text += &format!("  serviceDiscovery:\n    dns:\n      hostname: {}\n", scalar(&plan.hostname(node)));
    if !backends.is_empty() {
        text += &format!("  backends:\n{backends}");
    }
    text
}

fn virtual_router(plan: &Plan, service: &Service) -> String {
    let name = service.name.as_ref();
    let head = head(plan, "VirtualRouter", name);
    format!(
        "# The virtual router: it takes what callers send to {} and distributes it as its routes say.\n{head}{}",
        plan.host(service),
        listeners(plan, service)
    )
}

fn route(plan: &Plan, service: &Service) -> String {
    let name = service.name.as_ref();
    let what = match plan.protocol {
        Protocol::Http | Protocol::Http2 => "every request (prefix /)",
        Protocol::Grpc => "every call",
        Protocol::Tcp => "every connection",
    };
    let (member, matching) = match plan.protocol {
        Protocol::Http => ("httpRoute", "    match:\n      prefix: /\n"),
        Protocol::Http2 => ("http2Route", "    match:\n      prefix: /\n"),
        Protocol::Grpc => ("grpcRoute", "    match: {}\n"),
        Protocol::Tcp => ("tcpRoute", ""),
    };
    let nodes = plan.nodes(service);
    let targets: String = nodes
        .iter()
        .zip([100, 0])
        .map(|(node, weight)| {
            format!("        - virtualNode: {}\n          weight: {weight}\n", scalar(node))
        })
        .collect();
    let comment = match nodes.as_slice() {
        [old, new] => format!(
            "# The route: {what} goes to {old}. To release {new}, write 0 and 100 here: the operator goes there in steps while the\n\
             # callers' proxies report success, and goes back otherwise (`fleetmesh canary status {name} --namespace {}`).\n",
            plan.namespace
        ),
        _ => format!("# The route: {what} goes to {name}, as it does without a mesh.\n"),
    };
    let head = head(plan, "Route", name);
    let router = scalar(name);
    let canary = if plan.canary { CANARY } else { "" };
    format!(
        "{comment}{head}  virtualRouterName: {router}\n  {member}:\n{matching}    action:\n      weightedTargets:\n{targets}{canary}"
    )
}

/// How a route goes to another target.
const CANARY: &str = "  canary:
    # setWeight is the percentage of the way to the new weights.
    steps:
      - setWeight: 25
        pause:
          duration: 10m
        minRequests: 500
      - setWeight: 50
        pause:
          duration: 10m
      # All requests, still watched, with the old version still warm.
      - setWeight: 100
        pause:
          duration: 15m
    # Below 95 percent of success twice in a row, or below 80 once, the route goes back.
    analysis:
      interval: 30s
      failureLimit: 2
      metrics:
        - name: request-success-rate
          source:
            loadReport: {}
          thresholdRange:
            min: 95
          abortBelow: 80
";

fn virtual_service(plan: &Plan, service: &Service) -> String {
    format!(
        "# The virtual service: the name that callers use.\n{}  provider:\n    virtualRouter:\n      virtualRouterName: {}\n",
        head(plan, "VirtualService", &plan.host(service)),
        scalar(service.name.as_ref())
    )
}

/// A name as YAML has it: in quotes where a reader, also one of YAML 1.1, would take it for a number or a word of the language.
fn scalar(name: &str) -> String {
    const WORDS: [&str; 9] = ["false", "n", "no", "null", "off", "on", "true", "y", "yes"];
    if WORDS.contains(&name) || name.starts_with(|letter: char| letter.is_ascii_digit()) {
        return format!("\"{name}\"");
    }
    name.to_owned()
}
