//! What is refused or fails: one clear line, the right exit status, and nothing changed.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::namespace::Namespace;
use crate::{command, intercept, intercept_ok, stderr};

#[test]
fn incomplete_and_contradictory_options_change_nothing() {
    let namespace = Namespace::new();
    intercept_ok(&namespace, &["enable", "--ignore-uid", "7"]);
    let before = namespace.rules();
    let cases: [(&[&str], &str); 11] = [
        (&["--ignore-uid", ""], "--ignore-uid and --ignore-gid are both empty"),
        (&["--egress-port", ""], "--egress-port is empty"),
        (&["--ingress-port", ""], "--ingress-port is empty"),
        (&["--ingress-port", "15001"], "are both 15001"),
        (&["--guard-metadata", "--guard-uids", ""], "--guard-uids is empty"),
        (&["--app-ports", "80,15001"], "which is the port of --egress-port"),
        (&["--app-ports", "80,x"], "\"x\" is not a port: a number from 1 to 65535"),
        (&["--app-ports", "0"], "\"0\" is not a port"),
        (&["--ignore-uid", "2147483648"], "is not a numeric id from 0 to 2147483647"),
        (&["--ignored-ips", "169.254.169"], "is not an IP address or a range"),
        (&["--backend", "pf"], "possible values: auto, iptables, nft"),
    ];
    for (options, expected) in cases {
        let output = intercept(&namespace, &[&["enable"], options].concat());
        assert_eq!(output.status.code(), Some(2), "{options:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{options:?}: {}", stderr(&output));
        assert_eq!(namespace.rules(), before, "{options:?}");
    }
}

#[test]
fn the_environment_gives_options_too() {
    let namespace = Namespace::new();
    let output = namespace.inside(|| {
        command(&["enable"])
            .env("FLEETMESH_IGNORE_UID", "")
            .env("FLEETMESH_APP_PORTS", "80")
            .output()
            .unwrap()
    });
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let output = namespace.inside(|| {
        command(&["enable"]).env("FLEETMESH_APP_PORTS", "80,81").env("FLEETMESH_IPV6", "1").output().unwrap()
    });
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("application ports 80, 81"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_failure_of_ip6tables_takes_iptables_back() {
    let namespace = Namespace::new();
    namespace.run("ip6tables", &["-t", "nat", "-N", "OTHER"]);
    intercept_ok(&namespace, &["enable", "--backend", "iptables", "--app-ports", "80"]);
    let before = namespace.rules();

    // Accepts the test of the transaction, then fails: what a kernel does that runs out of memory in between.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("ip6tables-restore");
    std::fs::write(
        &program,
        "#!/bin/sh\ncase \"$*\" in *--test*) cat >/dev/null;; *) echo no memory >&2; exit 4;; esac\n",
    )
    .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());

    let options = ["enable", "--backend", "iptables", "--ipv6", "--app-ports", "81"];
    let output = namespace.inside(|| command(&options).env("PATH", &path).output().unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no memory"), "{}", stderr(&output));
    assert_eq!(namespace.rules(), before);
}

#[test]
fn a_host_without_the_backend_says_what_to_install() {
    let namespace = Namespace::new();
    let folder = tempfile::tempdir().unwrap();
    // System folders are searched whatever PATH says, so hide what is in them: an empty file is not a program.
    let mut unshare = Command::new("unshare");
    let hide = "for f in /usr/sbin/nft /sbin/nft; do [ -e $f ] && mount --bind \"$0\" $f; done; exec \"$@\"";
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    unshare.args(["--mount", "--propagation", "private", "--", "sh", "-c", hide]).arg(&empty);
    unshare.arg(env!("CARGO_BIN_EXE_fleetmesh")).args(["proxy", "intercept", "enable", "--backend", "nft"]);
    let output = namespace.inside(|| unshare.output().unwrap());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("the host has no nft: install the package nftables"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn without_root_it_says_so() {
    let namespace = Namespace::new();
    for backend in ["iptables", "nft"] {
        // In a user namespace of its own the process has no power over this network namespace.
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--", env!("CARGO_BIN_EXE_fleetmesh"), "proxy", "intercept", "enable"]);
        unshare.args(["--backend", backend]);
        let output = namespace.inside(|| unshare.output().unwrap());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains("run this command as root"), "{}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    }
    assert_eq!(namespace.rules(), "");
}
