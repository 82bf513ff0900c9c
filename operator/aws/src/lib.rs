//! AWS as the operator uses it: IAM, EC2, Systems Manager and Cloud Map behind one type each, and the HTTP transport that they
//! share with the App Mesh client. The types of the AWS SDK are used here only; the interface has core's types.
//!
//! A crate of its own, because `aws-sdk-ec2` alone compiles for minutes: changes of the operator need not wait for it. The feature
//! `clients` adds the clients of EC2, IAM and Cloud Map, which bring in the SDKs.

#[cfg(feature = "clients")]
pub mod cloud_map;
mod connection;
#[cfg(feature = "clients")]
pub mod ec2;
pub mod error;
#[cfg(feature = "clients")]
pub mod iam;
pub mod metering;
pub mod permissions;
pub mod ssm;
pub mod transport;
pub mod trust;
pub mod write_hook;

pub use connection::AwsConnection;
pub use metering::{Called, Meter, Unmetered};
