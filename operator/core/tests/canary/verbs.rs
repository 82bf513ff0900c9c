//! The actions that people take on rollouts.

use fleetmesh_core::canary::Action;
use fleetmesh_crds::{ActionPhase, Phase, Reason, Verb};
use fleetmesh_simulation::canary::fixtures::{canary, quick, quick_with};
use fleetmesh_simulation::canary::world::{CanaryWorld, Crash};
use serde_json::json;

fn rolling() -> CanaryWorld {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(10, 1).run(2);
    world
}

#[test]
fn promote_ends_the_pause_and_not_the_analysis() {
    let forever = json!({ "steps": [{ "setWeight": 25, "pause": {} }, { "setWeight": 100, "pause": {} }] });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&forever)));
    world.apply("v2=100").until_phase(10, Phase::Paused);
    world.rate = 0;
    world.run(10);
    world.applied(Verb::Promote).run(2);
    assert_eq!((world.phase(), world.hold()), (Phase::Held, Some("NoTraffic")));
    world.rate = 100;
    world.until_step(20, 2).until_phase(20, Phase::Paused);
    world.applied(Verb::Promote).until_phase(60, Phase::Promoted);

    let mut world = rolling();
    world.applied(Verb::Promote).run(9);
    assert_eq!(world.step(), Some(2), "18 of 20 s were left");
}

#[test]
fn skip_step_goes_on_whatever_the_analysis_says_but_not_without_the_proxies() {
    let mut world = rolling();
    world.rate = 0;
    world.until_phase(20, Phase::Held);
    world.applied(Verb::SkipStep).run(1);
    assert_eq!(world.weights(), "v2=50 v1=50");
    for proxy in &mut world.proxies {
        proxy.acknowledged = 0;
    }
    world.proxies[2].delay = 10;
    world.applied(Verb::SkipStep).run(3);
    assert_eq!(world.weights(), "v2=50 v1=50");
    world.until_step(20, 3);
    // The last step's successor is the promotion.
    world.until(30, |world| world.stored.rollout.as_ref().is_some_and(|one| one.step_entered_at.is_some()));
    world.applied(Verb::SkipStep).until_phase(10, Phase::Draining);
}

#[test]
fn promote_full_goes_straight_to_the_end() {
    let mut world = rolling();
    world.reports = false;
    world.applied(Verb::PromoteFull).until_phase(10, Phase::Draining);
    assert_eq!(world.pushed()[2..], ["v2=25 v1=75", "v2=100 v1=0"]);
    // But not to a target that is down.
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.nodes.get_mut("v2").unwrap().health = fleetmesh_core::canary::Health::None;
    world.apply("v2=100").run(3);
    world.applied(Verb::PromoteFull).run(20);
    assert_eq!(world.step(), Some(0));
}

#[test]
fn pause_stays_until_resume_and_watches_meanwhile() {
    let mut world = rolling();
    world.applied(Verb::Pause).run(300);
    assert_eq!((world.phase(), world.hold(), world.step()), (Phase::Paused, Some("PausedByUser"), Some(1)));
    world.applied(Verb::Resume).until_step(20, 2);

    let mut world = rolling();
    world.applied(Verb::Pause);
    world.failing.insert("v2".to_owned(), 20);
    world.until_phase(20, Phase::Aborted);
}

#[test]
fn abort_is_one_push_and_retry_begins_anew() {
    let mut world = rolling();
    let before = world.pushes.len();
    let id = world.stored.rollout.as_ref().unwrap().id.clone();
    world.applied(Verb::Abort).run(30);
    assert_eq!(world.pushed()[before..], ["v1=100 v2=0"]);
    assert_eq!(world.ended(), Some((Phase::Aborted, "AbortedByUser")));
    // Nothing makes an aborted rollout look as if it went on, not even other steps.
    assert_eq!(world.stored.rollout.as_ref().unwrap().step, "1/3", "where it was");
    world.spec.canary = Some(quick_with(&json!({ "steps": [{ "setWeight": 10 }] })));
    world.run(1);
    assert_eq!((world.step(), world.events_with("PlanChanged")), (Some(1), 0));
    world.spec.canary = Some(canary(quick()));
    world.applied(Verb::Retry).until_phase(200, Phase::Promoted);
    assert_ne!(world.stored.history[0].id, id);
    assert_eq!(world.stored.rollouts, 2);
}

#[test]
fn what_was_meant_for_something_else_is_refused() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    let refused = |world: &mut CanaryWorld, verb, id: &str, step| {
        let verdict = world.send_exactly(verb, id, step);
        assert_eq!(verdict.phase, ActionPhase::Refused);
        assert!(!verdict.message.is_empty());
        verdict.reason
    };
    assert_eq!(refused(&mut world, Verb::Abort, "any", None), Reason::NoRollout);
    world.apply("v2=100").until_step(10, 1);
    let id = world.stored.rollout.as_ref().unwrap().id.clone();
    assert_eq!(refused(&mut world, Verb::Abort, "other", None), Reason::StaleRollout);
    assert_eq!(refused(&mut world, Verb::Promote, &id, Some(0)), Reason::StaleStep);
    assert_eq!(refused(&mut world, Verb::SkipStep, &id, None), Reason::StaleStep);
    assert_eq!(refused(&mut world, Verb::Retry, &id, None), Reason::NotApplicable);
    assert_eq!(refused(&mut world, Verb::Resume, &id, None), Reason::NotApplicable);
    world.applied(Verb::Abort);
    assert_eq!(refused(&mut world, Verb::Pause, &id, None), Reason::NotApplicable);
    world.applied(Verb::Retry);
    assert_eq!(refused(&mut world, Verb::Abort, &id, None), Reason::StaleRollout, "of the first attempt");
    assert_eq!(world.phase(), Phase::Progressing);

    world.spec.canary = None;
    world.run(1);
    assert_eq!(refused(&mut world, Verb::Abort, &id, None), Reason::NoRollout);
}

#[test]
fn an_action_is_carried_out_once_though_its_status_was_lost() {
    let mut world = rolling();
    let rollout = world.stored.rollout.clone().unwrap();
    world.actions.push(Action {
        name: "promote".to_owned(),
        uid: "uid".to_owned(),
        verb: Verb::SkipStep,
        rollout_id: rollout.id,
        step_index: Some(1),
    });
    world.reconcile(Crash::BeforeMesh);
    assert_eq!(world.step(), Some(2), "carried out, and nobody was notified");
    world.run(3);
    assert_eq!((world.step(), world.verdicts.len()), (Some(2), 1), "not again");
    assert_eq!(world.verdicts[0].phase, ActionPhase::Applied);
    assert_eq!(world.stored.actions.len(), 1);
    assert!(world.spec.in_force(&world.stored).is_some());
}
