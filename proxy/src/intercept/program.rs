//! Runs programs of the host. The only place that starts processes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where system programs are when the caller's PATH lacks them, as a user's does under sudo-less shells.
const SYSTEM_FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Why the rules could not be read or set.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The host lacks a program that is needed.
    #[error("the host has no {programs}: install the package {package}, or choose another --backend")]
    Missing {
        /// The programs, for a person.
        programs: &'static str,
        /// The package that usually holds them.
        package: &'static str,
    },
    /// The host has neither interface.
    #[error("the host has neither iptables-restore nor nft: install the package iptables or nftables")]
    NoBackend,
    /// A program could not be run.
    #[error("cannot run {program}")]
    Run {
        /// The program's path.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed ({status}): {message}{hint}")]
    Failed {
        /// The program and its arguments.
        program: String,
        /// How it ended.
        status: String,
        /// What it said.
        message: String,
        /// What may help; empty or beginning with a separator.
        hint: &'static str,
    },
    /// A program's answer was not understood.
    #[error("{program} answered what cannot be read: {reason}")]
    Unreadable {
        /// The program.
        program: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Another run could not be waited for.
    #[error("cannot lock the network namespace against other runs")]
    Lock(#[source] io::Error),
    /// A change failed half-way and could not be taken back.
    #[error("{cause}; and taking back what was done before failed as well, so run `disable`: {rollback}")]
    NotRolledBack {
        /// The first failure.
        cause: Box<HostError>,
        /// The failure of the way back.
        rollback: Box<HostError>,
    },
}

/// A program of the host.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// Looks for `name` in `path` (the PATH variable's text), then where systems keep their own programs.
    pub fn find(name: &str, path: &str) -> Option<Self> {
        std::env::split_paths(path)
            .chain(SYSTEM_FOLDERS.map(PathBuf::from))
            .map(|folder| folder.join(name))
            .find(|candidate| is_executable(candidate))
            .map(Self)
    }

    /// Runs it with `arguments` and `input`; the answer is its standard output.
    pub fn run(&self, arguments: &[&str], input: &str) -> Result<String, HostError> {
        let failed = |source| HostError::Run { program: self.0.display().to_string(), source };
        let mut child = Command::new(&self.0)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input.as_bytes()) {
                // A program that refuses its arguments does not read; its exit status shows that.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(failed(error)),
                _ => drop(stdin),
            }
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        Err(HostError::Failed {
            program: [&[self.0.display().to_string().as_str()], arguments].concat().join(" "),
            status: output.status.to_string(),
            hint: hint(&message),
            message,
        })
    }
}

fn hint(message: &str) -> &'static str {
    if ["ermission denied", "not permitted"].iter().any(|text| message.contains(text)) {
        ": run this command as root"
    } else if message.contains("unable to initialize table") {
        // The older iptables says the same of both.
        ": run this command as root, and see that the kernel has iptables' nat (modprobe iptable_nat)"
    } else {
        ""
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
