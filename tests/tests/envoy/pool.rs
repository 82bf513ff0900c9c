//! Two instances behind one DNS name: the virtual node `pool`, which the client calls by the service `shop.apps.local`.

use std::net::IpAddr;

use fleetmesh_testbed::app::Protocol;
use serde_json::{Value, json};

use crate::bed::{Bed, MeshMember, NOWHERE, host};
use crate::spec::{caller, empty_mesh, node, route, routed, router_on};

/// Where the client asks.
pub const URL: &str = "http://shop.apps.local/";

/// The instances, and who calls them.
pub struct Pool {
    pub bed: Bed,
    pub client: MeshMember,
    pub red: MeshMember,
    pub blue: MeshMember,
}

impl Pool {
    /// Starts both instances, whose listener has these `members` beside its port, with `shop` as the route to them.
    pub async fn start(name: &str, members: &Value, shop: Value) -> Self {
        let (mut bed, [client, red, blue]) = Bed::start(name, ["client", "red", "blue"]).await;
        let pool = |address: IpAddr| ("pool.apps.local".to_owned(), address);
        bed.zone(&[
            (host(&client), client.ipv4().into()),
            pool(red.ipv4().into()),
            pool(blue.ipv4().into()),
            ("shop.apps.local".to_owned(), NOWHERE.into()),
        ])
        .await;
        let mut listener = members.clone();
        listener["portMapping"] = json!({ "port": 8001, "protocol": "http2" });
        let spec = json!({
            "listeners": [listener],
            "serviceDiscovery": { "dns": { "hostname": "pool.apps.local", "responseType": "ENDPOINTS" } } });
        // Both instances are the same virtual node; the bed's proxies are named as their instances.
        bed.create(&[
            empty_mesh(),
            (node("pool"), spec.clone()),
            (node("red"), spec.clone()),
            (node("blue"), spec),
            router_on("shop", &[("http2", 80)]),
            (route("shop", "all"), shop),
            routed("shop.apps.local", "shop"),
            caller("client", &["shop.apps.local"]),
        ])
        .await;
        let apps = [(Protocol::Http2, 8001)];
        let red = bed.join(red, &apps).await;
        let blue = bed.join(blue, &apps).await;
        let client = bed.join(client, &[]).await;
        Self { bed, client, red, blue }
    }
}
