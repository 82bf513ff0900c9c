//! The kernel's two interfaces behind one, and which of them a command uses. Runs programs through them.

use std::fs::File;

use fleetmesh_instance::interception::Interception;

use super::iptables::Iptables;
use super::nft::Nft;
use super::program::HostError;
use super::state::{RuleChange, State};

/// One of the kernel's interfaces.
#[derive(Clone, Debug)]
pub enum FilterBackend {
    /// iptables and ip6tables.
    Iptables(Iptables),
    /// nft.
    Nft(Nft),
}

impl FilterBackend {
    /// The name as in `--backend`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Iptables(_) => "iptables",
            Self::Nft(_) => "nft",
        }
    }

    /// What is in the kernel.
    pub fn state(&self) -> Result<State, HostError> {
        match self {
            Self::Iptables(iptables) => iptables.state(),
            Self::Nft(nft) => nft.state(),
        }
    }

    /// Brings the kernel to exactly what `wanted` says; `None` removes all that is ours.
    pub fn apply(&self, wanted: Option<&Interception>) -> Result<RuleChange, HostError> {
        match self {
            Self::Iptables(iptables) => iptables.apply(wanted),
            Self::Nft(nft) => nft.apply(wanted),
        }
    }

    fn is(&self, choice: Choice) -> bool {
        match choice {
            Choice::Auto => true,
            Choice::Iptables => matches!(self, Self::Iptables(_)),
            Choice::Nft => matches!(self, Self::Nft(_)),
        }
    }
}

/// A choice of backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The one that is in use already, else iptables, else nft, as far as the host has them.
    Auto,
    /// iptables-restore, and ip6tables-restore for IPv6.
    Iptables,
    /// nft.
    Nft,
}

/// An interface of this host and what it holds.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// The interface.
    pub backend: FilterBackend,
    /// What was found in the kernel.
    pub state: State,
    /// Whether the caller's choice includes it.
    pub chosen: bool,
}

/// Reads every interface that the host has, iptables first. At least one in the answer is chosen.
///
/// One that the caller did not ask for by name and that cannot be read (an nft on a kernel without nf_tables, say) is
/// left out: it cannot have been used either.
pub fn survey(choice: Choice) -> Result<Vec<Surveyed>, HostError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found =
        [Iptables::find(&path).map(FilterBackend::Iptables), Nft::find(&path).map(FilterBackend::Nft)];
    let mut failure = missing(choice);
    let mut surveyed = Vec::new();
    for backend in found.into_iter().flatten() {
        let chosen = backend.is(choice);
        match backend.state() {
            Ok(state) => surveyed.push(Surveyed { backend, state, chosen }),
            Err(error) if chosen => failure = error,
            Err(_) => {}
        }
    }
    if surveyed.iter().any(|found| found.chosen) { Ok(surveyed) } else { Err(failure) }
}

fn missing(choice: Choice) -> HostError {
    match choice {
        Choice::Auto => HostError::NoBackend,
        Choice::Iptables => {
            HostError::Missing { programs: "iptables-save and iptables-restore", package: "iptables" }
        }
        Choice::Nft => HostError::Missing { programs: "nft", package: "nftables" },
    }
}

/// Makes this run the only one in its network namespace, until the answer is dropped.
///
/// The lock is on the namespace itself: its scope is that of the rules, and no file is left behind.
pub fn lock() -> Result<File, HostError> {
    let namespace = File::open("/proc/self/ns/net").map_err(HostError::Lock)?;
    namespace.lock().map_err(HostError::Lock)?;
    Ok(namespace)
}
