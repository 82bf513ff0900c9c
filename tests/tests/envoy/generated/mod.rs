//! Generated meshes, one after the other, on Envoys that keep running: whatever the API takes is loaded, blames nobody, and is
//! served to the callers behind each kind of listener and to clients of a gateway.

mod routes;
mod specs;

use fleetmesh_model::ResourceId;
use fleetmesh_testbed::app::{self, Protocol};
use fleetmesh_testbed::netns::NetnsInstance;
use fleetmesh_testbed::{long, userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::certificates::{Folder, TestAuthority};
use crate::spec::{MESH, routed, router_on, server, service};
use specs::Generator;

/// A service of each protocol: its name's first part, what its router and its nodes speak, the router's port and the nodes'.
const SERVICES: [(&str, &str, u16, u16); 4] = [
    ("web", "http", 80, 8002),
    ("web2", "http2", 80, 8001),
    ("rpc", "grpc", 9000, 8003),
    ("db", "tcp", 9100, 8004),
];
/// The same ports as the application has them.
const APPS: [(Protocol, u16); 4] =
    [(Protocol::Http2, 8001), (Protocol::Http, 8002), (Protocol::Grpc, 8003), (Protocol::Tcp, 8004)];
/// Both virtual nodes are found at the instance `server`, which is a proxy of the first.
const NODES: [&str; 2] = ["server", "other"];
/// How often an object is drawn anew that the API refuses.
const DRAWS: usize = 20;

/// How many meshes are loaded and served.
fn meshes() -> usize {
    long::choose(40, 200)
}

struct World {
    bed: Bed,
    folder: Folder,
    client: MeshMember,
    outside: NetnsInstance,
    _others: [MeshMember; 2],
}

impl World {
    async fn start() -> Self {
        let names = ["client", "server", "edge", "outside"];
        let (mut bed, [client, target, edge, outside]) = Bed::start("generated", names).await;
        let services = SERVICES.map(|(name, ..)| host(name));
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        bed.names(&[&client, &target, &edge], &services).await;
        let folder = Folder::new(bed.run.join("certs"));
        let ca = TestAuthority::new("ca", 0x71);
        folder.put_trust("ca", &[&ca]);
        folder.put("server", &ca.issue("server.apps.local", 1));
        folder.put("client", &ca.issue("client.apps.local", 2));
        let ports: Vec<(&str, u16)> =
            SERVICES.iter().map(|(_, protocol, _, port)| (*protocol, *port)).collect();
        let mut objects = vec![(ResourceId::mesh(MESH), json!({}))];
        objects.extend(NODES.map(|name| server(name, &ports)));
        for (name, protocol, port, _) in SERVICES {
            objects.push(router_on(name, &[(protocol, port)]));
            objects.push(routed(&host(name), name));
        }
        bed.create(&objects).await;
        put(&bed, &folder, 0).await;
        let target = bed.join(target, &APPS).await;
        let client = bed.join(client, &[]).await;
        let edge = bed.join_gateway(edge).await;
        Self { bed, folder, client, outside, _others: [target, edge] }
    }

    /// Awaits that every proxy runs everything; none may reject anything.
    async fn is_loaded(&self, seed: u64) {
        let last = service("web.apps.local");
        wait::until("every proxy runs everything", LIMIT, async || {
            let answer = self.bed.control_plane.distribution(MESH).await?;
            let objects = answer["objects"].as_array().cloned().unwrap_or_default();
            for object in &objects {
                assert_eq!(object["rejected"], json!([]), "seed {seed}: {object:#}");
            }
            let runs = |object: &Value| object["acknowledged"] == object["proxies"];
            let waiting: Vec<&Value> = objects.iter().filter(|object| !runs(object)).collect();
            anyhow::ensure!(waiting.is_empty() && !objects.is_empty(), "{waiting:?}");
            Ok(objects.iter().any(|object| object["resource"] == last.to_string()).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Awaits an answer from each service, and from one through the gateway.
    async fn is_served(&self, seed: u64) {
        for (name, protocol, port, _) in SERVICES {
            let (protocol, url) = call(name, protocol, port);
            answers(&self.client.instance, protocol, &url, seed).await;
        }
        answers(&self.outside, Protocol::Http, "http://edge.apps.local:8088/", seed).await;
        answers(&self.outside, Protocol::Grpc, "http://edge.apps.local:8089/a.B/C", seed).await;
    }
}

/// Puts the mesh of `seed` in the place of the one before; how often the API refused something.
async fn put(bed: &Bed, folder: &Folder, seed: u64) -> usize {
    let mut generator = Generator::new(seed, folder);
    let mut refused = 0;
    for (index, (id, mut spec)) in generator.all().into_iter().enumerate() {
        for _ in 0..DRAWS {
            let Err(error) = write(bed, &id, &spec).await else { break };
            assert!(error.contains(": 400 "), "{error}\n{spec:#}");
            println!("seed {seed}: {error}");
            refused += 1;
            spec = generator.all().swap_remove(index).1;
        }
    }
    refused
}

/// Updates `id`, or creates it.
async fn write(bed: &Bed, id: &ResourceId, spec: &Value) -> Result<(), String> {
    let words = |error| format!("{error:#}");
    match bed.api.update(id, spec).await.map_err(words) {
        Err(error) if error.contains(": 404 ") => bed.api.create(id, spec).await.map_err(words),
        result => result,
    }
}

fn host(service: &str) -> String {
    format!("{service}.apps.local")
}

fn call(name: &str, protocol: &str, port: u16) -> (Protocol, String) {
    let at = format!("{}:{port}", host(name));
    match protocol {
        "http" => (Protocol::Http, format!("http://{at}/a/b?c=d")),
        "http2" => (Protocol::Http2, format!("http://{at}/a/b?c=d")),
        "grpc" => (Protocol::Grpc, format!("http://{at}/a.B/C")),
        _ => (Protocol::Tcp, format!("tcp://{at}")),
    }
}

async fn answers(from: &NetnsInstance, protocol: Protocol, url: &str, seed: u64) {
    wait::until(&format!("{url} answers from {} with seed {seed}", from.name()), LIMIT, async || {
        let outcome = app::get(from, protocol, url, &[]).await?.outcome();
        anyhow::ensure!(outcome == Ok("server".to_owned()), "{outcome:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn generated_meshes_are_loaded_and_served() {
    if !userns::wanted() {
        return;
    }
    let world = World::start().await;
    let (mut refused, count) = (0, meshes());
    for _ in 0..count {
        let seed = fastrand::u64(..);
        refused += put(&world.bed, &world.folder, seed).await;
        world.is_loaded(seed).await;
        world.is_served(seed).await;
    }
    let drawn = Generator::new(0, &world.folder).all().len() * count;
    println!("{count} meshes were loaded and served; of {drawn} objects the API refused {refused}");
    assert!(refused * 10 < drawn, "{refused} of {drawn} objects are refused");
}
