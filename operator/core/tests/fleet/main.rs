//! Fleets on an EC2 in memory that shows new instances late, loses replies and kills the operator: whatever happens, no
//! launch is carried out twice, nobody else's instance is touched, and in the end there is what the spec says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod ec2;

use ec2::{Ec2Fault, SimulatedEc2};
use fleetmesh_api::tags::{OWNER_CLUSTER_TAG, OWNER_UID_TAG, TEMPLATE_HASH_TAG, TEMPLATE_VERSION_TAG};
use fleetmesh_core::fleet::architecture::unknown;
use fleetmesh_core::fleet::limits::Reached;
use fleetmesh_core::fleet::{Grant, InstanceState, JoinOptions};
use fleetmesh_core::{Failure, FailureClass};
use fleetmesh_crds::Reason;
use proptest::prelude::*;
use serde_json::json;

#[derive(Clone, Debug)]
enum FleetAct {
    Replicas(i32),
    Image(u8),
    TerminateOne,
    Break,
    Retag(&'static str, Option<&'static str>),
    DeleteTemplate,
    ForeignVersion,
    Class(bool),
    Reconcile(Ec2Fault),
    Wait(i64),
}

/// The tags that somebody takes or changes.
const TAGS: [&str; 4] = [OWNER_UID_TAG, OWNER_CLUSTER_TAG, TEMPLATE_HASH_TAG, TEMPLATE_VERSION_TAG];

fn act() -> impl Strategy<Value = FleetAct> {
    let fault = prop_oneof![
        4 => Just(Ec2Fault::None),
        2 => (0..4_usize).prop_map(Ec2Fault::CrashBefore),
        2 => (0..4_usize).prop_map(Ec2Fault::CrashAfter),
        2 => (0..4_usize).prop_map(Ec2Fault::ReplyLost),
        1 => Just(Ec2Fault::ReportLost),
        1 => Just(Ec2Fault::NoCapacity),
    ];
    prop_oneof![
        1 => (0..6).prop_map(FleetAct::Replicas),
        1 => (0..3_u8).prop_map(FleetAct::Image),
        1 => Just(FleetAct::TerminateOne),
        1 => Just(FleetAct::Break),
        1 => (prop::sample::select(&TAGS[..]), prop::sample::select(&[None, Some("other")][..]))
            .prop_filter("another's is not ours to put back", |(key, value)| {
                *key != OWNER_UID_TAG || value.is_none()
            })
            .prop_map(|(key, value)| FleetAct::Retag(key, value)),
        1 => Just(FleetAct::DeleteTemplate),
        1 => Just(FleetAct::ForeignVersion),
        1 => any::<bool>().prop_map(FleetAct::Class),
        6 => fault.prop_map(FleetAct::Reconcile),
        1 => (0..120_i64).prop_map(FleetAct::Wait),
    ]
}

fn perform(ec2: &mut SimulatedEc2, act: &FleetAct) {
    match act {
        FleetAct::Replicas(replicas) => ec2.spec().replicas = Some(*replicas),
        FleetAct::Image(image) => ec2.image = format!("ami-{image}"),
        FleetAct::TerminateOne => ec2.terminate_one(),
        FleetAct::Break => ec2.break_one(),
        FleetAct::Retag(key, value) => ec2.retag_one(key, *value),
        FleetAct::DeleteTemplate => ec2.delete_template(),
        FleetAct::ForeignVersion => ec2.foreign_version(),
        FleetAct::Class(there) => ec2.class = there.then(ec2::class),
        FleetAct::Reconcile(fault) => ec2.reconcile(*fault),
        FleetAct::Wait(seconds) => ec2.wait(*seconds),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn whatever_happens_a_fleet_comes_to_what_the_spec_says(acts in prop::collection::vec(act(), 0..40)) {
        let mut ec2 = SimulatedEc2::new();
        for act in &acts {
            perform(&mut ec2, act);
        }
        ec2.class = Some(ec2::class());
        ec2.settle();
        let replicas = ec2.spec().replicas.unwrap();
        let live: Vec<_> = ec2.instances().filter(|instance| instance.state.is_live()).collect();
        prop_assert_eq!(i32::try_from(live.len()).unwrap(), replicas);
        prop_assert!(live.iter().all(|instance| instance.state == InstanceState::Running));
        prop_assert!(live.iter().all(|instance| ec2.is_newest(instance)));
        // A number that somebody changed and that no operator saw before is taken for what it is.
        prop_assert!(ec2.is_tagged_as_launched(Some(TEMPLATE_VERSION_TAG)), "what was taken is put back");
        let calls = ec2.writes;
        for _ in 0..100 {
            ec2.reconcile(Ec2Fault::None);
        }
        prop_assert_eq!(ec2.writes, calls, "reconciles at rest write nothing");
        // Nobody's class has to let a fleet go.
        ec2.class = None;
        ec2.end();
        prop_assert!(ec2.is_empty(), "nothing is left");
        prop_assert!(ec2.others_are_untouched());
    }
}

#[test]
fn what_somebody_changes_from_outside_is_put_back_and_nothing_is_replaced() {
    let mut ec2 = SimulatedEc2::new();
    ec2.settle();
    for key in TAGS {
        for value in [None, Some("other")].into_iter().filter(|value| key != OWNER_UID_TAG || value.is_none())
        {
            ec2.retag_one(key, value);
            ec2.reconcile(Ec2Fault::None);
            assert!(ec2.is_tagged_as_launched(None), "{key} {value:?}");
        }
    }
    ec2.foreign_version();
    ec2.reconcile(Ec2Fault::None);
    ec2.untag_template();
    ec2.plans.clear();
    ec2.reconcile(Ec2Fault::None);
    assert_eq!(ec2.plans, [format!("tag lt-1 ({OWNER_UID_TAG})")]);
    ec2.delete_template();
    ec2.plans.clear();
    ec2.settle();
    assert_eq!(ec2.plans.len(), 1, "{:?}", ec2.plans);
    assert!(
        ec2.instances().all(|instance| instance.state == InstanceState::Running && ec2.is_newest(instance))
    );
    assert_eq!(ec2.instances().count(), 3);
}

/// The ids of the instances that live.
fn live(ec2: &SimulatedEc2) -> Vec<String> {
    ec2.instances().filter(|instance| instance.state.is_live()).map(|instance| instance.id.clone()).collect()
}

#[test]
fn without_its_class_a_fleet_stays_as_it_is_and_is_scaled_down_when_somebody_says_so() {
    let mut ec2 = SimulatedEc2::new();
    ec2.settle();
    let before = live(&ec2);
    ec2.plans.clear();
    let others = ec2::class();
    let too_big = fleetmesh_crds::FleetClassSpec { instance_types: vec!["t3.nano".into()], ..others };
    for class in [None, Some(too_big)] {
        ec2.class = class;
        ec2.image = "ami-2".into();
        ec2.break_one();
        ec2.spec().replicas = Some(5);
        for _ in 0..50 {
            ec2.reconcile(Ec2Fault::None);
            ec2.wait(30);
        }
        assert_eq!(live(&ec2), before, "nothing is launched, replaced or ended");
        assert_eq!(ec2.plans, Vec::<String>::new());
    }
    ec2.class = None;
    ec2.spec().replicas = Some(1);
    for _ in 0..10 {
        ec2.reconcile(Ec2Fault::None);
        ec2.wait(30);
    }
    let after = live(&ec2);
    assert!(after.len() == 1 && before.contains(&after[0]), "{after:?} of {before:?}");
    // With the class it is what the spec says.
    ec2.class = Some(ec2::class());
    ec2.spec().replicas = Some(3);
    ec2.settle();
    assert!(
        live(&ec2).len() == 3
            && ec2.instances().filter(|one| one.state.is_live()).all(|one| ec2.is_newest(one))
    );
}

#[test]
fn a_fleet_that_ends_gives_nothing_the_tags_of_its_spec_which_no_class_judges_then() {
    let mut ec2 = SimulatedEc2::new();
    ec2.settle();
    ec2.plans.clear();
    ec2.tag_spec("cost-centre");
    ec2.end();
    assert!(ec2.is_empty() && !ec2.plans.is_empty());
    assert!(!ec2.plans.iter().any(|plan| plan.contains("cost-centre")), "{:?}", ec2.plans);
}

#[test]
fn an_ami_of_somebody_else_is_launched_for_nobody() {
    let mut ec2 = SimulatedEc2::new();
    let class = ec2.class.as_mut().unwrap();
    class.images = serde_json::from_value(serde_json::json!({
        "owners": ["111122223333", "amazon"], "ssmParameters": ["/images/web"],
    }))
    .unwrap();
    for owners in [vec![], vec!["444455556666".to_owned()]] {
        ec2.image_owners = owners;
        for _ in 0..5 {
            ec2.reconcile(Ec2Fault::None);
        }
        assert_eq!((live(&ec2).len(), ec2.writes), (0, 0), "not even a launch template is made");
        let finding = ec2.finding.as_ref().unwrap();
        assert_eq!(finding.reason, Reason::ValueNotInClass);
        assert!(finding.message.contains("images.owners: 111122223333, amazon"), "{}", finding.message);
    }
    // The account of Amazon's own AMIs has an alias.
    ec2.image_owners = vec!["137112412989".to_owned(), "amazon".to_owned()];
    ec2.settle();
    assert_eq!(live(&ec2).len(), 3);
    ec2.image_owners = vec!["444455556666".to_owned()];
    ec2.image = "ami-2".into();
    let before = live(&ec2);
    for _ in 0..20 {
        ec2.reconcile(Ec2Fault::None);
        ec2.wait(30);
    }
    assert_eq!(live(&ec2), before, "what a parameter holds since replaces nothing");
}

#[test]
fn a_limit_lets_fewer_instances_be_launched_and_ends_none() {
    let mut ec2 = SimulatedEc2::new();
    let reached = |count, limit| {
        let reached = Reached { field: "limits.instances", limit, held: limit - count };
        Some(Grant { count, reached: Some(reached) })
    };
    ec2.grant = reached(2, 2);
    ec2.reconcile(Ec2Fault::None);
    ec2.reconcile(Ec2Fault::None);
    assert_eq!(live(&ec2).len(), 2);
    ec2.grant = reached(0, 2);
    for _ in 0..10 {
        ec2.reconcile(Ec2Fault::None);
        ec2.wait(30);
    }
    assert_eq!(live(&ec2).len(), 2);
    let finding = ec2.finding.as_ref().unwrap();
    assert_eq!(finding.reason, Reason::ClassLimitReached);
    assert!(
        finding.message.contains("FleetClass c allows 2 instances (limits.instances)"),
        "{}",
        finding.message
    );
    ec2.grant = None;
    ec2.settle();
    assert_eq!(live(&ec2).len(), 3);
}

/// The fleet of version 0.1.0, which knew nothing of joining, was launched from this.
const HASH_BEFORE: &str = "b6cc3fdab011ec76";

#[test]
fn a_fleet_behind_a_name_with_one_address_at_a_time_says_so() {
    let says_so = |discovery: serde_json::Value, replicas: i32| {
        let mut ec2 = SimulatedEc2::new();
        ec2.discover_by(&discovery);
        ec2.spec().replicas = Some(replicas);
        ec2.settle();
        let finding = ec2.finding.unwrap();
        assert_eq!(finding.reason, Reason::FleetReady, "{}", finding.message);
        finding.message.contains("each caller takes one address of \"n.local\"")
    };
    let dns = |response: &str| json!({ "dns": { "hostname": "n.local", "responseType": response } });
    assert!(says_so(json!({ "dns": { "hostname": "n.local" } }), 3));
    assert!(says_so(dns("LOADBALANCER"), 2));
    assert!(!says_so(dns("LOADBALANCER"), 1));
    assert!(!says_so(dns("ENDPOINTS"), 3));
}

#[test]
fn a_fleet_is_rolled_when_joining_changes_and_by_nothing_before() {
    let mut ec2 = SimulatedEc2::new();
    let hashes = |ec2: &SimulatedEc2| -> Vec<String> {
        let live = ec2.instances().filter(|instance| instance.state.is_live());
        live.map(|instance| instance.tags[TEMPLATE_HASH_TAG].clone()).collect()
    };
    ec2.settle();
    assert_eq!(hashes(&ec2), [HASH_BEFORE; 3], "an upgrade replaces no instance");
    let join = |image: &str, authority: Option<&str>| JoinOptions {
        image: image.to_owned(),
        control_plane: "https://mesh.example:9080".to_owned(),
        authority: authority.map(str::to_owned),
    };
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let mut seen = vec![HASH_BEFORE.to_owned()];
    for joining in [
        join("fleetmesh-proxy:v1", None),
        join("fleetmesh-proxy:v2", None),
        join("fleetmesh-proxy:v2", Some(pem)),
    ] {
        ec2.join = Some(joining);
        ec2.settle();
        let now = hashes(&ec2);
        assert!(now.len() == 3 && now.iter().all(|hash| *hash == now[0] && !seen.contains(hash)), "{now:?}");
        seen.push(now[0].clone());
        let calls = ec2.writes;
        ec2.reconcile(Ec2Fault::None);
        assert_eq!(ec2.writes, calls, "the same is no change");
    }
    ec2.join = None;
    ec2.settle();
    assert_eq!(hashes(&ec2), [HASH_BEFORE; 3]);
}

#[test]
fn without_the_types_architecture_nothing_is_launched_and_the_rest_goes_on() {
    let mut ec2 = SimulatedEc2::new();
    ec2.settle();
    ec2.unread = Some(unknown(Failure {
        class: FailureClass::Denied,
        operation: "DescribeInstanceTypes".into(),
        message: "no".into(),
    }));
    let live = |ec2: &SimulatedEc2| ec2.instances().filter(|instance| instance.state.is_live()).count();
    ec2.image = "ami-9".into();
    for (replicas, left) in [(5, 3), (1, 1), (2, 1)] {
        ec2.spec().replicas = Some(replicas);
        for _ in 0..3 {
            ec2.wait(60);
            ec2.reconcile(Ec2Fault::None);
        }
        assert_eq!(live(&ec2), left, "{replicas}: {:?}", ec2.plans);
        let finding = ec2.finding.clone().unwrap();
        assert!(finding.message.contains("DescribeInstanceTypes: the architecture"), "{finding:?}");
    }
    ec2.unread = None;
    ec2.settle();
    assert_eq!(live(&ec2), 2);
}

#[test]
fn the_plans_of_a_life_are_these() {
    let mut ec2 = SimulatedEc2::new();
    let mut text = String::new();
    let mut play = |title: &str, ec2: &mut SimulatedEc2| {
        ec2.plans.clear();
        ec2.settle();
        text.push_str(&format!("# {title}\n{}\n", ec2.plans.join("\n")));
    };
    play("three instances", &mut ec2);
    ec2.spec().replicas = Some(5);
    play("to five", &mut ec2);
    ec2.image = "ami-2".into();
    ec2.spec().replicas = Some(2);
    play("to two, with a new image", &mut ec2);
    ec2.terminate_one();
    play("one was terminated from outside", &mut ec2);
    ec2.spec().replicas = Some(0);
    play("to none", &mut ec2);
    ec2.plans.clear();
    ec2.end();
    text.push_str(&format!("# deleted\n{}\n", ec2.plans.join("\n")));
    let golden = "tests/golden/fleet.txt";
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::write(golden, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(golden).unwrap());
}
