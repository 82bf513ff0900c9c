//! The EC2 instances of a virtual node: what exists, what to do about it, and what to report.
//!
//! ```text
//! Observed + Input ──decide──▶ Decision{Vec<Step>} ──(the shell applies)──▶ Outcome ──report──▶ Part
//! ```
//!
//! The operator owns the instances one by one: `CreateFleet` only launches them. Each instance has tags that say whose it is, and
//! from which template and launch it came, so that a lost reply does no harm. Changes from outside to the template or to those tags
//! are reverted. Pure.

pub mod architecture;
pub mod capacity;
pub mod class;
pub mod cloud_map;
pub mod deaths;
pub mod decide;
pub mod decision;
pub mod enroll;
mod events;
pub mod launch;
pub mod limits;
pub mod migrate;
pub mod observed;
pub mod plan;
pub mod report;
pub mod scale;
mod tagging;
pub mod template;
pub mod user_data;
mod version;
pub mod zones;

pub use fleetmesh_instance::JoinOptions;

pub use capacity::Exhausted;
pub use class::{Admitted, ClassLookup, ClassRefusal, admit, admit_policies, is_ami_id, withheld};
pub use decide::decide;
pub use decision::{FleetDecision, Input};
pub use launch::{LaunchError, ZoneLaunch};
pub use limits::{Grant, Ledger};
pub use observed::{
    Association, Checks, FleetProxies, Instance, InstanceState, ObservedFleet, Registered, Template, Version,
};
pub use plan::FleetStep;
pub use report::{FailedStep, FleetOutcome, report, unseen};
pub use template::TemplateContent;
pub use user_data::FleetPlace;
pub use zones::Subnet;
