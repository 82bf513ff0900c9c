//! The registry, and the description of each family in it.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::Labels;

/// Counters by labels.
pub type Counters<L> = Family<L, Counter>;
/// Gauges by labels.
pub type Gauges<L> = Family<L, Gauge>;
/// Histograms by labels.
pub type Histograms<L> = Family<L, Histogram, Buckets>;

/// The upper bounds of a histogram's buckets.
#[derive(Clone, Debug)]
pub struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// What sort of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Grows only; its name ends with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by their size.
    Histogram,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// One family of metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name with the prefix, as queries have it; of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// What sort it is.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it measures, in words; no full stop at the end.
    pub help: &'static str,
}

/// A name that a query can have, and the labels that its samples carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The name.
    pub name: String,
    /// The names of the labels.
    pub labels: Vec<&'static str>,
}

impl Description {
    /// The series of the family: three of a histogram, one of the others.
    pub fn series(&self) -> Vec<Series> {
        let plain = |name: String| Series { name, labels: self.labels.to_vec() };
        let Self { name, kind, labels, help: _ } = self;
        match kind {
            MetricKind::Counter | MetricKind::Gauge => vec![plain(name.clone())],
            MetricKind::Histogram => {
                let with_le = ["le"].iter().chain(*labels).copied().collect();
                let bucket = Series { name: format!("{name}_bucket"), labels: with_le };
                vec![bucket, plain(format!("{name}_sum")), plain(format!("{name}_count"))]
            }
        }
    }
}

/// Families of metrics under one prefix.
#[derive(Debug)]
pub struct Catalog {
    prefix: &'static str,
    registry: Registry,
    families: Vec<Description>,
}

impl Catalog {
    /// An empty one, whose names begin with `prefix` and an underscore.
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, registry: Registry::with_prefix(prefix), families: Vec::new() }
    }

    /// A counter; `_total` is added to its name.
    pub fn counter(&mut self, name: &str, help: &'static str) -> Counter {
        self.add(name, help, MetricKind::Counter, &[], Counter::default())
    }

    /// Counters; `_total` is added to their name.
    pub fn counters<L: Labels>(&mut self, name: &str, help: &'static str) -> Counters<L> {
        self.add(name, help, MetricKind::Counter, L::NAMES, Family::default())
    }

    /// A gauge.
    pub fn gauge(&mut self, name: &str, help: &'static str) -> Gauge {
        self.add(name, help, MetricKind::Gauge, &[], Gauge::default())
    }

    /// Gauges.
    pub fn gauges<L: Labels>(&mut self, name: &str, help: &'static str) -> Gauges<L> {
        self.add(name, help, MetricKind::Gauge, L::NAMES, Family::default())
    }

    /// A histogram with these upper bounds; they are in the unit that the name ends with.
    pub fn histogram(&mut self, name: &str, help: &'static str, buckets: &'static [f64]) -> Histogram {
        self.add(name, help, MetricKind::Histogram, &[], Buckets(buckets).new_metric())
    }

    /// Histograms with these upper bounds.
    pub fn histograms<L: Labels>(
        &mut self,
        name: &str,
        help: &'static str,
        buckets: &'static [f64],
    ) -> Histograms<L> {
        self.add(name, help, MetricKind::Histogram, L::NAMES, Family::new_with_constructor(Buckets(buckets)))
    }

    fn add<M: Metric + Clone>(
        &mut self,
        name: &str,
        help: &'static str,
        kind: MetricKind,
        labels: &'static [&'static str],
        metric: M,
    ) -> M {
        self.registry.register(name, help, metric.clone());
        let suffix = if kind == MetricKind::Counter { "_total" } else { "" };
        self.families.push(Description {
            name: format!("{}_{name}{suffix}", self.prefix),
            kind,
            labels,
            help,
        });
        metric
    }

    /// Every family, those without samples too, in the order of the page.
    pub fn families(&self) -> &[Description] {
        &self.families
    }

    /// The page: OpenMetrics text, without families that have no sample.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::labels! {
        struct Way { from: &'static str, to: &'static str }
    }

    #[test]
    fn what_is_described_is_what_is_printed() {
        let mut catalog = Catalog::new("trip");
        let trips = catalog.counters::<Way>("trips", "Trips");
        let seconds = catalog.histograms::<Way>("seconds", "How long", &[1.0]);
        catalog.gauge("open", "Trips under way").set(2);
        assert_eq!(catalog.families().len(), 3);
        assert!(!catalog.text().contains("trips"), "no sample, no family: that is why there is a catalog");
        let way = Way { from: "a", to: "b" };
        trips.get_or_create(&way).inc();
        seconds.get_or_create(&way).observe(0.5);
        let text = catalog.text();
        for line in [
            "trip_trips_total{from=\"a\",to=\"b\"} 1\n",
            "trip_seconds_bucket{le=\"1.0\",from=\"a\",to=\"b\"} 1\n",
            "trip_seconds_count{from=\"a\",to=\"b\"} 1\n",
            "trip_open 2\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let printed: std::collections::BTreeSet<&str> =
            samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
        let described: Vec<Series> = catalog.families().iter().flat_map(Description::series).collect();
        let names: std::collections::BTreeSet<&str> =
            described.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(printed, names);
        assert_eq!(described[1].labels, ["le", "from", "to"]);
    }
}
