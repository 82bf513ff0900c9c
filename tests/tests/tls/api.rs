//! The App Mesh API over TLS: signed by the real AWS CLI, and in every way that it should not be.

use std::process::Command;

use fleetmesh_testbed::command::Captured;
use fleetmesh_testbed::{aws, command, tools, wait};
use serde_json::Value;

use crate::bed::{BedKey, LIMIT, TlsBed, create_key, fleetmesh};

/// `aws appmesh` at the TLS endpoint of `bed`, with `key`.
pub async fn cli(bed: &TlsBed, key: &BedKey, arguments: &[&str]) -> Captured {
    command::capture(cli_command(bed, key, arguments)).await.unwrap()
}

/// The command of [`cli`].
pub fn cli_command(bed: &TlsBed, key: &BedKey, arguments: &[&str]) -> Command {
    let mut command = Command::new(tools::tool("aws").unwrap());
    command.args(["--endpoint-url", &bed.endpoint, "--ca-bundle", &bed.ca(), "--output", "json"]);
    command.arg("appmesh").args(arguments).env("AWS_PAGER", "");
    aws::credentials(&mut command);
    command.env("AWS_ACCESS_KEY_ID", &key.access_key_id);
    command.env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key);
    command
}

/// Runs `signatures.py`: what botocore makes of each altered request.
async fn altered(bed: &TlsBed, key: &BedKey) -> Value {
    let script = tools::workspace_dir().unwrap().join("tests/tests/tls/signatures.py");
    let mut command = Command::new(tools::tool("python").unwrap());
    command.arg(script).args([&bed.endpoint, &bed.ca()]);
    aws::credentials(&mut command);
    command.env("AWS_ACCESS_KEY_ID", &key.access_key_id);
    command.env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key);
    serde_json::from_str(&command::run(command).await.unwrap()).unwrap()
}

#[tokio::test]
async fn only_what_is_signed_with_a_key_of_ours_is_let_in() {
    let mut bed = TlsBed::start("signed").await;
    let data_dir = bed.control_plane.data_dir();
    let key = create_key(&data_dir, &bed.run.join("key.json")).await;
    let create = ["create-mesh", "--mesh-name", "apps", "--tags", "key=a b,value=1+2/3=4"];
    // A running control plane hears of the key within a second.
    wait::until("the key counts", LIMIT, async || {
        cli(&bed, &key, &["list-meshes", "--limit", "5"]).await.success().map(Some)
    })
    .await
    .unwrap();
    let made: Value = serde_json::from_str(&cli(&bed, &key, &create).await.success().unwrap()).unwrap();
    let arn = made["mesh"]["metadata"]["arn"].as_str().unwrap();
    // Characters that are encoded in paths and in queries.
    let router = ["--mesh-name", "apps", "--virtual-router-name", "a_b~c.*d e"];
    let spec = ["--spec", "{}"];
    cli(&bed, &key, &[&["create-virtual-router"][..], &router, &spec].concat()).await.success().unwrap();
    cli(&bed, &key, &[&["describe-virtual-router"][..], &router].concat()).await.success().unwrap();
    let tags = cli(&bed, &key, &["list-tags-for-resource", "--resource-arn", arn]).await.success().unwrap();
    assert!(tags.contains("1+2/3=4"), "{tags}");

    let list = ["list-meshes"];
    let wrong = BedKey { secret_access_key: "0".repeat(40), access_key_id: key.access_key_id.clone() };
    let unknown = BedKey { access_key_id: "FMKYNOBODY".into(), secret_access_key: "0".repeat(40) };
    let unsigned = [&list[..], &["--no-sign-request"]].concat();
    for (key, arguments, name) in [
        (&wrong, &list[..], "InvalidSignatureException"),
        (&unknown, &list, "UnrecognizedClientException"),
        (&key, &unsigned, "MissingAuthenticationTokenException"),
    ] {
        let refused = cli(&bed, key, arguments).await;
        assert!(!refused.status.success() && refused.stderr.contains(name), "{refused:?}");
    }

    let outcomes = altered(&bed, &key).await;
    for (case, code) in [
        ("nothing", ""),
        ("body", "InvalidSignatureException"),
        ("path", "InvalidSignatureException"),
        ("header", "InvalidSignatureException"),
        ("past", "InvalidSignatureException"),
        ("future", "InvalidSignatureException"),
        ("little", ""),
        ("region", "InvalidSignatureException"),
        ("host", "InvalidSignatureException"),
        ("name", ""),
        ("distribution", "MissingAuthenticationTokenException"),
        ("loads", "MissingAuthenticationTokenException"),
        ("health", ""),
    ] {
        let outcome = &outcomes[case];
        let status = if code.is_empty() { 200 } else { 403 };
        assert_eq!(
            (&outcome["code"], &outcome["status"]),
            (&code.into(), &status.into()),
            "{case}: {outcome}"
        );
    }
    let said = |case: &str| outcomes[case]["message"].as_str().unwrap().to_owned();
    assert!(said("region").starts_with("Credential should be scoped to a valid region"), "{outcomes}");
    assert!(
        said("host").starts_with("The signed host 'appmesh.us-west-2.amazonaws.com' is none"),
        "{outcomes}"
    );
    let expired = outcomes["past"]["message"].as_str().unwrap();
    assert!(expired.starts_with("Signature expired"), "{expired}");

    let listed =
        fleetmesh(&["control-plane", "keys", "list", "--data-dir", data_dir.to_str().unwrap()]).await;
    assert!(listed.contains(&key.access_key_id) && !listed.contains(&key.secret_access_key), "{listed}");
    let revoke = ["control-plane", "keys", "revoke", "--data-dir", data_dir.to_str().unwrap()];
    fleetmesh(&[&revoke[..], &[&key.access_key_id]].concat()).await;
    let revoked = wait::until("the key does not count any more", LIMIT, async || {
        let refused = cli(&bed, &key, &list).await;
        Ok((!refused.status.success()).then_some(refused))
    });
    let revoked = revoked.await.unwrap();
    assert!(revoked.stderr.contains("UnrecognizedClientException"), "{revoked:?}");
    bed.no_log_holds(&key);
}
