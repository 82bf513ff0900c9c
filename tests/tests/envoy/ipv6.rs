//! A mesh that prefers IPv6: names, interception and both proxies without any IPv4 address.

use std::net::{IpAddr, Ipv6Addr};

use fleetmesh_testbed::app::Protocol;
use fleetmesh_testbed::userns;
use serde_json::json;

use crate::bed::{Bed, host};
use crate::spec::{caller, http2_route, mesh, route, routed, router_on, server, targets};

/// Nobody is there.
const NOWHERE: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x250);

#[tokio::test]
async fn ipv6_traffic_goes_through_both_proxies() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red]) = Bed::start("ipv6", ["client", "red"]).await;
    bed.zone(&[
        (host(&client), client.ipv6().into()),
        (host(&red), red.ipv6().into()),
        ("shop.apps.local".to_owned(), IpAddr::from(NOWHERE)),
    ])
    .await;
    bed.create(&[
        (mesh(), json!({ "serviceDiscovery": { "ipPreference": "IPv6_ONLY" } })),
        server("red", &[("http2", 8001)]),
        router_on("shop", &[("http2", 80)]),
        (route("shop", "all"), http2_route(&targets(&[("red", 8001, 1)]))),
        routed("shop.apps.local", "shop"),
        caller("client", &["shop.apps.local"]),
    ])
    .await;
    let red = bed.join_with(red, &[(Protocol::Http2, 8001)], &["--ipv6"]).await;
    let client = bed.join_with(client, &[], &["--ipv6"]).await;
    let outcome = client.get(Protocol::Http2, "http://shop.apps.local/").await.outcome();
    assert_eq!(outcome, Ok("red".to_owned()));
    assert_eq!(client.stat("http.egress.downstream_rq_2xx").await, 1, "through the caller's proxy");
    assert_eq!(red.stat("http.ingress.downstream_rq_2xx").await, 1, "and through the server's");
}
