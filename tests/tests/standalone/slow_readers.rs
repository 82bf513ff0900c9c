//! Clients that ask for everything and read nothing: what the process holds for them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::Standalone;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Request;
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

/// Objects, and the bytes of data of each.
const OBJECTS: usize = 2000;
const OBJECT: usize = 2000;
/// Watches, and lists.
const READERS: usize = 110;
/// What the process may have more for each of them, in bytes. The objects are 5 MB.
const SHARE: u64 = 400 << 10;

async fn client(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Ok(Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)?)
}

async fn create(maps: &Api<ConfigMap>, at: usize) -> Result<()> {
    let map = json!({"metadata": {"name": format!("map-{at}"), "labels": {"a": "b"}}, "data": {"text": "x".repeat(OBJECT)}});
    maps.create(&PostParams::default(), &serde_json::from_value(map)?).await?;
    Ok(())
}

fn resident(standalone: &Standalone) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", standalone.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

/// Lists or watches of everything, of which nothing but the head is read.
async fn begun(client: &Client, query: &str, accept: &str) -> Result<Vec<http::Response<Body>>> {
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let request = Request::get(format!("/api/v1/configmaps?{query}")).header("accept", accept);
        readers.push(client.send(request.body(Body::empty())?).await?);
    }
    ensure!(readers.iter().all(|reader| reader.status() == 200));
    Ok(readers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_of_what_it_asked_for_costs_next_to_nothing() -> Result<()> {
    let run = RunDir::new("standalone-slow")?;
    let standalone = Standalone::start(&run).await?;
    let client = client(&standalone.kubeconfig()).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    stream::iter(0..OBJECTS).map(Ok).try_for_each_concurrent(16, |at| create(&maps, at)).await?;
    for (what, query, accept) in [
        ("watches", "watch=1", "application/json"),
        ("lists", "", "application/json"),
        ("tables", "", "application/json;as=Table;v=v1;g=meta.k8s.io"),
        ("selections", "labelSelector=a%3Db", "application/json"),
    ] {
        let before = resident(&standalone)?;
        let readers = begun(&client, query, accept).await?;
        let growth = resident(&standalone)?.saturating_sub(before);
        println!("{READERS} {what} that nobody reads take {:.1} MB", growth as f64 / 1e6);
        ensure!(growth < READERS as u64 * SHARE, "{growth} bytes more for {READERS} {what}");
        // Who reads on gets all of it.
        let last = readers.into_iter().next_back().context("a reader")?;
        let mut body = last.into_body().into_data_stream();
        let mut bytes = 0;
        while bytes < OBJECTS * if what == "tables" { 100 } else { OBJECT } {
            bytes += body.next().await.context("it ended early")??.len();
        }
    }
    Ok(())
}
