//! Reports of the callers of the new targets, and of the targets' own proxies, on the same requests, and how far to trust them: no
//! caller decides alone (`docs/adr/0020-providers-and-witnesses.md`). Pure.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_api::loads::Ended;
use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::Metric;

use super::observations::{Owners, TargetOwner};
use super::verdict::{MetricReading, precise, success_rate, together};
use crate::load::Loads;

/// Rates that differ by less, in points of a percent, do not contradict each other.
const TOLERANCE: f64 = 1.0;

/// The success rate of the new targets `nodes` in percent, as far as those who reported it agree.
pub(super) fn success_rate_of(
    loads: &Loads,
    nodes: &BTreeSet<&str>,
    owners: &Owners,
    metric: &Metric,
) -> MetricReading {
    let all = together(loads, nodes);
    let pooled = success_rate(&all);
    let MetricReading::Value(_) = pooled else { return pooled };
    let (callers, own) = witnesses(loads, nodes, owners);
    let Some((low, high)) = median(&callers) else { return pooled };
    let fate = |rate: f64| fate(metric, rate);
    let Some(own) = own.filter(|own| own.requests() > 0) else {
        if fate(low) == fate(high) {
            return MetricReading::Value(f64::midpoint(low, high));
        }
        return disagree(format!(
            "the callers of the new targets report success rates of {low:.2} and {high:.2}, and the targets' own proxies report nothing"
        ));
    };
    let seen = rate(own);
    let fewer = own.requests().min(all.succeeded.saturating_add(all.failed));
    // Twice the standard error of a rate of one half, which is the greatest: what chance alone makes of so few requests.
    let tolerance = TOLERANCE.max(100.0 / precise(fewer).sqrt());
    let agrees = |reported: f64| fate(reported) == fate(seen) || (reported - seen).abs() <= tolerance;
    match (fate(low) == fate(high), agrees(low), agrees(high)) {
        (true, true, true) => MetricReading::Value(f64::midpoint(low, high)),
        // Two callers stand against each other: whom the targets bear out is believed.
        (false, true, false) => MetricReading::Value(low),
        (false, false, true) => MetricReading::Value(high),
        (false, true, true) => MetricReading::Value(seen.clamp(low, high)),
        _ => disagree(format!(
            "the callers of the new targets report a success rate of {}, the targets' own proxies report {seen:.2}",
            if low == high { format!("{low:.2}") } else { format!("{low:.2} to {high:.2}") },
        )),
    }
}

fn disagree(what: String) -> MetricReading {
    let way_out = "see which of them has it wrong, then skip the step or abort";
    MetricReading::Blind(Reason::ReportsDisagree, format!("{what}: {way_out}"))
}

/// How many finished requests to the new targets both sides report: what callers invent was never received. Targets whose
/// proxies report none, because requests go past them, do not count.
pub(super) fn requests(loads: &Loads, nodes: &BTreeSet<&str>, owners: &Owners) -> u64 {
    let all = together(loads, nodes);
    let reported = all.succeeded.saturating_add(all.failed);
    let (_, own) = witnesses(loads, nodes, owners);
    match own.map_or(0, Ended::requests) {
        0 => reported,
        own => reported.min(own),
    }
}

/// What each owner of callers reported of all `nodes`, and what these reported themselves; nothing of the latter when a node
/// that had requests did not report.
fn witnesses<'a>(
    loads: &'a Loads,
    nodes: &BTreeSet<&str>,
    owners: &'a Owners,
) -> (BTreeMap<WitnessCaller<'a>, Ended>, Option<Ended>) {
    let mut callers: BTreeMap<WitnessCaller<'a>, Ended> = BTreeMap::new();
    let mut own = Some(Ended::default());
    for (_, witnesses) in loads.witnesses.iter().filter(|(node, _)| nodes.contains(node.as_str())) {
        for (caller, ended) in &witnesses.callers {
            let sum = callers.entry(witness(owners, caller)).or_default();
            *sum = sum.plus(*ended);
        }
        let had = witnesses.callers.values().any(|ended| ended.requests() > 0);
        own = match (own, witnesses.own) {
            (Some(sum), Some(reported)) => Some(sum.plus(reported)),
            (Some(sum), None) if !had => Some(sum),
            _ => None,
        };
    }
    callers.retain(|_, ended| ended.requests() > 0);
    (callers, own.filter(|_| !loads.witnesses.is_empty()))
}

/// The lower and the upper weighted median of the callers' success rates. A caller weighs as many requests as it reported, and
/// no more than all others together, so that it takes two to decide; `None` without a caller.
fn median(callers: &BTreeMap<WitnessCaller<'_>, Ended>) -> Option<(f64, f64)> {
    let all: u128 = callers.values().map(|ended| u128::from(ended.requests())).sum();
    let mut rates: Vec<(f64, u128)> = callers
        .values()
        .map(|ended| {
            let own = u128::from(ended.requests());
            let others = all - own;
            (rate(*ended), if others == 0 { own } else { own.min(others) })
        })
        .collect();
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let weight: u128 = rates.iter().map(|(_, weight)| weight).sum();
    let mut below = 0;
    let mut low = None;
    for (rate, weighs) in rates {
        below += weighs;
        if below * 2 >= weight {
            low.get_or_insert(rate);
        }
        if below * 2 > weight {
            return low.map(|low| (low, rate));
        }
    }
    None
}

fn rate(ended: Ended) -> f64 {
    100.0 * precise(ended.succeeded) / precise(ended.requests())
}

/// What becomes of a rollout by this rate.
#[derive(PartialEq, Eq)]
enum Fate {
    Passes,
    Fails,
    Aborts,
}

fn fate(metric: &Metric, rate: f64) -> Fate {
    if metric.abort_below.is_some_and(|bound| rate < bound) {
        Fate::Aborts
    } else if metric.threshold_range.contains(rate) {
        Fate::Passes
    } else {
        Fate::Fails
    }
}

/// Who reports: an owner. A virtual node without a resource reports for itself alone, or one that lies would speak for all of
/// them.
type WitnessCaller<'a> = (TargetOwner<'a>, Option<&'a str>);

fn witness<'a>(owners: &'a Owners, node: &'a str) -> WitnessCaller<'a> {
    let owner = owners.of(node);
    (owner, (owner == TargetOwner::Nobody).then_some(node))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fleetmesh_api::loads::Load;
    use fleetmesh_crds::canary::{LoadReport, MetricSource, ThresholdRange};

    use super::*;
    use crate::load::Witnesses;

    fn ended(text: &str) -> Ended {
        let (succeeded, failed) = text.split_once('+').expect("succeeded+failed");
        Ended { succeeded: succeeded.parse().expect("a number"), failed: failed.parse().expect("a number") }
    }

    /// Loads of the target `t` from `CALLER:SUCCEEDED+FAILED`, each caller of a namespace of its own; `own` is the target's.
    fn loads(text: &str) -> Loads {
        let mut witnesses = Witnesses::default();
        for word in text.split_whitespace() {
            let (name, counts) = word.split_once(':').expect("a name");
            match name {
                "own" => witnesses.own = Some(ended(counts)),
                name => _ = witnesses.callers.insert(name.to_owned(), ended(counts)),
            }
        }
        let sum = witnesses.callers.values().fold(Ended::default(), |sum, ended| sum.plus(*ended));
        let load = Load { succeeded: sum.succeeded, failed: sum.failed, reports: 1, ..Load::default() };
        Loads {
            window: Duration::from_secs(30),
            observed: Duration::from_secs(30),
            lag: Duration::ZERO,
            targets: BTreeMap::from([("t".to_owned(), load)]),
            witnesses: BTreeMap::from([("t".to_owned(), witnesses)]),
        }
    }

    /// At least 99 percent; below 50 it is aborted.
    fn metric() -> Metric {
        Metric {
            abort_below: Some(50.0),
            dry_run: false,
            name: "success".to_owned(),
            source: MetricSource::LoadReport(LoadReport {}),
            threshold_range: ThresholdRange { max: None, min: Some(99.0) },
        }
    }

    fn read(text: &str) -> MetricReading {
        success_rate_of(&loads(text), &BTreeSet::from(["t"]), &Owners::default(), &metric())
    }

    fn is_held(text: &str) {
        let reading = read(text);
        assert!(matches!(reading, MetricReading::Blind(Reason::ReportsDisagree, _)), "{text}: {reading:?}");
    }

    fn is(text: &str, rate: f64) {
        match read(text) {
            MetricReading::Value(value) => assert!((value - rate).abs() < 0.01, "{text}: {value}"),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn one_caller_neither_condemns_nor_saves_what_others_saw_otherwise() {
        // A forger among three changes nothing where the targets report, whatever it claims ...
        is("a:990+1 b:500+2 evil:0+1000000000 own:1490+3", 99.6);
        is("a:600+400 b:300+200 evil:1000000000+0 own:900+600", 60.0);
        // ... and where they do not, it weighs as much as the others together: it can hold a release, and no more.
        is_held("a:990+1 b:500+2 evil:0+1000000000");
        is_held("a:600+400 b:300+200 evil:1000000000+0");
        // Against one other the targets decide ...
        is("a:1000+1 evil:0+1000000000 own:1000+1", 99.9);
        is("a:600+400 evil:1000000000+0 own:600+400", 60.0);
        // ... and where they say nothing, nobody does.
        is_held("a:1000+1 evil:0+1000000000");
        is_held("a:600+400 evil:1000000000+0");
    }

    #[test]
    fn the_only_caller_is_held_by_what_the_targets_saw() {
        is("a:1000+1 own:1000+1", 99.9);
        is("a:600+400 own:600+400", 60.0);
        is_held("evil:0+1000 own:1000+0");
        is_held("evil:1000000000+0 own:600+400");
        // Below abortBelow is another matter than below the range.
        is_held("evil:10+990 own:900+100");
        // A dead target, or one without proxies, reports nothing: the only one concerned is believed.
        is("a:0+100", 0.0);
        is("a:0+100 own:0+0", 0.0);
    }

    #[test]
    fn chance_is_no_contradiction() {
        // Near the bound, and within what so few requests can show.
        is("a:989+11 own:991+9", 98.9);
        is("a:19+1 own:20+0", 95.0);
        // A caller with three requests does not fail a release, and does not hold it where the targets report.
        is("a:100000+10 b:2+1 own:100002+11", 99.99);
        is("a:100000+10 b:2+0 c:1+0 own:100003+10", 99.99);
    }

    #[test]
    fn one_namespace_is_one_caller() {
        let loads = loads("a:1000+0 evil1:0+1000 evil2:0+1000 evil3:0+1000 own:1000+0");
        let namespaces = ["evil1", "evil2", "evil3"].map(|node| (node.to_owned(), "evil".to_owned()));
        let owners = Owners { own: "own".to_owned(), namespaces: namespaces.into() };
        let nodes = BTreeSet::from(["t"]);
        let reading = success_rate_of(&loads, &nodes, &owners, &metric());
        assert_eq!(reading, MetricReading::Value(100.0), "outvoted as one");
        assert_eq!(requests(&loads, &nodes, &owners), 1000, "what they invent is not counted");
    }

    #[test]
    fn callers_that_are_not_listed_one_by_one_are_read_as_before() {
        let mut loads = loads("a:600+400");
        loads.witnesses.clear();
        let nodes = BTreeSet::from(["t"]);
        assert_eq!(
            success_rate_of(&loads, &nodes, &Owners::default(), &metric()),
            MetricReading::Value(60.0)
        );
        assert_eq!(requests(&loads, &nodes, &Owners::default()), 1000);
    }
}
