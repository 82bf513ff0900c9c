//! The units of `samples/systemd`: what they start is taken by the programs that are meant, the three fit together, and their
//! sandboxes are on. Where systemd is installed it says the same of them; where it is not, the rest is held all the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{command, tools};

const SERVICE: &str = "fleetmesh.service";
const PULL: &str = "fleetmesh-manifests.service";
const TIMER: &str = "fleetmesh-manifests.timer";

/// What a service may not be without: the directives of its sandbox, and what they are.
const SANDBOX: [(&str, &str); 22] = [
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("ProtectProc", "invisible"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallErrorNumber", "EPERM"),
];
/// How exposed the services may be for `systemd-analyze security`, in tenths: 0 is the best of 100.
const EXPOSED: [(&str, u32); 2] = [(SERVICE, 15), (PULL, 18)];

/// A unit: section, directive and value of each line, in order.
#[derive(Debug)]
struct Unit {
    name: &'static str,
    lines: Vec<(String, String, String)>,
}

fn folder() -> Result<PathBuf> {
    Ok(tools::workspace_dir()?.join("samples/systemd"))
}

impl Unit {
    fn read(name: &'static str) -> Result<Self> {
        let path = folder()?.join(name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        let (mut section, mut lines) = (String::new(), Vec::new());
        for line in
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
        {
            ensure!(!line.ends_with('\\'), "{name}: {line}: one line each");
            if let Some(title) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                title.clone_into(&mut section);
            } else {
                let (directive, value) = line.split_once('=').with_context(|| format!("{name}: {line}"))?;
                lines.push((section.clone(), directive.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Ok(Self { name, lines })
    }

    fn all(&self, directive: &str) -> Vec<&str> {
        let of_it = self.lines.iter().filter(|(_, one, _)| one == directive);
        of_it.map(|(_, _, value)| value.as_str()).collect()
    }

    /// The value of what is there once.
    fn get(&self, directive: &str) -> Result<&str> {
        match self.all(directive).as_slice() {
            [one] => Ok(one),
            found => bail!("{}: {directive} is there {} times", self.name, found.len()),
        }
    }

    /// The words of what it starts. They have no quotes, variables or specifiers, which systemd would read.
    fn words(&self) -> Result<Vec<&str>> {
        let line = self.get("ExecStart")?;
        ensure!(!line.contains(['"', '\'', '$', '%', '\\']), "{}: {line}", self.name);
        let words: Vec<&str> = line.split_whitespace().collect();
        ensure!(words.first().is_some_and(|program| program.starts_with('/')), "{}: {line}", self.name);
        Ok(words)
    }

    /// The directory of its own below `/var/lib`.
    fn state(&self) -> Result<PathBuf> {
        Ok(Path::new("/var/lib").join(self.get("StateDirectory")?))
    }
}

/// The word after `option`.
fn value_of<'a>(words: &[&'a str], option: &str) -> Result<&'a str> {
    let at = words.iter().position(|word| *word == option).with_context(|| format!("no {option}"))?;
    words.get(at + 1).copied().with_context(|| format!("nothing after {option}"))
}

#[test]
fn every_directive_is_one_of_systemd_in_its_section() -> Result<()> {
    let list = std::fs::read_to_string(tools::workspace_dir()?.join("tests/data/systemd-directives.txt"))?;
    let known: BTreeSet<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    ensure!(known.len() > 300, "{}", known.len());
    for name in [SERVICE, PULL, TIMER] {
        for (section, directive, _) in Unit::read(name)?.lines {
            let full = format!("{section}.{directive}");
            ensure!(known.contains(full.as_str()), "{name}: systemd has no {full}");
        }
    }
    let files: BTreeSet<String> = std::fs::read_dir(folder()?)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    ensure!(files == BTreeSet::from([SERVICE, PULL, TIMER].map(str::to_owned)), "{files:?}");
    Ok(())
}

#[test]
fn the_sandboxes_of_both_services_are_on() -> Result<()> {
    for name in [SERVICE, PULL] {
        let unit = Unit::read(name)?;
        for (directive, value) in SANDBOX {
            let found = unit.all(directive);
            ensure!(found.first() == Some(&value), "{name}: {directive}={value} is {found:?}");
            // More filters only take away.
            let is_less = |more: &&str| directive == "SystemCallFilter" && more.starts_with('~');
            ensure!(found.iter().skip(1).all(is_less), "{name}: {directive} is {found:?}");
        }
        ensure!(!matches!(unit.get("User")?, "root" | "0" | ""), "{name} runs as root");
        ensure!(unit.get("Group")? == unit.get("User")?);
        for open in
            ["ReadWritePaths", "BindPaths", "AmbientCapabilities", "SupplementaryGroups", "DeviceAllow"]
        {
            ensure!(unit.all(open).iter().all(|value| value.is_empty()), "{name}: {open}");
        }
    }
    ensure!(Unit::read(SERVICE)?.get("StateDirectoryMode")? == "0700", "others read the token");
    Ok(())
}

#[test]
fn the_units_name_each_other_and_each_others_directories() -> Result<()> {
    let [service, pull, timer] = [Unit::read(SERVICE)?, Unit::read(PULL)?, Unit::read(TIMER)?];
    // A timer starts the service of its own name unless it says another.
    ensure!(TIMER.strip_suffix(".timer") == PULL.strip_suffix(".service") && timer.all("Unit").is_empty());
    ensure!(timer.get("WantedBy")? == "timers.target" && service.get("WantedBy")? == "multi-user.target");
    let every: u32 = timer.get("OnUnitActiveSec")?.parse().context("in seconds")?;
    ensure!((10..=600).contains(&every), "{every}");
    // A unit without it waits for ever at a server that does not answer.
    let longest: u32 = pull.get("TimeoutStartSec")?.parse().context("in seconds")?;
    ensure!(pull.get("Type")? == "oneshot" && longest <= 600, "{longest}");

    let (started, pulled) = (service.words()?, pull.words()?);
    ensure!(Path::new(value_of(&started, "--data-dir")?) == service.state()?, "{started:?}");
    let manifests = Path::new(value_of(&started, "--manifests")?);
    ensure!(Path::new(value_of(&pulled, "-C")?) == manifests, "{pulled:?} is not {}", manifests.display());
    ensure!(manifests.starts_with(pull.state()?), "{} may not write {}", PULL, manifests.display());
    // The service reads what the other one writes, and no more.
    let read_only = service.get("ReadOnlyPaths")?.trim_start_matches('-');
    ensure!(manifests.starts_with(read_only) && pull.get("StateDirectoryMode")? == "0755");
    ensure!(service.get("User")? != pull.get("User")?, "one that pulls could read the token");
    // It may be missing: what is in it is for AWS and for other hosts.
    ensure!(service.get("EnvironmentFile")?.starts_with("-/etc/fleetmesh/"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_programs_take_what_the_units_start_them_with() -> Result<()> {
    let run = RunDir::new("standalone-systemd")?;
    // Everything before `--help` is read, values and all.
    let takes = async |more: &[&str]| {
        let unit = Unit::read(SERVICE)?;
        let words = unit.words()?;
        let mut fleetmesh = Command::new(tools::fleetmesh()?);
        fleetmesh.args(words.get(1..).unwrap_or_default()).args(more).arg("--help");
        command::capture(fleetmesh).await
    };
    let taken = takes(&[]).await?;
    ensure!(taken.status.success() && taken.stdout.contains("--manifests"), "{taken:?}");
    ensure!(takes(&["--no-such-flag"]).await?.status.code() == Some(2), "whatever is there is taken");

    // A checkout in place of theirs, one commit behind.
    let (origin, checkout) = (run.join("origin"), run.join("checkout"));
    let git = async |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]);
        git.args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command::run(git).await
    };
    let [from, to] = [&origin, &checkout].map(|path| path.display().to_string());
    git(&["init", "--quiet", &from]).await?;
    git(&["-C", &from, "commit", "--quiet", "--allow-empty", "-m", "1"]).await?;
    git(&["clone", "--quiet", &from, &to]).await?;
    git(&["-C", &from, "commit", "--quiet", "--allow-empty", "-m", "2"]).await?;
    let unit = Unit::read(PULL)?;
    let words = unit.words()?;
    let manifests = value_of(&words, "-C")?;
    let words: Vec<&str> =
        words.iter().skip(1).map(|word| if *word == manifests { &to } else { *word }).collect();
    git(&words).await?;
    let head = git(&["-C", &to, "log", "-1", "--format=%s"]).await?;
    ensure!(head.trim() == "2" && words.contains(&"--ff-only"), "{words:?}: {head}");
    Ok(())
}

/// `systemd-analyze`, where it is installed.
async fn analyze(arguments: &[&str], run: &RunDir) -> Result<Option<command::Captured>> {
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(arguments).env("SYSTEMD_PAGER", "").env("HOME", run.path());
    match command::capture(analyze).await {
        Ok(captured) => Ok(Some(captured)),
        Err(error) => {
            let is_absent = error.chain().any(|cause| {
                cause
                    .downcast_ref::<std::io::Error>()
                    .is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
            });
            if is_absent { Ok(None) } else { Err(error) }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_verifies_the_units_and_finds_them_hardly_exposed() -> Result<()> {
    let run = RunDir::new("standalone-systemd-analyze")?;
    if analyze(&["--version"], &run).await?.is_none() {
        println!("no systemd-analyze here: what the other tests of this file hold is all that is held");
        return Ok(());
    }
    // As on a host that has the program.
    let program = tools::fleetmesh()?.display().to_string();
    for name in [SERVICE, PULL, TIMER] {
        let text = std::fs::read_to_string(folder()?.join(name))?;
        std::fs::write(run.join(name), text.replace("/usr/local/bin/fleetmesh", &program))?;
    }
    for name in [SERVICE, PULL, TIMER] {
        let path = run.join(name).display().to_string();
        let verified = analyze(&["verify", "--man=no", &path], &run).await?.context("it is gone")?;
        let says = [verified.stdout.trim(), verified.stderr.trim()].concat();
        ensure!(verified.status.success() && says.is_empty(), "{name}: {verified:?}");
    }
    let documented = std::fs::read_to_string(tools::workspace_dir()?.join("docs/standalone.md"))?;
    for (name, most) in EXPOSED {
        let (path, threshold) = (run.join(name).display().to_string(), format!("--threshold={most}"));
        let arguments = ["security", "--offline=true", "--no-pager", &threshold, &path];
        let rated = analyze(&arguments, &run).await?.context("it is gone")?;
        ensure!(rated.status.success(), "{name} is exposed: {}", rated.stdout);
        let rating = rated
            .stdout
            .lines()
            .find_map(|line| line.split_once("exposure level for ").map(|(_, rest)| rest));
        let rating = rating.and_then(|rest| rest.split_whitespace().nth(1)).context("a rating")?;
        let says = format!("`systemd-analyze security {name}`");
        if documented.contains(&says) {
            let claim = documented.split_once(&says).and_then(|(_, rest)| rest.split_once(" at "));
            let claim: f64 =
                claim.and_then(|(_, rest)| rest.split_whitespace().next()).context("a number")?.parse()?;
            let rating: f64 = rating.parse()?;
            // Its newer versions weigh a few directives in another way.
            ensure!((rating - claim).abs() <= 0.3, "{name} is rated at {rating}, and documented at {claim}");
        }
    }
    Ok(())
}
