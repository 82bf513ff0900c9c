//! Metrics of the operator and the control plane: a registry that also knows its families. A family without samples is not on the
//! page, so whoever checks a dashboard, an alert or a document needs the [`Catalog`]. No I/O.

mod catalog;
mod labels;

pub use catalog::{Catalog, Counters, Description, Gauges, Histograms, MetricKind, Series};
pub use labels::Labels;
#[doc(hidden)]
pub use prometheus_client::encoding::EncodeLabelSet;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
