//! A controller that makes a ConfigMap for each router: what happens to either brings it back, and nothing else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fleetmesh_crds::VirtualRouter;
use fleetmesh_testbed::wait;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};

use super::{KubeRsSpace, on_each, router_spec, until, version};
use crate::bed::LIMIT;

const MANAGER: &str = "router-ports";

struct Reconciling {
    client: Client,
    /// Reconciles that have ended well.
    ended: AtomicUsize,
}

/// The ports of a router, in a ConfigMap that is the router's.
fn child(router: &VirtualRouter) -> Value {
    let spec = serde_json::to_value(&router.spec).unwrap();
    let port = spec["listeners"][0]["portMapping"]["port"].to_string();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": router.name_any(), "ownerReferences": [router.controller_owner_ref(&()).unwrap()] },
        "data": { "port": port },
    })
}

async fn reconcile(router: Arc<VirtualRouter>, about: Arc<Reconciling>) -> Result<Action, kube::Error> {
    let (name, namespace) = (router.name_any(), router.namespace().unwrap());
    let children: Api<ConfigMap> = Api::namespaced(about.client.clone(), &namespace);
    children.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(child(&router))).await?;
    let routers: Api<VirtualRouter> = Api::namespaced(about.client.clone(), &namespace);
    let status = json!({ "status": { "observedGeneration": router.metadata.generation } });
    routers.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
    about.ended.fetch_add(1, Ordering::SeqCst);
    Ok(Action::await_change())
}

fn again(_: Arc<VirtualRouter>, error: &kube::Error, _: Arc<Reconciling>) -> Action {
    println!("tried again: {error}");
    Action::requeue(Duration::from_millis(200))
}

fn has_port(port: &'static str) -> impl Fn(Option<&ConfigMap>) -> bool {
    move |map: Option<&ConfigMap>| {
        let data = map.and_then(|map| map.data.as_ref());
        data.is_some_and(|data| data.get("port").is_some_and(|found| found == port))
    }
}

#[tokio::test]
async fn a_controller_keeps_what_it_owns_and_is_called_for_changes_alone() {
    on_each("controllers", owning).await;
}

async fn owning(space: &KubeRsSpace) {
    let about = Arc::new(Reconciling { client: space.client.clone(), ended: AtomicUsize::new(0) });
    let controller = Controller::new(space.routers(), watcher::Config::default())
        .owns(space.config_maps(), watcher::Config::default())
        .run(reconcile, again, Arc::clone(&about));
    let running = tokio::spawn(super::followed(controller));

    let router = space.create_router("shop", 80).await;
    let made = until(space.config_maps(), "shop", "the child is made", has_port("80")).await.unwrap();
    assert_eq!(made.metadata.owner_references.unwrap()[0].uid, router.uid().unwrap());
    assert_eq!(made.metadata.managed_fields.unwrap()[0].manager.as_deref(), Some(MANAGER));

    // The child is watched: a change of it and its end are undone.
    let theirs = json!({ "data": { "port": "1" } });
    space.config_maps().patch("shop", &PatchParams::default(), &Patch::Merge(theirs)).await.unwrap();
    let restored = until(space.config_maps(), "shop", "it is put back", has_port("80")).await.unwrap();
    space.config_maps().delete("shop", &DeleteParams::default()).await.unwrap();
    let anew = async || {
        let found = space.config_maps().get_opt("shop").await?;
        Ok(found.filter(|map| map.uid() != restored.uid()))
    };
    wait::until("it is made anew", LIMIT, anew).await.unwrap();

    space.patch_router("shop", json!({ "spec": router_spec(8080) })).await;
    until(space.config_maps(), "shop", "it has the new port", has_port("8080")).await;
    let settled = |router: Option<&VirtualRouter>| {
        let status = router.and_then(|router| router.status.as_ref());
        status.is_some_and(|status| status.observed_generation == Some(2))
    };
    until(space.routers(), "shop", "the status is about the new spec", settled).await;
    asks_for_a_look(space, &about).await;
    assert!(about.ended.load(Ordering::SeqCst) < 30, "it is called for its own writes, again and again");
    running.abort();
}

/// A change of the metadata calls it, and it writes nothing: what is applied and is there is no change, so it is not called again.
async fn asks_for_a_look(space: &KubeRsSpace, about: &Reconciling) {
    for look in 0..5 {
        let before = about.ended.load(Ordering::SeqCst);
        let patch = json!({ "metadata": { "annotations": { "example.com/look": look.to_string() } } });
        let asked = space.patch_router("shop", patch).await;
        assert_eq!(asked.metadata.generation, Some(2));
        let child = space.config_maps().get("shop").await.unwrap();
        wait::until("it looked", LIMIT, async || {
            Ok((about.ended.load(Ordering::SeqCst) > before).then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(version(&space.routers().get("shop").await.unwrap()), version(&asked));
        assert_eq!(version(&space.config_maps().get("shop").await.unwrap()), version(&child));
    }
}
