//! The chart's ValidatingAdmissionPolicies on a real API server: who is refused, and who is not.

use std::path::{Path, PathBuf};

use fleetmesh_testbed::cluster::{Cluster, ClusterOptions, User};
use fleetmesh_testbed::helm::{Helm, chart};
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{fleet_class, stack, wait};
use serde_json::{Value, json};

use crate::bed::NAMESPACE;

const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// Two people who may write virtual nodes, one of whom may use the class `big`.
struct Bed {
    admin: Kubectl,
    may: Kubectl,
    may_not: Kubectl,
    run: RunDir,
    _cluster: Cluster,
}

impl Bed {
    async fn start() -> Self {
        let run = RunDir::new("helm-admission").unwrap();
        let users = vec![User::named("may"), User::named("may-not")];
        let cluster =
            Cluster::start_with(&run, ClusterOptions { users: users.clone(), audit: false }).await.unwrap();
        let admin = cluster.kubectl().unwrap();
        stack::install_crds(&admin, &run).await.unwrap();
        let kubectl = |user: &User| Kubectl::new(&cluster.kubeconfig(user).unwrap()).unwrap();
        let (may, may_not) = (kubectl(&users[0]), kubectl(&users[1]));
        let bed = Self { admin, may, may_not, run, _cluster: cluster };
        let big = fleet_class::manifest("big", &Value::Null);
        bed.admin.apply(&bed.file("class", &big)).await.unwrap();
        let role = |name: &str, rule: Value| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name }, "rules": [rule],
            })
        };
        let write = json!({ "apiGroups": ["fleetmesh.dev"], "resources": ["virtualnodes", "virtualnodes/scale"], "verbs": ["*"] });
        let using = json!({ "apiGroups": ["fleetmesh.dev"], "resources": ["fleetclasses"], "resourceNames": ["big"], "verbs": ["use"] });
        for (name, rule, users) in
            [("write", write, &["may", "may-not"][..]), ("use-big", using, &["may"][..])]
        {
            bed.admin.apply(&bed.file(name, &role(name, rule))).await.unwrap();
            let users: Vec<String> = users.iter().map(|user| format!("--user={user}")).collect();
            let role = format!("--clusterrole={name}");
            let bind = ["create", "clusterrolebinding", name, role.as_str()].into_iter();
            bed.admin.run(&bind.chain(users.iter().map(String::as_str)).collect::<Vec<_>>()).await.unwrap();
        }
        bed.admit().await;
        bed
    }

    /// Applies the chart's policy, and awaits that it is in force.
    async fn admit(&self) {
        let helm = Helm::offline(&self.run).unwrap();
        let chart = chart().unwrap();
        let file = "templates/admission/fleet-classes.yaml";
        let render =
            ["template", "fleetmesh", chart.to_str().unwrap(), "--namespace", NAMESPACE, "--show-only", file];
        let enabled = ["--set", "admissionPolicies.fleetClasses.enabled=true"];
        let policy = helm.run(&[&render[..], &enabled].concat()).await.unwrap();
        let path = self.run.join("policy.yaml");
        std::fs::write(&path, policy).unwrap();
        self.admin.apply(&path).await.unwrap();
        wait::until("the policy is in force", LIMIT, async || {
            let probe = self.file("probe", &node("probe", Some("big"), "app:v1"));
            Ok(self.create(&self.may_not, &probe).await.err().map(drop))
        })
        .await
        .unwrap();
    }

    fn file(&self, name: &str, object: &Value) -> PathBuf {
        let path = self.run.join(format!("{name}.json"));
        std::fs::write(&path, object.to_string()).unwrap();
        path
    }

    /// Asks for a creation and keeps nothing.
    async fn create(&self, kubectl: &Kubectl, file: &Path) -> Result<(), String> {
        let create = ["create", "--dry-run=server", "-f", file.to_str().unwrap()];
        said(kubectl, &create).await
    }
}

async fn said(kubectl: &Kubectl, arguments: &[&str]) -> Result<(), String> {
    let said = kubectl.capture(arguments).await.unwrap();
    if said.status.success() { Ok(()) } else { Err(said.stderr) }
}

fn node(name: &str, class: Option<&str>, container: &str) -> Value {
    let mut fleet = json!({ "replicas": 1, "app": { "port": 80, "container": container } });
    if let Some(class) = class {
        fleet["className"] = json!(class);
    }
    json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
        "metadata": { "name": name, "namespace": "default" }, "spec": { "meshName": "apps", "iam": {}, "fleet": fleet },
    })
}

#[tokio::test]
async fn only_who_may_use_a_class_can_name_it_or_change_what_runs_under_it() {
    let bed = Bed::start().await;
    let big = bed.file("big", &node("web", Some("big"), "app:v1"));
    let refused = bed.create(&bed.may_not, &big).await.unwrap_err();
    let words = r#"user "may-not" may not use the FleetClass big (fleet.className)"#;
    assert!(refused.contains(words), "{refused}");
    let none = bed.file("none", &node("web", None, "app:v1"));
    bed.create(&bed.may_not, &none).await.unwrap();
    said(&bed.may, &["create", "-f", big.to_str().unwrap()]).await.unwrap();

    let patch = |patch: &'static str| ["patch", "virtualnode/web", "--type=merge", "-p", patch];
    let image = patch(r#"{"spec":{"fleet":{"app":{"container":"attacker:v1"}}}}"#);
    for attack in [
        image,
        patch(r#"{"spec":{"iam":{"managedPolicyArns":[]}}}"#),
        patch(r#"{"spec":{"tags":{"team":"a"}}}"#),
    ] {
        let refused = said(&bed.may_not, &attack).await.unwrap_err();
        assert!(refused.contains(words), "{refused}");
    }
    said(&bed.may_not, &patch(r#"{"metadata":{"labels":{"a":"b"}}}"#)).await.unwrap();
    said(&bed.may_not, &["scale", "virtualnode/web", "--replicas=0"]).await.unwrap();
    said(&bed.may_not, &patch(r#"{"spec":{"fleet":{"replicas":1}}}"#)).await.unwrap();
    said(&bed.may, &image).await.unwrap();
    // Away from the class, and not back.
    said(&bed.may_not, &patch(r#"{"spec":{"fleet":{"className":null}}}"#)).await.unwrap();
    let back = said(&bed.may_not, &patch(r#"{"spec":{"fleet":{"className":"big"}}}"#)).await.unwrap_err();
    assert!(back.contains(words), "{back}");
}
