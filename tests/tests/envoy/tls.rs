//! TLS between proxies: who gets in with which certificate, who is believed, and what becomes of connections while
//! certificates are replaced.

use std::process::Command;

use fleetmesh_api::unserved::{UnservedAnswer, path};
use fleetmesh_api::urls::{UNSERVED, of_mesh};
use fleetmesh_testbed::app::{self, LoadOptions, Protocol};
use fleetmesh_testbed::netns::NetnsInstance;
use fleetmesh_testbed::{command, envoy, http, tools, userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::certificates::{Folder, TestAuthority};
use crate::spec::{MESH, caller, empty_mesh, node, service};

/// Listeners of the node `red`: TLS with certificates of clients, TLS or plaintext, TLS alone, the first over TCP.
const MUTUAL: u16 = 8001;
const PERMISSIVE: u16 = 8002;
const STRICT: u16 = 8003;
const MUTUAL_TCP: u16 = 8004;
const APPS: [(Protocol, u16); 4] = [
    (Protocol::Http2, MUTUAL),
    (Protocol::Http, PERMISSIVE),
    (Protocol::Http2, STRICT),
    (Protocol::Tcp, MUTUAL_TCP),
];

/// A backend of `client`, which `red` provides.
struct Backend {
    name: &'static str,
    /// The certificate that the client shows.
    certificate: Option<&'static str>,
    trust: &'static str,
    /// The name that it expects.
    expects: Option<&'static str>,
    /// Whether it gets through to [`MUTUAL`].
    passes: bool,
}

const fn backend(name: &'static str, certificate: Option<&'static str>, passes: bool) -> Backend {
    Backend { name, certificate, trust: "ca", expects: None, passes }
}

const BACKENDS: [Backend; 8] = [
    backend("good", Some("client"), true),
    Backend { expects: Some("red.apps.local"), ..backend("named", Some("client"), true) },
    backend("nobody", None, false),
    backend("stranger", Some("stranger"), false),
    backend("other", Some("other"), false),
    backend("expired", Some("expired"), false),
    Backend { trust: "stranger-ca", ..backend("distrustful", Some("client"), false) },
    Backend { expects: Some("blue.apps.local"), ..backend("pinned", Some("client"), false) },
];

/// Certificates of `red` and of clients: a good one, one of another authority, one for another name, one that ended.
fn certificates(bed: &Bed) -> (Folder, TestAuthority) {
    let folder = Folder::new(bed.run.join("certs"));
    let (ca, stranger) = (TestAuthority::new("ca", 0x71), TestAuthority::new("stranger", 0x72));
    folder.put_trust("ca", &[&ca]);
    folder.put_trust("stranger-ca", &[&stranger]);
    folder.put("red", &ca.issue("red.apps.local", 1));
    folder.put("client", &ca.issue("client.apps.local", 1));
    folder.put("stranger", &stranger.issue("client.apps.local", 1));
    folder.put("other", &ca.issue("other.apps.local", 1));
    folder.put("expired", &ca.issue_expired("client.apps.local"));
    (folder, ca)
}

fn red(folder: &Folder) -> Value {
    let names = json!({ "match": { "exact": ["client.apps.local"] } });
    let validation = json!({ "trust": folder.trust("ca"), "subjectAlternativeNames": names });
    let listener = |protocol: &str, port: u16, mode: &str, mutual: bool| {
        let mut tls = json!({ "mode": mode, "certificate": folder.certificate("red") });
        if mutual {
            tls["validation"] = validation.clone();
        }
        json!({ "portMapping": { "protocol": protocol, "port": port }, "tls": tls })
    };
    json!({
        "listeners": [
            listener("http2", MUTUAL, "STRICT", true),
            listener("http", PERMISSIVE, "PERMISSIVE", false),
            listener("http2", STRICT, "STRICT", false),
            listener("tcp", MUTUAL_TCP, "STRICT", true),
        ],
        "serviceDiscovery": { "dns": { "hostname": "red.apps.local" } } })
}

fn client(folder: &Folder) -> Value {
    let names: Vec<String> = BACKENDS.iter().map(|backend| format!("{}.apps.local", backend.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_, mut spec) = caller("client", &names);
    for (index, Backend { certificate, trust, expects, .. }) in BACKENDS.iter().enumerate() {
        let mut tls = json!({ "validation": { "trust": folder.trust(trust) } });
        tls["ports"] = json!([MUTUAL, PERMISSIVE, STRICT, MUTUAL_TCP]);
        if let Some(certificate) = certificate {
            tls["certificate"] = folder.certificate(certificate);
        }
        if let Some(name) = expects {
            tls["validation"]["subjectAlternativeNames"] = json!({ "match": { "exact": [name] } });
        }
        spec["backends"][index]["virtualService"]["clientPolicy"] = json!({ "tls": tls });
    }
    spec
}

/// A bed with `red`, its `client` and `outside`, which is no member of the mesh.
async fn world(name: &str) -> (Bed, Folder, TestAuthority, MeshMember, MeshMember, NetnsInstance) {
    let (mut bed, [client_host, red_host, outside]) = Bed::start(name, ["client", "red", "outside"]).await;
    let services: Vec<String> =
        BACKENDS.iter().map(|backend| format!("{}.apps.local", backend.name)).collect();
    let services: Vec<&str> = services.iter().map(String::as_str).collect();
    bed.names(&[&client_host, &red_host, &outside], &services).await;
    let (folder, ca) = certificates(&bed);
    bed.create(&[empty_mesh(), (node("red"), red(&folder))]).await;
    let provider = json!({ "provider": { "virtualNode": { "virtualNodeName": "red" } } });
    for name in services {
        bed.create(&[(service(name), provider.clone())]).await;
    }
    bed.create(&[(node("client"), client(&folder))]).await;
    let red_member = bed.join(red_host, &APPS).await;
    let client_member = bed.join(client_host, &[]).await;
    (bed, folder, ca, red_member, client_member, outside)
}

/// Who answers; `None` when nobody does.
async fn answers(client: &MeshMember, backend: &str, port: u16) -> Option<String> {
    let protocol = if port == PERMISSIVE { Protocol::Http } else { Protocol::Http2 };
    let url = format!("http://{backend}.apps.local:{port}/");
    client.get(protocol, &url).await.outcome().ok()
}

#[tokio::test]
async fn nobody_gets_in_without_the_right_certificate_and_nobody_else_is_believed() {
    if !userns::wanted() {
        return;
    }
    let (_bed, _folder, _ca, red, client, outside) = world("tls").await;
    for Backend { name, passes, .. } in BACKENDS {
        let answer = answers(&client, name, MUTUAL).await;
        assert_eq!(answer, passes.then(|| "red".to_owned()), "{name}");
    }
    // Each for its own reason.
    for reason in ["fail_verify_no_cert", "fail_verify_error", "fail_verify_san"] {
        let name = format!("listener.0.0.0.0_15000.ssl.{reason}");
        assert!(red.stat(&name).await > 0, "red counts {reason}");
    }
    assert_eq!(answers(&client, "nobody", STRICT).await.as_deref(), Some("red"), "TLS without a certificate");
    assert_eq!(answers(&client, "good", PERMISSIVE).await.as_deref(), Some("red"), "TLS");

    // Plaintext from outside the mesh reaches what takes plaintext, and nothing else.
    for (protocol, port, wanted) in [
        (Protocol::Http, PERMISSIVE, true),
        (Protocol::Http2, STRICT, false),
        (Protocol::Http2, MUTUAL, false),
        (Protocol::Tcp, MUTUAL_TCP, false),
    ] {
        let scheme = if protocol == Protocol::Tcp { "tcp" } else { "http" };
        let url = format!("{scheme}://red.apps.local:{port}");
        let answer = app::get(&outside, protocol, &url, &[]).await.ok();
        let answer = answer.and_then(|answer| answer.outcome().ok());
        assert_eq!(answer.as_deref(), wanted.then_some("red"), "plaintext to {port}");
    }
}

#[tokio::test]
async fn what_only_aws_could_serve_is_closed_and_the_rest_goes_on() {
    if !userns::wanted() {
        return;
    }
    let (bed, folder, _ca, _red, client, outside) = world("acm").await;
    let mut spec = red(&folder);
    let arn = "arn:aws:acm:us-west-2:111122223333:certificate/00000000-0000-0000-0000-000000000000";
    for index in [1, 2] {
        spec["listeners"][index]["tls"]["certificate"] = json!({ "acm": { "certificateArn": arn } });
    }
    assert_eq!(answers(&client, "good", STRICT).await.as_deref(), Some("red"));
    bed.update(&node("red"), &spec, 2).await;
    is_reported(&bed).await;
    // Connections of before end when the old listener has drained.
    for (protocol, port) in [(Protocol::Http, PERMISSIVE), (Protocol::Http2, STRICT)] {
        let url = format!("http://red.apps.local:{port}/");
        let closed = wait::until("nobody answers any more", LIMIT, async || {
            let plaintext = app::get(&outside, protocol, &url, &[]).await.is_ok();
            Ok((!plaintext && answers(&client, "good", port).await.is_none()).then_some(()))
        });
        closed.await.unwrap();
    }
    assert_eq!(answers(&client, "good", MUTUAL).await.as_deref(), Some("red"), "another listener is served");

    // A client that is to trust what cannot be had sends nothing, though the listener would take plaintext.
    let plain = json!({ "listeners": [{ "portMapping": { "protocol": "http2", "port": MUTUAL } }],
        "serviceDiscovery": { "dns": { "hostname": "red.apps.local" } } });
    bed.update(&node("red"), &plain, 2).await;
    let mut spec = self::client(&folder);
    let authorities = json!({ "acm": { "certificateAuthorityArns": [arn] } });
    spec["backends"][0]["virtualService"]["clientPolicy"] =
        json!({ "tls": { "validation": { "trust": authorities } } });
    spec["backends"][1]["virtualService"].as_object_mut().unwrap().remove("clientPolicy");
    bed.update(&node("client"), &spec, 1).await;
    assert_eq!(answers(&client, "named", MUTUAL).await.as_deref(), Some("red"), "a backend without a policy");
    assert_eq!(answers(&client, "good", MUTUAL).await, None, "a backend with one that cannot be served");
}

/// The control plane says what of `red` is not in force, and so does `fleetmesh explain`.
async fn is_reported(bed: &Bed) {
    let paths = [1, 2].map(|index| format!("spec.listeners[{index}].tls.certificate.acm"));
    let url = format!("{}{}", bed.control_plane.endpoint(), of_mesh(UNSERVED, MESH));
    let answer: UnservedAnswer = serde_json::from_str(&http::get(&url).await.unwrap()).unwrap();
    let red = answer.objects.iter().find(|object| object.resource == node("red").to_string()).unwrap();
    assert_eq!(red.unserved.iter().map(|entry| path(entry)).collect::<Vec<_>>(), paths);
    let explained = async |resource: &str| {
        let mut explain = Command::new(tools::fleetmesh().unwrap());
        explain.args(["explain", resource, "--app-mesh-endpoint", &bed.control_plane.endpoint()]);
        command::run(explain).await
    };
    let said = explained(&red.resource).await.unwrap();
    let lines: Vec<String> = red.unserved.iter().map(|entry| format!("{} {entry}", red.resource)).collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), lines);
    let nobody = explained(&node("nobody").to_string()).await.unwrap_err();
    assert!(format!("{nobody:#}").contains("mesh/apps/virtualNode/nobody does not exist"), "{nobody:#}");
}

/// Awaits that the proxy of `member` shows a certificate with this serial number, and `gone` no longer.
async fn shows(member: &MeshMember, serial: u8, gone: u8) {
    let held = |body: &str, serial: u8| body.contains(&format!("\"serial_number\": \"{serial:02x}\""));
    wait::until(&format!("certificate {serial} is in use"), LIMIT, async || {
        let body = envoy::admin(&member.instance, "/certs").await?.body;
        anyhow::ensure!(held(&body, serial) && !held(&body, gone), "{body}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn certificates_replaced_on_disk_are_taken_in_and_no_connection_fails() {
    if !userns::wanted() {
        return;
    }
    let (bed, folder, ca, red, client, _outside) = world("rotation").await;
    // Each connection over TCP is one handshake of its own.
    let options = LoadOptions {
        protocol: Protocol::Tcp,
        rate: 100,
        ..LoadOptions::new(&format!("tcp://good.apps.local:{MUTUAL_TCP}"))
    };
    let mut load = client.load(&bed, &options, "before").await;
    load.until("connections", LIMIT, |tally| tally.phase("before").answered() >= 50).await.unwrap();

    folder.put("red", &ca.issue("red.apps.local", 0x21));
    folder.put("client", &ca.issue("client.apps.local", 0x22));
    shows(&red, 0x21, 1).await;
    shows(&client, 0x22, 0x21).await;
    // A new authority: first both are trusted, then it signs, then the old one is no longer trusted.
    let next = TestAuthority::new("next", 0x73);
    folder.put_trust("ca", &[&next, &ca]);
    shows(&red, 0x73, 1).await;
    shows(&client, 0x73, 0x21).await;
    folder.put("red", &next.issue("red.apps.local", 0x31));
    // Files that are written in place are read when something is moved into their folder.
    folder.rewrite("client", &next.issue("client.apps.local", 0x32));
    folder.touch();
    shows(&red, 0x31, 0x21).await;
    shows(&client, 0x32, 0x22).await;
    folder.put_trust("ca", &[&next]);
    load.phase("after").await.unwrap();
    load.until("connections", LIMIT, |tally| tally.phase("after").answered() >= 50).await.unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    // The old authority lets nobody in any more.
    folder.put("client", &ca.issue("client.apps.local", 0x42));
    shows(&client, 0x42, 0x32).await;
    wait::until("the old authority's certificates are refused", LIMIT, async || {
        Ok(app::get(&client.instance, Protocol::Tcp, &options.url, &[]).await.is_err().then_some(()))
    })
    .await
    .unwrap();
}
