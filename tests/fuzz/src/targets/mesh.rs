//! A mesh, before and after a change, for the targets that need one.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::form::Forms;
use fleetmesh_mesh::snapshot::Snapshot;
use fleetmesh_mesh::view::{MeshView, Record};
use fleetmesh_model::{Arn, ResourceId, Spec};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What the proxies of `client` run before a change and after it.
pub fn snapshots() -> Result<[Arc<Snapshot>; 2]> {
    let node = ResourceId::virtual_node("apps", "client");
    let build = |weights| {
        let view = view(weights)?;
        let snapshot = Snapshot::build(&view, &Discovered::default(), &node).context("a node of the view")?;
        Ok::<_, anyhow::Error>(Arc::new(snapshot))
    };
    Ok([build([100, 0, 0])?, build([0, 75, 25])?])
}

/// A mesh whose route to three nodes has these weights; a node of weight 0 is no target.
fn view(weights: [u32; 3]) -> Result<MeshView> {
    let listeners = json!([{ "portMapping": { "port": 8000, "protocol": "http2" } }]);
    let mut objects = vec![("".to_owned(), json!({ "egressFilter": { "type": "ALLOW_ALL" } }))];
    let mut targets = Vec::new();
    for (index, weight) in weights.into_iter().enumerate() {
        let dns = json!({ "dns": { "hostname": format!("blue-{index}.local") } });
        let spec = json!({ "listeners": listeners, "serviceDiscovery": dns });
        objects.push((format!("virtualNode/blue-{index}"), spec));
        if weight > 0 {
            targets.push(json!({ "virtualNode": format!("blue-{index}"), "weight": weight }));
        }
    }
    let backends = json!([{ "virtualService": { "virtualServiceName": "blue.local" } }]);
    let dns = json!({ "dns": { "hostname": "client.local" } });
    let router = json!({ "virtualRouter": { "virtualRouterName": "blue" } });
    objects.extend([
        (
            "virtualNode/client".to_owned(),
            json!({ "backends": backends, "listeners": listeners, "serviceDiscovery": dns }),
        ),
        ("virtualRouter/blue".to_owned(), json!({ "listeners": listeners })),
        (
            "virtualRouter/blue/route/all".to_owned(),
            json!({ "http2Route": { "match": { "prefix": "/" }, "action": { "weightedTargets": targets } } }),
        ),
        ("virtualService/blue.local".to_owned(), json!({ "provider": router })),
    ]);
    let records =
        objects.iter().map(|(path, spec)| record(path, spec).map(|record| (record.id.clone(), record)));
    let resources = records.collect::<Result<BTreeMap<_, _>>>()?;
    Ok(MeshView { revision: 1, forms: Forms::default(), resources })
}

fn record(path: &str, spec: &Value) -> Result<Arc<Record>> {
    let text = format!("mesh/apps/{path}");
    let id = ResourceId::parse(text.trim_end_matches('/')).map_err(|reason| anyhow!("{reason}"))?;
    let spec = Spec::from_json(id.kind(), spec.clone()).context("a spec")?;
    let arn = Arn {
        partition: "aws".to_owned(),
        region: "us-west-2".to_owned(),
        account: "111122223333".to_owned(),
        resource: id.clone(),
    };
    Ok(Arc::new(Record {
        arn: arn.to_string(),
        owner: fleetmesh_model::Account::First,
        uid: format!("uid-of-{id}"),
        version: 1,
        created_at: Timestamp::UNIX_EPOCH,
        last_updated_at: Timestamp::UNIX_EPOCH,
        spec,
        tags: BTreeMap::new(),
        id,
    }))
}
