//! Does what a change leaves to be done: what lies in a namespace that is deleted, and what owners leave behind.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_standalone_core::resource::Resources;
use fleetmesh_standalone_core::store::collect::{self, Due};
use fleetmesh_standalone_core::store::delete::{self, DeleteOptions, Propagation};
use fleetmesh_standalone_core::store::{Decision, Guard, Key, Write};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::store::{CommitError, Store};

/// When to try again after the disk took nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// Works until `shutdown`.
pub(crate) async fn run(store: Arc<Store>, resources: Arc<Resources>, shutdown: CancellationToken) {
    let mut revisions = store.revisions();
    loop {
        revisions.mark_unchanged();
        let settled = settle(&store, &resources);
        let is_well = tokio::select! {
            is_well = settled => is_well,
            () = shutdown.cancelled() => return,
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = revisions.changed(), if is_well => if changed.is_err() { return },
            () = tokio::time::sleep(PAUSE), if !is_well => {}
        }
    }
}

/// Does what is due until nothing is; says whether the disk took it.
async fn settle(store: &Store, resources: &Resources) -> bool {
    loop {
        let serves = |version: &str, kind: &str| {
            resources.iter().any(|one| one.kind == kind && one.api_version() == version)
        };
        let (due, before) =
            store.read(|ledger| (collect::due(&ledger.state, serves), ledger.state.revision()));
        for one in &due {
            let Some((write, guards)) = step(store, resources, one) else { continue };
            match store.commit(write, guards).await {
                // Who was faster is seen with the next look.
                Ok(_) | Err(CommitError::Overtaken) => {}
                Err(CommitError::Unavailable(reason)) => {
                    tracing::warn!(reason, "what is due is tried again");
                    return false;
                }
            }
        }
        if store.read(|ledger| ledger.state.revision()) == before {
            return true;
        }
    }
}

fn step(store: &Store, resources: &Resources, due: &Due) -> Option<(Write, Vec<Guard>)> {
    match due {
        Due::Delete { key, foreground } => deletion(store, resources, key, *foreground),
        _ => store.read(|ledger| collect::write(&ledger.state, due)),
    }
}

fn deletion(
    store: &Store,
    resources: &Resources,
    key: &Key,
    foreground: bool,
) -> Option<(Write, Vec<Guard>)> {
    let resource = resources.iter().find(|one| one.store == key.store)?;
    let stored = store.read(|ledger| ledger.state.get(key).cloned())?;
    let propagation = if foreground { Propagation::Foreground } else { Propagation::Background };
    let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
    match delete::decide(resource, &stored, &options, &Api::fresh()) {
        Ok(Decision::Write(write, guards)) => Some((write, guards)),
        Ok(Decision::Unchanged(_)) | Err(_) => None,
    }
}
