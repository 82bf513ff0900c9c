//! Strangers who want the control plane down (H4, M2, M4): each attack is made as it was made against a former version, and
//! while it runs, others are served and memory stays within bounds. What is printed are the figures of `docs/security.md`.
//!
//! Every client of these tests has an address of its own on loopback, by which the control plane distinguishes sources. STS is
//! a stand-in that refuses everybody and counts: what is tested is how often it is asked.

mod bodies;
pub mod clients;
mod handshakes;
mod joins;
mod loads;
mod members;
mod names;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::front::{self, Front};
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{http as loopback, port};
use http::{Request, StatusCode};
use serde_json::json;

use crate::bed::BedCertificates;

/// Who attacks.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Who does not.
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const NODE: &str = "mesh/apps/virtualNode/red";
const MIB: u64 = 1024 * 1024;

/// How often STS was asked, and how many questions were under way at most.
#[derive(Debug, Default)]
struct FloodAsked {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

struct FloodBed {
    control_plane: ControlPlane,
    certificates: BedCertificates,
    api: u16,
    ads: u16,
    join: u16,
    asked: Arc<FloodAsked>,
    _sts: Front,
    _run: RunDir,
}

impl FloodBed {
    async fn start(name: &str, more: &[&str]) -> Self {
        let run = RunDir::new(name).unwrap();
        let certificates = BedCertificates::new(run.join("certificates"), "127.0.0.1").await;
        let [api, ads, join] = port::free().unwrap();
        let asked = Arc::new(FloodAsked::default());
        let sts = sts(Arc::clone(&asked)).await;
        let mut arguments = certificates.arguments();
        let key = certificates.path("ca/ca.key");
        arguments.extend(["--ca-key", &key, "--sts-endpoint", &sts.url].map(str::to_owned));
        for (flag, port) in [("--listen", api), ("--ads-listen", ads), ("--join-listen", join)] {
            arguments.extend([flag.to_owned(), format!("0.0.0.0:{port}")]);
        }
        arguments.extend(more.iter().map(ToString::to_string));
        let control_plane = ControlPlane::launch(&run, Launch::with(arguments)).await.unwrap();
        for (path, body) in [
            ("meshes", json!({ "meshName": "apps" })),
            ("meshes/apps/virtualNodes", json!({ "virtualNodeName": "red", "spec": {} })),
        ] {
            let url = format!("{}/v20190125/{path}", control_plane.endpoint());
            loopback::exchange(Request::put(url).body(body.to_string()).unwrap()).await.unwrap();
        }
        Self { control_plane, certificates, api, ads, join, asked, _sts: sts, _run: run }
    }

    /// The most memory that the control plane took since [`Self::forget_peak`], in bytes.
    fn peak(&mut self) -> u64 {
        self.memory("VmHWM:")
    }

    fn resident(&mut self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&mut self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.control_plane.process().id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Lets the peak be what is taken now, and answers that.
    fn forget_peak(&mut self) -> u64 {
        let path = format!("/proc/{}/clear_refs", self.control_plane.process().id());
        std::fs::write(path, "5").unwrap();
        self.resident()
    }
}

/// An STS that refuses everybody after a moment.
async fn sts(asked: Arc<FloodAsked>) -> Front {
    Front::start(move |_, _| {
        let asked = Arc::clone(&asked);
        async move {
            asked.all.fetch_add(1, Ordering::Relaxed);
            let now = asked.now.fetch_add(1, Ordering::Relaxed) + 1;
            asked.most.fetch_max(now, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
            asked.now.fetch_sub(1, Ordering::Relaxed);
            Some(front::refusal(StatusCode::FORBIDDEN, "<ErrorResponse/>"))
        }
    })
    .await
    .unwrap()
}
