//! Black-box tests of `fleetmesh proxy bootstrap`: goldens, and a real Envoy's verdict. Needs the Envoy that
//! `cargo xtask setup` installs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RESOURCE: &str = "mesh/apps/virtualNode/serviceB";

fn bootstrap(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetmesh"));
    command.env_clear().args(["proxy", "bootstrap"]).args(arguments).output().unwrap()
}

fn rendered(arguments: &[&str]) -> String {
    let output = bootstrap(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `FLEETMESH_TOOLS`, or the folder that `cargo xtask setup` fills beside the build.
fn envoy() -> PathBuf {
    let tools = std::env::var_os("FLEETMESH_TOOLS").map_or_else(
        || Path::new(env!("CARGO_BIN_EXE_fleetmesh")).ancestors().nth(2).unwrap().join("tools"),
        PathBuf::from,
    );
    let envoy = tools.join("bin/envoy");
    assert!(envoy.exists(), "{} is missing: run `cargo xtask setup`", envoy.display());
    envoy
}

fn golden(name: &str, text: &str) {
    let path = Path::new("tests/golden").join(name);
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name} differs; review it and run with FLEETMESH_BLESS=1");
}

#[test]
fn renders_the_scenario() {
    let text = rendered(&["--resource", RESOURCE, "--control-plane", "unix:/run/fleetmesh/ads.sock"]);
    golden("bootstrap.yaml", &text);
}

#[test]
fn renders_every_option() {
    let text = rendered(&[
        "--resource",
        "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB",
        "--control-plane=http://control.example:18000",
        "--admin-address=::1",
        "--admin-port=9902",
        "--max-connections=1000",
        "--sds-socket=unix:///run/spire/agent.sock",
        "--load-reporting=false",
        "--output=json",
    ]);
    golden("bootstrap.json", &text);
}

#[test]
fn renders_tls() {
    let address = "https://control.example:18443";
    let text = rendered(&["--resource", RESOURCE, "--control-plane", address, "--cert-dir", "/certs"]);
    golden("bootstrap-tls.yaml", &text);
}

#[test]
fn envoy_accepts_what_it_renders() {
    let folder = tempfile::tempdir().unwrap();
    // Envoy wants the files of its certificate to be there.
    let certs = folder.path().to_str().unwrap();
    let [certificate, key] = ["ca.crt", "ca.key"].map(|name| format!("{certs}/{name}"));
    for arguments in [
        &["certs", "ca", "--out-dir", certs][..],
        &[
            "certs",
            "issue",
            "--resource",
            RESOURCE,
            "--ca-cert",
            &certificate,
            "--ca-key",
            &key,
            "--out-dir",
            certs,
        ],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetmesh"));
        assert!(command.env_clear().args(arguments).output().unwrap().status.success(), "{arguments:?}");
    }
    for address in [
        "unix:/run/fleetmesh/ads.sock",
        "control.example:18000",
        "http://127.0.0.1:18000",
        "[::1]:18000",
        "https://control.example:18443",
        "https://127.0.0.1:18443",
    ] {
        for extra in [&["--output", "yaml"][..], &["--output", "json", "--load-reporting=false"]] {
            let common = ["--resource", RESOURCE, "--control-plane", address, "--cert-dir", certs];
            let text = rendered(&[&common[..], extra].concat());
            let file = folder.path().join(format!("envoy.{}", extra[1]));
            std::fs::write(&file, text).unwrap();
            let output =
                Command::new(envoy()).args(["--mode", "validate", "-c"]).arg(&file).output().unwrap();
            let log = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{address} {extra:?}: {log}");
            assert!(!log.contains("[warning]") && !log.contains("deprecated"), "{address} {extra:?}: {log}");
        }
    }
}

#[test]
fn refuses_what_cannot_be_and_says_what_can() {
    let cases: [(&[&str], &str); 4] = [
        (&["--resource", "serviceB"], "expected mesh/MESH/virtualNode/NAME"),
        (
            &["--resource", "mesh/apps/virtualRouter/r"],
            "is a VirtualRouter, and a proxy runs a VirtualNode or a VirtualGateway",
        ),
        (&["--resource", RESOURCE, "--control-plane", "control.example"], "has no port"),
        (&["--resource", RESOURCE, "--admin-address", "0.0.0.0"], "is not a loopback address"),
    ];
    for (arguments, expected) in cases {
        let output = bootstrap(&[arguments, &["--control-plane", "unix:/x"]].concat()[..]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}
