#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use fleetmesh_api::tags::LAUNCH_TAG;
use fleetmesh_model::tag::Tags;
use proptest::prelude::*;

use super::*;

fn limits(instances: i32, per_namespace: Option<i32>) -> ClassLimits {
    ClassLimits { instances, instances_per_namespace: per_namespace }
}

fn held(namespace: &str, instances: i32) -> HeldLimits {
    HeldLimits { namespace: namespace.to_owned(), instances }
}

#[test]
fn room_is_what_the_limits_leave() {
    let all = [held("a", 3), held("b", 4), held("a", 1)];
    let granted = |limits: ClassLimits, namespace, wanted| {
        let Grant { count, reached } = grant(&limits, &all, namespace, wanted);
        (count, reached.map(|reached| (reached.field, reached.limit, reached.held)))
    };
    assert_eq!(granted(limits(10, None), "a", 2), (2, None));
    assert_eq!(granted(limits(10, None), "a", 3), (2, Some(("limits.instances", 10, 8))));
    assert_eq!(granted(limits(10, Some(5)), "a", 2), (1, Some(("limits.instancesPerNamespace", 5, 4))));
    assert_eq!(granted(limits(10, Some(5)), "c", 9), (2, Some(("limits.instances", 10, 8))));
    assert_eq!(granted(limits(7, Some(2)), "b", 1), (0, Some(("limits.instancesPerNamespace", 2, 4))));
    assert_eq!(granted(limits(0, None), "c", 1), (0, Some(("limits.instances", 0, 8))));
}

fn member(uid: &str, reported: i32, most: i32) -> LimitedMember {
    LimitedMember { uid: uid.to_owned(), namespace: "a".to_owned(), reported, most }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

#[test]
fn a_fleet_that_nobody_looked_at_yet_counts_with_the_most_that_it_can_have() {
    let mut ledger = Ledger::new(second(0));
    let members = [member("one", 0, 0), member("other", 2, 5)];
    let ask = |launch| Ask { uid: "one", namespace: "a", class: "small", launch, wanted: 4 };
    let limits = limits(8, None);
    assert_eq!(ledger.reserve(ask(1), &limits, (&members, &[]), second(1)).count, 3);
    ledger.released("one", 1);
    ledger.shown("other", &[], second(2));
    assert_eq!(ledger.reserve(ask(1), &limits, (&members, &[]), second(2)).count, 4);
    let mut ledger = Ledger::new(second(0));
    assert_eq!(
        ledger.reserve(ask(1), &limits, (&members, &[]), second(61)).count,
        4,
        "what it is reported to have"
    );
}

#[test]
fn what_a_node_launched_right_before_it_went_counts_until_it_must_be_shown_and_is_forgotten_then() {
    let mut ledger = Ledger::new(second(-100));
    let ask = |uid, wanted| Ask { uid, namespace: "a", class: "small", launch: 1, wanted };
    let limits = limits(4, None);
    for uid in ["gone", "idle"] {
        ledger.shown(uid, &[], second(0));
    }
    assert_eq!(ledger.reserve(ask("gone", 3), &limits, (&[], &[]), second(0)).count, 3);
    ledger.launched("gone", 1, 3);
    for uid in ["idle", "gone", "gone", "never there"] {
        ledger.end(uid, second(1));
    }
    assert_eq!(ledger.fleets.keys().collect::<Vec<_>>(), ["gone"]);
    assert_eq!(ledger.reserve(ask("other", 4), &limits, (&[], &[]), second(59)).count, 1);
    ledger.end("other", second(60));
    assert_eq!(ledger.fleets.keys().collect::<Vec<_>>(), ["other"], "with the next that goes");
    ledger.end("any", second(119));
    assert!(ledger.fleets.is_empty());
}

#[test]
fn a_fleet_that_leaves_its_class_right_after_a_launch_counts_in_it_until_that_is_shown() {
    let ask = |uid, class, wanted| Ask { uid, namespace: "a", class, launch: 1, wanted };
    let limits = limits(4, None);
    for lost in [false, true] {
        let mut ledger = Ledger::new(second(-100));
        let [one, other] = [member("one", 0, 0), member("other", 0, 0)];
        let both = [one.clone(), other.clone()];
        assert_eq!(ledger.reserve(ask("one", "small", 3), &limits, (&both, &[]), second(0)).count, 3);
        match lost {
            true => ledger.doubted("one", 1),
            false => ledger.launched("one", 1, 3),
        }
        // The node `one` is of the class `large` now, and asks for more there; EC2 shows nothing yet.
        ledger.shown("one", &[], second(1));
        if lost {
            let granted = ledger.reserve(ask("one", "large", 1), &limits, (&[one], &[]), second(1));
            assert_eq!(granted.count, 1, "the same launch asks for no more");
        }
        let left = [other];
        let granted = ledger.reserve(ask("other", "small", 4), &limits, (&left, &[]), second(2));
        assert_eq!(granted.count, 1, "three of `small` are on their way");
        ledger.released("other", 1);
        let new = [member("one", 0, 0), member("third", 0, 0)];
        let granted = ledger.reserve(ask("third", "large", 4), &limits, (&new, &[]), second(2));
        assert_eq!(granted.count, 1, "and they are in `large` until that is known");
        let granted = ledger.reserve(ask("other", "small", 4), &limits, (&left, &[]), second(62));
        assert_eq!(granted.count, 4, "what EC2 does not show by now was not launched");
    }
}

#[test]
fn the_classes_of_what_runs_and_of_what_is_on_its_way_are_known_once_ec2_was_asked() {
    let mut ledger = Ledger::new(second(-100));
    assert_eq!(ledger.classes("one", second(0)), None);
    ledger.shown("one", &[], second(0));
    assert_eq!(ledger.classes("one", second(0)), Some(BTreeSet::new()));
    let ask = Ask { uid: "one", namespace: "a", class: "small", launch: 1, wanted: 1 };
    ledger.reserve(ask, &limits(9, None), (&[], &[]), second(1));
    ledger.launched("one", 1, 1);
    assert_eq!(ledger.classes("one", second(2)), Some(BTreeSet::from(["small".to_owned()])));
    assert_eq!(ledger.classes("one", second(62)), Some(BTreeSet::new()), "it was not launched");
}

/// An EC2 that shows instances late and loses replies, and operators that launch in it at once.
struct Race {
    ledger: Ledger,
    now: i64,
    instances: Vec<MadeFleet>,
    /// How often each node was deleted and made again.
    lives: Vec<usize>,
    /// The next launch of each node, and what EC2 did for the current one.
    launches: Vec<(i64, Option<i32>)>,
}

/// An instance in it.
struct MadeFleet {
    node: usize,
    uid: String,
    launch: i64,
    shows: i64,
    terminated: bool,
}

const LATE: i64 = 20;

#[derive(Clone, Debug)]
enum LimitAct {
    /// A node looks, wants so many, and learns what came of it or not.
    Launch {
        node: usize,
        wanted: i32,
        lost: bool,
    },
    Terminate(usize),
    /// A node is deleted with `deletionPolicy: Retain`, and another takes its place.
    Retain(usize),
    Wait(i64),
}

fn act(nodes: usize) -> impl Strategy<Value = LimitAct> {
    prop_oneof![
        4 => (0..nodes, 1..6_i32, any::<bool>()).prop_map(|(node, wanted, lost)| LimitAct::Launch { node, wanted, lost }),
        1 => (0..20_usize).prop_map(LimitAct::Terminate),
        1 => (0..nodes).prop_map(LimitAct::Retain),
        1 => (0..30_i64).prop_map(LimitAct::Wait),
    ]
}

impl Race {
    fn namespace(node: usize) -> String {
        format!("ns-{}", node % 2)
    }

    fn uid(&self, node: usize) -> String {
        format!("{node}-{}", self.lives[node])
    }

    /// The instances that EC2 shows now of those that are `wanted`.
    fn shown(&self, wanted: impl Fn(&MadeFleet) -> bool) -> Vec<Instance> {
        let shown = self.instances.iter().filter(|made| wanted(made) && made.shows <= self.now);
        let instance = |made: &MadeFleet| Instance {
            state: if made.terminated { InstanceState::Terminated } else { InstanceState::Running },
            tags: Tags::from([
                (OWNER_UID_TAG.to_owned(), made.uid.clone()),
                (OWNER_NAMESPACE_TAG.to_owned(), Self::namespace(made.node)),
            ]),
            marks: Tags::from([(LAUNCH_TAG.to_owned(), made.launch.to_string())]),
            ..Instance::running("i", second(0))
        };
        shown.map(instance).collect()
    }

    fn retain(&mut self, node: usize) {
        self.ledger.forget(&self.uid(node));
        self.lives[node] += 1;
        self.launches[node] = (1, None);
    }

    fn launch(&mut self, node: usize, wanted: i32, lost: bool, limits: &ClassLimits, nodes: usize) {
        let uid = self.uid(node);
        let shown = self.shown(|made| made.uid == uid);
        self.ledger.shown(&uid, &shown, second(self.now));
        let tagged = TaggedInstance::of(&self.shown(|_| true));
        let members: Vec<LimitedMember> = (0..nodes)
            .map(|node| LimitedMember { namespace: Self::namespace(node), ..member(&self.uid(node), 0, 0) })
            .collect();
        let (namespace, launch) = (Self::namespace(node), self.launches[node].0);
        let ask = Ask { uid: &uid, namespace: &namespace, class: "small", launch, wanted };
        let granted = self.ledger.reserve(ask, limits, (&members, &tagged), second(self.now)).count;
        if granted == 0 {
            return self.ledger.released(&uid, launch);
        }
        // A client token gives once, whatever is asked for with it later.
        let (made, first) = match self.launches[node].1 {
            Some(made) => (made, false),
            None => (granted, true),
        };
        if first {
            for _ in 0..made {
                let (uid, shows) = (uid.clone(), self.now + LATE);
                self.instances.push(MadeFleet { node, uid, launch, shows, terminated: false });
            }
            self.launches[node].1 = Some(made);
        }
        if lost {
            self.ledger.doubted(&uid, launch);
        } else {
            self.ledger.launched(&uid, launch, made);
            self.launches[node] = (launch + 1, None);
        }
    }

    fn count(&self, wanted: impl Fn(usize) -> bool) -> usize {
        self.instances.iter().filter(|made| !made.terminated && wanted(made.node)).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nodes_that_launch_at_once_never_exceed_a_limit(
        acts in prop::collection::vec(act(4), 0..40), all in 0..9_i32, namespace in prop::option::of(0..6_i32),
    ) {
        let limits = limits(all, namespace);
        let mut race = Race {
            ledger: Ledger::new(second(0)), now: 0, instances: Vec::new(), launches: vec![(1, None); 4], lives: vec![0; 4],
        };
        for act in acts {
            match act {
                LimitAct::Launch { node, wanted, lost } => race.launch(node, wanted, lost, &limits, 4),
                LimitAct::Terminate(index) => if let Some(made) = race.instances.get_mut(index) { made.terminated = true },
                LimitAct::Retain(node) => race.retain(node),
                LimitAct::Wait(seconds) => race.now += seconds,
            }
            prop_assert!(race.count(|_| true) <= usize::try_from(all).unwrap(), "in all");
            for index in 0..2 {
                let most = namespace.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
                prop_assert!(race.count(|node| node % 2 == index) <= most, "in a namespace");
            }
        }
    }
}
