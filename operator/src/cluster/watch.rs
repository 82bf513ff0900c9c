//! Watches: one for each kind and one for namespaces, each feeding the cache and the queue. Reads only.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_crds::{FleetClass, MetricProvider, ReferenceGrant, RouteAction, WebhookProvider, with_kind};
use fleetmesh_model::Kind;
use fleetmesh_tasks::Tasks;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::ApiResource;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::news::{KindNews, News, NewsBeside};
use super::untyped::Untyped;
use crate::cache::{Cache, Triggers};
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
    let mut start = |task: Task, source: Source| {
        wanted += 1;
        tasks.spawn_until(task, shutdown, watch(client.clone(), feed.clone(), source).boxed());
    };
    for kind in Kind::ALL {
        start(Task::watch(kind), Source::kind(kind));
    }
    start(Task::Namespaces, Source::namespaces());
    start(Task::FleetClasses, Source::classes());
    start(Task::MetricProviders, Source::metric_providers());
    start(Task::WebhookProviders, Source::webhook_providers());
    start(Task::ReferenceGrants, Source::grants());
    start(Task::RouteActions, Source::actions());
    drop(feed);
    async move {
        // The senders live as long as the watches; without them nothing completes, and nobody waits any more.
        let _ = completed.wait_for(|count| *count >= wanted).await;
    }
}

/// Where a watch's resources come from, and what they mean.
struct Source {
    resource: ApiResource,
    news: Box<dyn News>,
    /// Whether people wait for what the news trigger.
    is_urgent: bool,
}

impl Source {
    fn new(resource: ApiResource, news: impl News + 'static) -> Self {
        Self { resource, news: Box::new(news), is_urgent: false }
    }

    /// The resources that stand for App Mesh objects.
    fn kind(kind: Kind) -> Self {
        Self::new(with_kind!(kind, K => ApiResource::erase::<K>(&())), KindNews::new(kind))
    }

    /// What people want of rollouts; they wait for it.
    fn actions() -> Self {
        let news = NewsBeside::new(
            |cache, action| Ok(cache.action(&action.typed::<RouteAction>()?)),
            |cache, name| {
                cache.action_gone(name.namespace(), &name.name, None);
                Triggers::new()
            },
        );
        Self { is_urgent: true, ..Self::new(ApiResource::erase::<RouteAction>(&()), news) }
    }

    /// What fleets may be made of.
    fn classes() -> Self {
        let news = NewsBeside::new(
            |cache, class| Ok(cache.class(&class.typed::<FleetClass>()?)),
            |cache, name| cache.class_gone(&name.name),
        );
        Self::new(ApiResource::erase::<FleetClass>(&()), news)
    }

    /// Labels of namespaces, for the namespaces that a mesh allows. Only metadata is read.
    fn namespaces() -> Self {
        let news = NewsBeside::new(
            |cache, namespace| Ok(cache.namespace(&namespace.name_any(), Some(namespace.labels().clone()))),
            |cache, name| cache.namespace(&name.name, None),
        );
        Self::new(ApiResource::erase::<Namespace>(&()), news)
    }

    /// Whom rollouts may ask for numbers.
    fn metric_providers() -> Self {
        let news = NewsBeside::new(
            |cache, provider| {
                let provider: MetricProvider = provider.typed()?;
                Ok(cache.metric_provider_seen(&provider.name_any(), Some(provider.spec)))
            },
            |cache, name| cache.metric_provider_seen(&name.name, None),
        );
        Self::new(ApiResource::erase::<MetricProvider>(&()), news)
    }

    /// Whom rollouts may ask whether they may go on.
    fn webhook_providers() -> Self {
        let news = NewsBeside::new(
            |cache, provider| {
                let provider: WebhookProvider = provider.typed()?;
                Ok(cache.webhook_provider_seen(&provider.name_any(), Some(provider.spec)))
            },
            |cache, name| cache.webhook_provider_seen(&name.name, None),
        );
        Self::new(ApiResource::erase::<WebhookProvider>(&()), news)
    }

    /// What permits references between namespaces.
    fn grants() -> Self {
        let news = NewsBeside::new(
            |cache, grant| {
                let grant: ReferenceGrant = grant.typed()?;
                let namespace = grant.namespace().unwrap_or_default();
                Ok(cache.grant(&namespace, &grant.name_any(), Some(grant.spec)))
            },
            |cache, name| cache.grant(name.namespace(), &name.name, None),
        );
        Self::new(ApiResource::erase::<ReferenceGrant>(&()), news)
    }
}

/// Why a watch does not go on.
#[derive(Debug, thiserror::Error)]
enum WatchFailure {
    #[error(transparent)]
    Watch(#[from] watcher::Error),
    #[error("an object of the API server cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// Watches for ever. An object of a list that cannot be read fails the list, which is tried again: as long as it is not known
/// whole, nothing may be decided from it.
async fn watch(client: Client, feed: WatchFeed, mut source: Source) {
    let api = Api::<Untyped>::all_with(client, &source.resource);
    let mut progress = Progress { feed, complete: false, complained: false };
    loop {
        let mut events = watcher(api.clone(), watcher::Config::default()).boxed();
        while let Some(event) = events.next().await {
            let listing = matches!(event, Ok(watcher::Event::InitApply(_)));
            let taken = event.map_err(WatchFailure::from).and_then(|event| progress.take(event, &mut source));
            if let Err(failure) = taken {
                progress.report(&source.resource, &failure);
                tokio::time::sleep(PAUSE).await;
                if listing {
                    break;
                }
            }
        }
    }
}

/// How far a watch has come.
struct Progress {
    feed: WatchFeed,
    complete: bool,
    complained: bool,
}

impl Progress {
    /// Brings an event to the cache, and what it triggers to the queue.
    fn take(&mut self, event: watcher::Event<Untyped>, source: &mut Source) -> Result<(), WatchFailure> {
        let (listing, listed) = match event {
            watcher::Event::Init | watcher::Event::InitApply(_) => (true, false),
            watcher::Event::InitDone => (false, true),
            watcher::Event::Apply(_) | watcher::Event::Delete(_) => (false, false),
        };
        let triggers = source.news.take(event, &self.feed.cache)?;
        if listed && !std::mem::replace(&mut self.complete, true) {
            self.feed.complete.send_modify(|count| *count += 1);
        }
        // A list that is under way may still fail.
        if !listing && std::mem::take(&mut self.complained) {
            info!(kind = %source.resource.kind, "watching again");
        }
        if source.is_urgent {
            for (key, trigger) in triggers {
                self.feed.queue.trigger_urgent(&key, trigger);
            }
        } else {
            self.feed.queue.trigger_all(triggers);
        }
        Ok(())
    }

    /// Says once in full what is wrong; a missing CRD is the newcomer's first mistake.
    fn report(&mut self, resource: &ApiResource, problem: &WatchFailure) {
        let kind = &resource.kind;
        if std::mem::replace(&mut self.complained, true) {
            debug!(%kind, %problem, "watch failed again");
        } else if is_unknown(problem) {
            error!(
                "the cluster does not know {}.{}: install the CRDs with `fleetmesh crds | kubectl apply -f -`; trying on",
                resource.plural, resource.group
            );
        } else {
            error!(%kind, %problem, "cannot watch; trying on");
        }
    }
}

/// Whether the API server does not know the kind.
fn is_unknown(problem: &WatchFailure) -> bool {
    matches!(problem, WatchFailure::Watch(watcher::Error::InitialListFailed(kube::Error::Api(status))) if status.code == 404)
}
