//! What is deleted leaves nothing behind in the proxies that used it, and nothing else suffers.

use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::{userns, wait};
use serde_json::json;

use crate::bed::{Bed, LIMIT, Member};
use crate::spec::{
    backends, caller, empty_mesh, http2_route, node, route, routed, router, router_on, server, service,
    targets,
};

const PASSTHROUGH: &str = "cds_egress_apps_passthrough";
const RED: &str = "cds_egress_apps_red_http2_8001";
const BLUE: &str = "cds_egress_apps_blue_http2_8001";

/// Awaits that the proxy has exactly these clusters and route configurations, and none half made.
async fn has_only(client: &Member, clusters: &[&str], routes: &[&str]) {
    wait::until(&format!("the proxy has only {clusters:?} and {routes:?}"), LIMIT, async || {
        let found =
            (client.clusters().await, client.warming_clusters().await, client.route_configurations().await);
        let same = found.0 == clusters && found.1.is_empty() && found.2 == routes;
        anyhow::ensure!(same, "it has {found:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_is_deleted_leaves_no_cluster_behind() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red, blue]) = Bed::start("removal", ["client", "red", "blue"]).await;
    bed.names(&[&client, &red, &blue], &["one.apps.local", "two.apps.local"]).await;
    let ports = [("http2", 8001)];
    let (to_red, to_blue) = (targets(&[("red", 8001, 1)]), targets(&[("blue", 8001, 1)]));
    bed.create(&[
        empty_mesh(),
        server("red", &ports),
        server("blue", &ports),
        router_on("one", &[("http2", 80)]),
        (route("one", "all"), http2_route(&to_red)),
        routed("one.apps.local", "one"),
        router_on("two", &[("http2", 81)]),
        (route("two", "all"), http2_route(&to_blue)),
        (route("two", "beta"), json!({ "http2Route": { "match": { "prefix": "/beta" }, "action": to_red } })),
        routed("two.apps.local", "two"),
        caller("client", &["one.apps.local", "two.apps.local"]),
    ])
    .await;
    let apps = [(Protocol::Http2, 8001)];
    let _red = bed.join(red, &apps).await;
    let _blue = bed.join(blue, &apps).await;
    let client = bed.join(client, &[]).await;
    let (http80, http81) = ("rds_egress_http2_80", "rds_egress_http2_81");
    has_only(&client, &[BLUE, PASSTHROUGH, RED], &[http80, http81]).await;
    // Requests that no deletion concerns, all the while.
    let options = LoadOptions { rate: 250, ..LoadOptions::new("http://two.apps.local:81/") };
    let mut load = client.load(&bed, &options, "all").await;
    load.until("blue serves", LIMIT, |tally| tally.answered() > 0).await.unwrap();
    let status = async |path| client.get(Protocol::Http2, path).await.status;
    assert_eq!(status("http://one.apps.local/").await, 200);

    // The route goes: red stays, because another route leads there.
    bed.api.delete(&route("one", "all")).await.unwrap();
    wait::until("requests have no route", LIMIT, async || {
        Ok((status("http://one.apps.local/").await == 404).then_some(()))
    })
    .await
    .unwrap();
    has_only(&client, &[BLUE, PASSTHROUGH, RED], &[http80, http81]).await;
    assert_eq!(status("http://two.apps.local:81/beta").await, 200);

    // The last route to red goes, and with it the cluster.
    bed.api.delete(&route("two", "beta")).await.unwrap();
    has_only(&client, &[BLUE, PASSTHROUGH], &[http80, http81]).await;
    assert_eq!(client.get(Protocol::Http2, "http://two.apps.local:81/beta").await.responder, "blue");

    // The service goes while it is still named as a backend, then router and node.
    bed.api.delete(&service("one.apps.local")).await.unwrap();
    has_only(&client, &[BLUE, PASSTHROUGH], &[http81]).await;
    bed.api.delete(&router("one")).await.unwrap();
    bed.api.delete(&node("red")).await.unwrap();
    has_only(&client, &[BLUE, PASSTHROUGH], &[http81]).await;

    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    assert_eq!(tally.phase("all").by("blue"), tally.answered(), "{tally:#?}");

    // The backend itself goes.
    bed.api.update(&node("client"), &json!({ "backends": backends(&[]) })).await.unwrap();
    has_only(&client, &[PASSTHROUGH], &[]).await;
}
