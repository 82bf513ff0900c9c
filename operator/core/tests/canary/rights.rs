//! Proxies that mean ill: neither a refusal, nor silence, nor a forged report of one of them, or of one namespace, decides about
//! another team's release.

use fleetmesh_api::loads::Ended;
use fleetmesh_core::Witnesses;
use fleetmesh_core::canary::Owners;
use fleetmesh_crds::{ConditionType, Phase};
use fleetmesh_simulation::canary::fixtures::{canary, quick, quick_with};
use fleetmesh_simulation::canary::world::{CanaryWorld, SimulatedProxy};
use serde_json::json;

/// A world in which a proxy of each of these virtual nodes calls, each node in a namespace of its own name; the Route is in
/// `own`.
fn called_by(nodes: &[&str], patch: &serde_json::Value) -> CanaryWorld {
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(patch)));
    let namespace = |node: &str| node.split('-').next().unwrap().to_owned();
    world.callers = nodes.iter().map(|node| (*node).to_owned()).collect();
    let namespaces = nodes.iter().map(|node| ((*node).to_owned(), namespace(node)));
    world.owners = Owners { own: "own".to_owned(), namespaces: namespaces.collect() };
    let version = world.route.as_ref().map_or(0, |(_, version, _)| *version);
    world.proxies = vec![SimulatedProxy { acknowledged: version, delay: 0, refuses: false }; nodes.len()];
    world
}

/// `drain.timeoutSeconds` of [`quick_with`].
const DRAIN_TIMEOUT: usize = 30;

fn waits() -> serde_json::Value {
    json!({ "propagationDelaySeconds": 10 })
}

#[test]
fn one_proxy_that_refuses_does_not_stop_a_release_and_is_reported() {
    let mut world = called_by(&["own-a", "other-b", "evil-c"], &waits());
    world.proxies[2].refuses = true;
    world.apply("v2=100").run(5);
    assert_eq!((world.step(), world.hold()), (Some(0), Some("ProxyRejected")), "it is waited for");
    world.until_phase(200, Phase::Draining);
    let messages = world.events.iter().filter(|(_, reason, _)| reason == "ProxyRejected");
    let messages: Vec<&str> = messages.map(|(_, _, message)| message.as_str()).collect();
    assert!(
        messages.len() >= 4 && messages[0].contains("goes on without some: 1 of 3 connected proxies refused"),
        "{messages:#?}"
    );
    assert!(messages[0].contains("proxy-2 says: \"no\""), "{messages:#?}");
    // What it may still send requests to is not taken away at once, nor kept for ever.
    world.run(DRAIN_TIMEOUT - 10);
    assert_eq!(world.phase(), Phase::Draining);
    assert!(world.effects.iter().all(|effect| !effect.starts_with("deprecate")), "{:?}", world.effects);
    world.until_phase(60, Phase::Promoted);
    let held = world.events.iter().any(|(_, reason, message)| {
        reason == "ProxyRejected"
            && message.contains("v1 drains without some: 1 of 3 connected proxies refused")
    });
    assert!(held, "{:#?}", world.events);
}

#[test]
fn a_namespace_that_may_hold_up_a_release_keeps_its_old_target_as_well() {
    let mut world = called_by(&["own-a", "own-b", "other-c"], &waits());
    world.apply("v2=100").until_phase(200, Phase::Baking);
    world.in_flight.insert("v1".to_owned(), 1);
    world.until_phase(60, Phase::Draining);
    for proxy in &mut world.proxies[..2] {
        proxy.refuses = true;
    }
    world.stored.draining[0].settled_at = None;
    world.run(3 * DRAIN_TIMEOUT);
    assert_eq!(world.phase(), Phase::Draining);
}

#[test]
fn silence_is_no_veto_either() {
    let mut world = called_by(&["own-a", "other-b", "evil-c", "evil-d"], &waits());
    for proxy in &mut world.proxies[2..] {
        proxy.delay = 100_000;
    }
    world.apply("v2=100").run(5);
    assert_eq!((world.step(), world.hold()), (Some(0), Some("ProxiesPending")), "they are waited for");
    world.until_phase(200, Phase::Draining);
}

/// Whoever has a certificate twice is one proxy: by the stream that lags he holds nobody up, and still nothing is taken away at
/// once that it may send requests to.
#[test]
fn a_further_stream_that_lags_has_no_say_and_nothing_drains_before_it_follows() {
    let mut world = called_by(&["own-a"], &waits());
    world.lagging = 1;
    world.apply("v2=100").run(5);
    assert_eq!((world.step(), world.hold()), (Some(0), Some("ProxiesPending")), "it is waited for");
    world.until_phase(200, Phase::Draining);
    let messages: Vec<&String> = world.events.iter().map(|(_, _, message)| message).collect();
    let words = "goes on without some: 1 further stream of proxies that run the weights";
    assert!(messages.iter().any(|message| message.contains(words)), "{messages:#?}");
    world.run(DRAIN_TIMEOUT - 10);
    assert_eq!(world.phase(), Phase::Draining);
    assert!(world.effects.iter().all(|effect| !effect.starts_with("deprecate")), "{:?}", world.effects);
    world.lagging = 0;
    world.until_phase(10, Phase::Promoted);
}

#[test]
fn many_who_refuse_do() {
    for refusing in [&["own-a", "own-b"][..], &["other-a", "third-b"]] {
        let nodes = [refusing, &["else-c", "else-d"]].concat();
        let mut world = called_by(&nodes, &waits());
        world.apply("v2=100").until_step(10, 1);
        for proxy in &mut world.proxies[..2] {
            proxy.refuses = true;
        }
        world.run(110);
        assert_eq!((world.phase(), world.hold()), (Phase::Progressing, Some("ProxyRejected")), "{nodes:?}");
        world.until_phase(60, Phase::Aborted);
        assert_eq!(world.condition(ConditionType::Stalled), (Some(true), "ProgressDeadlineExceeded"));
    }
}

#[test]
fn the_only_caller_decides() {
    let mut world = called_by(&["other-a"], &waits());
    world.proxies[0].refuses = true;
    world.apply("v2=100").until_phase(150, Phase::Aborted);
}

fn says(callers: &[(&str, u64, u64)], own: Option<(u64, u64)>) -> Witnesses {
    let ended = |succeeded, failed| Ended { succeeded, failed };
    let callers =
        callers.iter().map(|(name, succeeded, failed)| ((*name).to_owned(), ended(*succeeded, *failed)));
    Witnesses { callers: callers.collect(), own: own.map(|(succeeded, failed)| ended(succeeded, failed)) }
}

#[test]
fn forged_failures_hold_a_release_and_do_not_roll_it_back() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    // Two callers, of which one claims that everything fails.
    world.failing.insert("v2".to_owned(), 60);
    world.witnesses.insert("v2".to_owned(), says(&[("a", 1000, 0), ("evil", 0, 1000)], None));
    world.apply("v2=100").until_step(10, 1).run(30);
    assert_eq!((world.phase(), world.hold()), (Phase::Held, Some("ReportsDisagree")));
    world.until_phase(100, Phase::Paused);
    assert_eq!(world.hold(), Some("HoldTimedOut"));
    // The new targets' own proxies decide whom to believe.
    world.witnesses.insert("v2".to_owned(), says(&[("a", 1000, 0), ("evil", 0, 1000)], Some((1000, 1))));
    world.applied(fleetmesh_crds::Verb::Resume).until_phase(200, Phase::Draining);
}

#[test]
fn forged_successes_do_not_promote_what_fails() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world
        .witnesses
        .insert("v2".to_owned(), says(&[("a", 600, 400), ("evil", 1_000_000_000, 0)], Some((620, 400))));
    world.apply("v2=100").until_phase(200, Phase::Aborted);
    // Of the only caller it is not even believed.
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.witnesses.insert("v2".to_owned(), says(&[("evil", 1_000_000_000, 0)], Some((620, 400))));
    world.apply("v2=100").until_step(10, 1).run(30);
    assert_eq!((world.phase(), world.hold()), (Phase::Held, Some("ReportsDisagree")));
}
