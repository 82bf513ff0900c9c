//! Sends an instance's traffic through its Envoy, as App Mesh's start script for EC2 does: outgoing TCP connections to other
//! machines go to Envoy's egress port, incoming ones for the application's ports to its ingress port.
//!
//! - Atomic: all rules of an address family appear, change and disappear in one transaction of the kernel.
//! - Idempotent: `enable` leaves exactly the rules of its options, `disable` none, however often they run.
//! - Stateless: the kernel's rules are the only state, and the options in force are read from them.
//! - Runs in one network namespace wait for each other.

mod backend;
mod iptables;
mod nft;
mod program;
mod state;
#[cfg(test)]
mod test;

pub use backend::{Choice, Surveyed};
pub use program::HostError;
pub use state::{RuleChange, State};

use fleetmesh_instance::interception::Interception;

/// What [`enable`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enabled {
    /// The name of the backend that it did it through.
    pub backend: &'static str,
    /// Whether anything changed.
    pub change: RuleChange,
}

/// Leaves exactly the rules of `wanted`.
///
/// # Errors
/// There is no such backend, or the rules cannot be read or set.
pub fn enable(choice: Choice, wanted: &Interception) -> Result<Enabled, HostError> {
    let _lock = backend::lock()?;
    let (backend, change) = enable_through(&backend::survey(choice)?, wanted)?;
    Ok(Enabled { backend, change })
}

/// Leaves no rule of ours.
///
/// # Errors
/// As of [`enable`].
pub fn disable(choice: Choice) -> Result<RuleChange, HostError> {
    let _lock = backend::lock()?;
    disable_all(backend::survey(choice)?.iter().filter(|found| found.chosen))
}

/// What is in the kernel, by each backend that was chosen.
///
/// # Errors
/// There is no such backend, or its rules cannot be read.
pub fn status(choice: Choice) -> Result<Vec<Surveyed>, HostError> {
    Ok(backend::survey(choice)?.into_iter().filter(|found| found.chosen).collect())
}

/// Enables through the chosen backend, and when the choice is open through the one in use, else the first.
fn enable_through(
    found: &[Surveyed],
    wanted: &Interception,
) -> Result<(&'static str, RuleChange), HostError> {
    let in_use = found.iter().find(|found| found.chosen && found.state != State::Disabled);
    let target = in_use.or_else(|| found.iter().find(|found| found.chosen)).ok_or(HostError::NoBackend)?;
    let name = target.backend.name();
    let first = target.backend.apply(Some(wanted))?;
    // The new rules are in force before those of the other backend go, so no connection slips through between.
    let second = disable_all(found.iter().filter(|other| other.backend.name() != name))?;
    Ok((name, first.and(second)))
}

fn disable_all<'a>(found: impl Iterator<Item = &'a Surveyed>) -> Result<RuleChange, HostError> {
    found
        .map(|found| found.backend.apply(None))
        .try_fold(RuleChange::None, |all, change| Ok(all.and(change?)))
}
