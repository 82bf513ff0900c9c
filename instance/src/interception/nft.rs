//! Our table in nft's language, made from options and read back rule by rule. Pure.

use std::collections::BTreeSet;

use super::{Guard, Interception, METADATA, Network, Options};

/// Our table, of the family `inet`, which holds IPv4 and IPv6.
pub const TABLE: &str = "fleetmesh";

/// The chain of incoming connections.
pub const INGRESS: &str = "ingress";
/// The chain of outgoing connections.
pub const EGRESS: &str = "egress";
/// The chain of who reaches what is guarded.
pub const GUARDED: &str = "guarded";
/// The chain of outgoing packets that finds what is guarded.
pub const GUARD: &str = "guard";

/// The chains, in the order of [`rules`]: none before one that it leads to.
pub const CHAINS: [&str; 4] = [INGRESS, EGRESS, GUARDED, GUARD];

/// What each base chain says of itself: where it hooks in and, as a number that every nft understands, the priority of
/// destination NAT, or of filters.
fn hook(chain: &str) -> Option<&'static str> {
    match chain {
        INGRESS => Some("type nat hook prerouting priority -100; policy accept;"),
        EGRESS => Some("type nat hook output priority -100; policy accept;"),
        GUARD => Some("type filter hook output priority 0; policy accept;"),
        _ => None,
    }
}

/// A rule in its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftRule {
    /// The chain's name.
    pub chain: String,
    /// The rule in nft's language.
    pub text: String,
}

impl NftRule {
    fn new(chain: &str, text: impl Into<String>) -> Self {
        Self { chain: chain.to_owned(), text: text.into() }
    }
}

/// The rules that intercept as `interception` says, in their order.
pub fn rules(interception: &Interception) -> Vec<NftRule> {
    let family = (!interception.ipv6).then_some("meta nfproto != ipv4 return");
    let mut rules = Vec::new();
    if let Some(ingress) = &interception.ingress {
        let prelude = family.into_iter().chain(["fib saddr type local return"]);
        rules.extend(prelude.map(|text| NftRule::new(INGRESS, text)));
        let ports = set(&ingress.app_ports);
        rules.push(NftRule::new(INGRESS, format!("tcp dport {ports} redirect to :{}", ingress.port)));
    }
    let prelude = family.into_iter().chain(["fib daddr type local return"]);
    rules.extend(prelude.map(|text| NftRule::new(EGRESS, text)));
    rules.extend(egress(interception).into_iter().map(|text| NftRule::new(EGRESS, text)));
    rules.extend(interception.guard.iter().flat_map(guard));
    rules
}

fn guard(guard: &Guard) -> Vec<NftRule> {
    let Guard { metadata, ports, uids, denied_gids } = guard;
    // A reset at once, so that who is not let through does not wait.
    let reset = "meta l4proto tcp reject with tcp reset";
    let denied = denied_gids
        .iter()
        .flat_map(|gid| [format!("meta skgid {gid} {reset}"), format!("meta skgid {gid} drop")]);
    let allowed = uids.iter().map(|uid| format!("meta skuid {uid} accept"));
    let who = denied.chain(allowed).chain([reset.to_owned(), "drop".to_owned()]);
    let services = METADATA.into_iter().filter(|_| *metadata).filter_map(|text| text.parse::<Network>().ok());
    let services = services.map(|service| {
        let family = if service.is_ipv6() { "ip6" } else { "ip" };
        format!("{family} daddr {service} goto {GUARDED}")
    });
    let ports =
        (!ports.is_empty()).then(|| format!("fib daddr type local tcp dport {} goto {GUARDED}", set(ports)));
    let what = services.chain(ports).map(|text| NftRule::new(GUARD, text));
    who.map(|text| NftRule::new(GUARDED, text)).chain(what).collect()
}

fn egress(interception: &Interception) -> Vec<String> {
    let Interception { ignored_uids, ignored_gids, ignored_networks, ignored_egress_ports, .. } =
        interception;
    let uids = ignored_uids.iter().map(|uid| format!("meta skuid {uid} return"));
    let gids = ignored_gids.iter().map(|gid| format!("meta skgid {gid} return"));
    let ports = format!("tcp dport {} return", set(ignored_egress_ports));
    let networks =
        ignored_networks.iter().filter(|network| interception.ipv6 || !network.is_ipv6()).map(|network| {
            let family = if network.is_ipv6() { "ip6" } else { "ip" };
            format!("{family} daddr {network} return")
        });
    let redirect = format!("meta l4proto tcp redirect to :{}", interception.egress_port);
    uids.chain(gids).chain([ports]).chain(networks).chain([redirect]).collect()
}

fn set(ports: &BTreeSet<u16>) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    format!("{{ {} }}", ports.join(", "))
}

/// The input of `nft -f -` that replaces our table, whether it exists or not, at once.
pub fn replace(interception: &Interception) -> String {
    let rules = rules(interception);
    // Naming the table first makes it, so that deleting it never fails.
    let mut text = format!("table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n", TABLE);
    for chain in CHAINS {
        let own = rules.iter().filter(|rule| rule.chain == chain).map(|rule| rule.text.as_str());
        let own: Vec<&str> = own.collect();
        if !own.is_empty() {
            let lines: Vec<&str> = hook(chain).into_iter().chain(own).collect();
            text += &format!("\tchain {chain} {{\n\t\t{}\n\t}}\n", lines.join("\n\t\t"));
        }
    }
    text + "}\n"
}

/// Reads the options back from `rules`; the error says what was not understood.
pub fn read(rules: &[NftRule]) -> Result<Interception, String> {
    let mut options = Options { ipv6: true, ..Options::default() };
    for rule in rules {
        read_rule(rule, &mut options)
            .ok_or_else(|| format!("unexpected: {} in chain {}", rule.text, rule.chain))?;
    }
    Interception::new(options).map_err(|_| "rules are missing".to_owned())
}

fn read_rule(rule: &NftRule, options: &mut Options) -> Option<()> {
    let text = rule.text.replace(['{', '}', ','], " ");
    let words: Vec<&str> = text.split_whitespace().collect();
    match (rule.chain.as_str(), words.as_slice()) {
        (_, ["meta", "nfproto", "!=", "ipv4", "return"]) => options.ipv6 = false,
        (INGRESS, ["fib", "saddr", "type", "local", "return"])
        | (EGRESS, ["fib", "daddr", "type", "local", "return"]) => {}
        (INGRESS, ["tcp", "dport", ports @ .., "redirect", "to", port]) => {
            options.app_ports = numbers(ports)?;
            options.ingress_port = Some(redirect_port(port)?);
        }
        (EGRESS, ["meta", "skuid", uid, "return"]) => {
            options.ignored_uids.insert(uid.parse().ok()?);
        }
        (EGRESS, ["meta", "skgid", gid, "return"]) => {
            options.ignored_gids.insert(gid.parse().ok()?);
        }
        (EGRESS, ["tcp", "dport", ports @ .., "return"]) => options.ignored_egress_ports = numbers(ports)?,
        (EGRESS, ["ip" | "ip6", "daddr", network, "return"]) => {
            options.ignored_networks.insert(network.parse().ok()?);
        }
        (GUARDED, ["meta", "skgid", gid, "drop"])
        | (GUARDED, ["meta", "skgid", gid, "meta", "l4proto", "tcp", "reject", "with", "tcp", "reset"]) => {
            options.guard_denied_gids.insert(gid.parse().ok()?);
        }
        (GUARDED, ["meta", "skuid", uid, "accept"]) => {
            options.guard_uids.insert(uid.parse().ok()?);
        }
        (GUARDED, ["drop"] | ["meta", "l4proto", "tcp", "reject", "with", "tcp", "reset"]) => {}
        (GUARD, ["ip" | "ip6", "daddr", _, "goto", GUARDED]) => options.guard_metadata = true,
        (GUARD, ["fib", "daddr", "type", "local", "tcp", "dport", ports @ .., "goto", GUARDED]) => {
            options.guard_ports = numbers(ports)?;
        }
        (EGRESS, ["meta", "l4proto", "tcp", "redirect", "to", port]) => {
            options.egress_port = Some(redirect_port(port)?);
        }
        _ => return None,
    }
    Some(())
}

fn redirect_port(word: &str) -> Option<u16> {
    word.strip_prefix(':')?.parse().ok()
}

fn numbers(words: &[&str]) -> Option<BTreeSet<u16>> {
    words.iter().map(|word| word.parse().ok()).collect()
}
