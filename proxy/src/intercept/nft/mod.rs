//! Interception by nft: one table of our own, replaced or removed in one transaction. Runs programs.

mod listing;

use fleetmesh_instance::interception::Interception;
use fleetmesh_instance::interception::nft::{self as rules, NftRule, TABLE};

use super::program::{HostError, Program};
use super::state::{RuleChange, State};

/// The nft of a host.
#[derive(Clone, Debug)]
pub struct Nft(Program);

impl Nft {
    /// Looks for the program.
    pub fn find(path: &str) -> Option<Self> {
        Program::find("nft", path).map(Self)
    }

    /// Our rules; `None` when our table does not exist.
    fn read(&self) -> Result<Option<Vec<NftRule>>, HostError> {
        let unreadable = |reason| HostError::Unreadable { program: "nft", reason };
        if !listing::has_table(&self.0.run(&["-j", "list", "tables"], "")?).map_err(unreadable)? {
            return Ok(None);
        }
        let listing = self.0.run(&["-j", "list", "table", "inet", TABLE], "")?;
        listing::rules(&listing).map(Some).map_err(unreadable)
    }

    /// What is in the kernel.
    pub fn state(&self) -> Result<State, HostError> {
        Ok(self.read()?.map_or(State::Disabled, |found| state(&found)))
    }

    /// Brings the kernel to exactly what `wanted` says; `None` removes all that is ours.
    pub fn apply(&self, wanted: Option<&Interception>) -> Result<RuleChange, HostError> {
        let found = self.read()?;
        if found == wanted.map(rules::rules) {
            return Ok(RuleChange::None);
        }
        let script = wanted.map_or_else(|| format!("delete table inet {TABLE}\n"), rules::replace);
        self.0.run(&["-f", "-"], &script)?;
        Ok(RuleChange::Made)
    }
}

fn state(found: &[NftRule]) -> State {
    let lines = |rules: &[NftRule]| {
        rules.iter().map(|rule| format!("{}: {}", rule.chain, rule.text)).collect::<Vec<_>>()
    };
    State::compare(&lines(found), rules::read(found), |wanted| lines(&rules::rules(wanted)))
}

#[cfg(test)]
mod tests;
