//! Real Envoys behind real interception do what the App Mesh API was asked for: no Kubernetes, except where a Route's status
//! is the point. Each test has instances, a control plane and DNS of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod access_log;
mod acm_pca;
mod acm_pca_server;
mod bed;
mod certificates;
mod cloud_map;
mod cloud_map_front;
mod commits;
mod egress_filter;
mod gateway;
mod generated;
mod grpc_routes;
mod headers;
mod health_check;
mod http_routes;
mod in_force;
mod ipv6;
mod isolation;
mod late_certificate;
mod limits;
mod loads;
mod outage;
mod outages;
mod pool;
mod providers;
mod refusal;
mod refusal_in_status;
mod removal;
mod retries;
mod spec;
mod tcp_routes;
mod timeouts;
mod tls;
mod upgrades;
