//! Does what a change leaves to be done: what lies in a namespace that is deleted, and what owners leave behind.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_standalone_core::resource::Resources;
use fleetmesh_standalone_core::store::collect::{self, Due};
use fleetmesh_standalone_core::store::delete::{self, DeleteOptions, Propagation};
use fleetmesh_standalone_core::store::{Decision, Guard, Stored, Write};
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
        Due::Delete { key, revision, foreground } => {
            let stored = store.read(|ledger| ledger.state.get(key).cloned());
            // What somebody has changed since is decided on again.
            deletion(resources, &stored.filter(|stored| stored.revision == *revision)?, *foreground)
        }
        _ => store.read(|ledger| collect::write(&ledger.state, due)),
    }
}

fn deletion(resources: &Resources, stored: &Arc<Stored>, foreground: bool) -> Option<(Write, Vec<Guard>)> {
    let resource = resources.iter().find(|one| one.store == stored.key.store)?;
    let propagation = if foreground { Propagation::Foreground } else { Propagation::Background };
    let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
    match delete::decide(resource, stored, &options, &Api::fresh()) {
        Ok(Decision::Write(write, guards)) => Some((write, guards)),
        Ok(Decision::Unchanged(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use fleetmesh_standalone_core::store::{EventKind, Key};
    use serde_json::json;

    use super::*;

    fn config_map(name: &str, uid: &str, owner: Option<&str>) -> Write {
        let owners =
            owner.map(|uid| json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": uid, "uid": uid}]));
        let metadata = json!({"namespace": "default", "name": name, "uid": uid, "ownerReferences": owners});
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        Write { key: Key::new("configmaps", "default", name), kind: EventKind::Added, object }
    }

    /// Between the list of what is due and its turn, objects get another owner, or their name another object.
    #[tokio::test]
    async fn what_has_changed_since_it_was_due_is_decided_on_again() {
        let store = Store::in_memory().expect("a store");
        let resources = Resources::new(&fleetmesh_crds::all());
        for write in ["kept", "left", "gone"].map(|name| config_map(name, name, Some("nobody"))) {
            store.commit(write, vec![]).await.expect("stored");
        }
        let due = store.read(|ledger| collect::due(&ledger.state, |_, _| true));
        assert_eq!(due.len(), 3, "{due:?}");
        let changed = Write { kind: EventKind::Modified, ..config_map("kept", "kept", None) };
        store.commit(changed, vec![]).await.expect("stored");
        let removed = Write { kind: EventKind::Deleted, ..config_map("left", "left", Some("nobody")) };
        store.commit(removed, vec![]).await.expect("stored");
        store.commit(config_map("left", "another", None), vec![]).await.expect("stored");
        let steps: Vec<Write> =
            due.iter().filter_map(|one| step(&store, &resources, one)).map(|(write, _)| write).collect();
        let names: Vec<&str> = steps.iter().map(|write| write.key.name.as_str()).collect();
        assert_eq!(names, ["gone"]);
    }
}
