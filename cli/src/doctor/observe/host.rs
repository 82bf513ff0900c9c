//! What there is on this host.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fleetmesh_api::ports::{EGRESS, INGRESS};
use fleetmesh_instance::bootstrap::ADMIN_PORT;
use rustix::process::{Resource, getrlimit};

use super::{LIMIT, within};
use crate::doctor::args::DoctorArgs;
use crate::doctor::host::{HostFacts, TOOLS, Tool, ToolFact};

/// Where programs for administrators are, which are not on everybody's PATH.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/sbin"];
/// How much of a program's version is shown, in characters.
const LONGEST: usize = 120;

/// This host.
pub async fn host(args: &DoctorArgs) -> HostFacts {
    let mut tools = Vec::new();
    for tool in TOOLS {
        tools.push((tool, version(tool).await));
    }
    let limit = getrlimit(Resource::Nofile);
    let interceptors = ["iptables-restore", "nft"].into_iter().filter(|name| find(name, &SYSTEM).is_some());
    let is_there = |part: &&str| {
        Path::new("/sys/module").join(part).exists()
            || Path::new("/proc/net").join(format!("{part}_names")).exists()
    };
    let listening: String =
        ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let taken = listening_ports(&listening);
    HostFacts {
        tools,
        open_files: (limit.current, limit.maximum),
        data: data(args.place.data_dir.clone()).await,
        interceptors: interceptors.collect(),
        kernel: ["ip_tables", "nf_tables"].into_iter().filter(is_there).collect(),
        ports: [ADMIN_PORT, INGRESS, EGRESS].map(|port| (port, taken.contains(&port))).to_vec(),
    }
}

/// Where a program is, on the PATH or in `more` folders.
fn find(name: &str, more: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(more.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

async fn version(tool: Tool) -> ToolFact {
    let Some(program) = find(tool.name, &[]) else { return ToolFact::Missing };
    let mut command = tokio::process::Command::new(program);
    command.args(tool.version).stdin(Stdio::null()).kill_on_drop(true);
    match within(&format!("the version of {}", tool.name), LIMIT, command.output()).await {
        None => ToolFact::Broken(format!("no answer within {LIMIT:?}")),
        Some(Err(error)) => ToolFact::Broken(error.to_string()),
        Some(Ok(output)) if !output.status.success() => ToolFact::Broken(output.status.to_string()),
        Some(Ok(output)) => {
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            let line =
                text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it prints no version");
            ToolFact::Version(line.chars().take(LONGEST).collect())
        }
    }
}

async fn data(folder: Option<PathBuf>) -> Option<(String, Result<Duration, String>)> {
    let folder = folder?;
    let shown = folder.display().to_string();
    let took = tokio::task::spawn_blocking(move || sync(&folder));
    let took = match within(&format!("the disk of {shown}"), LIMIT, took).await {
        None => Err(format!("a small file is not on disk within {LIMIT:?}")),
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(took)) => took.map_err(|error| error.to_string()),
    };
    Some((shown, took))
}

/// How long a small file takes to be on disk. Nothing of it is left.
fn sync(folder: &Path) -> io::Result<Duration> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let began = Instant::now();
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let done = file.write_all(b"fleetmesh doctor\n").and_then(|()| file.sync_all());
    let took = began.elapsed();
    fs::remove_file(&path)?;
    done.map(|()| took)
}

/// The ports that are listened on, in the text of `/proc/net/tcp`.
fn listening_ports(text: &str) -> BTreeSet<u16> {
    /// The state TCP_LISTEN.
    const LISTEN: &str = "0A";
    let port = |line: &str| {
        let mut words = line.split_whitespace();
        let local = words.nth(1)?;
        (words.nth(1)? == LISTEN).then_some(())?;
        u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()
    };
    text.lines().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_that_are_listened_on() {
        let text = "  sl  local_address rem_address   st tx_queue\n\
                    \x20  0: 0100007F:3A98 00000000:0000 0A 00000000:00000000\n\
                    \x20  1: 0100007F:3A99 0100007F:1234 01 00000000:00000000\n";
        assert_eq!(listening_ports(text), [15000].into());
    }

    #[test]
    fn nothing_is_left_in_the_data_directory() {
        let folder = tempfile::tempdir().unwrap();
        sync(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(sync(&folder.path().join("nowhere")).is_err());
    }
}
