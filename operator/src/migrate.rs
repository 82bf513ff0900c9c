//! What to apply before an upgrade so that a later version behaves as an earlier one did. Reads files or the cluster; never writes to
//! either.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fleetmesh_api::tags::ENROLL_TAG;
use fleetmesh_cluster::ConnectError;
use fleetmesh_core::Object;
use fleetmesh_core::fleet::migrate::{Proposal, Survey, survey};
use fleetmesh_crds::fleet_class::DEFAULT_CLASS_ANNOTATION;
use fleetmesh_crds::{GROUP, VERSION, VirtualNode};
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::cluster::KubernetesApi;
use crate::metrics::Metrics;
use crate::write_hook::WriteHooks;

/// Why there is nothing to apply.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file, or `standard input`.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A file does not have what it should.
    #[error("{file}: {problem}")]
    Content {
        /// The file, or `standard input`.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no cluster to ask.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The cluster did not answer.
    #[error("cannot list the VirtualNodes of the cluster: {0}")]
    List(#[source] Box<kube::Error>),
    /// What was found cannot be written as YAML.
    #[error("cannot print: {0}")]
    Render(String),
}

/// The FleetClasses under which the fleets in `files` go on as they are, as YAML for an admin to review and apply. A file `-` is
/// standard input.
///
/// # Errors
/// A file cannot be read, or does not have what it should.
pub fn fleet_classes_of_files(files: &[PathBuf]) -> Result<String, MigrateError> {
    fleet_classes(&of_files(files)?)
}

/// The same for the fleets of the cluster of the kubeconfig file and its context.
///
/// # Errors
/// The cluster cannot be asked.
pub async fn fleet_classes_of_cluster(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<String, MigrateError> {
    let kubernetes = KubernetesApi::of(kubeconfig, context).await?;
    let client = kubernetes.client(Metrics::new(), WriteHooks::default())?;
    let listed = Api::<VirtualNode>::all(client).list(&ListParams::default()).await;
    fleet_classes(&listed.map_err(|error| MigrateError::List(Box::new(error)))?.items)
}

fn fleet_classes(nodes: &[VirtualNode]) -> Result<String, MigrateError> {
    let objects: Vec<Object> = nodes.iter().map(Object::read).collect();
    text(&survey(&objects)).map_err(MigrateError::Render)
}

fn of_files(files: &[PathBuf]) -> Result<Vec<VirtualNode>, MigrateError> {
    let mut nodes = Vec::new();
    for path in files {
        let standard_input = path == Path::new("-");
        let file = if standard_input { "standard input".to_owned() } else { path.display().to_string() };
        let text = if standard_input {
            let mut text = String::new();
            io::stdin().lock().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(path)
        };
        let text = text.map_err(|source| MigrateError::Read { file: file.clone(), source })?;
        let found = virtual_nodes(&text).map_err(|problem| MigrateError::Content { file, problem })?;
        nodes.extend(found);
    }
    Ok(nodes)
}

/// The VirtualNodes among the documents of `text`, those in lists included; what else there is is passed over.
fn virtual_nodes(text: &str) -> Result<Vec<VirtualNode>, String> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| format!("no YAML: {error}"))?;
    let mut nodes = Vec::new();
    for document in documents {
        let items = document["items"].as_array().cloned().unwrap_or_else(|| vec![document]);
        for item in items.into_iter().filter(is_virtual_node) {
            let name = item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let mut node: VirtualNode =
                serde_json::from_value(item).map_err(|error| format!("VirtualNode {name}: {error}"))?;
            node.metadata.namespace.get_or_insert_with(|| "default".to_owned());
            nodes.push(node);
        }
    }
    Ok(nodes)
}

fn is_virtual_node(object: &Value) -> bool {
    let group = object["apiVersion"].as_str().and_then(|version| version.split('/').next());
    group == Some(GROUP) && object["kind"] == "VirtualNode"
}

const HEAD: &str = "\
# FleetClasses for the fleets that name none and whose status shows instances. Each lets what the specs of its fleets ask for today,
# whoever wrote that, and whoever may write in their namespaces may then ask for it: review every value, above all what fleets
# may choose (instanceTypes, images, network, userData, managedPolicyArns, proxyImages, allowMetadata, tagKeys) and how many instances
# there may be (limits); then kubectl apply -f. The default class is for every fleet that names none; others have to be named, as the
# commands say.
";

fn text(survey: &Survey) -> Result<String, String> {
    let Survey { proposals, left_out } = survey;
    if proposals.is_empty() && left_out.is_empty() {
        return Ok("# No fleet is without a FleetClass.\n".to_owned());
    }
    let mut text = HEAD.to_owned();
    for (key, why) in left_out {
        text.push_str(&format!(
            "# In no class: {}/{}, {why}.\n",
            key.namespace.as_deref().unwrap_or_default(),
            key.name
        ));
    }
    for Proposal { name, is_default, spec, nodes } in proposals {
        text.push_str("---\n");
        for node in nodes {
            let namespace = node.namespace.as_deref().unwrap_or_default();
            if *is_default {
                text.push_str(&format!("# For {namespace}/{}.\n", node.name));
            } else {
                let patch = json!({ "spec": { "fleet": { "className": name } } });
                text.push_str(&format!(
                    "# kubectl patch virtualnode {} --namespace {namespace} --type merge --patch '{patch}'\n",
                    node.name
                ));
            }
        }
        if spec.enroll_tags.is_some() {
            text.push_str(&format!(
                "# Instances that join later have to opt in: aws ec2 create-tags --resources ID --tags Key={ENROLL_TAG},Value=CLUSTER-NAME\n"
            ));
        }
        let mut metadata = json!({ "name": name });
        if *is_default {
            metadata["annotations"] = json!({ DEFAULT_CLASS_ANNOTATION: "true" });
        }
        let spec = serde_json::to_value(spec).map_err(|error| error.to_string())?;
        let class = json!({ "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "FleetClass", "metadata": metadata, "spec": spec });
        text.push_str(&serde_saphyr::to_string(&class).map_err(|error| error.to_string())?);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use fleetmesh_crds::FleetClass;

    use super::*;

    const NODES: &str = r#"
apiVersion: fleetmesh.dev/v1alpha1
kind: Mesh
metadata: {name: apps}
spec: {}
---
apiVersion: v1
kind: List
items:
- apiVersion: fleetmesh.dev/v1alpha1
  kind: VirtualNode
  metadata: {name: web, namespace: apps}
  spec: {meshName: apps, iam: {}, fleet: {replicas: 2, capacity: {instanceTypes: [t3.small]}, app: {port: 80, container: "web:v1"}}}
  status: {fleet: {launchTemplateId: lt-1}}
- apiVersion: fleetmesh.dev/v1alpha1
  kind: VirtualNode
  metadata: {name: old, namespace: apps}
  spec: {meshName: apps, iam: {}, fleet: {enroll: {tags: {app: old}}}}
  status: {fleet: {instances: [{id: i-1, state: Joined}]}}
- apiVersion: fleetmesh.dev/v1alpha1
  kind: VirtualNode
  metadata: {name: wish, namespace: apps}
  spec: {meshName: apps, iam: {}, fleet: {replicas: 2, capacity: {instanceTypes: [p5.48xlarge]}, app: {port: 80, container: "web:v1"}}}
---
apiVersion: fleetmesh.dev/v1alpha1
kind: VirtualNode
metadata: {name: mesh-only}
spec: {meshName: apps}
"#;

    #[test]
    fn what_is_printed_is_classes_and_how_to_name_them() {
        let nodes = virtual_nodes(NODES).unwrap();
        assert_eq!(nodes.len(), 4);
        let objects: Vec<Object> = nodes.iter().map(Object::read).collect();
        let text = text(&survey(&objects)).unwrap();
        let classes: Vec<FleetClass> = serde_saphyr::from_multiple(&text).unwrap();
        let names: Vec<&str> = classes.iter().filter_map(|class| class.metadata.name.as_deref()).collect();
        assert_eq!(names, ["fleets-apps", "fleets-apps-2"], "{text}");
        assert_eq!(classes.iter().filter(|class| class.is_default()).count(), 1);
        assert!(text.contains("kubectl patch virtualnode"), "{text}");
        assert!(text.contains("Key=fleetmesh.dev/enroll"), "{text}");
        assert!(text.contains("# In no class: apps/wish, its status shows no instance"), "{text}");
        assert!(!text.contains("p5."), "{text}");
        assert!(serde_saphyr::from_multiple::<Value>(&super::text(&Survey::default()).unwrap()).is_ok());
    }

    #[test]
    fn what_is_no_virtual_node_is_named() {
        let broken =
            "apiVersion: fleetmesh.dev/v1alpha1\nkind: VirtualNode\nmetadata: {name: w}\nspec: {fleet: 3}\n";
        assert!(virtual_nodes(broken).unwrap_err().contains("VirtualNode w"));
    }
}
