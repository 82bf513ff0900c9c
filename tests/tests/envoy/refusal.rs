//! A bad change: the proxy refuses it and goes on as before, the distribution carries the proxy's words, and the next
//! good change heals it.

use fleetmesh_model::ResourceId;
use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::{userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT};
use crate::spec::{caller, empty_mesh, http2_route, node, route, routed, router_on, server, targets};

const URL: &str = "http://shop.apps.local/";
/// Requests after a change that show where traffic goes.
const REQUESTS: u64 = 300;

/// Awaits that the one proxy concerned refuses `id`, and returns its words.
async fn refusal(bed: &Bed, id: &ResourceId) -> String {
    wait::until(&format!("a proxy refuses {id}"), LIMIT, async || {
        let status = bed.status(id).await.unwrap_or_default();
        let message = status["rejected"][0]["message"].as_str().map(str::to_owned);
        if message.is_some() {
            assert_eq!(status["acknowledged"], 0, "{status}");
            let proxy = status["rejected"][0]["proxy"].as_str().unwrap();
            assert!(proxy.starts_with("mesh/apps/virtualNode/client"), "{status}");
        }
        Ok(message)
    })
    .await
    .unwrap()
}

async fn rejected(bed: &Bed, id: &ResourceId) -> Value {
    bed.status(id).await.unwrap()["rejected"].clone()
}

#[tokio::test]
async fn a_bad_change_is_refused_and_traffic_goes_on() {
    bad_changes(false).await;
}

#[tokio::test]
async fn a_bad_change_is_refused_and_traffic_goes_on_in_the_state_of_the_world() {
    bad_changes(true).await;
}

async fn bad_changes(state_of_the_world: bool) {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red, blue]) = Bed::start("refusal", ["client", "red", "blue"]).await;
    bed.state_of_the_world = state_of_the_world;
    bed.names(&[&client, &red, &blue], &["shop.apps.local"]).await;
    let ports = [("http2", 8001)];
    let (to_red, to_blue) = (targets(&[("red", 8001, 1)]), targets(&[("blue", 8001, 1)]));
    let (client_id, client_spec) = caller("client", &["shop.apps.local"]);
    let all = route("shop", "all");
    bed.create(&[
        empty_mesh(),
        server("red", &ports),
        server("blue", &ports),
        router_on("shop", &[("http2", 80)]),
        (all.clone(), http2_route(&to_red)),
        routed("shop.apps.local", "shop"),
        (client_id.clone(), client_spec.clone()),
    ])
    .await;
    let apps = [(Protocol::Http2, 8001)];
    let _red = bed.join(red, &apps).await;
    let _blue = bed.join(blue, &apps).await;
    let client = bed.join_with_small_regexes(client, &[]).await;
    let options = LoadOptions { rate: 250, ..LoadOptions::new(URL) };
    let mut load = client.load(&bed, &options, "good").await;
    let by = |phase: &'static str, who: &'static str| {
        move |tally: &fleetmesh_testbed::app::tally::Tally| tally.phase(phase).by(who) >= REQUESTS
    };
    load.until("red serves", LIMIT, by("good", "red")).await.unwrap();

    // Only this Envoy finds that its bootstrap does not allow for this one.
    let bad = json!({ "http2Route": { "match": { "path": { "regex": "/[a-z]{120}" } }, "action": to_blue } });
    bed.api.update(&all, &bad).await.unwrap();
    let words = refusal(&bed, &all).await;
    assert!(words.contains("program size") && words.contains("/[a-z]{120}"), "Envoy's own words: {words}");
    assert_eq!(rejected(&bed, &node("client")).await, json!([]), "only the object at fault carries them");
    load.phase("refused route").await.unwrap();
    load.until("red serves on", LIMIT, by("refused route", "red")).await.unwrap();

    // Who starts anew with the bad change in its store says the same, and sends nothing that makes it worse.
    bed.control_plane.kill();
    bed.control_plane.restart(&bed.run).await.unwrap();
    assert_eq!(refusal(&bed, &all).await, words);
    load.phase("refused again").await.unwrap();
    load.until("red serves on", LIMIT, by("refused again", "red")).await.unwrap();

    load.phase("change").await.unwrap();
    bed.update(&all, &http2_route(&to_blue), 1).await;
    assert_eq!(rejected(&bed, &all).await, json!([]));
    load.phase("healed route").await.unwrap();
    load.until("blue serves", LIMIT, by("healed route", "blue")).await.unwrap();

    // A listener that Envoy cannot make: there is no such directory for its access log.
    let mut bad = client_spec.clone();
    bad["logging"] = json!({ "accessLog": { "file": { "path": "/no-such-directory/access.log" } } });
    bed.api.update(&client_id, &bad).await.unwrap();
    let words = refusal(&bed, &client_id).await;
    assert!(words.contains("/no-such-directory/access.log"), "Envoy's own words: {words}");
    load.phase("refused listener").await.unwrap();
    load.until("blue serves on", LIMIT, by("refused listener", "blue")).await.unwrap();

    // While the listener is refused, other objects still change.
    load.phase("another change").await.unwrap();
    bed.api.update(&all, &http2_route(&to_red)).await.unwrap();
    load.phase("around it").await.unwrap();
    load.until("the route shifts", LIMIT, by("around it", "red")).await.unwrap();

    bed.update(&client_id, &client_spec, 1).await;
    assert_eq!(rejected(&bed, &client_id).await, json!([]));
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    let kept =
        [("good", "red"), ("refused route", "red"), ("refused again", "red"), ("refused listener", "blue")];
    for (phase, who) in kept {
        let phase = tally.phase(phase);
        assert_eq!(phase.by(who), phase.answered(), "the last good configuration stays: {phase:?}");
    }
}
