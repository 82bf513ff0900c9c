//! The program says what it needs. That it is built here also has `cargo xtask image` build it as every other test is built.

use std::process::Command;

#[test]
fn without_its_tools_it_names_each() {
    let output = Command::new(env!("CARGO_BIN_EXE_fleetmesh-image")).args(["--binary", "fleetmesh"]).output();
    let output = output.expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    for option in ["--out", "--crane", "--auditable2cdx"] {
        assert!(message.contains(option), "{message}");
    }
}
