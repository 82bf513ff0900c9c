//! Network namespaces without names: each belongs to the open file that this process holds, and goes with it.

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};

/// The instance's addresses.
pub const INSTANCE: [&str; 2] = ["10.9.0.1", "fd09::1"];
/// The addresses of the other machine; everything that is not local goes to it.
pub const REMOTE: [&str; 2] = ["10.9.0.2", "fd09::2"];

/// A network namespace.
pub struct Namespace(File);

impl Namespace {
    /// A new namespace whose loopback interface is up.
    pub fn new() -> Self {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect(
                "a network namespace (these tests need root: run them by `cargo xtask test`, which also takes root \
                 of a user namespace)",
            );
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let namespace = Self(made.join().expect("a network namespace"));
        namespace.run("ip", &["link", "set", "lo", "up"]);
        namespace
    }

    /// An instance and another machine, connected.
    pub fn pair() -> (Self, Self) {
        let (instance, remote) = (Self::new(), Self::new());
        remote.inside(|| {
            // The path is that of a thread which is in the namespace for as long as this closure runs.
            let thread = std::fs::read_link("/proc/thread-self").unwrap();
            let path = format!("/proc/{}/ns/net", thread.display());
            instance
                .run("ip", &["link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", &path]);
        });
        for (namespace, own, other) in [(&instance, INSTANCE, REMOTE), (&remote, REMOTE, INSTANCE)] {
            namespace.run("ip", &["addr", "add", &format!("{}/24", own[0]), "dev", "eth0"]);
            namespace.run("ip", &["addr", "add", &format!("{}/64", own[1]), "dev", "eth0", "nodad"]);
            namespace.run("ip", &["link", "set", "eth0", "up"]);
            namespace.run("ip", &["route", "add", "default", "via", other[0]]);
            namespace.run("ip", &["-6", "route", "add", "default", "via", other[1]]);
        }
        (instance, remote)
    }

    /// Gives this namespace another address on its loopback interface.
    pub fn add_address(&self, address: &str) {
        self.run("ip", &["addr", "add", address, "dev", "lo"]);
    }

    /// Runs `work` on a thread that is in this namespace, as are the processes that it starts.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs a program, which has to succeed; the answer is its standard output.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.inside(|| Command::new(program).args(arguments).output().expect(program));
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Answers every connection to `port`, of either family, with `name`, for as long as the test runs.
    pub fn serve(&self, port: u16, name: &'static str) {
        let listener = self.inside(|| TcpListener::bind((IpAddr::from([0_u16; 8]), port)).unwrap());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                // A client that is gone already does not matter here.
                let _ = connection.and_then(|mut connection| connection.write_all(name.as_bytes()));
            }
        });
    }

    /// Who answers a connection that user `uid` opens; nothing when it is refused.
    pub fn ask(&self, uid: u32, host: &str, port: u16) -> Option<String> {
        self.ask_as(uid, uid, host, port)
    }

    /// The same for user `uid` in group `gid`.
    pub fn ask_as(&self, uid: u32, gid: u32, host: &str, port: u16) -> Option<String> {
        let address = SocketAddr::new(host.parse().unwrap(), port);
        let script = format!("exec 3<>/dev/tcp/{}/{} && cat <&3", address.ip(), address.port());
        let mut command = Command::new("timeout");
        command.args(["10", "bash", "-c", &script]).uid(uid).gid(gid).stderr(Stdio::null()).current_dir("/");
        let output = self.inside(|| command.output().unwrap());
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// Every rule of the namespace, whoever made it, without counters and dates. (nft would show those of iptables
    /// as well, in an order that depends on their history.)
    pub fn rules(&self) -> String {
        let saved = [
            ("iptables-save", &[][..]),
            ("ip6tables-save", &[]),
            ("nft", &["-s", "list", "ruleset", "inet"]),
        ];
        let all: String = saved.iter().map(|(program, arguments)| self.run(program, arguments)).collect();
        all.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
    }
}
