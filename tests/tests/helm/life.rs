//! The life of a release on a real API server: installed in a namespace that enforces `restricted`, upgraded, rolled back,
//! uninstalled and installed again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::helm::{Helm, chart};
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{command, tools, wait};
use serde_json::{Value, json};

use crate::jobs::while_jobs_run;

const NAMESPACE: &str = "fleetmesh";
const LIMIT: Duration = Duration::from_secs(60);
const SECRETS: [&str; 3] = ["fleetmesh-ca", "fleetmesh-control-plane-tls", "fleetmesh-access-key"];

struct LifeBed {
    helm: Helm,
    kubectl: Kubectl,
    run: RunDir,
    cluster: Cluster,
}

impl LifeBed {
    async fn start() -> Self {
        let run = RunDir::new("helm").unwrap();
        let cluster = Cluster::start(&run).await.unwrap();
        let kubectl = cluster.kubectl().unwrap();
        kubectl.run(&["create", "namespace", NAMESPACE]).await.unwrap();
        let levels = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}=restricted"));
        kubectl.run(&["label", "namespace", NAMESPACE, &levels[0], &levels[1]]).await.unwrap();
        let helm = Helm::new(&cluster.admin_kubeconfig(), &run).unwrap();
        Self { helm, kubectl, run, cluster }
    }

    /// Runs `helm VERB fleetmesh CHART …`. A warning of the API server fails the test: it is one of Pod Security.
    async fn release(&self, verb: &str, chart: &Path, settings: &[&str]) -> String {
        let base = [verb, "fleetmesh", chart.to_str().unwrap(), "--namespace", NAMESPACE];
        let arguments = [&base[..], settings].concat();
        let captured = while_jobs_run(&self.cluster, &self.run, self.helm.capture(&arguments)).await.unwrap();
        assert!(!captured.stderr.contains("Warning"), "{captured:?}");
        captured.success().unwrap()
    }

    async fn get(&self, kind: &str, name: &str) -> Value {
        self.kubectl.json(&["get", kind, name, "--namespace", NAMESPACE]).await.unwrap()
    }

    async fn exists(&self, kind: &str, name: &str) -> bool {
        let get = ["get", kind, name, "--namespace", NAMESPACE, "--ignore-not-found", "-o", "name"];
        !self.kubectl.run(&get).await.unwrap().is_empty()
    }

    /// The data of each generated Secret.
    async fn secrets(&self) -> BTreeMap<&'static str, Value> {
        let mut secrets = BTreeMap::new();
        for name in SECRETS {
            secrets.insert(name, self.get("secret", name).await["data"].take());
        }
        secrets
    }

    async fn may(&self, verb: &str, resource: &str) -> bool {
        let user = format!("--as=system:serviceaccount:{NAMESPACE}:fleetmesh-operator");
        let asked = self.kubectl.capture(&["auth", "can-i", verb, resource, &user]).await.unwrap();
        asked.stdout.trim() == "yes"
    }

    /// Creates an object from JSON: what the API server says against it.
    async fn create(&self, object: &Value) -> Result<(), String> {
        let file = self.run.join("object.json");
        std::fs::write(&file, object.to_string()).unwrap();
        let arguments = ["create", "--namespace", NAMESPACE, "-f", file.to_str().unwrap()];
        let created = self.kubectl.capture(&arguments).await.unwrap();
        if created.status.success() { Ok(()) } else { Err(created.stderr) }
    }
}

/// The chart as an earlier version might have been: one kind fewer, and meshes with no columns.
fn earlier_chart(run: &RunDir) -> PathBuf {
    let (new, old) = (chart().unwrap(), run.join("earlier"));
    copy(&new, &old);
    std::fs::remove_file(old.join("files/crds/routeactions.yaml")).unwrap();
    let meshes = old.join("files/crds/meshes.yaml");
    let text = std::fs::read_to_string(&meshes).unwrap();
    let mut definition: Value = serde_saphyr::from_str(&text).unwrap();
    definition["spec"]["versions"][0].as_object_mut().unwrap().remove("additionalPrinterColumns").unwrap();
    std::fs::write(&meshes, definition.to_string()).unwrap();
    old
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_release_lives_through_install_upgrade_rollback_and_uninstall() {
    let bed = LifeBed::start().await;
    let (new, old) = (chart().unwrap(), earlier_chart(&bed.run));
    let host = ["--set", "controlPlane.ads.host=ads.one.example.com"];

    let notes = bed.release("install", &old, &host).await;
    assert!(notes.contains("Proxies connect to https://ads.one.example.com:18000"), "{notes}");
    pods_are_admitted(&bed).await;
    the_operator_has_its_rights(&bed).await;
    let mesh = json!({"apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Mesh", "metadata": {"name": "apps"}, "spec": {}});
    wait::until("the API server serves meshes", LIMIT, async || {
        bed.create(&mesh).await.map_err(anyhow::Error::msg).map(Some)
    })
    .await
    .unwrap();
    let first = bed.secrets().await;

    // The same values: nothing that was generated changes, and the definitions do.
    assert!(!bed.exists("crd", "routeactions.fleetmesh.dev").await);
    bed.release("upgrade", &new, &host).await;
    assert_eq!(bed.secrets().await, first, "an upgrade keeps what was generated");
    assert!(bed.exists("crd", "routeactions.fleetmesh.dev").await, "an upgrade adds kinds");
    let columns = bed.get("crd", "meshes.fleetmesh.dev").await;
    let columns = columns["spec"]["versions"][0]["additionalPrinterColumns"].as_array().cloned();
    assert!(columns.is_some_and(|columns| columns.len() > 2), "an upgrade changes definitions");

    a_new_name_makes_a_new_certificate(&bed, &new, &first).await;

    let rollback = ["rollback", "fleetmesh", "2", "--namespace", NAMESPACE];
    while_jobs_run(&bed.cluster, &bed.run, bed.helm.run(&rollback)).await.unwrap();
    let back = bed.secrets().await;
    let [authority, server, key] = SECRETS;
    assert_eq!((&back[authority], &back[key]), (&first[authority], &first[key]));
    let names = certificate(&back[server]["tls.crt"]);
    assert!(names.contains("ads.one.example.com"), "a rollback goes back to the names of before");
    assert!(bed.exists("mesh", "apps").await);

    bed.helm.run(&["uninstall", "fleetmesh", "--namespace", NAMESPACE]).await.unwrap();
    let gone = [
        "deployment/fleetmesh-operator",
        "statefulset/fleetmesh-control-plane",
        "job/fleetmesh-provision",
        "role/fleetmesh-provision",
    ];
    for object in gone {
        let (kind, name) = object.split_once('/').unwrap();
        assert!(!bed.exists(kind, name).await, "{object} is left over");
    }
    assert!(bed.exists("mesh", "apps").await, "definitions and objects stay");
    for name in SECRETS {
        assert!(bed.exists("secret", name).await, "{name} stays");
    }

    bed.release("install", &new, &host).await;
    assert_eq!(bed.secrets().await, back, "what was generated is taken up again");
}

/// Prints what Helm keeps of each revision, as text.
const REVISIONS: &str = r#"
import base64, gzip, json, sys
for secret in json.load(open(sys.argv[1]))["items"]:
    print(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))).decode())
"#;

#[tokio::test]
async fn no_key_passes_through_helm() {
    let (bed, chart) = (LifeBed::start().await, chart().unwrap());
    bed.release("install", &chart, &[]).await;
    bed.release("upgrade", &chart, &["--set", "controlPlane.ads.host=ads.example.com"]).await;
    let owned = bed.kubectl.run(&["get", "secret", "-n", NAMESPACE, "-l", "owner=helm", "-o", "json"]);
    let file = bed.run.join("revisions.json");
    std::fs::write(&file, owned.await.unwrap()).unwrap();
    let mut python = std::process::Command::new(tools::tool("python").unwrap());
    python.args(["-c", REVISIONS]).arg(file);
    let kept = command::run(python).await.unwrap();
    assert_eq!(kept.lines().count(), 2, "a line for each revision");
    assert!(kept.contains("--ca-secret=fleetmesh-ca"), "it is what Helm keeps");

    let secrets = bed.secrets().await;
    let [authority, server, key] = SECRETS;
    for private in
        [&secrets[authority]["tls.key"], &secrets[server]["tls.key"], &secrets[key]["access-key.json"]]
    {
        let in_base64 = private.as_str().unwrap();
        let text = String::from_utf8(BASE64_STANDARD.decode(in_base64).unwrap()).unwrap();
        let key: Value = serde_json::from_str(&text).unwrap_or_default();
        let inner = key["secretAccessKey"].as_str().or_else(|| text.lines().nth(1)).unwrap();
        assert!(inner.len() > 30, "{inner}");
        for form in [in_base64, inner] {
            assert!(!kept.contains(form), "a private key is in Helm's Secrets");
        }
    }
}

/// The Job's rights while it runs, as the API server understands them.
#[tokio::test]
async fn the_job_reads_and_changes_its_own_secrets_and_no_others() {
    let bed = LifeBed::start().await;
    let base = ["template", "fleetmesh", "--namespace", NAMESPACE, "--show-only", "templates/provision.yaml"];
    let rendered = bed.helm.run(&[&base[..], &[chart().unwrap().to_str().unwrap()]].concat()).await.unwrap();
    let file = bed.run.join("provision.yaml");
    std::fs::write(&file, rendered).unwrap();
    bed.kubectl.run(&["apply", "-n", NAMESPACE, "-f", file.to_str().unwrap()]).await.unwrap();
    let user = format!("--as=system:serviceaccount:{NAMESPACE}:fleetmesh-provision");
    let may = async |verb: &str, resource: &str| {
        let asked =
            bed.kubectl.capture(&["auth", "can-i", verb, resource, "-n", NAMESPACE, &user]).await.unwrap();
        asked.stdout.trim() == "yes"
    };
    for name in SECRETS {
        for verb in ["get", "update"] {
            assert!(may(verb, &format!("secret/{name}")).await, "{verb} {name}");
        }
        assert!(!may("delete", &format!("secret/{name}")).await, "{name}");
    }
    for verb in ["get", "list", "watch", "update", "patch", "delete"] {
        assert!(!may(verb, "secrets").await, "{verb} any");
    }
    assert!(may("create", "secrets").await);
    for (verb, resource) in [("get", "secret/other"), ("create", "pods"), ("get", "configmaps")] {
        assert!(!may(verb, resource).await, "{verb} {resource}");
    }
}

/// Another name for the instances, and a certificate in its last third: only the control plane's certificate is made anew.
async fn a_new_name_makes_a_new_certificate(bed: &LifeBed, chart: &Path, first: &BTreeMap<&str, Value>) {
    bed.release("upgrade", chart, &["--set", "controlPlane.ads.host=ads.two.example.com"]).await;
    let second = bed.secrets().await;
    let [authority, server, key] = SECRETS;
    assert_eq!((&second[authority], &second[key]), (&first[authority], &first[key]));
    assert_eq!(second[server]["ca.crt"], first[authority]["tls.crt"], "the operator's copy of the authority");
    assert_ne!(second[server]["tls.key"], first[server]["tls.key"]);
    for (secrets, name, other) in [(first, "ads.one", "ads.two"), (&second, "ads.two", "ads.one")] {
        let names = certificate(&secrets[server]["tls.crt"]);
        assert!(names.contains(&format!("{name}.example.com")), "{name} is in the certificate");
        assert!(!names.contains(other), "{other} is not");
    }

    let due = "fleetmesh.dev/renew-after=1";
    bed.kubectl.run(&["annotate", "--overwrite", "secret", server, due, "-n", NAMESPACE]).await.unwrap();
    bed.release("upgrade", chart, &["--set", "controlPlane.ads.host=ads.two.example.com"]).await;
    let third = bed.secrets().await;
    assert_ne!(third[server]["tls.crt"], second[server]["tls.crt"], "a certificate that is due is made anew");
    assert_eq!((&third[authority], &third[key]), (&first[authority], &first[key]));
}

/// The text in a certificate: its names are in it as they are.
fn certificate(in_base64: &Value) -> String {
    let pem = BASE64_STANDARD.decode(in_base64.as_str().unwrap()).unwrap();
    let pem = String::from_utf8(pem).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    String::from_utf8_lossy(&BASE64_STANDARD.decode(body).unwrap()).into_owned()
}

/// No controller is there to make Pods, so the test makes those of the templates.
async fn pods_are_admitted(bed: &LifeBed) {
    let privileged = json!({"hostNetwork": true, "containers": [{"name": "c", "image": "i"}]});
    let refusal = bed.create(&pod("privileged", &privileged)).await.expect_err("restricted is enforced");
    assert!(refusal.contains("violates PodSecurity \"restricted"), "{refusal}");
    for (kind, name) in [("deployment", "fleetmesh-operator"), ("statefulset", "fleetmesh-control-plane")] {
        let workload = bed.get(kind, name).await;
        let mut spec = workload["spec"]["template"]["spec"].clone();
        // What the StatefulSet's controller adds.
        for claim in workload["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
            let volume = &claim["metadata"]["name"];
            let claim = json!({"name": volume, "persistentVolumeClaim": {"claimName": format!("{}-{name}-0", volume.as_str().unwrap())}});
            spec["volumes"].as_array_mut().unwrap().push(claim);
        }
        bed.create(&pod(name, &spec)).await.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let delete = ["delete", "pod", name, "--namespace", NAMESPACE, "--grace-period=0", "--force"];
        bed.kubectl.run(&delete).await.unwrap();
        println!(
            "S4: the Pod of {kind} {name} is admitted where `restricted` is enforced, without a warning"
        );
    }
}

fn pod(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
}

async fn the_operator_has_its_rights(bed: &LifeBed) {
    for (verb, resource) in [("patch", "meshes.fleetmesh.dev"), ("watch", "namespaces")] {
        assert!(bed.may(verb, resource).await, "{verb} {resource}");
    }
    for (verb, resource) in [("get", "secrets"), ("delete", "meshes.fleetmesh.dev"), ("create", "pods")] {
        assert!(!bed.may(verb, resource).await, "{verb} {resource}");
    }
}

#[tokio::test]
async fn a_mesh_without_a_selector_is_refused_when_that_is_required() {
    let bed = LifeBed::start().await;
    let chart = chart().unwrap();
    let mesh = |name: &str, spec: Value| json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Mesh", "metadata": { "name": name }, "spec": spec });
    bed.release("install", &chart, &[]).await;
    wait::until("the definitions are served", LIMIT, async || {
        Ok(bed.create(&mesh("earlier", json!({}))).await.is_ok().then_some(()))
    })
    .await
    .unwrap();

    bed.release("upgrade", &chart, &["--set", "mesh.requireSelector=true"]).await;
    let selects =
        |selector: Value| json!({ "allowedNamespaces": { "from": "Selector", "selector": selector } });
    let refusal = wait::until("the policy is in force", LIMIT, async || {
        let refused = bed.create(&mesh("open", json!({}))).await;
        if refused.is_ok() {
            bed.kubectl.run(&["delete", "mesh.fleetmesh.dev", "open"]).await?;
        }
        Ok(refused.err())
    })
    .await
    .unwrap();
    assert!(refusal.contains("spec.allowedNamespaces must choose namespaces by a selector"), "{refusal}");
    for spec in [
        json!({ "allowedNamespaces": { "from": "All" } }),
        selects(json!({})),
        selects(json!({ "matchLabels": {} })),
    ] {
        let refusal = bed.create(&mesh("open", spec)).await.expect_err("refused");
        assert!(refusal.contains("by a selector"), "{refusal}");
    }
    bed.create(&mesh("by-label", selects(json!({ "matchLabels": { "team": "a" } })))).await.unwrap();
    let listed = json!([{ "key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"] }]);
    bed.create(&mesh("by-name", selects(json!({ "matchExpressions": listed })))).await.unwrap();

    // One that was there stays as it is: its labels and finalizers change freely, its spec does not.
    let patch = ["patch", "mesh.fleetmesh.dev", "earlier", "--type=merge", "-p"];
    let finalizer = r#"{"metadata":{"finalizers":["fleetmesh.dev/cleanup"]}}"#;
    bed.kubectl.run(&[&patch[..], &[finalizer]].concat()).await.unwrap();
    let opens = bed
        .kubectl
        .capture(&[&patch[..], &[r#"{"spec":{"egressFilter":{"type":"ALLOW_ALL"}}}"#]].concat())
        .await;
    assert!(opens.unwrap().stderr.contains("by a selector"));
}
