//! Names of services resolve on an instance with `proxy.dns`, and there is no record of them anywhere.

use std::net::Ipv4Addr;

use fleetmesh_instance::{InstanceOptions, ProxyImage};
use fleetmesh_model::ResourceId;
use fleetmesh_testbed::app::{Protocol, Server};
use fleetmesh_testbed::host::HostBackend;
use fleetmesh_testbed::netns::NetnsInstance;
use fleetmesh_testbed::{userns, wait};
use fleetmesh_tests::app_mesh::AppMeshRequests;
use serde_json::{Value, json};

use crate::joining::JoiningBed;
use crate::machine::Machine;
use crate::{LIMIT, MESH, service};

/// A service with the very name that its node is discovered by, as App Mesh's users have them.
const SAME: &str = "blue.apps.local";

/// Gives red the service [`SAME`] beside the other one of blue's.
async fn add_service_of_the_same_name(bed: &JoiningBed) {
    let api = AppMeshRequests::new(&bed.control_plane.endpoint());
    let provider = json!({ "provider": { "virtualNode": { "virtualNodeName": "blue" } } });
    api.create(&ResourceId::virtual_service(MESH, SAME), &provider).await.unwrap();
    red_calls(&api, &[&service("blue"), SAME]).await;
}

/// Gives red these backends and no others.
async fn red_calls(api: &AppMeshRequests, services: &[&str]) {
    let backends = services.iter().map(|name| json!({ "virtualService": { "virtualServiceName": name } }));
    let red = json!({
        "listeners": [{ "portMapping": { "port": 8000, "protocol": "http2" } }],
        "serviceDiscovery": { "dns": { "hostname": "red.apps.local" } },
        "backends": backends.collect::<Value>(),
    });
    api.update(&ResourceId::virtual_node(MESH, "red"), &red).await.unwrap();
}

/// Services over tcp that have one port, and where the application of each is on blue.
const TCP: [(&str, u16); 2] = [("db", 5433), ("cache", 5434)];
/// The port of both services.
const TCP_PORT: u16 = 5432;

/// Gives red the services of [`TCP`], and starts their applications.
async fn add_tcp_services(bed: &JoiningBed, blue: &NetnsInstance) -> Vec<Server> {
    let api = AppMeshRequests::new(&bed.control_plane.endpoint());
    let mut servers = Vec::new();
    for (name, port) in TCP {
        servers.push(Server::start(name, Protocol::Tcp, port, blue, &bed.run).await.unwrap());
        let listeners = |port| json!([{ "portMapping": { "port": port, "protocol": "tcp" } }]);
        let discovery = json!({ "dns": { "hostname": "blue.apps.local" } });
        let node = json!({ "listeners": listeners(port), "serviceDiscovery": discovery });
        api.create(&ResourceId::virtual_node(MESH, name), &node).await.unwrap();
        let router = json!({ "listeners": listeners(TCP_PORT) });
        api.create(&ResourceId::virtual_router(MESH, name), &router).await.unwrap();
        let targets = json!([{ "virtualNode": name, "weight": 1, "port": port }]);
        let route = json!({ "tcpRoute": { "action": { "weightedTargets": targets } } });
        api.create(&ResourceId::route(MESH, name, "all"), &route).await.unwrap();
        let provider = json!({ "provider": { "virtualRouter": { "virtualRouterName": name } } });
        let service = ResourceId::virtual_service(MESH, format!("{name}.apps.local"));
        api.create(&service, &provider).await.unwrap();
    }
    red_calls(&api, &[&service("blue"), "db.apps.local", "cache.apps.local"]).await;
    servers
}

async fn address(machine: &mut Machine, container: &str, name: &str) -> Option<Ipv4Addr> {
    let (status, found) = machine.within(container, &format!("getent ahostsv4 {name}")).await;
    let first = found.split_whitespace().next().filter(|_| status == 0)?;
    Some(first.parse().unwrap())
}

fn is_virtual(address: Option<Ipv4Addr>) -> bool {
    address.is_some_and(|address| matches!(address.octets(), [198, 18 | 19, ..]))
}

/// Asserts that the application on red reaches that on blue by this name.
async fn reaches(red: &mut Machine, name: &str) {
    let found = address(red, "fleetmesh-app", name).await;
    assert!(is_virtual(found), "{name}: {found:?}; {}", red.read("fleetmesh-dns.log"));
    let curl =
        format!("curl --silent --show-error --include --retry 10 --retry-all-errors http://{name}:8000/");
    let (status, said) = red.within("fleetmesh-app", &curl).await;
    assert!(status == 0 && said.contains("blue:v1"), "{name}: {said}; {}", red.console());
}

/// Asserts what is the same before and after a boot.
async fn resolves(red: &mut Machine, blue: Ipv4Addr) {
    reaches(red, &service("blue")).await;
    reaches(red, SAME).await;
    // Envoy, and what is no name of the mesh, are answered by the network's DNS server.
    assert_eq!(address(red, "fleetmesh-proxy", SAME).await, Some(blue), "what is behind the service");
    assert_eq!(address(red, "fleetmesh-proxy", &service("blue")).await, None);
    assert_eq!(address(red, "fleetmesh-app", "red.apps.local").await, Some(red.instance.ipv4()));
    assert_eq!(address(red, "fleetmesh-app", &service("red")).await, None, "no backend of red");
    assert_eq!(red.resolv_conf(), "options timeout:2\nnameserver 127.0.0.153\n");
}

#[tokio::test]
async fn services_without_records_are_reached_by_name() {
    if !userns::wanted() {
        return;
    }
    let (bed, [red, blue]) = JoiningBed::start_with(false).await;
    add_service_of_the_same_name(&bed).await;
    for (node, role) in ["red", "blue"].into_iter().zip(&bed.roles) {
        bed.grant(node, role).await;
    }
    let address_of_blue = blue.ipv4();
    let mut red = Machine::new(red, HostBackend::Nft, None, &bed.run);
    let mut blue = Machine::new(blue, HostBackend::Iptables, None, &bed.run);
    let named = |mut options: InstanceOptions| {
        options.proxy.dns = true;
        options
    };
    assert_eq!(blue.boot(&bed.options("blue", ProxyImage::Envoy)).await, 0, "{}", blue.console());
    assert_eq!(red.boot(&named(bed.options("red", ProxyImage::AppMesh))).await, 0, "{}", red.console());
    resolves(&mut red, address_of_blue).await;
    runs_with_no_more_rights_than_it_needs(&red);

    let before = address(&mut red, "fleetmesh-app", SAME).await;
    assert_eq!(red.boot_again().await, 0, "{}", red.console());
    resolves(&mut red, address_of_blue).await;
    assert_eq!(address(&mut red, "fleetmesh-app", SAME).await, before, "the same after a boot");

    // Envoy goes; names stay.
    let (status, _) = red.within("fleetmesh-app", "true; docker rm --force fleetmesh-proxy").await;
    assert_eq!(status, 0);
    wait::until("the resolver notices", LIMIT, async || {
        Ok(red.read("fleetmesh-dns.log").contains("they stay as they were").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(address(&mut red, "fleetmesh-app", SAME).await, before);
}

/// Asserts that the application on red reaches each service over tcp by its name alone; gives their addresses.
async fn are_distinguished(red: &mut Machine) -> Vec<Option<Ipv4Addr>> {
    let mut addresses = Vec::new();
    for (name, _) in TCP {
        let found = address(red, "fleetmesh-app", &format!("{name}.apps.local")).await;
        assert!(is_virtual(found), "{name}: {found:?}; {}", red.read("fleetmesh-dns.log"));
        addresses.push(found);
        let connect = format!(
            "timeout 20 bash -c 'exec 3<>/dev/tcp/{name}.apps.local/{TCP_PORT} && head --lines=1 <&3'"
        );
        let (status, said) = red.within("fleetmesh-app", &connect).await;
        assert!(status == 0 && said.trim() == name, "{name}: {said}; {}", red.console());
    }
    assert_ne!(addresses[0], addresses[1]);
    addresses
}

#[tokio::test]
async fn tcp_services_without_records_are_distinguished_on_one_port() {
    if !userns::wanted() {
        return;
    }
    let (bed, [red, blue]) = JoiningBed::start_with(false).await;
    let _servers = add_tcp_services(&bed, &blue).await;
    bed.grant("red", &bed.roles[0]).await;
    let mut red = Machine::new(red, HostBackend::Nft, None, &bed.run);
    let mut options = bed.options("red", ProxyImage::AppMesh);
    options.proxy.dns = true;
    assert_eq!(red.boot(&options).await, 0, "{}", red.console());
    wait::until("the resolver has the names", LIMIT, async || {
        let found = address(&mut red, "fleetmesh-app", "cache.apps.local").await;
        Ok(is_virtual(found).then_some(()))
    })
    .await
    .unwrap();
    let before = are_distinguished(&mut red).await;
    // HTTP goes by the name in the request beside them.
    let blue = address(&mut red, "fleetmesh-app", &service("blue")).await;
    assert!(is_virtual(blue) && !before.contains(&blue), "{blue:?}");
    assert_eq!(red.boot_again().await, 0, "{}", red.console());
    wait::until("the resolver has the names", LIMIT, async || {
        let found = address(&mut red, "fleetmesh-app", "cache.apps.local").await;
        Ok(is_virtual(found).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(are_distinguished(&mut red).await, before, "the same after a boot");
}

fn runs_with_no_more_rights_than_it_needs(machine: &Machine) {
    let folder = "/var/lib/fleetmesh";
    let expected = format!(
        "docker run --detach --name fleetmesh-dns --restart unless-stopped --network host --log-driver local --user 0 \
         --cap-drop ALL --cap-add NET_BIND_SERVICE --cap-add SETGID --cap-add SETUID \
         --volume {folder}/resolv.conf:/etc/resolv.conf:ro registry.example/fleetmesh-proxy:v1 proxy dns \
         --listen 127.0.0.153 --user 1337 --ignore-uid 1337"
    );
    assert!(machine.calls().contains(&expected), "{:#?}", machine.calls());
}
