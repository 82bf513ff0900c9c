//! The figures beside their targets and beside AWS's controller, as a Markdown table. Pure.

use crate::reconcile::Report;

impl Report {
    /// The table of `docs/performance.md`. AWS's figures are those the issue gives for its Go controller.
    pub fn table(&self) -> String {
        let (write, ack) = (&self.change_to_write_ms, &self.change_to_last_ack_ms);
        let rows = [
            (
                "App Mesh objects a second, until all Ready",
                format!("{:.0}", self.objects_per_second),
                "≥ 150",
                "24",
            ),
            ("App Mesh calls per object", format!("{:.2}", self.calls_per_object), "≤ 2", "2.9–3.5"),
            ("operator CPU, seconds", format!("{:.2}", self.operator_cpu_seconds), "≤ 6", "10.5–12"),
            ("operator peak RSS, MB", format!("{:.1}", self.operator_peak_rss_mb), "≤ 60", "75"),
            (
                "Ready after `kubectl apply` returned, ms",
                format!("{:.0}", self.ready_after_apply_ms),
                "≤ 500",
                "650",
            ),
            (
                "operator CPU of that apply, seconds",
                format!("{:.2}", self.apply_operator_cpu_seconds),
                "",
                "8.1",
            ),
            ("weight change to App Mesh write, p50 ms", format!("{:.1}", write.p50), "≤ 3", "6"),
            ("weight change to App Mesh write, p99 ms", format!("{:.1}", write.p99), "≤ 20", "46"),
            ("to the ACK of the last proxy, p50 ms", format!("{:.1}", ack.p50), "", ""),
            ("to the ACK of the last proxy, p99 ms", format!("{:.1}", ack.p99), "≤ 60", ""),
            ("reads per weight change, at most", self.reads_per_change.to_string(), "≤ 1", "10"),
            ("writes per weight change, at most", self.writes_per_change.to_string(), "1", "1"),
            ("App Mesh calls of 100 forced resyncs", self.resync_calls.to_string(), "", ""),
            ("writes of 100 forced resyncs", self.resync_writes.to_string(), "0", ""),
        ];
        let mut text = format!("{} App Mesh objects, {} simulated proxies\n\n", self.objects, self.proxies);
        text.push_str("| figure | measured | to reach | AWS's controller |\n|---|---|---|---|\n");
        for (figure, measured, target, peer) in rows {
            text.push_str(&format!("| {figure} | {measured} | {target} | {peer} |\n"));
        }
        text
    }
}
