//! What EC2 would do and moto does not: it starts what an instance runs. Each instance of a fleet is a network namespace
//! with a real Envoy whose bootstrap names the instance; it ends with the instance. Executing the user data itself is
//! another test's business.

use std::collections::BTreeMap;

use fleetmesh_testbed::envoy::{self, Envoy};
use fleetmesh_testbed::netns::{Instance, Network};
use serde_json::Value;

use crate::bed::Bed;
use crate::space::Space;

pub struct Joiner {
    envoys: BTreeMap<String, (Envoy, Instance)>,
    made: usize,
    network: Network,
}

impl Joiner {
    pub async fn new(bed: &Bed) -> Self {
        Self { envoys: BTreeMap::new(), made: 0, network: Network::new(&bed.run).await.unwrap() }
    }

    /// Starts the proxies of instances that run and ends those of instances that are gone, as the statuses of `nodes` list
    /// them; gives the nodes.
    pub async fn follow(&mut self, bed: &Bed, space: &Space, nodes: &[&str]) -> Vec<Value> {
        let mut objects = Vec::new();
        let mut alive = Vec::new();
        for node in nodes {
            let object = space.get(node).await;
            let name = object["status"]["appMeshName"].as_str().unwrap_or(node).to_owned();
            let mesh = object["spec"]["meshName"].as_str().unwrap().to_owned();
            for instance in object["status"]["fleet"]["instances"].as_array().into_iter().flatten() {
                let id = instance["id"].as_str().unwrap().to_owned();
                if instance["state"] == "running" || instance["state"] == "draining" {
                    self.start(bed, &format!("mesh/{mesh}/virtualNode/{name}"), &id).await;
                    alive.push(id);
                }
            }
            objects.push(object);
        }
        self.envoys.retain(|id, _| alive.contains(id));
        objects
    }

    async fn start(&mut self, bed: &Bed, resource: &str, id: &str) {
        if self.envoys.contains_key(id) {
            return;
        }
        self.made += 1;
        let instance = self.network.instance(&format!("e{}", self.made), &bed.run).await.unwrap();
        let control_plane = format!("unix:{}", bed.control_plane.ads_socket().display());
        let bootstrap = envoy::bootstrap(resource, &control_plane, Some(id)).await.unwrap();
        let envoy = Envoy::start_with(&bootstrap, &instance, &bed.run).unwrap();
        self.envoys.insert(id.to_owned(), (envoy, instance));
    }
}
