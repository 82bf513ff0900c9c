//! The IAM identity of a virtual node's instances: a role that EC2 may assume, one policy that allows reading this
//! node's configuration, and an instance profile. [`Desired`] and [`ObservedIdentity`] give the plan ([`decide()`], [`remove()`]);
//! its outcome gives the part of the reconcile ([`part`]).
//!
//! The admin decides what a resource may ask for ([`Rules`]): every role has a permissions boundary before anything is
//! attached to it and before an instance gets it.
//!
//! The role is made first and deleted last: its ARN contains the account, from which every other ARN follows. Pure.

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
pub use place::{Account, Place, own_name};
pub use plan::{IamPlan, IamStep, Planned, Then, Thing};
pub use removal::remove;
pub use role::owned_policies;
pub use room::RoleLimits;
pub use rules::Rules;
pub use shown::shown;
pub use strangers::strangers;
