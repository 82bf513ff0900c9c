//! What is deleted leaves nothing behind in the proxies that used it, and nothing else suffers.

use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::{userns, wait};
use serde_json::json;

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::spec::{
    backends, caller, empty_mesh, http2_route, node, route, routed, router, router_on, server, service,
    targets,
};

const PASSTHROUGH: &str = "cds_egress_apps_passthrough";
const RED: &str = "cds_egress_apps_red_http2_8001";
const GREEN: &str = "cds_egress_apps_green_http2_8001";
const BLUE: &str = "cds_egress_apps_blue_http2_8001";

/// Awaits that the proxy has exactly these clusters, and none half made.
async fn has_only(client: &MeshMember, clusters: &[&str]) {
    wait::until(&format!("the proxy has only {clusters:?}"), LIMIT, async || {
        let found = (client.clusters().await, client.warming_clusters().await);
        anyhow::ensure!(found.0 == clusters && found.1.is_empty(), "it has {found:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_is_deleted_leaves_no_cluster_behind() {
    deletions(false).await;
}

#[tokio::test]
async fn what_is_deleted_leaves_no_cluster_behind_in_the_state_of_the_world() {
    deletions(true).await;
}

async fn deletions(state_of_the_world: bool) {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red, blue]) = Bed::start("removal", ["client", "red", "blue"]).await;
    bed.state_of_the_world = state_of_the_world;
    bed.names(&[&client, &red, &blue], &["one.apps.local", "two.apps.local"]).await;
    let ports = [("http2", 8001)];
    let to = |name| targets(&[(name, 8001, 1)]);
    // Another virtual node on the same instance as red.
    let (red_id, red_spec) = server("red", &ports);
    bed.create(&[
        empty_mesh(),
        (red_id, red_spec.clone()),
        (node("green"), red_spec),
        server("blue", &ports),
        router_on("one", &[("http2", 80)]),
        (route("one", "all"), http2_route(&to("red"))),
        routed("one.apps.local", "one"),
        router_on("two", &[("http2", 81)]),
        (route("two", "all"), http2_route(&to("blue"))),
        (
            route("two", "beta"),
            json!({ "http2Route": { "match": { "prefix": "/beta" }, "action": to("green") } }),
        ),
        routed("two.apps.local", "two"),
        caller("client", &["one.apps.local", "two.apps.local"]),
    ])
    .await;
    let apps = [(Protocol::Http2, 8001)];
    let _red = bed.join(red, &apps).await;
    let _blue = bed.join(blue, &apps).await;
    let client = bed.join(client, &[]).await;
    has_only(&client, &[BLUE, GREEN, PASSTHROUGH, RED]).await;

    // Requests that no deletion concerns, all the while.
    let steady = LoadOptions { rate: 250, ..LoadOptions::new("http://two.apps.local:81/") };
    let mut load = client.load(&bed, &steady, "all").await;
    load.until("blue serves", LIMIT, |tally| tally.answered() > 0).await.unwrap();
    let who = async |url| client.get(Protocol::Http2, url).await.responder;
    assert_eq!(who("http://one.apps.local/").await, "red");
    assert_eq!(who("http://two.apps.local:81/beta").await, "red");

    // A route goes, then the node that nothing else leads to.
    bed.api.delete(&route("two", "beta")).await.unwrap();
    has_only(&client, &[BLUE, PASSTHROUGH, RED]).await;
    assert_eq!(who("http://two.apps.local:81/beta").await, "blue");
    bed.api.delete(&node("green")).await.unwrap();

    // The service goes while a backend names it and its router has a route, then all that it was made of. Its cluster
    // may stay as long as Envoy lets connections to the service's port live on, and no longer.
    bed.api.delete(&service("one.apps.local")).await.unwrap();
    has_only(&client, &[BLUE, PASSTHROUGH]).await;
    bed.api.delete(&route("one", "all")).await.unwrap();
    bed.api.delete(&router("one")).await.unwrap();
    bed.api.delete(&node("red")).await.unwrap();
    has_only(&client, &[BLUE, PASSTHROUGH]).await;

    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    assert_eq!(tally.phase("all").by("blue"), tally.answered(), "{tally:#?}");

    // The backend itself goes.
    bed.api.update(&node("client"), &json!({ "backends": backends(&[]) })).await.unwrap();
    has_only(&client, &[PASSTHROUGH]).await;
}
