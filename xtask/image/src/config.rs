//! The configuration of an image: who runs what, and what it says about itself.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::layer::ENTRY_POINT;

/// The version of the workspace, and so of the chart, whose default tag it is.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Numeric, so that Kubernetes can verify that it is not root; the chart's Pods run as the same.
pub const USER: &str = "65532:65532";
/// What the binary is built for.
const PLATFORM: (&str, &str) = ("linux", "amd64");

/// The configuration as arguments of `crane mutate`.
#[must_use]
pub fn arguments() -> Vec<String> {
    let (os, architecture) = PLATFORM;
    let license = env!("CARGO_PKG_LICENSE");
    let pairs = [
        ("--entrypoint", ENTRY_POINT.to_owned()),
        ("--user", USER.to_owned()),
        ("--set-platform", format!("{os}/{architecture}")),
        ("--label", "org.opencontainers.image.title=fleetmesh".to_owned()),
        ("--label", format!("org.opencontainers.image.version={VERSION}")),
        ("--label", format!("org.opencontainers.image.licenses={license}")),
    ];
    pairs.into_iter().flat_map(|(option, value)| [option.to_owned(), value]).collect()
}

/// Whether `config`, as it is in a finished image, runs our program as a numeric user who is not root, and contains no time.
///
/// # Errors
/// It does not; the error says what is wrong.
pub fn check(config: &Value) -> Result<()> {
    let inner = &config["config"];
    let user = inner["User"].as_str().unwrap_or_default();
    let ids: Vec<u32> = user.split(':').filter_map(|id| id.parse().ok()).collect();
    ensure!(
        ids.len() == 2 && !ids.contains(&0),
        "the image's user is {user:?}: neither numeric nor other than root"
    );
    ensure!(user == USER, "the image's user is {user}, not {USER}");
    ensure!(
        inner["Entrypoint"] == serde_json::json!([ENTRY_POINT]),
        "the entry point is {}",
        inner["Entrypoint"]
    );
    ensure!(inner["Cmd"].is_null(), "the image has a command: {}", inner["Cmd"]);
    let platform = (config["os"].as_str(), config["architecture"].as_str());
    ensure!(platform == (Some(PLATFORM.0), Some(PLATFORM.1)), "the image's platform is {platform:?}");
    ensure!(
        inner["Labels"]["org.opencontainers.image.version"] == VERSION,
        "the label of the version is missing"
    );
    let created = config["created"].as_str().unwrap_or_default();
    ensure!(
        created.starts_with("0001-") || created.starts_with("1970-"),
        "the image shows when it was made: {created}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Value {
        json!({
            "architecture": "amd64", "os": "linux", "created": "0001-01-01T00:00:00Z",
            "config": {
                "User": USER, "Entrypoint": [ENTRY_POINT],
                "Labels": {"org.opencontainers.image.version": VERSION},
            },
        })
    }

    #[test]
    fn check_refuses_each_thing_that_is_wrong() -> Result<()> {
        check(&config())?;
        for (pointer, wrong) in [
            ("/config/User", json!("")),
            ("/config/User", json!("0:0")),
            ("/config/User", json!("65532:0")),
            ("/config/User", json!("nonroot:nonroot")),
            ("/config/User", json!("1000:1000")),
            ("/config/Entrypoint", json!(["/bin/sh"])),
            ("/config/Labels", json!({})),
            ("/os", json!("windows")),
            ("/architecture", json!("arm64")),
            ("/created", json!("2026-11-28T04:00:00Z")),
        ] {
            let mut config = config();
            let found = config.pointer_mut(pointer);
            *found.ok_or_else(|| anyhow::anyhow!("{pointer} is no member"))? = wrong.clone();
            assert!(check(&config).is_err(), "{pointer} = {wrong}");
        }
        Ok(())
    }

    /// The text of a file of the repository.
    fn read(file: &str) -> Result<String> {
        Ok(std::fs::read_to_string(fleetmesh_testbed::tools::workspace_dir()?.join(file))?)
    }

    #[test]
    fn dockerfile_makes_the_same_configuration() -> Result<()> {
        let text = read("Dockerfile")?;
        let line = |wanted: String| assert!(text.lines().any(|line| line == wanted), "{wanted}");
        line(format!("USER {USER}"));
        line(format!("ENTRYPOINT [{ENTRY_POINT:?}]"));
        line("FROM scratch".to_owned());
        line(format!("FROM rust:{}-slim-bookworm AS build", env!("CARGO_PKG_RUST_VERSION")));
        Ok(())
    }

    #[test]
    fn chart_names_this_image_and_this_user() -> Result<()> {
        let name = super::super::variant::Variant::Full.name();
        assert!(read("charts/fleetmesh/values.yaml")?.contains(&format!("\n  repository: {name}\n")));
        assert!(read("charts/fleetmesh/Chart.yaml")?.contains(&format!("\nappVersion: {VERSION}\n")));
        let helpers = read("charts/fleetmesh/templates/_helpers.tpl")?;
        let (user, group) = USER.split_once(':').unwrap_or_default();
        assert!(helpers.contains(&format!("runAsUser: {user}\nrunAsGroup: {group}\n")));
        Ok(())
    }
}
