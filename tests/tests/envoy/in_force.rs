//! What is stored and changes less than it says is in force as people mean it, or reported: two services of one host, what has no effect,
//! and a route that an earlier release stored.

use std::process::Command;

use fleetmesh_api::unserved::UnservedAnswer;
use fleetmesh_api::urls::{UNSERVED, of_mesh};
use fleetmesh_model::ResourceId;
use fleetmesh_testbed::app::Protocol;
use fleetmesh_testbed::{command, http, tools, userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::spec::{
    MESH, backends, caller, empty_mesh, node, route, routed, router_on, server, service, targets,
};

/// Awaits that a request from `client` is answered so.
async fn answers(client: &MeshMember, url: &str, expected: &Result<String, String>) {
    wait::until(&format!("{url} is answered with {expected:?}"), LIMIT, async || {
        let outcome = client.get(Protocol::Http, url).await.outcome();
        anyhow::ensure!(outcome == *expected, "{outcome:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

fn provided(name: &str, by: &str) -> (ResourceId, Value) {
    (service(name), json!({ "provider": { "virtualNode": { "virtualNodeName": by } } }))
}

/// The entries of `id` in what the control plane reports as not in force.
async fn unserved(bed: &Bed, id: &ResourceId) -> Vec<String> {
    let url = format!("{}{}", bed.control_plane.endpoint(), of_mesh(UNSERVED, MESH));
    let answer: UnservedAnswer = serde_json::from_str(&http::get(&url).await.unwrap()).unwrap();
    let found = answer.objects.into_iter().find(|object| object.resource == id.to_string());
    found.map(|object| object.unserved).unwrap_or_default()
}

async fn explained(bed: &Bed, id: &ResourceId) -> String {
    let mut explain = Command::new(tools::fleetmesh().unwrap());
    explain.args(["explain", &id.to_string(), "--app-mesh-endpoint", &bed.control_plane.endpoint()]);
    command::run(explain).await.unwrap()
}

#[tokio::test]
async fn of_two_services_of_one_host_each_gets_its_requests_and_what_has_no_effect_is_reported() {
    if !userns::wanted() {
        return;
    }
    const BARE: &str = "s.apps.local";
    const WITH_PORT: &str = "s.apps.local:8080";
    let (mut bed, [client, red, blue]) = Bed::start("hosts", ["client", "red", "blue"]).await;
    bed.names(&[&client, &red, &blue], &[BARE]).await;
    bed.create(&[
        empty_mesh(),
        server("red", &[("http", 8080), ("http", 8090)]),
        server("blue", &[("http", 8080)]),
        provided(BARE, "red"),
        provided(WITH_PORT, "blue"),
        caller("client", &[BARE, WITH_PORT, "missing.apps.local"]),
    ])
    .await;
    let _red = bed.join(red, &[(Protocol::Http, 8080), (Protocol::Http, 8090)]).await;
    let _blue = bed.join(blue, &[(Protocol::Http, 8080)]).await;
    let client = bed.join(client, &[]).await;
    let url = format!("http://{WITH_PORT}/");
    for order in [[BARE, WITH_PORT], [WITH_PORT, BARE]] {
        let called = json!({ "backends": backends(&[order[0], order[1], "missing.apps.local"]) });
        bed.update(&node("client"), &called, 1).await;
        answers(&client, &url, &Ok("blue".to_owned())).await;
        answers(&client, &format!("http://{BARE}:8090/"), &Ok("red".to_owned())).await;
        let status = bed.status(&node("client")).await.unwrap();
        let note = status["notes"][0].as_str().unwrap_or_default();
        assert!(note.contains("on port 8080, requests whose Host names the port go to"), "{status}");
    }

    let missing = "spec.backends[2].virtualService.virtualServiceName: virtual service \"missing.apps.local\" does not exist, so nothing is sent to it";
    assert_eq!(unserved(&bed, &node("client")).await, [missing]);
    assert!(explained(&bed, &node("client")).await.contains(missing));
    bed.create(&[provided("missing.apps.local", "red")]).await;
    wait::until("it is there", LIMIT, async || {
        Ok(unserved(&bed, &node("client")).await.is_empty().then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_stored_route_that_todays_rules_refuse_takes_down_no_other() {
    if !userns::wanted() {
        return;
    }
    const SHOP: &str = "shop.apps.local";
    const LOOK: &str = r#"{"path": {"regex": "/v1/(?!admin).*"}}"#;
    let (mut bed, [client, red, blue]) = Bed::start("stored", ["client", "red", "blue"]).await;
    bed.names(&[&client, &red, &blue], &[SHOP]).await;
    let to = |matched: Value, target: &str| json!({ "httpRoute": { "match": matched, "action": targets(&[(target, 8001, 1)]) } });
    let look = route("shop", "look");
    bed.create(&[
        empty_mesh(),
        server("red", &[("http", 8001)]),
        server("blue", &[("http", 8001)]),
        router_on("shop", &[("http", 80)]),
        (look.clone(), to(json!({ "path": { "exact": "/placeholder" } }), "red")),
        (route("shop", "all"), to(json!({ "prefix": "/" }), "blue")),
        (route("shop", "tied"), to(json!({ "prefix": "/" }), "red")),
        routed(SHOP, "shop"),
        caller("client", &[SHOP]),
    ])
    .await;
    let _red = bed.join(red, &[(Protocol::Http, 8001)]).await;
    let _blue = bed.join(blue, &[(Protocol::Http, 8001)]).await;

    bed.control_plane.kill();
    let change = "import sqlite3, sys; file = sqlite3.connect(sys.argv[1]); \
        assert file.execute('UPDATE resource SET spec = json_set(spec, ?, json(?)) WHERE id = ?', \
        ('$.httpRoute.match', sys.argv[2], sys.argv[3])).rowcount == 1; file.commit()";
    let mut python = Command::new(tools::tool("python").unwrap());
    let database = bed.control_plane.data_dir().join("control-plane.db");
    python.args(["-c", change]).arg(database).args([LOOK, &look.to_string()]);
    command::run(python).await.unwrap();
    bed.control_plane.restart(&bed.run).await.unwrap();

    let client = bed.join(client, &[]).await;
    answers(&client, &format!("http://{SHOP}/"), &Ok("blue".to_owned())).await;
    let closed = client.get(Protocol::Http, &format!("http://{SHOP}/v1/users")).await;
    assert!(format!("{closed:?}").contains("503"), "{closed:?}");
    bed.runs_on(&route("shop", "all"), 1).await;
    for id in [look.clone(), route("shop", "all"), node("client"), service(SHOP)] {
        let status = bed.status(&id).await.unwrap();
        assert_eq!(status["rejected"], json!([]), "{status}");
    }
    let said = unserved(&bed, &look).await;
    assert!(said.len() == 1 && said[0].contains("answered with 503") && said[0].contains("(?!"), "{said:?}");
    let url =
        format!("{}/v20190125/meshes/{MESH}/virtualRouter/shop/routes/look", bed.control_plane.endpoint());
    assert!(http::get(&url).await.unwrap().contains("/v1/(?!admin).*"), "it stays as it is stored");
    assert_eq!(unserved(&bed, &route("shop", "all")).await, [""; 0]);
    let tied = unserved(&bed, &route("shop", "tied")).await;
    assert!(tied.len() == 1 && tied[0].contains("route \"all\" of the same virtual router"), "{tied:?}");

    bed.update(&look, &to(json!({ "prefix": "/v1/" }), "red"), 1).await;
    answers(&client, &format!("http://{SHOP}/v1/users"), &Ok("red".to_owned())).await;
    assert_eq!(unserved(&bed, &look).await, [""; 0]);
}
