//! A namespace and a mesh of the same name with virtual nodes in it.

use std::path::PathBuf;

use fleetmesh_testbed::aws::AppMesh;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::wait;
use fleetmesh_tests::objects::Objects;
use serde_json::{Value, json};

use crate::bed::{AwsBed, LIMIT, TIMEOUT};

pub struct Space {
    pub name: String,
    pub kubectl: Kubectl,
    pub app_mesh: AppMesh,
    objects: Objects,
    file: PathBuf,
}

impl Space {
    pub async fn new(name: &str, bed: &AwsBed) -> Self {
        bed.kubectl.run(&["create", "namespace", name]).await.unwrap();
        let space = Self::existing(name, bed);
        let mesh = json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Mesh", "metadata": { "name": name }, "spec": {} });
        space.apply(&mesh).await;
        space
    }

    /// A namespace and a mesh that are made otherwise.
    pub fn existing(name: &str, bed: &AwsBed) -> Self {
        let file = bed.run.join(format!("{name}.json"));
        let app_mesh = AppMesh::new(&bed.control_plane.endpoint());
        let objects = Objects::of(&bed.kubectl);
        Self { name: name.to_owned(), kubectl: bed.kubectl.clone(), app_mesh, objects, file }
    }

    /// A virtual node of the mesh; `members` are more of its spec.
    pub fn node(&self, name: &str, members: Value) -> Value {
        let mut spec = json!({
            "meshName": self.name,
            "listeners": [{ "portMapping": { "port": 80, "protocol": "http2" } }],
            "serviceDiscovery": { "dns": { "hostname": format!("{name}.apps.local") } },
        });
        spec.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
            "metadata": { "name": name, "namespace": self.name }, "spec": spec,
        })
    }

    /// The name of a node's role by default.
    pub fn role(&self, node: &str) -> String {
        format!("mesh-{}-{node}", self.name)
    }

    pub async fn apply(&self, object: &Value) {
        std::fs::write(&self.file, object.to_string()).unwrap();
        self.kubectl.apply(&self.file).await.unwrap();
    }

    /// kubectl in this namespace.
    pub async fn run(&self, arguments: &[&str]) -> String {
        self.kubectl.run(&[&["--namespace", &self.name], arguments].concat()).await.unwrap()
    }

    pub async fn get(&self, node: &str) -> Value {
        self.objects.get(&self.name, &format!("virtualnode/{node}")).await.unwrap()
    }

    pub async fn ready(&self, node: &str) {
        self.run(&["wait", "--for=condition=Ready", TIMEOUT, &format!("virtualnode/{node}")]).await;
    }

    /// Awaits that a condition has this reason for the newest generation; gives its message.
    pub async fn until(&self, node: &str, condition: &str, reason: &str) -> String {
        wait::until(&format!("{condition} of {node} says {reason}"), LIMIT, async || {
            let found = self.objects.condition(&self.name, &format!("virtualnode/{node}"), condition).await?;
            anyhow::ensure!(found["reason"] == reason, "{found}");
            Ok(found["message"].as_str().map(str::to_owned))
        })
        .await
        .unwrap()
    }

    /// The messages of the Events about a node that give this reason.
    pub async fn events(&self, node: &str, reason: &str) -> Vec<String> {
        self.objects.events(Some(&self.name), node, reason).await.unwrap()
    }

    /// The tags of a node's App Mesh object.
    pub async fn tags(&self, node: &str) -> Value {
        let arn = self.get(node).await["status"]["arn"].as_str().unwrap().to_owned();
        let answer = self.app_mesh.run(&["list-tags-for-resource", "--resource-arn", &arn]).await.unwrap();
        let tags = answer["tags"].as_array().unwrap().iter();
        tags.map(|tag| (tag["key"].as_str().unwrap().to_owned(), tag["value"].clone())).collect()
    }
}
