//! Trust in authorities of ACM PCA: real proxies believe those for whom the authority vouches and nobody else, and no failure of
//! ACM PCA changes that.

use fleetmesh_api::unserved::{UnservedAnswer, is_unavailable};
use fleetmesh_api::urls::{UNSERVED, of_mesh};
use fleetmesh_testbed::app::{self, LoadOptions, Protocol};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{http, userns, wait};
use serde_json::{Value, json};

use crate::acm_pca_server::AcmPca;
use crate::bed::{Bed, LIMIT, MeshMember};
use crate::certificates::{Folder, TestAuthority};
use crate::spec::{MESH, caller, empty_mesh, node, service};

/// An authority that nobody has.
const NEVER: &str =
    "arn:aws:acm-pca:us-west-2:123456789012:certificate-authority/99999999-9999-9999-9999-999999999999";

/// Listeners of `red`: certificates of the root, of an authority below it, of another one below it, and of a stranger; plaintext.
const BY_ROOT: u16 = 8001;
const BY_SUBORDINATE: u16 = 8002;
const BY_SIBLING: u16 = 8003;
const BY_STRANGER: u16 = 8004;
const PLAINTEXT: u16 = 8005;

/// A listener of `red` whose certificate is the files `certificate`.
fn listener(protocol: &str, port: u16, folder: &Folder, certificate: &str) -> Value {
    json!({ "portMapping": { "protocol": protocol, "port": port },
        "tls": { "mode": "STRICT", "certificate": folder.certificate(certificate) } })
}

fn red(listeners: &Value) -> Value {
    json!({ "listeners": listeners, "serviceDiscovery": { "dns": { "hostname": "red.apps.local" } } })
}

/// `client`, which calls each of these services and trusts the authorities with these ARNs there.
fn client(services: &[(&str, &[&str])]) -> Value {
    let names: Vec<&str> = services.iter().map(|(name, _)| *name).collect();
    let (_, mut spec) = caller("client", &names);
    for (index, (_, arns)) in services.iter().enumerate() {
        let trust = json!({ "acm": { "certificateAuthorityArns": arns } });
        spec["backends"][index]["virtualService"]["clientPolicy"] =
            json!({ "tls": { "validation": { "trust": trust } } });
    }
    spec
}

/// A bed with `red` and `client`, whose services `red` provides.
async fn world(
    bed: &mut Bed,
    [client_host, red_host]: [fleetmesh_testbed::netns::NetnsInstance; 2],
    red: &Value,
    apps: &[(Protocol, u16)],
    services: &[(&str, &[&str])],
) -> (MeshMember, MeshMember) {
    let names: Vec<&str> = services.iter().map(|(name, _)| *name).collect();
    bed.names(&[&client_host, &red_host], &names).await;
    bed.create(&[empty_mesh(), (node("red"), red.clone())]).await;
    let provider = json!({ "provider": { "virtualNode": { "virtualNodeName": "red" } } });
    for name in names {
        bed.create(&[(service(name), provider.clone())]).await;
    }
    bed.create(&[(node("client"), client(services))]).await;
    let red = bed.join(red_host, apps).await;
    let client = bed.join(client_host, &[]).await;
    (client, red)
}

/// What of `client` is not served, and its status.
async fn said(bed: &Bed) -> anyhow::Result<(Vec<String>, String)> {
    let endpoint = bed.control_plane.endpoint();
    let answer = http::get(&format!("{endpoint}{}", of_mesh(UNSERVED, MESH))).await?;
    let answer: UnservedAnswer = serde_json::from_str(&answer)?;
    let client = answer.objects.into_iter().find(|object| object.resource == node("client").to_string());
    let described = http::get(&format!("{endpoint}/v20190125/meshes/{MESH}/virtualNodes/client")).await?;
    let described: Value = serde_json::from_str(&described)?;
    let status = described["status"]["status"].as_str().unwrap_or_default().to_owned();
    Ok((client.map(|client| client.unserved).unwrap_or_default(), status))
}

/// Awaits that exactly these entries are said, by their beginnings, and the status with it.
async fn says(bed: &Bed, beginnings: &[&str], status: &str) -> Vec<String> {
    wait::until(&format!("{status} with {beginnings:?}"), LIMIT, async || {
        let (entries, found) = said(bed).await?;
        let same = entries.len() == beginnings.len()
            && entries.iter().zip(beginnings).all(|(entry, beginning)| entry.starts_with(beginning));
        anyhow::ensure!(same && found == status, "{found} with {entries:?}");
        Ok(Some(entries))
    })
    .await
    .unwrap()
}

async fn answers(client: &MeshMember, host: &str, port: u16) -> bool {
    let answer = client.get(Protocol::Http2, &format!("http://{host}:{port}/")).await;
    answer.outcome().is_ok_and(|who| who == "red")
}

#[tokio::test]
async fn whom_an_authority_vouches_for_is_believed_and_nobody_else() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("acm-pca").unwrap();
    let (root, stranger) = (TestAuthority::new("root", 0x71), TestAuthority::new("stranger", 0x72));
    let (below, sibling) = (root.subordinate("below", 0x73), root.subordinate("sibling", 0x74));
    let pca = AcmPca::start(&run).await;
    let root_arn = pca.authority(&root, None).await;
    let below_arn = pca.authority(&below, Some(&root)).await;
    let plane = pca.control_plane(&run).await;
    pca.allow(&[&root_arn, &below_arn]).await;
    let (mut bed, hosts) = Bed::around(plane, run, ["client", "red"]).await;
    let folder = Folder::new(bed.run.join("certs"));
    folder.put("root", &root.issue("red.apps.local", 1));
    folder.put("below", &below.issue("red.apps.local", 2).with(&below));
    folder.put("sibling", &sibling.issue("red.apps.local", 3).with(&sibling));
    folder.put("stranger", &stranger.issue("red.apps.local", 4));
    let listeners = json!([
        listener("http2", BY_ROOT, &folder, "root"),
        listener("http2", BY_SUBORDINATE, &folder, "below"),
        listener("http2", BY_SIBLING, &folder, "sibling"),
        listener("http2", BY_STRANGER, &folder, "stranger"),
        { "portMapping": { "protocol": "http2", "port": PLAINTEXT } },
    ]);
    let ports = [BY_ROOT, BY_SUBORDINATE, BY_SIBLING, BY_STRANGER, PLAINTEXT];
    let services: [(&str, &[&str]); 4] = [
        ("root.apps.local", &[&root_arn]),
        ("below.apps.local", &[&below_arn]),
        ("both.apps.local", &[&below_arn, &root_arn]),
        ("never.apps.local", &[&root_arn, NEVER]),
    ];
    let apps = ports.map(|port| (Protocol::Http2, port));
    let (client, _red) = world(&mut bed, hosts, &red(&listeners), &apps, &services).await;
    let path =
        "spec.backends[3].virtualService.clientPolicy.tls.validation.trust.acm: there is no certificate of";
    let entries = says(&bed, &[&format!("{path} {NEVER} (AccessDeniedException: ")], "INACTIVE").await;
    assert!(is_unavailable(&entries[0]));
    for words in ["acm-pca:GetCertificateAuthorityCertificate", "so nothing is sent", "use a file"] {
        assert!(entries[0].contains(words), "{words}: {entries:?}");
    }
    bed.runs_on(&node("client"), 1).await;
    for (host, expected) in [
        // A root vouches for all that is below it; an authority below it for nobody but its own.
        ("root.apps.local", [true, true, true, false, false]),
        ("below.apps.local", [false, true, false, false, false]),
        ("both.apps.local", [true, true, true, false, false]),
        // One that cannot be read closes the whole: neither those of the other one, nor plaintext.
        ("never.apps.local", [false; 5]),
    ] {
        for (port, expected) in ports.into_iter().zip(expected) {
            assert_eq!(answers(&client, host, port).await, expected, "{host}:{port}");
        }
    }
}

#[tokio::test]
async fn what_was_read_is_trusted_until_it_is_read_anew_whatever_fails() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("acm-pca-kept").unwrap();
    let (ca, next) = (TestAuthority::new("ca", 0x71), TestAuthority::new("next", 0x72));
    let pca = AcmPca::start(&run).await;
    let arn = pca.authority(&ca, None).await;
    let plane = pca.control_plane(&run).await;
    let (mut bed, hosts) = Bed::around(plane, run, ["client", "red"]).await;
    let folder = Folder::new(bed.run.join("certs"));
    folder.put("red", &ca.issue("red.apps.local", 1));
    let listeners = json!([listener("tcp", BY_ROOT, &folder, "red")]);
    let services: [(&str, &[&str]); 1] = [("shop.apps.local", &[&arn])];
    let (mut client, _red) =
        world(&mut bed, hosts, &red(&listeners), &[(Protocol::Tcp, BY_ROOT)], &services).await;
    let url = format!("tcp://shop.apps.local:{BY_ROOT}");
    let connects =
        async |client: &MeshMember| app::get(&client.instance, Protocol::Tcp, &url, &[]).await.is_ok();
    let until = async |client: &MeshMember, wanted: bool| {
        let what = format!("connections are made: {wanted}");
        wait::until(&what, LIMIT, async || Ok((connects(client).await == wanted).then_some(())))
            .await
            .unwrap();
    };

    // Without the right: closed. With it: served, without anything else.
    let path = "spec.backends[0].virtualService.clientPolicy.tls.validation.trust.acm";
    says(&bed, &[path], "INACTIVE").await;
    pca.is_asked().await;
    assert!(!connects(&client).await);
    pca.allow(&[&arn]).await;
    says(&bed, &[], "ACTIVE").await;
    bed.runs_on(&node("client"), 1).await;
    until(&client, true).await;

    // Each connection over TCP is one handshake of its own.
    let options = LoadOptions { protocol: Protocol::Tcp, rate: 50, ..LoadOptions::new(&url) };
    let mut load = client.load(&bed, &options, "denied").await;
    pca.deny().await;
    pca.is_asked().await;
    load.until("connections", LIMIT, |tally| tally.phase("denied").answered() >= 50).await.unwrap();
    load.phase("away").await.unwrap();
    pca.set_away(true);
    pca.is_asked().await;
    bed.control_plane.kill();
    bed.control_plane.restart(&bed.run).await.unwrap();
    bed.runs_on(&node("client"), 1).await;
    says(&bed, &[], "ACTIVE").await;
    load.phase("restarted").await.unwrap();
    load.until("connections", LIMIT, |tally| tally.phase("restarted").answered() >= 50).await.unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    // Proxy and control plane start anew while ACM PCA is away.
    client.envoy.restart(&client.instance, &bed.run).unwrap();
    client.envoy.ready(&client.instance, LIMIT).await.unwrap();
    until(&client, true).await;

    // Another certificate of the authority is taken in, and the old one is no longer trusted.
    pca.allow(&[&arn]).await;
    pca.import(&arn, &next, None).await;
    pca.set_away(false);
    until(&client, false).await;
    folder.put("red", &next.issue("red.apps.local", 2));
    until(&client, true).await;
}
