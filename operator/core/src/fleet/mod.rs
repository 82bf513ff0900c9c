//! The EC2 instances of a virtual node: what is there, what is to be done about it, and what to say of it.
//!
//! ```text
//! Observed + Input ──decide──▶ Decision{Vec<Step>} ──(the shell applies)──▶ Outcome ──report──▶ Part
//! ```
//!
//! The operator owns the instances one by one: `CreateFleet` only launches them. Each instance carries tags that say whose
//! it is, from what and by which launch it came, so that a reply that is lost costs nothing. What somebody changes from
//! outside in the template or in those tags is put back. Pure.

pub mod class;
pub mod cloud_map;
pub mod decide;
pub mod decision;
pub mod enroll;
mod events;
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

pub use fleetmesh_instance::JoinOptions;

pub use class::{Admitted, ClassLookup, ClassRefusal, admit, admit_policies, is_ami_id, withheld};
pub use decide::decide;
pub use decision::{FleetDecision, Input};
pub use limits::{Grant, Ledger};
pub use observed::{
    Association, Checks, FleetProxies, Instance, InstanceState, ObservedFleet, Registered, Template, Version,
};
pub use plan::FleetStep;
pub use report::{FleetOutcome, report, unseen};
pub use template::TemplateContent;
pub use user_data::FleetPlace;
