//! Real Envoys over mutual TLS: one gets its configuration, keeps it while its certificate is renewed beside it, and
//! takes the renewed one in without a restart; another asks for a node that its certificate does not name.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fleetmesh_testbed::command;
use fleetmesh_testbed::envoy::Envoy;
use fleetmesh_testbed::netns::{NetnsInstance, Network};
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{aws, tools, userns, wait};
use serde_json::Value;

use crate::bed::{BedCertificates, LIMIT, says};

/// Where the control plane serves proxies of other hosts.
const PORT: u16 = 18443;

/// `fleetmesh control-plane` on an instance of its own, whose API is asked there.
pub struct Plane {
    process: Process,
    pub instance: NetnsInstance,
    api: String,
}

impl Plane {
    /// Starts it with the arguments that name its certificates.
    pub async fn start(instance: NetnsInstance, certificates: &[String], run: &RunDir) -> Self {
        let (process, api) = Self::spawn(&instance, certificates, run).await;
        Self { process, instance, api }
    }

    /// Ends it and starts it again: every proxy connects anew.
    pub async fn restart(&mut self, certificates: &[String], run: &RunDir) {
        self.process.terminate(Duration::from_secs(30)).await.unwrap();
        (self.process, self.api) = Self::spawn(&self.instance, certificates, run).await;
    }

    async fn spawn(instance: &NetnsInstance, certificates: &[String], run: &RunDir) -> (Process, String) {
        let mut command = instance.command(tools::fleetmesh().unwrap());
        command.arg("control-plane").arg("--data-dir").arg(run.join("data")).args(certificates);
        command.args(["--listen", "127.0.0.1:0", "--ads-listen", &format!("0.0.0.0:{PORT}")]);
        let mut process = Process::spawn("control-plane", &command, run).unwrap();
        let api = format!("http://{}", process.first_line(LIMIT).await.unwrap());
        (process, api)
    }

    /// Makes the mesh `apps` with these nodes.
    pub async fn nodes(&self, names: &[&str]) {
        self.aws(&["create-mesh", "--mesh-name", "apps"]).await;
        for node in names {
            let spec = r#"{"listeners":[{"portMapping":{"port":80,"protocol":"http2"}}],"serviceDiscovery":{"dns":{"hostname":"localhost"}}}"#;
            let name = ["--mesh-name", "apps", "--virtual-node-name", node];
            self.aws(&[&["create-virtual-node"][..], &name, &["--spec", spec]].concat()).await;
        }
    }

    async fn aws(&self, arguments: &[&str]) {
        let mut command = self.instance.command(tools::tool("aws").unwrap());
        command.args(["--endpoint-url", &self.api, "appmesh"]).args(arguments).env("AWS_PAGER", "");
        aws::credentials(&mut command);
        command::run(command).await.unwrap();
    }

    /// How many proxies run the newest version of `node`.
    pub async fn proxies(&self, node: &str) -> anyhow::Result<u64> {
        let mut command: Command = self.instance.command(tools::tool("python").unwrap());
        let url = format!("{}/fleetmesh/v1/meshes/apps/distribution", self.api);
        let read = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())";
        command.args(["-c", read, &url]);
        let answer: Value = serde_json::from_str(&command::run(command).await?)?;
        let resource = format!("mesh/apps/virtualNode/{node}");
        let objects = answer["objects"].as_array().cloned().unwrap_or_default();
        let found = objects.into_iter().find(|object| object["resource"] == resource.as_str());
        Ok(found.and_then(|object| object["acknowledged"].as_u64()).unwrap_or_default())
    }
}

pub async fn start(
    resource: &str,
    instance: &NetnsInstance,
    plane: &Plane,
    folder: &Path,
    run: &RunDir,
) -> Envoy {
    let mut render = Command::new(tools::fleetmesh().unwrap());
    let address = format!("https://{}:{PORT}", plane.instance.ipv4());
    render.args(["proxy", "bootstrap", "--resource", resource, "--control-plane", &address, "--cert-dir"]);
    render.arg(folder);
    let bootstrap = command::run(render).await.unwrap();
    Envoy::start_with(&bootstrap, instance, run).unwrap()
}

#[tokio::test]
async fn envoys_get_what_their_certificates_name_and_renew_without_a_restart() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("mtls").unwrap();
    let mut network = Network::new(&run).await.unwrap();
    let instance = network.instance("plane", &run).await.unwrap();
    let certificates = BedCertificates::new(run.join("certificates"), &instance.ipv4().to_string()).await;
    let mut plane = Plane::start(instance, &certificates.arguments(), &run).await;
    plane.nodes(&["red", "blue"]).await;

    let red = network.instance("red", &run).await.unwrap();
    let folder = certificates.proxy("red", "20s").await;
    let mut envoy = start("mesh/apps/virtualNode/red", &red, &plane, &folder, &run).await;
    envoy.ready(&red, LIMIT).await.unwrap();
    assert_eq!(plane.proxies("red").await.unwrap(), 1);

    let blue = network.instance("blue", &run).await.unwrap();
    let other = certificates.proxy("green", "1h").await;
    let mut impostor = start("mesh/apps/virtualNode/blue", &blue, &plane, &other, &run).await;
    says(&mut impostor, "7, the client certificate does not name mesh/apps/virtualNode/blue", 1).await;
    assert_eq!(plane.proxies("blue").await.unwrap(), 0);
    println!("another node's certificate: status 7, 0 proxies of the node connected");

    // A better certificate helps, because the connection with the other ended.
    certificates.proxy_in("green", "blue", "1h").await;
    wait::until("the other is let in", LIMIT, async || Ok((plane.proxies("blue").await? == 1).then_some(())))
        .await
        .unwrap();

    // Unless it is renewed, the stream ends with its code, and so do those of further tries; once it is, Envoy is back by itself.
    says(&mut envoy, "16, the client certificate has expired", 4).await;
    wait::until("no proxy is left", LIMIT, async || Ok((plane.proxies("red").await? == 0).then_some(())))
        .await
        .unwrap();
    println!("an expired certificate: status 16 for each of 4 tries, 0 proxies of the node connected");
    certificates.proxy("red", "1h").await;
    wait::until("Envoy is back", LIMIT, async || Ok((plane.proxies("red").await? == 1).then_some(())))
        .await
        .unwrap();
    plane.process.ensure_running().unwrap();
    plane.process.terminate(Duration::from_secs(30)).await.unwrap();
}
