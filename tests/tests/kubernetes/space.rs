//! A namespace and a mesh, of the same name unless it is a guest's, seen by kubectl and by the AWS CLI.

use std::path::PathBuf;

use fleetmesh_testbed::aws::AppMesh;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::wait;
use fleetmesh_tests::objects::Objects;
use serde_json::{Value, json};

use crate::bed::{LIMIT, TIMEOUT};

pub struct KubernetesSpace {
    pub name: String,
    /// The mesh.
    pub mesh: String,
    pub kubectl: Kubectl,
    pub aws: AppMesh,
    objects: Objects,
    file: PathBuf,
}

impl KubernetesSpace {
    /// Makes the namespace `name`.
    pub async fn new(name: &str, kubectl: Kubectl, aws: AppMesh, run: &RunDir) -> Self {
        kubectl.run(&["create", "namespace", name]).await.unwrap();
        let file = run.join(format!("{name}.json"));
        let objects = Objects::of(&kubectl);
        Self { name: name.to_owned(), mesh: name.to_owned(), kubectl, aws, objects, file }
    }

    /// Makes the namespace `name`, whose objects are in the mesh of this one.
    pub async fn guest(&self, name: &str) -> Self {
        self.kubectl.run(&["create", "namespace", name]).await.unwrap();
        Self {
            name: name.to_owned(),
            mesh: self.mesh.clone(),
            kubectl: self.kubectl.clone(),
            aws: self.aws.clone(),
            objects: Objects::of(&self.kubectl),
            file: self.file.with_file_name(format!("{name}.json")),
        }
    }

    /// The custom resource of a kind: `members` are those of its spec, without the mesh.
    pub fn object(&self, kind: &str, name: &str, mut members: Value) -> Value {
        let mut metadata = json!({ "name": name });
        if kind != "Mesh" {
            metadata["namespace"] = json!(self.name);
            members["meshName"] = json!(self.mesh);
        }
        json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": members })
    }

    /// The Mesh of this space without options.
    pub fn mesh(&self) -> Value {
        self.object("Mesh", &self.mesh, json!({}))
    }

    /// `kubectl apply` of these objects.
    pub async fn apply(&self, objects: &[Value]) {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        std::fs::write(&self.file, list.to_string()).unwrap();
        self.kubectl.apply(&self.file).await.unwrap();
    }

    /// kubectl in this namespace.
    pub async fn run(&self, arguments: &[&str]) -> String {
        self.kubectl.run(&[&["--namespace", &self.name], arguments].concat()).await.unwrap()
    }

    /// The custom resource.
    pub async fn get(&self, object: &str) -> Value {
        self.objects.get(&self.name, object).await.unwrap()
    }

    /// Whether the object is in the cluster.
    pub async fn exists(&self, object: &str) -> bool {
        !self.run(&["get", object, "--ignore-not-found", "--output", "name"]).await.is_empty()
    }

    /// A condition of `object`, unless that is about an earlier generation.
    pub async fn condition(&self, object: &str, condition: &str) -> anyhow::Result<Value> {
        self.objects.condition(&self.name, object, condition).await
    }

    /// Awaits that the condition of `object` (`virtualnode/NAME`) has this status and reason for the newest generation;
    /// returns the condition.
    pub async fn until(&self, object: &str, condition: &str, status: &str, reason: &str) -> Value {
        wait::until(&format!("{condition} of {object} is {status} for {reason}"), LIMIT, async || {
            let found = self.condition(object, condition).await?;
            anyhow::ensure!(found["status"] == status && found["reason"] == reason, "{found}");
            Ok(Some(found))
        })
        .await
        .unwrap()
    }

    /// The same, and the message.
    pub async fn message(&self, object: &str, condition: &str, reason: &str) -> String {
        let condition = self.until(object, condition, "False", reason).await;
        condition["message"].as_str().unwrap().to_owned()
    }

    /// `kubectl wait --for=condition=Ready`.
    pub async fn ready(&self, objects: &[&str]) {
        let arguments = [&["wait", "--for=condition=Ready", TIMEOUT], objects].concat();
        self.run(&arguments).await;
    }

    /// The messages of the Events about the object `name` that give this reason. Events about a Mesh are in `default`.
    pub async fn events(&self, name: &str, reason: &str) -> Vec<String> {
        self.objects.events(None, name, reason).await.unwrap()
    }

    /// What `aws appmesh describe-KIND` shows of an object in the mesh; `kind` in kebab case.
    pub async fn describe(&self, kind: &str, name: &str) -> Value {
        let captured = self.try_describe(kind, name).await;
        captured.unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// The same, or the service's refusal.
    pub async fn try_describe(&self, kind: &str, name: &str) -> Result<Value, String> {
        let (operation, flag) = (format!("describe-{kind}"), format!("--{kind}-name"));
        let mut arguments = vec![operation.as_str(), "--mesh-name", &self.mesh];
        if kind != "mesh" {
            arguments.extend([flag.as_str(), name]);
        }
        if kind == "route" {
            // Tests give a route its router's name.
            arguments.extend(["--virtual-router-name", name]);
        }
        let answer = self.aws.run(&arguments).await.map_err(|error| format!("{error:#}"))?;
        Ok(answer.as_object().unwrap().values().next().unwrap().clone())
    }

    /// The tags of an App Mesh object, by key.
    pub async fn tags(&self, described: &Value) -> std::collections::BTreeMap<String, String> {
        let arn = described["metadata"]["arn"].as_str().unwrap();
        let answer = self.aws.run(&["list-tags-for-resource", "--resource-arn", arn]).await.unwrap();
        let text = |tag: &Value, member: &str| tag[member].as_str().unwrap().to_owned();
        answer["tags"].as_array().unwrap().iter().map(|tag| (text(tag, "key"), text(tag, "value"))).collect()
    }
}

/// The spec of a virtual node at `hostname`.
pub fn node(hostname: &str) -> Value {
    json!({
        "listeners": [{ "portMapping": { "port": 80, "protocol": "http2" } }],
        "serviceDiscovery": { "dns": { "hostname": hostname } },
    })
}

/// The spec of a virtual router.
pub fn router() -> Value {
    json!({ "listeners": [{ "portMapping": { "port": 80, "protocol": "http2" } }] })
}

/// The spec of a route with these weighted targets.
pub fn route(targets: &[(&str, u32)]) -> Value {
    let targets: Vec<Value> =
        targets.iter().map(|(node, weight)| json!({ "virtualNode": node, "weight": weight })).collect();
    json!({ "http2Route": { "match": { "prefix": "/" }, "action": { "weightedTargets": targets } } })
}

/// The spec of a virtual service that this router provides.
pub fn service(router: &str) -> Value {
    json!({ "provider": { "virtualRouter": { "virtualRouterName": router } } })
}

/// The members of `spec` and those of `more`.
pub fn with(mut spec: Value, more: Value) -> Value {
    json_patch::merge(&mut spec, &more);
    spec
}

/// The version of a described App Mesh object.
pub fn version(described: &Value) -> i64 {
    described["metadata"]["version"].as_i64().unwrap()
}
