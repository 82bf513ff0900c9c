//! Two controllers with a finalizer each, on the same objects.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fleetmesh_crds::VirtualRouter;
use fleetmesh_testbed::wait;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{self, Event, finalizer};
use kube::runtime::{conditions, watcher};
use serde_json::json;
use tokio::task::JoinHandle;

use super::{KubeRsSpace, on_each, router_spec, until};
use crate::bed::LIMIT;

const ONE: &str = "example.com/one";
const TWO: &str = "example.com/two";

/// A controller, and what it did.
struct Finalizing {
    name: &'static str,
    routers: Api<VirtualRouter>,
    applied: AtomicUsize,
    cleaned: AtomicUsize,
    /// Whether it cannot clean up.
    stuck: AtomicBool,
}

impl Finalizing {
    fn start(name: &'static str, space: &KubeRsSpace, stuck: bool) -> (Arc<Self>, JoinHandle<()>) {
        let about = Arc::new(Self {
            name,
            routers: space.routers(),
            applied: AtomicUsize::new(0),
            cleaned: AtomicUsize::new(0),
            stuck: AtomicBool::new(stuck),
        });
        let controller = Controller::new(space.routers(), watcher::Config::default());
        let controller = controller.run(reconcile, again, Arc::clone(&about));
        (about, tokio::spawn(super::followed(controller)))
    }

    async fn until_applied(&self, times: usize) {
        wait::until(&format!("{} applied", self.name), LIMIT, async || {
            Ok((self.applied.load(Ordering::SeqCst) >= times).then_some(()))
        })
        .await
        .unwrap();
    }
}

type FinalizerError = finalizer::Error<io::Error>;

async fn reconcile(router: Arc<VirtualRouter>, about: Arc<Finalizing>) -> Result<Action, FinalizerError> {
    let work = async |event| match event {
        Event::Apply(_) => {
            about.applied.fetch_add(1, Ordering::SeqCst);
            Ok(Action::await_change())
        }
        Event::Cleanup(_) if about.stuck.load(Ordering::SeqCst) => Err(io::Error::other("stuck")),
        Event::Cleanup(_) => {
            about.cleaned.fetch_add(1, Ordering::SeqCst);
            Ok(Action::await_change())
        }
    };
    finalizer(&about.routers, about.name, router, work).await
}

/// One of two that add their finalizers at the same time has to try again.
fn again(_: Arc<VirtualRouter>, _: &FinalizerError, _: Arc<Finalizing>) -> Action {
    Action::requeue(Duration::from_millis(100))
}

#[tokio::test]
async fn an_object_stays_until_every_finalizer_has_cleaned_up() {
    on_each("finalizers", finalizing).await;
}

async fn finalizing(space: &KubeRsSpace) {
    let (one, first) = Finalizing::start(ONE, space, false);
    let (two, second) = Finalizing::start(TWO, space, true);
    let router = space.create_router("shop", 80).await;
    one.until_applied(1).await;
    two.until_applied(1).await;
    let mut finalizers = space.routers().get("shop").await.unwrap().finalizers().to_vec();
    finalizers.sort();
    assert_eq!(finalizers, [ONE, TWO]);

    let applied = one.applied.load(Ordering::SeqCst);
    let changed = space.patch_router("shop", json!({ "spec": router_spec(8080) })).await;
    one.until_applied(applied + 1).await;
    assert_eq!((one.cleaned.load(Ordering::SeqCst), changed.metadata.generation), (0, Some(2)));

    let deleting = space.routers().delete("shop", &DeleteParams::default()).await.unwrap();
    assert!(deleting.left().is_some_and(|router| router.metadata.deletion_timestamp.is_some()));
    let only_two = |router: Option<&VirtualRouter>| router.is_some_and(|router| router.finalizers() == [TWO]);
    let left = until(space.routers(), "shop", "one has cleaned up", only_two).await.unwrap();
    assert_eq!((left.uid(), one.cleaned.load(Ordering::SeqCst)), (router.uid(), 1));
    assert_eq!(left.metadata.generation, Some(3), "a deletion is a change");
    assert_eq!(two.cleaned.load(Ordering::SeqCst), 0);

    two.stuck.store(false, Ordering::SeqCst);
    let uid = router.uid().unwrap();
    until(space.routers(), "shop", "it is gone", conditions::is_deleted(&uid)).await;
    assert_eq!([&one, &two].map(|about| about.cleaned.load(Ordering::SeqCst)), [1, 1]);
    assert!(space.routers().get_opt("shop").await.unwrap().is_none());
    first.abort();
    second.abort();
}
