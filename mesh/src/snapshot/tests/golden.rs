//! The scenario's snapshot as text, word for word, in each form.
//!
//! To accept a change: `FLEETMESH_BLESS=1 cargo test -p fleetmesh-mesh golden`, and read the difference.

use std::fmt::Write;
use std::path::Path;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener, filter};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use jiff::Timestamp;
use prost::{Message, Name};
use serde_json::json;

use super::bootstrap::decoded;
use super::client;
use crate::form::Forms;
use crate::snapshot::{ResourceType, Snapshot};
use crate::testing::view;
use crate::view::MeshView;

fn text(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for kind in ResourceType::ALL {
        let _ = writeln!(text, "# {kind:?} {}", snapshot.content(kind).version);
    }
    decoded::<Cluster>(snapshot, ResourceType::Cluster).for_each(|cluster| {
        let _ = writeln!(text, "{cluster:#?}");
    });
    for listener in decoded::<Listener>(snapshot, ResourceType::Listener) {
        let chains: Vec<FilterChain> =
            listener.filter_chains.iter().chain(listener.default_filter_chain.as_ref()).cloned().collect();
        let _ = writeln!(text, "{listener:#?}");
        for filter in chains.iter().flat_map(|chain| &chain.filters) {
            if let Some(filter::ConfigType::TypedConfig(any)) = &filter.config_type
                && any.type_url == HttpConnectionManager::type_url()
            {
                let manager = HttpConnectionManager::decode(any.value.as_slice()).expect("a manager");
                let _ = writeln!(text, "{manager:#?}");
            }
        }
    }
    decoded::<RouteConfiguration>(snapshot, ResourceType::Route).for_each(|routes| {
        let _ = writeln!(text, "{routes:#?}");
    });
    // What is not set says nothing.
    let said = |line: &&str| {
        !line.ends_with(": None,")
            && !line.ends_with(": [],")
            && !line.ends_with(": \"\",")
            && !line.ends_with(": false,")
            && !line.ends_with(": {},")
    };
    text.lines().filter(said).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_scenarios_snapshots_are_the_golden_ones() {
    let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
    let instance =
        |host: &str| json!({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": host}}});
    let mut caller = instance("servicea.apps.local");
    caller["backends"] = json!([{"virtualService": {"virtualServiceName": "serviceb.apps.local"}}]);
    let targets =
        json!([{"virtualNode": "serviceB", "weight": 75}, {"virtualNode": "serviceBv2", "weight": 25}]);
    let view = view(&[
        ("virtualNode/serviceB", instance("serviceB.apps.local")),
        ("virtualNode/serviceBv2", instance("serviceBv2.apps.local")),
        ("virtualRouter/serviceB", json!({"listeners": listeners})),
        (
            "virtualRouter/serviceB/route/serviceB",
            json!({"http2Route": {"action": {"weightedTargets": targets}, "match": {"prefix": "/"}}}),
        ),
        (
            "virtualService/serviceb.apps.local",
            json!({"provider": {"virtualRouter": {"virtualRouterName": "serviceB"}}}),
        ),
        ("virtualNode/client", caller),
    ]);
    // What was there before a form gets byte for byte what it got then: an upgrade pushes nothing.
    for (second, file) in
        [(Timestamp::MAX, "scenario.golden"), (Timestamp::MIN, "scenario-second-form.golden")]
    {
        let file = Path::new("src/snapshot/tests").join(file);
        let text = text(&client(&MeshView { forms: Forms { second }, ..view.clone() }));
        if std::env::var_os("FLEETMESH_BLESS").is_some() {
            std::fs::write(&file, &text).expect("the golden file is written");
        }
        let golden = std::fs::read_to_string(&file).expect("the golden file");
        assert!(text == golden, "the snapshot differs from {}; see this file's head", file.display());
    }
}
