//! Our part of a nat table: what `iptables-save` shows of it, and the transaction from one to another. Pure.

use std::fmt::Write;

/// The chain of incoming connections.
pub const INGRESS: &str = "FLEETMESH_INGRESS";
/// The chain of outgoing connections.
pub const EGRESS: &str = "FLEETMESH_EGRESS";

/// Our part of a nat table, as the lines of `iptables-save`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The rules of [`INGRESS`], when it exists.
    pub ingress: Option<Vec<String>>,
    /// The rules of [`EGRESS`], when it exists.
    pub egress: Option<Vec<String>>,
    /// The rules of other chains that lead into ours, in the kernel's order.
    pub jumps: Vec<String>,
}

impl Table {
    /// Picks our part out of the output of `iptables-save`.
    pub fn parse(saved: &str) -> Self {
        let mut table = Self::default();
        let mut in_nat = false;
        for line in saved.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('*') {
                in_nat = name == "nat";
            } else if in_nat {
                table.take(line);
            }
        }
        table
    }

    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [chain, ..] if chain.starts_with(':') => {
                if let Some(rules) = self.chain(&chain[1..]) {
                    rules.get_or_insert_default();
                }
            }
            ["-A", chain, ..] => {
                if let Some(rules) = self.chain(chain) {
                    rules.get_or_insert_default().push(line.to_owned());
                } else if leads_to_us(&words) {
                    self.jumps.push(line.to_owned());
                }
            }
            _ => {}
        }
    }

    fn chain(&mut self, name: &str) -> Option<&mut Option<Vec<String>>> {
        match name {
            INGRESS => Some(&mut self.ingress),
            EGRESS => Some(&mut self.egress),
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
        chains.chain(&self.jumps).cloned().collect()
    }

    /// The input of `iptables-restore --noflush` that turns `self` into `target` at once and touches nothing else;
    /// nothing when they are equal.
    pub fn transaction(&self, target: &Self) -> Option<String> {
        if self == target {
            return None;
        }
        let mut text = String::from("*nat\n");
        let chains = [(INGRESS, &self.ingress, &target.ingress), (EGRESS, &self.egress, &target.egress)];
        for (name, _, wanted) in chains {
            // A declaration makes the chain, or empties the one that is there.
            if wanted.is_some() {
                push(&mut text, &format!(":{name} - [0:0]"));
            }
        }
        // Rules keep their place among other programs' rules unless they have to change.
        let moved = self.jumps != target.jumps;
        for jump in self.jumps.iter().filter(|_| moved) {
            push(&mut text, &jump.replacen("-A", "-D", 1));
        }
        for rule in chains.iter().filter_map(|(_, _, wanted)| wanted.as_ref()).flatten() {
            push(&mut text, rule);
        }
        for jump in target.jumps.iter().filter(|_| moved) {
            push(&mut text, jump);
        }
        for (name, found, wanted) in chains {
            if found.is_some() && wanted.is_none() {
                push(&mut text, &format!("-F {name}\n-X {name}"));
            }
        }
        push(&mut text, "COMMIT");
        Some(text)
    }
}

fn leads_to_us(words: &[&str]) -> bool {
    words.windows(2).any(|pair| matches!(pair, ["-j" | "-g", INGRESS | EGRESS]))
}

fn push(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
