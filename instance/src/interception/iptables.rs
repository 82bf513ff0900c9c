//! The rules of one address family as `iptables-save` writes them, made from options and read back, and the
//! transactions of `iptables-restore` between them. Pure.

use std::collections::BTreeSet;
use std::str::FromStr;

pub use super::table::{EGRESS, GUARD, INGRESS, Table};
use super::{Guard, Interception, METADATA, Network, Options};

/// The most ports that one rule may list: a bound of the kernel's multiport match.
const PORTS_PER_RULE: usize = 15;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4, by iptables.
    V4,
    /// IPv6, by ip6tables.
    V6,
}

/// The table that intercepts as `interception` says.
pub fn table(interception: &Interception, family: Family) -> Table {
    let mut table = interception.guard.as_ref().map(|one| guard(one, family)).unwrap_or_default();
    if family == Family::V6 && !interception.ipv6 {
        return table;
    }
    table.egress = Some(egress(interception, family));
    if let Some(ingress) = &interception.ingress {
        let redirect = |ports| {
            format!(
                "-A {INGRESS} -p tcp -m multiport --dports {ports} -j REDIRECT --to-ports {}",
                ingress.port
            )
        };
        table.ingress = Some(chunks(&ingress.app_ports).map(redirect).collect());
        table.jumps.push(format!("-A PREROUTING -p tcp -m addrtype ! --src-type LOCAL -j {INGRESS}"));
    }
    table.jumps.push(format!("-A OUTPUT -p tcp -m addrtype ! --dst-type LOCAL -j {EGRESS}"));
    table
}

fn egress(interception: &Interception, family: Family) -> Vec<String> {
    let Interception { ignored_uids, ignored_gids, ignored_networks, ignored_egress_ports, .. } =
        interception;
    let uids = ignored_uids.iter().map(|uid| format!("-m owner --uid-owner {uid} -j RETURN"));
    let gids = ignored_gids.iter().map(|gid| format!("-m owner --gid-owner {gid} -j RETURN"));
    let ports =
        chunks(ignored_egress_ports).map(|ports| format!("-p tcp -m multiport --dports {ports} -j RETURN"));
    let networks = ignored_networks
        .iter()
        .filter(|network| network.is_ipv6() == (family == Family::V6))
        .map(|network| format!("-d {} -p tcp -j RETURN", network.with_length()));
    let redirect = format!("-p tcp -j REDIRECT --to-ports {}", interception.egress_port);
    uids.chain(gids)
        .chain(ports)
        .chain(networks)
        .chain([redirect])
        .map(|rule| format!("-A {EGRESS} {rule}"))
        .collect()
}

/// What is guarded leads to one chain, which lets those pass who may.
fn guard(guard: &Guard, family: Family) -> Table {
    let Guard { metadata, ports, uids, denied_gids } = guard;
    // A reset at once, so that who is not let through does not wait.
    let reset = "-j REJECT --reject-with tcp-reset";
    let denied = denied_gids.iter().flat_map(|gid| {
        [format!("-p tcp -m owner --gid-owner {gid} {reset}"), format!("-m owner --gid-owner {gid} -j DROP")]
    });
    let allowed = uids.iter().map(|uid| format!("-m owner --uid-owner {uid} -j RETURN"));
    let rest = [format!("-p tcp {reset}"), "-j DROP".to_owned()];
    let services = METADATA.into_iter().filter(|_| *metadata).filter_map(|text| text.parse::<Network>().ok());
    let services = services.filter(|service| service.is_ipv6() == (family == Family::V6));
    let services = services.map(|service| format!("-d {}", service.with_length()));
    let ports = chunks(ports)
        .map(|ports| format!("-p tcp -m multiport --dports {ports} -m addrtype --dst-type LOCAL"));
    Table {
        guard: Some(denied.chain(allowed).chain(rest).map(|rule| format!("-A {GUARD} {rule}")).collect()),
        guard_jumps: services.chain(ports).map(|to| format!("-A OUTPUT {to} -j {GUARD}")).collect(),
        ..Table::default()
    }
}

fn chunks(ports: &BTreeSet<u16>) -> impl Iterator<Item = String> {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let lists: Vec<String> = ports.chunks(PORTS_PER_RULE).map(|chunk| chunk.join(",")).collect();
    lists.into_iter()
}

/// Reads the options back from the tables of both families; the error says what was not understood.
pub fn read(v4: &Table, v6: &Table) -> Result<Interception, String> {
    let mut options = Options { ipv6: v6.egress.is_some(), ..Options::default() };
    for table in [v4, v6] {
        for rule in table.egress.iter().flatten() {
            read_egress(rule, &mut options).ok_or_else(|| format!("unexpected: {rule}"))?;
        }
        for rule in table.ingress.iter().flatten() {
            read_ingress(rule, &mut options).ok_or_else(|| format!("unexpected: {rule}"))?;
        }
        for rule in table.guard.iter().flatten().chain(&table.guard_jumps) {
            read_guard(rule, &mut options).ok_or_else(|| format!("unexpected: {rule}"))?;
        }
    }
    Interception::new(options).map_err(|_| "rules are missing".to_owned())
}

fn read_egress(rule: &str, options: &mut Options) -> Option<()> {
    let words: Vec<&str> = rule.split_whitespace().skip(2).collect();
    match words.as_slice() {
        ["-m", "owner", "--uid-owner", uid, "-j", "RETURN"] => {
            options.ignored_uids.insert(uid.parse().ok()?);
        }
        ["-m", "owner", "--gid-owner", gid, "-j", "RETURN"] => {
            options.ignored_gids.insert(gid.parse().ok()?);
        }
        ["-p", "tcp", "-m", "multiport", "--dports", ports, "-j", "RETURN"] => {
            options.ignored_egress_ports.extend(numbers(ports)?);
        }
        ["-d", network, "-p", "tcp", "-j", "RETURN"] => {
            options.ignored_networks.insert(network.parse().ok()?);
        }
        ["-p", "tcp", "-j", "REDIRECT", "--to-ports", port] => options.egress_port = Some(port.parse().ok()?),
        _ => return None,
    }
    Some(())
}

fn read_ingress(rule: &str, options: &mut Options) -> Option<()> {
    let words: Vec<&str> = rule.split_whitespace().skip(2).collect();
    match words.as_slice() {
        ["-p", "tcp", "-m", "multiport", "--dports", ports, "-j", "REDIRECT", "--to-ports", port] => {
            options.app_ports.extend(numbers(ports)?);
            options.ingress_port = Some(port.parse().ok()?);
            Some(())
        }
        _ => None,
    }
}

fn read_guard(rule: &str, options: &mut Options) -> Option<()> {
    let words: Vec<&str> = rule.split_whitespace().skip(2).collect();
    match words.as_slice() {
        ["-p", "tcp", "-m", "owner", "--gid-owner", gid, "-j", "REJECT", "--reject-with", "tcp-reset"]
        | ["-m", "owner", "--gid-owner", gid, "-j", "DROP"] => {
            options.guard_denied_gids.insert(gid.parse().ok()?);
        }
        ["-m", "owner", "--uid-owner", uid, "-j", "RETURN"] => {
            options.guard_uids.insert(uid.parse().ok()?);
        }
        ["-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"] | ["-j", "DROP"] => {}
        ["-d", _, "-j", GUARD] => options.guard_metadata = true,
        [
            "-p",
            "tcp",
            "-m",
            "multiport",
            "--dports",
            ports,
            "-m",
            "addrtype",
            "--dst-type",
            "LOCAL",
            "-j",
            GUARD,
        ] => {
            options.guard_ports.extend(numbers(ports)?);
        }
        _ => return None,
    }
    Some(())
}

fn numbers(list: &str) -> Option<Vec<u16>> {
    list.split(',').map(|item| u16::from_str(item).ok()).collect()
}
