//! Network namespaces as the instances of a fleet: a bridge between them, an IPv4 and an IPv6 address each.
//!
//! No namespace has a name or a file: each belongs to a holder process and goes with it. The host's own network is
//! not touched, so any number of networks exist beside each other, with the same addresses. Needs root
//! ([`crate::userns`]).

use std::ffi::OsStr;
use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns};

use crate::command;
use crate::process::{Process, START};
use crate::run_dir::RunDir;
use crate::wait;

/// Mounts pairs of files (`SOURCE TARGET …`, up to `--`) in the mount namespace of the command after them, then
/// becomes the command.
const MOUNT_AND_RUN: &str = r#"set -e
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done
shift
exec "$@""#;

/// The most instances of one network: host parts 2 to 254 of a /24.
const INSTANCES: u8 = 253;

/// A bridge, in a namespace of its own, that connects instances.
#[derive(Debug)]
pub struct Network {
    bridge: NetnsHolder,
    instances: u8,
    etc: PathBuf,
}

impl Network {
    /// Makes the bridge. Its addresses are [`Self::GATEWAY`] and [`Self::GATEWAY_V6`]; files go to `run`.
    ///
    /// # Errors
    /// Not root, or the kernel forbids namespaces.
    pub async fn new(run: &RunDir) -> Result<Self> {
        crate::userns::can_make_namespaces()?;
        let etc = run.join("etc");
        std::fs::create_dir_all(&etc)?;
        std::fs::write(
            etc.join("resolv.conf"),
            format!("nameserver {}\noptions timeout:2\n", Self::GATEWAY),
        )?;
        // Some hosts look for .local names by multicast first, or ask a daemon of the host.
        std::fs::write(etc.join("nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n")?;
        let bridge = NetnsHolder::new("bridge", run).await?;
        bridge
            .ip(&[
                "link set lo up".to_owned(),
                "link add br0 type bridge".to_owned(),
                format!("addr add {}/24 dev br0", Self::GATEWAY),
                format!("addr add {}/64 dev br0 nodad", Self::GATEWAY_V6),
                "link set br0 up".to_owned(),
            ])
            .await?;
        Ok(Self { bridge, instances: 0, etc })
    }

    /// The bridge's own address, where the DNS server listens.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    /// The bridge's own IPv6 address.
    pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);

    /// Adds an instance with the next free addresses.
    ///
    /// # Errors
    /// The network is full (253 instances), or the kernel refuses.
    pub async fn instance(&mut self, name: &str, run: &RunDir) -> Result<NetnsInstance> {
        ensure!(self.instances < INSTANCES, "a network holds at most {INSTANCES} instances");
        self.instances += 1;
        let host = self.instances + 1;
        let ipv4 = Ipv4Addr::new(10, 77, 0, host);
        let ipv6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, u16::from(host));
        let holder = NetnsHolder::new(&format!("instance-{name}"), run).await?;
        let port = format!("v{host}");
        self.bridge
            .ip(&[
                format!("link add {port} type veth peer name eth0 netns {}", holder.process.id()),
                format!("link set {port} master br0 up"),
            ])
            .await?;
        holder
            .ip(&[
                "link set lo up".to_owned(),
                format!("addr add {ipv4}/24 dev eth0"),
                format!("addr add {ipv6}/64 dev eth0 nodad"),
                "link set eth0 up".to_owned(),
                format!("route add default via {}", Self::GATEWAY),
                format!("-6 route add default via {}", Self::GATEWAY_V6),
            ])
            .await
            .with_context(|| format!("cannot set up the network of instance {name}"))?;
        Ok(NetnsInstance { name: name.to_owned(), ipv4, ipv6, holder, etc: self.etc.clone() })
    }

    /// A socket that listens on the bridge's address for all instances, and belongs to this process: so it can pass
    /// connections on to what listens on this machine only.
    ///
    /// # Errors
    /// The port is taken, or the kernel refuses.
    pub fn listen(&self, port: u16) -> Result<TcpListener> {
        let namespace = File::open(net_file(self.bridge.process.id()))?;
        // A socket stays in the namespace that its thread was in when it was made; the thread ends with that.
        let bind = move || -> Result<TcpListener> {
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            Ok(TcpListener::bind((Self::GATEWAY, port))?)
        };
        let bound = std::thread::spawn(bind).join();
        bound.map_err(|_| anyhow!("the thread that listens on the bridge panicked"))?
    }

    /// A command that runs where the bridge is, so that all instances can reach what it listens on.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.bridge.command(program)
    }
}

/// One instance: a host of its own as far as the network goes.
#[derive(Debug)]
pub struct NetnsInstance {
    name: String,
    ipv4: Ipv4Addr,
    ipv6: Ipv6Addr,
    holder: NetnsHolder,
    etc: PathBuf,
}

impl NetnsInstance {
    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its IPv4 address on the bridge.
    #[must_use]
    pub fn ipv4(&self) -> Ipv4Addr {
        self.ipv4
    }

    /// Its IPv6 address on the bridge.
    #[must_use]
    pub fn ipv6(&self) -> Ipv6Addr {
        self.ipv6
    }

    /// A command that runs on the instance as root and resolves names at the network's DNS server.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.command_with(&[], program)
    }

    /// The same, with files of the host (first) visible at other existing files' paths (second).
    #[must_use]
    pub fn command_with(&self, mounts: &[(&Path, &Path)], program: impl AsRef<OsStr>) -> Command {
        let mut command = self.holder.command("unshare");
        command.args(["--mount", "--propagation", "private", "--", "sh", "-c", MOUNT_AND_RUN, "sh"]);
        for name in ["resolv.conf", "nsswitch.conf"] {
            let target = Path::new("/etc").join(name);
            if target.exists() {
                command.arg(self.etc.join(name)).arg(target);
            }
        }
        for (source, target) in mounts {
            command.arg(source).arg(target);
        }
        command.arg("--").arg(program);
        command
    }
}

/// A namespace and the process that holds it.
#[derive(Debug)]
struct NetnsHolder {
    process: Process,
}

impl NetnsHolder {
    async fn new(name: &str, run: &RunDir) -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "sleep", "infinity"]);
        let mut process = Process::spawn(name, &command, run)?;
        let own = std::fs::read_link("/proc/self/ns/net")?;
        let link = net_file(process.id());
        process
            .until("its network namespace is there", START, async |_| {
                Ok((std::fs::read_link(&link)? != own).then_some(()))
            })
            .await?;
        Ok(Self { process })
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", net_file(self.process.id()))).arg("--").arg(program);
        command
    }

    /// Runs `ip` with each line; the first failure ends it.
    async fn ip(&self, lines: &[String]) -> Result<()> {
        for line in lines {
            let mut ip = self.command("ip");
            ip.args(line.split(' '));
            command::run(ip).await?;
        }
        Ok(())
    }
}

fn net_file(process: u32) -> String {
    format!("/proc/{process}/ns/net")
}

/// Awaits that something on `instance` accepts TCP connections at `port` of its loopback address.
///
/// # Errors
/// Nothing does `within`.
pub async fn listening(instance: &NetnsInstance, port: u16, within: Duration) -> Result<()> {
    let what = format!("something listens on port {port} of {}", instance.name());
    wait::until(&what, within, async || {
        let mut ss = instance.command("cat");
        ss.args(["/proc/net/tcp", "/proc/net/tcp6"]);
        let table = command::run(ss).await?;
        // Column 2 is local address:port in hexadecimal, column 4 the state; 0A is LISTEN.
        let local = format!(":{port:04X}");
        Ok(table
            .lines()
            .any(|line| {
                let mut columns = line.split_whitespace().skip(1);
                columns.next().is_some_and(|address| address.ends_with(&local))
                    && columns.nth(1) == Some("0A")
            })
            .then_some(()))
    })
    .await
}
