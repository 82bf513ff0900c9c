//! A fleet that Cloud Map discovers: callers' proxies get an instance's address when it serves and lose it before it is
//! ended. The control plane distinguishes its proxies by the addresses that they connect from.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_testbed::moto::Moto;
use fleetmesh_testbed::netns::NetnsInstance;
use fleetmesh_testbed::{envoy, fleet_class, userns, wait};
use serde_json::{Value, json};

use crate::bed::{AwsBed, LIMIT, TIMEOUT};
use crate::ec2::{self, ids_of};
use crate::fleet::{fleet, is_ready};
use crate::front::AwsFront;
use crate::joiner::Joiner;
use crate::space::Space;

const SERVICE: &str = "web.found.local";
const CLUSTER: &str = "cds_egress_found_web_http2_80";
/// How long an instance serves on after it was taken out of Cloud Map; the timestamp of the tag has no fractions of
/// seconds in common with the clock.
const DRAIN: Duration = Duration::from_secs(29);

/// Makes the service `web` in the namespace `found.local` of Cloud Map; gives its id.
async fn make_service(moto: &Moto) -> String {
    let map =
        async |arguments: &[&str]| moto.aws(&[&["servicediscovery"], arguments].concat()).await.unwrap();
    map(&["create-http-namespace", "--name", "found.local"]).await;
    let namespaces = map(&["list-namespaces"]).await;
    let namespace = namespaces["Namespaces"][0]["Id"].as_str().unwrap();
    let service = map(&["create-service", "--name", "web", "--namespace-id", namespace]).await;
    service["Service"]["Id"].as_str().unwrap().to_owned()
}

/// A subnet of loopback addresses. EC2 would not make it; moto does.
async fn loopback_subnet(moto: &Moto) -> String {
    let vpc = moto.aws(&["ec2", "create-vpc", "--cidr-block", "127.77.0.0/16"]).await.unwrap();
    let vpc = vpc["Vpc"]["VpcId"].as_str().unwrap();
    let make = ["ec2", "create-subnet", "--cidr-block", "127.77.0.0/24", "--vpc-id", vpc];
    moto.aws(&make).await.unwrap()["Subnet"]["SubnetId"].as_str().unwrap().to_owned()
}

/// A node that calls the service, and the service, which the node `web` provides.
async fn make_caller(space: &Space) {
    let backends = json!([{ "virtualService": { "virtualServiceName": SERVICE } }]);
    space.apply(&space.node("client", json!({ "backends": backends }))).await;
    let provider = json!({ "virtualNode": { "virtualNodeName": "web" } });
    let service = json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualService",
        "metadata": { "name": SERVICE, "namespace": space.name },
        "spec": { "meshName": space.name, "provider": provider },
    });
    space.apply(&service).await;
}

/// Awaits that the caller's proxy has exactly the addresses of these instances.
async fn until_found(bed: &AwsBed, caller: &NetnsInstance, ids: &[String]) {
    let mut wanted = BTreeSet::new();
    for id in ids {
        wanted.insert(SocketAddr::new(ec2::address(&bed.moto, id).await, 80));
    }
    wait::until(&format!("the caller's proxy has {wanted:?}"), LIMIT, async || {
        let hosts = envoy::hosts(caller, CLUSTER).await?;
        anyhow::ensure!(hosts == wanted, "it has {hosts:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// Lets instances join until the node is Ready: none counts before callers find it.
async fn until_ready(joiner: &mut Joiner, bed: &AwsBed, space: &Space, front: &AwsFront) -> Value {
    wait::until("web is Ready", LIMIT, async || {
        let object = joiner.follow(bed, space, &["web"]).await.remove(0);
        let ready = object["status"]["fleet"]["ready"].as_u64().unwrap_or_default();
        let registered = front.calls().iter().filter(|call| call.action == "RegisterInstance").count();
        assert!(ready <= registered as u64, "{ready} instances are ready and {registered} registered");
        anyhow::ensure!(is_ready(&object), "{}", object["status"]);
        Ok(Some(object))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_find_an_instance_when_it_serves_and_until_before_it_ends() {
    if !userns::wanted() {
        return;
    }
    let bed = AwsBed::start("found").await;
    let front = Arc::clone(&bed.front);
    let space = bed.space("found").await;
    let mut joiner = Joiner::by_address(&bed).await;
    let (service, subnet) = (make_service(&bed.moto).await, loopback_subnet(&bed.moto).await);
    make_caller(&space).await;
    let services = json!([{ "namespaceName": "found.local", "serviceName": "web" }]);
    let members = json!({ "cloudMapServices": services, "network": { "subnetIds": [&subnet] } });
    space.apply(&fleet_class::manifest("found", &members)).await;
    let mut web = fleet(2, "app:v1");
    web["fleet"]["className"] = json!("found");
    web["fleet"]["network"] = json!({ "subnetIds": [subnet] });
    let discovery = json!({ "namespaceName": "found.local", "serviceName": "web" });
    web["serviceDiscovery"] = json!({ "awsCloudMap": discovery });
    space.apply(&space.node("web", web)).await;
    let control_plane = bed.control_plane.ads_socket();
    let (_envoy, caller) = joiner.proxy(&bed, "mesh/found/virtualNode/client", &control_plane, None).await;

    let object = until_ready(&mut joiner, &bed, &space, &front).await;
    let ids = ids_of(&bed.moto, &space, "web").await;
    until_found(&bed, &caller, &ids).await;
    let listed = object["status"]["fleet"]["instances"].as_array().unwrap();
    assert!(listed.len() == 2 && listed.iter().all(|one| one["proxy"] == "Acknowledged"), "{object}");
    let calls = front.calls();
    let registered: Vec<_> = calls.iter().filter(|call| call.action == "RegisterInstance").collect();
    assert!(registered.len() == 2 && registered.iter().all(|call| call.done), "each once: {registered:?}");

    space.run(&["scale", "virtualnode/web", "--replicas", "1"]).await;
    let leaving = wait::until("one is drained", LIMIT, async || {
        let object = space.get("web").await;
        let listed = object["status"]["fleet"]["instances"].as_array().cloned().unwrap_or_default();
        let draining = listed.iter().find(|one| one["state"] == "draining");
        Ok(draining.map(|one| one["id"].as_str().unwrap().to_owned()))
    })
    .await
    .unwrap();
    let staying: Vec<String> = ids.iter().filter(|id| **id != leaving).cloned().collect();
    until_found(&bed, &caller, &staying).await;
    assert_eq!(ids_of(&bed.moto, &space, "web").await, ids, "it serves on who has it still");
    wait::until("it is ended", LIMIT, async || {
        Ok((ids_of(&bed.moto, &space, "web").await == staying).then_some(()))
    })
    .await
    .unwrap();
    // moto ends it before the answer has passed the front.
    wait::until("the answer is there", LIMIT, async || {
        let mut calls = front.calls().into_iter();
        Ok(calls.any(|call| call.done && call.is("TerminateInstances", &leaving)).then_some(()))
    })
    .await
    .unwrap();
    let order = ["CreateTags", "DeregisterInstance", "TerminateInstances"];
    let [marked, out, ended] = order.map(|action| front.done(action, &leaving));
    assert!(marked.0 < out.0 && out.0 < ended.0, "{marked:?} {out:?} {ended:?}");
    assert!(ended.1.at - marked.1.at >= DRAIN, "{:?}", ended.1.at - marked.1.at);
    until_ready(&mut joiner, &bed, &space, &front).await;

    space.run(&["delete", &format!("virtualservice/{SERVICE}"), "virtualnode/client", TIMEOUT]).await;
    space.run(&["delete", "virtualnode/web", TIMEOUT]).await;
    let [out, ended] =
        ["DeregisterInstance", "TerminateInstances"].map(|action| front.done(action, &staying[0]));
    assert!(out.0 < ended.0, "{out:?} {ended:?}");
    let list = ["servicediscovery", "list-instances", "--service-id", &service];
    assert_eq!(bed.moto.aws(&list).await.unwrap()["Instances"], json!([]));
}
