//! The workloads of a release do their work: the samples converge on them, the AWS CLI is let in as `docs/install.md`
//! says, Secrets are exchanged under them, and a lost volume is made up for.

use std::process::Command;
use std::time::Duration;

use fleetmesh_testbed::command::{self, Captured};
use fleetmesh_testbed::helm::chart;
use fleetmesh_testbed::{port, tools, userns, wait};
use serde_json::{Value, json};

use crate::bed::{ADS_HOST, HelmBed, NAMESPACE};
use crate::replicas;

const LIMIT: Duration = Duration::from_secs(60);
/// The certificate that a server shows, as it is, without verifying it.
const SHOWN: &str = "import ssl, sys; print(ssl.get_server_certificate(('127.0.0.1', int(sys.argv[1]))))";

/// A handshake for a name at a port of loopback with an authority and a folder with a certificate, and HTTP/2's first words.
const HANDSHAKE: &str = r#"
import socket, ssl, sys
name, port, authority, folder = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
context.set_alpn_protocols(["h2"])
context.load_cert_chain(folder + "/tls.crt", folder + "/tls.key")
with context.wrap_socket(socket.create_connection(("127.0.0.1", int(port)), timeout=10), server_hostname=name) as tls:
    tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
    if not tls.recv(9): sys.exit("closed")
"#;

impl HelmBed {
    async fn access_key(&self) -> (String, String) {
        let key: Value =
            serde_json::from_str(&self.secret("fleetmesh-access-key", "access-key.json").await).unwrap();
        let text = |member: &str| key[member].as_str().unwrap().to_owned();
        (text("accessKeyId"), text("secretAccessKey"))
    }

    /// `aws appmesh list-virtual-nodes` with this key, over TLS, as docs/install.md says.
    async fn list(&self, (id, secret): &(String, String)) -> Captured {
        let authority = self.run.join("ca.crt");
        std::fs::write(&authority, self.secret("fleetmesh-control-plane-tls", "ca.crt").await).unwrap();
        let endpoint = format!("https://localhost:{}", self.api);
        let mut aws = Command::new(tools::tool("aws").unwrap());
        aws.args(["appmesh", "list-virtual-nodes", "--mesh-name", "apps", "--endpoint-url", &endpoint]);
        fleetmesh_testbed::aws::credentials(&mut aws);
        aws.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_CA_BUNDLE", authority);
        command::capture(aws).await.unwrap()
    }

    async fn shown(&self) -> String {
        let mut python = Command::new(tools::tool("python").unwrap());
        python.args(["-c", SHOWN, &self.api.to_string()]);
        command::run(python).await.unwrap()
    }
}

#[tokio::test]
async fn the_samples_converge_on_the_workloads_of_a_release() {
    if !userns::wanted() {
        return;
    }
    // Joining, so that the authority's key is one that the control plane can sign with.
    // A proxy's image, so that the operator reads the authority that instances are given.
    let image = "registry.example.com/fleetmesh-proxy:v1";
    let [join] = port::free().unwrap();
    let values = json!({
        "controlPlane": { "join": {
            "enabled": true, "port": join, "verifyInstances": true,
            "identityCertificates": { "aws": true, "kind": "Secret", "name": "ec2", "key": "regions" },
            "deniedInstances": { "name": "denied" },
        } },
        "operator": { "proxyJoin": { "image": image } },
    });
    let mut bed = HelmBed::install("workloads", &chart().unwrap(), values).await;
    // Any certificate will do: no instance joins here.
    let regions = bed.run.join("regions");
    std::fs::write(&regions, bed.secret("fleetmesh-ca", "tls.crt").await).unwrap();
    let file = format!("--from-file={}", regions.display());
    let make = ["create", "secret", "generic", "ec2", &file, "-n", NAMESPACE];
    bed.kubectl.run(&make).await.unwrap();
    let denied =
        ["create", "configmap", "denied", "--from-literal=denied-instances=# nobody", "-n", NAMESPACE];
    bed.kubectl.run(&denied).await.unwrap();
    bed.start().await;
    bed.apply("getting-started").await;
    bed.ready().await;
    an_instance_is_denied_without_a_restart(&mut bed).await;
    only_its_own_key_is_let_in(&bed).await;
    a_certificate_of_the_release_is_one_for_a_proxy(&bed).await;

    bed.control_plane.kill();
    bed.control_plane.start(&bed.kubectl, &bed.in_cluster, &bed.run).await;
    replicas::the_other_replica_takes_over(&mut bed).await;

    secrets_are_exchanged_under_running_workloads(&mut bed).await;
    a_lost_volume_is_made_up_for(&mut bed).await;
}

/// What `docs/install.md` says of proxies, up to the handshake: the release's authority signs a certificate, and the control
/// plane shows the name that instances know it by, and no other. Whom it lets in is tested where that is decided.
async fn a_certificate_of_the_release_is_one_for_a_proxy(bed: &HelmBed) {
    let folder = bed.run.join("proxy");
    let (authority, key) = (bed.run.join("authority.crt"), bed.run.join("authority.key"));
    std::fs::write(&authority, bed.secret("fleetmesh-ca", "tls.crt").await).unwrap();
    std::fs::write(&key, bed.secret("fleetmesh-ca", "tls.key").await).unwrap();
    let mut issue = Command::new(tools::fleetmesh().unwrap());
    issue.args(["certs", "issue", "--resource", "mesh/apps/virtualNode/serviceB"]);
    issue.arg("--ca-cert").arg(&authority).arg("--ca-key").arg(&key).arg("--out-dir").arg(&folder);
    command::run(issue).await.unwrap();
    for (name, right) in [(ADS_HOST, true), ("other.example.com", false)] {
        let mut python = Command::new(tools::tool("python").unwrap());
        python.args(["-c", HANDSHAKE, name, &bed.ads.to_string()]).arg(&authority).arg(&folder);
        let shaken = command::capture(python).await.unwrap();
        assert_eq!(shaken.status.success(), right, "{name}: {shaken:?}");
    }
}

/// As docs/join.md says: the ConfigMap changes, the kubelet puts it into the Pod, and the control plane reads it.
async fn an_instance_is_denied_without_a_restart(bed: &mut HelmBed) {
    let read = async |instances: usize| {
        wait::until("the list was read", LIMIT, async || {
            let log = std::fs::read_to_string(bed.run.join("fleetmesh-control-plane-0.log"))?;
            let mut lines = log.lines().filter(|line| line.contains("the list of denied instances was read"));
            Ok(lines.any(|line| line.contains(&format!("\"instances\":{instances}"))).then_some(()))
        })
        .await
        .unwrap();
    };
    read(0).await;
    let list = r##"{"data":{"denied-instances":"# broken into\ni-0123456789abcdef0\n"}}"##;
    let patch = ["patch", "configmap", "denied", "-n", NAMESPACE, "--type=merge", "-p", list];
    bed.kubectl.run(&patch).await.unwrap();
    bed.control_plane.sync(&bed.kubectl).await;
    read(1).await;
    bed.control_plane.ensure_running();
}

async fn only_its_own_key_is_let_in(bed: &HelmBed) {
    let (id, secret) = bed.access_key().await;
    let listed = bed.list(&(id.clone(), secret.clone())).await.success().unwrap();
    assert!(listed.contains("\"serviceBv2\""), "{listed}");
    for key in [(id, format!("{secret}x")), ("AKIDEXAMPLE".to_owned(), secret)] {
        let refused = bed.list(&key).await;
        assert!(!refused.status.success(), "{refused:?}");
        assert!(refused.stderr.contains("(403)") || refused.stderr.contains("Exception"), "{refused:?}");
    }
}

/// Another certificate and another access key, as docs/operations.md says, with nothing restarted.
async fn secrets_are_exchanged_under_running_workloads(bed: &mut HelmBed) {
    let (shown, old_key) = (bed.shown().await, bed.access_key().await);
    let due =
        ["annotate", "--overwrite", "secret", "fleetmesh-control-plane-tls", "fleetmesh.dev/renew-after=0"];
    bed.kubectl.run(&[&due[..], &["-n", NAMESPACE]].concat()).await.unwrap();
    bed.kubectl.run(&["delete", "secret", "fleetmesh-access-key", "-n", NAMESPACE]).await.unwrap();
    bed.upgrade(&chart().unwrap()).await;
    let new_key = bed.access_key().await;
    assert_ne!(new_key, old_key);
    wait::until("the new certificate is shown and the new key let in", LIMIT, async || {
        let listed = bed.list(&new_key).await.status.success() && !bed.list(&old_key).await.status.success();
        Ok((listed && bed.shown().await != shown).then_some(()))
    })
    .await
    .unwrap();
    bed.apply("shift-100").await;
    wait::until("the operator works with the new key", LIMIT, async || {
        Ok((bed.weights().await == "serviceBv2=100").then_some(()))
    })
    .await
    .unwrap();
    bed.ready().await;
    bed.operator.ensure_running();
    bed.control_plane.ensure_running();
}

async fn a_lost_volume_is_made_up_for(bed: &mut HelmBed) {
    bed.control_plane.kill();
    bed.control_plane.lose("data");
    bed.control_plane.start(&bed.kubectl, &bed.in_cluster, &bed.run).await;
    let key = bed.access_key().await;
    wait::until("the operator made every object again", LIMIT, async || {
        let listed = bed.list(&key).await.success()?;
        Ok(["serviceA", "serviceB", "serviceBv2"]
            .iter()
            .all(|node| listed.contains(&format!("\"{node}\"")))
            .then_some(()))
    })
    .await
    .unwrap();
    bed.ready().await;
}
