//! Instances that are launched with nothing but a role: they get certificates by it, their proxies are configured over
//! mutual TLS, and renewals are felt by nobody.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fleetmesh_core::mesh_tls::{self, Stage};
use fleetmesh_crds::MeshTlsStage;
use fleetmesh_instance::{InstanceOptions, JoinOptions, ProxyImage};
use fleetmesh_model::{Kind, ResourceId, Spec};
use fleetmesh_testbed::app::{self, Protocol};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::dns::{self, Zone};
use fleetmesh_testbed::host::HostBackend;
use fleetmesh_testbed::join::{HOST, JoinAddress};
use fleetmesh_testbed::metadata::{MetadataService, make_role};
use fleetmesh_testbed::moto::Moto;
use fleetmesh_testbed::netns::{NetnsInstance, Network};
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{aws, envoy, userns, wait};
use fleetmesh_tests::app_mesh::AppMeshRequests;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::machine::Machine;
use crate::{LIMIT, MESH, NOWHERE, make_mesh, options, reaches, service};

/// How long certificates are valid here: the shortest that there is.
const LIFE: Duration = Duration::from_secs(10);
/// What the instances are called in EC2.
const IDS: [&str; 2] = ["i-0000000000000000a", "i-0000000000000000b"];

/// Two instances with roles, and a control plane that lets them join. Fields are dropped in this order.
pub struct JoiningBed {
    credentials: Vec<Value>,
    _metadata: MetadataService,
    pub roles: Vec<String>,
    address: JoinAddress,
    _dns: Process,
    _network: Network,
    pub control_plane: ControlPlane,
    _moto: Moto,
    pub run: RunDir,
}

impl JoiningBed {
    async fn start() -> (Self, [NetnsInstance; 2]) {
        Self::start_with(true).await
    }

    /// The same; services have no records unless they are `recorded`.
    pub async fn start_with(recorded: bool) -> (Self, [NetnsInstance; 2]) {
        let run = RunDir::new("joining").unwrap();
        let moto = Moto::start_enforcing(&run).await.unwrap();
        let mut address = JoinAddress::new(&run).await.unwrap();
        let life = format!("{}s", LIFE.as_secs());
        let launch =
            address.launch(&moto.endpoint()).args(["--join-certificate-validity", &life, "--log=trace"]);
        let control_plane = ControlPlane::launch(&run, launch).await.unwrap();
        make_mesh(&AppMeshRequests::new(&control_plane.endpoint())).await;
        let mut network = Network::new(&run).await.unwrap();
        address.open(&network).unwrap();
        let mut zone = Zone::default();
        zone.add(HOST, Network::GATEWAY);
        let metadata = MetadataService::start(&network, &run).await.unwrap();
        let (mut instances, mut roles, mut credentials) = (Vec::new(), Vec::new(), Vec::new());
        for (name, id) in ["red", "blue"].into_iter().zip(IDS) {
            let instance = network.instance(name, &run).await.unwrap();
            zone.add(&format!("{name}.apps.local"), instance.ipv4());
            if recorded {
                zone.add(&service(name), NOWHERE);
            }
            let role = make_role(&moto, &format!("mesh-apps-{name}")).await.unwrap();
            credentials.push(metadata.give(&moto, &role, id, &instance).await.unwrap());
            roles.push(role);
            instances.push(instance);
        }
        let dns = dns::start(&network, "apps.local", &zone, &run).await.unwrap();
        let bed = Self {
            credentials,
            _metadata: metadata,
            roles,
            address,
            _dns: dns,
            _network: network,
            control_plane,
            _moto: moto,
            run,
        };
        (bed, instances.try_into().unwrap())
    }

    pub fn options(&self, node: &str, image: ProxyImage) -> InstanceOptions {
        let [joins, ads] = self.address.ports();
        let join = JoinOptions {
            image: "registry.example/fleetmesh-proxy:v1".to_owned(),
            control_plane: format!("https://{HOST}:{joins}"),
            authority: Some(fs::read_to_string(self.address.authority()).unwrap()),
        };
        InstanceOptions { join: Some(join), ..options(node, image, &format!("https://{HOST}:{ads}")) }
    }

    /// Lists the role in the node's tag, as the operator does.
    pub async fn grant(&self, node: &str, role: &str) {
        let arn = format!("arn:aws:appmesh:us-west-2:111122223333:mesh/{MESH}/virtualNode/{node}");
        let tag = format!("key=fleetmesh.dev/proxy-principals,value={role}");
        let aws = aws::AppMesh::new(&self.control_plane.endpoint());
        aws.run(&["tag-resource", "--resource-arn", &arn, "--tags", &tag]).await.unwrap();
    }

    /// Awaits that both proxies run the newest version of each node.
    async fn is_distributed(&self) {
        self.is_distributed_from(1).await;
    }

    /// The same where the newest version of each is this or a later one.
    async fn is_distributed_from(&self, version: i64) {
        wait::until("the newest version is acknowledged", LIMIT, async || {
            let answer = self.control_plane.distribution(MESH).await?;
            let objects = answer["objects"].as_array().cloned().unwrap_or_default();
            let acknowledged = |node: &str| {
                let resource = ResourceId::virtual_node(MESH, node).to_string();
                let found = objects.iter().find(|object| object["resource"] == resource.as_str());
                let newest =
                    |object: &Value| object["version"].as_i64().is_some_and(|newest| newest >= version);
                // Its own proxy, and that of the other, which calls it.
                found.is_some_and(|object| {
                    newest(object) && object["acknowledged"] == 2 && object["proxies"] == 2
                })
            };
            anyhow::ensure!(acknowledged("red") && acknowledged("blue"), "{answer}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }
}

/// How often `words` are in the file.
fn times(file: &Path, words: &str) -> usize {
    fs::read_to_string(file).unwrap_or_default().matches(words).count()
}

#[tokio::test]
async fn launched_instances_join_by_their_roles_alone_and_renew_under_traffic() {
    if !userns::wanted() {
        return;
    }
    let (bed, [red, blue]) = JoiningBed::start().await;
    bed.grant("blue", &bed.roles[1]).await;
    let mut red = Machine::new(red, HostBackend::Iptables, None, &bed.run);
    let mut blue = Machine::new(blue, HostBackend::Nft, None, &bed.run);
    let (by_socket, by_files) =
        (bed.options("red", ProxyImage::AppMesh), bed.options("blue", ProxyImage::Envoy));

    // The instance is up before its role is granted: it waits, and says what for.
    let log = red.file("fleetmesh-join.log");
    let refusal = format!("is not granted to {}", bed.roles[0]);
    let granted = async {
        wait::until("the refusal is logged", LIMIT, async || Ok((times(&log, &refusal) > 0).then_some(())))
            .await
            .unwrap();
        bed.grant("red", &bed.roles[0]).await;
    };
    let (status, ()) = tokio::join!(red.boot(&by_socket), granted);
    assert_eq!(status, 0, "{}", red.console());
    assert_eq!(blue.boot(&by_files).await, 0, "{}", blue.console());
    reaches(&red, &blue).await;
    reaches(&blue, &red).await;
    bed.is_distributed().await;
    is_joined_as_documented(&red, &bed);

    takes_up_the_mesh_s_certificates(&bed, &red, &blue).await;
    renews(&bed, &red, &blue).await;
    believes_no_other_node(&bed, &red, &blue).await;

    let calls = red.calls().len();
    assert_eq!(red.boot_again().await, 0, "{}", red.console());
    assert!(!red.calls()[calls..].iter().any(|call| call.contains("pull")));
    answer_each_other(&red, &blue).await;
    keeps_secrets(&bed, &[&red, &blue]);
}

/// What is run, and whose the files are.
fn is_joined_as_documented(machine: &Machine, bed: &JoiningBed) {
    use std::os::unix::fs::MetadataExt as _;
    let folder = "/var/lib/fleetmesh";
    let [joins, ads] = bed.address.ports();
    let expected = format!(
        "docker run --detach --name fleetmesh-join --restart unless-stopped --network host --log-driver local --user 1337 \
         --env AWS_REGION=us-west-2 --volume {folder}/certs:{folder}/certs --volume {folder}/run:{folder}/run \
         --volume {folder}/ca.crt:{folder}/ca.crt:ro registry.example/fleetmesh-proxy:v1 proxy join \
         --resource mesh/apps/virtualNode/red --control-plane https://{HOST}:{joins} --ca-file {folder}/ca.crt \
         --serve-sds {folder}/run/sds.sock --serve-unix {folder}/run/ads.sock --ads https://{HOST}:{ads}"
    );
    assert!(machine.calls().contains(&expected), "{:#?}", machine.calls());
    for (name, mode) in [("certs", 0o700), ("run", 0o700), ("certs/tls.key", 0o600)] {
        let found = fs::metadata(machine.own_file(name)).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o777), (1337, mode), "{name}");
    }
}

/// The spec of a node that calls `other`, with what the operator adds at this step of the mesh's TLS. Over TCP each request is a
/// connection of its own, and a handshake of the proxies where there is TLS.
fn spec(node: &str, other: &str, stage: Stage, idle_seconds: u32) -> Value {
    let declared = json!({
        "listeners": [{ "portMapping": { "port": 8000, "protocol": "tcp" },
            "timeout": { "tcp": { "idle": { "unit": "s", "value": idle_seconds } } } }],
        "serviceDiscovery": { "dns": { "hostname": format!("{node}.apps.local") } },
        "backends": [{ "virtualService": { "virtualServiceName": service(other) } }],
    });
    let declared = Spec::from_json(Kind::VirtualNode, declared).unwrap();
    let Spec::VirtualNode(node) = mesh_tls::with_defaults(&declared, stage) else { panic!("a node") };
    serde_json::to_value(node).unwrap()
}

/// TLS with certificates on both sides, and nothing else.
fn mutual(node: &str, other: &str, idle_seconds: u32) -> Value {
    spec(node, other, Some(MeshTlsStage::Strict), idle_seconds)
}

/// What a request from one machine to the other says.
async fn outcome(from: &Machine, to: &str) -> Result<String, String> {
    let url = format!("http://{}:8000/", service(to));
    let answer = app::get(&from.instance, Protocol::Http2, &url, &[]).await;
    answer.map_err(|error| error.to_string())?.outcome()
}

/// Awaits that each machine's application answers the other's.
async fn answer_each_other(red: &Machine, blue: &Machine) {
    for (from, to) in [(red, "blue"), (blue, "red")] {
        wait::until("the application answers over mutual TLS", LIMIT, async || {
            Ok((outcome(from, to).await == Ok(format!("{to}:v1"))).then_some(()))
        })
        .await
        .unwrap();
    }
}

/// Both nodes go from plaintext to the mesh's own certificates by the operator's steps, under requests both ways of which none fails.
/// No file or socket of anybody else is there.
async fn takes_up_the_mesh_s_certificates(bed: &JoiningBed, red: &Machine, blue: &Machine) {
    // Each was created and updated once.
    let steps = async |version: i64, stages: &[Stage]| {
        let api = AppMeshRequests::new(&bed.control_plane.endpoint());
        for (version, stage) in (version + 1..).zip(stages) {
            for (node, other) in [("red", "blue"), ("blue", "red")] {
                let spec = spec(node, other, *stage, 15);
                api.update(&ResourceId::virtual_node(MESH, node), &spec).await.unwrap();
            }
            bed.is_distributed_from(version).await;
            are_warm(&[red, blue]).await;
        }
    };
    steps(2, &[None]).await;
    answer_each_other(red, blue).await;
    let over = CancellationToken::new();
    let requests = async {
        let mut answered = 0;
        while !over.is_cancelled() {
            for (from, to) in [(red, "blue"), (blue, "red")] {
                assert_eq!(outcome(from, to).await, Ok(format!("{to}:v1")), "after {answered} requests");
                answered += 1;
            }
        }
        answered
    };
    let moved = async {
        let stages = [MeshTlsStage::Listeners, MeshTlsStage::Clients, MeshTlsStage::Strict];
        steps(3, &stages.map(Some)).await;
        over.cancel();
    };
    let (answered, ()) = tokio::join!(requests, moved);
    assert!(answered >= 10, "{answered} requests");
    println!("TLS was turned on under {answered} requests, of which none failed");
}

/// Awaits that what these machines' proxies acknowledged is in use: a listener waits for its certificate before.
async fn are_warm(machines: &[&Machine]) {
    for machine in machines {
        wait::until("nothing is warming", LIMIT, async || {
            let listeners = counter(machine, "listener_manager.total_listeners_warming").await;
            let clusters = counter(machine, "cluster_manager.warming_clusters").await;
            Ok((listeners + clusters == 0).then_some(()))
        })
        .await
        .unwrap();
    }
}

/// A node whose name leads to another's proxy gets nothing, though both are members: a client means the node that it calls.
async fn believes_no_other_node(bed: &JoiningBed, red: &Machine, blue: &Machine) {
    let api = AppMeshRequests::new(&bed.control_plane.endpoint());
    let green = mutual("blue", "red", 15);
    api.create(&ResourceId::virtual_node(MESH, "green"), &green).await.unwrap();
    let provided_by = |node: &str| json!({ "provider": { "virtualNode": { "virtualNodeName": node } } });
    let to_blue = ResourceId::virtual_service(MESH, service("blue"));
    api.update(&to_blue, &provided_by("green")).await.unwrap();
    let refused = "cluster.cds_egress_apps_green_tcp_8000.ssl.fail_verify_san";
    wait::until("blue's certificate is refused as green's", LIMIT, async || {
        let _ = outcome(red, "blue").await;
        Ok((counter(red, refused).await > 0).then_some(()))
    })
    .await
    .unwrap();
    assert!(outcome(red, "blue").await.is_err(), "nobody is green");
    api.update(&to_blue, &provided_by("blue")).await.unwrap();
    answer_each_other(red, blue).await;
}

/// A counter of the machine's Envoy; 0 while it has none of that name.
async fn counter(machine: &Machine, name: &str) -> u64 {
    envoy::stat(&machine.instance, name).await.unwrap().unwrap_or_default()
}

/// Requests both ways for more than a certificate's life, in which every certificate of before ends: none fails, no Envoy
/// is started again, and a change reaches both after it.
async fn renews(bed: &JoiningBed, red: &Machine, blue: &Machine) {
    let log = bed.run.join("control-plane.log");
    let envoys = || [red, blue].map(|machine| machine.read("fleetmesh-proxy.pid"));
    let certificate = |machine: &Machine| fs::read_to_string(machine.own_file("certs/tls.crt")).unwrap();
    let (before, joined) = (envoys(), times(&log, "an instance joined"));
    let certificates = [red, blue].map(certificate);
    let handshakes = "listener.0.0.0.0_15000.ssl.handshake";
    let shaken = counter(blue, handshakes).await;
    let (began, mut answered) = (Instant::now(), 0);
    while began.elapsed() < LIFE * 3 / 2 {
        for (from, to) in [(red, "blue"), (blue, "red")] {
            assert_eq!(outcome(from, to).await, Ok(format!("{to}:v1")), "after {:?}", began.elapsed());
            answered += 1;
        }
    }
    let renewed = times(&log, "an instance joined") - joined;
    assert!(renewed >= 4, "each renews at half of {LIFE:?}: {renewed} in {:?}", began.elapsed());
    assert_ne!(certificates, [red, blue].map(certificate));
    assert_eq!(envoys(), before, "no Envoy was started again");
    let shaken = counter(blue, handshakes).await - shaken;
    assert!(shaken >= answered / 2, "each request to blue is a handshake: {shaken} for {answered} requests");
    let api = AppMeshRequests::new(&bed.control_plane.endpoint());
    for (node, other) in [("red", "blue"), ("blue", "red")] {
        api.update(&ResourceId::virtual_node(MESH, node), &mutual(node, other, 14)).await.unwrap();
    }
    bed.is_distributed().await;
    println!(
        "{renewed} certificates of {LIFE:?} were renewed under {answered} requests, of which none failed"
    );
}

/// Neither the user data nor a log holds a secret.
fn keeps_secrets(bed: &JoiningBed, machines: &[&Machine]) {
    let mut logs = vec![fs::read_to_string(bed.run.join("control-plane.log")).unwrap()];
    assert!(logs[0].contains("TRACE"), "everything is logged");
    for machine in machines {
        logs.extend([machine.console(), machine.read("fleetmesh-join.log"), machine.read("calls")]);
    }
    for credentials in &bed.credentials {
        for member in ["SecretAccessKey", "Token"] {
            let secret = credentials[member].as_str().unwrap();
            assert!(
                !secret.is_empty() && logs.iter().all(|log| !log.contains(secret)),
                "{member} is in a log"
            );
        }
    }
}
