//! A signed write counts once: sent again by whoever saw it, it changes nothing; sent again by an SDK whose answer got lost,
//! it is answered as the first was.

use std::process::Command;

use fleetmesh_testbed::{aws, command, tools, wait};
use serde_json::{Value, json};

use crate::api::cli;
use crate::bed::{LIMIT, TlsBed, create_key};

#[tokio::test]
async fn a_signed_write_that_is_sent_again_changes_nothing_and_a_retry_is_answered() {
    let bed = TlsBed::start("replays").await;
    let key = create_key(&bed.control_plane.data_dir(), &bed.run.join("key.json")).await;
    wait::until("the key counts", LIMIT, async || {
        cli(&bed, &key, &["list-meshes"]).await.success().map(Some)
    })
    .await
    .unwrap();
    let script = tools::workspace_dir().unwrap().join("tests/tests/tls/replays.py");
    let mut python = Command::new(tools::tool("python").unwrap());
    python.arg(script).args([&bed.endpoint, &bed.ca()]);
    aws::credentials(&mut python);
    python.env("AWS_ACCESS_KEY_ID", &key.access_key_id);
    python.env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key);
    let found: Value = serde_json::from_str(&command::run(python).await.unwrap()).unwrap();

    // Version 2 allowed all, version 3 took that back, and the write of version 2 came again.
    assert_eq!(found["state"], json!(["DROP_ALL", 3]), "{found}");
    let at_once = &found["at once"];
    assert!(at_once == &json!({"status": 200, "version": 2}) || at_once["status"] == 403, "{found}");
    assert_eq!(found["state later"], json!(["DROP_ALL", 3]), "{found}");
    let later = &found["later"];
    assert_eq!(
        (&later["status"], &later["code"]),
        (&403.into(), &"InvalidSignatureException".into()),
        "{found}"
    );
    assert!(later["message"].as_str().unwrap().starts_with("The signature was used before"), "{found}");
    // The same request twice within a second: it is done once, and the caller does not see that it was sent twice.
    assert_eq!(found["lost in a second"]["tries"], 2, "{found}");
    assert_eq!(found["lost"]["tries"], 2, "{found}");
    println!("{found:#}");
}
