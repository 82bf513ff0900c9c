//! AWS as the operator uses it: IAM, EC2, Systems Manager and Cloud Map behind one type each, and the HTTP transport that they
//! share with the App Mesh client. The types of the AWS SDK are used here only; the interface has core's types.
//!
//! A crate of its own, because `aws-sdk-ec2` alone compiles for minutes: changes of the operator need not wait for it.

pub mod cloud_map;
mod connection;
pub mod ec2;
pub mod error;
pub mod iam;
pub mod metering;
pub mod permissions;
pub mod signer;
pub mod ssm;
pub mod transport;
pub mod trust;
pub mod write_hook;

pub use connection::AwsConnection;
pub use metering::{Called, Meter, Unmetered};
