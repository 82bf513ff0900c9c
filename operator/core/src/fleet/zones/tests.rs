#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::fleet::observed::Instance;
use crate::fleet::scale::{Demand, Move, Stage, scale, surplus};

const NAMES: [&str; 4] = ["us-west-2a", "us-west-2b", "us-west-2c", "us-west-2d"];

fn subnet(id: &str, zone: &str, free: i32) -> Subnet {
    Subnet { id: id.to_owned(), zone: zone.to_owned(), free }
}

fn instance(id: usize, zone: &str) -> Instance {
    let launched = Timestamp::from_second(i64::try_from(id).unwrap()).unwrap();
    Instance { az: Some(zone.to_owned()), ..Instance::running(&format!("i-{id:03}"), launched) }
}

fn member(instance: &Instance, updated: bool) -> FleetMember<'_> {
    FleetMember { instance, serves: Stage::Ready, stage: Stage::Ready, updated }
}

fn pools<'a>(types: &'a [String], exhausted: &'a Exhausted) -> Pools<'a> {
    Pools { types, purchase: Purchase::OnDemand, exhausted, now: Timestamp::UNIX_EPOCH }
}

fn types(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn counts(shares: &[Share]) -> Vec<(&str, i32)> {
    shares.iter().map(|share| (share.zone.name.as_deref().unwrap(), share.count)).collect()
}

#[test]
fn each_zone_has_one_subnet_the_one_with_most_addresses_and_each_type_once() {
    let subnets = [
        subnet("subnet-1", "us-west-2a", 3),
        subnet("subnet-2", "us-west-2a", 200),
        subnet("subnet-2", "us-west-2a", 200),
        subnet("subnet-3", "us-west-2b", 9),
        subnet("subnet-0", "us-west-2b", 9),
    ];
    let (named, none) = (types(&["t3.small", "t3a.small", "t3.small"]), Exhausted::default());
    let found = zones(&subnets, &[], pools(&named, &none));
    let subnets: Vec<_> = found.iter().map(|zone| zone.subnet.as_deref().unwrap()).collect();
    assert_eq!(subnets, ["subnet-2", "subnet-0"], "of equal ones the first by its id");
    assert!(found.iter().all(|zone| zone.types == ["t3.small", "t3a.small"]), "{found:?}");
}

#[test]
fn new_instances_go_where_the_fewest_stay() {
    let subnets = NAMES[..3].iter().map(|zone| subnet("subnet-1", zone, 9)).collect::<Vec<_>>();
    let old = [instance(0, NAMES[0]), instance(1, NAMES[0]), instance(2, NAMES[1])];
    let members = [member(&old[0], true), member(&old[1], false), member(&old[2], true)];
    let (named, mut exhausted) = (types(&["t3.small", "t3a.small"]), Exhausted::default());
    let placed =
        |exhausted: &Exhausted, launch| spread(zones(&subnets, &members, pools(&named, exhausted)), launch);
    assert_eq!(counts(&placed(&exhausted, 1)), [(NAMES[2], 1)]);
    assert_eq!(
        counts(&placed(&exhausted, 2)),
        [(NAMES[1], 1), (NAMES[2], 1)],
        "an outdated one breaks the tie"
    );
    assert_eq!(counts(&placed(&exhausted, 4)), [(NAMES[0], 1), (NAMES[1], 1), (NAMES[2], 2)]);
    exhausted.add("t3.small", NAMES[2], Purchase::OnDemand, Timestamp::UNIX_EPOCH);
    assert_eq!(placed(&exhausted, 1)[0].zone.types, ["t3a.small"], "another type is still there");
    exhausted.add("t3a.small", NAMES[2], Purchase::OnDemand, Timestamp::UNIX_EPOCH);
    assert_eq!(counts(&placed(&exhausted, 2)), [(NAMES[0], 1), (NAMES[1], 1)], "the zone has nothing left");
}

#[test]
fn without_capacity_anywhere_nothing_is_launched_and_that_is_said() {
    let subnets = [subnet("subnet-1", NAMES[0], 9), subnet("subnet-2", NAMES[1], 0)];
    let (named, mut exhausted) = (types(&["t3.small"]), Exhausted::default());
    exhausted.add("t3.small", NAMES[0], Purchase::OnDemand, Timestamp::UNIX_EPOCH);
    let found = zones(&subnets, &[], pools(&named, &exhausted));
    assert_eq!(spread(found.clone(), 2), []);
    let words = nothing_left(&found, pools(&named, &exhausted));
    assert!(words.contains("us-west-2a: no capacity for t3.small until 1970-01-01T00:03:00Z"), "{words}");
    assert!(words.contains("us-west-2b: subnet-2 has no address left"), "{words}");
    let found = zones(&[], &[], pools(&named, &exhausted));
    assert_eq!(spread(found, 2).len(), 1, "where no subnet is known EC2 chooses");
}

/// The most and the fewest instances of the zones.
fn skew(held: &[i32]) -> i32 {
    held.iter().max().unwrap() - held.iter().min().unwrap()
}

proptest! {
    /// A fleet that grows and shrinks as it likes stays level over the zones that have capacity all the while.
    #[test]
    fn zones_stay_level_while_they_have_capacity(
        sizes in prop::collection::vec(0..20_i32, 1..12),
        open in 1..5_usize,
        closed in 0..3_usize,
    ) {
        let open = &NAMES[..open.min(NAMES.len())];
        let mut subnets: Vec<Subnet> = open.iter().map(|zone| subnet("subnet-1", zone, 9)).collect();
        subnets.extend(["us-west-2x", "us-west-2y"].iter().take(closed).map(|zone| subnet("subnet-2", zone, 9)));
        let (named, mut exhausted) = (types(&["t3.small"]), Exhausted::default());
        for zone in ["us-west-2x", "us-west-2y"] {
            exhausted.add("t3.small", zone, Purchase::OnDemand, Timestamp::UNIX_EPOCH);
        }
        let (mut instances, mut next): (Vec<Instance>, usize) = (Vec::new(), 0);
        for replicas in sizes {
            let members: Vec<FleetMember<'_>> = instances.iter().map(|one| member(one, true)).collect();
            let Move { launch, end } = scale(&members, Demand { replicas, max_surge: 1, max_unavailable: 0 });
            prop_assert_eq!(&end, &surplus(&members, replicas).into_iter().take(end.len()).collect::<Vec<_>>());
            let shares = spread(zones(&subnets, &members, pools(&named, &exhausted)), launch);
            prop_assert_eq!(shares.iter().map(|share| share.count).sum::<i32>(), launch);
            let new: Vec<String> = shares
                .iter()
                .flat_map(|share| std::iter::repeat_n(share.zone.name.clone().unwrap(), usize::try_from(share.count).unwrap()))
                .collect();
            instances.retain(|one| !end.contains(&one.id));
            for zone in new {
                instances.push(instance(next, &zone));
                next += 1;
            }
            let held: Vec<i32> = open
                .iter()
                .map(|zone| count(instances.iter().filter(|one| one.az.as_deref() == Some(*zone))))
                .collect();
            prop_assert_eq!(held.iter().sum::<i32>(), replicas, "none in a zone without capacity");
            prop_assert!(skew(&held) <= 1, "{held:?}");
        }
    }

    /// Whatever there is already, a launch makes no zone fuller than one that has fewer.
    #[test]
    fn a_launch_never_adds_to_a_fuller_zone(before in prop::collection::vec(0..9_i32, 1..5), launch in 0..30_i32) {
        let zone = |(name, held): (&&str, &i32)| Zone {
            name: Some((*name).to_owned()), subnet: None, types: types(&["t3.small"]), staying: *held, all: *held,
        };
        let shares = spread(NAMES.iter().zip(&before).map(zone).collect(), launch);
        let after = |index: usize| {
            let share = shares.iter().find(|share| share.zone.name.as_deref() == Some(NAMES[index]));
            before[index] + share.map_or(0, |share| share.count)
        };
        for one in 0..before.len() {
            for other in 0..before.len() {
                prop_assert!(after(one) == before[one] || after(one) <= after(other) + 1, "{before:?} {shares:?}");
            }
        }
    }
}

#[test]
fn subnets_that_a_fleet_names_are_never_taken_for_none() {
    let named = ["subnet-1".to_owned(), "subnet-2".to_owned()];
    let one = vec![subnet("subnet-2", NAMES[0], 9)];
    assert_eq!(usable(&named, one.clone()), Ok(one), "one that is gone does not hide the other");
    assert_eq!(usable(&[], Vec::new()), Ok(Vec::new()), "EC2 chooses");
    let failure = usable(&named, Vec::new()).unwrap_err();
    assert_eq!(failure.class, FailureClass::NotFound);
    assert!(failure.message.ends_with("subnet-1, subnet-2"), "{}", failure.message);
}
