//! The command line of `fleetmesh iam`: what the operator's own IAM identity needs. Prints; calls nobody.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use fleetmesh_aws::permissions::{Scope, document};

/// What the operator's own IAM identity needs.
#[derive(Clone, Debug, Subcommand)]
pub enum IamCommand {
    /// Print the policy document that allows the operator every call that it can make, and nothing else.
    Policy(PolicyArgs),
}

/// The values that narrow the policy.
#[derive(Args, Clone, Debug)]
pub struct PolicyArgs {
    /// The region of the fleets; every one when absent
    #[arg(long, env = "FLEETMESH_REGION", value_name = "REGION", default_value = "*")]
    pub region: String,

    /// The account; every one when absent
    #[arg(long, env = "FLEETMESH_ACCOUNT_ID", value_name = "ID", default_value = "*")]
    pub account_id: String,

    /// The operator's --cluster-name, or the uid of the namespace kube-system; every cluster's things when absent
    #[arg(long, env = "FLEETMESH_CLUSTER_NAME", value_name = "NAME", default_value = "*")]
    pub cluster_name: String,

    /// The IAM path of spec.iam.path, with a slash at both ends
    #[arg(long, value_name = "PATH", default_value = fleetmesh_crds::iam::DEFAULT_PATH, value_parser = path)]
    pub path: String,
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.ends_with('/') {
        return Ok(text.to_owned());
    }
    Err(format!("{text} is no IAM path: it begins and ends with a slash"))
}

/// Runs a command, which prints to `out`.
///
/// # Errors
/// `out` cannot be written.
pub fn iam(command: IamCommand, out: &mut impl Write) -> io::Result<()> {
    let IamCommand::Policy(PolicyArgs { region, account_id, cluster_name, path }) = command;
    let partition = partition(&region).to_owned();
    let scope = Scope { partition, region, account: account_id, cluster: cluster_name, path };
    writeln!(out, "{:#}", document(&scope))
}

/// The partition that a region is in.
fn partition(region: &str) -> &'static str {
    match region {
        "*" => "*",
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
