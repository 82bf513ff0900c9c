//! Checkouts that change under `--manifests`: what some file has is never deleted, in whatever order files are replaced, and what none
//! has goes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{tools, wait};
use serde_json::Value;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::manifests::{LIMIT, git, start};

/// The objects of the first revision.
const MAPS: usize = 12;
/// Much more often than the timer of the samples.
const PULLS: Duration = Duration::from_millis(50);

fn map(number: usize, value: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map-{number}}}\ndata: {{value: \"{value}\"}}\n"
    )
}

/// How the objects are spread over files.
#[derive(Clone, Copy)]
enum Layout {
    /// A file each, with this word in its name.
    Files(&'static str),
    /// A file each, in folders of this name.
    Folders(&'static str),
    /// One file.
    One,
    /// Each in the file that another one had, when each had its own.
    Shifted,
}

/// Writes the first `count` objects with `value` into `folder`, which has nothing else then.
fn write(folder: &Path, layout: Layout, count: usize, value: usize) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some(".git") => {}
            _ if path.is_dir() => fs::remove_dir_all(path)?,
            _ => fs::remove_file(path)?,
        }
    }
    let mut all = String::new();
    for number in 0..count {
        let text = map(number, value);
        let path = match layout {
            Layout::Files(word) => folder.join(format!("{word}-{number}.yaml")),
            Layout::Folders(name) => folder.join(format!("{name}/{number}/map.yaml")),
            Layout::Shifted => folder.join(format!("map-{}.yaml", (number + 1) % count)),
            Layout::One => {
                all += &format!("---\n{text}");
                continue;
            }
        };
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(path, text)?;
    }
    if !all.is_empty() {
        fs::write(folder.join("all.yaml"), all)?;
    }
    Ok(())
}

/// What kubectl sees of the objects.
struct Seen<'a> {
    kubectl: &'a Kubectl,
    events: Process,
}

impl<'a> Seen<'a> {
    async fn start(kubectl: &'a Kubectl, run: &RunDir) -> Result<Self> {
        let watch = ["get", "configmaps", "--namespace", "default", "--watch", "--output-watch-events"];
        let mut events = Process::spawn("events", &kubectl.command(watch), run)?;
        events.first_line(LIMIT).await?;
        Ok(Self { kubectl, events })
    }

    /// The uids, once there are `count` with `value`.
    async fn uids(&self, count: usize, value: usize) -> Result<Vec<Value>> {
        wait::until("the objects are those of the checkout", LIMIT, async || {
            let list = self.kubectl.json(&["get", "configmaps", "--namespace", "default"]).await?;
            let items = list["items"].as_array().context("a list")?;
            let is_current = |map: &Value| map["data"]["value"].as_str() == Some(&value.to_string());
            let all = items.len() == count && items.iter().all(is_current);
            Ok(all.then(|| items.iter().map(|map| map["metadata"]["uid"].clone()).collect()))
        })
        .await
        .with_context(|| format!("{count} with {value}; deleted: {:?}", self.deleted()))
    }

    /// What has been deleted, in order.
    fn deleted(&self) -> Result<Vec<String>> {
        let lines = self.events.lines()?;
        let lines = lines.iter().filter_map(|line| line.strip_prefix("DELETED"));
        Ok(lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect())
    }
}

/// What the timer of the samples runs, on `checkout`.
async fn pull(checkout: &Path) -> Result<()> {
    let unit = tools::workspace_dir()?.join("samples/systemd/fleetmesh-manifests.service");
    let unit = fs::read_to_string(unit)?;
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/git -C "));
    let words: Vec<&str> = line.context("it runs Git")?.split(' ').skip(1).collect();
    git(checkout, &words).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_between_files_while_it_is_pulled_is_never_deleted() -> Result<()> {
    let run = RunDir::new("standalone-moves")?;
    let (origin, checkout) = (run.join("origin"), run.join("checkout"));
    fs::create_dir(&origin)?;
    git(&origin, &["init", "--quiet", "--initial-branch=main"]).await?;
    let commit = async |layout: Layout, count: usize, value: usize| {
        write(&origin, layout, count, value)?;
        git(&origin, &["add", "--all"]).await?;
        git(&origin, &["commit", "--quiet", "--message=next"]).await
    };
    commit(Layout::Files("map"), MAPS, 0).await?;
    git(run.path(), &["clone", "--quiet", "origin", "checkout"]).await?;
    let (standalone, kubectl) = start(&run, &checkout).await?;
    let seen = Seen::start(&kubectl, &run).await?;
    let first = seen.uids(MAPS, 0).await?;

    let pulled = CancellationToken::new();
    let (ends, folder) = (pulled.clone(), checkout.clone());
    let pulling = tokio::spawn(async move {
        let mut timer = interval(PULLS);
        while !ends.is_cancelled() {
            timer.tick().await;
            // One that meets a lock or a half of a commit is followed by the next.
            let _ = pull(&folder).await;
        }
    });
    let layouts = [
        Layout::Files("renamed"),
        Layout::Folders("apps"),
        Layout::Folders("teams/of/apps"),
        Layout::One,
        Layout::Files("map"),
        Layout::Shifted,
    ];
    for (at, layout) in layouts.into_iter().enumerate() {
        commit(layout, MAPS, at + 1).await?;
        ensure!(seen.uids(MAPS, at + 1).await? == first, "an object was made anew");
    }
    pulled.cancel();
    pulling.await?;
    ensure!(seen.deleted()?.is_empty(), "{:?}", seen.deleted()?);

    // Another branch has one object less, in other files.
    git(&origin, &["checkout", "--quiet", "-b", "other"]).await?;
    commit(Layout::Folders("other"), MAPS - 1, 100).await?;
    git(&checkout, &["fetch", "--quiet", "origin", "other"]).await?;
    git(&checkout, &["checkout", "--quiet", "-b", "other", "FETCH_HEAD"]).await?;
    seen.uids(MAPS - 1, 100).await?;
    let gone = format!("map-{}", MAPS - 1);
    wait::until("what no file has is deleted", LIMIT, async || {
        Ok((seen.deleted()? == [gone.clone()]).then_some(()))
    })
    .await?;

    // Half of a file hides what is in it, and what comes with the other half is applied.
    fs::remove_dir_all(checkout.join("other/0"))?;
    let whole = map(MAPS, 100);
    fs::write(checkout.join("late.yaml"), &whole[..whole.len() / 2])?;
    let log = || standalone.log();
    wait::until("it is said", LIMIT, async || {
        Ok(log()?.contains("late.yaml: document 1 is no YAML").then_some(()))
    })
    .await?;
    seen.uids(MAPS - 1, 100).await?;
    fs::write(checkout.join("late.yaml"), whole)?;
    wait::until("the rest is known, and pruned", LIMIT, async || {
        Ok((seen.deleted()? == [gone.clone(), "map-0".to_owned()]).then_some(()))
    })
    .await?;
    seen.uids(MAPS - 1, 100).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_leads_to_another_revision_at_once_is_followed() -> Result<()> {
    let run = RunDir::new("standalone-link")?;
    let link = run.join("current");
    let revision = |value: usize, layout: Layout| -> Result<()> {
        let folder = run.join(format!("revision-{value}"));
        fs::create_dir(&folder)?;
        write(&folder, layout, MAPS, value)?;
        let new = run.join("new");
        symlink(&folder, &new)?;
        fs::rename(new, &link)?;
        // As what syncs a repository does it: the former one goes at once.
        match value {
            0 => Ok(()),
            _ => Ok(fs::remove_dir_all(run.join(format!("revision-{}", value - 1)))?),
        }
    };
    revision(0, Layout::Files("map"))?;
    let (_standalone, kubectl) = start(&run, &link).await?;
    let seen = Seen::start(&kubectl, &run).await?;
    let first = seen.uids(MAPS, 0).await?;
    for value in 1..8 {
        let layout = if value % 2 == 0 { Layout::Files("map") } else { Layout::Shifted };
        revision(value, layout)?;
        // Also while the one before is being applied.
        if value % 3 == 0 {
            ensure!(seen.uids(MAPS, value).await? == first, "an object was made anew");
        }
    }
    ensure!(seen.uids(MAPS, 7).await? == first, "an object was made anew");
    ensure!(seen.deleted()?.is_empty(), "{:?}", seen.deleted()?);
    Ok(())
}
