//! The figures of the API's benchmark beside their targets and beside kube-apiserver. Pure.

use serde::Serialize;

use super::{ApiSizes, Measured};
use crate::figure::{self, Figure};

/// What both did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiReport {
    pub sizes: ApiSizes,
    pub standalone: Measured,
    /// kube-apiserver with etcd.
    pub kubernetes: Measured,
    /// App Mesh objects a second that standalone brings until all are Ready.
    pub objects_per_second: f64,
}

const VERBS: [&str; 3] = ["creates", "updates", "reads"];

impl ApiReport {
    /// The figures in order: of standalone, of kube-apiserver, and what they are to each other.
    pub fn figures(&self) -> Vec<Figure> {
        let (ours, theirs) = (&self.standalone, &self.kubernetes);
        let other = |name: &str, measured: f64| {
            Figure::shown(&format!("the same of kube-apiserver with etcd: {name}"), format!("{measured:.1}"))
        };
        let mut figures = vec![
            Figure::at_most("start to ready, ms", ours.ready_ms, 0, 300.0),
            other("ms", theirs.ready_ms),
            Figure::at_most("RSS at rest, MB", ours.rss_mb[0], 1, 60.0),
            other("MB", theirs.rss_mb[0]),
        ];
        for (at, count) in [(1, self.sizes.few), (2, self.sizes.many)] {
            let name = format!("RSS with {count} objects, MB");
            figures.push(Figure::shown(&name, format!("{:.1}", ours.rss_mb[at])));
            figures.push(other("MB", theirs.rss_mb[at]));
        }
        for (clients, ours, theirs) in
            [("one client", ours.alone, theirs.alone), ("sixteen clients", ours.together, theirs.together)]
        {
            for (verb, (ours, theirs)) in VERBS.iter().zip(ours.iter().zip(theirs)) {
                figures.push(Figure::shown(&format!("{verb} a second, {clients}"), format!("{ours:.0}")));
                figures.push(other(verb, theirs));
                let share = format!("{verb}, {clients}: how many times as many");
                figures.push(match *verb {
                    "reads" => Figure::shown(&share, format!("{:.2}", ours / theirs)),
                    _ => Figure::at_least(&share, ours / theirs, 2, 2.0),
                });
            }
        }
        let watchers = format!("a change until each of {} watchers has it", self.sizes.watchers);
        figures.extend([
            Figure::shown(&format!("{watchers}, p50 ms"), format!("{:.1}", ours.watch_ms.p50)),
            other("p50 ms", theirs.watch_ms.p50),
            Figure::shown(&format!("{watchers}, p99 ms"), format!("{:.1}", ours.watch_ms.p99)),
            other("p99 ms", theirs.watch_ms.p99),
            Figure::shown(
                &format!("disk with {} objects, MB", self.sizes.many),
                format!("{:.1}", ours.disk_mb),
            ),
            other("MB", theirs.disk_mb),
            Figure::at_most(
                "the first samples Ready after `kubectl apply`, ms",
                ours.apply_to_ready_ms,
                0,
                150.0,
            ),
            other("ms", theirs.apply_to_ready_ms),
            Figure::at_least(
                "App Mesh objects a second, until all Ready",
                self.objects_per_second,
                0,
                1000.0,
            ),
        ]);
        figures
    }

    /// The table of `docs/performance.md`; a target that was not reached is marked.
    pub fn table(&self) -> String {
        figure::table(&self.figures(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Percentiles;

    fn measured(factor: f64) -> Measured {
        Measured {
            ready_ms: 200.0 / factor,
            rss_mb: [50.0, 60.0, 90.0],
            alone: [100.0 * factor; 3],
            together: [500.0 * factor; 3],
            watch_ms: Percentiles { p50: 1.0, p99: 2.0 },
            disk_mb: 10.0,
            apply_to_ready_ms: 140.0,
        }
    }

    #[test]
    fn writes_are_judged_by_those_of_kube_apiserver_in_the_same_run() {
        let sizes = ApiSizes { alone: 1, few: 2, many: 3, watchers: 1, changes: 1 };
        let report = |factor: f64| ApiReport {
            sizes,
            standalone: measured(factor),
            kubernetes: measured(1.0),
            objects_per_second: 1000.0,
        };
        assert!(figure::missed(&report(2.0).figures()).is_empty());
        let slow = report(1.9);
        let missed = figure::missed(&slow.figures()).len();
        assert_eq!(missed, 4, "creates and updates of one client and of sixteen");
    }
}
