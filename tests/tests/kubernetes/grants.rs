//! Teams in one mesh: a namespace reaches what another owns by permission only, what it may not reach it does not hold up,
//! and a permission that is taken back takes with it what rests on it.

use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::bed::{ClusterBed, LIMIT};
use crate::space::{KubernetesSpace, node, route, router, with};

/// A ReferenceGrant in the namespace of `space`.
pub fn grant(space: &KubernetesSpace, name: &str, from: (&str, &str), to: Value) -> Value {
    let (kind, namespace) = from;
    let to = with(json!({ "group": "fleetmesh.dev" }), to);
    json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "ReferenceGrant",
        "metadata": { "name": name, "namespace": space.name },
        "spec": { "from": [{ "group": "fleetmesh.dev", "kind": kind, "namespace": namespace }], "to": [to] },
    })
}

/// A route `name` of the router `shop` with this priority and one target.
pub fn attached(space: &KubernetesSpace, name: &str, priority: u32, target: &str) -> Value {
    let mut members = with(route(&[(target, 1)]), json!({ "virtualRouterName": "shop" }));
    members["priority"] = json!(priority);
    space.object("Route", name, members)
}

/// What describe-route shows of the route `name` of the router `shop`.
pub async fn described(space: &KubernetesSpace, name: &str) -> Option<Value> {
    let arguments =
        ["describe-route", "--mesh-name", &space.mesh, "--virtual-router-name", "shop", "--route-name", name];
    space.aws.run(&arguments).await.ok().map(|answer| answer["route"].clone())
}

pub async fn gone(space: &KubernetesSpace, name: &str) {
    wait::until("the route is out of the mesh", LIMIT, async || {
        Ok(described(space, name).await.is_none().then_some(()))
    })
    .await
    .unwrap();
}

/// A mesh and a router `shop` that takes all requests to the node `pay`, all of one team.
pub async fn shop(bed: &ClusterBed, name: &str) -> KubernetesSpace {
    let space = bed.space(name).await;
    let objects = [
        space.mesh(),
        space.object("VirtualNode", "pay", node("pay.local")),
        space.object("VirtualRouter", "shop", router()),
        attached(&space, "shop", 10, "pay"),
    ];
    space.apply(&objects).await;
    space.ready(&["route/shop"]).await;
    space
}

#[tokio::test]
async fn a_route_of_another_team_takes_no_traffic_and_holds_nothing_up() {
    let bed = ClusterBed::shared().await;
    let shop = shop(&bed, "grants-attack").await;
    let thief = shop.guest("grants-thief").await;
    let objects = [
        thief.object("VirtualNode", "trap", node("trap.local")),
        // Before every other route of that router, and to a node that only it wants.
        attached(&thief, "attack", 0, "trap"),
        thief.object("VirtualRouter", "own", router()),
        thief.object("Route", "cling", with(route(&[("pay", 1)]), json!({ "virtualRouterName": "own" }))),
    ];
    thief.apply(&objects).await;
    let message = thief.message("route/attack", "ResolvedRefs", "RefNotPermitted").await;
    for words in [
        "VirtualRouter grants-attack/shop",
        "ReferenceGrant in namespace grants-attack",
        "{group: fleetmesh.dev, kind: Route, namespace: grants-thief}",
        "allow namespace grants-thief in spec.allowedRoutes",
    ] {
        assert!(message.contains(words), "{message}");
    }
    let message = thief.message("route/cling", "ResolvedRefs", "RefNotPermitted").await;
    assert!(
        message.contains("VirtualNode grants-attack/pay") && !message.contains("allowedRoutes"),
        "{message}"
    );
    assert_eq!(described(&thief, "attack").await, None, "nothing is written");
    assert_eq!(thief.get("route/attack").await["status"]["arn"], Value::Null);

    // One of the two is not enough to attach.
    let routers = json!({ "kind": "VirtualRouter", "name": "shop" });
    let attach = grant(&shop, "attach", ("Route", "grants-thief"), routers);
    shop.apply(std::slice::from_ref(&attach)).await;
    let message = wait::until("the message says what is still missing", LIMIT, async || {
        let message = thief.message("route/attack", "ResolvedRefs", "RefNotPermitted").await;
        Ok((!message.contains("ReferenceGrant")).then_some(message))
    })
    .await
    .unwrap();
    assert!(message.contains("spec.allowedRoutes"), "{message}");
    assert_eq!(described(&thief, "attack").await, None);

    // The owner deletes what the others name, and nobody is asked.
    shop.run(&["delete", "--timeout=60s", "route/shop", "virtualrouter/shop", "virtualnode/pay"]).await;
    let said = shop.kubectl.run(&["get", "events", "--all-namespaces"]).await.unwrap();
    let blocked =
        said.lines().filter(|line| line.contains("grants-attack") && line.contains("DeletionBlocked"));
    assert_eq!(blocked.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_grant_lets_a_route_in_and_its_end_takes_it_out() {
    let bed = ClusterBed::shared().await;
    let shop = shop(&bed, "grants-shop").await;
    let web = shop.guest("grants-web").await;
    let allows = json!({ "spec": { "allowedRoutes": { "namespaces": {
        "from": "Selector",
        "selector": { "matchLabels": { "team": "web" } },
    } } } });
    let objects = [
        web.object("VirtualNode", "own", node("own.local")),
        attached(&web, "web", 5, "pay"),
        with(shop.object("VirtualRouter", "shop", router()), allows),
        grant(&shop, "attach", ("Route", "grants-web"), json!({ "kind": "VirtualRouter", "name": "shop" })),
    ];
    web.apply(&objects).await;
    web.until("route/web", "ResolvedRefs", "False", "RefNotPermitted").await;
    web.run(&["label", "namespace", "grants-web", "team=web"]).await;
    let target = grant(&shop, "target", ("Route", "grants-web"), json!({ "kind": "VirtualNode" }));
    shop.apply(std::slice::from_ref(&target)).await;
    web.ready(&["route/web"]).await;
    let first = described(&web, "web").await.expect("it is in the mesh");
    let rests = web.get("route/web").await["status"]["permittedBy"].clone();
    let expected = [
        "ReferenceGrant grants-shop/attach",
        "ReferenceGrant grants-shop/target",
        "allowedRoutes of VirtualRouter grants-shop/shop",
    ];
    assert_eq!(rests, json!(expected));

    // A change of the spec that is not permitted leaves the whole of the last state in force.
    shop.apply(&[shop.object("VirtualNode", "more", node("more.local"))]).await;
    let narrow =
        grant(&shop, "target", ("Route", "grants-web"), json!({ "kind": "VirtualNode", "name": "pay" }));
    shop.apply(&[narrow]).await;
    web.ready(&["route/web"]).await;
    web.apply(&[attached(&web, "web", 5, "more")]).await;
    web.until("route/web", "ResolvedRefs", "False", "RefNotPermitted").await;
    assert_eq!(described(&web, "web").await.as_ref(), Some(&first));
    web.apply(&[attached(&web, "web", 5, "pay")]).await;
    web.ready(&["route/web"]).await;

    // While it is permitted it holds the node up, and says so; the end of the permission ends that, too.
    shop.run(&["delete", "--wait=false", "route/shop", "virtualnode/pay"]).await;
    let message = shop.message("virtualnode/pay", "Ready", "DeletionBlocked").await;
    assert!(message.contains("Route grants-web/web"), "{message}");
    shop.run(&["delete", "referencegrant/target"]).await;
    gone(&web, "web").await;
    shop.run(&["wait", "--for=delete", "--timeout=60s", "virtualnode/pay"]).await;
    // A name that nobody has is free, and there is nothing of it.
    web.until("route/web", "ResolvedRefs", "False", "RefNotFound").await;

    // It comes back as a new object when all is there again.
    shop.apply(&[shop.object("VirtualNode", "pay", node("pay.local")), target]).await;
    web.ready(&["route/web"]).await;
    let again = described(&web, "web").await.expect("it is in the mesh");
    assert_ne!(again["metadata"]["uid"], first["metadata"]["uid"]);
    // The router's word counts as the grant's does.
    web.run(&["label", "namespace", "grants-web", "team-"]).await;
    gone(&web, "web").await;
    let message = web.message("route/web", "ResolvedRefs", "RefNotPermitted").await;
    assert!(
        message.contains("spec.allowedRoutes") && !message.contains("create a ReferenceGrant"),
        "{message}"
    );
}

#[tokio::test]
async fn a_backend_that_is_not_permitted_any_more_leaves_the_node_and_nothing_else_does() {
    let bed = ClusterBed::shared().await;
    let shop = shop(&bed, "grants-backend").await;
    let web = shop.guest("grants-caller").await;
    let provider = json!({ "provider": { "virtualRouter": { "virtualRouterName": "shop" } } });
    let backend = |name: &str| json!({ "virtualService": { "virtualServiceName": name } });
    let calls = |hostname: &str| {
        let backends = json!({ "backends": [backend("pay.local"), backend("anybody.local")] });
        web.object("VirtualNode", "web", with(node(hostname), backends))
    };
    shop.apply(&[shop.object("VirtualService", "pay.local", provider.clone())]).await;
    shop.ready(&["virtualservice/pay.local"]).await;
    let service = web.object("VirtualService", "mine.local", provider);
    web.apply(&[calls("web.local"), service]).await;
    web.until("virtualnode/web", "ResolvedRefs", "False", "RefNotPermitted").await;
    web.until("virtualservice/mine.local", "ResolvedRefs", "False", "RefNotPermitted").await;
    let refusal = web.try_describe("virtual-node", "web").await.expect_err("not written");
    assert!(refusal.contains("NotFoundException"), "{refusal}");

    let calling =
        grant(&shop, "calls", ("VirtualNode", "grants-caller"), json!({ "kind": "VirtualService" }));
    let providing =
        grant(&shop, "provides", ("VirtualService", "grants-caller"), json!({ "kind": "VirtualRouter" }));
    shop.apply(&[calling, providing]).await;
    web.ready(&["virtualnode/web", "virtualservice/mine.local"]).await;

    // With the permission something else of the spec changes: that is not written, the rest goes.
    shop.run(&["delete", "referencegrant", "--all"]).await;
    web.apply(&[calls("other.local")]).await;
    let left = wait::until("the backend is gone", LIMIT, async || {
        let node = web.describe("virtual-node", "web").await;
        Ok((node["spec"]["backends"] == json!([backend("anybody.local")])).then_some(node))
    })
    .await
    .unwrap();
    assert_eq!(left["spec"]["serviceDiscovery"]["dns"]["hostname"], "web.local");
    web.until("virtualnode/web", "ResolvedRefs", "False", "RefNotPermitted").await;
    wait::until("the service is out of the mesh", LIMIT, async || {
        Ok(web.try_describe("virtual-service", "mine.local").await.is_err().then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_rollout_retires_no_node_of_another_namespace_that_does_not_allow_it() {
    let bed = ClusterBed::shared().await;
    let web = bed.space("grants-canary").await;
    let shop = web.guest("grants-nodes").await;
    let canary = json!({
        "steps": [{ "setWeight": 100, "pause": { "duration": "1s" } }],
        "analysis": { "metrics": [], "interval": "1s" },
        "drain": { "retire": "Delete", "scaleDownDelaySeconds": 0, "timeoutSeconds": 0 },
    });
    let routed = |target: &str| {
        let members = json!({ "virtualRouterName": "shop", "canary": canary });
        web.object("Route", "shop", with(route(&[(target, 1)]), members))
    };
    let objects = [
        web.mesh(),
        shop.object("VirtualNode", "one", node("one.local")),
        shop.object("VirtualNode", "two", node("two.local")),
        grant(&shop, "targets", ("Route", "grants-canary"), json!({ "kind": "VirtualNode" })),
        web.object("VirtualRouter", "shop", router()),
        routed("one"),
    ];
    web.apply(&objects).await;
    web.ready(&["route/shop"]).await;
    web.apply(&[routed("two")]).await;
    let events = wait::until("the rollout reports that it left the node alone", LIMIT, async || {
        let events = web.events("shop", "RetirementNotAllowed").await;
        Ok(events.into_iter().next())
    })
    .await
    .unwrap();
    assert!(events.contains("one") && events.contains("spec.allowedRetirement"), "{events}");
    let left = shop.get("virtualnode/one").await;
    assert_eq!(left["metadata"]["deletionTimestamp"], Value::Null, "{left}");
    shop.ready(&["virtualnode/one"]).await;
    let conditions = left["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().all(|condition| condition["type"] != "Deprecated"), "{left}");

    // The owner's word is all that was missing.
    let allows = json!({ "spec": { "allowedRetirement": { "namespaces": { "from": "All" } } } });
    shop.apply(&[with(shop.object("VirtualNode", "two", node("two.local")), allows)]).await;
    shop.ready(&["virtualnode/two"]).await;
    web.apply(&[routed("one")]).await;
    shop.run(&["wait", "--for=delete", "--timeout=60s", "virtualnode/two"]).await;
    assert!(shop.exists("virtualnode/one").await);
}

#[tokio::test]
async fn what_another_team_lent_is_given_back_and_not_retained() {
    let bed = ClusterBed::shared().await;
    let shop = shop(&bed, "grants-lender").await;
    let web = shop.guest("grants-keeper").await;
    let all = json!({ "spec": { "allowedRoutes": { "namespaces": { "from": "All" } } } });
    let mut orphaned = attached(&web, "orphaned", 1, "pay");
    orphaned["metadata"]["annotations"] = json!({ "fleetmesh.dev/orphan": "true" });
    let mut retained = attached(&web, "retained", 2, "pay");
    retained["spec"]["deletionPolicy"] = json!("Retain");
    let objects = [
        with(shop.object("VirtualRouter", "shop", router()), all),
        grant(&shop, "attach", ("Route", "grants-keeper"), json!({ "kind": "VirtualRouter" })),
        grant(&shop, "target", ("Route", "grants-keeper"), json!({ "kind": "VirtualNode" })),
        orphaned,
        retained,
    ];
    web.apply(&objects).await;
    web.ready(&["route/orphaned", "route/retained"]).await;
    // With them nobody would be left whom the end of the grant could concern.
    web.run(&["delete", "--timeout=60s", "route/orphaned", "route/retained"]).await;
    for name in ["orphaned", "retained"] {
        assert_eq!(described(&web, name).await, None, "{name} takes no more traffic");
    }
    let said = wait::until("an Event reports it", LIMIT, async || {
        let events = web.kubectl.run(&["get", "events", "--namespace", &web.name]).await?;
        Ok((events.matches("NotRetained").count() >= 2).then_some(events))
    })
    .await
    .unwrap();
    assert!(said.contains("virtual node pay of mesh grants-lender"), "{said}");
    // What is the team's own is retained as ever: `retained_and_orphaned_objects_stay`.
    shop.run(&["delete", "--timeout=60s", "route/shop", "virtualrouter/shop", "virtualnode/pay"]).await;
}
