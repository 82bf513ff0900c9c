//! The IAM identity of a virtual node's instances: a role that EC2 may assume, one policy that allows reading this
//! node's configuration, and an instance profile. What is wanted ([`Desired`]) and what there is ([`ObservedIdentity`]) give the
//! plan ([`decide()`], [`remove()`]); what came of it gives the part of the reconcile ([`part`]).
//!
//! What of it a resource may ask for is the admin's to say ([`Rules`]): every role is bounded, before anything is attached to
//! it and before an instance gets it.
//!
//! The role comes first and goes last: its ARN tells the account, and with that every other ARN. Pure.

mod attached;
pub mod decide;
pub mod desired;
pub mod document;
pub mod observed;
pub mod part;
pub mod place;
pub mod plan;
pub mod removal;
mod role;
pub mod room;
pub mod rules;
mod shown;
mod strangers;

pub use decide::decide;
pub use desired::{Desired, RefusedIdentity};
pub use observed::{Found, InstanceProfile, ObservedIdentity, Policy, Role};
pub use part::IamOutcome;
pub use place::{Account, Place};
pub use plan::{IamPlan, IamStep, Planned, Then, Thing};
pub use removal::remove;
pub use role::owned_policies;
pub use room::RoleLimits;
pub use rules::Rules;
pub use shown::shown;
pub use strangers::strangers;
