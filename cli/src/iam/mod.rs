//! The command line of `fleetmesh iam`: the permissions that the operator's own IAM identity needs, and the permissions boundary of
//! the roles that it makes. Prints or writes files; makes no calls.

mod args;
mod print;

pub use args::IamArgs;
pub use print::{IamCommand, iam};
