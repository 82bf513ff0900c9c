//! A machine that boots with user data: an instance of a test network with process ids, programs and a `/var/lib` of its
//! own. Everything panics when it fails.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmesh_instance::{InstanceOptions, user_data};
use fleetmesh_testbed::host::HostBackend;
use fleetmesh_testbed::netns::{NetnsInstance, Network};
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{command, tools};
use serde_json::Value;

use crate::mime;

/// How long a boot may take: what the script itself allows Envoy, and some.
const BOOT: Duration = Duration::from_secs(330);

/// A machine; it is switched off when dropped.
pub struct Machine {
    init: Process,
    folder: PathBuf,
    boots: usize,
    pub instance: NetnsInstance,
}

impl Machine {
    /// A machine on `instance` that has `backend` and no other of the kernel's interfaces; it has not booted yet. The
    /// stand-in for docker fails at the command `fail`.
    pub fn new(instance: NetnsInstance, backend: HostBackend, fail: Option<&str>, run: &RunDir) -> Self {
        let folder = run.join(instance.name());
        for name in ["stand-in/images", "lib", "sbin"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let programs: &[&str] = match backend {
            HostBackend::Iptables => {
                &["iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore"]
            }
            HostBackend::Nft => &["nft"],
        };
        for name in programs {
            symlink(system_program(name), folder.join("sbin").join(name)).unwrap();
        }
        // Programs may lie in a home folder that the proxy's user cannot enter.
        let programs = [tools::tool("envoy").unwrap().canonicalize().unwrap(), tools::fleetmesh().unwrap()];
        let visible = ["envoy", "fleetmesh"].map(|name| folder.join(name));
        for file in &visible {
            fs::write(file, "").unwrap();
        }
        let stand_ins = stand_ins();
        let lib = folder.join("lib");
        let mut mounts: Vec<_> = programs
            .iter()
            .zip(&visible)
            .map(|(program, file)| (program.as_path(), file.as_path()))
            .collect();
        mounts.push((&lib, Path::new("/var/lib")));
        // The network's own is every machine's.
        let resolv_conf = folder.join("resolv.conf");
        fs::write(&resolv_conf, format!("nameserver {}\noptions timeout:2\n", Network::GATEWAY)).unwrap();
        mounts.push((&resolv_conf, Path::new("/etc/resolv.conf")));
        let [envoy, fleetmesh] = &visible;
        let mut init = instance.command_with(&mounts, "unshare");
        init.args(["--pid", "--fork", "--kill-child", "--"]).arg(stand_ins.join("boot"));
        let sbin = folder.join("sbin");
        init.env("PATH", format!("{}:{}:/usr/bin:/bin", stand_ins.display(), sbin.display()));
        init.env("STAND_IN", folder.join("stand-in"))
            .env("ENVOY", envoy)
            .env("FAIL", fail.unwrap_or("nothing"));
        init.env("FLEETMESH", fleetmesh).env("TESTBED", tools::testbed().unwrap());
        let init = Process::spawn(&format!("machine-{}", instance.name()), &init, run).unwrap();
        Self { init, folder, boots: 0, instance }
    }

    /// Runs the script in the user data of `options`, as cloud-init finds it; the answer is its exit status.
    pub async fn boot(&mut self, options: &InstanceOptions) -> i32 {
        let script = self.folder.join("part-001");
        let parts = mime::parts(&user_data(options).unwrap()).await;
        assert_eq!(parts[0].0, "text/x-shellscript");
        fs::write(&script, &parts[0].1).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        self.run(&script).await
    }

    /// Runs what the last boot left for every boot.
    pub async fn boot_again(&mut self) -> i32 {
        self.run(Path::new("/var/lib/cloud/scripts/per-boot/fleetmesh")).await
    }

    /// Runs a script as root of the machine; the answer is its exit status.
    pub async fn run(&mut self, script: &Path) -> i32 {
        self.boots += 1;
        let boots = self.boots;
        self.init.say(&script.display().to_string()).unwrap();
        let what = format!("boot {boots} of {} ends", self.instance.name());
        let status =
            self.init.until(&what, BOOT, async |init| Ok(init.lines()?.get(boots - 1).cloned())).await;
        status.unwrap().parse().unwrap()
    }

    /// What the scripts wrote.
    pub fn console(&self) -> String {
        self.read("console")
    }

    /// What the stand-ins were called with, a call a line, quoted as a shell has it.
    pub fn calls(&self) -> Vec<String> {
        self.read("calls").lines().map(str::to_owned).collect()
    }

    /// What a file of the stand-ins says.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// A file of the stand-ins.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join("stand-in").join(name)
    }

    /// A file of the machine's `/var/lib/fleetmesh`.
    pub fn own_file(&self, name: &str) -> PathBuf {
        self.folder.join("lib/fleetmesh").join(name)
    }

    /// What the machine's own resolv.conf says.
    pub fn resolv_conf(&self) -> String {
        fs::read_to_string(self.folder.join("resolv.conf")).unwrap()
    }

    /// What `program` prints in the container `name`, and its exit status.
    pub async fn within(&mut self, name: &str, program: &str) -> (i32, String) {
        let (script, found) = (self.folder.join("within.sh"), self.folder.join("within.out"));
        let text = format!("#!/bin/bash\ndocker exec {name} {program} >{}\n", found.display());
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        let status = self.run(&script).await;
        (status, fs::read_to_string(&found).unwrap())
    }

    /// What `fleetmesh proxy intercept status` says of the machine.
    pub async fn interception(&self) -> Value {
        let mut status = self.instance.command(tools::fleetmesh().unwrap());
        status.args(["proxy", "intercept", "status", "--output", "json"]);
        serde_json::from_str(&command::capture(status).await.unwrap().stdout).unwrap()
    }
}

/// Where what stands in for other programs is.
fn stand_ins() -> PathBuf {
    std::path::absolute("tests/user_data/stand-ins").unwrap()
}

/// Where systems keep their own programs.
fn system_program(name: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    let mut found = folders.iter().map(|folder| Path::new(folder).join(name)).filter(|file| file.exists());
    found.next().unwrap_or_else(|| panic!("{name} is not installed"))
}
