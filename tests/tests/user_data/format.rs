//! What cloud-init makes of user data.

use std::process::Command;

use fleetmesh_instance::registry::ENVOY_IMAGE;
use fleetmesh_instance::{Application, DataPart, ProxyImage, user_data};
use fleetmesh_testbed::{command, tools};

use crate::{mime, options};

/// What versions of `cloud-init schema` say that check cloud-config alone (22.4 does).
const CLOUD_CONFIG_ONLY: &str = r##"needs to begin with "#cloud-config""##;

#[tokio::test]
async fn every_part_arrives_unchanged() {
    let contents = [
        "#cloud-config\npackages: [nginx]\n",
        "",
        "no line break at the end",
        "caf\u{e9} \u{2603} \u{1f980}\n",
        "carriage\r\nreturn\r",
        "--fleetmesh-0\n\n--fleetmesh-1--\nFrom me\n.\n",
        "form\u{c}feed \u{85} \u{2028} next\n",
    ];
    let part =
        |content: &&str| DataPart { content_type: "text/plain".to_owned(), content: (*content).to_owned() };
    let mut options = options("red", ProxyImage::AppMesh, "control.example:18000");
    options.application = Application::Parts(contents.iter().map(part).collect());
    let parts = mime::parts(&user_data(&options).unwrap()).await;
    assert_eq!(parts[0].0, "text/x-shellscript");
    assert!(parts[0].1.starts_with("#!/bin/bash\n"));
    assert_eq!(parts[1..].iter().map(|(_, content)| content.as_str()).collect::<Vec<_>>(), contents);
}

#[tokio::test]
async fn cloud_init_accepts_it() {
    if Command::new("cloud-init").arg("--version").output().is_err() {
        eprintln!("SKIPPED: cloud-init is not installed");
        return;
    }
    for image in [ProxyImage::AppMesh, ProxyImage::Envoy] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), user_data(&options("red", image, "control.example:18000")).unwrap())
            .unwrap();
        let mut schema = Command::new("cloud-init");
        schema.args(["schema", "--config-file"]).arg(file.path());
        let said = command::capture(schema).await.unwrap();
        if said.stderr.contains(CLOUD_CONFIG_ONLY) || said.stdout.contains(CLOUD_CONFIG_ONLY) {
            eprintln!("SKIPPED: this cloud-init's schema knows no messages of several parts");
            return;
        }
        said.success().unwrap();
    }
}

#[tokio::test]
async fn the_stock_envoy_is_the_one_that_tests_run() {
    let mut version = Command::new(tools::tool("envoy").unwrap());
    version.arg("--version");
    let version = command::run(version).await.unwrap();
    let tag = ENVOY_IMAGE.rsplit_once(":v").unwrap().1;
    assert!(version.contains(&format!("/{tag}/")), "{ENVOY_IMAGE}, but tests run {version}");
}
