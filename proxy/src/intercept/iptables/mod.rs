//! Interception by iptables and ip6tables: one `iptables-restore --noflush` per address family, so that each family changes at once
//! and nobody else's rules are touched. Runs programs.
//!
//! The two families are two transactions. Both are tested before either is applied, and when the second still fails, the first is
//! reverted.

use fleetmesh_instance::interception::Interception;
use fleetmesh_instance::interception::iptables::{self as rules, Family, Table};

use super::program::{HostError, Program};
use super::state::{RuleChange, State};

/// The programs of one address family.
#[derive(Clone, Debug)]
struct Tools {
    save: Program,
    restore: Program,
}

impl Tools {
    fn find(save: &str, restore: &str, path: &str) -> Option<Self> {
        Some(Self { save: Program::find(save, path)?, restore: Program::find(restore, path)? })
    }

    /// Saving without naming a table lists those that exist and makes none.
    fn read(&self) -> Result<Table, HostError> {
        Ok(Table::parse(&self.save.run(&[], "")?))
    }

    fn restore(&self, arguments: &[&str], transaction: Option<&String>) -> Result<(), HostError> {
        match transaction {
            Some(text) => self.restore.run(arguments, text).map(drop),
            None => Ok(()),
        }
    }
}

/// The iptables of a host.
#[derive(Clone, Debug)]
pub struct Iptables {
    v4: Tools,
    v6: Option<Tools>,
}

impl Iptables {
    /// Looks for the programs; ip6tables is needed only for IPv6.
    pub fn find(path: &str) -> Option<Self> {
        Some(Self {
            v4: Tools::find("iptables-save", "iptables-restore", path)?,
            v6: Tools::find("ip6tables-save", "ip6tables-restore", path),
        })
    }

    fn read(&self) -> Result<(Table, Table), HostError> {
        let v6 = self.v6.as_ref().map(Tools::read).transpose()?;
        Ok((self.v4.read()?, v6.unwrap_or_default()))
    }

    /// What is in the kernel.
    pub fn state(&self) -> Result<State, HostError> {
        let (v4, v6) = self.read()?;
        Ok(state(&v4, &v6))
    }

    /// Brings the kernel to exactly what `wanted` says; `None` removes all that is ours.
    pub fn apply(&self, wanted: Option<&Interception>) -> Result<RuleChange, HostError> {
        let (found_v4, found_v6) = self.read()?;
        let target = |family| wanted.map(|wanted| rules::table(wanted, family)).unwrap_or_default();
        let (target_v4, target_v6) = (target(Family::V4), target(Family::V6));
        let (v4, v6) = (found_v4.transaction(&target_v4), found_v6.transaction(&target_v6));
        let second = match (&self.v6, &v6) {
            (Some(tools), Some(_)) => Some(tools),
            (None, Some(_)) => {
                return Err(HostError::Missing { programs: "ip6tables-restore", package: "iptables" });
            }
            (_, None) => None,
        };
        if v4.is_none() && v6.is_none() {
            return Ok(RuleChange::None);
        }
        self.v4.restore(&["--noflush", "--test"], v4.as_ref())?;
        if let Some(second) = second {
            second.restore(&["--noflush", "--test"], v6.as_ref())?;
        }
        self.v4.restore(&["--noflush"], v4.as_ref())?;
        let Some(second) = second else { return Ok(RuleChange::Made) };
        match second.restore(&["--noflush"], v6.as_ref()) {
            Ok(()) => Ok(RuleChange::Made),
            Err(cause) => match self.v4.restore(&["--noflush"], target_v4.transaction(&found_v4).as_ref()) {
                Ok(()) => Err(cause),
                Err(rollback) => {
                    Err(HostError::NotRolledBack { cause: Box::new(cause), rollback: Box::new(rollback) })
                }
            },
        }
    }
}

fn state(v4: &Table, v6: &Table) -> State {
    if v4.is_empty() && v6.is_empty() {
        return State::Disabled;
    }
    let both = |v4: &Table, v6: &Table| [v4.rules(), v6.rules()].concat();
    State::compare(&both(v4, v6), rules::read(v4, v6), |wanted| {
        both(&rules::table(wanted, Family::V4), &rules::table(wanted, Family::V6))
    })
}

#[cfg(test)]
mod tests;
