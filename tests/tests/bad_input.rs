//! What the machine can do to `fleetmesh`: full, read-only and damaged disks, files that are not there. Each is one clear
//! line and a failure, or a refusal of the API, and nothing is lost. What else a start may meet is in `control_plane.rs`;
//! unreachable endpoints and wrong credentials are conditions, in `kubernetes/endpoints.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fleetmesh_model::ResourceId;
use fleetmesh_testbed::command::{self, Captured};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{http, tools, userns};
use fleetmesh_tests::app_mesh::{AppMeshRequests, message};
use serde_json::{Value, json};

/// How long a start may take.
const START: Duration = Duration::from_secs(60);
/// More meshes than the small disk has room for.
const TOO_MANY: usize = 5000;

/// A small file system of its own in a mount namespace, which goes with the process that holds it.
struct Disk {
    holder: Process,
    folder: PathBuf,
}

impl Disk {
    /// Mounts it with these options of tmpfs.
    async fn mount(run: &RunDir, options: &str) -> Self {
        let folder = run.join("disk");
        fs::create_dir_all(&folder).unwrap();
        let script =
            format!("mount -t tmpfs -o {options} tmpfs {} && echo mounted && exec cat", folder.display());
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", &script]);
        let mut holder = Process::spawn("disk", &unshare, run).unwrap();
        assert_eq!(holder.first_line(START).await.unwrap(), "mounted");
        Self { holder, folder }
    }

    /// A command that sees the disk.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id())).arg(program);
        command
    }

    fn control_plane(&self) -> Command {
        control_plane(self.command(tools::fleetmesh().unwrap()), &self.folder.join("data"))
    }

    /// A file on the disk as this process sees it.
    fn path(&self, name: &str) -> PathBuf {
        let inside = self.folder.strip_prefix("/").unwrap().join(name);
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(inside)
    }
}

fn control_plane(mut command: Command, data: &Path) -> Command {
    command.arg("control-plane").arg("--data-dir").arg(data);
    command.args(["--listen", "127.0.0.1:0", "--ads-listen", "127.0.0.1:0"]);
    command
}

/// Checks that a command ended with this status and one line of these words, and printed nothing else.
fn failed(captured: &Captured, words: &[&str]) {
    assert_eq!(captured.status.code(), Some(1), "{captured:?}");
    let [line] = captured.stderr.lines().collect::<Vec<_>>()[..] else {
        panic!("not one line: {}", captured.stderr)
    };
    for word in words {
        assert!(line.contains(word), "{line:?} does not say {word:?}");
    }
}

async fn started(disk: &Disk, run: &RunDir) -> (Process, AppMeshRequests, String) {
    let mut process = Process::spawn("control-plane", &disk.control_plane(), run).unwrap();
    let endpoint = format!("http://{}", process.first_line(START).await.unwrap());
    (process, AppMeshRequests::new(&endpoint), endpoint)
}

async fn stored(endpoint: &str) -> usize {
    let mut count = 0;
    let mut next = String::new();
    loop {
        let page = http::get(&format!("{endpoint}/v20190125/meshes?limit=100{next}")).await.unwrap();
        let page: Value = serde_json::from_str(&page).unwrap();
        count += page["meshes"].as_array().unwrap().len();
        match page["nextToken"].as_str() {
            Some(token) => next = format!("&nextToken={token}"),
            None => return count,
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_keeps_what_it_has() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("full").unwrap();
    let disk = Disk::mount(&run, "size=1m").await;
    let (mut process, api, endpoint) = started(&disk, &run).await;
    let mut kept = 0;
    let refusal = loop {
        assert!(kept < TOO_MANY, "the disk never became full");
        let answer = api.try_create(&ResourceId::mesh(format!("m{kept}")), &json!({})).await.unwrap();
        match answer.status().as_u16() {
            200 => kept += 1,
            _ => break answer,
        }
    };
    assert_eq!(refusal.status(), 503, "{refusal:?}");
    let said = message(&refusal).unwrap();
    assert!(said.contains("full") && said.contains("control-plane.db"), "{said}");
    assert_eq!(stored(&endpoint).await, kept, "reads go on, and what was refused is not there");

    // The same process serves writes again once there is room.
    let mut remount = disk.command("mount");
    remount.args(["-o", "remount,size=8m"]).arg(&disk.folder);
    command::run(remount).await.unwrap();
    let name = ResourceId::mesh(format!("m{kept}"));
    api.create(&name, &json!({})).await.unwrap();
    process.kill();
    let (_process, _, endpoint) = started(&disk, &run).await;
    assert_eq!(stored(&endpoint).await, kept + 1, "all that was acknowledged, and nothing else");
}

#[tokio::test]
async fn a_start_on_a_full_or_read_only_disk_fails_in_one_line() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("disks").unwrap();
    let disk = Disk::mount(&run, "size=64k").await;
    fs::create_dir(disk.path("data")).unwrap();
    // Whatever room there is, this takes it all.
    let filled = fs::write(disk.path("filler"), vec![0; 1 << 20]).expect_err("64 KiB are less than 1 MiB");
    assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);
    failed(&command::capture(disk.control_plane()).await.unwrap(), &["data", "No space left on device"]);
    drop(disk);

    let disk = Disk::mount(&run, "size=64k,ro").await;
    let words = ["cannot use the data directory", "Read-only file system", "--data-dir"];
    failed(&command::capture(disk.control_plane()).await.unwrap(), &words);
}

#[tokio::test]
async fn a_damaged_database_is_refused_and_left_as_it_is() {
    let run = RunDir::new("damaged").unwrap();
    let mut healthy = ControlPlane::start(&run).await.unwrap();
    let api = AppMeshRequests::new(&healthy.endpoint());
    for index in 0..200 {
        api.create(&ResourceId::mesh(format!("m{index}")), &json!({})).await.unwrap();
    }
    // A graceful stop writes everything into the one file.
    assert!(healthy.process().terminate(START).await.unwrap().success());
    let data = healthy.data_dir();
    let database = data.join("control-plane.db");
    let whole = fs::read(&database).unwrap();
    assert!(whole.len() > 16 * 1024, "{} bytes", whole.len());

    let middle = whole.len() / 2;
    let mut scribbled = whole.clone();
    scribbled[middle - 4096..middle + 4096].fill(0xa5);
    let damages = [scribbled, whole[..middle].to_vec()];
    for damaged in damages {
        fs::write(&database, &damaged).unwrap();
        let start = control_plane(Command::new(tools::fleetmesh().unwrap()), &data);
        let words = [database.to_str().unwrap(), "cannot be read", "restore it from a backup"];
        failed(&command::capture(start).await.unwrap(), &words);
        assert!(fs::read(&database).unwrap() == damaged, "it was changed");
    }
    fs::write(&database, &whole).unwrap();
    healthy.restart(&run).await.unwrap();
    assert_eq!(stored(&healthy.endpoint()).await, 200);
}

#[tokio::test]
async fn an_operator_that_cannot_connect_says_why_in_one_line() {
    let run = RunDir::new("operator").unwrap();
    let write = |name: &str, text: &str| {
        let path = run.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let malformed = write("malformed", "clusters: [");
    let empty = write("empty", "apiVersion: v1\nkind: Config\n");
    let missing = run.join("missing").to_str().unwrap().to_owned();
    for kubeconfig in [malformed, empty, missing] {
        let captured = operator(&["--kubeconfig", &kubeconfig]).await;
        failed(&captured, &["kubeconfig", &kubeconfig, "--kubeconfig"]);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    failed(
        &operator(&["--health-listen", &address]).await,
        &["cannot listen on", &address, "--health-listen"],
    );

    for (flag, value, bound) in [
        ("--drift-interval", "0s", "from 1s to 1h"),
        ("--drift-interval", "2h", "from 1s to 1h"),
        ("--app-mesh-writes", "0", "greater than 0"),
        ("--health-listen", "8081", "invalid socket address"),
    ] {
        let captured = operator(&[flag, value]).await;
        assert_eq!(captured.status.code(), Some(2), "{captured:?}");
        for word in [flag, value, bound] {
            assert!(captured.stderr.contains(word), "{} does not say {word:?}", captured.stderr);
        }
    }
}

/// An operator that must end by itself.
async fn operator(arguments: &[&str]) -> Captured {
    let mut command = Command::new(tools::fleetmesh().unwrap());
    command.arg("operator").args(arguments);
    if !arguments.contains(&"--health-listen") {
        command.args(["--health-listen", "127.0.0.1:0"]);
    }
    command::capture(command).await.unwrap()
}
