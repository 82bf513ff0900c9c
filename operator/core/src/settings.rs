//! The operator's settings from its start. Pure data.

use std::time::Duration;

use crate::iam::Rules;

/// Settings that decisions depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The identity of this cluster, written into the ownership tags.
    pub cluster: String,
    /// How often an object at rest is compared with the endpoint.
    pub drift_interval: Duration,
    /// How long connected proxies that say nothing about a version are waited for, before those that do decide.
    pub proxy_patience: Duration,
    /// What IAM identities may be.
    pub iam: Rules,
}
