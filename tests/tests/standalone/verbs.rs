//! kubectl's verbs on a real kube-apiserver and on standalone: the same output, also on standard error, and the same exit status; with
//! today's kubectl and with that of Kubernetes 1.20, which asks in other ways (no aggregated discovery, OpenAPI v2).

mod watch;

use std::path::Path;

use anyhow::{Result, ensure};
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::command;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::stack;

use crate::commands::{Done, done};
use crate::mask;
use crate::replay::embedded;

/// The tools, and the namespace in which each works.
const PROGRAMS: [(&str, &str); 2] = [("kubectl", "verbs"), ("kubectl-1.20", "verbs-1-20")];
/// What the editor of `kubectl edit` does.
const EDITOR: &str = "sed -i s/8080/9090/";

/// One after the other; what only newer ones have begins with `new:`. `{ns}` is the namespace and the name of the mesh.
const VERBS: &[&str] = &[
    "create namespace {ns}",
    "create namespace {ns}",
    "create configmap made --from-literal=a=b -n {ns}",
    "create secret generic hidden --from-literal=a=b -n {ns}",
    "create serviceaccount robot -n {ns}",
    "create configmap tried --from-literal=a=b -n {ns} --dry-run=server -o yaml",
    "create configmap tried --from-literal=a=b -n {ns} --dry-run=client -o yaml",
    "apply -f {run}/mesh.yaml",
    "apply -f {run}/mesh.yaml",
    "apply -f {run}/node.yaml",
    "apply -f {run}/changed.yaml --dry-run=server",
    "diff -f {run}/node.yaml",
    // An older one compares the times of managers, too.
    "new:diff -f {run}/changed.yaml",
    "apply -f {run}/changed.yaml",
    "apply -f {run}/node.yaml",
    "apply view-last-applied virtualnode/web -n {ns}",
    "apply -f {run}/invalid.yaml",
    "apply -f {run}/unknown.yaml",
    "apply -f {run}/unknown.yaml --validate=false --dry-run=server",
    "get fmesh {ns}",
    "get virtualnodes -n {ns}",
    "get fnode web -n {ns} -o wide",
    "get fnode -n {ns} --show-labels",
    "get fleetmesh -n {ns}",
    "get fnode web -n {ns} -o json",
    "get fnode web -n {ns} -o yaml",
    "get fnode,cm -n {ns} -o name",
    "get fnode -n {ns} -o jsonpath={.items[*].spec.meshName}",
    "get fnode -n {ns} -o custom-columns=NAME:.metadata.name,MESH:.spec.meshName",
    "get fnode -n {ns} -o go-template={{range.items}}{{.metadata.name}}{{end}}",
    "get fnode,cm,secret,sa -n {ns} --sort-by=.metadata.name",
    "get fnode -n {ns} -l a=b",
    "get fnode -n {ns} -l a=",
    "get fnode -n {ns} -l a=b==c",
    "get fnode -n {ns} --field-selector metadata.name=web",
    "get fnode -n {ns} --field-selector spec.meshName=web",
    "get cm,secret -n {ns} --chunk-size=1 -o name",
    "get -f {run}/node.yaml -o name",
    "get cm made -n {ns} -o yaml",
    "get secret hidden -n {ns} -o yaml",
    "get ns {ns} -o wide",
    "get nothing",
    "get fnode none -n {ns}",
    "get fnode none -n {ns} --ignore-not-found",
    "get --raw /livez",
    "get --raw /apis/fleetmesh.dev/v1alpha1/namespaces/{ns}/virtualnodes/none",
    "describe fnode web -n {ns}",
    "describe fmesh {ns}",
    "describe cm made -n {ns}",
    "describe secret hidden -n {ns}",
    "describe fnode none -n {ns}",
    "explain meshes",
    "explain fnode.spec.listeners",
    "explain fnode.spec.listeners.portMapping.port",
    "explain fmesh --recursive",
    "explain cm.data",
    "explain nothing",
    "api-resources --api-group=fleetmesh.dev -o name",
    "api-resources --api-group=fleetmesh.dev",
    "api-resources --api-group=coordination.k8s.io -o wide",
    "wait fnode/web -n {ns} --for=condition=Ready --timeout=1s",
    "wait cm/none -n {ns} --for=delete --timeout=5s",
    "new:wait fnode/web -n {ns} --for=jsonpath={.spec.meshName}={ns} --timeout=5s",
    "new:patch fnode web -n {ns} --subresource=status --type=merge -p {\"status\":{\"observedGeneration\":7}}",
    "edit fnode web -n {ns}",
    "get fnode web -n {ns} -o jsonpath={.spec.listeners}",
    "patch fnode web -n {ns} --type=merge -p {\"spec\":{\"listeners\":[{\"portMapping\":{\"port\":81,\"protocol\":\"http2\"}}]}}",
    "patch fnode web -n {ns} --type=json -p [{\"op\":\"test\",\"path\":\"/spec/meshName\",\"value\":\"x\"}]",
    "patch fnode web -n {ns} -p {\"spec\":{}}",
    "patch fnode web -n {ns} --type=merge -p {\"spec\":{\"meshName\":\"x\"}}",
    "patch cm made -n {ns} -p {\"data\":{\"a\":\"c\"}}",
    "patch cm made -n {ns} -p {\"data\":{\"a\":\"c\"}}",
    "scale fnode web -n {ns} --replicas=2",
    "label fnode web -n {ns} tier=front",
    "label fnode web -n {ns} tier=back",
    "label fnode web -n {ns} tier=back --overwrite",
    "label fnode web -n {ns} tier=-x",
    "label fnode web -n {ns} tier-",
    "label cm --all -n {ns} all=yes",
    "annotate cm made -n {ns} note=x",
    "annotate cm made -n {ns} note-",
    "replace -f {run}/changed.yaml",
    "replace -f {run}/none.yaml",
    "replace --force -f {run}/map.yaml",
    "create -f {run}/map.yaml",
    "apply --server-side -f {run}/map.yaml",
    "apply --server-side --field-manager=other -f {run}/other-map.yaml",
    "apply --server-side --field-manager=other --force-conflicts -f {run}/other-map.yaml",
    "apply --server-side --force-conflicts -f {run}/node.yaml",
    "apply --server-side -f {run}/invalid.yaml",
    "new:diff --server-side -f {run}/changed.yaml",
    "new:get cm map -n {ns} -o yaml --show-managed-fields",
    "auth can-i list virtualnodes.fleetmesh.dev -n {ns}",
    "auth can-i create meshes",
    "auth can-i * *",
    "auth can-i get /version",
    "patch fnode web -n {ns} --type=merge -p {\"metadata\":{\"finalizers\":[\"fleetmesh.dev/kept\"]}}",
    "delete fnode web -n {ns} --wait=false",
    "delete fnode web -n {ns} --timeout=1s",
    "get fnode web -n {ns} -o jsonpath={.metadata.finalizers}",
    "patch fnode web -n {ns} --type=merge -p {\"metadata\":{\"finalizers\":null}}",
    "get fnode web -n {ns}",
    "delete -f {run}/map.yaml",
    "delete -f {run}/map.yaml",
    "delete -f {run}/map.yaml --ignore-not-found",
    "delete cm made -n {ns} --dry-run=server",
    "delete cm made -n {ns} --cascade=orphan --wait=false",
    "delete secret --all -n {ns}",
    "delete fnode -l a=b -n {ns}",
    "delete fmesh {ns}",
];

/// The manifests of `{run}`.
fn manifests(namespace: &str) -> Vec<(&'static str, String)> {
    let node = |port: &str, more: &str| {
        format!(
            "apiVersion: fleetmesh.dev/v1alpha1\nkind: VirtualNode\nmetadata: {{name: web, namespace: {namespace}, labels: {{a: b}}}}\n\
             spec:\n  meshName: {namespace}\n  listeners:\n  - portMapping: {{port: {port}, protocol: http2}}\n  serviceDiscovery:\n    dns: {{hostname: web.local}}\n{more}"
        )
    };
    let map = |name: &str, value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{k: \"{value}\"}}\n"
        )
    };
    let mesh = format!(
        "apiVersion: fleetmesh.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: {namespace}}}\nspec: {{}}\n"
    );
    vec![
        ("mesh.yaml", mesh),
        ("node.yaml", node("8080", "")),
        ("changed.yaml", node("8081", "")),
        ("invalid.yaml", node("0", "")),
        ("unknown.yaml", node("8080", "  unknown: 1\n")),
        ("map.yaml", map("map", "1")),
        ("other-map.yaml", map("map", "2")),
        ("none.yaml", map("none", "1")),
    ]
}

/// Both servers with one kubectl.
struct Sides {
    real: Kubectl,
    ours: Kubectl,
}

impl Sides {
    async fn done(kubectl: &Kubectl, words: &[String]) -> Result<Done> {
        let mut command = kubectl.command(words);
        command.env("KUBE_EDITOR", EDITOR).env_remove("KUBECTL_EXTERNAL_DIFF");
        let Done { code, out, err } = done(&command::capture(command).await?);
        Ok(Done { code, out: ageless(&out), err: ageless(&err) })
    }

    /// What differs, if anything does.
    async fn difference(&self, words: &[String]) -> Result<Option<String>> {
        let (real, ours) = tokio::join!(Self::done(&self.real, words), Self::done(&self.ours, words));
        let (real, ours) = (real?, ours?);
        let line = words.join(" ");
        Ok((real != ours).then(|| format!("{line}\nkube-apiserver: {real:#?}\nstandalone:     {ours:#?}")))
    }
}

/// Tables without ages, which depend on when a busy machine comes to it.
fn ageless(text: &str) -> String {
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        if !words.iter().any(|word| word.len() > 1 && mask::is_age(word)) {
            return line.to_owned();
        }
        let words = words.iter().filter(|word| !word.is_empty());
        words.map(|word| if mask::is_age(word) { "<age>" } else { word }).collect::<Vec<_>>().join(" ")
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The words of a line for one of the tools; none where it has no such verb.
fn words(line: &str, program: &str, namespace: &str, folder: &Path) -> Option<Vec<String>> {
    let line = match line.strip_prefix("new:") {
        Some(_) if program != "kubectl" => return None,
        Some(line) => line,
        None => line,
    };
    let filled = line.replace("{ns}", namespace).replace("{run}", &folder.to_string_lossy());
    Some(filled.split(' ').map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_of_today_and_of_1_20_do_the_same_as_on_kube_apiserver() -> Result<()> {
    let run = RunDir::new("standalone-verbs")?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cluster = Cluster::start(&run).await?;
    stack::install_crds(&cluster.kubectl()?, &run).await?;
    let (kubeconfig, shutdown) = embedded(&run).await?;
    let _ends = shutdown.drop_guard();
    let (mut count, mut different) = (0, Vec::new());
    for (program, namespace) in PROGRAMS {
        let folder = run.join(namespace);
        std::fs::create_dir(&folder)?;
        for (name, text) in manifests(namespace) {
            std::fs::write(folder.join(name), text)?;
        }
        let sides = Sides {
            real: Kubectl::of(&cluster.admin_kubeconfig(), program)?,
            ours: Kubectl::of(&kubeconfig, program)?,
        };
        for words in VERBS.iter().filter_map(|line| words(line, program, namespace, &folder)) {
            count += 1;
            let found = sides.difference(&words).await?;
            different.extend(found.map(|found| format!("{program} {found}")));
        }
        for (at, watch) in watch::WATCHES.iter().enumerate() {
            count += 1;
            let filled = |line: &str| words(line, program, namespace, &folder).unwrap_or_default();
            let found = watch.difference(&sides, &format!("{namespace}-{at}"), &filled, &run).await?;
            different.extend(found.map(|found| format!("{program} {found}")));
        }
    }
    println!("{count} commands, {} with another output or status", different.len());
    ensure!(different.is_empty(), "{}", different.join("\n\n"));
    Ok(())
}
