#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use fleetmesh_api::tags::TEMPLATE_VERSION_TAG;
use fleetmesh_model::tag::Tags;
use proptest::prelude::*;

use super::*;

fn instance(id: usize, version: i64) -> Instance {
    let launched = Timestamp::from_second(i64::try_from(id).unwrap()).unwrap();
    let marks = Tags::from([(TEMPLATE_VERSION_TAG.to_owned(), version.to_string())]);
    Instance { marks, ..Instance::running(&format!("i-{id:03}"), launched) }
}

fn demand(replicas: i32, max_surge: i32, max_unavailable: i32) -> Demand {
    Demand { replicas, max_surge, max_unavailable }
}

/// `stages` of old and new instances.
fn scaled(old: &[Stage], new: &[Stage], demand: Demand) -> (i32, Vec<String>) {
    let stages: Vec<(Stage, bool)> =
        old.iter().map(|stage| (*stage, false)).chain(new.iter().map(|stage| (*stage, true))).collect();
    let instances: Vec<Instance> =
        stages.iter().enumerate().map(|(id, (_, updated))| instance(id, i64::from(*updated) + 1)).collect();
    let members: Vec<FleetMember<'_>> = instances
        .iter()
        .zip(&stages)
        .map(|(instance, (stage, updated))| FleetMember {
            instance,
            serves: *stage,
            stage: *stage,
            updated: *updated,
        })
        .collect();
    let Move { launch, end } = scale(&members, demand);
    (launch, end)
}

use Stage::{Coming, Failed, Ready};

#[test]
fn a_fleet_grows_and_shrinks_to_its_replicas() {
    assert_eq!(scaled(&[], &[], demand(3, 1, 0)), (3, vec![]));
    assert_eq!(scaled(&[], &[Ready; 3], demand(5, 1, 0)), (2, vec![]));
    assert_eq!(
        scaled(&[], &[Ready, Coming, Ready], demand(1, 1, 0)),
        (0, vec!["i-001".into(), "i-000".into()])
    );
    assert_eq!(scaled(&[], &[Ready; 2], demand(0, 1, 0)).1.len(), 2);
    assert_eq!(scaled(&[Ready; 3], &[], demand(0, 1, 0)).1.len(), 3);
}

#[test]
fn an_update_stays_within_surge_and_unavailability() {
    assert_eq!(scaled(&[Ready; 3], &[], demand(3, 1, 0)), (1, vec![]));
    assert_eq!(scaled(&[Ready; 3], &[Coming], demand(3, 1, 0)), (0, vec![]));
    assert_eq!(scaled(&[Ready; 3], &[Ready], demand(3, 1, 0)), (0, vec!["i-000".into()]));
    assert_eq!(scaled(&[Ready; 3], &[], demand(3, 0, 1)), (0, vec!["i-000".into()]));
    assert_eq!(scaled(&[Ready; 2], &[], demand(3, 0, 1)), (1, vec![]));
}

#[test]
fn a_failed_instance_is_replaced_before_it_is_ended() {
    assert_eq!(scaled(&[], &[Ready, Ready, Failed], demand(3, 1, 0)), (1, vec![]));
    assert_eq!(scaled(&[], &[Ready, Ready, Failed, Coming], demand(3, 1, 0)), (0, vec![]));
    assert_eq!(scaled(&[], &[Ready, Ready, Failed, Ready], demand(3, 1, 0)), (0, vec!["i-002".into()]));
}

#[test]
fn an_outage_that_makes_all_look_failed_ends_one_at_a_time() {
    assert_eq!(scaled(&[], &[Failed; 3], demand(3, 1, 0)), (1, vec![]));
    assert_eq!(scaled(&[], &[Failed; 4], demand(3, 1, 0)), (0, vec!["i-000".into()]));
}

fn stages() -> impl Strategy<Value = Vec<Stage>> {
    prop::collection::vec(prop_oneof![Just(Failed), Just(Coming), Just(Ready)], 0..8)
}

/// Lets launched instances come up, time after time, until nothing is to be done.
fn run(mut old: Vec<Stage>, mut new: Vec<Stage>, demand: Demand) {
    for _ in 0..200 {
        let (launch, end) = scaled(&old, &new, demand);
        let all = old.len();
        let ready =
            |old: &[Stage], new: &[Stage]| old.iter().chain(new).filter(|stage| **stage == Ready).count();
        let before = ready(&old, &new);
        let gone: Vec<usize> = end.iter().map(|id| id[2..].parse().unwrap()).collect();
        let keep = |index: usize| !gone.contains(&index);
        old = old.iter().enumerate().filter(|(index, _)| keep(*index)).map(|(_, stage)| *stage).collect();
        new =
            new.iter().enumerate().filter(|(index, _)| keep(index + all)).map(|(_, stage)| *stage).collect();
        let least = usize::try_from(demand.replicas - demand.max_unavailable).unwrap_or(0);
        assert!(ready(&old, &new) >= before.min(least), "too few are ready");
        let total = old.len() + new.len() + usize::try_from(launch).unwrap();
        let most = usize::try_from(demand.replicas + demand.max_surge).unwrap();
        assert!(launch == 0 || total <= most, "{total} are too many");
        if launch == 0 && end.is_empty() && !new.contains(&Coming) {
            assert!(old.is_empty() && new.iter().all(|stage| *stage == Ready), "{old:?} {new:?} is no rest");
            assert_eq!(i32::try_from(new.len()).unwrap(), demand.replicas);
            return;
        }
        for stage in &mut new {
            if *stage == Coming {
                *stage = Ready;
            }
        }
        new.extend(std::iter::repeat_n(Coming, usize::try_from(launch).unwrap()));
    }
    panic!("it never ends: {old:?} {new:?} {demand:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn every_fleet_comes_to_rest_within_its_bounds(
        old in stages(), new in stages(), replicas in 0..6,
        (surge, unavailable) in prop::sample::select(&[(0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 2)][..]),
    ) {
        let demand = demand(replicas, surge, unavailable);
        run(old, new, demand);
    }
}
