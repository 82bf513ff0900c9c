//! The EC2 instances of a virtual node: what is there, what is to be done about it, and what to say of it.
//!
//! ```text
//! Observed + Input ──decide──▶ Decision{Vec<Step>} ──(the shell applies)──▶ Outcome ──report──▶ Part
//! ```
//!
//! The operator owns the instances one by one: `CreateFleet` only launches them. Each instance carries tags that say whose
//! it is, from which version of the launch template and by which launch it came, so that a reply that is lost costs
//! nothing. Pure.

pub mod cloud_map;
pub mod decide;
pub mod enroll;
pub mod observed;
pub mod plan;
pub mod report;
pub mod scale;
pub mod template;
pub mod user_data;

pub use decide::{Decision, Input, decide};
pub use observed::{Association, Checks, Instance, Observed, Proxies, Registered, State, Template};
pub use plan::Step;
pub use report::{Outcome, report, unseen};
pub use template::Content;
pub use user_data::Place;

/// The tag that names the version of the launch template that an instance was launched from.
pub const TEMPLATE_VERSION_TAG: &str = "fleetmesh.dev/template-version";
/// The tag that numbers the launch that an instance came from.
pub const LAUNCH_TAG: &str = "fleetmesh.dev/launch";
/// The tag that tells since when an instance is being drained, as a timestamp of RFC 3339.
pub const DRAINING_TAG: &str = "fleetmesh.dev/draining-since";
