//! Sending an instance's traffic through its Envoy, as App Mesh's start script for EC2 does: outgoing TCP connections
//! to other machines go to Envoy's egress port, incoming ones for the application's ports to its ingress port.
//!
//! - Atomic: all rules of an address family appear, change and go in one transaction of the kernel.
//! - Idempotent: `enable` leaves exactly the rules of its options, `disable` none, however often they run.
//! - Nothing is kept beside the kernel's rules: options in force are read back from them.
//! - Runs in one network namespace wait for each other.

mod backend;
mod iptables;
mod list;
mod nft;
mod options;
mod program;
mod report;
mod state;
#[cfg(test)]
mod test;

use std::io::Write;
use std::process::ExitCode;

pub use list::List;
pub use options::{BackendArgs, Choice, EnableArgs, InterceptCommand, InterceptStatusArgs, StatusFormat};
pub use program::HostError;

use fleetmesh_instance::interception::Interception;

use backend::Surveyed;
use state::{RuleChange, State};

use crate::Error;

/// Runs `command` and writes what it answers to `out`; see [`crate::run`] for the exit code.
pub fn run(command: &InterceptCommand, out: &mut dyn Write) -> Result<ExitCode, Error> {
    match command {
        InterceptCommand::Enable(args) => {
            let wanted = args.interception()?;
            let _lock = backend::lock()?;
            let (backend, change) = enable(&backend::survey(args.backend.backend)?, &wanted)?;
            report::enabled(backend, change, &wanted, out)?;
            Ok(ExitCode::SUCCESS)
        }
        InterceptCommand::Disable(args) => {
            let _lock = backend::lock()?;
            let change = disable(backend::survey(args.backend)?.iter().filter(|found| found.chosen))?;
            report::disabled(change, out)?;
            Ok(ExitCode::SUCCESS)
        }
        InterceptCommand::Status(args) => {
            let found = backend::survey(args.backend.backend)?;
            let chosen = found.into_iter().filter(|found| found.chosen).collect::<Vec<_>>();
            report::status(&chosen, args.output, out)
        }
    }
}

/// Enables through the chosen backend, and when the choice is open through the one in use, else the first.
fn enable(found: &[Surveyed], wanted: &Interception) -> Result<(&'static str, RuleChange), HostError> {
    let in_use = found.iter().find(|found| found.chosen && found.state != State::Disabled);
    let target = in_use.or_else(|| found.iter().find(|found| found.chosen)).ok_or(HostError::NoBackend)?;
    let name = target.backend.name();
    let first = target.backend.apply(Some(wanted))?;
    // The new rules are in force before those of the other backend go, so no connection slips through between.
    let second = disable(found.iter().filter(|other| other.backend.name() != name))?;
    Ok((name, first.and(second)))
}

fn disable<'a>(found: impl Iterator<Item = &'a Surveyed>) -> Result<RuleChange, HostError> {
    found
        .map(|found| found.backend.apply(None))
        .try_fold(RuleChange::None, |all, change| Ok(all.and(change?)))
}
