//! IAM roles as EC2 gives them to instances: sessions that moto's STS knows, behind the metadata service.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmesh_testbed::moto::Moto;
use fleetmesh_testbed::netns::NetnsInstance;
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{command, tools};
use serde_json::json;

use crate::machine::stand_ins;

/// The metadata service's addresses.
const ADDRESSES: [&[&str]; 2] = [&["169.254.169.254/32"], &["fd00:ec2::254/128", "nodad"]];

/// Makes the role of this name; its ARN.
pub async fn make(moto: &Moto, role: &str) -> String {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole" }] });
    let create = ["iam", "create-role", "--role-name", role, "--assume-role-policy-document"];
    let made = moto.aws(&[&create[..], &[&trust.to_string()]].concat()).await.unwrap();
    made["Role"]["Arn"].as_str().unwrap().to_owned()
}

/// Gives `instance`, which EC2 calls `id`, the role with this ARN: a metadata service, and its file with the secrets.
pub async fn give(
    moto: &Moto,
    arn: &str,
    id: &str,
    instance: &NetnsInstance,
    run: &RunDir,
) -> (Process, PathBuf) {
    let assume = ["sts", "assume-role", "--role-arn", arn, "--role-session-name", id];
    let session = &moto.aws(&assume).await.unwrap()["Credentials"];
    let file = run.join(format!("credentials-{id}"));
    let document = json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2020-01-01T00:00:00Z",
        "AccessKeyId": session["AccessKeyId"], "SecretAccessKey": session["SecretAccessKey"],
        "Token": session["SessionToken"], "Expiration": "2099-01-01T00:00:00Z",
    });
    fs::write(&file, document.to_string()).unwrap();
    let service = serve(arn.rsplit('/').next().unwrap(), &file, instance, run).await;
    (service, file)
}

/// A metadata service on `instance` with the credentials in `file` for the role of this name.
pub async fn serve(role: &str, file: &Path, instance: &NetnsInstance, run: &RunDir) -> Process {
    for more in ADDRESSES {
        let mut address = instance.command("ip");
        address.args(["address", "add", "dev", "lo"]).args(more);
        command::run(address).await.unwrap();
    }
    let mut serve = instance.command(tools::tool("python").unwrap());
    serve.arg(stand_ins().join("metadata")).arg(role).arg(file);
    let mut service = Process::spawn(&format!("metadata-{}", instance.name()), &serve, run).unwrap();
    service.first_line(Duration::from_secs(30)).await.unwrap();
    service
}
