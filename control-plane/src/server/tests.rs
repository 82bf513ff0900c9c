//! A control plane whose tasks panic, or end unasked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ::http::{Request, StatusCode};
use fleetmesh_mesh::testing::view;
use fleetmesh_tasks::{Strike, TaskName};
use futures::FutureExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tower::ServiceExt;

use super::*;
use crate::certs::{Authority, Validity, new_authority};
use crate::config::JoinConfig;
use crate::join::{CaFiles, CaKey, InstanceIdentity};
use crate::testing::TestMeshes;
use crate::tls::TlsFiles;

/// Long enough on any machine.
const LONG: Duration = Duration::from_secs(60);

/// The pages of a control plane that has these tasks and serves nothing.
fn pages(tasks: &Tasks<Task>) -> Router {
    let health = Health::default();
    let views: Arc<dyn Views> = TestMeshes::new(view(&[]));
    health.add(Arc::new(ControlPlaneHealth {
        tasks: tasks.clone(),
        metrics: ServerMetrics::new(),
        views: Arc::downgrade(&views),
        opened: CancellationToken::new(),
        stop: Arc::default(),
    }));
    health.router()
}

/// What the control plane ends with, and what `/livez` says by then, when `task` is one of two.
async fn ended_with(task: impl Future<Output = ()> + Send + 'static) -> (Error, StatusCode) {
    let (shutdown, tasks) = (CancellationToken::new(), Tasks::default());
    tasks.spawn(Task::Api, &shutdown, task);
    tasks.spawn_until(Task::CloudMap, &shutdown, pending());
    let page = pages(&tasks);
    let ended = supervise(&tasks, shutdown).await.expect_err("an error");
    let request = Request::get("/livez").body(axum::body::Body::empty()).unwrap();
    (ended, page.oneshot(request).await.unwrap().status())
}

#[tokio::test]
async fn a_task_that_panics_or_returns_ends_the_control_plane_by_name_and_is_seen() {
    let (error, page) = ended_with(async { panic!("no way on") }).await;
    assert!(error.to_string().starts_with("the task \"App Mesh's API\" panicked: no way on"), "{error}");
    assert_eq!(page, StatusCode::INTERNAL_SERVER_ERROR);
    let (error, page) = ended_with(async {}).await;
    assert!(error.to_string().starts_with("the task \"App Mesh's API\" ended by itself"), "{error}");
    assert_eq!(page, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_stop_that_was_asked_for_is_no_failure() {
    let (shutdown, tasks) = (CancellationToken::new(), Tasks::default());
    tasks.spawn(Task::Api, &shutdown, shutdown.clone().cancelled_owned());
    shutdown.cancel();
    assert!(supervise(&tasks, shutdown).await.is_ok());
    assert_eq!(tasks.first_fallen(), None);
}

/// The configuration of one that has all tasks: it serves other hosts and lets instances join. Its files are in `folder`.
fn configuration(folder: &Path) -> ControlPlaneConfig {
    let validity = Validity { now: SystemTime::now(), length: Duration::from_secs(3600) };
    let ca = new_authority("a CA", validity).unwrap();
    let authority = Authority::read(ca.certificate.as_bytes(), &ca.key).unwrap();
    let server = authority.issue_server(&["localhost".into()], &[], validity).unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let any = |host: &str| vec![format!("{host}:0").parse().unwrap()];
    let certificate = file("ca.crt", &ca.certificate);
    ControlPlaneConfig {
        listen: any("0.0.0.0"),
        ads_listen: any("127.0.0.1"),
        tls: Some(TlsFiles {
            certificate: file("tls.crt", &server.certificate),
            key: file("tls.key", server.key.reveal()),
            ca: Some(certificate.clone()),
        }),
        joining: Some(JoinConfig {
            listen: any("127.0.0.1"),
            ca: CaFiles { certificate, signing: None, key: CaKey::File(file("ca.key", ca.key.reveal())) },
            certificate_validity: Duration::from_secs(3600),
            rate_per_source: 5,
            identity_certificates: Vec::new(),
            instance_identity: InstanceIdentity::Required,
            instances: None,
            sts_endpoint: None,
        }),
        denied_instances: Some(file("denied", "")),
        ..ControlPlaneConfig::new(folder.join("data"))
    }
}

/// Runs a control plane whose task `target` panics while it runs.
async fn struck_at(target: Task) {
    let folder = tempfile::tempdir().unwrap();
    let strike = Strike::at(target, || panic!("struck"));
    let tasks = Tasks::struck(strike.clone());
    let shutdown = CancellationToken::new();
    let bound = bind(configuration(folder.path())).await.unwrap().with_tasks(tasks);
    let page = bound.health.router();
    let live = async || {
        let request = Request::get("/livez").body(axum::body::Body::empty()).unwrap();
        let answer = page.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 4096).await.unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    let running = tokio::spawn(bound.serve(shutdown.clone()));
    tokio::time::timeout(LONG, strike.begun()).await.unwrap_or_else(|_| panic!("{target:?} is not spawned"));
    assert_eq!(live().await.0, StatusCode::OK, "{target:?} goes on");
    strike.strike();
    let ended = tokio::time::timeout(LONG, running).await.expect("it ends").unwrap().expect_err("an error");
    let words = format!("the task {:?} panicked: struck", target.name());
    assert!(ended.to_string().starts_with(&words), "{target:?}: {ended}");
    let (status, body) = live().await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{target:?}");
    assert!(body.starts_with(&words), "{target:?}: {body}");
    assert!(!shutdown.is_cancelled(), "what else runs in the process goes on");
}

#[tokio::test]
async fn a_panic_in_any_long_lived_task_ends_the_control_plane_with_its_name() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    futures::future::join_all(Task::ALL.iter().map(|task| struck_at(*task))).await;
}

/// A file that whoever reads it waits for, until this is dropped.
struct Fifo(PathBuf);

impl Fifo {
    fn new(path: PathBuf) -> Self {
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self(path)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        // Open for both it waits for nobody; with the last writer gone, a reader is at the end.
        let writer = std::fs::OpenOptions::new().read(true).write(true).open(&self.0);
        std::fs::remove_file(&self.0).unwrap();
        drop(writer);
    }
}

/// A control plane that has to open its API for other hosts with what an earlier process remembered, and cannot read that yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_are_served_before_the_api_may_be() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ads");
    let mut config = configuration(folder.path());
    config.ads_listen = vec![Listen::Unix(socket.clone())];
    drop(SqliteStore::open(&config.data_dir, &config.identity, config.client_tokens_per_mesh).unwrap());
    let _remembered = Fifo::new(config.data_dir.join("used-signatures"));

    let shutdown = CancellationToken::new();
    let bound = bind(config.clone()).await.unwrap();
    let (health, opened) = (bound.health.clone(), bound.opened());
    let running = tokio::spawn(bound.serve(shutdown.clone()));
    let greeted = tokio::time::timeout(LONG, greeting(&socket)).await.expect("proxies wait for the API");
    assert_eq!(greeted[3], 4, "the first frame of HTTP/2 is SETTINGS");
    assert!(!running.is_finished());
    assert_eq!(health.ready().1, "the App Mesh API is not served yet\n");
    assert_eq!(opened.now_or_never(), None);

    shutdown.cancel();
    assert!(tokio::time::timeout(LONG, running).await.expect("an end").unwrap().is_ok());
    assert_eq!(health.ready().1, "shutting down\n");
    bind(config).await.expect("nothing of it is left that has the store, though its pages are there");
}

/// The first bytes that a proxy's listener says to an HTTP/2 client.
async fn greeting(socket: &Path) -> [u8; 9] {
    let mut connection = loop {
        match UnixStream::connect(socket).await {
            Ok(connection) => break connection,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    connection.read_exact(&mut head).await.unwrap();
    head
}
