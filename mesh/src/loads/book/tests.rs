//! The book, by hand and against a model that remembers everything.

use fleetmesh_api::examples;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::view;

fn node(name: &str) -> ResourceId {
    ResourceId::virtual_node("apps", name)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn load(issued: u64, failed: u64, in_progress: u64) -> ReportedLoad {
    ReportedLoad { issued, succeeded: issued - failed, failed, in_progress, covers: seconds(1) }
}

/// A book with `count` proxies of the virtual node `client`.
fn book(count: u64) -> LoadBook {
    let mut book = LoadBook::default();
    for id in 1..=count {
        assert_eq!(book.enter(&node("client"), None, Duration::ZERO, None), Ok(id));
    }
    book
}

fn load_of_a(book: &mut LoadBook, now: u64, window: u64) -> NodeLoad {
    book.loads(&"apps".into(), seconds(now), window)[&node("a")].clone()
}

fn sent(loads: impl IntoIterator<Item = (ResourceId, ReportedLoad)>) -> Report {
    Report { sent: loads.into_iter().collect(), received: None }
}

fn on_a(load: ReportedLoad) -> Report {
    sent([(node("a"), load)])
}

#[test]
fn no_traffic_is_not_taken_for_no_report() {
    let mut book = book(1);
    assert!(book.loads(&"apps".into(), seconds(9), 10).is_empty(), "nobody ever reported on it");
    book.report(1, seconds(10), on_a(ReportedLoad::default()));
    let silent = load_of_a(&mut book, 11, 10);
    assert_eq!(silent.counts, Counts { reports: 1, ..Counts::default() });
    assert_eq!((silent.reporters, silent.age), (1, seconds(1)));
    let outage = load_of_a(&mut book, 30, 10);
    assert_eq!((outage.counts.reports, outage.reporters, outage.age), (0, 0, seconds(20)));
    assert!(book.loads(&"other".into(), seconds(30), 10).is_empty(), "another mesh");
}

#[test]
fn a_proxy_that_vanishes_has_nothing_under_way_and_its_counts_stay() {
    let mut book = book(2);
    book.report(1, seconds(1), on_a(load(10, 4, 3)));
    book.report(2, seconds(1), on_a(load(5, 0, 2)));
    assert_eq!((load_of_a(&mut book, 1, 5).in_progress, load_of_a(&mut book, 1, 5).reporters), (5, 2));
    book.leave(1);
    book.leave(1);
    let left = load_of_a(&mut book, 1, 5);
    assert_eq!((left.in_progress, left.reporters, left.counts.issued, left.counts.failed), (2, 1, 15, 4));
    book.report(1, seconds(2), on_a(load(99, 0, 99)));
    assert_eq!(load_of_a(&mut book, 2, 5).counts.issued, 15, "a report of one that is gone");
}

#[test]
fn what_a_proxy_does_not_run_any_more_is_not_under_way() {
    let mut book = book(1);
    book.report(1, seconds(1), on_a(load(10, 0, 3)));
    book.report(1, seconds(2), sent([(node("b"), load(1, 0, 1))]));
    let a = load_of_a(&mut book, 2, 5);
    assert_eq!((a.in_progress, a.reporters, a.counts.issued, a.age), (0, 0, 10, seconds(1)));
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut book = book(1);
    book.report(1, seconds(100), on_a(load(1, 0, 0)));
    book.report(1, seconds(7), on_a(load(2, 0, 0)));
    let now = load_of_a(&mut book, 3, 1);
    assert_eq!((now.counts.issued, now.counts.reports, now.age), (3, 2, Duration::ZERO));
}

#[test]
fn a_restart_begins_with_nothing_and_takes_a_late_report_for_what_it_covers() {
    let mut book = book(1);
    book.report(1, seconds(2), on_a(ReportedLoad { covers: seconds(40), ..load(400, 0, 0) }));
    assert_eq!(load_of_a(&mut book, 2, 10).counts.issued, 100);
    assert_eq!(load_of_a(&mut book, 2, 40).counts.issued, 400);
}

#[test]
fn callers_are_listed_one_by_one_and_the_targets_own_proxies_beside_them() {
    let mut book = book(1);
    let other = book.enter(&node("other"), None, Duration::ZERO, None).expect("entered");
    let own = book.enter(&node("a"), None, Duration::ZERO, None).expect("entered");
    book.report(1, seconds(1), on_a(load(10, 4, 0)));
    book.report(other, seconds(1), on_a(load(100, 1, 0)));
    assert_eq!(load_of_a(&mut book, 1, 5).own, None, "nobody reported for the other side");
    book.report(own, seconds(1), Report { received: Some(load(110, 5, 0)), ..Report::default() });
    // It also calls itself, which is a call as any other.
    book.report(own, seconds(2), Report { received: Some(load(1, 0, 0)), ..on_a(load(1, 0, 0)) });
    let a = load_of_a(&mut book, 2, 5);
    let counts = |issued, failed, reports| Counts { issued, succeeded: issued - failed, failed, reports };
    let callers = [("client", counts(10, 4, 1)), ("other", counts(100, 1, 1)), ("a", counts(1, 0, 1))];
    assert_eq!(a.callers, callers.map(|(name, counts)| (node(name), counts)).into());
    assert_eq!((a.counts, a.own), (counts(111, 5, 3), Some(counts(111, 5, 2))));
    let later = load_of_a(&mut book, 60, 5);
    assert!(later.callers.is_empty() && later.own.is_none(), "nobody reported in this window: {later:?}");
}

#[test]
fn a_report_beyond_belief_is_cut_in_its_proportion() {
    let mut book = book(2);
    let forged = ReportedLoad {
        issued: u64::MAX,
        succeeded: 1_000_000_000_000_000,
        failed: 0,
        in_progress: u64::MAX,
        covers: seconds(1),
    };
    book.report(1, seconds(1), on_a(forged));
    let a = load_of_a(&mut book, 1, 5);
    assert_eq!(
        (a.counts.issued, a.counts.succeeded, a.counts.failed, a.in_progress),
        (MAX_RATE, MAX_RATE, 0, MAX_RATE)
    );
    let half = ReportedLoad { succeeded: u64::MAX, failed: u64::MAX, covers: seconds(LONGEST), ..forged };
    book.report(2, seconds(1000), on_a(half));
    let a = load_of_a(&mut book, 1000, LONGEST);
    assert_eq!((a.counts.succeeded, a.counts.failed), (MAX_RATE * LONGEST / 2, MAX_RATE * LONGEST / 2));
    let busy =
        ReportedLoad { issued: 50_000, succeeded: 40_000, failed: 9_000, in_progress: 7, covers: seconds(1) };
    let known = KnownTime::of(seconds(1), false);
    assert_eq!(busy.plausible(known, u64::MAX), busy, "what an Envoy can do is believed");
}

#[test]
fn no_proxy_stretches_what_it_covers_to_be_believed_more() {
    let mut book = book(1);
    let forged = |counts, covers| ReportedLoad {
        issued: counts,
        succeeded: counts,
        covers,
        ..ReportedLoad::default()
    };
    book.report(1, seconds(10), on_a(ReportedLoad::default()));
    // Five seconds after the last, one that says it covers ten minutes.
    book.report(1, seconds(15), on_a(forged(u64::MAX, seconds(LONGEST))));
    assert_eq!(load_of_a(&mut book, 15, LONGEST).counts.succeeded, MAX_RATE * 6);
    assert_eq!(
        load_of_a(&mut book, 15, 6).counts.succeeded,
        MAX_RATE * 6,
        "and nothing is said of the time before"
    );
    // Nor by coming again and again: each first report on a stream is about the outage before it at most.
    let again = book.enter(&node("client"), None, seconds(100), None).expect("entered");
    book.report(again, seconds(100), on_a(forged(u64::MAX, Duration::MAX)));
    assert_eq!(load_of_a(&mut book, 100, 84).counts.succeeded, MAX_RATE);
    assert_eq!(
        load_of_a(&mut book, 100, 61).counts.succeeded,
        MAX_RATE,
        "a minute, and the second of the report"
    );
    assert!(load_of_a(&mut book, 100, 60).counts.succeeded < MAX_RATE, "dealt out to all of it");
}

#[test]
fn no_proxy_says_that_what_came_of_a_long_time_came_just_now() {
    let mut book = book(1);
    book.report(1, seconds(10), on_a(ReportedLoad::default()));
    // All the failures of twenty seconds, in the last one by the proxy's word.
    book.report(
        1,
        seconds(30),
        on_a(ReportedLoad { issued: 1_900, failed: 1_900, covers: seconds(1), ..ReportedLoad::default() }),
    );
    assert_eq!(load_of_a(&mut book, 30, 1).counts.failed, 100);
    assert_eq!(load_of_a(&mut book, 30, 20).counts.failed, 1_900);
}

/// 38 short streams in four seconds were believed 3.8 million failures.
#[test]
fn whoever_has_a_certificate_is_believed_no_more_by_opening_many_streams() {
    let failures = || {
        on_a(ReportedLoad { failed: 100_000, issued: 100_000, covers: seconds(1), ..ReportedLoad::default() })
    };
    let failed = |streams: u64, at_once: bool, holder: fn(u64) -> Option<Holder>| {
        let mut book = LoadBook::default();
        let mut open = Vec::new();
        for stream in 0..streams {
            let at = seconds(100) + Duration::from_millis(stream * 4000 / streams);
            let id = book.enter(&node("client"), holder(stream), at, None).expect("entered");
            book.report(id, at, failures());
            match at_once {
                true => open.push(id),
                false => book.leave(id),
            }
        }
        let load = load_of_a(&mut book, 104, 60);
        assert_eq!(load.counts.reports, streams, "each was heard");
        load.counts.failed
    };
    let mine = |_| Some([7; 32]);
    for at_once in [true, false] {
        let (few, many) = (failed(4, at_once, mine), failed(400, at_once, mine));
        assert!(few == 4 * MAX_RATE && many <= 5 * MAX_RATE, "{few}, {many}");
    }
    // One report of each of several proxies is believed as before, and so is who needs no certificate.
    assert_eq!(
        failed(38, false, |stream| Some([u8::try_from(stream).unwrap_or_default(); 32])),
        38 * MAX_RATE
    );
    assert_eq!(failed(38, false, |_| None), 38 * MAX_RATE);
}

/// Four streams of one certificate were four reporters, and had four times as much under way.
#[test]
fn whoever_has_a_certificate_is_one_reporter_of_each_node() {
    let mut book = LoadBook::default();
    let mut enter = |name: &str, holder: Option<Holder>| {
        let id = book.enter(&node(name), holder, seconds(0), None).expect("entered");
        book.report(id, seconds(1), on_a(ReportedLoad { in_progress: u64::MAX, ..ReportedLoad::default() }));
        id
    };
    let mine = [(); 4].map(|()| enter("client", Some([7; 32])));
    enter("client", Some([8; 32]));
    let a = load_of_a(&mut book, 1, 5);
    assert_eq!((a.reporters, a.in_progress, a.counts.reports), (2, 2 * MAX_RATE, 5));
    // It is there until its last stream ends, and what several proxies have under way adds up to as much.
    mine[1..].iter().for_each(|id| book.leave(*id));
    book.report(mine[0], seconds(2), on_a(load(0, 0, 3)));
    assert_eq!(load_of_a(&mut book, 2, 5).in_progress, MAX_RATE + 3);
    book.leave(mine[0]);
    assert_eq!((load_of_a(&mut book, 2, 5).reporters, load_of_a(&mut book, 2, 5).in_progress), (1, MAX_RATE));
    // Another of its nodes is another proxy, and so is each stream without a certificate.
    for (name, holder) in [("other", Some([8; 32])), ("client", None), ("client", None)] {
        let id = book.enter(&node(name), holder, seconds(2), None).expect("entered");
        book.report(id, seconds(2), on_a(load(0, 0, 1)));
    }
    let a = load_of_a(&mut book, 2, 5);
    assert_eq!((a.reporters, a.in_progress), (4, MAX_RATE + 3));
}

/// Nor by reports that come faster than seconds do.
#[test]
fn whoever_has_a_certificate_is_believed_no_more_by_many_reports() {
    let mut book = LoadBook::default();
    let id = book.enter(&node("a"), Some([7; 32]), seconds(100), None).expect("entered");
    let forged =
        ReportedLoad { failed: u64::MAX, issued: u64::MAX, covers: seconds(1), ..ReportedLoad::default() };
    for report in 1..=1000 {
        let at = seconds(100) + Duration::from_millis(report);
        book.report(id, at, Report { received: Some(forged), ..on_a(forged) });
    }
    let a = load_of_a(&mut book, 101, 60);
    let own = a.own.expect("it reported").failed;
    assert!((MAX_RATE..=2 * MAX_RATE).contains(&a.counts.failed), "{}", a.counts.failed);
    assert!((MAX_RATE..=2 * MAX_RATE).contains(&own), "{own}");
    // What an Envoy can do is believed in every report.
    let before = load_of_a(&mut book, 101, LONGEST).counts.succeeded;
    for second in 200..260 {
        book.report(id, seconds(second), on_a(load(90_000, 0, 0)));
    }
    assert_eq!(load_of_a(&mut book, 260, LONGEST).counts.succeeded - before, 60 * 90_000);
    assert_eq!(book.budgets.len(), 2);
    book.leave(id);
    book.loads(&"apps".into(), seconds(260 + LONGEST), 1);
    assert_eq!(book.budgets.len(), 0, "it is forgotten when the window has passed");
}

#[test]
fn limits_are_named() {
    let mut book = book(2);
    let full = book.enter(&node("client"), None, Duration::ZERO, Some(2)).expect_err("two is the limit");
    let expected = "mesh/apps/virtualNode/client has 2 proxies that report their load, and that is the limit";
    assert_eq!(full.to_string(), expected);
    assert!(book.enter(&node("other"), None, Duration::ZERO, Some(2)).is_ok());
    book.leave(1);
    assert!(book.enter(&node("client"), None, Duration::ZERO, Some(2)).is_ok());
    for _ in book.reporters.len()..MAX_REPORTERS {
        book.enter(&node("client"), None, Duration::ZERO, None).expect("below the limit");
    }
    let full = book.enter(&node("client"), None, Duration::ZERO, None).expect_err("the greatest number");
    assert!(full.to_string().starts_with("this control plane has 65536 proxies"), "{full}");
}

#[test]
fn nothing_is_kept_of_what_is_over() {
    let mut book = book(1);
    for pass in 0..50 {
        let names = (0..20).map(|name| (node(&format!("n{pass}-{name}")), ReportedLoad::default()));
        book.report(1, seconds(pass), sent(names));
    }
    assert_eq!(book.targets.len(), 1000);
    book.loads(&"apps".into(), seconds(49 + LONGEST), 1);
    assert_eq!(book.targets.len(), 20, "what the proxy still runs");
    book.leave(1);
    assert!(book.targets.is_empty() && book.nodes.is_empty() && book.reporters.is_empty());
    assert!(book.own.is_empty());
}

/// What happens to a book.
#[derive(Clone, Debug)]
enum BookAct {
    Enter,
    Leave(usize),
    Report(usize, Vec<(bool, u64, u64, u64)>),
}

fn acts() -> impl Strategy<Value = Vec<(u64, BookAct)>> {
    let load = (any::<bool>(), 0u64..9, 0u64..9, 0u64..9);
    let act = prop_oneof![
        1 => Just(BookAct::Enter),
        1 => (0usize..6).prop_map(BookAct::Leave),
        6 => (0usize..6, prop::collection::vec(load, 3)).prop_map(|(who, loads)| BookAct::Report(who, loads)),
    ];
    prop::collection::vec((0u64..30_000, act), 1..60)
}

/// A report of a proxy on a virtual node, and when it came.
struct Came {
    who: u64,
    at: Duration,
    name: String,
    load: ReportedLoad,
}

proptest! {
    #[test]
    fn it_reports_what_a_memory_of_everything_would(acts in acts(), window in 1u64..=LONGEST, later in 0u64..900) {
        let (mut book, mut now, mut ever) = (LoadBook::default(), Duration::ZERO, 0u64);
        let (mut living, mut came): (Vec<u64>, Vec<Came>) = (Vec::new(), Vec::new());
        let mut last: BTreeMap<u64, BTreeMap<String, (Duration, u64)>> = BTreeMap::new();
        let mut spoke: BTreeMap<u64, Duration> = BTreeMap::new();
        for (wait, act) in acts {
            now += Duration::from_millis(wait);
            match act {
                BookAct::Enter => {
                    ever += 1;
                    prop_assert_eq!(book.enter(&node("client"), None, now, None), Ok(ever));
                    living.push(ever);
                    spoke.insert(ever, now);
                }
                BookAct::Leave(which) if which < living.len() => {
                    let who = living.remove(which);
                    book.leave(who);
                    last.remove(&who);
                }
                BookAct::Report(which, loads) if which < living.len() => {
                    let who = living[which];
                    let named = loads.into_iter().zip(["a", "b", "c"]).filter(|((runs, ..), _)| *runs);
                    let loads: BTreeMap<String, ReportedLoad> = named
                        .map(|((_, issued, failed, in_progress), name)| {
                            let covers = seconds(1);
                            (name.to_owned(), ReportedLoad { issued, succeeded: issued, failed, in_progress, covers })
                        })
                        .collect();
                    book.report(who, now, sent(loads.iter().map(|(name, load)| (node(name), *load))));
                    let gauges = loads.iter().map(|(name, load)| (name.clone(), (now, load.in_progress)));
                    last.insert(who, gauges.collect());
                    // Each says that it covers a second, which is believed where it can be.
                    let since = now - spoke.insert(who, now).unwrap_or_default();
                    let covers = seconds(1).max(since.saturating_sub(seconds(1)));
                    let loads = loads.into_iter().map(|(name, load)| (name, ReportedLoad { covers, ..load }));
                    came.extend(loads.map(|(name, load)| Came { who, at: now, name, load }));
                }
                BookAct::Leave(_) | BookAct::Report(..) => {}
            }
        }
        now += seconds(later);
        let loads = book.loads(&"apps".into(), now, window);
        let within = |at: Duration, seconds: u64| at.as_secs() + seconds > now.as_secs();
        for name in ["a", "b", "c"] {
            let on = || came.iter().filter(|one| one.name == name);
            let gauges = || last.values().filter_map(|gauges| gauges.get(name));
            let Some(NodeLoad { counts, in_progress, reporters, age, .. }) = loads.get(&node(name)).cloned() else {
                prop_assert!(on().all(|one| !within(one.at, LONGEST)) && gauges().next().is_none(), "{} is missing", name);
                continue;
            };
            let mut all = Window::new();
            for Came { at, load: ReportedLoad { issued, succeeded, failed, covers, .. }, .. } in on() {
                let counts = Counts { issued: *issued, succeeded: *succeeded, failed: *failed, reports: 1 };
                all.add(*at, *covers, counts);
            }
            prop_assert_eq!(counts, all.sum(now, window));
            prop_assert_eq!(in_progress, gauges().map(|(_, count)| count).sum::<u64>());
            prop_assert_eq!(reporters, gauges().filter(|(at, _)| within(*at, window)).count());
            prop_assert_eq!(Some(now - age), on().map(|one| one.at).max());
            prop_assert!(on().all(|one| one.who <= ever));
        }
    }
}

/// The very bytes that the operator's tests read.
#[test]
fn the_contract_s_example_is_answered() {
    let mesh = view(&[("virtualNode/serviceBv2", json!({}))]);
    let target = node("serviceBv2");
    let mut book = LoadBook::default();
    let entered = |node: &ResourceId, book: &mut LoadBook| book.enter(node, None, Duration::ZERO, None);
    let caller = entered(&node("serviceA"), &mut book).expect("room");
    let own = entered(&target, &mut book).expect("room");
    let counts = |issued, succeeded, failed, in_progress| ReportedLoad {
        issued,
        succeeded,
        failed,
        in_progress,
        covers: seconds(1),
    };
    let at = |number: u64| Duration::from_millis(400 * number);
    for number in 1..30 {
        book.report(caller, at(number), sent([(target.clone(), ReportedLoad::default())]));
        let received = Some(if number == 29 { counts(0, 21, 3, 0) } else { ReportedLoad::default() });
        book.report(own, at(number), Report { sent: BTreeMap::new(), received });
    }
    book.report(caller, at(30), sent([(target, counts(25, 20, 4, 1))]));
    let answer = book.answer(&"apps".into(), &mesh, at(31), 30, seconds(1));
    assert_eq!(serde_json::to_string(&answer).expect("JSON"), examples::LOADS);
}
