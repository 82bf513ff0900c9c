//! `fleetmesh control-plane` as a process: what it acknowledged survives SIGKILL, and a start that cannot succeed says
//! why in one line, ends with a failure and changes nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use fleetmesh_model::ResourceId;
use fleetmesh_testbed::command::{self, Captured};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{aws, http, long, tools};
use fleetmesh_tests::app_mesh::AppMeshRequests;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

/// Times that the control plane is killed.
fn kills() -> usize {
    long::choose(25, 500)
}

/// After how many of them it is asked for everything.
const LIST_EVERY: usize = 5;
/// Clients that write while it is killed.
const WRITERS: usize = 8;

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_sigkill() {
    let run = RunDir::new("sigkill").unwrap();
    let mut control_plane = ControlPlane::start(&run).await.unwrap();
    let mut acknowledged = BTreeSet::new();
    let kills = kills();
    for pass in 0..kills {
        let (sender, mut names) = mpsc::unbounded_channel();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (api, sender) = (AppMeshRequests::new(&control_plane.endpoint()), sender.clone());
                tokio::spawn(async move {
                    for index in 0.. {
                        let name = format!("m-{pass}-{writer}-{index}");
                        match api.try_create(&ResourceId::mesh(&name), &json!({})).await {
                            Ok(answer) if answer.status() == 200 => sender.send(name).unwrap(),
                            // Killed: this one was not acknowledged.
                            Ok(_) | Err(_) => return,
                        }
                    }
                })
            })
            .collect();
        drop(sender);
        // A different moment in every pass.
        for _ in 0..=(pass * 7) % 40 {
            acknowledged.insert(names.recv().await.expect("the writers write until the kill"));
        }
        control_plane.kill();
        while let Some(name) = names.recv().await {
            acknowledged.insert(name);
        }
        for writer in writers {
            writer.await.unwrap();
        }
        control_plane.restart(&run).await.unwrap();
        // A list of everything takes longer each time.
        if pass % LIST_EVERY != 0 && pass + 1 != kills {
            continue;
        }
        let stored = meshes(&control_plane.endpoint()).await;
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "lost until pass {pass}: {lost:?}");
        // What was under way may have been stored: at most one a writer and pass.
        assert!(stored.len() <= acknowledged.len() + (pass + 1) * WRITERS);
    }
    println!("R14: {kills} kills, 0 of {} acknowledged writes lost", acknowledged.len());
}

/// The names of all meshes.
async fn meshes(endpoint: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut token = String::new();
    loop {
        let page = http::get(&format!("{endpoint}/v20190125/meshes?limit=100{token}")).await.unwrap();
        let page: Value = serde_json::from_str(&page).unwrap();
        for mesh in page["meshes"].as_array().unwrap() {
            assert!(names.insert(mesh["meshName"].as_str().unwrap().to_owned()), "{mesh} twice");
        }
        match page["nextToken"].as_str() {
            Some(next) => token = format!("&nextToken={next}"),
            None => return names,
        }
    }
}

/// Starts a control plane that must end by itself.
async fn start(data: &Path, arguments: &[&str]) -> Captured {
    let mut command = Command::new(tools::fleetmesh().unwrap());
    command.arg("control-plane").arg("--data-dir").arg(data);
    if !arguments.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.args(["--ads-listen", "127.0.0.1:0"]).args(arguments);
    command::capture(command).await.unwrap()
}

/// Checks that it failed with one line of these words and printed no address.
fn refused(captured: &Captured, words: &[&str]) {
    assert_eq!(captured.status.code(), Some(1), "{captured:?}");
    assert_eq!(captured.stdout, "");
    let [line] = captured.stderr.lines().collect::<Vec<_>>()[..] else {
        panic!("not one line: {}", captured.stderr)
    };
    for word in words {
        assert!(line.contains(word), "{line:?} does not say {word:?}");
    }
}

#[tokio::test]
async fn a_start_that_cannot_succeed_says_why_in_one_line() {
    let run = RunDir::new("starts").unwrap();
    let mut control_plane = ControlPlane::start(&run).await.unwrap();
    let data = control_plane.data_dir();
    AppMeshRequests::new(&control_plane.endpoint())
        .create(&ResourceId::mesh("apps"), &json!({}))
        .await
        .unwrap();

    let id = control_plane.process().id().to_string();
    refused(&start(&data, &[]).await, &[data.to_str().unwrap(), "in use by process", &id, "--data-dir"]);
    control_plane.kill();

    let other = start(&data, &["--account-id", "999999999999"]).await;
    refused(&other, &["control-plane.db", "account 111122223333", "account 999999999999"]);

    let database = data.join("control-plane.db");
    let whole = fs::read(&database).unwrap();
    fs::write(&database, "not a database, but a text that somebody saved here").unwrap();
    refused(&start(&data, &[]).await, &[database.to_str().unwrap(), "restore it from a backup"]);
    fs::write(&database, whole).unwrap();

    let file = run.join("file");
    fs::write(&file, "").unwrap();
    refused(
        &start(&file.join("data"), &[]).await,
        &["cannot use the data directory", file.to_str().unwrap()],
    );

    let fresh = run.join("fresh");
    refused(&start(&fresh, &["--listen", "0.0.0.0:0"]).await, &["0.0.0.0:0 is not a loopback address"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(&start(&fresh, &["--listen", &address]).await, &["cannot listen on", &address, "choose another"]);
    assert!(!fresh.exists(), "a refused listener leaves no data directory behind");

    control_plane.restart(&run).await.unwrap();
    assert_eq!(meshes(&control_plane.endpoint()).await, BTreeSet::from(["apps".to_owned()]));
}

#[tokio::test]
async fn wrong_flags_are_refused_by_name_value_and_bound() {
    let run = RunDir::new("flags").unwrap();
    for (flag, value, words) in [
        ("--account-id", "12", "an account id has 12 digits"),
        ("--listen", "9080", "expected HOST:PORT"),
        ("--quota", "nodes=1", "is not NAME=COUNT"),
        ("--request-rate", "0", "0 is not in 1.."),
    ] {
        let captured = start(&run.join("data"), &[flag, value]).await;
        assert_eq!(captured.status.code(), Some(2), "{captured:?}");
        for word in [flag, value, words] {
            assert!(captured.stderr.contains(word), "{} does not say {word:?}", captured.stderr);
        }
    }
}

/// The status and the text of the answer to a head that no client would write, over TCP or a Unix socket.
async fn answered<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    path: &str,
    headers: &[&str],
) -> (u16, String) {
    let head = format!("GET {path} HTTP/1.1\r\n{}\r\nconnection: close\r\n\r\n", headers.join("\r\n"));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

const MESHES: &str = "/v20190125/meshes";

#[tokio::test]
async fn a_page_of_another_name_does_not_reach_the_api_on_loopback() {
    let run = RunDir::new("rebinding").unwrap();
    let socket = run.join("api.sock");
    let listen = format!("unix:{}", socket.display());
    let more = ["--listen", &listen, "--allowed-host", "mesh.example"];
    let control_plane = ControlPlane::launch(&run, Launch::with(more)).await.unwrap();
    let address = control_plane.endpoint().replace("http://", "");
    let port = address.rsplit(':').next().unwrap();
    let at = async |host: &str, path: &str| {
        let stream = TcpStream::connect(&address).await.unwrap();
        answered(stream, path, &[&format!("host: {host}:{port}")]).await
    };
    for path in [MESHES, "/metrics", "/fleetmesh/v1/meshes/apps/distribution"] {
        let (status, answer) = at("evil.example", path).await;
        assert!(status == 403 && answer.contains("--allowed-host NAME"), "{path}: {answer}");
    }
    for host in ["127.0.0.1", "localhost", "[::1]", "mesh.example"] {
        assert_eq!(at(host, MESHES).await.0, 200, "{host}");
    }
    let stream = UnixStream::connect(&socket).await.unwrap();
    assert_eq!(answered(stream, MESHES, &["host: evil.example"]).await.0, 200, "no name leads to a socket");
    for host in ["127.0.0.1", "localhost"] {
        let aws = aws::AppMesh::new(&format!("http://{host}:{port}"));
        assert_eq!(aws.run(&["list-meshes"]).await.unwrap()["meshes"], json!([]), "the AWS CLI");
    }
}

#[tokio::test]
async fn a_request_that_means_two_things_is_refused() {
    let run = RunDir::new("two-things").unwrap();
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let address = control_plane.endpoint().replace("http://", "");
    for (path, headers, words) in [
        (MESHES, vec!["host: localhost", "host: 127.0.0.1"], "the header host was sent more than once"),
        (MESHES, vec!["host: localhost", "authorization: a", "authorization: b"], "the header authorization"),
        (MESHES, vec!["host: localhost", "x-amz-date: a", "X-Amz-Date: a"], "the header x-amz-date"),
        (MESHES, vec!["host: localhost", "date: a", "date: a"], "the header date"),
        ("//v20190125/meshes", vec!["host: localhost"], "write each slash once"),
        ("/v20190125//meshes", vec!["host: localhost"], "write each slash once"),
        ("http://localhost/v20190125/meshes", vec!["host: 127.0.0.1"], "name different hosts"),
    ] {
        let (status, answer) = answered(TcpStream::connect(&address).await.unwrap(), path, &headers).await;
        assert!(status == 400 && answer.contains(words), "{path} {headers:?}: {answer}");
    }
}
