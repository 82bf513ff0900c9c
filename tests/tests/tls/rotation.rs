//! A root is replaced by another while real Envoys run, as `docs/operations.md` says: those with certificates of either root
//! connect meanwhile, and a control plane with a certificate of either is trusted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmesh_testbed::envoy::UID;
use fleetmesh_testbed::netns::Network;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{userns, wait};

use crate::bed::{LIMIT, fleetmesh, says};
use crate::envoy::{Plane, start};

/// The CAs, each a root and an intermediate that signs for it, and what is trusted.
struct Authorities {
    folder: PathBuf,
    address: String,
}

impl Authorities {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Trusts the roots of these from now on.
    fn trust(&self, authorities: &[&str]) {
        let read = |name: &&str| std::fs::read_to_string(self.path(&format!("{name}/root.crt"))).unwrap();
        let bundle: String = authorities.iter().map(read).collect();
        std::fs::write(self.path("bundle.new"), bundle).unwrap();
        std::fs::rename(self.path("bundle.new"), self.path("bundle.crt")).unwrap();
    }

    async fn sign(&self, authority: &str, arguments: &[&str]) {
        let (ca, signing) = (self.path("bundle.crt"), self.path(&format!("{authority}/signing.crt")));
        let key = self.path(&format!("{authority}/signing.key"));
        let signer = ["--ca-cert", &ca, "--signing-cert", &signing, "--ca-key", &key];
        fleetmesh(&[&["certs"][..], arguments, &signer].concat()).await;
    }

    async fn server(&self, authority: &str) {
        self.sign(authority, &["server", "--ip", &self.address, "--out-dir", &self.path("server")]).await;
    }

    async fn proxy(&self, authority: &str, node: &str) -> PathBuf {
        let (resource, out, owner) =
            (format!("mesh/apps/virtualNode/{node}"), self.path(node), UID.to_string());
        let issue = ["issue", "--resource", &resource, "--out-dir", &out, "--owner", &owner];
        self.sign(authority, &issue).await;
        Path::new(&out).to_owned()
    }

    fn arguments(&self) -> Vec<String> {
        let files =
            [("--tls-cert", "server/tls.crt"), ("--tls-key", "server/tls.key"), ("--ca-cert", "bundle.crt")];
        files.into_iter().flat_map(|(flag, file)| [flag.to_owned(), self.path(file)]).collect()
    }
}

async fn connected(plane: &Plane, nodes: &[&str]) {
    wait::until(&format!("{nodes:?} are connected"), LIMIT, async || {
        for node in nodes {
            if plane.proxies(node).await? != 1 {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_root_is_replaced_while_proxies_of_both_connect() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("roots").unwrap();
    let mut network = Network::new(&run).await.unwrap();
    let instance = network.instance("plane", &run).await.unwrap();
    let folder = run.join("authorities");
    let certs = Authorities { folder, address: instance.ipv4().to_string() };
    for name in ["old", "new"] {
        fleetmesh(&["certs", "init", "--out-dir", &certs.path(name)]).await;
        // Nothing from here on needs it.
        std::fs::remove_file(certs.path(&format!("{name}/root.key"))).unwrap();
    }
    certs.trust(&["old"]);
    certs.server("old").await;
    let mut plane = Plane::start(instance, &certs.arguments(), &run).await;
    plane.nodes(&["red", "blue"]).await;
    let red = network.instance("red", &run).await.unwrap();
    let folder = certs.proxy("old", "red").await;
    let mut old_proxy = start("mesh/apps/virtualNode/red", &red, &plane, &folder, &run).await;
    connected(&plane, &["red"]).await;

    // Both are trusted, on both sides, before anything is signed by the new one.
    certs.trust(&["old", "new"]);
    certs.proxy("old", "red").await;
    certs.server("new").await;
    let blue = network.instance("blue", &run).await.unwrap();
    let folder = certs.proxy("new", "blue").await;
    let new_proxy = start("mesh/apps/virtualNode/blue", &blue, &plane, &folder, &run).await;
    plane.restart(&certs.arguments(), &run).await;
    connected(&plane, &["red", "blue"]).await;
    // The other direction: a control plane whose certificate is still of the old root.
    certs.server("old").await;
    plane.restart(&certs.arguments(), &run).await;
    connected(&plane, &["red", "blue"]).await;

    // The old root is taken out: what it signed ends without a restart, and is refused until it is replaced.
    certs.server("new").await;
    certs.trust(&["new"]);
    wait::until("the old root's stream has ended", Duration::from_secs(10), async || {
        Ok((plane.proxies("red").await? == 0).then_some(()))
    })
    .await
    .unwrap();
    connected(&plane, &["blue"]).await;
    says(&mut old_proxy, "16, the client certificate was not signed by a CA of --ca-cert", 1).await;
    assert_eq!(plane.proxies("red").await.unwrap(), 0);
    certs.proxy("new", "red").await;
    connected(&plane, &["red", "blue"]).await;
    drop(new_proxy);
}
