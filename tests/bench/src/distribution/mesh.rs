//! A mesh of any size in which every virtual node uses as much: its proxy acknowledges, and a reader gets the change.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_api::distribution::Token;
use fleetmesh_control_plane::distribution::{Connected, Distribution, Published};
use fleetmesh_control_plane::views::Views;
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::distribution::Progress;
use fleetmesh_mesh::form::Forms;
use fleetmesh_mesh::snapshot::{Snapshot, VersionKeys};
use fleetmesh_mesh::view::{MeshView, Record};
use fleetmesh_model::{MeshName, ResourceId, Spec};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

const NAME: &str = "apps";

/// A mesh, its proxies, and a reader.
pub struct Mesh {
    view: Arc<MeshView>,
    distribution: Arc<Distribution>,
    proxies: Vec<BenchProxy>,
    /// The proxy that acknowledges next.
    turn: usize,
    token: Option<Token>,
}

/// A proxy that acknowledges, in turn, a snapshot with the former version of its node and the present one.
struct BenchProxy {
    connected: Connected,
    former: Arc<Snapshot>,
    present: Arc<Snapshot>,
    is_present: bool,
}

impl Mesh {
    /// A mesh of so many virtual nodes.
    ///
    /// # Errors
    /// A snapshot cannot be made.
    pub fn new(nodes: u32) -> Result<Self> {
        let (former, view) = (view(nodes, 1)?, Arc::new(view(nodes, 2)?));
        let distribution = Arc::new(Distribution::new(Arc::new(BenchMeshes(Arc::clone(&view)))));
        let discovered = Discovered::default();
        let mut proxies = Vec::new();
        for number in 0..nodes {
            let id = ResourceId::virtual_node(NAME, node(number));
            let snapshot = |view| Snapshot::build(view, &discovered, &id).map(Arc::new).context("a snapshot");
            let (former, present) = (snapshot(&former)?, snapshot(&view)?);
            distribution.target(&id, Some(Arc::clone(&present)));
            let connected = Distribution::connect(&distribution, &id, None, Some(format!("i-{number:08x}")));
            connected.report(Progress { acknowledged: Some(Arc::clone(&former)), rejections: Vec::new() });
            proxies.push(BenchProxy { connected, former, present, is_present: false });
        }
        let meshes = Arc::new(BTreeMap::from([(NAME.into(), Arc::clone(&view))]));
        distribution.published(Published { revision: view.revision, meshes, discovered });
        Ok(Self { view, distribution, proxies, turn: 0, token: None })
    }

    /// How many objects it has.
    pub fn objects(&self) -> usize {
        self.view.resources.len()
    }

    /// The next proxy acknowledges something. The turns go through the whole mesh.
    pub fn acknowledge(&mut self) {
        self.turn = (self.turn + 7) % self.proxies.len();
        let Some(proxy) = self.proxies.get_mut(self.turn) else { return };
        proxy.is_present = !proxy.is_present;
        let snapshot = if proxy.is_present { &proxy.present } else { &proxy.former };
        proxy.connected.report(Progress { acknowledged: Some(Arc::clone(snapshot)), rejections: Vec::new() });
    }

    /// The reader gets what changed since its last answer; returns how many objects did.
    ///
    /// # Errors
    /// It gets everything, or nothing at all.
    pub async fn news(&mut self) -> Result<usize> {
        let answer = self.distribution.answer(&NAME.into(), self.token.take(), Instant::now()).await;
        let answer = answer.context("the mesh is unknown")?;
        ensure!(!answer.complete, "the reader got everything");
        self.token = Some(answer.token);
        Ok(answer.objects.len())
    }

    /// The reader begins anew.
    ///
    /// # Errors
    /// It does not get everything.
    pub async fn everything(&mut self) -> Result<()> {
        let answer = self
            .distribution
            .answer(&NAME.into(), None, Instant::now())
            .await
            .context("the mesh is unknown")?;
        ensure!(
            answer.complete && answer.objects.len() == self.objects(),
            "the reader did not get everything"
        );
        self.token = Some(answer.token);
        Ok(())
    }
}

fn node(number: u32) -> String {
    format!("node-{number:06}")
}

/// The mesh with `version` of every node: each calls the next two, through a router that splits between the callee and the
/// one after it.
fn view(nodes: u32, version: i64) -> Result<MeshView> {
    let mut resources = BTreeMap::new();
    let mut add = |id: ResourceId, version: i64, spec: Value| -> Result<()> {
        let record = Record {
            arn: format!("arn:aws:appmesh:us-west-2:111122223333:{id}"),
            owner: fleetmesh_model::Account::First,
            uid: format!("uid-of-{id}"),
            version,
            created_at: Timestamp::UNIX_EPOCH,
            last_updated_at: Timestamp::UNIX_EPOCH,
            spec: Spec::from_json(id.kind(), spec)?,
            tags: BTreeMap::new(),
            id: id.clone(),
        };
        resources.insert(id, Arc::new(record));
        Ok(())
    };
    let listeners = json!([{"portMapping": {"port": 8080, "protocol": "http"}}]);
    let service = |number: u32| format!("{}.local", node(number % nodes));
    add(ResourceId::mesh(NAME), 1, json!({}))?;
    for number in 0..nodes {
        let name = node(number);
        let backend = |number| json!({"virtualService": {"virtualServiceName": service(number)}});
        let spec = json!({
            "listeners": listeners,
            "serviceDiscovery": {"dns": {"hostname": service(number)}},
            "backends": [backend(number + 1), backend(number + 2)],
        });
        add(ResourceId::virtual_node(NAME, name.clone()), version, spec)?;
        add(ResourceId::virtual_router(NAME, name.clone()), 1, json!({"listeners": listeners}))?;
        let target = |number: u32| json!({"virtualNode": node(number % nodes), "weight": 1});
        let action = json!({"weightedTargets": [target(number), target(number + 1)]});
        let route = json!({"httpRoute": {"match": {"prefix": "/"}, "action": action}});
        add(ResourceId::route(NAME, name.clone(), name.clone()), 1, route)?;
        let provider = json!({"provider": {"virtualRouter": {"virtualRouterName": name}}});
        add(ResourceId::virtual_service(NAME, service(number)), 1, provider)?;
    }
    Ok(MeshView { revision: 1, forms: Forms::default(), resources })
}

/// One mesh that never changes.
struct BenchMeshes(Arc<MeshView>);

impl Views for BenchMeshes {
    fn mesh(&self, name: &MeshName) -> Option<Arc<MeshView>> {
        (*name == NAME.into()).then(|| Arc::clone(&self.0))
    }

    fn mesh_names(&self) -> Vec<MeshName> {
        vec![NAME.into()]
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        watch::Sender::new(self.0.revision).subscribe()
    }

    fn version_keys(&self) -> Arc<VersionKeys> {
        Arc::new(VersionKeys::new([&[1; 32]]))
    }
}
