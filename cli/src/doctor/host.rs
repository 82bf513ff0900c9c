//! What is to be said of this host: programs, kernel, disk, ports. Pure.

use std::time::Duration;

use super::check::Check;

/// The names of the checks.
pub const FILES: &str = "open-files";
pub const DATA: &str = "data-dir";
pub const INTERCEPTION: &str = "interception";
pub const PORTS: &str = "proxy-ports";
/// Each connection is a file; fewer are few for a fleet.
const FEW_FILES: u64 = 4096;
/// Each write waits for it.
const SLOW_SYNC: Duration = Duration::from_millis(100);

/// A program that this one works with.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// Its name, which is the check's, too.
    pub name: &'static str,
    /// What prints its version.
    pub version: &'static [&'static str],
    /// What there is without it, and how to have it.
    pub without: (&'static str, &'static str),
}

/// The programs.
pub const TOOLS: [Tool; 4] = [
    Tool {
        name: "kubectl",
        version: &["version", "--client"],
        without: (
            "`fleetmesh apply`, `get`, `describe` and `wait` do the same",
            "https://kubernetes.io/docs/tasks/tools/",
        ),
    },
    Tool {
        name: "helm",
        version: &["version", "--short"],
        without: ("only the chart needs it", "https://helm.sh/docs/intro/install/"),
    },
    Tool {
        name: "envoy",
        version: &["--version"],
        without: ("instances need it", "https://www.envoyproxy.io/docs/envoy/latest/start/install"),
    },
    Tool {
        name: "aws",
        version: &["--version"],
        without: (
            "only for `aws appmesh`",
            "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
        ),
    },
];

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolFact {
    /// It is not on the PATH.
    Missing,
    /// The first line of its version.
    Version(String),
    /// It does not work, in words.
    Broken(String),
}

/// What was seen of this host.
#[derive(Clone, Debug)]
pub struct HostFacts {
    pub tools: Vec<(Tool, ToolFact)>,
    /// The limits of open files: now, and at most; `None` for no limit.
    pub open_files: (Option<u64>, Option<u64>),
    /// The data directory, and how long it took to have a file on disk; `None` without one.
    pub data: Option<(String, Result<Duration, String>)>,
    /// Which of the programs that set rules of interception are there.
    pub interceptors: Vec<&'static str>,
    /// Which of the kernel's parts are there: `ip_tables`, `nf_tables`.
    pub kernel: Vec<&'static str>,
    /// Ports of a proxy, and whether somebody has them.
    pub ports: Vec<(u16, bool)>,
}

/// The checks of a host.
pub fn checks(facts: &HostFacts) -> Vec<Check> {
    let mut checks: Vec<Check> = facts.tools.iter().map(|(tool, fact)| tool_check(*tool, fact)).collect();
    checks.extend([open_files(facts), data(facts), interception(facts), ports(facts)]);
    checks
}

fn tool_check(tool: Tool, fact: &ToolFact) -> Check {
    let (without, install) = tool.without;
    match fact {
        ToolFact::Version(version) => Check::ok(tool.name, version.clone()),
        ToolFact::Missing => Check::skipped(tool.name, format!("not on the PATH: {without}"), install),
        ToolFact::Broken(reason) => Check::warning(tool.name, format!("it does not work: {reason}"), install),
    }
}

fn open_files(facts: &HostFacts) -> Check {
    let shown = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let (now, most) = facts.open_files;
    let found = format!("{} open files, at most {}, which fleetmesh takes", shown(now), shown(most));
    match most {
        Some(most) if most < FEW_FILES => {
            let fix = "LimitNOFILE=65536 in the unit, or `ulimit -Hn 65536` as root";
            Check::warning(FILES, format!("{found}: few for a fleet, each connection is one"), fix)
        }
        _ => Check::ok(FILES, found),
    }
}

fn data(facts: &HostFacts) -> Check {
    match &facts.data {
        None => Check::skipped(DATA, "no --data-dir is given", ""),
        Some((path, Ok(took))) if *took > SLOW_SYNC => {
            let found = format!(
                "{path}: a small file takes {} ms to be on disk, and so does each write",
                took.as_millis()
            );
            Check::warning(DATA, found, "--data-dir on a local disk")
        }
        Some((path, Ok(took))) => Check::ok(
            DATA,
            format!("{path}: a small file is on disk in {:.1} ms", took.as_secs_f64() * 1000.0),
        ),
        Some((path, Err(reason))) => {
            let fix = format!("run it as the owner of {path}, or free some space: df -h {path}");
            Check::failed(DATA, format!("{path}: {reason}"), fix)
        }
    }
}

fn has_envoy(facts: &HostFacts) -> bool {
    facts.tools.iter().any(|(tool, fact)| tool.name == "envoy" && *fact != ToolFact::Missing)
}

/// Whether somebody has a port of a proxy.
fn is_taken(facts: &HostFacts) -> bool {
    facts.ports.iter().any(|(_, taken)| *taken)
}

fn interception(facts: &HostFacts) -> Check {
    if !has_envoy(facts) && !is_taken(facts) {
        return Check::skipped(INTERCEPTION, "this host is no instance: it has no Envoy", "");
    }
    let works =
        |program: &str, part: &str| facts.interceptors.contains(&program) && facts.kernel.contains(&part);
    if works("nft", "nf_tables")
        || works("iptables-restore", "ip_tables")
        || works("iptables-restore", "nf_tables")
    {
        return Check::ok(
            INTERCEPTION,
            format!("{}, of a kernel with {}", facts.interceptors.join(", "), facts.kernel.join(", ")),
        );
    }
    if facts.interceptors.is_empty() {
        return Check::failed(
            INTERCEPTION,
            "neither iptables nor nft is there, so traffic does not go through the proxy",
            "apt-get install iptables, or dnf install iptables-nft",
        );
    }
    Check::warning(
        INTERCEPTION,
        "the kernel shows neither ip_tables nor nf_tables; they may be loaded when they are needed",
        "modprobe nf_tables, or modprobe ip_tables",
    )
}

fn ports(facts: &HostFacts) -> Check {
    let names = |taken: bool| -> Vec<String> {
        facts.ports.iter().filter(|(_, is)| *is == taken).map(|(port, _)| port.to_string()).collect()
    };
    let (taken, free) = (names(true), names(false));
    if taken.is_empty() && !has_envoy(facts) {
        return Check::skipped(PORTS, "this host is no instance: it has no Envoy", "");
    }
    if taken.is_empty() {
        return Check::ok(PORTS, format!("free: {}", free.join(", ")));
    }
    if free.is_empty() {
        return Check::ok(PORTS, format!("taken, as by a proxy that runs: {}", taken.join(", ")));
    }
    let fix = format!("ss -ltnp 'sport = :{}'", taken[0]);
    Check::warning(
        PORTS,
        format!("taken: {}; free: {}: a proxy has all of them or none", taken.join(", "), free.join(", ")),
        fix,
    )
}
