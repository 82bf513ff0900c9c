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
struct AdmissionBed {
    admin: Kubectl,
    may: Kubectl,
    may_not: Kubectl,
    run: RunDir,
    _cluster: Cluster,
}

impl AdmissionBed {
    async fn start() -> Self {
        let run = RunDir::new("helm-admission").unwrap();
        let users = vec![User::named("may"), User::named("may-not")];
        let cluster = Cluster::start_with(
            &run,
            ClusterOptions { users: users.clone(), audit: false, ..ClusterOptions::default() },
        )
        .await
        .unwrap();
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
        let write = json!({ "apiGroups": ["fleetmesh.dev"], "resources": ["virtualnodes", "virtualnodes/scale", "virtualnodes/status"], "verbs": ["*"] });
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

    /// What the chart makes of this file with these flags.
    async fn render(&self, file: &str, flags: &[&str]) -> Result<PathBuf, String> {
        let helm = Helm::offline(&self.run).unwrap();
        let chart = chart().unwrap();
        let render =
            ["template", "fleetmesh", chart.to_str().unwrap(), "--namespace", NAMESPACE, "--show-only", file];
        let policy = helm.run(&[&render[..], flags].concat()).await.map_err(|error| format!("{error:#}"))?;
        let path = self.run.join("policy.yaml");
        std::fs::write(&path, policy).unwrap();
        Ok(path)
    }

    /// Applies the chart's policy about classes, and awaits that it is in force.
    async fn admit(&self) {
        let enabled = ["--set", "admissionPolicies.fleetClasses.enabled=true"];
        let policy = self.render("templates/admission/fleet-classes.yaml", &enabled).await.unwrap();
        self.admin.apply(&policy).await.unwrap();
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
    let bed = AdmissionBed::start().await;
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

/// Whoever writes a status has the operator believe that others' instances and identities are a node's own.
#[tokio::test]
async fn nobody_but_the_operator_writes_a_status() {
    const STATUS: &str = "templates/admission/status.yaml";
    let bed = AdmissionBed::start().await;
    let node = bed.file("web", &node("web", None, "app:v1"));
    said(&bed.may, &["create", "-f", node.to_str().unwrap()]).await.unwrap();
    let forged = json!({ "status": { "iam": {
        "instanceProfileArn": "arn:aws:iam::123456789012:instance-profile/fleetmesh/mesh-apps-others",
    } } });
    let forged = forged.to_string();
    let attack = [
        "patch",
        "virtualnode/web",
        "--subresource=status",
        "--type=merge",
        "--dry-run=server",
        "-p",
        &forged,
    ];
    said(&bed.may, &attack).await.expect("his role lets him, and nothing else stands in the way");

    // It is the chart's default.
    let policy = bed.render(STATUS, &[]).await.unwrap();
    bed.admin.apply(&policy).await.unwrap();
    let refused =
        wait::until("the policy is in force", LIMIT, async || Ok(said(&bed.may, &attack).await.err()))
            .await
            .unwrap();
    let words = r#"user "may" may not write the status of virtualnodes.fleetmesh.dev"#;
    assert!(refused.contains(words), "{refused}");
    said(&bed.may, &["annotate", "virtualnode/web", "a=b"]).await.expect("what is no status is left alone");

    let operator = format!("system:serviceaccount:{NAMESPACE}:fleetmesh-operator");
    let bind = format!("--user={operator}");
    bed.admin.run(&["create", "clusterrolebinding", "operator", "--clusterrole=write", &bind]).await.unwrap();
    let acts = format!("--as={operator}");
    let write =
        |acts: &str| [&attack[..], &[acts]].concat().iter().map(ToString::to_string).collect::<Vec<_>>();
    let as_operator = write(&acts);
    let as_operator: Vec<&str> = as_operator.iter().map(String::as_str).collect();
    wait::until("the operator may", LIMIT, async || Ok(said(&bed.admin, &as_operator).await.ok()))
        .await
        .unwrap();

    for flags in [["--set", "admissionPolicies.status.enabled=false"], ["--set", "operator.enabled=false"]] {
        let nothing = bed.render(STATUS, &flags).await.expect_err("no policy");
        assert!(nothing.contains("could not find template"), "{flags:?}: {nothing}");
    }
}

/// A deletion cannot be taken back, and `--all` is quickly said.
#[tokio::test]
async fn a_mesh_that_is_kept_by_its_annotation_is_not_deleted() {
    const POLICY: &str = "templates/admission/mesh-deletion.yaml";
    let bed = AdmissionBed::start().await;
    let mesh = |name: &str, annotations: Value| {
        let metadata = json!({ "name": name, "annotations": annotations });
        json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Mesh", "metadata": metadata, "spec": {} })
    };
    let kept = bed.file("shared", &mesh("shared", json!({ "fleetmesh.dev/deletion": "refuse" })));
    for file in [kept, bed.file("own", &mesh("own", json!({})))] {
        bed.admin.apply(&file).await.unwrap();
    }
    let delete = ["delete", "mesh.fleetmesh.dev", "shared", "--dry-run=server"];
    said(&bed.admin, &delete).await.expect("nothing stands in the way");

    // It is the chart's default.
    let policy = bed.render(POLICY, &[]).await.unwrap();
    bed.admin.apply(&policy).await.unwrap();
    let refused =
        wait::until("the policy is in force", LIMIT, async || Ok(said(&bed.admin, &delete).await.err()))
            .await
            .unwrap();
    let way_out = "kubectl annotate meshes.fleetmesh.dev shared fleetmesh.dev/deletion-";
    assert!(refused.contains(way_out), "{refused}");

    let all = said(&bed.admin, &["delete", "meshes.fleetmesh.dev", "--all"]).await.unwrap_err();
    assert!(all.contains("Mesh \"shared\" has the annotation"), "{all}");
    let left = bed.admin.run(&["get", "meshes.fleetmesh.dev", "--output=name"]).await.unwrap();
    assert_eq!(left.trim(), "mesh.fleetmesh.dev/shared", "the other is gone");
    said(&bed.admin, &["annotate", "mesh.fleetmesh.dev", "shared", "fleetmesh.dev/deletion-"]).await.unwrap();
    said(&bed.admin, &["delete", "mesh.fleetmesh.dev", "shared"]).await.expect("it is no longer kept");

    for flags in
        [["--set", "admissionPolicies.meshDeletion.enabled=false"], ["--set", "operator.enabled=false"]]
    {
        let nothing = bed.render(POLICY, &flags).await.expect_err("no policy");
        assert!(nothing.contains("could not find template"), "{flags:?}: {nothing}");
    }
}
