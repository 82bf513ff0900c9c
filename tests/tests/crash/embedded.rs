//! Both programs inside of this process, as a program runs them that embeds them: over clients of its own, with one set of
//! health pages for both, until its token. One that ends unasked ends with an error, leaves nothing behind, and the process
//! goes on.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_appmesh::config::{BehaviorVersion, Credentials, Region};
use fleetmesh_control_plane::listen::Listen;
use fleetmesh_control_plane::{Bound, ControlPlaneConfig, bind};
use fleetmesh_crds::Mesh;
use fleetmesh_health::{BoundPages, Health};
use fleetmesh_operator::cloud::CloudEndpoint;
use fleetmesh_operator::write_hook::{Write, WriteHook, WriteHooks, WriteTarget};
use fleetmesh_operator::{AppMeshApi, ControlPlane, KubernetesApi, LeaderElection, Operator, OperatorConfig};
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{http, stack, wait};
use fleetmesh_tests::objects::client;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(120);

/// The API server of a cluster, which is a real one; the way there is a service within this process.
struct EmbeddingBed {
    client: Client,
    // Dropped last: the client goes there.
    _cluster: Cluster,
    run: RunDir,
}

impl EmbeddingBed {
    async fn start(name: &str) -> Result<Self> {
        let run = RunDir::new(name)?;
        let cluster = Cluster::start(&run).await?;
        stack::install_crds(&cluster.kubectl()?, &run).await?;
        Ok(Self { client: client(&cluster.admin_kubeconfig()).await?, _cluster: cluster, run })
    }

    /// A control plane on free ports, with its data in this bed.
    async fn control_plane(&self) -> Result<Bound> {
        let free = || vec![Listen::Tcp("127.0.0.1:0".to_owned())];
        let config = ControlPlaneConfig::new(self.run.join("control-plane"));
        Ok(bind(ControlPlaneConfig { listen: free(), ads_listen: free(), ..config }).await?)
    }

    /// A client whose service is in this process. The other answer is gone once nobody can call it any more.
    fn in_process(&self) -> (Client, Weak<()>) {
        let (client, alive) = (self.client.clone(), Arc::new(()));
        let gone = Arc::downgrade(&alive);
        let service = tower::service_fn(move |request: ::http::Request<Body>| {
            let (client, _alive) = (client.clone(), Arc::clone(&alive));
            async move { client.send(request).await }
        });
        (Client::new(service, "default"), gone)
    }

    fn meshes(&self) -> Api<Mesh> {
        Api::all(self.client.clone())
    }

    async fn create_mesh(&self, name: &str) -> Result<()> {
        let mesh = serde_json::from_value(json!({"metadata": {"name": name}, "spec": {}}))?;
        self.meshes().create(&PostParams::default(), &mesh).await?;
        Ok(())
    }

    async fn until_ready(&self, name: &str) -> Result<()> {
        wait::until(&format!("{name} is Ready"), LIMIT, async || {
            let mesh = serde_json::to_value(self.meshes().get(name).await?)?;
            let conditions = mesh["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.iter().find(|one| one["type"] == "Ready").context("no condition Ready")?;
            ensure!(ready["status"] == "True", "{ready}");
            Ok(Some(()))
        })
        .await
    }
}

/// The App Mesh API at `url` by a client that the operator did not make.
fn app_mesh(url: &str) -> AppMeshApi {
    let config = aws_sdk_appmesh::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new("us-west-2"))
        .credentials_provider(Credentials::new("embedded", "embedded", None, None, "test"));
    let client = aws_sdk_appmesh::Client::from_conf(config.build());
    AppMeshApi::new(client).of_control_plane(ControlPlane::on_this_host(url))
}

async fn until_gone(alive: &Weak<()>) -> Result<()> {
    wait::until("nothing of the operator is left", LIMIT, async || {
        Ok(alive.upgrade().is_none().then_some(()))
    })
    .await
}

// docs/architecture.md shows this function.
async fn run_both(
    control_plane: Bound,
    client: kube::Client,
    pages: BoundPages,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let health = Health::default();
    let control_plane = control_plane.with_health(health.clone());
    let url = format!("http://{}", control_plane.addresses.api[0]);
    let endpoint = CloudEndpoint { url: Some(url), ..CloudEndpoint::default() };
    let (kubernetes, app_mesh) = (KubernetesApi::new(client), AppMeshApi::of(&endpoint).await?);
    let config = OperatorConfig { cluster_name: Some("embedded".to_owned()), ..OperatorConfig::default() };
    let operator = Operator::new(config, &kubernetes, app_mesh, WriteHooks::default())?.with_health(health);
    operator.serve_health(pages, &shutdown);
    let serving = async { anyhow::Ok(control_plane.serve(shutdown.clone()).await?) };
    let reconciling = async { anyhow::Ok(operator.run(shutdown.clone()).await?) };
    tokio::try_join!(serving, reconciling)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_runs_both_programs_with_one_set_of_pages_until_its_token() -> Result<()> {
    let bed = EmbeddingBed::start("embedded").await?;
    let shutdown = CancellationToken::new();
    let control_plane = bed.control_plane().await?;
    let url = format!("http://{}", control_plane.addresses.api[0]);
    let (client, alive) = bed.in_process();
    let pages = fleetmesh_health::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
    let address = format!("http://{}", pages.address);
    let running = tokio::spawn(run_both(control_plane, client, pages, shutdown.clone()));

    bed.create_mesh("embedded").await?;
    bed.until_ready("embedded").await?;
    http::get(&format!("{url}/v20190125/meshes/embedded")).await.context("it is in the control plane")?;
    // The operator's listener and the control plane's show both.
    for listener in [&address, &url] {
        ensure!(http::get(&format!("{listener}/livez")).await? == "ok\n");
        ensure!(http::get(&format!("{listener}/readyz")).await? == "ok\n");
        let metrics = http::get(&format!("{listener}/metrics")).await?;
        for line in
            ["fleetmesh_operator_objects 1\n", "fleetmesh_control_plane_store_objects{kind=\"Mesh\"} 1\n"]
        {
            ensure!(metrics.contains(line), "{line}{metrics}");
        }
        ensure!(metrics.matches("# EOF").count() == 1 && metrics.ends_with("# EOF\n"), "{metrics}");
    }

    shutdown.cancel();
    tokio::time::timeout(LIMIT, running).await???;
    until_gone(&alive).await
}

/// Lets no write to App Mesh be sent, as a fence does that has closed, and notes that one came.
#[derive(Debug, Default)]
struct Closed {
    came: AtomicBool,
}

#[async_trait::async_trait]
impl WriteHook for Closed {
    async fn before(&self, write: &Write) {
        if write.target == WriteTarget::AppMesh {
            self.came.store(true, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_loses_its_lease_ends_with_an_error_and_the_process_goes_on() -> Result<()> {
    let bed = EmbeddingBed::start("deposed").await?;
    let shutdown = CancellationToken::new();
    let bound = bed.control_plane().await?;
    let url = format!("http://{}", bound.addresses.api[0]);
    let control_plane = tokio::spawn(bound.serve(shutdown.clone()));
    let election = LeaderElection { namespace: Some("default".to_owned()), ..LeaderElection::default() };
    let config = OperatorConfig { leader_election: Some(election.clone()), ..OperatorConfig::default() };

    let (client, alive) = bed.in_process();
    let closed = Arc::new(Closed::default());
    let hooks = WriteHooks::default().and(closed.clone());
    let deposed = Operator::new(config.clone(), &KubernetesApi::new(client), app_mesh(&url), hooks)?;
    let deposed = tokio::spawn(deposed.run(shutdown.clone()));
    bed.create_mesh("deposed").await?;
    wait::until("a write waits", LIMIT, async || Ok(closed.came.load(Ordering::SeqCst).then_some(())))
        .await?;

    let leases: Api<Lease> = Api::namespaced(bed.client.clone(), "default");
    let taken = json!({"spec": {"holderIdentity": "somebody"}});
    leases.patch(&election.name, &PatchParams::default(), &Patch::Merge(&taken)).await?;
    let ended = tokio::time::timeout(LIMIT, deposed).await??;
    let error = ended.err().context("it ends with an error")?.to_string();
    ensure!(error.starts_with("the Lease default/fleetmesh-operator went to somebody"), "{error}");
    until_gone(&alive).await.context("what waited to write")?;

    // The next one in the same process leads once nobody else does, and does the work.
    ensure!(!shutdown.is_cancelled() && !control_plane.is_finished());
    leases.delete(&election.name, &DeleteParams::default()).await?;
    let kubernetes = KubernetesApi::new(bed.in_process().0);
    let next = Operator::new(config, &kubernetes, app_mesh(&url), WriteHooks::default())?;
    let next = tokio::spawn(next.run(shutdown.clone()));
    bed.until_ready("deposed").await?;
    shutdown.cancel();
    tokio::time::timeout(LIMIT, next).await???;
    tokio::time::timeout(LIMIT, control_plane).await???;
    Ok(())
}
