//! kube-rs as its users have it, for whoever writes a controller of Fleetmesh's kinds: `Controller` with children that it owns,
//! `finalizer`, `watcher` in both modes and `Recorder`. No operator runs here: these controllers are the tests' own. Each test runs on the
//! cluster of the suite, and then over the client of an embedded API in this process, as the operator of `fleetmesh standalone` has it.

mod controllers;
mod finalizers;
mod recorders;
mod watchers;

use std::path::Path;

use fleetmesh_crds::VirtualRouter;
use fleetmesh_standalone::StandaloneConfig;
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::shared::Shared;
use fleetmesh_testbed::stack;
use fleetmesh_tests::objects::client;
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::wait::{Condition, await_condition};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::bed::LIMIT;

/// A cluster with our kinds, which the tests share.
struct KubeRsBed {
    cluster: Cluster,
    _run: RunDir,
}

/// A namespace of a test, and its client.
struct KubeRsSpace {
    name: String,
    client: Client,
    kubectl: Kubectl,
}

/// Runs a test in a namespace of this name, on each API.
async fn on_each(name: &str, test: impl AsyncFn(&KubeRsSpace)) {
    static SHARED: Shared<KubeRsBed> = Shared::new();
    let start = async || {
        let run = RunDir::new("kube-rs").unwrap();
        let cluster = Cluster::start(&run).await.unwrap();
        stack::install_crds(&cluster.kubectl().unwrap(), &run).await.unwrap();
        KubeRsBed { cluster, _run: run }
    };
    let bed = SHARED.get(start).await;
    let kubeconfig = bed.cluster.admin_kubeconfig();
    println!("on the cluster");
    test(&KubeRsSpace::new(name, client(&kubeconfig).await.unwrap(), &kubeconfig).await).await;

    println!("within this process");
    let run = RunDir::new("kube-rs-within").unwrap();
    let mut config = StandaloneConfig::new(run.join("data"));
    config.listen.set_port(0);
    let bound = fleetmesh_standalone::bind(config).await.unwrap();
    let (kubeconfig, client, ending) =
        (bound.kubeconfig.clone(), bound.client("kube-rs"), CancellationToken::new());
    let serving = tokio::spawn(bound.serve(ending.clone()));
    test(&KubeRsSpace::new(name, client, &kubeconfig).await).await;
    ending.cancel();
    serving.await.unwrap().unwrap();
}

impl KubeRsSpace {
    async fn new(name: &str, client: Client, kubeconfig: &Path) -> Self {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
        Self { name: name.to_owned(), client, kubectl: Kubectl::new(kubeconfig).unwrap() }
    }

    fn routers(&self) -> Api<VirtualRouter> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    async fn create_router(&self, name: &str, port: u16) -> VirtualRouter {
        let router = json!({ "metadata": { "name": name }, "spec": router_spec(port) });
        let router = serde_json::from_value(router).unwrap();
        self.routers().create(&PostParams::default(), &router).await.unwrap()
    }

    /// A merge patch of a router.
    async fn patch_router(&self, name: &str, patch: Value) -> VirtualRouter {
        self.routers().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }
}

fn router_spec(port: u16) -> Value {
    json!({ "meshName": "kube-rs", "listeners": [{ "portMapping": { "port": port, "protocol": "http" } }] })
}

/// Awaits by kube-rs' own watch that the object is as it should be.
async fn until<K>(api: Api<K>, name: &str, what: &str, condition: impl Condition<K>) -> Option<K>
where
    K: Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + Resource + 'static,
{
    let waited = tokio::time::timeout(LIMIT, await_condition(api, name, condition)).await;
    waited.unwrap_or_else(|_| panic!("{name}: {what}: not within {LIMIT:?}")).unwrap()
}

/// Runs a controller; a failed test shows what went wrong in it.
async fn followed<T, E: std::fmt::Display>(results: impl Stream<Item = Result<T, E>>) {
    let report = async |result| {
        if let Err(error) = result {
            println!("{error}");
        }
    };
    results.for_each(report).await;
}

fn version(object: &impl ResourceExt) -> String {
    object.resource_version().unwrap()
}
