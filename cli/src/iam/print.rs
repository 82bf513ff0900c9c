//! What `fleetmesh iam` prints or writes.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;
use fleetmesh_aws::permissions::{LONGEST, PolicyDocument, boundary, document, size};
use serde_json::{Map, Value};

use super::args::{BoundaryArgs, PolicyArgs};

/// What the operator's own IAM identity needs, and the boundary of those that it makes.
#[derive(Clone, Debug, Subcommand)]
pub enum IamCommand {
    /// Print the policy documents that allow the operator every call that it can make, and nothing else: mesh, iam, ec2,
    /// launch, kms and cloudmap, each for a managed policy of its own. Attach those that are printed
    Policy(Box<PolicyArgs>),
    /// Print the policy document for the permissions boundary of nodes' roles: their instances may read their configuration and
    /// pull images, whatever else is attached
    Boundary(BoundaryArgs),
}

/// Why nothing, or not everything, was printed.
#[derive(Debug, thiserror::Error)]
pub enum IamError {
    /// The document needs a flag.
    #[error("there is no document {name} for these flags: {why}")]
    NoDocument {
        /// Its name.
        name: String,
        /// What is missing.
        why: &'static str,
    },
    /// IAM would refuse the document.
    #[error(
        "the document {name} has {size} characters, and IAM allows {LONGEST} in a managed policy: give fewer limits, or patterns in their place"
    )]
    TooLong {
        /// Its name.
        name: PolicyDocument,
        /// How many characters it has.
        size: usize,
    },
    /// It cannot be written.
    #[error("cannot write {path}: {source}")]
    File {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The standard output is closed, or full.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Runs a command, which prints to `out`, and to `notes` what is for people.
///
/// # Errors
/// There is no such document, or it cannot be written.
pub fn iam(command: IamCommand, out: &mut impl Write, notes: &mut impl Write) -> Result<(), IamError> {
    match command {
        IamCommand::Boundary(args) => writeln!(out, "{:#}", boundary(&args.boundary()))?,
        IamCommand::Policy(args) => policy(&args, out, notes)?,
    }
    Ok(())
}

fn policy(args: &PolicyArgs, out: &mut impl Write, notes: &mut impl Write) -> Result<(), IamError> {
    let scope = args.scope();
    let found = PolicyDocument::ALL.into_iter().map(|name| (name, document(&scope, name)));
    let (there, missing): (Vec<_>, Vec<_>) = found.partition(|(_, document)| document.is_some());
    let there: Vec<(PolicyDocument, Value)> =
        there.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
    if let Some((name, text)) = there.iter().find(|(_, text)| size(text) > LONGEST) {
        return Err(IamError::TooLong { name: *name, size: size(text) });
    }
    let why = |name: PolicyDocument| match name {
        PolicyDocument::CloudMap if scope.permissions_boundary.is_some() => {
            "it wants --cloud-map-service, the services that instances may be registered in"
        }
        _ => "it wants --iam-permissions-boundary, as the operator does for nodes with iam",
    };
    if let Some(name) = &args.document {
        let found = there.iter().find(|(document, _)| document.name() == name);
        let Some((_, text)) = found else {
            let why = missing
                .iter()
                .find(|(document, _)| document.name() == name)
                .map(|(document, _)| why(*document));
            return Err(IamError::NoDocument { name: name.clone(), why: why.unwrap_or_default() });
        };
        writeln!(out, "{text:#}")?;
        return Ok(());
    }
    for (name, _) in &missing {
        writeln!(notes, "no document {name}: {}", why(*name))?;
    }
    let Some(folder) = &args.out_dir else {
        let all: Map<String, Value> =
            there.into_iter().map(|(name, text)| (name.name().to_owned(), text)).collect();
        writeln!(out, "{:#}", Value::Object(all))?;
        return Ok(());
    };
    let failed = |path: PathBuf| |source| IamError::File { path, source };
    std::fs::create_dir_all(folder).map_err(failed(folder.clone()))?;
    for (name, text) in there {
        let path = folder.join(format!("{name}.json"));
        std::fs::write(&path, format!("{text:#}\n")).map_err(failed(path.clone()))?;
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}
