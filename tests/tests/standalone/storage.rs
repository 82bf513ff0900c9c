//! What can be wrong with the data directory: a full disk, a damaged file, another process. Each is one line that says what to do, and
//! nothing that was acknowledged is lost.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::process::{Process, START};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::{self, Standalone};
use fleetmesh_testbed::{port, userns};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

/// Bytes of the disk that gets full.
const DISK: usize = 8 << 20;
/// Bytes of data of each object.
const OBJECT: usize = 64 << 10;

/// Names with their resource versions.
type Acknowledged = BTreeMap<String, String>;

/// The ConfigMaps, by a client that gives up at once: by default it asks again and again for what the disk does not take.
async fn maps(kubeconfig: &Path) -> Result<Api<ConfigMap>> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Api::namespaced(Client::try_from(config)?, "default"))
}

async fn create(
    maps: &Api<ConfigMap>,
    name: &str,
    acknowledged: &mut Acknowledged,
) -> Result<(), kube::Error> {
    let object = json!({"metadata": {"name": name}, "data": {"text": "x".repeat(OBJECT)}});
    let object = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
    let created = maps.create(&PostParams::default(), &object).await?;
    acknowledged.insert(name.to_owned(), created.metadata.resource_version.unwrap_or_default());
    Ok(())
}

/// Fails when one that was acknowledged is not there as it was.
async fn all_are_there(maps: &Api<ConfigMap>, acknowledged: &Acknowledged) -> Result<()> {
    let list = maps.list(&ListParams::default()).await?.into_iter();
    let found: Acknowledged =
        list.filter_map(|map| Some((map.metadata.name?, map.metadata.resource_version?))).collect();
    for (name, version) in acknowledged {
        ensure!(found.get(name) == Some(version), "{name} at {version} is {:?}", found.get(name));
    }
    Ok(())
}

/// Awaits that `process` ends with a failure, and gives the one line that it said.
async fn one_line(mut process: Process) -> Result<String> {
    let status = process.ended(START).await?;
    let (said, printed) = (std::fs::read_to_string(process.log())?, process.lines()?);
    ensure!(!status.success() && printed.is_empty(), "{status}: {printed:?} {said}");
    let mut lines = said.lines();
    let line = lines.next().context("it said nothing")?.to_owned();
    ensure!(lines.next().is_none() && line.starts_with("error: "), "{said}");
    Ok(line)
}

fn start(name: &str, folder: &Path, run: &RunDir) -> Result<Process> {
    Process::spawn(name, &standalone::command(folder, port::free()?)?, run)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_one_directory_says_who_has_it() -> Result<()> {
    let run = RunDir::new("standalone-second")?;
    let mut first = Standalone::start(&run).await?;
    let line = one_line(start("second", first.data_dir(), &run)?).await?;
    let id = first.process().id();
    let holder = format!("{} is in use by process {id}", first.data_dir().display());
    ensure!(line.contains(&holder) && line.contains("--data-dir"), "{line}");
    create(&maps(&first.kubeconfig()).await?, "a", &mut Acknowledged::new()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_named_and_left_as_it_is() -> Result<()> {
    let run = RunDir::new("standalone-damaged")?;
    let mut standalone = Standalone::start(&run).await?;
    let (folder, mut acknowledged) = (standalone.data_dir().to_owned(), Acknowledged::new());
    let objects = maps(&standalone.kubeconfig()).await?;
    for number in 0..8 {
        create(&objects, &format!("a-{number}"), &mut acknowledged).await?;
    }
    standalone.process().terminate(START).await?;
    let database = folder.join("standalone.db");
    let whole = std::fs::read(&database)?;
    for (name, at) in [("header", 0), ("schema", 4096 + 8), ("middle", whole.len() as u64 / 2)] {
        let file = std::fs::File::options().write(true).open(&database)?;
        file.write_all_at(&[0xa5; 2048], at)?;
        drop(file);
        let damaged = std::fs::read(&database)?;
        let line = one_line(start(name, &folder, &run)?).await?;
        let says = format!("error: the database {} is damaged: ", database.display());
        ensure!(line.starts_with(&says) && line.contains("restore it from a back-up"), "{name}: {line}");
        ensure!(std::fs::read(&database)? == damaged, "{name}: a damaged file was written");
        std::fs::write(&database, &whole)?;
    }
    standalone.restart(&run).await?;
    all_are_there(&maps(&standalone.kubeconfig()).await?, &acknowledged).await
}

/// Runs `sql` on a database that nobody uses; answers what `user_version` is then.
fn behind_its_back(database: &Path, sql: &str) -> Result<i64> {
    let connection = rusqlite::Connection::open(database)?;
    connection.execute_batch(sql)?;
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_an_earlier_version_goes_on_and_data_of_a_later_one_is_refused() -> Result<()> {
    let run = RunDir::new("standalone-schema")?;
    let mut standalone = Standalone::start(&run).await?;
    let (folder, mut acknowledged) = (standalone.data_dir().to_owned(), Acknowledged::new());
    let database = folder.join("standalone.db");
    let objects = maps(&standalone.kubeconfig()).await?;
    for number in 0..8 {
        create(&objects, &format!("a-{number}"), &mut acknowledged).await?;
    }
    standalone.process().terminate(START).await?;
    ensure!(behind_its_back(&database, "ALTER TABLE object DROP COLUMN sum; PRAGMA user_version = 1;")? == 1);

    standalone.restart(&run).await?;
    let objects = maps(&standalone.kubeconfig()).await?;
    all_are_there(&objects, &acknowledged).await?;
    create(&objects, "after", &mut acknowledged).await?;
    let versions: BTreeMap<&String, ()> = acknowledged.values().map(|version| (version, ())).collect();
    ensure!(versions.len() == acknowledged.len(), "a version is used twice: {acknowledged:?}");
    // Once more, with what the first start made of it.
    standalone.restart(&run).await?;
    all_are_there(&maps(&standalone.kubeconfig()).await?, &acknowledged).await?;
    standalone.process().terminate(START).await?;
    ensure!(behind_its_back(&database, "")? == 2);

    ensure!(behind_its_back(&database, "PRAGMA user_version = 3")? == 3);
    let before = std::fs::read(&database)?;
    let line = one_line(start("newer", &folder, &run)?).await?;
    let says = format!(
        "error: the database {} has schema 3, and this program knows 2: run a newer fleetmesh",
        database.display()
    );
    ensure!(line == says, "{line}");
    ensure!(std::fs::read(&database)? == before, "a newer file was written");
    behind_its_back(&database, "PRAGMA user_version = 2")?;
    standalone.restart(&run).await?;
    all_are_there(&maps(&standalone.kubeconfig()).await?, &acknowledged).await
}

/// A small disk of its own, which only a process sees that keeps its mount namespace.
struct Disk {
    keeper: Process,
    folder: PathBuf,
}

impl Disk {
    async fn make(run: &RunDir) -> Result<Self> {
        let folder = run.join("disk");
        std::fs::create_dir(&folder)?;
        let mount = format!(
            "mount -t tmpfs -o size={DISK},mode=0700 tmpfs \"$0\" && echo mounted && exec sleep infinity"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--", "sh", "-c", &mount]).arg(&folder);
        let mut keeper = Process::spawn("disk", &command, run)?;
        keeper.first_line(START).await?;
        Ok(Self { keeper, folder })
    }

    /// A file of the disk as this process can open it.
    fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(self.folder.strip_prefix("/").unwrap_or(&self.folder)).join(name)
    }

    /// Starts one on the disk.
    fn start(&self, name: &str, run: &RunDir) -> Result<Process> {
        let program = standalone::command(&self.folder.join("data"), port::free()?)?;
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.keeper.id())).arg("--");
        command.arg(program.get_program()).args(program.get_args());
        for (variable, value) in program.get_envs() {
            if let Some(value) = value {
                command.env(variable, value);
            }
        }
        Process::spawn(name, &command, run)
    }

    /// Takes some of the disk, which [`Self::free`] gives back.
    fn reserve(&self) -> Result<()> {
        std::fs::write(self.path("reserve"), vec![0; DISK / 4]).context("the reserve")
    }

    fn free(&self) -> Result<()> {
        std::fs::remove_file(self.path("reserve")).context("the reserve")
    }

    /// Takes what is left of the disk.
    fn fill(&self) -> Result<()> {
        let mut file = std::fs::File::create(self.path("rest"))?;
        while file.write_all(&[0; 4096]).is_ok() {}
        Ok(())
    }
}

/// Creates objects until the disk is full; answers what is said then.
async fn until_full(maps: &Api<ConfigMap>, acknowledged: &mut Acknowledged) -> Result<kube::core::Status> {
    for number in 0..DISK / OBJECT {
        match create(maps, &format!("full-{number}"), acknowledged).await {
            Ok(()) => {}
            Err(kube::Error::Api(status)) => return Ok(*status),
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("{} objects of {OBJECT} bytes are on a disk of {DISK}", acknowledged.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_that_was_acknowledged() -> Result<()> {
    if !userns::wanted() {
        return Ok(());
    }
    let run = RunDir::new("standalone-full")?;
    let (disk, mut acknowledged) = (Disk::make(&run).await?, Acknowledged::new());
    disk.reserve()?;
    let mut process = disk.start("standalone", &run)?;
    process.first_line(START).await?;
    let objects = maps(&disk.path("data/kubeconfig")).await?;
    let status = until_full(&objects, &mut acknowledged).await?;
    let is_named = status.message.contains("standalone.db: ") && status.message.contains("full");
    ensure!(status.code == 503 && is_named, "{status:?}");
    ensure!(acknowledged.len() > 8, "{acknowledged:?}");
    all_are_there(&objects, &acknowledged).await.context("reads go on")?;

    disk.fill()?;
    process.kill();
    let line = one_line(disk.start("again", &run)?).await?;
    ensure!(line.contains(&*disk.folder.to_string_lossy()) && line.contains("No space left"), "{line}");

    disk.free()?;
    let mut process = disk.start("freed", &run)?;
    process.first_line(START).await?;
    all_are_there(&maps(&disk.path("data/kubeconfig")).await?, &acknowledged).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_when_a_full_disk_has_room_again() -> Result<()> {
    if !userns::wanted() {
        return Ok(());
    }
    let run = RunDir::new("standalone-room")?;
    let (disk, mut acknowledged) = (Disk::make(&run).await?, Acknowledged::new());
    let mut process = disk.start("standalone", &run)?;
    process.first_line(START).await?;
    let objects = maps(&disk.path("data/kubeconfig")).await?;
    disk.reserve()?;
    until_full(&objects, &mut acknowledged).await?;
    let before = acknowledged.clone();
    disk.free()?;
    create(&objects, "after", &mut acknowledged).await.context("there is room again")?;
    let version = &acknowledged["after"];
    ensure!(before.values().all(|one| one != version), "{version} is used twice");
    all_are_there(&objects, &acknowledged).await
}
