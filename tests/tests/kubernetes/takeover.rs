//! Attacks on what is another team's or another cluster's: at the moment in which an object changes hands, by statuses that
//! were forged, and by somebody whom the mesh does not allow any more.

use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::bed::{ClusterBed, LIMIT};
use crate::grants::{attached, described, gone, grant, shop};
use crate::space::{KubernetesSpace, node, router, service, version, with};

/// Writes members of the status of `object`, as somebody may who has the right to.
async fn forge(space: &KubernetesSpace, object: &str, members: Value) {
    let patch = json!({ "status": members }).to_string();
    space.run(&["patch", object, "--subresource=status", "--type=merge", "--patch", &patch]).await;
}

#[tokio::test]
async fn no_route_slips_in_while_a_router_is_taken_over() {
    let bed = ClusterBed::shared().await;
    let shop = bed.space("takeover-shop").await;
    let thief = shop.guest("takeover-thief").await;
    shop.apply(&[shop.mesh(), thief.object("VirtualNode", "trap", node("trap.local"))]).await;
    shop.ready(&["mesh/takeover-shop"]).await;
    // Several: what strikes is a race.
    let names = ["a", "b", "c", "d"];
    for name in names {
        let input = json!({ "meshName": shop.mesh, "virtualRouterName": name, "spec": router() });
        shop.aws.call("create-virtual-router", &input).await.unwrap();
    }
    let routers: Vec<Value> = names.iter().map(|name| shop.object("VirtualRouter", name, router())).collect();
    shop.apply(&routers).await;
    for name in names {
        shop.until(&format!("virtualrouter/{name}"), "Accepted", "False", "NotOwned").await;
    }
    let attack = |name: &&str| {
        with(attached(&thief, name, 0, "trap"), json!({ "spec": { "virtualRouterName": name } }))
    };
    let adopts = json!({ "spec": { "adoptionPolicy": "Adopt" } });
    let adopting = routers.into_iter().map(|router| with(router, adopts.clone()));
    shop.apply(&adopting.chain(names.iter().map(attack)).collect::<Vec<_>>()).await;
    for name in names {
        either_has(&shop, &thief, name).await;
    }
}

/// Waits until the router is adopted and the route is out of the mesh, or the route was first and keeps the router from being
/// adopted, as the statuses say too.
async fn either_has(shop: &KubernetesSpace, thief: &KubernetesSpace, name: &str) {
    let (router, route) = (format!("virtualrouter/{name}"), format!("route/{name}"));
    wait::until("one of the two has its way", LIMIT, async || {
        let reason = async |space: &KubernetesSpace, object: &str, condition: &str| {
            let condition = space.condition(object, condition).await.ok()?;
            condition["reason"].as_str().map(str::to_owned)
        };
        let attached = thief.try_describe("route", name).await.is_ok();
        let accepted = reason(shop, &router, "Accepted").await.unwrap_or_default();
        let refused = reason(thief, &route, "ResolvedRefs").await.is_some_and(|it| it == "RefNotPermitted");
        Ok(match (accepted.as_str(), attached) {
            ("Accepted", false) if refused => Some(()),
            ("NotOwned", true) if !refused => Some(()),
            _ => None,
        })
    })
    .await
    .unwrap();
    if thief.try_describe("route", name).await.is_ok() {
        let message = shop.message(&router, "Accepted", "NotOwned").await;
        assert!(message.contains("A Route of namespace takeover-thief uses it"), "{message}");
        thief.run(&["delete", "--timeout=60s", &route]).await;
    }
    shop.ready(&[&router]).await;
}

#[tokio::test]
async fn a_permission_that_a_status_does_not_show_ends_all_the_same() {
    let bed = ClusterBed::shared().await;
    let shop = shop(&bed, "takeover-lender").await;
    let web = shop.guest("takeover-forger").await;
    let all = json!({ "spec": { "allowedRoutes": { "namespaces": { "from": "All" } } } });
    let objects = [
        with(shop.object("VirtualRouter", "shop", router()), all),
        grant(&shop, "attach", ("Route", "takeover-forger"), json!({ "kind": "VirtualRouter" })),
        web.object("VirtualNode", "own", node("own.local")),
        attached(&web, "web", 0, "own"),
    ];
    web.apply(&objects).await;
    web.ready(&["route/web"]).await;
    let before = described(&web, "web").await.expect("it is in the mesh");
    let tags = web.tags(&before).await;
    // As if an operator had written it that did not ask for grants.
    forge(&web, "route/web", json!({ "permittedBy": null })).await;
    shop.run(&["delete", "referencegrant/attach"]).await;
    gone(&web, "web").await;
    let route = web.get("route/web").await;
    assert_eq!(route["status"]["uid"], Value::Null, "{route}");
    // What outlives the process, and no editor can take away.
    assert_eq!(tags["fleetmesh.dev/owner-grants"], "asked");
}

#[tokio::test]
async fn an_object_of_another_cluster_is_not_had_by_a_status_that_names_it() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("takeover-uid").await;
    space.apply(&[space.mesh()]).await;
    space.ready(&["mesh/takeover-uid"]).await;
    let tag =
        |name: &str, value: &str| json!({ "key": format!("fleetmesh.dev/owner-{name}"), "value": value });
    let tags =
        [tag("cluster", "other"), tag("uid", "theirs"), tag("kind", "VirtualNode"), tag("name", "pay")];
    let input = json!({
        "meshName": space.mesh, "virtualNodeName": "pay", "spec": node("pay.local"), "tags": tags,
    });
    space.aws.call("create-virtual-node", &input).await.unwrap();
    let theirs = space.describe("virtual-node", "pay").await;
    space.apply(&[space.object("VirtualNode", "pay", node("evil.local"))]).await;
    let message = space.message("virtualnode/pay", "Accepted", "NotOwned").await;
    let named = json!({
        "uid": theirs["metadata"]["uid"], "arn": theirs["metadata"]["arn"], "version": version(&theirs),
    });
    forge(&space, "virtualnode/pay", named.clone()).await;
    space.apply(&[space.object("VirtualNode", "pay", node("more-evil.local"))]).await;
    // About the newest generation: the operator looked, and at what the status names.
    space.until("virtualnode/pay", "Accepted", "False", "NotOwned").await;
    assert_eq!(space.describe("virtual-node", "pay").await, theirs);
    forge(&space, "virtualnode/pay", named).await;
    space.run(&["delete", "virtualnode/pay", "--timeout=60s"]).await;
    assert_eq!(space.describe("virtual-node", "pay").await, theirs);
    assert!(message.contains("another cluster") && !message.contains("theirs"), "{message}");
}

#[tokio::test]
async fn a_mesh_puts_a_namespace_out() {
    let bed = ClusterBed::shared().await;
    let shop = shop(&bed, "takeover-host").await;
    let web = shop.guest("takeover-guest").await;
    // A service that the CLI made: nobody has to grant that it is called.
    let free = json!({ "meshName": shop.mesh, "virtualServiceName": "free.local", "spec": {} });
    shop.aws.call("create-virtual-service", &free).await.unwrap();
    let calls = json!({ "backends": [{ "virtualService": { "virtualServiceName": "free.local" } }] });
    let objects = [
        web.object("VirtualNode", "web", node("web.local")),
        web.object("VirtualNode", "calls", with(node("calls.local"), calls)),
        web.object("VirtualRouter", "web", router()),
        web.object("VirtualService", "web.local", service("web")),
        with(attached(&web, "web", 0, "web"), json!({ "spec": { "virtualRouterName": "web" } })),
    ];
    web.apply(&objects).await;
    let routed = ["virtualservice/web.local", "route/web"];
    web.ready(&routed).await;
    web.ready(&["virtualnode/calls", "virtualnode/web"]).await;
    let backends = async || {
        let calls = web.describe("virtual-node", "calls").await;
        calls["spec"]["backends"].as_array().map(Vec::len).unwrap_or_default()
    };
    assert_eq!(backends().await, 1);
    let before = web.describe("virtual-service", "web.local").await;
    let kept = web.describe("virtual-node", "web").await;
    let allowed = |from: Value| shop.object("Mesh", &shop.mesh, json!({ "allowedNamespaces": from }));
    let labels = json!({ "kubernetes.io/metadata.name": "takeover-host" });
    shop.apply(&[allowed(json!({ "from": "Selector", "selector": { "matchLabels": labels } }))]).await;
    let mut messages = Vec::new();
    for object in routed {
        messages.push(web.message(object, "Accepted", "NamespaceNotAllowed").await);
    }
    wait::until("nothing of it directs requests", LIMIT, async || {
        let service = web.try_describe("virtual-service", "web.local").await.is_err();
        let route = web.try_describe("route", "web").await.is_err();
        Ok((service && route && backends().await == 0).then_some(()))
    })
    .await
    .unwrap();
    let waits = |message: &String| message.contains("It is not in the mesh until then");
    assert!(messages.iter().all(waits), "{messages:?}");
    assert_eq!(web.describe("virtual-node", "web").await, kept, "others may send requests to it");
    assert!(described(&shop, "shop").await.is_some());
    assert_eq!(web.events("web.local", "NamespaceNotAllowed").await.len(), 1);

    // It comes back, as new objects.
    shop.apply(&[allowed(json!({ "from": "All", "selector": null }))]).await;
    web.ready(&routed).await;
    web.ready(&["virtualnode/calls"]).await;
    assert_eq!(backends().await, 1);
    let again = web.describe("virtual-service", "web.local").await;
    assert_ne!(again["metadata"]["uid"], before["metadata"]["uid"]);
}

#[tokio::test]
async fn what_another_team_retained_or_uses_is_not_adopted() {
    let bed = ClusterBed::shared().await;
    let shop = shop(&bed, "takeover-keeper").await;
    let thief = shop.guest("takeover-adopter").await;
    let input = json!({ "meshName": shop.mesh, "virtualNodeName": "cli", "spec": node("cli.local") });
    shop.aws.call("create-virtual-node", &input).await.unwrap();
    let retains = json!({ "deletionPolicy": "Retain" });
    let objects = [
        shop.object("VirtualNode", "ret", with(node("ret.local"), retains)),
        attached(&shop, "ret", 1, "ret"),
        attached(&shop, "cli", 2, "cli"),
    ];
    shop.apply(&objects).await;
    shop.ready(&["route/ret", "route/cli"]).await;
    shop.run(&["delete", "--timeout=60s", "virtualnode/ret"]).await;
    let (ret, cli) = (shop.describe("virtual-node", "ret").await, shop.describe("virtual-node", "cli").await);
    let adopting = |space: &KubernetesSpace, name: &str| {
        space.object("VirtualNode", name, with(node("adopted.local"), json!({ "adoptionPolicy": "Adopt" })))
    };
    thief.apply(&[adopting(&thief, "ret"), adopting(&thief, "cli")]).await;
    let message = thief.message("virtualnode/ret", "Accepted", "NotOwned").await;
    assert!(
        message.contains("another namespace retained it") && !message.contains("namespace takeover-keeper"),
        "{message}"
    );
    let message = thief.message("virtualnode/cli", "Accepted", "NotOwned").await;
    assert!(message.contains("A Route of namespace takeover-keeper uses it"), "{message}");
    assert_eq!(shop.describe("virtual-node", "ret").await, ret);
    assert_eq!(shop.describe("virtual-node", "cli").await, cli);
    shop.ready(&["route/ret", "route/cli"]).await;
    for name in ["ret", "cli"] {
        assert!(described(&shop, name).await.is_some(), "{name} takes its requests");
    }
    // Whose it was has it back.
    thief.run(&["delete", "--timeout=60s", "virtualnode/ret"]).await;
    shop.apply(&[adopting(&shop, "ret")]).await;
    shop.ready(&["virtualnode/ret"]).await;
    assert_eq!(shop.describe("virtual-node", "ret").await["metadata"]["uid"], ret["metadata"]["uid"]);
}
