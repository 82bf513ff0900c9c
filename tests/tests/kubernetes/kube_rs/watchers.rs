//! Both ways of `watcher` to begin, of whole objects and of their metadata.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PartialObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Config, Event, watcher};
use serde_json::json;

use super::{KubeRsSpace, on_each};
use crate::bed::LIMIT;

/// How long the server lets a watch be, in seconds.
const LENGTH: u32 = 1;
/// In which two of them end.
const WATCHES: Duration = Duration::from_secs(3);

fn configurations() -> [(&'static str, Config); 3] {
    let config = || Config::default().labels("watched=yes").timeout(LENGTH);
    [
        ("pages", config().page_size(2)),
        ("cached", config().any_semantic()),
        ("streamed", config().streaming_lists()),
    ]
}

async fn create(space: &KubeRsSpace, name: &str, watched: &str) {
    let labels = BTreeMap::from([("watched".to_owned(), watched.to_owned())]);
    let mut map = ConfigMap::default();
    (map.metadata.name, map.metadata.labels) = (Some(name.to_owned()), Some(labels));
    space.config_maps().create(&PostParams::default(), &map).await.unwrap();
}

async fn change(space: &KubeRsSpace, name: &str, patch: serde_json::Value) {
    space.config_maps().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn next<K>(events: &mut (impl Stream<Item = watcher::Result<Event<K>>> + Unpin)) -> Event<K> {
    let event = tokio::time::timeout(LIMIT, events.next()).await.expect("an event");
    event.expect("a watcher never ends").expect("no error")
}

/// What was there, up to the end of it.
async fn initial<K: ResourceExt>(
    events: &mut (impl Stream<Item = watcher::Result<Event<K>>> + Unpin),
) -> Vec<String> {
    assert!(matches!(next(events).await, Event::Init));
    let mut names = Vec::new();
    loop {
        match next(events).await {
            Event::InitApply(object) => names.push(object.name_any()),
            Event::InitDone => break,
            event => panic!("{event}"),
        }
    }
    names.sort();
    names
}

/// Begins with what is there, and then has each change once, over as many watches as it takes.
async fn follows<K: ResourceExt>(
    space: &KubeRsSpace,
    mode: &str,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) {
    let (mut events, name) = (pin!(events), |name: &str| format!("{mode}-{name}"));
    assert_eq!(initial(&mut events).await, ["a", "b", "c", "d", "e"]);
    create(space, &name("new"), "yes").await;
    assert_eq!(next(&mut events).await.to_string(), format!("Apply({mode}-new)"));
    // The server ends a watch: the next one goes on where it was, and nothing is said of what is known.
    let silence = tokio::time::timeout(WATCHES, events.next()).await;
    assert!(silence.is_err(), "{mode}: nothing happened, and something was said");
    create(space, &name("other"), "no").await;
    change(space, &name("new"), json!({ "data": { "changed": "yes" } })).await;
    assert_eq!(next(&mut events).await.to_string(), format!("Apply({mode}-new)"));
    // Out of the selector and in again.
    change(space, &name("new"), json!({ "metadata": { "labels": { "watched": "no" } } })).await;
    assert_eq!(next(&mut events).await.to_string(), format!("Delete({mode}-new)"));
    change(space, &name("other"), json!({ "metadata": { "labels": { "watched": "yes" } } })).await;
    assert_eq!(next(&mut events).await.to_string(), format!("Apply({mode}-other)"));
    space.config_maps().delete(&name("other"), &DeleteParams::default()).await.unwrap();
    assert_eq!(next(&mut events).await.to_string(), format!("Delete({mode}-other)"));
}

#[tokio::test]
async fn watchers_in_every_mode_begin_with_what_is_there_and_miss_nothing() {
    on_each("watchers", watching).await;
}

async fn watching(space: &KubeRsSpace) {
    for name in ["a", "b", "c", "d", "e"] {
        create(space, name, "yes").await;
    }
    create(space, "f", "no").await;
    for (mode, config) in configurations() {
        follows(space, mode, watcher(space.config_maps(), config.clone())).await;
        let metadata: Api<PartialObjectMeta<ConfigMap>> = Api::namespaced(space.client.clone(), &space.name);
        follows(space, &format!("{mode}-metadata"), watcher(metadata, config)).await;
    }
}
