//! The decisions of the operator. From the observation of a custom resource and its App Mesh object this crate computes the plan of
//! steps ([`decide()`]), and from the outcome of the plan the status ([`status()`]), the Events ([`deeds()`], [`complaint()`]) and the
//! time of the next look ([`next_look`]).
//!
//! ```text
//! Observed + Settings ──decide──▶ Decision{Plan} ──(the shell applies)──▶ Outcome ──status, events, next_look──▶ report
//! ```
//!
//! Pure, which Cargo.toml shows: no runtime, Kubernetes client, AWS SDK, clock, environment or randomness. Time comes in as an
//! argument, so the same inputs give the same bytes.

pub mod canary;
pub mod claim;
pub mod condition;
pub mod decide;
pub mod decision;
pub mod deletion;
pub mod event;
pub mod failure;
pub mod fleet;
pub mod iam;
pub mod lease;
pub mod load;
pub mod lone;
pub mod mesh_tls;
pub mod object;
pub mod observed;
pub mod outcome;
pub mod owner;
pub mod part;
pub mod permission;
pub mod plan;
pub mod programmed;
pub mod references;
pub mod retry;
pub mod settings;
pub mod status;
pub mod tie;
pub mod together;
pub mod token;

pub use claim::{Maker, Tagged};
pub use condition::Finding;
pub use decide::decide;
pub use decision::{Decision, Drift, Verdict};
pub use event::{Event, Severity, complaint, deeds};
pub use failure::{Failure, FailureClass};
pub use load::{Loads, Witnesses};
pub use object::{Object, ObjectKey};
pub use observed::{
    Allowance, Deprecation, Distribution, Evidence, Observed, OwnerClaim, Reach, Reads, Referent, Remote,
    RemoteIdentity, RemoteObject,
};
pub use outcome::Outcome;
pub use part::{Part, Parts};
pub use permission::{Grants, Missing, Permission};
pub use plan::{Idle, Plan, Step, Waiting};
pub use retry::{NextLook, after_panic, next_look, parts_look};
pub use settings::Settings;
pub use status::status;
