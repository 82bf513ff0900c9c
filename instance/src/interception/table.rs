//! Our part of the tables nat and filter: what `iptables-save` shows of it, and the transaction from one to another. Pure.

use std::fmt::Write;

/// The chain of incoming connections.
pub const INGRESS: &str = "FLEETMESH_INGRESS";
/// The chain of outgoing connections.
pub const EGRESS: &str = "FLEETMESH_EGRESS";
/// The chain of what is guarded; the only one of ours in the table filter.
pub const GUARD: &str = "FLEETMESH_GUARD";

/// Our part of the tables nat and filter, as the lines of `iptables-save`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The rules of [`INGRESS`], when it exists.
    pub ingress: Option<Vec<String>>,
    /// The rules of [`EGRESS`], when it exists.
    pub egress: Option<Vec<String>>,
    /// The rules of other chains of nat that lead into ours, in the kernel's order.
    pub jumps: Vec<String>,
    /// The rules of [`GUARD`], when it exists.
    pub guard: Option<Vec<String>>,
    /// The rules of other chains of filter that lead into [`GUARD`], in the kernel's order.
    pub guard_jumps: Vec<String>,
}

impl Table {
    /// Picks our part out of the output of `iptables-save`.
    pub fn parse(saved: &str) -> Self {
        let mut table = Self::default();
        let mut name = "";
        for line in saved.lines().map(str::trim) {
            match (line.strip_prefix('*'), name) {
                (Some(begun), _) => name = begun,
                (None, "nat" | "filter") => table.take(name == "nat", line),
                _ => {}
            }
        }
        table
    }

    fn take(&mut self, nat: bool, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [chain, ..] if chain.starts_with(':') => {
                if let Some(rules) = self.chain(nat, &chain[1..]) {
                    rules.get_or_insert_default();
                }
            }
            ["-A", chain, ..] => {
                if let Some(rules) = self.chain(nat, chain) {
                    rules.get_or_insert_default().push(line.to_owned());
                } else if leads_to_us(nat, &words) {
                    let jumps = if nat { &mut self.jumps } else { &mut self.guard_jumps };
                    jumps.push(line.to_owned());
                }
            }
            _ => {}
        }
    }

    fn chain(&mut self, nat: bool, name: &str) -> Option<&mut Option<Vec<String>>> {
        match (nat, name) {
            (true, INGRESS) => Some(&mut self.ingress),
            (true, EGRESS) => Some(&mut self.egress),
            (false, GUARD) => Some(&mut self.guard),
            _ => None,
        }
    }

    /// Whether there is nothing of ours.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every rule of ours.
    pub fn rules(&self) -> Vec<String> {
        let chains = [&self.ingress, &self.egress].into_iter().flatten().flatten();
        let guard = self.guard.iter().flatten().chain(&self.guard_jumps);
        chains.chain(&self.jumps).chain(guard).cloned().collect()
    }

    /// The input of `iptables-restore --noflush` that turns `self` into `target`, each table at once, and touches nothing
    /// else; nothing when they are equal.
    pub fn transaction(&self, target: &Self) -> Option<String> {
        let nat = |table: &Self| RulePart {
            chains: vec![(INGRESS, table.ingress.clone()), (EGRESS, table.egress.clone())],
            jumps: table.jumps.clone(),
        };
        let filter = |table: &Self| RulePart {
            chains: vec![(GUARD, table.guard.clone())],
            jumps: table.guard_jumps.clone(),
        };
        let parts = [
            nat(self).transaction(&nat(target), "nat", false),
            // Before what other programs let pass there.
            filter(self).transaction(&filter(target), "filter", true),
        ];
        let text = parts.into_iter().flatten().collect::<String>();
        (!text.is_empty()).then_some(text)
    }
}

/// What is ours in one table.
#[derive(PartialEq)]
struct RulePart {
    chains: Vec<(&'static str, Option<Vec<String>>)>,
    jumps: Vec<String>,
}

impl RulePart {
    /// The transaction on the table `name` that turns `self` into `target`; rules that lead to ours go to the beginning of
    /// their chain when they are to be `first`, else to its end.
    fn transaction(&self, target: &Self, name: &str, first: bool) -> Option<String> {
        if self == target {
            return None;
        }
        let mut text = format!("*{name}\n");
        for (chain, wanted) in &target.chains {
            // A declaration makes the chain, or empties the one that is there.
            if wanted.is_some() {
                push(&mut text, &format!(":{chain} - [0:0]"));
            }
        }
        // Rules keep their place among other programs' rules unless they have to change.
        let moved = self.jumps != target.jumps;
        for jump in self.jumps.iter().filter(|_| moved) {
            push(&mut text, &jump.replacen("-A", "-D", 1));
        }
        for rule in target.chains.iter().filter_map(|(_, wanted)| wanted.as_ref()).flatten() {
            push(&mut text, rule);
        }
        let jumps = target.jumps.iter().filter(|_| moved);
        match first {
            // Each before the one that was put in before it.
            true => jumps.rev().for_each(|jump| push(&mut text, &jump.replacen("-A", "-I", 1))),
            false => jumps.for_each(|jump| push(&mut text, jump)),
        }
        for ((chain, found), (_, wanted)) in self.chains.iter().zip(&target.chains) {
            if found.is_some() && wanted.is_none() {
                push(&mut text, &format!("-F {chain}\n-X {chain}"));
            }
        }
        push(&mut text, "COMMIT");
        Some(text)
    }
}

fn leads_to_us(nat: bool, words: &[&str]) -> bool {
    let ours: &[&str] = if nat { &[INGRESS, EGRESS] } else { &[GUARD] };
    words.windows(2).any(|pair| matches!(pair, ["-j" | "-g", chain] if ours.contains(chain)))
}

fn push(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
