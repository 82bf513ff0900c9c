//! The figures of the reconcile benchmark beside their targets and beside AWS's controller. Pure.

use crate::figure::{self, Figure};
use crate::reconcile::ReconcileReport;

/// The share of what the API server alone takes that is to be reached, in percent. The rest is what watching, deciding and
/// App Mesh cost.
const SHARE: f64 = 80.0;

impl ReconcileReport {
    /// What is reached of what the API server alone takes, in percent.
    pub fn share(&self) -> f64 {
        100.0 * self.objects_per_second / self.api_server_objects_per_second
    }

    /// The figures in order. AWS's are those the issue gives for its Go controller.
    pub fn figures(&self) -> Vec<Figure> {
        let (write, ack) = (&self.change_to_write_ms, &self.change_to_last_ack_ms);
        let count = |count: usize| count as f64;
        let rate = |name: &str, rate: f64| Figure::shown(name, format!("{rate:.0}"));
        vec![
            rate("App Mesh objects a second, until all Ready", self.objects_per_second).beside("24"),
            rate(
                "objects a second, the same writes to the API server alone",
                self.api_server_objects_per_second,
            ),
            Figure::at_least("share of that, %", self.share(), 1, SHARE),
            Figure::at_most("App Mesh calls per object", self.calls_per_object, 2, 2.0).beside("2.9–3.5"),
            Figure::at_most("operator CPU, seconds", self.operator_cpu_seconds, 2, 6.0).beside("10.5–12"),
            Figure::at_most("operator peak RSS, MB", self.operator_peak_rss_mb, 1, 60.0).beside("75"),
            Figure::at_most("Ready after `kubectl apply` returned, ms", self.ready_after_apply_ms, 0, 500.0)
                .beside("650"),
            Figure::shown(
                "operator CPU of that apply, seconds",
                format!("{:.2}", self.apply_operator_cpu_seconds),
            )
            .beside("8.1"),
            Figure::at_most("weight change to App Mesh write, p50 ms", write.p50, 1, 3.0).beside("6"),
            Figure::at_most("weight change to App Mesh write, p99 ms", write.p99, 1, 20.0).beside("46"),
            Figure::shown("to the ACK of the last proxy, p50 ms", format!("{:.1}", ack.p50)),
            Figure::at_most("to the ACK of the last proxy, p99 ms", ack.p99, 1, 60.0),
            Figure::at_most("reads per weight change, at most", count(self.reads_per_change), 0, 1.0)
                .beside("10"),
            Figure::at_most("writes per weight change, at most", count(self.writes_per_change), 0, 1.0)
                .beside("1"),
            Figure::shown("App Mesh calls of 100 forced resyncs", self.resync_calls.to_string()),
            Figure::at_most("writes of 100 forced resyncs", count(self.resync_writes), 0, 0.0),
        ]
    }

    /// The table of `docs/performance.md`; a target that was not reached is marked.
    pub fn table(&self) -> String {
        let table = figure::table(&self.figures(), Some("AWS's controller"));
        format!("{} App Mesh objects, {} simulated proxies\n\n{table}", self.objects, self.proxies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Percentiles;

    #[test]
    fn throughput_is_judged_by_its_share_and_not_by_the_machine() {
        let report = |objects_per_second: f64, api_server_objects_per_second: f64| ReconcileReport {
            objects: 1500,
            create_ms: 10_000.0,
            objects_per_second,
            api_server_objects_per_second,
            calls_per_object: 1.0,
            operator_cpu_seconds: 1.3,
            operator_peak_rss_mb: 50.0,
            ready_after_apply_ms: 200.0,
            apply_operator_cpu_seconds: 2.0,
            change_to_write_ms: Percentiles { p50: 1.0, p99: 6.0 },
            change_to_last_ack_ms: Percentiles { p50: 18.0, p99: 30.0 },
            reads_per_change: 1,
            writes_per_change: 1,
            proxies: 100,
            resync_calls: 100,
            resync_writes: 0,
        };
        let missed = |report: ReconcileReport| {
            figure::missed(&report.figures()).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(missed(report(103.0, 120.0)), [""; 0], "a slow machine");
        assert_eq!(missed(report(187.0, 300.0)), ["share of that, %"], "a quick one");
        let slow = ReconcileReport { resync_writes: 1, ..report(103.0, 120.0) };
        assert_eq!(missed(slow), ["writes of 100 forced resyncs"]);
        let table = report(187.0, 300.0).table();
        assert!(table.contains("| share of that, % | 62.3 MISSED | ≥ 80 |  |"), "{table}");
    }
}
