//! Access logs: the file that the node names gets a line for each request, as text or JSON.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::ensure;
use fleetmesh_testbed::app::Protocol;
use fleetmesh_testbed::{userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::spec::{backends, empty_mesh, http2_route, node, route, routed, router_on, server, targets};

const URL: &str = "http://shop.apps.local/";

fn logged(file: &Path, format: Option<&Value>) -> Value {
    let mut log = json!({ "path": file });
    if let Some(format) = format {
        log["format"] = format.clone();
    }
    json!({ "backends": backends(&["shop.apps.local"]), "logging": { "accessLog": { "file": log } } })
}

/// The line about a request for `path`, sent until Envoy has written it.
async fn line(client: &MeshMember, path: &str, file: &Path) -> String {
    let answer = client.get(Protocol::Http2, &format!("{URL}{path}")).await;
    assert_eq!(answer.outcome(), Ok("red".to_owned()));
    wait::until(&format!("{} has a line about {path}", file.display()), LIMIT, async || {
        let text = std::fs::read_to_string(file)?;
        ensure!(text.ends_with('\n'), "no whole line yet: {text:?}");
        Ok(text.lines().find(|line| line.contains(path)).map(str::to_owned))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn each_request_is_a_line_of_the_file() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red]) = Bed::start("log", ["client", "red"]).await;
    bed.names(&[&client, &red], &["shop.apps.local"]).await;
    // Envoy writes as a user of its own.
    let folder = bed.run.join("logs");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let (plain, text, object) = (folder.join("plain"), folder.join("text"), folder.join("json"));
    bed.create(&[
        empty_mesh(),
        server("red", &[("http2", 8001)]),
        router_on("shop", &[("http2", 80)]),
        (route("shop", "all"), http2_route(&targets(&[("red", 8001, 1)]))),
        routed("shop.apps.local", "shop"),
        (node("client"), logged(&plain, None)),
    ])
    .await;
    let _red = bed.join(red, &[(Protocol::Http2, 8001)]).await;
    let client = bed.join(client, &[]).await;

    let found = line(&client, "plain", &plain).await;
    assert!(found.contains("\"GET /plain HTTP/2\" 200"), "Envoy's own format: {found}");

    let format = json!({ "text": "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE%" });
    bed.update(&node("client"), &logged(&text, Some(&format)), 1).await;
    assert_eq!(line(&client, "text", &text).await, "GET /text 200");

    let format = json!({ "json": [
        { "key": "path", "value": "%REQ(:PATH)%" },
        { "key": "status", "value": "%RESPONSE_CODE%" },
        { "key": "who", "value": "client" }] });
    bed.update(&node("client"), &logged(&object, Some(&format)), 1).await;
    let found: Value = serde_json::from_str(&line(&client, "json", &object).await).unwrap();
    assert_eq!(found, json!({ "path": "/json", "status": 200, "who": "client" }));
}
