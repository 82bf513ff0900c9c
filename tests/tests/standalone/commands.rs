//! `fleetmesh apply`, `get`, `describe`, `delete`, `events`, `wait` and `diff` beside kubectl, on the same server: the same output, on
//! standard error, too, and the same exit status.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::command::{self, Captured};
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::Standalone;
use fleetmesh_testbed::{tools, wait};
use jiff::SignedDuration;

use crate::kubectl::{KINDS, is_ready};
use crate::mask;

/// Much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);
/// How often both are asked when their answers differ: ages go on between them.
const ATTEMPTS: usize = 5;
/// How much older things may be then: on a busy machine each command takes longer than a second.
const APART: Duration = Duration::from_secs(10);
/// The versions of kubectl whose words ours are: they change from one to the next, and the machine's own is used.
const WORDS_OF: [&str; 1] = ["v1.32."];

/// Both, on one server.
pub struct Both {
    /// For its files.
    pub run: RunDir,
    standalone: Standalone,
    kubectl: Kubectl,
    /// Whether words are compared too.
    pub words: bool,
}

/// What one of them did.
#[derive(Debug, PartialEq)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Done {
    /// Whether this says the same as `before` but that ages (`11s`, `1m12s`) are greater by up to [`APART`].
    fn is_a_little_later(&self, before: &Self) -> bool {
        let age = |word: &str| word.parse::<SignedDuration>().ok().filter(|_| word.ends_with(['s', 'm']));
        let is_later = |ours: &str, theirs: &str| {
            let apart = || Some(age(ours)? - age(theirs)?);
            ours == theirs
                || apart().is_some_and(|apart| apart.is_positive() && apart.unsigned_abs() <= APART)
        };
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            (self.out.split_whitespace().collect(), before.out.split_whitespace().collect());
        let same = (self.code, &self.err, ours.len()) == (before.code, &before.err, theirs.len());
        same && ours.iter().zip(&theirs).all(|(ours, theirs)| is_later(ours, theirs))
    }
}

impl Both {
    pub async fn start(name: &str) -> Result<Self> {
        let run = RunDir::new(name)?;
        let standalone = Standalone::start(&run).await?;
        let kubectl = standalone.kubectl()?;
        let version = kubectl.json(&["version", "--client"]).await?;
        let version = version["clientVersion"]["gitVersion"].as_str().unwrap_or_default().to_owned();
        let words = WORDS_OF.iter().any(|minor| version.starts_with(minor));
        if !words {
            println!("kubectl is {version}: of its commands the exit statuses are compared, not the words");
        }
        Ok(Self { run, standalone, kubectl, words })
    }

    /// The words of a command, with `{samples}` and `{run}` as folders.
    fn words(&self, line: &str) -> Result<Vec<String>> {
        let samples = tools::workspace_dir()?.join("samples/getting-started");
        let filled = |word: &str| {
            let word = word.replace("{samples}", &samples.to_string_lossy());
            word.replace("{run}", &self.run.path().to_string_lossy())
        };
        Ok(line.split(' ').map(filled).collect())
    }

    /// `fleetmesh` with what `line` says.
    pub fn our_command(&self, line: &str) -> Result<Command> {
        let mut command = Command::new(tools::fleetmesh()?);
        command.args(self.words(line)?).arg("--data-dir").arg(self.standalone.data_dir());
        command.env_remove("KUBECONFIG").env_remove("KUBECTL_EXTERNAL_DIFF");
        Ok(command)
    }

    /// kubectl with the same words.
    pub fn their_command(&self, line: &str) -> Result<Command> {
        Ok(self.kubectl.command(self.words(line)?))
    }

    async fn ours(&self, line: &str) -> Result<Done> {
        Ok(done(&command::capture(self.our_command(line)?).await?))
    }

    async fn theirs(&self, line: &str) -> Result<Done> {
        let mut words = self.words(line)?;
        if ["apply", "diff"].iter().any(|verb| words.first().is_some_and(|word| word == verb)) {
            words.splice(1..1, ["--server-side".to_owned()]);
            if !line.contains("--field-manager") {
                words.push("--field-manager=fleetmesh".to_owned());
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(done(&self.kubectl.capture(&words).await?))
    }

    /// Both commands do the same. Each time `before` makes things as they were.
    async fn same(&self, line: &str, before: &[&str]) -> Result<Done> {
        for attempt in 1.. {
            self.prepare(before).await?;
            let theirs = self.theirs(line).await?;
            self.prepare(before).await?;
            let ours = self.ours(line).await?;
            if ours == theirs || (!self.words && ours.code == theirs.code) {
                return Ok(ours);
            }
            if attempt == ATTEMPTS && ours.is_a_little_later(&theirs) {
                return Ok(ours);
            }
            ensure!(attempt < ATTEMPTS, "{line}\nkubectl:   {theirs:#?}\nfleetmesh: {ours:#?}");
        }
        unreachable!("it is the same, or not")
    }

    /// Runs kubectl, which does not fail.
    pub async fn prepare(&self, before: &[&str]) -> Result<()> {
        for line in before {
            let words = self.words(line)?;
            self.kubectl.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Applies the first samples, and awaits that all of them are Ready.
    async fn with_samples(&self) -> Result<()> {
        self.same("apply -f {samples}", &[]).await?;
        wait::until("all is Ready", LIMIT, async || {
            let list = self.kubectl.json(&["get", KINDS, "--all-namespaces"]).await?;
            let items = list["items"].as_array().context("a list")?;
            Ok((items.len() == 8 && items.iter().all(is_ready)).then_some(()))
        })
        .await
    }

    /// A file in the folder `{run}`.
    pub fn file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.run.join(name);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        Ok(std::fs::write(path, text)?)
    }
}

/// What a command did, without what no two runs have in common.
pub fn done(captured: &Captured) -> Done {
    // The only word that has to differ.
    let text = |text: &str| mask::text_of(&older(&folders(text)).replace("fleetmesh get", "kubectl get"));
    Done { code: captured.status.code(), out: text(&captured.stdout), err: text(&captured.stderr) }
}

/// Without the namespace behind what is deleted, which a kubectl before 1.34 does not print.
fn older(text: &str) -> String {
    let line = |line: &str| match line.split_once("\" deleted from ") {
        Some((before, rest)) => {
            let (_, rest) = rest.split_once(" namespace").unwrap_or_default();
            format!("{before}\" deleted{rest}")
        }
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Without the names of temporary folders, and without the times that `diff` has of their files.
fn folders(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        if !["diff -u -N", "--- ", "+++ "].iter().any(|head| line.starts_with(head)) {
            return line.to_owned();
        }
        let line = line.split('\t').next().unwrap_or_default();
        let words = line.split(' ').map(|word| match Path::new(word).file_name() {
            Some(name) if word.starts_with('/') => name.to_string_lossy().into_owned(),
            _ => word.to_owned(),
        });
        format!("{}\n", words.collect::<Vec<_>>().join(" ").trim_end())
    });
    lines.collect()
}

/// What only reads.
const READS: &[&str] = &[
    "get meshes",
    "get mesh apps",
    "get mesh/apps -o wide",
    "get m/apps virtualnode/service-a -n apps",
    "get virtualnodes -n apps",
    "get vn,vr -n apps --show-labels",
    "get vn service-a service-b -n apps --no-headers",
    "get virtualnodes.fleetmesh.dev -A",
    "get virtualnodes.v1alpha1.fleetmesh.dev,namespaces -A -o wide",
    "get namespaces,virtualnodes -A",
    "get VirtualNode -n apps -o name",
    "get vn,vs -n apps -o json",
    "get vn service-a -n apps -o json",
    "get vn service-a -n apps -o yaml --show-managed-fields",
    "get vn,routes -A -o yaml",
    "get vn -n apps --field-selector metadata.name=service-a",
    "get ns -l kubernetes.io/metadata.name=apps",
    "get ns -l a=b",
    "get ns -l a==b,,",
    "get vn",
    "get vn -A -l none=such",
    "get mesh nowhere",
    "get mesh nowhere apps",
    "get mesh nowhere -o yaml",
    "get mesh nowhere apps -o yaml",
    "get mesh nowhere --ignore-not-found",
    "get pods",
    "get mesh/apps vn",
    "get mesh/apps/x",
    "get mesh/",
    "get vn service-a -A",
    "get mesh apps -l a=b",
    "get mesh/apps -l a=b",
    "get -f {samples}",
    "get -f {samples} -o name",
    "get -f {samples} mesh",
    "get -f {run}/nowhere.yaml",
    "get crd meshes.fleetmesh.dev -o yaml",
    "get crd -o json",
    "get configmap odd -o yaml",
    "get configmap odd -o json",
    "get secret hidden",
    "get lease,sa,cm,secrets",
    "get events -A",
    "get cm,ns -w",
    "describe mesh apps",
    "describe vn service-a -n apps",
    "describe vn service-b -n apps",
    "describe vn service -n apps",
    "describe vn -n apps",
    "describe vn nothing -n apps",
    "describe mesh/apps --show-events=false",
    "describe vn -n default",
    "describe ns apps",
    "describe secret hidden",
    "describe configmap plain",
    "describe pods",
    "events",
    "events -n apps",
    "events -A",
    "events -n apps --types=Warning",
    "events -n apps --types=Other",
    "events -n apps --for vn/service-a --no-headers",
    "events --for mesh/apps",
    "events --for mesh",
    "events --for pod/x",
    "events -n apps --for vn/service-a -o json",
    "events -n apps --for vn/service-a -o yaml",
    "wait mesh/apps --for=condition=Ready",
    "wait mesh apps --for=condition=ready=TRUE --timeout=0",
    "wait vn --all -n apps --for=condition=Ready",
    "wait vn -l a=b -n apps --for=condition=Ready",
    "wait vn -n apps --for=condition=Ready",
    "wait vn --all -n apps --for=condition=Ready=False --timeout=1s",
    "wait mesh/apps --for=condition=Ready=False --timeout=0",
    "wait mesh/apps --for=jsonpath={.metadata.name}=apps",
    "wait mesh/apps --for=jsonpath={.metadata.name}=other --timeout=1s",
    "wait mesh/apps --for=jsonpath={.status} --timeout=1s",
    "wait mesh/apps --for=jsonpath={.status}=x --timeout=1s",
    "wait mesh/nowhere --for=condition=Ready --timeout=1s",
    "wait mesh/nowhere --for=delete --timeout=1s",
    "wait mesh/nowhere --for=create --timeout=1s",
    "wait mesh/apps --for=create --timeout=5s",
    "wait mesh/apps --for=delete --timeout=1s",
    "wait mesh/apps --for=delete --timeout=0",
    "wait mesh/apps --for=condition=Ready -o name",
    "diff -f {samples}",
    "diff -f {run}/nowhere.yaml",
    "apply -f {run}/nowhere.yaml",
    "apply -f {samples} --dry-run=server",
    "apply -f {samples}/01-mesh.yaml -o json --dry-run=server",
    "apply -f {samples} -o yaml --dry-run=server",
    "apply -f {samples} -o name --dry-run=server",
    "apply -f {samples} -l a=b",
    "apply -f {samples} -n other",
    "delete mesh",
    "delete mesh nowhere",
    "delete mesh nowhere --ignore-not-found",
    "delete mesh apps --all",
    "delete vn --all -n default",
    "delete vn -l a=b -n apps",
    "delete -f {samples}/02-virtual-service-serviceb.yaml --dry-run=server",
    "delete vn service-a -n apps --dry-run=server -o name",
];

/// Objects with what is hard to print.
const ODD: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata:
  name: odd
  namespace: default
  labels: {a: "1", "yes": "no"}
  annotations:
    long: "the quick brown fox jumps over the lazy dog, and the lazy dog, who has seen this many times before, does not even lift its head"
    empty: ""
data:
  "yes": "on"
  number: "0x1f"
  lines: "one\n two\n\nthree"
  folded: "the quick brown fox jumps over the lazy dog: 'twice', and the lazy dog, who has seen this many times before, sleeps"
  special: "tab\there, a <b> & a bell \u0007 and é"
  a10: "ten"
  a9: "nine"
  time: "2026-01-02T03:04:05Z"
binaryData: {raw: AAEC}
---
# One entry each: `kubectl describe` prints several in a random order.
{apiVersion: v1, kind: ConfigMap, metadata: {name: plain, namespace: default}, data: {lines: "one\n two"}, binaryData: {raw: AAEC}}
---
{apiVersion: v1, kind: Secret, metadata: {name: hidden, namespace: default}, stringData: {password: hunter2}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, namespace: default}, imagePullSecrets: [{name: a}, {name: b}]}
---
{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: lease, namespace: default}, spec: {holderIdentity: me}}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reads_prints_what_kubectl_prints() -> Result<()> {
    let both = Both::start("standalone-commands").await?;
    both.with_samples().await?;
    both.file("odd.yaml", ODD)?;
    both.same("apply -f {run}/odd.yaml", &[]).await?;
    let mut different = Vec::new();
    for line in READS {
        if let Err(error) = both.same(line, &[]).await {
            different.push(format!("{error:#}"));
        }
    }
    println!("{} commands, {} with another output or status", READS.len(), different.len());
    ensure!(different.is_empty(), "{}", different.join("\n\n"));
    Ok(())
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {x: \"1\"}\n";
const OTHER: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {x: \"2\", z: \"3\"}\n";
const HIDDEN: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {x: YQ==, z: YQ==}\n";
const SHOWN: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {x: Yg==, z: YQ==}\n";
const BAD: &str = "apiVersion: fleetmesh.dev/v1alpha1\nkind: VirtualNode\nmetadata: {name: bad}\n\
                   spec: {meshName: apps, listeners: [{portMapping: {port: 0, protocol: udp}}]}\n";
const UNKNOWN: &str =
    "apiVersion: fleetmesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: unknown}\nspec: {egres: {}}\n";
const STRANGE: &str = "apiVersion: example.com/v1\nkind: Strange\nmetadata: {name: a}\n";

/// What writes, and what has to be so before.
const WRITES: &[(&str, &[&str])] = &[
    ("apply -f {run}/map.yaml", &["delete cm map --ignore-not-found"]),
    ("apply -f {run}/map.yaml -n default", &[]),
    (
        "apply -f {run}/other.yaml",
        &[
            "delete cm map --ignore-not-found",
            "apply --server-side --field-manager=someone -f {run}/map.yaml",
        ],
    ),
    (
        "apply -f {run}/other.yaml --force-conflicts",
        &["apply --server-side --field-manager=someone --force-conflicts -f {run}/map.yaml"],
    ),
    ("apply -f {run}/bad.yaml -n default", &[]),
    ("apply -f {run}/unknown.yaml", &[]),
    ("apply -f {run}/unknown.yaml --validate=warn", &["delete mesh unknown --ignore-not-found"]),
    ("apply -f {run}/strange.yaml", &[]),
    ("apply -f {run}/folder", &["delete cm in-folder deep --ignore-not-found"]),
    ("apply -f {run}/folder -R", &["delete cm in-folder deep --ignore-not-found"]),
    ("apply -f {run}/folder -f {run}/bad.yaml -f {run}/map.yaml", &[]),
    (
        "diff -f {run}/other.yaml",
        &["apply --server-side --field-manager=fleetmesh --force-conflicts -f {run}/map.yaml"],
    ),
    ("diff -f {run}/map.yaml", &["delete cm map --ignore-not-found"]),
    ("diff -f {run}/shown.yaml", &["apply --server-side --field-manager=fleetmesh -f {run}/hidden.yaml"]),
    ("diff -f {run}/bad.yaml", &[]),
    ("delete cm map", &["apply --server-side -f {run}/map.yaml"]),
    (
        "delete cm/map cm/nowhere secret/s -n default",
        &["apply --server-side -f {run}/map.yaml -f {run}/hidden.yaml"],
    ),
    ("delete -f {run}/folder -R", &["apply --server-side -R -f {run}/folder"]),
    ("delete -f {run}/folder -R --ignore-not-found", &[]),
    ("delete cm -l in=folder -o name", &["apply --server-side -R -f {run}/folder"]),
    ("delete mesh kept --timeout=1s", &["apply --server-side --force-conflicts -f {run}/kept.yaml"]),
    ("delete mesh kept --wait=false -n default", &[]),
    ("delete ns kube-system", &[]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_writes_prints_and_does_what_kubectl_does() -> Result<()> {
    let both = Both::start("standalone-writes").await?;
    let map = |name: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{in: folder}}}}\n")
    };
    let kept = "apiVersion: fleetmesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: kept, finalizers: [example.com/kept]}\nspec: {}\n";
    for (name, text) in [
        ("map.yaml", MAP),
        ("other.yaml", OTHER),
        ("hidden.yaml", HIDDEN),
        ("shown.yaml", SHOWN),
        ("bad.yaml", BAD),
        ("unknown.yaml", UNKNOWN),
        ("strange.yaml", STRANGE),
        ("kept.yaml", kept),
        ("folder/a.yaml", &map("in-folder")),
        ("folder/notes.txt", "no manifest"),
        (
            "folder/deep/a.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"deep\", \"labels\": {\"in\": \"folder\"}}}",
        ),
    ] {
        both.file(name, text)?;
    }
    let mut different = Vec::new();
    for (line, before) in WRITES {
        if let Err(error) = both.same(line, before).await {
            different.push(format!("{error:#}"));
        }
    }
    println!("{} commands, {} with another output or status", WRITES.len(), different.len());
    ensure!(different.is_empty(), "{}", different.join("\n\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_comes_from_standard_input_and_a_server_that_is_gone_is_said() -> Result<()> {
    let mut both = Both::start("standalone-input").await?;
    let mut command = Command::new(tools::fleetmesh()?);
    command.args(["apply", "-f", "-", "--data-dir"]).arg(both.standalone.data_dir());
    let mut child =
        tokio::process::Command::from(command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("its input")?;
    tokio::io::AsyncWriteExt::write_all(&mut input, MAP.as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    ensure!(output.stdout == b"configmap/map serverside-applied\n" && output.status.success(), "{output:?}");
    let managers = both.kubectl.json(&["get", "cm", "map", "--show-managed-fields"]).await?;
    ensure!(managers["metadata"]["managedFields"][0]["manager"] == "fleetmesh", "{managers}");
    both.standalone.kill();
    let gone = both.same("get ns", &[]).await?;
    ensure!(gone.code == Some(1) && gone.err.contains("was refused"), "{gone:?}");
    Ok(())
}
