//! Every version of the objects, as a watch of the API server shows them: a number that goes back is an edit that somebody
//! undid, however short the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fleetmesh_testbed::wait;
use futures::StreamExt as _;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, WatchEvent, WatchParams};
use tokio::task::JoinSet;

use super::edit::{self, EditWriter};
use crate::bed::LIMIT;

/// The numbers so far.
#[derive(Default)]
struct SeenVersions {
    versions: u64,
    /// The last number of the field of each writer.
    numbers: BTreeMap<&'static str, u64>,
    undone: Vec<String>,
}

/// The watches, which end when dropped.
pub struct WatchedObject {
    seen: Arc<Mutex<SeenVersions>>,
    writers: &'static [EditWriter],
    _watches: JoinSet<()>,
}

impl WatchedObject {
    /// Watches what `writers` write, from its state now.
    pub async fn start(client: &Client, namespace: &str, writers: &'static [EditWriter]) -> Self {
        let seen: Arc<Mutex<SeenVersions>> = Arc::default();
        let mut watches = JoinSet::new();
        for kind in ["VirtualRouter", "Route", "VirtualService"] {
            let api = edit::api(client, namespace, kind);
            let listed = api.list(&ListParams::default()).await.unwrap();
            let from = listed.metadata.resource_version.unwrap();
            watches.spawn(follow(api, from, writers, kind, Arc::clone(&seen)));
        }
        Self { seen, writers, _watches: watches }
    }

    /// Awaits that each field has all of its writers' `edits`; gives how many versions there were. Fails when an edit was
    /// undone.
    pub async fn until_all_is_there(&self, edits: u64) -> u64 {
        let together = |one: &EditWriter| {
            let same = |other: &&EditWriter| (other.object, other.field) == (one.object, one.field);
            self.writers.iter().filter(same).count() as u64
        };
        let wanted: BTreeMap<_, _> =
            self.writers.iter().map(|writer| (writer.name, edits * together(writer))).collect();
        wait::until("every edit is there", LIMIT, async || {
            let seen = self.seen.lock().unwrap();
            assert!(seen.undone.is_empty(), "{:?}", seen.undone);
            anyhow::ensure!(seen.numbers == wanted, "{:?}", seen.numbers);
            Ok(Some(seen.versions))
        })
        .await
        .unwrap()
    }
}

/// Looks at every version after `from`. The API server ends watches after minutes, and those of who is slow: the next one goes
/// on where the last one ended, so that no version is missed.
async fn follow(
    api: Api<DynamicObject>,
    mut from: String,
    writers: &'static [EditWriter],
    kind: &'static str,
    seen: Arc<Mutex<SeenVersions>>,
) {
    loop {
        let events = api.watch(&WatchParams::default().disable_bookmarks(), &from).await.unwrap();
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(WatchEvent::Modified(object)) => {
                    from = object.metadata.resource_version.clone().unwrap();
                    seen.lock().unwrap().look(writers, kind, object);
                }
                Ok(other) => panic!("nothing else happens: {other:?}"),
                Err(_) => break,
            }
        }
    }
}

impl SeenVersions {
    fn look(&mut self, writers: &'static [EditWriter], kind: &str, object: DynamicObject) {
        self.versions += 1;
        let name = object.metadata.name.clone().unwrap();
        let object = serde_json::to_value(object).unwrap();
        let of = writers.iter().filter(|writer| writer.object.kind == kind && writer.object.name == name);
        for EditWriter { name, field, .. } in of {
            let (number, last) = (field.read(&object), self.numbers.entry(name).or_default());
            if number < *last {
                self.undone.push(format!("{name}: {number} after {last}"));
            }
            *last = number;
        }
    }
}
