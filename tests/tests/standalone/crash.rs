//! kill -9 during writes: nothing that was acknowledged is lost, and no resource version is used twice.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::long;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::Standalone;
use fleetmesh_tests::objects::client;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

/// Writers at once.
const WRITERS: usize = 4;
/// After how many kills what was written is deleted, so that a long run looks no longer at each of them than a short one.
const KEPT: usize = 25;

/// Creates objects until the server is gone; answers what was acknowledged: names with their resource versions.
async fn write(api: Api<ConfigMap>, prefix: String) -> Result<BTreeMap<String, u64>> {
    let mut stored = BTreeMap::new();
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        let object = serde_json::from_value(
            json!({"metadata": {"name": name}, "data": {"number": number.to_string()}}),
        )?;
        match api.create(&PostParams::default(), &object).await {
            Ok(created) => {
                let version = created.metadata.resource_version.context("a version")?.parse()?;
                stored.insert(name, version);
            }
            Err(kube::Error::Api(status)) => return Err(anyhow::anyhow!("{status:?}")),
            Err(_) => break,
        }
    }
    Ok(stored)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_and_no_version_is_used_twice() -> Result<()> {
    let run = RunDir::new("standalone-crash")?;
    let mut standalone = Standalone::start(&run).await?;
    let kills = long::choose(50, 1000);
    let (mut all, mut versions, mut written) = (BTreeMap::new(), BTreeSet::new(), 0);
    for kill in 0..kills {
        let api: Api<ConfigMap> = Api::namespaced(client(&standalone.kubeconfig()).await?, "default");
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(api.clone(), format!("k{kill}-w{writer}"))))
            .collect();
        // When something is under way: not before the first writes are seen.
        let (first, listed) = (format!("k{kill}-w0-{}", kill % 5), api.clone());
        fleetmesh_testbed::wait::until(
            "writes are under way",
            fleetmesh_testbed::process::START,
            async || Ok(listed.get_opt(&first).await?.map(drop)),
        )
        .await?;
        standalone.kill();
        for writer in writers {
            for (name, version) in writer.await?? {
                ensure!(versions.insert(version), "version {version} of {name} was used before");
                all.insert(name, version);
                written += 1;
            }
        }
        standalone.restart(&run).await?;
        let api: Api<ConfigMap> = Api::namespaced(client(&standalone.kubeconfig()).await?, "default");
        let found: BTreeMap<String, u64> = api
            .list(&ListParams::default())
            .await?
            .into_iter()
            .filter_map(|map| Some((map.metadata.name?, map.metadata.resource_version?.parse().ok()?)))
            .collect();
        for (name, version) in &all {
            ensure!(found.get(name) == Some(version), "{name} at {version} is {:?}", found.get(name));
        }
        // Stored, though nobody was answered: these versions are used, too.
        versions.extend(found.values());
        if kill % KEPT == KEPT - 1 {
            api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
            all.clear();
        }
    }
    println!("{kills} kills, {written} acknowledged writes");
    ensure!(written >= kills);
    Ok(())
}
