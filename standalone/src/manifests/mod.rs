//! A directory of manifests as one more client of the API: what is in it is applied, and what was made for it and is in it no more is
//! pruned. Decisions are [`fleetmesh_standalone_core::manifests`]'s; the files, the requests and the clock are here.
//!
//! `look (names, sizes, times) → settled → read what changed → plan → apply what changed → prune → report`
//!
//! Costs by what changed: a look takes a `stat` of each file, twice a second. The kinds that were applied are watched, and what
//! somebody else changes of an object is put back at once:
//!
//! `watch of a kind → what the manager of the manifests owns of the object changed → put back, more and more slowly in a fight`

mod client;
mod pace;
mod report;
#[cfg(test)]
mod tests;
mod tree;
mod watches;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmesh_standalone_core::manifests::{self, Drift, Manifest, ObjectName, Plan, Problem};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::api::{Api, Caller};
use client::ManifestClient;
use pace::Pace;
use report::Reporter;
use tree::{Stamp, Tree};
use watches::{Sight, Watches};

/// The user that applies.
const USER: &str = "system:serviceaccount:fleetmesh-system:fleetmesh-manifests";
/// The time between two looks at the directory: a change is applied within twice that.
const LOOK: Duration = Duration::from_millis(500);

/// The directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the manifests in {folder} (--manifests): {source}")]
pub struct ManifestsError {
    folder: String,
    source: io::Error,
}

/// A directory that is applied.
pub struct Manifests {
    folder: PathBuf,
    client: ManifestClient,
    reporter: Reporter,
    pace: Pace,
    /// What is in each file, as it was read with this stamp.
    files: BTreeMap<String, (Stamp, Vec<Result<Manifest, Problem>>)>,
    /// What the API took, as it was written.
    applied: BTreeMap<ObjectName, Manifest>,
    watches: Watches,
    drift: Drift,
    /// What the times of [`Drift`] are counted from.
    begun: Instant,
}

/// What there is to do.
enum Task {
    Look,
    See,
    PutBack,
}

impl Manifests {
    /// For what is in `folder`, which is read later.
    ///
    /// # Errors
    /// It is no directory that can be read.
    pub(crate) fn new(api: Api, folder: &Path) -> Result<Self, ManifestsError> {
        std::fs::read_dir(folder)
            .map_err(|source| ManifestsError { folder: folder.display().to_string(), source })?;
        let client = ManifestClient::new(api, Caller::administrator(USER));
        Ok(Self {
            folder: folder.to_owned(),
            reporter: Reporter::new(client.clone()),
            watches: Watches::new(client.clone()),
            drift: Drift::default(),
            begun: Instant::now(),
            client,
            pace: Pace::default(),
            files: BTreeMap::new(),
            applied: BTreeMap::new(),
        })
    }

    /// Applies what is there and what changes until `shutdown`. What fails is reported and tried again.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = self.drift.next().map(|at| self.begun + at);
            let due = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let task = tokio::select! {
                () = shutdown.cancelled() => return,
                _ = looks.tick() => Task::Look,
                () = self.watches.seen() => Task::See,
                () = due => Task::PutBack,
            };
            let work = async {
                match task {
                    Task::Look => self.look().await,
                    Task::See => self.see(),
                    Task::PutBack => self.put_back().await,
                }
            };
            tokio::select! {
                () = work => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Looks at the directory, and applies it if that is due.
    async fn look(&mut self) {
        let folder = self.folder.clone();
        let looked = tokio::task::spawn_blocking(move || (tree::look(&folder), tree::is_written(&folder)));
        // A look that panicked is a fault of this program; the next one begins anew.
        let Ok((tree, is_written)) = looked.await else { return };
        let Some(due) = self.pace.due(&tree, is_written, Instant::now()) else { return };
        if due.everything {
            self.applied.clear();
        }
        let has_failed = self.bring(tree, due.prunes).await;
        self.pace.brought(due, has_failed, Instant::now());
    }

    /// Takes what the watches saw.
    fn see(&mut self) {
        let now = self.begun.elapsed();
        let Sight { changes, lost } = self.watches.take();
        for (name, change) in &changes {
            if self.drift.see(name, change, now) {
                tracing::info!(object = %name, "somebody deletes it: it is put back when it is gone");
            }
        }
        if !lost.is_empty() {
            self.drift.missed();
            tracing::info!(kinds = ?lost, "changes of objects were missed: the manifests are applied again");
            self.pace.all_at(Instant::now());
        }
    }

    /// Puts back what is due. What fails is tried again with the rest.
    async fn put_back(&mut self) {
        for one in self.drift.take(self.begun.elapsed()) {
            let Some(manifest) = self.applied.get(&one.name).cloned() else {
                // It could not be applied before, maybe because it was being deleted.
                if one.is_gone {
                    self.pace.again_at(Instant::now());
                }
                continue;
            };
            let outcome = self.client.apply(&manifest, self.drift.ours(&one.name)).await;
            let uid = outcome.uid.as_deref();
            if let (None, Some(left)) = (&outcome.problem, &outcome.left) {
                self.drift.applied(&one.name, left);
                self.drift.put_back(&one, self.begun.elapsed());
                self.reporter.put_back(&manifest, &one, uid).await;
                if one.name.is_namespace() {
                    // What failed for want of it.
                    self.pace.again_at(Instant::now());
                }
                continue;
            }
            self.applied.remove(&one.name);
            self.pace.again_soon(Instant::now());
            if let Some(problem) = outcome.problem {
                self.reporter.failed(problem, uid).await;
            }
        }
    }

    /// Brings the API in step with the directory; whether something has to be tried again.
    async fn bring(&mut self, tree: Tree, prunes: bool) -> bool {
        self.read(&tree).await;
        let found = self.files.values().flat_map(|(_, found)| found);
        let Plan { apply, mut problems, wanted } = manifests::plan(found);
        problems.extend(tree.unreadable.iter().cloned());
        self.applied.retain(|name, _| wanted.contains(name));
        self.drift.keep(|name| wanted.contains(name));
        // Before anything is applied, so that nothing is missed; and kinds whose watches were lost.
        self.watches.keep(apply.iter().map(|manifest| &manifest.resource)).await;
        let mut uids = BTreeMap::new();
        let mut applied = 0_usize;
        for manifest in &apply {
            let is_known =
                self.applied.get(&manifest.name).is_some_and(|known| known.object == manifest.object);
            if is_known && !self.drift.is_gone(&manifest.name) {
                continue;
            }
            let outcome = self.client.apply(manifest, self.drift.ours(&manifest.name)).await;
            uids.extend(outcome.uid.map(|uid| (manifest.name.clone(), uid)));
            match outcome.problem {
                None => {
                    applied += 1;
                    self.applied.insert(manifest.name.clone(), (*manifest).clone());
                    outcome.left.iter().for_each(|left| self.drift.applied(&manifest.name, left));
                }
                Some(problem) => {
                    self.applied.remove(&manifest.name);
                    problems.push(problem);
                }
            }
        }
        let plan = Plan { apply, problems, wanted };
        let pruned =
            if prunes && is_still(&tree).await { self.client.prune(&plan).await } else { Vec::new() };
        let Plan { mut problems, .. } = plan;
        let mut gone = Vec::new();
        for outcome in pruned {
            match outcome {
                Ok(name) => gone.push(name),
                Err(problem) => problems.push(problem),
            }
        }
        let has_failed = !problems.is_empty();
        self.reporter.report(applied, &gone, problems.into_iter().collect::<BTreeSet<_>>(), &uids).await;
        has_failed
    }

    /// Reads the files that are not known as they are now, and forgets those that are gone.
    async fn read(&mut self, tree: &Tree) {
        self.files.retain(|file, _| tree.files.contains_key(file));
        for (file, stamp) in &tree.files {
            if self.files.get(file).is_some_and(|(known, _)| known == stamp) {
                continue;
            }
            let (root, name) = (tree.root.clone(), file.clone());
            let read = tokio::task::spawn_blocking(move || tree::documents(&root, &name)).await;
            let documents =
                read.unwrap_or_else(|_| Err("it could not be read by a fault of this program".into()));
            let found = match documents {
                Ok(documents) => manifests::read(file, documents, self.client.resources()),
                Err(message) => vec![Err(Problem::of_file(file, message))],
            };
            self.files.insert(file.clone(), (stamp.clone(), found));
        }
    }
}

/// Whether the directory is still as it was looked at. Else some of what was read is of before a change and some of after it, and an
/// object that moved from one file to another may have been in neither.
async fn is_still(tree: &Tree) -> bool {
    let root = tree.root.clone();
    let looked = tokio::task::spawn_blocking(move || tree::look(&root)).await;
    looked.is_ok_and(|now| now == *tree)
}
