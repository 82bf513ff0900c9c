//! The command line of `fleetmesh iam`: what the operator's own IAM identity needs, and the boundary of those that it makes.
//! Prints or writes files; calls nobody.

mod args;
mod print;

pub use args::IamArgs;
pub use print::{IamCommand, iam};
