//! Keeps the feeds up to date as commits are made, instances are discovered and proxies run what they are sent.

use std::convert::Infallible;
use std::sync::Arc;

use fleetmesh_mesh::cloud_map::Discovered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::feed::{Debounce, Feeds};
use super::stages::Handovers;
use crate::distribution::Published;

impl Feeds {
    /// Follows the store's commits and Cloud Map's instances until `shutdown` and keeps every feed up to date.
    pub async fn follow(&self, debounce: Debounce, shutdown: CancellationToken) {
        let mut sources = Sources { revisions: self.views.revisions(), discovered: self.discovered.clone() };
        let mut handovers = Handovers::default();
        loop {
            let revision = *sources.revisions.borrow_and_update();
            let discovered = sources.discovered.borrow_and_update().clone();
            let meshes = self.meshes();
            handovers.enter(&meshes, |node| self.open(node), |mesh| self.plaintext(mesh));
            let stages = handovers.stages();
            self.stages().clone_from(&stages);
            stages.iter().for_each(|(mesh, stage)| self.note_plaintext(mesh, stage));
            self.refresh(revision, &stages).await;
            self.distribution.published(Published { revision, meshes: Arc::new(meshes), discovered });
            tokio::select! {
                () = shutdown.cancelled() => return,
                ended = sources.changed() => if ended.is_err() { return },
                never = self.hand_over(revision, &mut handovers) => match never {},
            }
            let longest = Instant::now() + debounce.longest;
            loop {
                let quiet = (Instant::now() + debounce.quiet).min(longest);
                tokio::select! {
                    () = sleep_until(quiet) => break,
                    ended = sources.changed() => if ended.is_err() { return },
                }
            }
        }
    }

    /// Carries on `handovers` as proxies run what they are sent and time passes, of the store as of `revision`. Whenever it is
    /// dropped, [`Self::refresh`] makes up for what it has not done.
    async fn hand_over(&self, revision: u64, handovers: &mut Handovers) -> Infallible {
        loop {
            tokio::select! {
                () = self.ports_moved.notified() => {}
                () = handovers.due() => {}
            }
            for (mesh, stage) in handovers.proceed(|node| self.open(node)) {
                self.stages().insert(mesh.clone(), stage.clone());
                self.note_plaintext(&mesh, &stage);
                self.refresh_nodes(&self.followed_in(&mesh), revision, |_| Some(&stage)).await;
            }
        }
    }
}

/// What snapshots are made from.
struct Sources {
    revisions: watch::Receiver<u64>,
    discovered: watch::Receiver<Discovered>,
}

impl Sources {
    /// Awaits that one of them changes. An error says that the store is gone.
    async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        let discovered = async {
            if self.discovered.changed().await.is_err() {
                // Nobody discovers any more; commits still come.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            changed = self.revisions.changed() => changed,
            () = discovered => Ok(()),
        }
    }
}
