//! Black-box tests of a long-running subcommand's life: first line, signals, exit status, one line on failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn control_plane(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetmesh"));
    command.env_clear().args(["--log-format", "json", "control-plane", "--data-dir"]).arg(data);
    command.args(["--listen", "127.0.0.1:0", "--ads-listen", "127.0.0.1:0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The address on the first line of standard output; also awaits that the control plane is up.
fn address(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().trim_start_matches("http://").to_owned()
}

fn stderr(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.as_mut().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn both_signals_stop_it_gracefully() {
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = control_plane(folder.path()).spawn().unwrap();
        let address = address(&mut child);
        TcpStream::connect(&address).expect(&address);
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let log = stderr(&mut child);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}: {log}");
        let stopping = log.lines().find(|line| line.contains("stopping")).expect(&log);
        assert!(stopping.starts_with('{') && stopping.contains(signal.as_str()), "{log}");
    }
}

#[test]
fn a_failure_is_one_line_that_names_what_failed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut child = control_plane(&file).spawn().unwrap();
    let log = stderr(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(1), "{log}");
    let errors: Vec<&str> = log.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    assert!(errors[0].contains(&file.display().to_string()), "{log}");
}
