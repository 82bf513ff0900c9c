//! What EC2 would do and moto does not: it starts what an instance runs. Each instance of a fleet is a network namespace
//! with a real Envoy, which ends with the instance. Executing the user data itself is
//! another test's business.

use std::collections::BTreeMap;
use std::path::Path;

use fleetmesh_testbed::envoy::{self, Envoy};
use fleetmesh_testbed::netns::{NetnsInstance, Network};
use serde_json::Value;

use crate::bed::AwsBed;
use crate::ec2;
use crate::forward::ForwardedMetadata;
use crate::space::Space;

pub struct Joiner {
    proxies: BTreeMap<String, JoinedProxy>,
    made: usize,
    by_address: bool,
    network: Network,
}

/// An instance's proxy. Fields are dropped in this order.
struct JoinedProxy {
    _envoy: Envoy,
    _instance: NetnsInstance,
    _forward: Option<ForwardedMetadata>,
}

impl Joiner {
    pub async fn new(bed: &AwsBed) -> Self {
        let network = Network::new(&bed.run).await.unwrap();
        Self { proxies: BTreeMap::new(), made: 0, by_address: false, network }
    }

    /// One whose bootstraps name no instance: proxies are distinguished by the addresses of their instances in EC2, from which
    /// they connect. These have to be addresses of the loopback interface.
    pub async fn by_address(bed: &AwsBed) -> Self {
        Self { by_address: true, ..Self::new(bed).await }
    }

    /// Starts the proxies of instances that run and ends those of instances that are gone, as the statuses of `nodes` list
    /// them; gives the nodes.
    pub async fn follow(&mut self, bed: &AwsBed, space: &Space, nodes: &[&str]) -> Vec<Value> {
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
        self.proxies.retain(|id, _| alive.contains(id));
        objects
    }

    async fn start(&mut self, bed: &AwsBed, resource: &str, id: &str) {
        if self.proxies.contains_key(id) {
            return;
        }
        let (forward, control_plane, named) = match self.by_address {
            false => (None, bed.control_plane.ads_socket(), Some(id)),
            true => {
                let address = ec2::address(&bed.moto, id).await;
                let socket = bed.run.join(format!("{id}.sock"));
                let to = bed.control_plane.ads_address().parse().unwrap();
                (Some(ForwardedMetadata::start(&socket, address, to)), socket, None)
            }
        };
        let (envoy, instance) = self.proxy(bed, resource, &control_plane, named).await;
        self.proxies
            .insert(id.to_owned(), JoinedProxy { _envoy: envoy, _instance: instance, _forward: forward });
    }

    /// A proxy on an instance of its own, which names the EC2 instance `id` if there is one.
    pub async fn proxy(
        &mut self,
        bed: &AwsBed,
        resource: &str,
        control_plane: &Path,
        id: Option<&str>,
    ) -> (Envoy, NetnsInstance) {
        self.made += 1;
        let instance = self.network.instance(&format!("e{}", self.made), &bed.run).await.unwrap();
        let control_plane = format!("unix:{}", control_plane.display());
        let bootstrap = envoy::bootstrap(resource, &control_plane, id).await.unwrap();
        let envoy = Envoy::start_with(&bootstrap, &instance, &bed.run).unwrap();
        (envoy, instance)
    }
}
