//! Watches: one for each kind and one for namespaces, each feeding the cache and the queue. Reads only.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_core::ObjectKey;
use fleetmesh_crds::{FleetClass, MetricProvider, ReferenceGrant, RouteAction, WebhookProvider, with_kind};
use fleetmesh_model::Kind;
use fleetmesh_tasks::Tasks;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::kinds::Watched;
use crate::cache::{Cache, NewsSource, Triggers};
use crate::queue::Queue;
use crate::tasks::Task;

/// How long to wait after a watch failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What all watches need.
#[derive(Clone, Debug)]
struct WatchFeed {
    cache: Arc<Cache>,
    queue: Arc<Queue>,
    /// Counts the watches that have seen everything once.
    complete: watch::Sender<usize>,
}

/// Starts all watches. The result completes when each of them has seen everything once; decisions must wait for that, or
/// they would take a name for free whose holder they have not seen yet.
pub fn watch_all(
    client: &Client,
    cache: &Arc<Cache>,
    queue: &Arc<Queue>,
    tasks: &Tasks<Task>,
    shutdown: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let (complete, mut completed) = watch::channel(0);
    let feed = WatchFeed { cache: Arc::clone(cache), queue: Arc::clone(queue), complete };
    let mut wanted = 0;
    let mut start = |task: Task, run: BoxFuture<'static, ()>| {
        wanted += 1;
        tasks.spawn_until(task, shutdown, run);
    };
    for kind in Kind::ALL {
        with_kind!(kind, K => start(Task::watch(kind), watch_kind::<K>(client.clone(), feed.clone()).boxed()));
    }
    start(Task::Namespaces, watch_namespaces(client.clone(), feed.clone()).boxed());
    start(Task::FleetClasses, watch_classes(client.clone(), feed.clone()).boxed());
    start(Task::MetricProviders, watch_metric_providers(client.clone(), feed.clone()).boxed());
    start(Task::WebhookProviders, watch_webhook_providers(client.clone(), feed.clone()).boxed());
    start(Task::ReferenceGrants, watch_grants(client.clone(), feed.clone()).boxed());
    start(Task::RouteActions, watch_actions(client.clone(), feed).boxed());
    async move {
        // The senders live as long as the watches; without them nothing completes, and nobody waits any more.
        let _ = completed.wait_for(|count| *count >= wanted).await;
    }
}

async fn watch_kind<K: Watched>(client: Client, feed: WatchFeed) {
    let config = watcher::Config::default();
    let mut events = pin!(watcher::<K>(Api::all(client), config));
    let mut listed: Option<BTreeSet<ObjectKey>> = None;
    let mut complete = false;
    let mut complained = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                // `Init` only says that a list is about to be tried.
                if !matches!(event, watcher::Event::Init) && std::mem::take(&mut complained) {
                    info!(kind = %K::KIND, "watching again");
                }
                feed.kind_event::<K>(event, &mut listed, &mut complete);
            }
            Err(problem) => {
                report::<K>(&problem, &mut complained);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Says once in full what is wrong; a missing CRD is the newcomer's first mistake.
fn report<K: Watched>(problem: &watcher::Error, complained: &mut bool) {
    let kind = K::KIND;
    if std::mem::replace(complained, true) {
        debug!(%kind, %problem, "watch failed again");
    } else if matches!(problem, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
    {
        error!(
            "the cluster does not know {}: install the CRDs with `fleetmesh crds | kubectl apply -f -`; trying on",
            K::crd_name()
        );
    } else {
        error!(%kind, %problem, "cannot watch; trying on");
    }
}

impl WatchFeed {
    fn kind_event<K: Watched>(
        &self,
        event: watcher::Event<K>,
        listed: &mut Option<BTreeSet<ObjectKey>>,
        complete: &mut bool,
    ) {
        let triggers = match event {
            watcher::Event::Init => {
                *listed = Some(BTreeSet::new());
                return;
            }
            watcher::Event::InitApply(resource) => {
                let object = resource.parse();
                if let Some(listed) = listed {
                    listed.insert(object.key.clone());
                }
                self.cache.seen(object, NewsSource::List)
            }
            watcher::Event::InitDone => {
                // What the list does not have was deleted while nobody watched.
                let listed = listed.take().unwrap_or_default();
                let missing: Vec<ObjectKey> =
                    self.cache.keys(K::KIND).into_iter().filter(|key| !listed.contains(key)).collect();
                if !std::mem::replace(complete, true) {
                    self.complete.send_modify(|count| *count += 1);
                }
                missing.iter().flat_map(|key| self.cache.gone(key, None)).collect()
            }
            watcher::Event::Apply(resource) => self.cache.seen(resource.parse(), NewsSource::Watch),
            watcher::Event::Delete(resource) => {
                let object = resource.parse();
                self.cache.gone(&object.key, Some(&object.uid))
            }
        };
        self.queue.trigger_all(triggers);
    }
}

/// What people want of rollouts; they wait for it.
async fn watch_actions(client: Client, feed: WatchFeed) {
    let queue = Arc::clone(&feed.queue);
    let seen = |cache: &Cache, action: RouteAction| {
        for (key, trigger) in cache.action(&action) {
            queue.trigger_urgent(&key, trigger);
        }
        Triggers::new()
    };
    let gone = |cache: &Cache, name: &ObjectName| {
        cache.action_gone(name.namespace.as_deref().unwrap_or_default(), &name.name, None);
        Triggers::new()
    };
    watch_beside(Api::<RouteAction>::all(client), "RouteActions", &feed, seen, gone).await;
}

/// What fleets may be made of.
async fn watch_classes(client: Client, feed: WatchFeed) {
    let seen = |cache: &Cache, class: FleetClass| cache.class(&class);
    let gone = |cache: &Cache, name: &ObjectName| cache.class_gone(&name.name);
    watch_beside(Api::<FleetClass>::all(client), "FleetClasses", &feed, seen, gone).await;
}

/// Labels of namespaces, for the namespaces that a mesh allows. Only metadata is read.
async fn watch_namespaces(client: Client, feed: WatchFeed) {
    let seen = |cache: &Cache, namespace: PartialObjectMeta<Namespace>| {
        cache.namespace(&namespace.name_any(), Some(namespace.labels().clone()))
    };
    let gone = |cache: &Cache, name: &ObjectName| cache.namespace(&name.name, None);
    watch_beside(Api::all(client), "namespaces", &feed, seen, gone).await;
}

/// Whom rollouts may ask for numbers.
async fn watch_metric_providers(client: Client, feed: WatchFeed) {
    let seen = |cache: &Cache, provider: MetricProvider| {
        cache.metric_provider_seen(&provider.name_any(), Some(provider.spec))
    };
    let gone = |cache: &Cache, name: &ObjectName| cache.metric_provider_seen(&name.name, None);
    watch_beside(Api::all(client), "MetricProviders", &feed, seen, gone).await;
}

/// Whom rollouts may ask whether they may go on.
async fn watch_webhook_providers(client: Client, feed: WatchFeed) {
    let seen = |cache: &Cache, provider: WebhookProvider| {
        cache.webhook_provider_seen(&provider.name_any(), Some(provider.spec))
    };
    let gone = |cache: &Cache, name: &ObjectName| cache.webhook_provider_seen(&name.name, None);
    watch_beside(Api::all(client), "WebhookProviders", &feed, seen, gone).await;
}

/// What permits references between namespaces.
async fn watch_grants(client: Client, feed: WatchFeed) {
    let seen = |cache: &Cache, grant: ReferenceGrant| {
        let ObjectName { namespace, name } = ObjectName::of(&grant);
        cache.grant(&namespace.unwrap_or_default(), &name, Some(grant.spec))
    };
    let gone = |cache: &Cache, name: &ObjectName| {
        cache.grant(name.namespace.as_deref().unwrap_or_default(), &name.name, None)
    };
    watch_beside(Api::<ReferenceGrant>::all(client), "ReferenceGrants", &feed, seen, gone).await;
}

/// The name of what is no App Mesh object, within its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ObjectName {
    /// `None` for a cluster-scoped kind.
    namespace: Option<String>,
    name: String,
}

impl ObjectName {
    fn of(resource: &impl Resource) -> Self {
        Self { namespace: resource.namespace(), name: resource.name_any() }
    }
}

/// A watch of what is no App Mesh object, and of which the operator only reads the spec: `seen` and `gone` notify the cache and
/// return what that triggers. What was deleted while nobody watched is `gone` as well: a permission must not outlive it.
async fn watch_beside<K>(
    api: Api<K>,
    what: &str,
    feed: &WatchFeed,
    seen: impl Fn(&Cache, K) -> Triggers,
    gone: impl Fn(&Cache, &ObjectName) -> Triggers,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = pin!(watcher(api, watcher::Config::default()));
    let mut known = KnownNames::default();
    let mut complete = false;
    let mut complained = false;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(problem) => {
                if !std::mem::replace(&mut complained, true) {
                    error!(%problem, "cannot watch {what}; trying on");
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let missing = known.note(&event);
        let triggers = match event {
            watcher::Event::Apply(resource) | watcher::Event::InitApply(resource) => {
                seen(&feed.cache, resource)
            }
            watcher::Event::Delete(_) | watcher::Event::Init => Triggers::new(),
            watcher::Event::InitDone => {
                if !std::mem::replace(&mut complete, true) {
                    feed.complete.send_modify(|count| *count += 1);
                }
                complained = false;
                Triggers::new()
            }
        };
        feed.queue.trigger_all(triggers);
        feed.queue.trigger_all(missing.iter().flat_map(|name| gone(&feed.cache, name)));
    }
}

/// The names that a watch has shown, and those that the list under way has shown so far.
#[derive(Debug, Default)]
struct KnownNames {
    names: BTreeSet<ObjectName>,
    listed: Option<BTreeSet<ObjectName>>,
}

impl KnownNames {
    /// Notes an event; gives the names that are gone by it.
    fn note<K: Resource>(&mut self, event: &watcher::Event<K>) -> Vec<ObjectName> {
        match event {
            watcher::Event::Init => self.listed = Some(BTreeSet::new()),
            watcher::Event::InitApply(resource) => {
                let name = ObjectName::of(resource);
                self.names.insert(name.clone());
                self.listed.get_or_insert_default().insert(name);
            }
            watcher::Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let missing = self.names.difference(&listed).cloned().collect();
                self.names = listed;
                return missing;
            }
            watcher::Event::Apply(resource) => {
                self.names.insert(ObjectName::of(resource));
            }
            watcher::Event::Delete(resource) => {
                let name = ObjectName::of(resource);
                self.names.remove(&name);
                return vec![name];
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use watcher::Event;

    use super::*;

    fn namespace(name: &str) -> Namespace {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        namespace
    }

    fn gone(known: &mut KnownNames, event: &Event<Namespace>) -> Vec<String> {
        known.note(event).into_iter().map(|name| name.name).collect()
    }

    #[test]
    fn what_a_later_list_does_not_have_is_gone() {
        let mut known = KnownNames::default();
        for event in [
            Event::Init,
            Event::InitApply(namespace("a")),
            Event::InitApply(namespace("b")),
            Event::InitDone,
            Event::Apply(namespace("c")),
        ] {
            assert_eq!(gone(&mut known, &event), Vec::<String>::new());
        }
        assert_eq!(gone(&mut known, &Event::Delete(namespace("a"))), ["a"]);
        // The watch broke, and begins with a list again.
        for event in [Event::Init, Event::InitApply(namespace("c")), Event::InitApply(namespace("d"))] {
            assert_eq!(gone(&mut known, &event), Vec::<String>::new());
        }
        assert_eq!(gone(&mut known, &Event::InitDone), ["b"]);
        // A list that broke off before its end says nothing about what it did not come to.
        for event in
            [Event::Init, Event::Init, Event::InitApply(namespace("c")), Event::InitApply(namespace("d"))]
        {
            assert_eq!(gone(&mut known, &event), Vec::<String>::new());
        }
        assert_eq!(gone(&mut known, &Event::InitDone), Vec::<String>::new());
    }
}
