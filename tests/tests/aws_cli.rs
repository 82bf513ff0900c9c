//! The real AWS CLI and boto3 against `fleetmesh control-plane`: the scenario's commands, paginators, error classes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[path = "aws_cli/boto.rs"]
mod boto;
#[path = "aws_cli/errors.rs"]
mod errors;
#[path = "aws_cli/model.rs"]
mod model;
#[path = "aws_cli/paginators.rs"]
mod paginators;
#[path = "aws_cli/scenario.rs"]
mod scenario;
