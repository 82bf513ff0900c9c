//! User data is run for real, on instances of a test network: the script's own parts, the real interception, real
//! Envoys that a real control plane configures. Stand-ins are docker and the AWS CLI, because a test has neither a
//! Docker daemon nor AWS; they record their arguments and start real programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod format;
mod joining;
mod machine;
mod metadata;
mod mime;
mod names;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use fleetmesh_instance::{Application, InstanceOptions, ProxyImage, ProxyOptions};
use fleetmesh_model::ResourceId;
use fleetmesh_testbed::app::{self, Protocol};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::dns::{self, Zone};
use fleetmesh_testbed::host::HostBackend;
use fleetmesh_testbed::netns::{self, NetnsInstance, Network};
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{envoy, userns, wait};
use fleetmesh_tests::app_mesh::AppMeshRequests;
use serde_json::{Value, json};

use machine::Machine;

const MESH: &str = "apps";
/// How long an answer may take to come.
const LIMIT: Duration = Duration::from_secs(60);
/// What names of virtual services resolve to: nobody is there, so that an answer can only come through the proxy.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 250));

/// An instance of virtual node `node`, whose application says `NODE:v1`.
fn options(node: &str, image: ProxyImage, control_plane: &str) -> InstanceOptions {
    InstanceOptions {
        mesh: MESH.to_owned(),
        name: node.to_owned(),
        region: "us-west-2".to_owned(),
        proxy: ProxyOptions { image, ..ProxyOptions::default() },
        control_plane: Some(control_plane.to_owned()),
        join: None,
        app_port: 8000,
        metadata: false,
        application: Application::Container(format!("registry.example/{node}:v1")),
    }
}

/// Two instances whose virtual nodes call each other. Fields are dropped in this order.
struct UserDataBed {
    _dns: Process,
    network: Network,
    control_plane: ControlPlane,
    run: RunDir,
}

impl UserDataBed {
    async fn start() -> (Self, [NetnsInstance; 2]) {
        let run = RunDir::new("user-data").unwrap();
        let control_plane = ControlPlane::start(&run).await.unwrap();
        let mut network = Network::new(&run).await.unwrap();
        let mut zone = Zone::default();
        let mut instances = Vec::new();
        for name in ["red", "blue"] {
            let instance = network.instance(name, &run).await.unwrap();
            zone.add(&format!("{name}.apps.local"), instance.ipv4()).add(&service(name), NOWHERE);
            instances.push(instance);
        }
        let dns = dns::start(&network, "apps.local", &zone, &run).await.unwrap();
        make_mesh(&AppMeshRequests::new(&control_plane.endpoint())).await;
        (Self { _dns: dns, network, control_plane, run }, instances.try_into().unwrap())
    }

    fn control_plane(&self) -> String {
        format!("unix://{}", self.control_plane.ads_socket().display())
    }
}

/// The virtual service that `node` provides.
fn service(node: &str) -> String {
    format!("to-{node}.apps.local")
}

async fn make_mesh(api: &AppMeshRequests) {
    api.create(&ResourceId::mesh(MESH), &json!({})).await.unwrap();
    let node = |name: &str, backends: Value| {
        json!({
            "listeners": [{ "portMapping": { "port": 8000, "protocol": "http2" } }],
            "serviceDiscovery": { "dns": { "hostname": format!("{name}.apps.local") } },
            "backends": backends,
        })
    };
    for name in ["red", "blue"] {
        let id = ResourceId::virtual_node(MESH, name);
        api.create(&id, &node(name, json!([]))).await.unwrap();
        let provider = json!({ "provider": { "virtualNode": { "virtualNodeName": name } } });
        api.create(&ResourceId::virtual_service(MESH, service(name)), &provider).await.unwrap();
    }
    for (name, other) in [("red", "blue"), ("blue", "red")] {
        let backends = json!([{ "virtualService": { "virtualServiceName": service(other) } }]);
        api.update(&ResourceId::virtual_node(MESH, name), &node(name, backends)).await.unwrap();
    }
}

/// Asserts that a request from one machine to the other's application goes through both proxies.
async fn reaches(from: &Machine, to: &Machine) {
    netns::listening(&to.instance, 8000, LIMIT).await.unwrap();
    let counted = (stat(from, "http.egress").await, stat(to, "http.ingress").await);
    let url = format!("http://{}:8000/", service(to.instance.name()));
    let answer = wait::until("the application answers", LIMIT, async || {
        let answer = app::get(&from.instance, Protocol::Http2, &url, &[]).await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(Some(answer))
    })
    .await
    .unwrap();
    assert_eq!(answer.outcome(), Ok(format!("{}:v1", to.instance.name())));
    assert_eq!(stat(from, "http.egress").await, counted.0 + 1, "through the caller's proxy");
    assert_eq!(stat(to, "http.ingress").await, counted.1 + 1, "and through the server's");
}

async fn stat(machine: &Machine, listener: &str) -> u64 {
    let stats = envoy::admin(&machine.instance, "/stats").await.unwrap().body;
    let prefix = format!("{listener}.downstream_rq_2xx: ");
    stats.lines().find_map(|line| line.strip_prefix(&prefix)?.parse().ok()).unwrap_or_default()
}

async fn is_intercepted(machine: &Machine, options: &InstanceOptions, backend: &str) {
    let found = machine.interception().await;
    assert_eq!((&found["state"], &found["backend"]), (&json!("enabled"), &json!(backend)), "{found}");
    assert_eq!(found["options"]["ignoredUids"], json!([options.proxy.uid]));
    assert_eq!(found["options"]["ingress"], json!({ "appPorts": [8000], "port": 15000 }));
    assert_eq!(found["options"]["ipv6"], json!(options.proxy.ipv6));
}

/// Boots a machine of each kind, twice, with traffic both ways.
async fn two_machines(app_mesh: HostBackend, stock: HostBackend, uid: u32, ipv6: bool) {
    if !userns::wanted() {
        return;
    }
    let (bed, [red, blue]) = UserDataBed::start().await;
    let name = |backend| if backend == HostBackend::Nft { "nft" } else { "iptables" };
    let mut machines = Vec::new();
    for (instance, image, backend) in [(red, ProxyImage::AppMesh, app_mesh), (blue, ProxyImage::Envoy, stock)]
    {
        let mut options = options(instance.name(), image, &bed.control_plane());
        options.proxy.uid = uid;
        options.proxy.ipv6 = ipv6;
        let mut machine = Machine::new(instance, backend, None, &bed.run);
        assert_eq!(machine.boot(&options).await, 0, "{}", machine.console());
        is_intercepted(&machine, &options, name(backend)).await;
        machines.push((machine, options, name(backend)));
    }
    reaches(&machines[0].0, &machines[1].0).await;
    reaches(&machines[1].0, &machines[0].0).await;
    asked_for_what_step_six_says(&machines[0].0, uid, &bed.control_plane());
    for (machine, options, backend) in &mut machines {
        let calls = machine.calls().len();
        assert_eq!(machine.boot_again().await, 0, "{}", machine.console());
        let again = &machine.calls()[calls..];
        assert!(!again.iter().any(|call| call.contains("pull") || call.contains("login")), "{again:?}");
        is_intercepted(machine, options, backend).await;
    }
    reaches(&machines[0].0, &machines[1].0).await;
    reaches(&machines[1].0, &machines[0].0).await;
}

/// The calls that matter, in their order, on a machine with AWS's image.
fn asked_for_what_step_six_says(machine: &Machine, uid: u32, control_plane: &str) {
    let registry = "840364872350.dkr.ecr.us-west-2.amazonaws.com";
    let image = format!("{registry}/aws-appmesh-envoy:v1.29.6.1-prod");
    let folder = control_plane.trim_start_matches("unix://").rsplit_once('/').unwrap().0;
    let run = "--restart unless-stopped --network host --log-driver local";
    let expected = [
        "aws ecr get-login-password --region us-west-2".to_owned(),
        format!("docker login --username AWS --password-stdin {registry}"),
        format!("docker pull --quiet {image}"),
        "docker pull --quiet registry.example/red:v1".to_owned(),
        "docker rm --force fleetmesh-app fleetmesh-proxy".to_owned(),
        format!(
            "docker run --detach --name fleetmesh-proxy {run} --user {uid} \
             --env APPMESH_RESOURCE_ARN=mesh/apps/virtualNode/red --env APPMESH_XDS_ENDPOINT={control_plane} \
             --volume {folder}:{folder} {image}"
        ),
        "docker image inspect --format \\{\\{.Config.User\\}\\} registry.example/red:v1".to_owned(),
        format!(
            "docker run --detach --name fleetmesh-app {run} --user 0:51337 --cap-drop SETUID --cap-drop SETGID \
             --cap-drop NET_RAW --security-opt no-new-privileges registry.example/red:v1"
        ),
    ];
    let mut calls = machine.calls();
    calls.retain(|call| !call.starts_with("docker info") && !call.starts_with("docker image inspect 8"));
    calls.retain(|call| !call.starts_with("docker image inspect registry.example"));
    // A pipe starts both of its ends at once.
    calls[..2].sort();
    assert_eq!(calls, expected);
    assert_eq!(machine.read("password"), "password-of-the-stand-in\n");
}

#[tokio::test]
async fn traffic_flows_by_iptables_with_aws_image_and_by_nft_with_stock_envoy() {
    two_machines(HostBackend::Iptables, HostBackend::Nft, 1337, true).await;
}

#[tokio::test]
async fn traffic_flows_by_nft_with_aws_image_and_by_iptables_with_stock_envoy() {
    two_machines(HostBackend::Nft, HostBackend::Iptables, 1400, false).await;
}

#[tokio::test]
async fn the_part_that_fails_is_named_and_the_last_to_run() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("user-data").unwrap();
    let mut network = Network::new(&run).await.unwrap();
    let instance = network.instance("red", &run).await.unwrap();
    let mut machine = Machine::new(instance, HostBackend::Nft, Some("run"), &run);
    let status = machine.boot(&options("red", ProxyImage::Envoy, "control.example:18000")).await;
    let console = machine.console();
    assert_eq!(status, 1, "{console}");
    assert!(
        console.contains("fleetmesh: start_proxy\nmade to fail\nfleetmesh: FAILED in part start_proxy"),
        "{console}"
    );
    assert!(!console.contains("fleetmesh: intercept\n") && !console.contains("done"), "{console}");
    assert_eq!(machine.interception().await["state"], "disabled");
}
