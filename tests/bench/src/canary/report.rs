//! The figures beside their targets, as a Markdown table. Pure.

use serde::Serialize;

use super::{Sizes, abort, idle, rollouts};
use crate::figure::{self, Figure};

/// What was measured; a part that was left out is absent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CanaryReport {
    /// Of how much.
    pub sizes: Sizes,
    /// Many rollouts at once.
    pub rollouts: Option<rollouts::Figures>,
    /// Aborts under many proxies.
    pub aborts: Option<abort::AbortFigures>,
    /// Many routes that rest.
    pub idle: Option<idle::IdleFigures>,
}

/// How much resident memory may move while nothing happens: allocators give back and take.
const FLAT_MB: f64 = 2.0;

impl CanaryReport {
    /// The figures in order.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        figures.extend(self.rollouts.iter().flat_map(|of| of_rollouts(of, self.sizes.routes)));
        figures.extend(self.aborts.iter().flat_map(|of| of_aborts(of, self.sizes.proxies)));
        figures.extend(self.idle.iter().flat_map(|of| of_idle(of, &self.sizes)));
        figures
    }

    /// The table of `docs/performance.md`; a target that was not reached is marked.
    pub fn table(&self) -> String {
        figure::table(&self.figures(), None)
    }
}

fn of_rollouts(figures: &rollouts::Figures, routes: usize) -> Vec<Figure> {
    let (decision, write) = (&figures.decision_delay_ms, &figures.write_delay_ms);
    let cpu = figures.operator_cpu_seconds;
    let percent = 100.0 * cpu / figures.seconds;
    vec![
        Figure::shown(
            &format!("{routes} routes in rollout at once, three steps each, seconds"),
            format!("{:.0}", figures.seconds),
        ),
        Figure::shown("operator CPU, seconds", format!("{cpu:.2} ({percent:.1} % of a core)")),
        Figure::shown("operator peak RSS, MB", format!("{:.1}", figures.operator_peak_rss_mb)),
        Figure::shown("decision behind its due time, p50 ms", format!("{:.1}", decision.p50)),
        Figure::at_most("decision behind its due time, p99 ms", decision.p99, 1, 1000.0),
        Figure::shown("App Mesh write behind the due time, p50 ms", format!("{:.1}", write.p50)),
        Figure::shown("App Mesh write behind the due time, p99 ms", format!("{:.1}", write.p99)),
        Figure::shown("App Mesh reads per step", format!("{:.2}", figures.reads_per_step)),
        Figure::shown("App Mesh writes per step", format!("{:.2}", figures.writes_per_step)),
    ]
}

fn of_aborts(figures: &abort::AbortFigures, proxies: usize) -> Vec<Figure> {
    let (decision, ack) = (&figures.request_to_decision_ms, &figures.decision_to_last_ack_ms);
    let aborts = figures.aborts;
    vec![
        Figure::shown(
            &format!("{aborts} aborts under {proxies} proxies: RouteAction to decision, p50 ms"),
            format!("{:.1}", decision.p50),
        ),
        Figure::shown("RouteAction to decision, p99 ms", format!("{:.1}", decision.p99)),
        Figure::shown("abort decision to the ACK of the last proxy, p50 ms", format!("{:.1}", ack.p50)),
        Figure::at_most("abort decision to the ACK of the last proxy, p99 ms", ack.p99, 1, 500.0),
    ]
}

fn of_idle(figures: &idle::IdleFigures, sizes: &Sizes) -> Vec<Figure> {
    let (routes, seconds) = (sizes.idle, sizes.idle_seconds);
    let idle::IdleFigures { calls, operator_cpu_percent, rss_before_mb, rss_after_mb, rss_most_mb } = figures;
    vec![
        Figure::at_most(
            &format!("{routes} routes that rest, App Mesh calls in {seconds} s"),
            *calls as f64,
            0,
            0.0,
        ),
        Figure::shown("operator CPU, % of a core", format!("{operator_cpu_percent:.2}")),
        Figure::shown("operator RSS before and after, MB", format!("{rss_before_mb:.1}, {rss_after_mb:.1}")),
        Figure::at_most("growth of RSS at the most, MB", rss_most_mb - rss_before_mb, 1, FLAT_MB),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Percentiles;

    #[test]
    fn a_target_that_is_not_reached_is_marked() {
        let sizes = Sizes { routes: 0, step_seconds: 1, proxies: 10, aborts: 1, idle: 0, idle_seconds: 1 };
        let ack = Percentiles { p50: 300.0, p99: 500.5 };
        let aborts = abort::AbortFigures {
            aborts: 1,
            request_to_decision_ms: Percentiles { p50: 1.0, p99: 2.0 },
            decision_to_last_ack_ms: ack,
        };
        let table = CanaryReport { sizes, rollouts: None, aborts: Some(aborts), idle: None }.table();
        assert!(table.contains("last proxy, p99 ms | 500.5 MISSED | ≤ 500 |"), "{table}");
        assert_eq!(table.matches("MISSED").count(), 1, "{table}");
    }
}
